//! DPoP proofs (RFC 9449): who sends a request holds the private half of the key in its proof.
//!
//! A proof is a JWT in the header `DPoP`, signed for one method and one address, and for one access token
//! where there is one. [`verify`] follows §4.3 and gives out the key's thumbprint, which is all that is
//! ever kept of a key. It remembers no `jti`: what a proof could be replayed for is the caller's affair.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::MasterKeys;
use super::access::{Parts, UniqueMembers, decode_object, parts, seconds};
use super::jwks::PRIVATE_MEMBERS;
use crate::model::{DeviceKey, DeviceKeyKind, Timestamp};

/// Longest proof that is looked at, in bytes; those of honest clients have some 500.
pub const MAX_LEN: usize = 4 * 1024;

/// Longest `jti` in bytes; clients use a UUID.
pub const MAX_JTI_LEN: usize = 256;

/// How far `iat` may be from the verifier's clock, to either side (RFC 9449 §11.1).
pub const WINDOW: Duration = Duration::from_mins(2);

/// How long a nonce is fresh: time for the client to ask again with it.
pub const NONCE_LIFE: Duration = Duration::from_mins(5);

/// The only layout of nonces so far: version, master key, whole seconds, MAC.
const NONCE_VERSION: u8 = 1;
const NONCE_LEN: usize = 1 + 1 + 8 + 32;
const NONCE_LABEL: &[u8] = b"dpop nonce";

/// The algorithms that a proof may name, as a challenge lists them (RFC 9449 §7.1).
pub const ALGORITHMS: &str = "ES256 EdDSA";

/// Why a proof is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProofError {
    /// Longer than [`MAX_LEN`].
    #[error("the DPoP proof is longer than {MAX_LEN} bytes")]
    TooLong,
    /// Not three parts of base64url, or not JSON objects with different names.
    #[error("the DPoP proof is not a JWT")]
    Malformed,
    /// `typ` is not exactly `dpop+jwt`.
    #[error("the type of the DPoP proof is not dpop+jwt")]
    WrongType,
    /// The header declares extensions critical, of which we know none (RFC 7515 §4.1.11), or says that the
    /// payload is not encoded (RFC 7797 §7).
    #[error("the DPoP proof has a critical header extension")]
    CriticalExtension,
    /// `alg` is neither ES256 nor `EdDSA`, which RFC 9864 also calls Ed25519.
    #[error("the DPoP proof is signed by another algorithm than {ALGORITHMS}")]
    WrongAlgorithm,
    /// `jwk` is missing, not a key of the algorithm, or not one that is there to verify with.
    #[error("the DPoP proof has no usable public key")]
    UnusableKey,
    /// `jwk` holds a private key. Whoever sends it has given it away.
    #[error("the DPoP proof gives away a private key")]
    PrivateKey,
    /// The signature does not hold under the key.
    #[error("the signature of the DPoP proof is wrong")]
    BadSignature,
    /// `jti`, `htm`, `htu` or `iat` is missing or malformed, or `exp` or `nbf` is no date.
    #[error("a claim of the DPoP proof is missing or malformed")]
    MalformedClaim,
    /// `htm` is not the request's method.
    #[error("the DPoP proof is for another method")]
    OtherMethod,
    /// `htu` is not the request's address.
    #[error("the DPoP proof is for another address")]
    OtherTarget,
    /// `iat` is further than [`WINDOW`] from the clock, or `exp` or `nbf` excludes this instant.
    #[error("the DPoP proof is too old or of the future")]
    WrongTime,
    /// `nonce` is missing or not fresh, where one is demanded (RFC 9449 §8).
    #[error("the DPoP proof has no fresh nonce")]
    NoFreshNonce,
    /// `ath` is missing or that of another access token.
    #[error("the DPoP proof is for another access token")]
    OtherAccessToken,
}

opaque!(Demand<'_>);

/// What a request demands of its proof.
#[derive(Clone, Copy)]
pub struct Demand<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The addresses that the request may have been sent to.
    pub targets: &'a [Target],
    /// The access token that comes with it, if it is shown one.
    pub access_token: Option<&'a str>,
    /// Under which keys its nonce must have been made; `None` if none is demanded. A nonce tells the
    /// time by our clock, so `iat` is not compared then (§4.3, item 11).
    pub nonce: Option<&'a MasterKeys>,
}

