//! Device Bound Session Credentials: what a browser is given to sign, and how it is known again
//! (docs/device-binding.md).
//!
//! ```text
//! version 1 ‖ master key 1 ‖ session 28 ‖ content ‖ MAC 32
//! ```
//!
//! in base64url. The content of a challenge is its end, that of a session identifier the public key, that of
//! the cookie the key's thumbprint and the cookie's end. The MAC is that of refresh tokens, with a label of
//! its own for each: so proving a key needs no table, and forgeries cost nothing.

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::MasterKeys;
use super::access::{Parts, decode_object, parts};
use super::dpop::p256_thumbprint;
use crate::model::{DeviceKey, DeviceKeyKind, SessionHandle, Timestamp};

/// How long a challenge may be answered: longer than the cookie that comes with it lives.
pub const CHALLENGE_LIFE: Duration = Duration::from_mins(15);

/// Longest proof that is looked at, in bytes; browsers send at most 400.
const MAX_PROOF_LEN: usize = 2 * 1024;

/// The only layout so far; refresh tokens begin with another byte.
const VERSION: u8 = 1;

const HEAD_LEN: usize = 2 + SessionHandle::LEN;
const MAC_LEN: usize = 32;

const CHALLENGE: &[u8] = b"device challenge";
const IDENTIFIER: &[u8] = b"device identifier";
const COOKIE: &[u8] = b"device cookie";

/// Bytes of an instant.
const INSTANT_LEN: usize = 8;
/// Bytes of the content of a cookie.
const PROVED_LEN: usize = DeviceKey::LEN + INSTANT_LEN;

/// A public key of a browser: both coordinates of a point of P-256.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
// Printable: public.
pub struct BrowserKey([u8; Self::LEN]);

impl BrowserKey {
    const LEN: usize = 64;

    /// The key in a JWK (RFC 7518 §6.2.1), if it is a point of the curve.
    fn of(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if (text("kty"), text("crv")) != (Some("EC"), Some("P-256")) {
            return None;
        }
        let number = |name: &str| -> Option<[u8; 32]> {
            URL_SAFE_NO_PAD.decode(text(name)?).ok()?.try_into().ok()
        };
        let key = Self([number("x")?, number("y")?].concat().try_into().ok()?);
        key.parsed().map(|_| key)
    }

    fn parsed(&self) -> Option<ParsedPublicKey> {
        // An uncompressed point (SEC 1 §2.3.3).
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4_u8][..], &self.0].concat()).ok()
    }

    /// The name that a session knows it by (RFC 7638 §3).
    #[must_use]
    pub fn device_key(&self) -> DeviceKey {
        let (x, y) = self.0.split_at(Self::LEN / 2);
        DeviceKey { kind: DeviceKeyKind::Dbsc, thumbprint: p256_thumbprint(x, y) }
    }
}

opaque!(BrowserProof<'_>);

/// A proof of our form that a browser sent: a challenge, signed by it. Whose key that is, is yet to be
/// seen.
pub struct BrowserProof<'a> {
    message: &'a str,
    jwk: Option<BrowserKey>,
    challenge: String,
    signature: Vec<u8>,
}

impl<'a> BrowserProof<'a> {
    /// Reads a proof (W3C Device Bound Session Credentials §9.3): a JWT in three parts of base64url without
    /// padding, of type `dbsc+jwt`, signed by ES256, without critical extensions.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_PROOF_LEN {
            return None;
        }
        let Parts { message, header, payload, signature } = parts(text)?;
        let (header, payload) = (decode_object(header).ok()?, decode_object(payload).ok()?);
        let is = |name: &str, value: &str| header.get(name).is_some_and(|is| is == value);
        if !is("typ", "dbsc+jwt") || !is("alg", "ES256") || header.contains_key("crit") {
            return None;
        }
        let jwk = match header.get("jwk") {
            Some(jwk) => Some(BrowserKey::of(jwk.as_object()?)?),
            None => None,
        };
        let challenge = payload.get("jti")?.as_str()?.to_owned();
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { message, jwk, challenge, signature })
    }

    /// What was signed.
    #[must_use]
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// The key that it brings along, if that has signed it: as a registration does.
    #[must_use]
    pub fn registered_key(&self) -> Option<BrowserKey> {
        self.jwk.filter(|key| self.is_by(key))
    }

    /// Whether that key has signed it, and it brings none along: as every later proof does.
    #[must_use]
    pub fn is_signed_by(&self, key: &BrowserKey) -> bool {
        self.jwk.is_none() && self.is_by(key)
    }

    fn is_by(&self, key: &BrowserKey) -> bool {
        let key = key.parsed();
        key.is_some_and(|key| key.verify_sig(self.message.as_bytes(), &self.signature).is_ok())
    }
}

