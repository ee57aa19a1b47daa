//! Any text as a provider's token, and as the claims of one: never a panic, and nothing verifies that the provider
//! did not sign.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use session::model::Timestamp;
use session::token::security_event::EventTokenKind;
use session::token::{EventIssuer, UnverifiedEventToken, VerifyingKeySet};
use session_fuzz::signing_key;

static KEYS: LazyLock<VerifyingKeySet> = LazyLock::new(|| {
    let keys = serde_json::json!({ "keys": [signing_key().public_jwk()] });
    VerifyingKeySet::of_provider(&keys.to_string()).unwrap()
});

fuzz_target!(|text: &str| {
    let now = Timestamp::from_secs(1_700_000_000);
    let from = EventIssuer {
        issuer: "https://id.example.com".to_owned(),
        audiences: vec!["client-1".to_owned()],
    };
    for (kind, header) in [
        (EventTokenKind::Logout, r#"{"alg":"RS256"}"#),
        (EventTokenKind::SecurityEvent, r#"{"alg":"RS256","typ":"secevent+jwt"}"#),
    ] {
        let [header, claims] = [header, text].map(|part| URL_SAFE_NO_PAD.encode(part));
        for token in [text, &format!("{header}.{claims}.AAAA")] {
            if let Ok(token) = UnverifiedEventToken::parse(token, kind, &from, now) {
                assert!(token.verify(&KEYS).is_err(), "verified: {text}");
            }
        }
    }
});
