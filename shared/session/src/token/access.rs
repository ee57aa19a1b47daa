//! Access tokens: JWTs with the session claims of contract §5, version 5.
//!
//! Reading one has two steps, and the types keep them apart: [`UnverifiedAccessToken::parse`] says
//! whether the text is one of ours at all (contract §5.3, §5.4), [`UnverifiedAccessToken::verify`]
//! whether it is true and still valid (contract §5.5). Only the second gives out claims.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::signature::Signer as _;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::jwks::VerifyingKeySet;
use super::key::{SigningAlgorithm, SigningKey};
use super::registered::drop_those_of_tokens;
use crate::model::{
    DeviceKey, DeviceKeyKind, KeyId, Session, SessionHandle, Subject, TenantId, Timestamp, UserId,
};

/// Longest access token that is looked at, in bytes; browsers and gateways carry less.
pub const MAX_LEN: usize = 8 * 1024;

/// Longest `kid` that is looked up, in bytes; ours are 38 at most.
const MAX_KEY_ID_LEN: usize = 128;

/// The payload version we mint (contract §5.1).
const VERSION: &str = "5";

opaque!(
    AccessClaims,
    AccessToken,
    AccessTokenInput<'_>,
    MintedAccessToken,
    UnverifiedAccessToken<'_>
);

/// What a verified access token says of its session.
#[derive(Clone, PartialEq)]
pub struct AccessClaims {
    /// `sub`, `rsub` and `tId`: whom the session signs in.
    pub subject: Subject,
    /// `sessionHandle`, as written; other issuers' handles have another form.
    pub session_handle: String,
    /// `refreshTokenHash1`: which refresh token was issued with it.
    pub refresh_token_hash: String,
    /// `antiCsrfToken`: what a cookie request must repeat in its header, if any.
    pub anti_csrf_token: Option<String>,
    /// `exp`, seconds.
    pub expires_at: Timestamp,
    /// `iat`, seconds.
    pub issued_at: Timestamp,
}

/// A verified access token.
#[derive(Clone)]
pub struct AccessToken {
    /// The session claims.
    pub claims: AccessClaims,
    /// The complete payload, custom claims included.
    pub payload: Map<String, Value>,
}

impl AccessToken {
    /// What a freshly signed token says, as if it had been verified.
    #[must_use]
    pub fn of_minted(minted: &MintedAccessToken) -> Option<Self> {
        let payload = minted.payload.clone();
        Some(Self { claims: session_claims(&payload, 5).ok()?, payload })
    }

    /// The application's claims: what the payload says besides those that each token has of its own.
    #[must_use]
    pub fn custom_claims(&self) -> Map<String, Value> {
        let mut claims = self.payload.clone();
        drop_those_of_tokens(&mut claims);
        claims
    }

    /// The thumbprint of the key that whoever sends the token must prove (RFC 9449 §6.1), if there is one.
    #[must_use]
    pub fn proof_key(&self) -> Option<&str> {
        self.payload.get("cnf")?.get("jkt")?.as_str()
    }

    /// Whether both are of one session, and this one was issued later.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        self.claims.session_handle == other.claims.session_handle
            && self.claims.issued_at > other.claims.issued_at
    }

    /// The session's handle, if the token is one that we issued.
    #[must_use]
    pub fn handle(&self) -> Option<SessionHandle> {
        self.claims.session_handle.parse().ok()
    }
}

/// A freshly signed access token and what it says.
#[derive(Clone)]
pub struct MintedAccessToken {
    /// The JWT; a bearer credential.
    pub token: String,
    /// The complete payload, for the front token.
    pub payload: Map<String, Value>,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// What goes into an access token.
#[derive(Clone)]
pub struct AccessTokenInput<'a> {
    /// Whom the session signs in.
    pub subject: &'a Subject,
    /// The session.
    pub handle: &'a SessionHandle,
    /// Custom claims; reserved names among them are ignored.
    pub custom: &'a Map<String, Value>,
    /// Hash of the refresh token issued with it.
    pub refresh_token_hash: &'a str,
    /// The anti-CSRF token issued with it.
    pub anti_csrf_token: Option<&'a str>,
    /// The key that the session is bound to. One that whoever sends the token must prove with each request is
    /// `cnf.jkt` (RFC 9449 §6.1); a browser's, which is proved before a refresh, is `cnf.kid` (RFC 7800 §3.4).
    pub device_key: Option<DeviceKey>,
}