/// The number of the master key that one of these texts claims to be derived from.
#[must_use]
pub fn unverified_master_key_id(text: &str) -> Option<u8> {
    // Four characters hold the first three bytes.
    let head = URL_SAFE_NO_PAD.decode(text.get(..4)?).ok()?;
    let &[version, id, _] = head.first_chunk()?;
    (version == VERSION).then_some(id)
}

impl MasterKeys {
    /// A challenge for the device of a session, to be answered before `end`.
    #[must_use]
    pub fn device_challenge(&self, handle: &SessionHandle, end: Timestamp) -> String {
        self.derive(CHALLENGE, handle, &end.as_millis().to_be_bytes())
    }

    /// Whether `text` is a challenge of that session that may be answered at `now`.
    #[must_use]
    pub fn is_device_challenge(&self, text: &str, handle: &SessionHandle, now: Timestamp) -> bool {
        let ends = self.underived::<INSTANT_LEN>(CHALLENGE, text);
        ends.is_some_and(|(of, end)| of == *handle && now.as_millis() < u64::from_be_bytes(end))
    }

    /// The name by which a browser knows the session that it has bound. It carries the key.
    #[must_use]
    pub fn device_identifier(&self, handle: &SessionHandle, key: &BrowserKey) -> String {
        self.derive(IDENTIFIER, handle, &key.0)
    }

    /// The session and the key that such a name is for.
    #[must_use]
    pub fn of_device_identifier(&self, text: &str) -> Option<(SessionHandle, BrowserKey)> {
        let (handle, key) = self.underived(IDENTIFIER, text)?;
        Some((handle, BrowserKey(key)))
    }

    /// The cookie that says until `end` that a session's key was proved.
    #[must_use]
    pub fn device_cookie(&self, handle: &SessionHandle, key: &DeviceKey, end: Timestamp) -> String {
        let end = end.as_millis().to_be_bytes();
        self.derive(COOKIE, handle, &[&key.thumbprint[..], &end].concat())
    }

    /// The key that such a cookie of that session proves at `now`.
    #[must_use]
    pub fn proved_by_cookie(
        &self,
        text: &str,
        handle: &SessionHandle,
        now: Timestamp,
    ) -> Option<DeviceKey> {
        let (of, proved) = self.underived::<PROVED_LEN>(COOKIE, text)?;
        let (thumbprint, end) = proved.split_first_chunk::<{ DeviceKey::LEN }>()?;
        let end = u64::from_be_bytes(*end.first_chunk()?);
        let counts = of == *handle && now.as_millis() < end;
        counts.then_some(DeviceKey { kind: DeviceKeyKind::Dbsc, thumbprint: *thumbprint })
    }

    fn derive(&self, label: &[u8], handle: &SessionHandle, content: &[u8]) -> String {
        let head = [&[VERSION, self.minting.id()], handle.as_bytes().as_slice(), content].concat();
        let key = self.minting.session_key(handle);
        let mac = hmac::sign(&key, &[label, &head].concat());
        URL_SAFE_NO_PAD.encode([&head, mac.as_ref()].concat())
    }

