//! Any text as an access token: never a panic, and without the private key nothing verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session::model::Timestamp;
use session::token::UnverifiedAccessToken;
use session_fuzz::{run, verifier};

fuzz_target!(|text: &str| {
    if let Some(token) = UnverifiedAccessToken::parse(text) {
        let now = Timestamp::from_secs(1_700_000_000);
        let verified = run(verifier().verify(token, now));
        // The corpus holds one token that was signed with the test key, for the fuzzer to mutate.
        let is_ours = text.trim_end() == include_str!("../../corpus/access_token/signed");
        assert!(verified.is_err() || is_ours, "verified: {text}");
    }
});