#[derive(Serialize)]
struct MintedHeader<'a> {
    alg: &'static str,
    typ: &'static str,
    kid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
}

/// Longest `kid` that we give: `s-` and a UUID.
const MINTED_KEY_ID_LEN: usize = 38;

/// Bytes of the header of an access token at most.
pub(super) const fn header_len(algorithm: SigningAlgorithm) -> usize {
    r#"{"alg":"","typ":"JWT","kid":"","version":"5"}"#.len()
        + algorithm.name().len()
        + MINTED_KEY_ID_LEN
}

/// Signs a JWT with that payload; only session tokens have a version.
fn sign(
    key: &SigningKey,
    version: Option<&'static str>,
    payload: &Map<String, Value>,
) -> Result<String, SigningFailed> {
    let header = MintedHeader {
        alg: key.signing_algorithm().name(),
        typ: "JWT",
        kid: key.key_id().as_str(),
        version,
    };
    let (Ok(header), Ok(payload)) = (serde_json::to_vec(&header), serde_json::to_vec(payload))
    else {
        return Err(SigningFailed);
    };
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.try_sign(token.as_bytes()).map_err(|_| SigningFailed)?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Signs a JWT that is no session token (contract §5.9): any claims but those of
/// [`SESSION_CLAIMS`], which would make it one.
///
/// # Errors
///
/// [`SigningFailed`] as for access tokens.
pub fn sign_jwt(key: &SigningKey, payload: &Map<String, Value>) -> Result<String, SigningFailed> {
    sign(key, None, payload)
}

/// The reserved names that only session tokens have. Every version of them has a handle and a hash, so
/// a JWT without these is none, whatever else it says (contract §5.4).
pub const SESSION_CLAIMS: [&str; 4] =
    ["sessionHandle", "refreshTokenHash1", "parentRefreshTokenHash1", "antiCsrfToken"];

/// The signing key refused to sign.
#[derive(Debug, thiserror::Error)]
#[error("signing an access token failed")]
pub struct SigningFailed;

impl<'a> AccessTokenInput<'a> {
    /// What `session` says of itself, and what was issued with the token.
    #[must_use]
    pub fn of(
        session: &'a Session,
        refresh_token_hash: &'a str,
        anti_csrf_token: Option<&'a str>,
    ) -> Self {
        Self {
            subject: &session.subject,
            handle: &session.handle,
            custom: &session.access_token_payload,
            refresh_token_hash,
            anti_csrf_token,
            device_key: session.proved_device_key(),
        }
    }
}

impl AccessTokenInput<'_> {
    /// Signs a token that is valid from `now` for `ttl`, both floored to whole seconds.
    ///
    /// # Errors
    ///
    /// [`SigningFailed`] if the library refuses; a bug or a broken key.
    pub fn sign(
        &self,
        key: &SigningKey,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<MintedAccessToken, SigningFailed> {
        self.sign_until(key, now, now.plus(ttl))
    }

    /// Signs a token that is valid from `now` until `expires_at`, both floored to whole seconds.
    ///
    /// # Errors
    ///
    /// As [`Self::sign`].
    pub fn sign_until(
        &self,
        key: &SigningKey,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<MintedAccessToken, SigningFailed> {
        let expires_at = Timestamp::from_secs(expires_at.as_secs());
        let payload = self.payload(now, expires_at);
        let token = sign(key, Some(VERSION), &payload)?;
        Ok(MintedAccessToken { token, payload, expires_at })
    }

    /// The complete payload: custom claims, then those of the session.
    pub(super) fn payload(&self, now: Timestamp, expires_at: Timestamp) -> Map<String, Value> {
        let mut payload = self.custom.clone();
        drop_those_of_tokens(&mut payload);
        payload.extend([
            ("sub".to_owned(), self.subject.user_id.as_str().into()),
            ("rsub".to_owned(), self.subject.recipe_user_id.as_str().into()),
            ("tId".to_owned(), self.subject.tenant_id.as_str().into()),
            ("sessionHandle".to_owned(), self.handle.to_string().into()),
            ("refreshTokenHash1".to_owned(), self.refresh_token_hash.into()),
            // Refresh rotates at once, so there is never a parent to promote (contract §5.8).
            ("parentRefreshTokenHash1".to_owned(), Value::Null),
            ("antiCsrfToken".to_owned(), self.anti_csrf_token.into()),
            ("iat".to_owned(), now.as_secs().into()),
            ("exp".to_owned(), expires_at.as_secs().into()),
        ]);
        if let Some(key) = &self.device_key {
            payload.insert("cnf".to_owned(), confirmation(key));
        }
        payload
    }
}

fn confirmation(key: &DeviceKey) -> Value {
    match key.kind {
        DeviceKeyKind::Dpop => json!({ "jkt": key.jkt() }),
        DeviceKeyKind::Dbsc => json!({ "kid": key.to_string() }),
    }
}

/// Why a token of ours is not accepted. All of them mean: refresh, and nothing is cleared.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TokenError {
    /// No published key has this id.
    #[error("unknown signing key")]
    UnknownKey,
    /// The header names another algorithm than the key has.
    #[error("the algorithm is not the key's")]
    WrongAlgorithm,
    /// The header declares extensions critical, of which we know none, or holds a `crit` that is no
    /// such declaration (RFC 7515 §4.1.11), or a `b64` that says the payload is not encoded.
    #[error("critical header extension")]
    CriticalExtension,
    /// The signature does not hold.
    #[error("wrong signature")]
    BadSignature,
    /// `exp` is not in the future.
    #[error("expired at {0}")]
    Expired(Timestamp),
    /// `nbf` is in the future.
    #[error("not valid before {0}")]
    NotYetValid(Timestamp),
    /// A static key signed where dynamic ones are required, or the reverse.
    #[error("signed by a key of the other kind")]
    WrongKeyKind,
}

/// Why a text is none of our access tokens, which makes it as good as absent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotOurs {
    /// Longer than [`MAX_LEN`].
    #[error("longer than {MAX_LEN} bytes")]
    Length,
    /// Not three parts, or header or payload are not base64url as it is written in tokens.
    #[error("not three parts in base64url without padding")]
    Encoding,
    /// Header or payload are not one JSON object, or a name occurs twice.
    #[error("header or payload is not a JSON object whose names occur once")]
    Json,
    /// `typ`, `version`, `alg` or `kid`.
    #[error("the header is not that of a session's access token")]
    Header,
    /// One is missing or has another type, or `stt` says that it is no session token.
    #[error("the session claims are not there")]
    Claims,
    /// `exp`, `iat` or `nbf`.
    #[error("a time is not a number of seconds before the year 10000")]
    Dates,
}

