//! Any text as a refresh token: never a panic, and nothing but our own tokens verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use session::token::{MasterKey, MasterKeys, UnverifiedRefreshToken};

fuzz_target!(|text: &str| {
    if let Some(token) = UnverifiedRefreshToken::parse(text) {
        let keys = MasterKeys::new(MasterKey::new(1, "public", &[7; 32]), Vec::new());
        if let Some(claims) = token.verify(&keys) {
            let again = keys.mint(&claims.handle, claims.generation, claims.with_anti_csrf);
            assert_eq!(again.expose(), text);
        }
    }
});
