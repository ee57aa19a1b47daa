//! How long tokens become, known before they are signed.
//!
//! Everything about the claims of a session is in its front token's JSON, so the length of that text
//! says how long both tokens are, whatever their session.

use super::access::{AccessTokenInput, header_len};
use super::front::front_json;
use super::key::SigningAlgorithm;
use crate::model::{DeviceKey, DeviceKeyKind, Session, Timestamp};

/// The latest instant that takes ten digits in seconds: 2286-11-20T17:46:39Z.
const LATEST: Timestamp = Timestamp::from_secs(9_999_999_999);

/// The front token's JSON around the payload, with a user id of one character.
const SMALLEST_FRAME: usize = r#"{"uid":"u","ate":9999999999000,"up":}"#.len();

/// The key that is written longest.
const LONGEST_KEY: DeviceKey =
    DeviceKey { kind: DeviceKeyKind::Dbsc, thumbprint: [0; DeviceKey::LEN] };

/// Bytes of a session's front token's JSON at most, whatever its generation and the instant; with room for a
/// key of its device if it `may_be_bound` yet.
#[must_use]
pub fn longest_front_json(session: &Session, may_be_bound: bool) -> usize {
    let (hash, uuid) = ("0".repeat(64), "00000000-0000-4000-8000-000000000000");
    let known = AccessTokenInput::of(session, &hash, Some(uuid));
    let device_key = known.device_key.or(may_be_bound.then_some(LONGEST_KEY));
    let input = AccessTokenInput { device_key, ..known };
    front_json(&session.subject.user_id, LATEST, &input.payload(LATEST, LATEST)).len()
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

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::model::{Device, Keeper, KeyId, PayloadSize, RefreshState, SessionHandle, Subject};
    use crate::token::front_token;
    use crate::token::key::SigningKey;

    fn session(user_id: &str, custom: &serde_json::Value) -> Session {
        let subject = Subject::user(user_id);
        Session {
            handle: SessionHandle::random(&subject.user_id, &mut rand::rng()),
            subject,
            created_at: LATEST,
            refresh: RefreshState::new(LATEST, None),
            idle_ttl: None,
            access_token_ttl: None,
            access_token_payload: custom.as_object().cloned().unwrap_or_default(),
            payload_size: PayloadSize::default(),
            session_data: Map::new(),
            keeper: Keeper::Browser,
            last_used_by: Device::default(),
            repeats: None,
            device_key: None,
            device_pending: false,
            provider: None,
            revocation: None,
        }
    }

    #[test]
    fn no_token_is_longer_than_was_foretold_and_none_much_shorter() {
        let key_id = KeyId::new(format!("s-{}", "0".repeat(36)));
        let algorithm = SigningAlgorithm::Es256;
        let pkcs8 = algorithm.generate_pkcs8().unwrap();
        let key = SigningKey::from_pkcs8(key_id, algorithm, &pkcs8).unwrap();
        for custom in [json!({}), json!({ "a": "é\"" }), json!({ "b": "x".repeat(1000) })] {
            let keys = [None, Some(LONGEST_KEY)];
            for (user_id, device_key) in ["u", "\"quoted\"", &"long".repeat(64)]
                .into_iter()
                .flat_map(|id| keys.map(|key| (id, key)))
            {
                let session = Session { device_key, ..session(user_id, &custom) };
                let (hash, uuid) = ("f".repeat(64), "f".repeat(36));
                let input = AccessTokenInput::of(&session, &hash, Some(&uuid));
                let minted = input.sign_until(&key, LATEST, LATEST).unwrap();
                let front = front_token(&session.subject.user_id, LATEST, &minted.payload);
                let json = longest_front_json(&session, device_key.is_some());
                let unbound = Session { device_key: None, ..session.clone() };
                assert_eq!(longest_front_json(&unbound, device_key.is_some()), json);
                assert_eq!(front.len(), front_len(json));
                // The frame is taken for that of a user id of one character.
                let spare = access_len(json, algorithm) - minted.token.len();
                assert!(spare <= base64_len(2 + 2 * user_id.len()), "{spare} for {user_id}");
            }
        }
    }
}