/// The address of a request without query and fragment, in the one spelling that it has after syntax- and
/// scheme-based normalisation (RFC 3986 §6.2.2, §6.2.3; RFC 9449 §4.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    // Printable: a public address, here and below.
    origin: String,
    path: String,
}

impl Target {
    /// `origin` is scheme, host and port; `path` is as a gateway reports it, which may have decoded it.
    /// `None` if the origin is none of http or https.
    #[must_use]
    pub fn new(origin: &str, path: &str) -> Option<Self> {
        let (scheme, authority) = origin.split_once("://")?;
        Some(Self { origin: normal_origin(scheme, authority)?, path: normal_path(path) })
    }

    /// Reads an `htu`; `None` if it is no absolute URI of http or https (RFC 3986 §4.3), or names a user.
    #[must_use]
    pub fn parse(htu: &str) -> Option<Self> {
        if !is_uri(htu) {
            return None;
        }
        let (scheme, rest) = htu.split_once("://")?;
        let rest = rest.split(['?', '#']).next()?;
        let path_at = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(path_at)?;
        Some(Self { origin: normal_origin(scheme, authority)?, path: normal_path(path) })
    }
}

/// Whether the text keeps to the characters of a URI (RFC 3986 §2), each `%` with its two digits.
fn is_uri(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    let mut escapes = text.split('%').skip(1);
    text.bytes().all(is_allowed)
        && escapes.all(|rest| rest.get(..2).is_some_and(|hex| hex.bytes().all(is_hex)))
}

const fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn normal_origin(scheme: &str, authority: &str) -> Option<String> {
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let host = authority.strip_suffix(default_port).or_else(|| authority.strip_suffix(':'));
    let host = host.unwrap_or(&authority);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]:".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_plain)).then(|| format!("{scheme}://{host}"))
}

/// The path in the one spelling that a [`Target`] has: percent-encodes what a path cannot hold, decodes what
/// needs no encoding, and follows dot segments.
#[must_use]
pub fn normal_path(path: &str) -> String {
    let encoded = normal_escapes(path);
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_with_dots = false;
    for segment in encoded.strip_prefix('/').unwrap_or(&encoded).split('/') {
        ends_with_dots = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    if ends_with_dots {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

fn normal_escapes(path: &str) -> String {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    // The other characters of a path (RFC 3986 §3.3).
    let is_literal = |byte: u8| is_unreserved(byte) || b"!$&'()*+,;=:@/".contains(&byte);
    let mut normal = String::with_capacity(path.len());
    let mut bytes = path.as_bytes();
    while let [byte, rest @ ..] = bytes {
        bytes = rest;
        let (byte, keeps_its_form) = match (byte, rest) {
            (b'%', [high, low, after @ ..]) if is_hex(*high) && is_hex(*low) => {
                bytes = after;
                let byte = hex_value(*high) << 4 | hex_value(*low);
                (byte, is_unreserved(byte))
            }
            _ => (*byte, is_literal(*byte)),
        };
        if keeps_its_form {
            normal.push(char::from(byte));
        } else {
            let _ = write!(normal, "%{byte:02X}");
        }
    }
    normal
}

const fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

/// The `ath` of an access token: base64url of its SHA-256 (RFC 9449 §4.2).
#[must_use]
pub fn hash_of(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, access_token.as_bytes()))
}

/// The key whose private half has signed the proof, if the proof is what the request demands; `now` is the
/// verifier's clock. Source: RFC 9449 §4.3, items 2 to 12; that there is one proof only, and that the key
/// is the one that token or session are bound to, is for the caller to see.
///
/// # Errors
///
/// The first [`ProofError`] that applies.
pub fn verify(text: &str, demand: &Demand<'_>, now: Timestamp) -> Result<DeviceKey, ProofError> {
    if text.len() > MAX_LEN {
        return Err(ProofError::TooLong);
    }
    let Parts { message, header, payload, signature } = parts(text).ok_or(ProofError::Malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| ProofError::Malformed)?;
    let (key, device_key) = signing_key(header)?;
    let payload = decode_object(payload).map_err(|_| ProofError::Malformed)?;
    key.verify_sig(message.as_bytes(), &signature).map_err(|_| ProofError::BadSignature)?;
    check_claims(&payload, demand, now)?;
    Ok(device_key)
}

/// The key that the header names, which is nobody's until the signature holds.
fn signing_key(part: &str) -> Result<(ParsedPublicKey, DeviceKey), ProofError> {
    let header = decode_object(part).map_err(|_| ProofError::Malformed)?;
    let member = |name: &str| header.get(name).and_then(Value::as_str);
    if member("typ") != Some("dpop+jwt") {
        return Err(ProofError::WrongType);
    }
    if header.contains_key("crit") || header.get("b64").is_some_and(|b64| b64 != true) {
        return Err(ProofError::CriticalExtension);
    }
    let algorithm = member("alg").unwrap_or_default();
    if !matches!(algorithm, "ES256" | "EdDSA" | "Ed25519") {
        return Err(ProofError::WrongAlgorithm);
    }
    let jwk = jwk_of(part).ok_or(ProofError::UnusableKey)?;
    if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
        return Err(ProofError::PrivateKey);
    }
    public_key(algorithm, &jwk).ok_or(ProofError::UnusableKey)
}

