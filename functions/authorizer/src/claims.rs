//! Required claims as a setting: JSON into the validators that the session service has (docs/authorizer.md
//! §4).

use std::time::Duration;

use serde_json::{Map, Value};
use session::model::ClaimValidator;
use session::model::claims::{ArrayClaim, BooleanClaim, PrimitiveClaim};

/// Reads a JSON list such as `[{"claim":"st-role","includes":"admin"}]`.
///
/// Each member demands one thing, and may also say `maxAgeInSeconds`, and `id` if failures are to be
/// reported under another name than the claim's.
///
/// # Errors
///
/// The sentence that says what to write.
pub(crate) fn validators(text: &str) -> Result<Vec<ClaimValidator>, String> {
    let demands: Vec<Map<String, Value>> = serde_json::from_str(text).map_err(|error| {
        format!(r#"use a JSON list such as [{{"claim":"st-role","includes":"admin"}}] ({error})"#)
    })?;
    demands.into_iter().map(validator).collect()
}

fn validator(mut demand: Map<String, Value>) -> Result<ClaimValidator, String> {
    let claim = text(&mut demand, "claim")?;
    let id = text(&mut demand, "id")?;
    let max_age = match demand.remove("maxAgeInSeconds") {
        None => None,
        Some(age) => Some(age.as_u64().ok_or("maxAgeInSeconds must be a whole number")?),
    };
    let mut demands = demand.into_iter();
    let (Some((name, value)), None) = (demands.next(), demands.next()) else {
        return Err(format!("each member must demand one thing: one of {DEMANDS}"));
    };
    let validator = demanded(claim, &name, value)
        .ok_or_else(|| format!("{name} cannot be demanded like this; there are {DEMANDS}"))?;
    let validator = match max_age {
        Some(seconds) => validator.max_age(Duration::from_secs(seconds)),
        None => validator,
    };
    Ok(match id {
        Some(id) => validator.id(id),
        None => validator,
    })
}

const DEMANDS: &str = r#""claim" with "hasValue": value, "isTrue": true, "isFalse": true, "includes": value,
 "excludes": value, "includesAll": list, "includesAny": list or "excludesAll": list; or, without "claim",
 "authenticatedBy": list of methods, empty for any, or "deviceBound": true"#;

fn demanded(claim: Option<String>, name: &str, value: Value) -> Option<ClaimValidator> {
    let Some(claim) = claim else {
        return match (name, value) {
            ("authenticatedBy", Value::Array(methods)) => {
                let methods: Option<Vec<_>> =
                    methods.iter().map(|method| method.as_str().map(str::to_owned)).collect();
                Some(ClaimValidator::authenticated_by(methods?))
            }
            ("deviceBound", Value::Bool(true)) => Some(ClaimValidator::device_bound()),
            _ => None,
        };
    };
    Some(match (name, value) {
        ("isTrue", Value::Bool(true)) => BooleanClaim::new(claim).is_true(),
        ("isFalse", Value::Bool(true)) => BooleanClaim::new(claim).is_false(),
        ("includesAll", Value::Array(values)) => ArrayClaim::new(claim).includes_all(values),
        ("includesAny", Value::Array(values)) => ArrayClaim::new(claim).includes_any(values),
        ("excludesAll", Value::Array(values)) => ArrayClaim::new(claim).excludes_all(values),
        (_, Value::Array(_) | Value::Object(_)) => return None,
        ("hasValue", value) => PrimitiveClaim::new(claim).has_value(value),
        ("includes", value) => ArrayClaim::new(claim).includes(value),
        ("excludes", value) => ArrayClaim::new(claim).excludes(value),
        _ => return None,
    })
}

fn text(demand: &mut Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match demand.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be a text")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use session::model::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    /// Which of the payloads meet what the setting demands.
    fn meet(setting: &Value, payloads: &[Value]) -> Vec<bool> {
        let validators = validators(&setting.to_string()).unwrap();
        let meets = |payload: &Value| {
            let payload = payload.as_object().unwrap();
            validators.iter().all(|validator| validator.validate(payload, NOW).is_none())
        };
        payloads.iter().map(meets).collect()
    }

    fn claim(value: &Value) -> Value {
        json!({ "c": { "v": value, "t": NOW.as_millis() } })
    }

    #[test]
    fn every_demand_is_understood() {
        let (a, ab, c) = (json!(["a"]), json!(["a", "b"]), json!(["c"]));
        let arrays = [&a, &ab, &c].map(claim);
        for (demand, expected) in [
            (json!({ "includes": "a" }), [true, true, false]),
            (json!({ "excludes": "b" }), [true, false, true]),
            (json!({ "includesAll": ["a", "b"] }), [false, true, false]),
            (json!({ "includesAny": ["b", "c"] }), [false, true, true]),
            (json!({ "excludesAll": ["b", "c"] }), [true, false, false]),
        ] {
            let mut member = demand.clone();
            member["claim"] = "c".into();
            assert_eq!(meet(&json!([member]), &arrays), expected, "{demand}");
        }
        let values = [&json!(true), &json!(false), &json!("x")].map(claim);
        for (demand, expected) in [
            (json!({ "isTrue": true }), [true, false, false]),
            (json!({ "isFalse": true }), [false, true, false]),
            (json!({ "hasValue": "x" }), [false, false, true]),
        ] {
            let mut member = demand.clone();
            member["claim"] = "c".into();
            assert_eq!(meet(&json!([member]), &values), expected, "{demand}");
        }
    }

    #[test]
    fn several_demands_must_all_be_met_and_may_have_an_age() {
        let old = json!({ "c": { "v": true, "t": NOW.as_millis() - 601_000 } });
        let fresh = json!({ "c": { "v": true, "t": NOW.as_millis() - 600_000 } });
        let aged = json!([{ "claim": "c", "isTrue": true, "maxAgeInSeconds": 600 }]);
        assert_eq!(meet(&aged, &[old, fresh.clone()]), [false, true]);
        let two = json!([{ "claim": "c", "isTrue": true }, { "claim": "d", "includes": "a" }]);
        assert_eq!(meet(&two, &[fresh]), [false]);
        assert_eq!(meet(&json!([]), &[json!({})]), [true]);
    }

    #[test]
    fn proof_of_who_the_user_is_may_be_demanded_by_method_and_age() {
        let proved = json!({ "auth_time": NOW.as_secs() - 60, "amr": ["pwd", "otp"] });
        for (demand, expected) in [
            (json!([{ "authenticatedBy": [] }]), true),
            (json!([{ "authenticatedBy": ["otp"], "maxAgeInSeconds": 60 }]), true),
            (json!([{ "authenticatedBy": ["hwk"] }]), false),
            (json!([{ "authenticatedBy": [], "maxAgeInSeconds": 59 }]), false),
        ] {
            assert_eq!(meet(&demand, std::slice::from_ref(&proved)), [expected], "{demand}");
        }
    }

    #[test]
    fn a_session_that_is_bound_to_its_device_may_be_demanded() {
        let text = format!("dbsc:{}", "A".repeat(43));
        let bound = [json!({ "cnf": { "jkt": "x" } }), json!({ "cnf": { "kid": text } })];
        assert_eq!(meet(&json!([{ "deviceBound": true }]), &bound), [true, true]);
        for other in [
            json!({}),
            json!({ "cnf": null }),
            json!({ "cnf": "x" }),
            json!({ "cnf": { "kid": "the application's own" } }),
            json!({ "cnf": { "x5t#S256": "x" } }),
        ] {
            let demand = json!([{ "deviceBound": true }]);
            assert_eq!(meet(&demand, std::slice::from_ref(&other)), [false], "{other}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused_with_what_to_write() {
        for text in [
            "admin",
            r#"{"claim":"c"}"#,
            r#"[{"claim":"c"}]"#,
            r#"[{"claim":"c","isTrue":false}]"#,
            r#"[{"claim":"c","isTrue":true,"isFalse":true}]"#,
            r#"[{"claim":"c","includes":["a"]}]"#,
            r#"[{"claim":"c","include":"a"}]"#,
            r#"[{"claim":1,"includes":"a"}]"#,
            r#"[{"includes":"a"}]"#,
            r#"[{"claim":"c","isTrue":true,"maxAgeInSeconds":-1}]"#,
            r#"[{"authenticatedBy":[1]}]"#,
            r#"[{"deviceBound":false}]"#,
            r#"[{"claim":"c","deviceBound":true}]"#,
        ] {
            assert!(validators(text).is_err(), "{text}");
        }
    }
}
