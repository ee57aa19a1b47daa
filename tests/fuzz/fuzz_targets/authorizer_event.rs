//! Any JSON as the authorizer's event: never a panic, never an allow.
#![no_main]

use authorizer::{Answer, Event, handle};
use libfuzzer_sys::fuzz_target;
use session::model::{Clock, Timestamp};
use session_fuzz::{run, verifier};

struct InTheYear2100;

impl Clock for InTheYear2100 {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(4_102_444_800)
    }
}

fuzz_target!(|input: &[u8]| {
    if let Ok(event) = serde_json::from_slice::<Event>(input) {
        let answer = run(handle(verifier(), &InTheYear2100, event));
        assert!(!matches!(answer, Ok(Answer::Allow { .. })));
    }
});
