//! Tokens by which an identity provider says that sessions are over: logout tokens (`OpenID` Connect
//! Back-Channel Logout 1.0), and security event tokens (RFC 8417) with session-revoked of `OpenID` CAEP 1.0.
//!
//! Everything that can be judged without a key is judged first, by [`UnverifiedEventToken::parse`]. So no key
//! needs to be fetched for what nobody would send in earnest.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::JwtVerifier;
use serde_json::{Map, Value};

use super::access::{MAX_LEN, Parts, decode_object, parts, seconds};
use super::jwks::VerifyingKeySet;
use super::key::SigningAlgorithm;
use crate::model::{AtProvider, Timestamp};

/// Longest `kid` that is looked up, in bytes; providers' are thumbprints or shorter.
const MAX_KEY_ID_LEN: usize = 256;

/// How far a provider's clock may be from ours.
pub const CLOCK_SKEW: Duration = Duration::from_mins(1);

/// How old a logout token may be: one that somebody has kept must not end later sessions. Longer than the two
/// minutes that providers are told to let them live (Back-Channel Logout §4).
pub const LOGOUT_MAX_AGE: Duration = Duration::from_mins(5);

/// How old any other event may be: transmitters send again what was not taken (RFC 8935 §4).
pub const EVENT_MAX_AGE: Duration = Duration::from_hours(24);

/// The member of `events` that makes a token a logout token.
pub const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The member of `events` that says that sessions were revoked.
pub const REVOKED_EVENT: &str =
    "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

/// Whom to believe.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventIssuer {
    // Printable: settings.
    /// `iss`, as the provider writes it.
    pub issuer: String,
    /// What the provider calls us in `aud`: one of them is enough.
    pub audiences: Vec<String>,
}

/// The kinds of token that a provider sends, each to an endpoint of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EventTokenKind {
    /// A logout token.
    Logout,
    /// Any other security event token.
    SecurityEvent,
}

/// Why a token is not acted upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EventTokenError {
    /// Longer than an access token may be.
    #[error("the token is longer than {MAX_LEN} bytes")]
    TooLong,
    /// Not three parts of base64url, or not JSON objects whose names occur once, or `kid` is no text.
    #[error("the token is not a signed JWT")]
    Malformed,
    /// `typ` is that of another kind of token.
    #[error("typ is not that of such a token")]
    WrongType,
    /// The header declares extensions critical, of which we know none (RFC 7515 §4.1.11), or says that the
    /// payload is not encoded (RFC 7797 §7).
    #[error("the token has a critical header extension")]
    CriticalExtension,
    /// `alg` is neither RS256 nor ES256, or not the key's.
    #[error("alg must be RS256 or ES256, and the key's")]
    WrongAlgorithm,
    /// `iss` is not the provider's.
    #[error("iss is not the configured issuer")]
    OtherIssuer,
    /// `aud` does not name us.
    #[error("aud does not name this audience")]
    OtherAudience,
    /// A claim is missing or has another type.
    #[error("{0} is missing or malformed")]
    Claim(&'static str),
    /// `iat` is too long ago or in the future, or `exp` or `nbf` exclude this instant.
    #[error("the token is too old, or of the future")]
    WrongTime,
    /// There is a `nonce`, which makes it an ID token (Back-Channel Logout §2.6).
    #[error("a logout token has no nonce")]
    Nonce,
    /// Neither `sub` nor `sid`.
    #[error("neither sub nor sid is there")]
    NoSubject,
    /// The subject is written in a way from which no session can be told.
    #[error("the subject must be iss_sub of the issuer, opaque, or complex with user or session")]
    UnknownSubject,
    /// The provider has no key of that id, or several and the token names none.
    #[error("the key is not one of the issuer's")]
    UnknownKey,
    /// The signature does not hold.
    #[error("wrong signature")]
    BadSignature,
}

opaque!(UnverifiedEventToken<'_>);

/// A token that would be acted upon if its signature held.
#[derive(Clone)]
pub struct UnverifiedEventToken<'a> {
    key_id: Option<String>,
    algorithm: SigningAlgorithm,
    message: &'a str,
    signature: &'a str,
    /// `None` for an event that ends nothing.
    ended: Option<AtProvider>,
}