/// The header's `jwk`, if no name occurs in it twice.
fn jwk_of(part: &str) -> Option<Map<String, Value>> {
    #[derive(Deserialize)]
    struct Header {
        jwk: UniqueMembers,
    }
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&json).ok().map(|Header { jwk: UniqueMembers(members) }| members)
}

/// A key of the algorithm (RFC 7518 §6.2.1, RFC 8037 §2) that says nothing else of itself (RFC 7517 §4).
fn public_key(algorithm: &str, jwk: &Map<String, Value>) -> Option<(ParsedPublicKey, DeviceKey)> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let is_or_absent = |name: &str, value: &str| jwk.get(name).is_none_or(|is| is == value);
    let is_to_verify_with = jwk.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    });
    if !is_or_absent("alg", algorithm) || !is_or_absent("use", "sig") || !is_to_verify_with {
        return None;
    }
    let number = |name: &str| -> Option<[u8; 32]> {
        URL_SAFE_NO_PAD.decode(text(name)?).ok()?.try_into().ok()
    };
    let (x, type_and_curve) = (number("x")?, (text("kty")?, text("crv")?));
    match (algorithm, type_and_curve) {
        ("ES256", ("EC", "P-256")) => {
            let y = number("y")?;
            let point = [&[4_u8][..], &x, &y].concat();
            let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
            Some((key, named(p256_thumbprint(&x, &y))))
        }
        ("EdDSA" | "Ed25519", ("OKP", "Ed25519")) => {
            let key = ParsedPublicKey::new(&ED25519, x).ok()?;
            let x = URL_SAFE_NO_PAD.encode(x);
            let json = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
            Some((key, named(thumbprint(&json))))
        }
        _ => None,
    }
}

const fn named(thumbprint: [u8; DeviceKey::LEN]) -> DeviceKey {
    DeviceKey { kind: DeviceKeyKind::Dpop, thumbprint }
}

