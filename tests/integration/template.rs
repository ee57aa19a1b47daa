//! The template and the code say the same: variables, permissions, names.

use std::collections::BTreeSet;

use authorizer::AuthorizerConfig;
use serde_yaml_ng::Value;
use session::SessionConfig;

use crate::templates::{own as template, text};

/// What a function may do, as `action on table` and, where only one item may be read, its key; what
/// depends on a condition begins with that.
fn permissions(function: &str) -> BTreeSet<String> {
    let policies = &template()["Resources"][function]["Properties"]["Policies"];
    let policies = policies.as_sequence().unwrap().iter();
    let permissions = policies.flat_map(|policy| match policy {
        Value::Tagged(choice) => {
            assert_eq!(choice.tag, "If");
            assert_eq!(text(&choice.value[2]), "AWS::NoValue");
            let condition = text(&choice.value[0]);
            let granted = granted(&choice.value[1]).into_iter();
            granted.map(|permission| format!("{condition}: {permission}")).collect()
        }
        policy => granted(policy),
    });
    permissions.collect()
}

fn granted(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_sequence().unwrap();
    statements
        .iter()
        .map(|statement| {
            assert_eq!(statement["Effect"], "Allow");
            let action = text(&statement["Action"]);
            let table = text(&statement["Resource"]);
            if let Some(source) = statement["Condition"]["StringEquals"].get("events:source") {
                let bus = table.rsplit(':').next().unwrap();
                return format!("{action} on {bus}, source {}", text(source));
            }
            let keys = &statement["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"];
            match keys.as_sequence() {
                Some(keys) => {
                    // `ForAllValues` also holds for a request without keys.
                    assert_eq!(statement["Condition"]["Null"]["dynamodb:LeadingKeys"], "false");
                    let keys: Vec<_> = keys.iter().map(text).collect();
                    format!("{action} on {table}, item {}", keys.join(" or "))
                }
                None => format!("{action} on {table}"),
            }
        })
        .collect()
}

#[test]
fn every_function_may_do_what_its_capabilities_ask_for_and_nothing_else() {
    // The right-hand side follows the trait bounds of each handler: PublicKeyReader, SessionReader, PrivateKeyReader,
    // SessionRefresher, SessionRevoker.
    let public_keys = "dynamodb:GetItem on KeyTable.Arn, item public";
    let source = bootstrap::EVENT_SOURCE;
    let events =
        format!("HasEventBus: events:PutEvents on event-bus/${{EventBusName}}, source {source}");
    let events = events.as_str();
    for (function, expected) in [
        ("AuthorizerFunction", vec![public_keys]),
        ("StrictAuthorizerFunction", vec!["dynamodb:GetItem on SessionTable.Arn", public_keys]),
        (
            "RefreshFunction",
            vec![
                "dynamodb:GetItem on KeyTable.Arn",
                "dynamodb:UpdateItem on SessionTable.Arn",
                events,
            ],
        ),
        ("SignoutFunction", vec!["dynamodb:DeleteItem on SessionTable.Arn", public_keys, events]),
        ("JwksFunction", vec![public_keys]),
    ] {
        let expected = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(permissions(function), expected, "{function}");
    }
}

/// The names that one part of the template sets.
fn set(properties: &Value) -> BTreeSet<String> {
    let variables = properties["Environment"]["Variables"].as_mapping();
    variables.into_iter().flat_map(|variables| variables.keys()).map(text).collect()
}

#[test]
fn every_variable_of_the_template_is_read() {
    let template = template();
    let everywhere =
        SessionConfig::VARIABLES.into_iter().chain(bootstrap::TABLE_VARIABLES).collect();
    let unread = |names: BTreeSet<String>, read: &BTreeSet<&str>| {
        names.into_iter().filter(|name| !read.contains(name.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(unread(set(&template["Globals"]["Function"]), &everywhere), [""; 0]);
    for (name, resource) in template["Resources"].as_mapping().unwrap() {
        let mut read = everywhere.clone();
        match resource["Properties"]["CodeUri"].as_str() {
            Some("functions/authorizer") => read.extend(AuthorizerConfig::VARIABLES),
            Some("functions/refresh" | "functions/signout") => {
                read.insert(bootstrap::EVENT_BUS_VARIABLE);
            }
            _ => {}
        }
        assert_eq!(unread(set(&resource["Properties"]), &read), [""; 0], "{name:?}");
    }
}

#[test]
fn functions_that_may_put_events_know_the_bus_and_no_others_do() {
    for function in ["AuthorizerFunction", "RefreshFunction", "SignoutFunction", "JwksFunction"] {
        let properties = &template()["Resources"][function]["Properties"];
        let bus = &properties["Environment"]["Variables"][bootstrap::EVENT_BUS_VARIABLE];
        let may_put = permissions(function).iter().any(|it| it.contains("events:PutEvents"));
        assert_eq!(text(bus) == "EventBusName", may_put, "{function}");
    }
}

#[test]
fn every_variable_without_a_default_is_set() {
    let variables = &template()["Globals"]["Function"]["Environment"]["Variables"];
    let error = SessionConfig::from_lookup(|_| None).unwrap_err();
    let required = error.problems.iter().filter_map(|problem| problem.split_whitespace().next());
    for name in required.chain(bootstrap::TABLE_VARIABLES) {
        assert!(variables.get(name).is_some(), "{name} has no default and is not set");
    }
}

#[test]
fn the_table_in_readme_names_every_variable() {
    let readme = include_str!("../../README.md");
    let session = SessionConfig::VARIABLES.into_iter().chain(bootstrap::TABLE_VARIABLES);
    let own = AuthorizerConfig::VARIABLES.into_iter().chain([bootstrap::EVENT_BUS_VARIABLE]);
    for name in session.chain(own) {
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in README");
    }
}

#[test]
fn what_readme_shows_of_templates_is_in_templates_that_are_checked() {
    let lines = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let templates = [
        include_str!("../../examples/template.yaml"),
        include_str!("../../examples/front-doors.yaml"),
    ];
    let templates = templates.map(lines);
    let readme = include_str!("../../README.md");
    let shown: Vec<_> = readme.split("```yaml\n").skip(1).collect();
    assert_eq!(shown.len(), 5);
    for block in shown {
        let block = lines(block.split("```").next().unwrap());
        let mut windows = templates.iter().flat_map(|template| template.windows(block.len()));
        assert!(windows.any(|window| window == block), "{block:#?}");
    }
}

#[test]
fn the_alarm_on_reuse_watches_the_metric_that_is_written() {
    let alarm = &template()["Resources"]["ReuseAlarm"]["Properties"];
    assert_eq!(alarm["Namespace"], bootstrap::metrics::NAMESPACE);
    assert_eq!(alarm["MetricName"], bootstrap::metrics::REUSE_DETECTED);
}
