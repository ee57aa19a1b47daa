//! Any JSON as the authorizer's event: never a panic, never an allow.
#![no_main]

use authorizer::{AuthorizerConfig, handle};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use session::model::{Clock, Timestamp};
use session_fuzz::{run, verifier};

struct InTheYear2100;

impl Clock for InTheYear2100 {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(4_102_444_800)
    }
}

fuzz_target!(|input: &[u8]| {
    let config = AuthorizerConfig::default();
    if let Ok(event) = serde_json::from_slice::<Box<RawValue>>(input)
        && let Ok(answer) = run(handle(verifier(), &config, &InTheYear2100, &event))
    {
        let answer = serde_json::to_string(&answer).expect("an answer is JSON");
        assert!(!answer.contains(r#""Allow""#) && !answer.contains(r#""isAuthorized":true"#));
    }
});