/// The thumbprint of the point of P-256 that has these coordinates, of 32 bytes each.
pub(super) fn p256_thumbprint(x: &[u8], y: &[u8]) -> [u8; DeviceKey::LEN] {
    // A number has one spelling only, so writing it again gives what was read.
    let [x, y] = [x, y].map(|number| URL_SAFE_NO_PAD.encode(number));
    thumbprint(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#))
}

/// The thumbprint of a JWK: its required members in the order of their names, without white space (RFC 7638
/// §3).
fn thumbprint(json: &str) -> [u8; DeviceKey::LEN] {
    let mut thumbprint = [0; DeviceKey::LEN];
    // SHA-256 has as many bytes.
    thumbprint.copy_from_slice(digest(&SHA256, json.as_bytes()).as_ref());
    thumbprint
}

fn check_claims(
    payload: &Map<String, Value>,
    demand: &Demand<'_>,
    now: Timestamp,
) -> Result<(), ProofError> {
    let text = |name: &str| payload.get(name).and_then(Value::as_str);
    let date = |name: &str| {
        let date = payload.get(name).map(|value| seconds(value).ok_or(ProofError::MalformedClaim));
        date.transpose()
    };
    let is_jti = |jti: &&str| !jti.is_empty() && jti.len() <= MAX_JTI_LEN;
    text("jti").filter(is_jti).ok_or(ProofError::MalformedClaim)?;
    let method = text("htm").ok_or(ProofError::MalformedClaim)?;
    let target = text("htu").and_then(Target::parse).ok_or(ProofError::MalformedClaim)?;
    let issued_at = date("iat")?.ok_or(ProofError::MalformedClaim)?;
    let (expires_at, not_before) = (date("exp")?, date("nbf")?);
    if method != demand.method {
        return Err(ProofError::OtherMethod);
    }
    if !demand.targets.contains(&target) {
        return Err(ProofError::OtherTarget);
    }
    let now = Timestamp::from_secs(now.as_secs());
    if expires_at.is_some_and(|end| end <= now) || not_before.is_some_and(|start| start > now) {
        return Err(ProofError::WrongTime);
    }
    match demand.nonce {
        Some(keys) => {
            let is_fresh = text("nonce").is_some_and(|nonce| keys.is_dpop_nonce(nonce, now));
            if !is_fresh {
                return Err(ProofError::NoFreshNonce);
            }
        }
        None if issued_at > now.plus(WINDOW) || issued_at < now.minus(WINDOW) => {
            return Err(ProofError::WrongTime);
        }
        None => {}
    }
    match demand.access_token {
        Some(token) if text("ath") != Some(hash_of(token).as_str()) => {
            Err(ProofError::OtherAccessToken)
        }
        Some(_) | None => Ok(()),
    }
}

impl MasterKeys {
    /// A nonce that is fresh from `now` for [`NONCE_LIFE`] (RFC 9449 §8). It is derived and not kept, so it
    /// may be used several times: it tells that a proof was made lately, and not that it is shown once.
    #[must_use]
    pub fn dpop_nonce(&self, now: Timestamp) -> String {
        let mut bytes = vec![NONCE_VERSION, self.minting.id()];
        bytes.extend_from_slice(&now.as_secs().to_be_bytes());
        let mac = hmac::sign(&self.minting.key_for(NONCE_LABEL), &bytes);
        bytes.extend_from_slice(mac.as_ref());
        URL_SAFE_NO_PAD.encode(&bytes)
    }

    /// Whether the text is a nonce of ours, under any master key, and fresh.
    #[must_use]
    pub fn is_dpop_nonce(&self, text: &str, now: Timestamp) -> bool {
        let issued_at = self.dpop_nonce_time(text);
        issued_at.is_some_and(|issued_at| {
            issued_at <= now.plus(WINDOW) && now < issued_at.plus(NONCE_LIFE)
        })
    }

    fn dpop_nonce_time(&self, text: &str) -> Option<Timestamp> {
        let bytes: [u8; NONCE_LEN] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (head, mac) = bytes.split_last_chunk::<32>()?;
        let (&[version, key_id], issued_at) = head.split_first_chunk::<2>()?;
        let key = self.all().find(|key| version == NONCE_VERSION && key.id() == key_id)?;
        hmac::verify(&key.key_for(NONCE_LABEL), head, mac).ok()?;
        Some(Timestamp::from_secs(u64::from_be_bytes(issued_at.try_into().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;
    use crate::token::MasterKey;

    /// RFC 9449 §4.1, figure 2.
    const AT_SIGN_IN: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    /// RFC 9449 §7.1, figure 12.
    const AT_A_RESOURCE: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    /// RFC 9449 §7.1, figure 12.
    const ACCESS_TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    /// RFC 9449 §6.1, figure 8.
    const JKT: &str = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    fn seen(
        text: &str,
        method: &str,
        url: &str,
        access_token: Option<&str>,
        now: u64,
    ) -> Result<String, ProofError> {
        let demand = Demand { method, targets: &[target(url)], access_token, nonce: None };
        verify(text, &demand, Timestamp::from_secs(now)).map(|key| key.jkt())
    }

    #[test]
    fn the_examples_of_the_rfc_hold_at_their_time_and_place() {
        let token = "https://server.example.com/token";
        assert_eq!(seen(AT_SIGN_IN, "POST", token, None, 1_562_262_616).unwrap(), JKT);
        let resource = "https://resource.example.org/protectedresource";
        let at = |method, url, access_token, now| {
            seen(AT_A_RESOURCE, method, url, Some(access_token), now)
        };
        let now = 1_562_262_618;
        assert_eq!(at("GET", resource, ACCESS_TOKEN, now).unwrap(), JKT);
        assert_eq!(at("POST", resource, ACCESS_TOKEN, now), Err(ProofError::OtherMethod));
        assert_eq!(at("GET", token, ACCESS_TOKEN, now), Err(ProofError::OtherTarget));
        assert_eq!(at("GET", resource, "other", now), Err(ProofError::OtherAccessToken));
        let shown = seen(AT_SIGN_IN, "POST", token, Some(ACCESS_TOKEN), 1_562_262_616);
        assert_eq!(shown, Err(ProofError::OtherAccessToken));
    }

    #[test]
    fn a_proof_holds_for_two_minutes_to_either_side() {
        let token = "https://server.example.com/token";
        let at = |now| seen(AT_SIGN_IN, "POST", token, None, now).is_ok();
        for (offset, expected) in [(-121, false), (-120, true), (120, true), (121, false)] {
            assert_eq!(at(1_562_262_616_u64.strict_add_signed(offset)), expected, "{offset}");
        }
    }

    fn signed(header: &Value, payload: &Value, key: &Ed25519KeyPair) -> String {
        let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(header), part(payload));
        let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// The private key of RFC 8037 appendix A.1.
    fn ed25519() -> Ed25519KeyPair {
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        Ed25519KeyPair::from_seed_unchecked(&seed).unwrap()
    }

    /// The thumbprint is that of RFC 8037 appendix A.3.
    #[test]
    fn a_key_on_ed25519_has_two_names_of_its_algorithm_and_the_thumbprint_of_the_rfc() {
        let key = ed25519();
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        let payload = json!({ "jti": "1", "htm": "GET", "htu": "https://a.example/", "iat": 1000 });
        for name in ["EdDSA", "Ed25519"] {
            let header = json!({ "typ": "dpop+jwt", "alg": name, "jwk": jwk });
            let text = signed(&header, &payload, &key);
            let found = seen(&text, "GET", "https://a.example", None, 1000);
            assert_eq!(found.unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        }
    }

    #[test]
    fn a_nonce_takes_the_place_of_the_clients_clock() {
        let key = ed25519();
        let master = MasterKeys::new(MasterKey::new(1, "app", &[1; 32]), Vec::new());
        let now = Timestamp::from_secs(1_700_000_000);
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        let header = json!({ "typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk });
        let with = |nonce: &str| {
            let payload = json!({
                "jti": "1", "htm": "GET", "htu": "https://a.example/", "iat": 1, "nonce": nonce
            });
            let demand = Demand {
                method: "GET",
                targets: &[target("https://a.example/")],
                access_token: None,
                nonce: Some(&master),
            };
            verify(&signed(&header, &payload, &key), &demand, now).map(|_| ())
        };
        let nonce = master.dpop_nonce(now);
        assert_eq!(with(&nonce), Ok(()));
        assert_eq!(with(&master.dpop_nonce(now.minus(NONCE_LIFE))), Err(ProofError::NoFreshNonce));
        assert_eq!(with(""), Err(ProofError::NoFreshNonce));
        assert_eq!(with(&nonce.replacen('A', "B", 1)), Err(ProofError::NoFreshNonce));
    }

    #[test]
    fn an_address_has_one_spelling() {
        let own = Target::new("https://api.example.com", "/a b/%7euser/ü").unwrap();
        for same in [
            "https://api.example.com/a%20b/~user/%C3%BC",
            "HTTPS://API.Example.COM:443/a%20b/~user/%c3%bc",
            "https://api.example.com:/x/../a%20b/./%7Euser/%C3%BC?query#fragment",
            "https://api.example.com/%2E%2e/a%20b/~user/%c3%bC#",
        ] {
            assert_eq!(target(same), own, "{same}");
        }
        for other in [
            "http://api.example.com/a%20b/~user/%C3%BC",
            "https://api.example.com:444/a%20b/~user/%C3%BC",
            "https://api.example.com/a%20b/~user/%C3%BC/",
            "https://api.example.com//a%20b/~user/%C3%BC",
            "https://api.example.com/A%20b/~user/%C3%BC",
            "https://api.example.com/a%2520b/~user/%C3%BC",
            "https://api.example.com.example/a%20b/~user/%C3%BC",
        ] {
            assert_ne!(target(other), own, "{other}");
        }
        assert_eq!(target("https://a.example"), target("https://a.example/"));
        assert_ne!(target("https://a.example/a%2Fb"), target("https://a.example/a/b"));
        for none in [
            "",
            "/",
            "/a",
            "a.example/a",
            "//a.example/a",
            "https:a.example",
            "https:///a",
            "https://user@a.example/",
            "https://a.example/a b",
            "https://a.example/%",
            "https://%61/",
            "https://a.example/%zz",
            "https://a.example/ü",
            "ftp://a.example/",
            "https://a.example\\a",
        ] {
            assert_eq!(Target::parse(none), None, "{none}");
        }
    }
}
