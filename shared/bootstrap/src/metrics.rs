//! Counters in `CloudWatch`'s embedded metric format: one log line each, no API call.

use std::future::ready;
use std::io::Write as _;
use std::sync::OnceLock;

use serde_json::{Value, json};
use session::error::{DeviceUnproved, Reuse};
use session::model::{Clock as _, Device, Repeats, Timestamp};
use session::service::{Listener, SessionEvent, Told};

use crate::SystemClock;

/// Name of the variable with the namespace of all our metrics: one a stack, so that alarms and graphs of
/// two stacks in one account do not mix.
pub const NAMESPACE_VARIABLE: &str = "METRICS_NAMESPACE";

/// The namespace if none is set.
const NAMESPACE: &str = "Sesam";

/// The metric that should be alarmed on: honest clients cause it only where docs/rotation.md says so.
pub const REUSE_DETECTED: &str = "ReuseDetected";

/// The metric that says that a session's refreshes keep being answered twice.
pub const REPEATED_OFTEN: &str = "RepeatedOften";

/// The metric of refreshes of bound sessions without the proof of the device key: thieves, and owners who
/// have lost their key.
pub const DEVICE_PROOF_MISSING: &str = "DeviceProofMissing";

/// The metric of started processes. Lambda has none, and the log lines that tell are turned off.
const COLD_STARTS: &str = "ColdStarts";

/// Where to count; nothing is written before a function's start says so, because standard output is a log
/// stream only on Lambda.
static ENABLED: OnceLock<String> = OnceLock::new();

/// Counts from now on, this start first.
pub(super) fn enable(namespace: Option<String>) {
    ENABLED.get_or_init(|| namespace.unwrap_or_else(|| NAMESPACE.to_owned()));
    count(COLD_STARTS, SystemClock.now());
}

/// Counts what happens to sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Metrics;

impl Listener for Metrics {
    fn notify<'a>(&'a self, event: &'a SessionEvent) -> Told<'a> {
        write(|namespace| counted(namespace, event, SystemClock.now()));
        Box::pin(ready(Ok(())))
    }
}

/// Counts one thing of that name, without dimensions.
pub fn count(name: &str, now: Timestamp) {
    write(|namespace| line(namespace, &[name], 1, &Value::Null, now));
}

/// The line that counts an event. Reuse, repeats beyond what is usual, and what lacks the proof of a device
/// have the evidence in the same line: whose session, and what is known of who asked. The only lines that hold a user and networks; they
/// hold no token.
fn counted(namespace: &str, event: &SessionEvent, now: Timestamp) -> Value {
    let line =
        |names: &[&str], times, evidence: &Value| line(namespace, names, times, evidence, now);
    match event {
        SessionEvent::Created { .. } => line(&["Created"], 1, &Value::Null),
        SessionEvent::Refreshed {
            handle, user_id, tenant_id, outcome, device, repeats, ..
        } if *repeats > 0 && repeats.is_multiple_of(Repeats::MANY) => {
            let evidence = json!({
                "sessionHandle": handle.to_string(),
                "userId": user_id,
                "tenantId": tenant_id,
                "repeats": repeats,
                "askedBy": place(device),
            });
            line(&[outcome.name(), REPEATED_OFTEN], 1, &evidence)
        }
        SessionEvent::Refreshed { outcome, .. } => line(&[outcome.name()], 1, &Value::Null),
        SessionEvent::Revoked { handles, .. } => line(&["Revoked"], handles.len(), &Value::Null),
        SessionEvent::ReuseDetected(reuse) => line(&[REUSE_DETECTED], 1, &evidence(reuse)),
        SessionEvent::DeviceBound { .. } => line(&["DeviceBound"], 1, &Value::Null),
        SessionEvent::DeviceBindingLost { .. } => line(&["DeviceBindingLost"], 1, &Value::Null),
        SessionEvent::TokenProofMissing { handle, user_id, tenant_id, why, is_served } => {
            let evidence = json!({
                "sessionHandle": handle.map(|handle| handle.to_string()),
                "userId": user_id,
                "tenantId": tenant_id,
                "why": why.to_string(),
                "served": is_served,
            });
            line(&["TokenProofMissing"], 1, &evidence)
        }
        SessionEvent::DeviceProofMissing { lack, is_served } => {
            line(&[DEVICE_PROOF_MISSING], 1, &unproved(lack, *is_served))
        }
    }
}

/// What is known of a reuse.
pub(super) fn evidence(reuse: &Reuse) -> Value {
    let (presented, current) = (reuse.presented.number(), reuse.current.number());
    json!({
        "sessionHandle": reuse.handle.to_string(),
        "userId": reuse.user_id,
        "tenantId": reuse.tenant_id,
        "presentedGeneration": presented,
        "currentGeneration": current,
        "generationDistance": current.saturating_sub(presented),
        "presentedBy": place(&reuse.presented_by),
        "lastUsedBy": place(&reuse.last_used_by),
    })
}