/// A text that has the form of our access tokens; nothing in it is to be believed yet.
#[derive(Clone)]
pub struct UnverifiedAccessToken<'a> {
    key_id: KeyId,
    /// `None` for those that no key of ours has.
    algorithm: Option<SigningAlgorithm>,
    has_critical_extension: bool,
    message: &'a str,
    signature: &'a str,
    payload: Map<String, Value>,
    claims: AccessClaims,
    not_before: Option<Timestamp>,
}

impl<'a> UnverifiedAccessToken<'a> {
    /// Whether the text is one of our tokens: three parts, a known header, the session claims.
    ///
    /// `None` means "not ours": such a token is as good as absent. Source: contract §5.3, §5.4, with
    /// a limit of [`MAX_LEN`] bytes before anything is parsed.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::read(text).ok()
    }

    /// As [`Self::parse`], for whoever asks why a text is none of our tokens.
    ///
    /// # Errors
    ///
    /// The first [`NotOurs`] that applies.
    pub fn read(text: &'a str) -> Result<Self, NotOurs> {
        if text.len() > MAX_LEN {
            return Err(NotOurs::Length);
        }
        let Parts { message, header, payload, signature } = parts(text).ok_or(NotOurs::Encoding)?;
        let header = decode_text(header)?;
        let header = Header::read(&header)?;
        // Tokens without the member are version 3 (contract §5.3).
        let version: u32 = match header.version {
            None => 3,
            Some(version) => version.parse().map_err(|_| NotOurs::Header)?,
        };
        let (Some(key_id), Some(algorithm)) = (header.kid, header.alg) else {
            return Err(NotOurs::Header);
        };
        let is_jwt = header.typ.is_some_and(|typ| typ == "JWT");
        if version < 3 || !is_jwt || key_id.len() > MAX_KEY_ID_LEN {
            return Err(NotOurs::Header);
        }
        let payload = decode_object(payload)?;
        let claims = session_claims(&payload, version)?;
        let not_before = match payload.get("nbf") {
            None => None,
            Some(nbf) => Some(seconds(nbf).ok_or(NotOurs::Dates)?),
        };
        Ok(Self {
            key_id: KeyId::new(key_id),
            algorithm: SigningAlgorithm::from_name(&algorithm),
            // A JWT never has the payload that is not encoded (RFC 7797 §7), declared or not.
            has_critical_extension: header.others.contains_key("crit")
                || header.others.get("b64").is_some_and(|b64| b64 != true),
            message,
            signature,
            payload,
            claims,
            not_before,
        })
    }

    /// The `kid` it names: which key to fetch.
    #[must_use]
    pub fn unverified_key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// When it says that it expires.
    #[must_use]
    pub const fn unverified_expires_at(&self) -> Timestamp {
        self.claims.expires_at
    }

    /// Checks signature, time and kind of key, in this order (contract §5.5).
    ///
    /// `now` is the verifier's clock; there is no leeway, and a token is expired in the second of
    /// its `exp`. `dynamic_keys` is the kind of key that is configured.
    ///
    /// # Errors
    ///
    /// The first [`TokenError`] that applies.
    pub fn verify(
        self,
        keys: &VerifyingKeySet,
        now: Timestamp,
        dynamic_keys: bool,
    ) -> Result<AccessToken, TokenError> {
        if self.has_critical_extension {
            return Err(TokenError::CriticalExtension);
        }
        let key = keys.find(self.key_id.as_str(), now).ok_or(TokenError::UnknownKey)?;
        if self.algorithm != Some(key.signing_algorithm()) {
            return Err(TokenError::WrongAlgorithm);
        }
        let signature =
            URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| TokenError::BadSignature)?;
        let verifier: &dyn JwtVerifier = key;
        verifier
            .verify(self.message.as_bytes(), &signature)
            .map_err(|_| TokenError::BadSignature)?;
        if self.claims.expires_at.as_secs() <= now.as_secs() {
            return Err(TokenError::Expired(self.claims.expires_at));
        }
        match self.not_before {
            Some(not_before) if not_before.as_secs() > now.as_secs() => {
                return Err(TokenError::NotYetValid(not_before));
            }
            Some(_) | None => {}
        }
        if self.key_id.is_dynamic() != dynamic_keys {
            return Err(TokenError::WrongKeyKind);
        }
        Ok(AccessToken { claims: self.claims, payload: self.payload })
    }
}

