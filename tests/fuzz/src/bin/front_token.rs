//! Any user id and payload in a front token: clients can read back what went in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use session::model::{Timestamp, UserId};
use session::token::front_token;

fuzz_target!(|input: (&str, u32, &[u8])| {
    let (user_id, expires_at, payload) = input;
    let payload: Map<String, Value> = serde_json::from_slice(payload).unwrap_or_default();
    let expires_at = Timestamp::from_secs(expires_at.into());
    let token = front_token(&UserId::new(user_id), expires_at, &payload);
    assert!(
        token.len().is_multiple_of(4)
            && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
    );
});