impl<'a> UnverifiedEventToken<'a> {
    /// Reads a token, and judges all of it but the signature (Back-Channel Logout §2.6, RFC 8417 §2.2).
    ///
    /// `now` is the verifier's clock.
    ///
    /// # Errors
    ///
    /// The first [`EventTokenError`] that applies.
    pub fn parse(
        text: &'a str,
        kind: EventTokenKind,
        from: &EventIssuer,
        now: Timestamp,
    ) -> Result<Self, EventTokenError> {
        if text.len() > MAX_LEN {
            return Err(EventTokenError::TooLong);
        }
        let Parts { message, header, payload, signature } =
            parts(text).ok_or(EventTokenError::Malformed)?;
        let header = decode_object(header).map_err(|_| EventTokenError::Malformed)?;
        let payload = decode_object(payload).map_err(|_| EventTokenError::Malformed)?;
        kind.check_type(&header)?;
        if header.contains_key("crit") || header.get("b64").is_some_and(|b64| b64 != true) {
            return Err(EventTokenError::CriticalExtension);
        }
        let algorithm = header.get("alg").and_then(Value::as_str);
        let algorithm = algorithm.and_then(SigningAlgorithm::from_name);
        let algorithm = algorithm.ok_or(EventTokenError::WrongAlgorithm)?;
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= MAX_KEY_ID_LEN => Some(id.clone()),
            Some(_) => return Err(EventTokenError::Malformed),
        };
        from.check(&payload)?;
        kind.check_times(&payload, now)?;
        text_of(&payload, "jti")?.ok_or(EventTokenError::Claim("jti"))?;
        let ended = match kind {
            EventTokenKind::Logout => Some(logged_out(&payload, from)?),
            EventTokenKind::SecurityEvent => revoked(&payload, from)?,
        };
        Ok(Self { key_id, algorithm, message, signature, ended })
    }

    /// Whose sessions are over, if the signature holds; `None` if it is an event of another kind, such as the
    /// one by which a transmitter asks whether its events arrive.
    ///
    /// # Errors
    ///
    /// [`EventTokenError`], of the key or the signature. What lacks in `keys` may have been published since.
    pub fn verify(&self, keys: &VerifyingKeySet) -> Result<Option<AtProvider>, EventTokenError> {
        let key = keys.meant(self.key_id.as_deref(), self.algorithm);
        let key = key.ok_or(EventTokenError::UnknownKey)?;
        if key.signing_algorithm() != self.algorithm {
            return Err(EventTokenError::WrongAlgorithm);
        }
        let signature = URL_SAFE_NO_PAD.decode(self.signature);
        let signature = signature.map_err(|_| EventTokenError::BadSignature)?;
        let key: &dyn JwtVerifier = key;
        let verified = key.verify(self.message.as_bytes(), &signature);
        verified.map(|()| self.ended).map_err(|_| EventTokenError::BadSignature)
    }
}

impl EventIssuer {
    fn check(&self, payload: &Map<String, Value>) -> Result<(), EventTokenError> {
        if payload.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(EventTokenError::OtherIssuer);
        }
        let is_us = |name: &Value| {
            name.as_str().is_some_and(|name| self.audiences.iter().any(|it| it == name))
        };
        let is_for_us = match payload.get("aud") {
            Some(Value::Array(names)) => {
                names.iter().all(Value::is_string) && names.iter().any(is_us)
            }
            Some(name) => is_us(name),
            None => false,
        };
        if is_for_us { Ok(()) } else { Err(EventTokenError::OtherAudience) }
    }
}

impl EventTokenKind {
    /// Many providers type logout tokens as plain JWTs, or not at all; other events say what they are, so that
    /// no token is taken for one (Back-Channel Logout §2.4, RFC 8417 §2.3).
    fn check_type(self, header: &Map<String, Value>) -> Result<(), EventTokenError> {
        let is_right = match header.get("typ") {
            None => self == Self::Logout,
            Some(Value::String(name)) => {
                // The prefix may be left out, and case does not count (RFC 7515 §4.1.9).
                let name = name.to_ascii_lowercase();
                let name = name.strip_prefix("application/").unwrap_or(&name);
                match self {
                    Self::Logout => matches!(name, "logout+jwt" | "jwt"),
                    Self::SecurityEvent => name == "secevent+jwt",
                }
            }
            Some(_) => false,
        };
        if is_right { Ok(()) } else { Err(EventTokenError::WrongType) }
    }