/// The parts of a text of the form of a JWS (RFC 7515 §7.1), as they are written.
pub(super) struct Parts<'a> {
    /// Header and payload with the point between: what is signed.
    pub(super) message: &'a str,
    pub(super) header: &'a str,
    pub(super) payload: &'a str,
    pub(super) signature: &'a str,
}

/// Splits a text into three parts; `None` if there are more or fewer.
pub(super) fn parts(text: &str) -> Option<Parts<'_>> {
    let (message, signature) = text.rsplit_once('.')?;
    let (header, payload) = message.split_once('.')?;
    (!payload.contains('.')).then_some(Parts { message, header, payload, signature })
}

/// The header of a token of ours, borrowed from its JSON: it is needed for an instant, and every token has one.
#[derive(Default)]
struct Header<'a> {
    alg: Option<Cow<'a, str>>,
    typ: Option<Cow<'a, str>>,
    kid: Option<Cow<'a, str>>,
    version: Option<Cow<'a, str>>,
    others: Map<String, Value>,
}

impl<'a> Header<'a> {
    fn read(json: &'a str) -> Result<Self, NotOurs> {
        serde_json::from_str(json).map_err(|_| match serde_json::from_str(json) {
            Ok(UniqueMembers(_)) => NotOurs::Header,
            Err(_) => NotOurs::Json,
        })
    }
}

/// No name may occur twice, as in [`UniqueMembers`].
impl<'de: 'a, 'a> Deserialize<'de> for Header<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<'a>(PhantomData<Header<'a>>);

        impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
            type Value = Header<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut header = Header::default();
                while let Some(Text(name)) = access.next_key()? {
                    let known = match &*name {
                        "alg" => &mut header.alg,
                        "typ" => &mut header.typ,
                        "kid" => &mut header.kid,
                        "version" => &mut header.version,
                        _ => {
                            let before =
                                header.others.insert(name.into_owned(), access.next_value()?);
                            is_first(before.is_none())?;
                            continue;
                        }
                    };
                    let Text(value) = access.next_value()?;
                    is_first(known.replace(value).is_none())?;
                }
                Ok(header)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// A JSON text, borrowed if nothing in it is escaped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn is_first<E: de::Error>(is_first: bool) -> Result<(), E> {
    if is_first { Ok(()) } else { Err(E::custom("a name occurs twice")) }
}

