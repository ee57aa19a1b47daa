//! The identity provider that signed a user in, and its own names for them.
//!
//! A provider ends sessions by the names that it knows: its subject, its own session. What is kept of them
//! is a hash each, so that no table tells who is who at a provider.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};

/// Longest life of a session that names its provider, whatever else is set: what leads from the provider's
/// names to the session is kept as long, and no longer.
pub const LONGEST_LIFE: Duration = Duration::from_hours(400 * 24);

/// Keeps these hashes apart from every other use of the function.
const LABEL: &str = "sesam provider v1";

/// What an identity provider said of a user whom it signed in (`OpenID` Connect Core §2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProviderSession {
    /// `iss` of the ID token, as written.
    pub issuer: String,
    /// `sub` of the ID token.
    pub subject: String,
    /// `sid` of the ID token, where the provider says it.
    pub session_id: Option<String>,
}

impl ProviderSession {
    /// What is kept of it.
    #[must_use]
    pub fn keys(&self) -> ProviderKeys {
        let session = self.session_id.as_deref();
        ProviderKeys {
            subject: ProviderKey::of_subject(&self.issuer, &self.subject),
            session: session.map(|id| ProviderKey::of_session(&self.issuer, id)),
        }
    }
}

/// What is kept with a session of its provider's names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProviderKeys {
    /// Names the subject.
    pub subject: ProviderKey,
    /// Names the provider's session, if sign-in knew it.
    pub session: Option<ProviderKey>,
}

/// Names a subject or a session of an identity provider: the first 16 bytes of a SHA-256 over a label, the
/// kind, issuer and name, separated by zero bytes. Its text is 22 characters of base64url.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ProviderKey([u8; Self::LEN]);

impl ProviderKey {
    /// Length in bytes.
    const LEN: usize = 16;

    /// The key of a subject.
    #[must_use]
    pub fn of_subject(issuer: &str, subject: &str) -> Self {
        Self::of("sub", issuer, subject)
    }

    /// The key of a session.
    #[must_use]
    pub fn of_session(issuer: &str, session_id: &str) -> Self {
        Self::of("sid", issuer, session_id)
    }

    fn of(kind: &str, issuer: &str, name: &str) -> Self {
        let hash = digest(&SHA256, [LABEL, kind, issuer, name].join("\0").as_bytes());
        let mut bytes = [0; Self::LEN];
        for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }
}

impl fmt::Display for ProviderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The text is no key of a provider's subject or session.
#[derive(Debug, thiserror::Error)]
#[error("not a provider's key")]
pub struct InvalidProviderKey;

impl FromStr for ProviderKey {
    type Err = InvalidProviderKey;

    fn from_str(text: &str) -> Result<Self, InvalidProviderKey> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidProviderKey)?;
        bytes.try_into().map(Self).map_err(|_| InvalidProviderKey)
    }
}

impl Serialize for ProviderKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProviderKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The sessions that a provider means by what it names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AtProvider {
    /// All sessions of a subject.
    Subject(ProviderKey),
    /// Those of one of its own sessions.
    Session(ProviderKey),
    /// Those of one of its own sessions, of which the subject is known too, and those of the subject that do
    /// not know their provider's session: it may be that one.
    SessionOf {
        /// Names the subject.
        subject: ProviderKey,
        /// Names the session.
        session: ProviderKey,
    },
}

impl AtProvider {
    /// `sub` and `sid` of an issuer; `None` if it names neither.
    #[must_use]
    pub fn named(issuer: &str, subject: Option<&str>, session_id: Option<&str>) -> Option<Self> {
        let subject = subject.map(|subject| ProviderKey::of_subject(issuer, subject));
        let session = session_id.map(|id| ProviderKey::of_session(issuer, id));
        match (subject, session) {
            (Some(subject), None) => Some(Self::Subject(subject)),
            (None, Some(session)) => Some(Self::Session(session)),
            (Some(subject), Some(session)) => Some(Self::SessionOf { subject, session }),
            (None, None) => None,
        }
    }

    /// The key that leads to the users whose sessions may be meant.
    #[must_use]
    pub const fn key(&self) -> ProviderKey {
        match self {
            Self::Subject(key) | Self::Session(key) | Self::SessionOf { subject: key, .. } => *key,
        }
    }
}
