//! How long tokens become, known before they are signed.
//!
//! Everything about the claims of a session is in its front token's JSON, so the length of that text
//! says how long both tokens are, whatever their session.

use super::access::{AccessTokenInput, header_len};
use super::front::front_json;
use super::key::SigningAlgorithm;
use crate::model::{Session, Timestamp};

/// The latest instant that takes ten digits in seconds: 2286-11-20T17:46:39Z.
const LATEST: Timestamp = Timestamp::from_secs(9_999_999_999);

/// The front token's JSON around the payload, with a user id of one character.
const SMALLEST_FRAME: usize = r#"{"uid":"u","ate":9999999999000,"up":}"#.len();

/// Bytes of a session's front token's JSON at most, whatever its generation and the instant.
#[must_use]
pub fn longest_front_json(session: &Session) -> usize {
    let input = AccessTokenInput {
        user_id: &session.user_id,
        recipe_user_id: &session.recipe_user_id,
        tenant_id: &session.tenant_id,
        handle: &session.handle,
        custom: &session.access_token_payload,
        refresh_token_hash: &"0".repeat(64),
        anti_csrf_token: Some("00000000-0000-4000-8000-000000000000"),
    };
    front_json(&session.user_id, LATEST, &input.payload(LATEST, LATEST)).len()
}

/// Characters of a front token whose JSON has so many bytes: base64 with padding.
#[must_use]
pub const fn front_len(json: usize) -> usize {
    json.div_ceil(3) * 4
}

/// Characters of an access token at most, if the front token's JSON has so many bytes.
#[must_use]
pub const fn access_len(front_json: usize, algorithm: SigningAlgorithm) -> usize {
    let payload = front_json.saturating_sub(SMALLEST_FRAME);
    let signature = match algorithm {
        SigningAlgorithm::Rs256 => 256,
        SigningAlgorithm::Es256 => 64,
    };
    base64_len(header_len(algorithm)) + 1 + base64_len(payload) + 1 + base64_len(signature)
}

/// Characters of base64 without padding.
const fn base64_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}