    /// The session and the content of a text that was derived for that label under any master key.
    fn underived<const N: usize>(
        &self,
        label: &[u8],
        text: &str,
    ) -> Option<(SessionHandle, [u8; N])> {
        let len = HEAD_LEN + N + MAC_LEN;
        if text.len() != (len * 4).div_ceil(3) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, mac) = bytes.split_at_checked(HEAD_LEN + N)?;
        let (&[version, key_id], rest) = head.split_first_chunk::<2>()?;
        let (handle, content) = rest.split_first_chunk::<{ SessionHandle::LEN }>()?;
        let handle = SessionHandle::from_bytes(*handle);
        let master = self.all().find(|key| key.id() == key_id && version == VERSION)?;
        let message = [label, head].concat();
        hmac::verify(&master.session_key(&handle), &message, mac).ok()?;
        Some((handle, content.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::MasterKey;
    use super::*;

    /// Captured from Chromium 148 with software keys.
    const THUMBPRINT: &str = "RTvJxeHfiQw_zM3yIP89UJvZVZVetq8W2KoIXXro_gc";
    const REGISTRATION: (&str, &str) = (
        "Tnz7cExNPlQPONHq",
        "eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6InpoYXp3dngzd3d6UVVIZG94SndDc2I4NWtVV2lFWktaMV9Nd0hub05qZ1kiLCJ5IjoieWRkV1hPNXBVd3Y1RU43QjFSWUZPVG9uSHAtMjRvNkxvN1VTa0xKb3hYMCJ9LCJ0eXAiOiJkYnNjK2p3dCJ9.eyJqdGkiOiJUbno3Y0V4TlBsUVBPTkhxIn0.jU12rejfBp-xP28H2m25yuMeU6JIY4jsDKmh2qtAM5eaJemVO3JOfWJSz10AmwhIaWsKni8lXHQPH4Nn-glDQw",
    );
    const REFRESH: (&str, &str) = (
        "eoph8QnHBiZZTL5w",
        "eyJhbGciOiJFUzI1NiIsInR5cCI6ImRic2Mrand0In0.eyJqdGkiOiJlb3BoOFFuSEJpWlpUTDV3In0.kL2e9j8mpiikxDfs7Xa7UNxMtN-3WUZAAGDtNBjVlf-06S4NMEUTFmdSK_rGhanW86rBZbjebrJYjfR9EmCFDw",
    );

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn keys() -> MasterKeys {
        MasterKeys::new(MasterKey::new(1, "app", &[1; 32]), Vec::new())
    }

    fn handle(byte: u8) -> SessionHandle {
        SessionHandle::from_bytes([byte; SessionHandle::LEN])
    }

    fn key() -> BrowserKey {
        BrowserProof::parse(REGISTRATION.1).unwrap().registered_key().unwrap()
    }

    #[test]
    fn the_proofs_of_a_browser_hold_with_its_key_and_challenge() {
        let proof = BrowserProof::parse(REGISTRATION.1).unwrap();
        assert_eq!(proof.challenge(), REGISTRATION.0);
        assert_eq!(key().device_key().jkt(), THUMBPRINT);
        let proof = BrowserProof::parse(REFRESH.1).unwrap();
        assert_eq!(proof.challenge(), REFRESH.0);
        assert!(proof.is_signed_by(&key()));
        assert!(proof.registered_key().is_none(), "it brings no key along");
        assert!(!BrowserProof::parse(REGISTRATION.1).unwrap().is_signed_by(&key()));
    }

    /// A proof with any header, signed as it should be.
    fn signed(header: &Value, payload: &Value) -> (String, EcdsaKeyPair) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let coordinate = |range| URL_SAFE_NO_PAD.encode(&point[range]);
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "x": coordinate(1..33), "y": coordinate(33..65),
        });
        let mut header = header.clone();
        if header["jwk"] == "own" {
            header["jwk"] = jwk;
        }
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(&header), part(payload));
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        (format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())), pair)
    }

    #[test]
    fn only_the_form_that_browsers_send_is_a_proof() {
        let is_registration = |header: Value, payload: Value| {
            let (text, _) = signed(&header, &payload);
            BrowserProof::parse(&text).is_some_and(|proof| proof.registered_key().is_some())
        };
        let good = json!({ "typ": "dbsc+jwt", "alg": "ES256", "jwk": "own" });
        let jti = json!({ "jti": "c" });
        assert!(is_registration(good.clone(), jti.clone()));
        assert!(is_registration(good.clone(), json!({ "jti": "c", "authorization": "x" })));
        let with = |name: &str, value: Value| {
            let mut header = good.clone();
            header[name] = value;
            header
        };
        for header in [
            with("typ", json!("jwt")),
            with("typ", json!("DBSC+JWT")),
            with("typ", json!(null)),
            with("alg", json!("none")),
            with("alg", json!("RS256")),
            with("alg", json!("es256")),
            with("crit", json!([])),
            with("jwk", json!(null)),
            with("jwk", json!("key")),
            with("jwk", json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" })),
            // Not on the curve.
            with(
                "jwk",
                json!({ "kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43) }),
            ),
            with("jwk", json!({ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) })),
        ] {
            assert!(!is_registration(header.clone(), jti.clone()), "{header}");
        }
        for payload in [json!({}), json!({ "jti": 1 }), json!({ "jti": null }), json!([])] {
            assert!(!is_registration(good.clone(), payload.clone()), "{payload}");
        }
    }

    #[test]
    fn a_proof_that_is_written_otherwise_is_none() {
        let (_, text) = REGISTRATION;
        let (head, signature) = text.rsplit_once('.').unwrap();
        let twice = r#"{"typ":"dbsc+jwt","alg":"none","alg":"ES256"}"#;
        let twice = format!("{}.{}", URL_SAFE_NO_PAD.encode(twice), &REFRESH.1[44..]);
        for wrong in [
            String::new(),
            head.to_owned(),
            format!("{text}."),
            format!(".{text}"),
            format!("{text}=="),
            format!(" {text}"),
            format!("{head}.{}", &signature[..84]),
            format!("{head}.{}", "A".repeat(signature.len())),
            format!("{head}.{}", REFRESH.1.rsplit_once('.').unwrap().1),
            format!("{}{text}", "A".repeat(MAX_PROOF_LEN)),
            twice,
        ] {
            let proof = BrowserProof::parse(&wrong);
            assert!(proof.is_none_or(|proof| proof.registered_key().is_none()), "{wrong}");
        }
    }

    #[test]
    fn each_text_counts_for_its_own_purpose_session_and_time() {
        let (keys, key, end) = (keys(), key(), NOW.plus(CHALLENGE_LIFE));
        let challenge = keys.device_challenge(&handle(1), end);
        let identifier = keys.device_identifier(&handle(1), &key);
        let cookie = keys.device_cookie(&handle(1), &key.device_key(), end);
        let before = end.minus(Duration::from_millis(1));
        assert!(keys.is_device_challenge(&challenge, &handle(1), before));
        assert!(!keys.is_device_challenge(&challenge, &handle(1), end));
        assert!(!keys.is_device_challenge(&challenge, &handle(2), NOW));
        assert_eq!(keys.of_device_identifier(&identifier), Some((handle(1), key)));
        let proved = |handle, at| keys.proved_by_cookie(&cookie, &handle, at);
        assert_eq!(proved(handle(1), before), Some(key.device_key()));
        assert_eq!(proved(handle(1), end), None);
        assert_eq!(proved(handle(2), NOW), None);
        for text in [&challenge, &identifier, &cookie] {
            assert_eq!(unverified_master_key_id(text), Some(1));
            let counts = [
                keys.is_device_challenge(text, &handle(1), NOW),
                keys.of_device_identifier(text).is_some(),
                keys.proved_by_cookie(text, &handle(1), NOW).is_some(),
            ];
            assert_eq!(counts.into_iter().filter(|counts| *counts).count(), 1);
        }
    }

    #[test]
    fn texts_outlive_a_change_of_master_key_and_not_its_end() {
        let key = |id: u8| MasterKey::new(id, "app", &[id; 32]);
        let identifier = keys().device_identifier(&handle(1), &self::key());
        let next = MasterKeys::new(key(2), vec![key(1)]);
        assert!(next.of_device_identifier(&identifier).is_some());
        let later = MasterKeys::new(key(2), Vec::new());
        assert!(later.of_device_identifier(&identifier).is_none());
        let other = MasterKeys::new(MasterKey::new(1, "other", &[1; 32]), Vec::new());
        assert!(other.of_device_identifier(&identifier).is_none());
    }

    proptest! {
        #[test]
        fn no_changed_character_counts(at in 0_usize..136, with in "[A-Za-z0-9_-]") {
            let (keys, end) = (keys(), NOW.plus(CHALLENGE_LIFE));
            let cookie = keys.device_cookie(&handle(1), &key().device_key(), end);
            prop_assert_eq!(cookie.len(), 136);
            let mut changed = cookie.clone();
            changed.replace_range(at..=at, &with);
            prop_assume!(changed != cookie);
            prop_assert!(keys.proved_by_cookie(&changed, &handle(1), NOW).is_none());
        }

        #[test]
        fn arbitrary_text_never_panics_and_never_counts(text in "\\PC{0,160}") {
            prop_assert!(BrowserProof::parse(&text).is_none());
            prop_assert!(keys().of_device_identifier(&text).is_none());
            prop_assert!(keys().proved_by_cookie(&text, &handle(1), NOW).is_none());
        }
    }
}
