//! The template and the code say the same: variables, permissions, names.

use std::collections::BTreeSet;

use authorizer::AuthorizerConfig;
use serde_yaml_ng::Value;
use session::SessionConfig;

fn template() -> Value {
    let text = include_str!("../../template.yaml");
    serde_yaml_ng::from_str(text).unwrap()
}

/// Plain values; `!GetAtt X.Arn` and the like become their text.
fn text(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => text(&tagged.value),
        value => value.as_str().unwrap_or_default().to_owned(),
    }
}

/// What a function may do, as `action on table` and, where only one item may be read, its key.
fn permissions(function: &str) -> BTreeSet<String> {
    let policies = &template()["Resources"][function]["Properties"]["Policies"];
    let statements = policies
        .as_sequence()
        .unwrap()
        .iter()
        .flat_map(|policy| policy["Statement"].as_sequence().unwrap().clone());
    statements
        .map(|statement| {
            assert_eq!(statement["Effect"], "Allow");
            let action = text(&statement["Action"]);
            let table = text(&statement["Resource"]);
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
    // The right-hand side follows the trait bounds of each handler: PublicKeyReader, PrivateKeyReader,
    // SessionRefresher, SessionRevoker.
    let public_keys = "dynamodb:GetItem on KeyTable.Arn, item public";
    for (function, expected) in [
        ("AuthorizerFunction", vec![public_keys]),
        (
            "RefreshFunction",
            vec!["dynamodb:GetItem on KeyTable.Arn", "dynamodb:UpdateItem on SessionTable.Arn"],
        ),
        ("SignoutFunction", vec!["dynamodb:DeleteItem on SessionTable.Arn", public_keys]),
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
        if resource["Properties"]["CodeUri"] == "functions/authorizer" {
            read.extend(AuthorizerConfig::VARIABLES);
        }
        assert_eq!(unread(set(&resource["Properties"]), &read), [""; 0], "{name:?}");
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
    for name in session.chain(AuthorizerConfig::VARIABLES) {
        assert!(readme.contains(&format!("`{name}`")), "{name} is not in README");
    }
}

#[test]
fn the_alarm_on_reuse_watches_the_metric_that_is_written() {
    let alarm = &template()["Resources"]["ReuseAlarm"]["Properties"];
    assert_eq!(alarm["Namespace"], bootstrap::metrics::NAMESPACE);
    assert_eq!(alarm["MetricName"], bootstrap::metrics::REUSE_DETECTED);
}
