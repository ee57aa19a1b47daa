//! Any text as a DPoP proof: never a panic, nothing verifies that nobody signed, and an address has one
//! normal form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session::model::Timestamp;
use session::token::dpop::{self, Demand, Target};

fuzz_target!(|text: &str| {
    if let Some(target) = Target::parse(text) {
        let address = text.split(['?', '#']).next().unwrap_or_default();
        let host_at = address.find("://").map_or(0, |at| at + 3);
        let path_at = address[host_at..].find('/').map_or(address.len(), |at| host_at + at);
        let (origin, path) = address.split_at(path_at);
        assert_eq!(Target::new(origin, path), Some(target), "{text}");
    }
    let target = Target::new("https://server.example.com", "/token").unwrap();
    let demand = Demand { method: "POST", targets: &[target], access_token: None, nonce: None };
    let verified = dpop::verify(text, &demand, Timestamp::from_secs(1_562_262_616));
    // The corpus holds the example of RFC 9449, for the fuzzer to mutate.
    let is_known = text.trim_end() == include_str!("../../corpus/dpop_proof/rfc-9449");
    assert!(verified.is_err() || is_known, "verified: {text}");
});