/// What is known of a refresh without the proof of the device key.
pub(super) fn unproved(lack: &DeviceUnproved, is_served: bool) -> Value {
    json!({
        "sessionHandle": lack.handle.to_string(),
        "userId": lack.user_id,
        "tenantId": lack.tenant_id,
        "why": lack.why.name(),
        "served": is_served,
        "askedBy": place(&lack.asked_by),
        "lastUsedBy": place(&lack.last_used_by),
    })
}

/// Where a request came from, without what only the settings allow to be told.
pub(super) fn place(device: &Device) -> Value {
    json!(Device { country: None, ..device.clone() })
}

fn line(namespace: &str, names: &[&str], times: usize, evidence: &Value, now: Timestamp) -> Value {
    let metric = |name: &&str| json!({ "Name": name, "Unit": "Count" });
    let about = json!({
        "Timestamp": now.as_millis(),
        "CloudWatchMetrics": [{
            "Namespace": namespace,
            "Dimensions": [[]],
            "Metrics": names.iter().map(metric).collect::<Vec<_>>(),
        }],
    });
    let counts = names.iter().map(|name| (*name, times.into()));
    let line = counts.chain([("_aws", about), ("evidence", evidence.clone())]);
    line.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn write(line: impl FnOnce(&str) -> Value) {
    if let Some(namespace) = ENABLED.get() {
        // A log line that cannot be written must not fail the request.
        let _ = writeln!(std::io::stdout().lock(), "{}", line(namespace));
    }
}

#[cfg(test)]
mod tests {
    use session::error::TryRefresh;
    use session::model::{Assurance, Generation, SessionHandle, TenantId, UserId};
    use session::service::{RefreshOutcome, RevocationCause};

    use super::*;

    #[test]
    fn reuse_is_counted_with_both_parties_and_the_distance() {
        let reuse = Reuse {
            handle: SessionHandle::from_bytes([1; SessionHandle::LEN]),
            user_id: UserId::new("user-1"),
            recipe_user_id: UserId::new("user-1"),
            tenant_id: TenantId::public(),
            presented: Generation::FIRST,
            current: Generation::FIRST.next().next(),
            presented_by: Device::new(Some("thief"), Some("192.0.2.1")),
            last_used_by: Device::new(Some("owner"), None),
            assurance: Assurance::default(),
        };
        let event = SessionEvent::ReuseDetected(Box::new(reuse));
        let line = counted("Sesam/dev", &event, Timestamp::from_millis(5));
        let metric = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(metric["Namespace"], "Sesam/dev");
        assert_eq!(metric["Metrics"][0]["Name"], "ReuseDetected");
        assert_eq!(line["ReuseDetected"], 1);
        assert_eq!(line["evidence"]["generationDistance"], 2);
        assert_eq!(line["evidence"]["presentedBy"]["network"], "192.0.2.1");
        assert_eq!(line["evidence"]["lastUsedBy"]["agent"], "owner");
    }

    #[test]
    fn every_twentieth_repeat_in_a_row_is_counted_as_unusual_with_who_asked() {
        let refreshed = |repeats| SessionEvent::Refreshed {
            handle: SessionHandle::from_bytes([1; SessionHandle::LEN]),
            user_id: UserId::new("user-1"),
            tenant_id: TenantId::public(),
            outcome: RefreshOutcome::Served,
            expires_at: Timestamp::from_millis(9),
            device: Device::new(Some("thief"), Some("192.0.2.1")),
            last_used_by: Device::default(),
            assurance: Assurance::default(),
            repeats,
        };
        for (repeats, is_unusual) in
            [(0, false), (1, false), (19, false), (20, true), (21, false), (40, true)]
        {
            let line = counted("Sesam/dev", &refreshed(repeats), Timestamp::from_millis(5));
            assert_eq!(line["Served"], 1);
            assert_eq!(line["RepeatedOften"] == 1, is_unusual, "{repeats}");
            assert_eq!(line["evidence"]["askedBy"]["network"] == "192.0.2.1", is_unusual);
            let metrics = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"];
            assert_eq!(metrics[1]["Name"] == "RepeatedOften", is_unusual);
        }
    }

    #[test]
    fn a_route_without_a_proof_is_counted_with_whose_session_it_is() {
        let event = SessionEvent::TokenProofMissing {
            handle: None,
            user_id: UserId::new("user-1"),
            tenant_id: TenantId::public(),
            why: TryRefresh::WrongScheme,
            is_served: true,
        };
        let line = counted("Sesam/dev", &event, Timestamp::from_millis(5));
        assert_eq!(line["TokenProofMissing"], 1);
        assert_eq!(line["evidence"]["userId"], "user-1");
        assert_eq!(line["evidence"]["served"], true);
    }

    #[test]
    fn every_session_that_was_ended_counts() {
        let handles = (0..3).map(|n| SessionHandle::from_bytes([n; SessionHandle::LEN])).collect();
        let cause = RevocationCause::ByUser;
        let event = SessionEvent::Revoked { handles, user_id: None, cause };
        assert_eq!(counted("Sesam/dev", &event, Timestamp::from_millis(5))["Revoked"], 3);
    }
}