/// The JSON object in a part of the token.
pub(super) fn decode_object(part: &str) -> Result<Map<String, Value>, NotOurs> {
    let UniqueMembers(members) =
        serde_json::from_str(&decode_text(part)?).map_err(|_| NotOurs::Json)?;
    Ok(members)
}

/// The text in a part of the token. Looked at once, and not again for each text in it.
fn decode_text(part: &str) -> Result<String, NotOurs> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| NotOurs::Encoding)?;
    String::from_utf8(bytes).map_err(|_| NotOurs::Json)
}

/// So many members an access token has that an application added a few to.
const USUAL_MEMBERS: usize = 16;

/// A JSON object with no name twice. A reader may refuse the others or take the last member (RFC 7515
/// §4, RFC 7519 §4); readers that choose differently see different tokens, so we refuse.
pub(super) struct UniqueMembers(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = UniqueMembers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                // Ours come in the order of a map, which is then made of them without a search.
                let mut read: Vec<(String, Value)> = Vec::with_capacity(USUAL_MEMBERS);
                while let Some(member) = access.next_entry()? {
                    read.push(member);
                }
                let count = read.len();
                let members = Map::from_iter(read);
                is_first(members.len() == count)?;
                Ok(UniqueMembers(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The session claims, if all that the version requires are there with the right type.
fn session_claims(payload: &Map<String, Value>, version: u32) -> Result<AccessClaims, NotOurs> {
    let mut said = Said::default();
    // Each name once, instead of a search for each of them.
    for (name, value) in payload {
        match name.as_str() {
            "sub" => said.user_id = value.as_str(),
            "rsub" => said.recipe_user_id = value.as_str(),
            "tId" => said.tenant_id = value.as_str(),
            "sessionHandle" => said.session_handle = value.as_str(),
            "refreshTokenHash1" => said.refresh_token_hash = value.as_str(),
            "antiCsrfToken" => said.anti_csrf_token = value.as_str(),
            "exp" => said.expires_at = seconds(value),
            "iat" => said.issued_at = seconds(value),
            // It marks tokens that are not session tokens (contract §5.2).
            "stt" if value.as_f64() != Some(0.0) => return Err(NotOurs::Claims),
            _ => {}
        }
    }
    let text = |said: Option<&str>| said.map(|text| text.trim().to_owned());
    let required = |said| text(said).ok_or(NotOurs::Claims);
    let user_id = UserId::new(required(said.user_id)?);
    let recipe_user_id = match version {
        3 | 4 => text(said.recipe_user_id).map_or_else(|| user_id.clone(), UserId::new),
        _ => UserId::new(required(said.recipe_user_id)?),
    };
    let tenant_id = match version {
        3 => text(said.tenant_id).map_or_else(TenantId::public, TenantId::new),
        _ => TenantId::new(required(said.tenant_id)?),
    };
    Ok(AccessClaims {
        subject: Subject { user_id, recipe_user_id, tenant_id },
        session_handle: required(said.session_handle)?,
        refresh_token_hash: required(said.refresh_token_hash)?,
        anti_csrf_token: text(said.anti_csrf_token),
        expires_at: said.expires_at.ok_or(NotOurs::Dates)?,
        issued_at: said.issued_at.ok_or(NotOurs::Dates)?,
    })
}

/// What a payload says of a session, as far as it has the right type.
#[derive(Default)]
struct Said<'a> {
    user_id: Option<&'a str>,
    recipe_user_id: Option<&'a str>,
    tenant_id: Option<&'a str>,
    session_handle: Option<&'a str>,
    refresh_token_hash: Option<&'a str>,
    anti_csrf_token: Option<&'a str>,
    expires_at: Option<Timestamp>,
    issued_at: Option<Timestamp>,
}

/// A `NumericDate` (RFC 7519 §2) in whole seconds, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked in the line before"
)]
pub(super) fn seconds(value: &Value) -> Option<Timestamp> {
    /// The last instant of year 9999: later dates are nonsense and would only test arithmetic.
    const MAX: f64 = 253_402_300_799.0;
    let number = value.as_f64().filter(|number| (0.0..=MAX).contains(number))?;
    Some(Timestamp::from_secs(number as u64))
}
