//! The templates of this repository as data.

use serde_yaml_ng::Value;

/// The repository's own.
pub(crate) fn own() -> Value {
    parse(include_str!("../../template.yaml"))
}

/// The one that puts the examples behind an API of their own.
pub(crate) fn examples() -> Value {
    parse(include_str!("../../examples/template.yaml"))
}

/// The one that shows every other front door.
pub(crate) fn front_doors() -> Value {
    parse(include_str!("../../examples/front-doors.yaml"))
}

/// The one that keeps events, and mails about some.
pub(crate) fn session_events() -> Value {
    parse(include_str!("../../examples/session-events.yaml"))
}

fn all() -> [Value; 3] {
    [own(), examples(), front_doors()]
}

fn parse(text: &str) -> Value {
    serde_yaml_ng::from_str(text).unwrap()
}

/// Plain values; `!GetAtt X.Arn` and the like become their text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => text(&tagged.value),
        value => value.as_str().unwrap_or_default().to_owned(),
    }
}

/// What an `!If` chooses when its condition holds.
pub(crate) fn chosen(value: &Value) -> &Value {
    match value {
        Value::Tagged(tagged) if tagged.tag == "If" => &tagged.value[1],
        value => value,
    }
}

/// Names and properties of all resources of a type.
pub(crate) fn resources(kind: &str) -> Vec<(String, Value)> {
    let all = all();
    let resources = all.iter().flat_map(|template| members(&template["Resources"]));
    let wanted = resources.filter(|(_, resource)| resource["Type"] == kind);
    wanted.map(|(name, resource)| (name, resource["Properties"].clone())).collect()
}

/// Names and properties of everything that triggers a function through an API of that kind.
pub(crate) fn events(kind: &str) -> Vec<(String, Value)> {
    let functions = resources("AWS::Serverless::Function");
    let events = functions.iter().flat_map(|(_, function)| members(&function["Events"]));
    let wanted = events.filter(|(_, event)| event["Type"] == kind);
    wanted.map(|(name, event)| (name, event["Properties"].clone())).collect()
}

/// Names and properties of the Lambda authorizers of all HTTP APIs.
pub(crate) fn http_authorizers() -> Vec<(String, Value)> {
    let apis = resources("AWS::Serverless::HttpApi");
    let all = apis.iter().flat_map(|(_, api)| members(&api["Auth"]["Authorizers"]));
    all.filter(|(_, authorizer)| authorizer.get("FunctionArn").is_some()).collect()
}

fn members(value: &Value) -> Vec<(String, Value)> {
    let members = value.as_mapping().into_iter().flatten();
    members.map(|(name, value)| (text(name), value.clone())).collect()
}
