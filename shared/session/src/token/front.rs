//! The front token: what the browser may know of its session (contract §1.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{Timestamp, UserId};

#[derive(Serialize)]
struct FrontToken<'a> {
    uid: &'a str,
    ate: u64,
    up: &'a Map<String, Value>,
}

/// Standard base64 with padding over `{"uid","ate","up"}` in that order.
///
/// `access_expires_at` is rounded down to seconds, as in the token, and written in milliseconds;
/// `payload` is the access token's complete payload.
#[must_use]
pub fn front_token(
    user_id: &UserId,
    access_expires_at: Timestamp,
    payload: &Map<String, Value>,
) -> String {
    STANDARD.encode(front_json(user_id, access_expires_at, payload))
}

/// The JSON in a front token.
pub(super) fn front_json(
    user_id: &UserId,
    access_expires_at: Timestamp,
    payload: &Map<String, Value>,
) -> Vec<u8> {
    let token =
        FrontToken { uid: user_id.as_str(), ate: access_expires_at.as_secs() * 1000, up: payload };
    // A map with text keys always serialises.
    serde_json::to_vec(&token).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_vector_is_padded_standard_base64_in_member_order() {
        let token = front_token(&UserId::new("ab"), Timestamp::from_millis(1999), &Map::new());
        let json = STANDARD.decode(&token).unwrap();
        assert_eq!(json, br#"{"uid":"ab","ate":1000,"up":{}}"#);
        let vector = FrontToken { uid: "ab", ate: 1, up: &Map::new() };
        assert_eq!(
            STANDARD.encode(serde_json::to_vec(&vector).unwrap()),
            "eyJ1aWQiOiJhYiIsImF0ZSI6MSwidXAiOnt9fQ=="
        );
    }
}
