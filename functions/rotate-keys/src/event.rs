//! The events: nothing from the schedule, one command from an operator.

use serde_json::{Map, Value};
use session::model::KeyId;
use session::service::{KeyCommand, KeyKind};

/// What an event asks for; `None` if it is none that this function knows.
///
/// | Event | Command |
/// |---|---|
/// | `{}`, or what `EventBridge` Scheduler or a rule with a schedule sends by itself | whatever is due |
/// | `{"rotate": "dynamic"}`, `"static"` or `"master"` | a successor through the usual lead |
/// | `{"revoke": "<kid>"}` | the signing key goes, another signs in seconds |
/// | `{"revokeMaster": <id>}` | the master key goes, and with it every session minted under it |
pub fn command(event: &Value) -> Option<KeyCommand> {
    let event = event.as_object()?;
    if event.is_empty() || is_scheduled(event) {
        return Some(KeyCommand::Advance);
    }
    // One command an event: two would have an order, and one of them could fail.
    let (name, value) = only_member(event)?;
    match (name, value) {
        ("rotate", Value::String(kind)) => match kind.as_str() {
            "dynamic" => Some(KeyCommand::Rotate(KeyKind::Dynamic)),
            "static" => Some(KeyCommand::Rotate(KeyKind::Static)),
            "master" => Some(KeyCommand::Rotate(KeyKind::Master)),
            _ => None,
        },
        ("revoke", Value::String(kid)) => Some(KeyCommand::Revoke(KeyId::new(kid))),
        ("revokeMaster", Value::Number(id)) => {
            id.as_u64().and_then(|id| u8::try_from(id).ok()).map(KeyCommand::RevokeMaster)
        }
        _ => None,
    }
}

/// A rule of `EventBridge` says what kind of event it is; the scheduler lets others say so, too.
fn is_scheduled(event: &Map<String, Value>) -> bool {
    let says = |name: &str, text: &str| event.get(name).is_some_and(|value| value == text);
    says("source", "aws.scheduler")
        || (says("source", "aws.events") && says("detail-type", "Scheduled Event"))
}

fn only_member(event: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut members = event.iter();
    match (members.next(), members.next()) {
        (Some((name, value)), None) => Some((name.as_str(), value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_schedule_asks_for_what_is_due() {
        assert_eq!(command(&json!({})), Some(KeyCommand::Advance));
        let scheduled = json!({
            "version": "0",
            "id": "a8b3c9de-2f4c-4a3f-9d53-0f1d6a1a7c9e",
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "detail": "{}",
        });
        assert_eq!(command(&scheduled), Some(KeyCommand::Advance));
        let by_rule = json!({
            "version": "0",
            "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "123456789012",
            "time": "2026-01-01T00:00:00Z",
            "region": "eu-west-1",
            "resources": ["arn:aws:events:eu-west-1:123456789012:rule/hourly"],
            "detail": {},
        });
        assert_eq!(command(&by_rule), Some(KeyCommand::Advance));
    }

    #[test]
    fn a_command_is_one_member() {
        let revoke = KeyCommand::Revoke(KeyId::new("d-1"));
        assert_eq!(command(&json!({ "revoke": "d-1" })), Some(revoke));
        let rotate = KeyCommand::Rotate(KeyKind::Master);
        assert_eq!(command(&json!({ "rotate": "master" })), Some(rotate));
        assert_eq!(command(&json!({ "revokeMaster": 255 })), Some(KeyCommand::RevokeMaster(255)));
    }

    #[test]
    fn nothing_is_guessed() {
        for event in [
            json!(null),
            json!([]),
            json!("rotate"),
            json!({ "rotate": "all" }),
            json!({ "rotate": null }),
            json!({ "Rotate": "dynamic" }),
            json!({ "revoke": 1 }),
            json!({ "revokeMaster": 256 }),
            json!({ "revokeMaster": "1" }),
            json!({ "revokeMaster": -1 }),
            json!({ "rotate": "static", "revoke": "d-1" }),
            json!({ "source": "aws.events" }),
            json!({ "source": "aws.events", "detail-type": "EC2 Instance State-change Notification" }),
        ] {
            assert_eq!(command(&event), None, "{event}");
        }
    }
}
