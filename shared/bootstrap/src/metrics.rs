//! Counters in `CloudWatch`'s embedded metric format: one log line each, no API call.

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use session::model::Timestamp;

/// The namespace of all our metrics.
pub const NAMESPACE: &str = "Sesam";

/// Off until a function's start turns it on: standard output is a log stream only on Lambda.
static IS_ENABLED: AtomicBool = AtomicBool::new(false);

pub(super) fn enable() {
    IS_ENABLED.store(true, Ordering::Relaxed);
}

/// Counts one event, without dimensions.
pub fn count(name: &str, now: Timestamp) {
    if !IS_ENABLED.load(Ordering::Relaxed) {
        return;
    }
    let line = json!({
        "_aws": {
            "Timestamp": now.as_millis(),
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [[]],
                "Metrics": [{ "Name": name, "Unit": "Count" }],
            }],
        },
        name: 1,
    });
    // A log line that cannot be written must not fail the request.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