    /// `exp` is optional: providers that follow the first edition of Back-Channel Logout do not say it, and other
    /// events have none. `iat` bounds their lives all the same.
    fn check_times(
        self,
        payload: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<(), EventTokenError> {
        let date = |name| match payload.get(name) {
            None => Ok(None),
            Some(date) => seconds(date).map(Some).ok_or(EventTokenError::Claim(name)),
        };
        let issued_at = date("iat")?.ok_or(EventTokenError::Claim("iat"))?;
        let (expires_at, not_before) = (date("exp")?, date("nbf")?);
        let max_age = match self {
            Self::Logout => LOGOUT_MAX_AGE,
            Self::SecurityEvent => EVENT_MAX_AGE,
        };
        let (early, late) = (now.minus(CLOCK_SKEW), now.plus(CLOCK_SKEW));
        let is_valid = issued_at.plus(max_age) > now
            && issued_at <= late
            && not_before.is_none_or(|at| at <= late)
            && expires_at.is_none_or(|at| at > early);
        if is_valid { Ok(()) } else { Err(EventTokenError::WrongTime) }
    }
}

/// A claim that is a text and not empty; `None` if it is not there.
fn text_of<'p>(
    payload: &'p Map<String, Value>,
    name: &'static str,
) -> Result<Option<&'p str>, EventTokenError> {
    match payload.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(_) => Err(EventTokenError::Claim(name)),
    }
}

/// The event of that type; `None` if there is none.
fn event<'p>(
    payload: &'p Map<String, Value>,
    name: &str,
) -> Result<Option<&'p Map<String, Value>>, EventTokenError> {
    const EVENTS: EventTokenError = EventTokenError::Claim("events");
    let events = payload.get("events").and_then(Value::as_object).ok_or(EVENTS)?;
    events.get(name).map(|event| event.as_object().ok_or(EVENTS)).transpose()
}

fn logged_out(
    payload: &Map<String, Value>,
    from: &EventIssuer,
) -> Result<AtProvider, EventTokenError> {
    event(payload, LOGOUT_EVENT)?.ok_or(EventTokenError::Claim("events"))?;
    if payload.contains_key("nonce") {
        return Err(EventTokenError::Nonce);
    }
    let (subject, session) = (text_of(payload, "sub")?, text_of(payload, "sid")?);
    AtProvider::named(&from.issuer, subject, session).ok_or(EventTokenError::NoSubject)
}

fn revoked(
    payload: &Map<String, Value>,
    from: &EventIssuer,
) -> Result<Option<AtProvider>, EventTokenError> {
    let Some(event) = event(payload, REVOKED_EVENT)? else { return Ok(None) };
    // Transmitters of the drafts say it within the event.
    let subject = payload.get("sub_id").or_else(|| event.get("subject"));
    let revoked = subject.and_then(|subject| named_by(subject, &from.issuer));
    revoked.map(Some).ok_or(EventTokenError::UnknownSubject)
}

/// The sessions that a subject identifier (RFC 9493) stands for. A member of a complex one that could narrow
/// it, such as `device`, is none that we know anything of: ending more than was meant is on the safe side.
fn named_by(subject: &Value, issuer: &str) -> Option<AtProvider> {
    let user = |subject| match format_of(subject)? {
        "iss_sub" if member(subject, "iss")? == issuer => member(subject, "sub"),
        "opaque" => member(subject, "id"),
        _ => None,
    };
    let session = |subject| match format_of(subject)? {
        "opaque" => member(subject, "id"),
        _ => None,
    };
    match format_of(subject)? {
        "iss_sub" => AtProvider::named(issuer, Some(user(subject)?), None),
        "opaque" => AtProvider::named(issuer, None, Some(session(subject)?)),
        "complex" => {
            // A member that is there and cannot be read is no member that is left out.
            let user = subject.get("user").map(|it| user(it).ok_or(())).transpose().ok()?;
            let session =
                subject.get("session").map(|it| session(it).ok_or(())).transpose().ok()?;
            AtProvider::named(issuer, user, session)
        }
        _ => None,
    }
}

fn format_of(subject: &Value) -> Option<&str> {
    member(subject, "format")
}

fn member<'v>(subject: &'v Value, name: &str) -> Option<&'v str> {
    subject.get(name)?.as_str().filter(|text| !text.is_empty())
}
