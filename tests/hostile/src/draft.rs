//! A token in the making, whose header and payload can be wrong in every way.

use std::sync::LazyLock;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::signature::Signer as _;
use session::token::{SigningKey, dpop};

use super::es256;
use testkit::clock::START;
use testkit::keys;

/// Who signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    /// The published dynamic RSA key.
    Rsa,
    /// The published dynamic key on P-256.
    Ec,
    /// The published static RSA key.
    StaticRsa,
    /// An RSA key that nobody published.
    ForeignRsa,
    /// A key on P-256 that nobody published.
    ForeignEc,
    /// The key on P-256 that is published and does not sign yet.
    Next,
    /// The key on P-256 that signs no more and is still published.
    Retiring,
    /// An RSA key that signed in the past and is not believed any more.
    Removed,
    /// A client's key on Ed25519, for proofs.
    Ed,
}

impl Key {
    /// The published keys that sign where dynamic ones are required.
    pub(super) const BOTH: [Self; 2] = [Self::Rsa, Self::Ec];

    pub(super) const fn algorithm(self) -> &'static str {
        match self {
            Self::Rsa | Self::StaticRsa | Self::ForeignRsa | Self::Removed => "RS256",
            Self::Ec | Self::ForeignEc | Self::Next | Self::Retiring => "ES256",
            Self::Ed => "EdDSA",
        }
    }

    /// The `kid`; foreign keys claim to be the published one of their algorithm.
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Rsa | Self::ForeignRsa => keys::DYNAMIC_ID,
            Self::Ec | Self::ForeignEc => "d-1700000000001",
            Self::Next => "d-1700003600000",
            Self::Retiring => "d-1699999000000",
            Self::Removed => "d-1600000000000",
            Self::StaticRsa => keys::STATIC_ID,
            Self::Ed => "",
        }
    }

    /// The key of the other algorithm that is published as well.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Rsa | Self::StaticRsa | Self::ForeignRsa | Self::Removed => Self::Ec,
            Self::Ec | Self::ForeignEc | Self::Next | Self::Retiring | Self::Ed => Self::Rsa,
        }
    }

    pub(super) fn sign(self, message: &str) -> Vec<u8> {
        // Parsing checks the key, which takes longer than signing.
        static DYNAMIC: LazyLock<SigningKey> = LazyLock::new(keys::dynamic);
        static STATIC: LazyLock<SigningKey> = LazyLock::new(keys::fixed);
        static FOREIGN: LazyLock<SigningKey> = LazyLock::new(|| keys::foreign(keys::DYNAMIC_ID));
        let rsa = match self {
            Self::Ec => return es256::sign(message, 1),
            Self::ForeignEc => return es256::sign(message, 2),
            Self::Next => return es256::sign(message, 3),
            Self::Retiring => return es256::sign(message, 4),
            Self::Ed => return ed25519().sign(message.as_bytes()).as_ref().to_vec(),
            Self::Rsa => &DYNAMIC,
            Self::StaticRsa => &STATIC,
            Self::ForeignRsa | Self::Removed => &FOREIGN,
        };
        rsa.try_sign(message.as_bytes()).unwrap()
    }
}

fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

/// The public half of a client's key, with its required members only.
pub(super) fn client_jwk(key: Key) -> String {
    if key == Key::Ed {
        let x = base64url(ed25519().public_key().as_ref());
        return format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
    }
    let point = es256::point();
    let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
    format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)
}

/// The members of a JSON object in their order: name and value, both as they are written.
#[derive(Clone, Debug)]
struct Members(Vec<(String, String)>);

impl Members {
    fn of(members: &[(&str, String)]) -> Self {
        Self(members.iter().map(|(name, json)| (quoted(name), json.clone())).collect())
    }

    fn set(&mut self, name: &str, json: &str) {
        let name = quoted(name);
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, value)) => json.clone_into(value),
            None => self.0.push((name, json.to_owned())),
        }
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| *known != quoted(name));
    }

    fn text(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(name, json)| format!("{name}:{json}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// The text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A token in the making. Values are JSON as text, so that they may be none.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    key: Key,
    header: Members,
    payload: Members,
}

impl Draft {
    /// What a stack would mint for `user-1` at [`START`], valid for an hour.
    pub(super) fn honest(key: Key) -> Self {
        let header = Members::of(&[
            ("alg", quoted(key.algorithm())),
            ("typ", quoted("JWT")),
            ("kid", quoted(key.id())),
            ("version", quoted("5")),
        ]);
        let payload = Members::of(&[
            ("sub", quoted("user-1")),
            ("rsub", quoted("user-1")),
            ("tId", quoted("public")),
            ("sessionHandle", quoted("00000000-0000-4000-8000-000000000000")),
            ("refreshTokenHash1", quoted(&"0".repeat(64))),
            ("parentRefreshTokenHash1", "null".to_owned()),
            ("antiCsrfToken", "null".to_owned()),
            ("iat", START.as_secs().to_string()),
            ("exp", (START.as_secs() + 3600).to_string()),
            ("iss", quoted("https://api.example.com/auth")),
        ]);
        Self { key, header, payload }
    }

    /// What a client of either key would send at [`START`] with `access_token`.
    pub(super) fn proof(key: Key, method: &str, url: &str, access_token: &str) -> Self {
        let header = Members::of(&[
            ("alg", quoted(key.algorithm())),
            ("typ", quoted("dpop+jwt")),
            ("jwk", client_jwk(key)),
        ]);
        let payload = Members::of(&[
            ("jti", quoted("00000000-0000-4000-8000-000000000000")),
            ("htm", quoted(method)),
            ("htu", quoted(url)),
            ("iat", START.as_secs().to_string()),
            ("ath", quoted(&dpop::hash_of(access_token))),
        ]);
        Self { key, header, payload }
    }

    /// Sets a member of the header.
    pub(super) fn header(mut self, name: &str, json: &str) -> Self {
        self.header.set(name, json);
        self
    }

    /// Adds a member to the header, though there may be one of that name; the name is JSON too.
    pub(super) fn also_header(mut self, name: &str, json: &str) -> Self {
        self.header.0.push((name.to_owned(), json.to_owned()));
        self
    }

    /// Removes a member of the header.
    pub(super) fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    /// Sets a claim.
    pub(super) fn claim(mut self, name: &str, json: &str) -> Self {
        self.payload.set(name, json);
        self
    }

    /// Adds a claim, though there may be one of that name; the name is JSON too.
    pub(super) fn also_claim(mut self, name: &str, json: &str) -> Self {
        self.payload.0.push((name.to_owned(), json.to_owned()));
        self
    }

    /// Removes a claim.
    pub(super) fn without_claim(mut self, name: &str) -> Self {
        self.payload.remove(name);
        self
    }

    /// Another signer than the header says.
    pub(super) fn signed_by(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// The header's JSON.
    pub(super) fn header_text(&self) -> String {
        self.header.text()
    }

    /// The payload's JSON.
    pub(super) fn payload_text(&self) -> String {
        self.payload.text()
    }

    /// Header and payload in base64url, joined: what is signed.
    pub(super) fn message(&self) -> String {
        message(self.header_text().as_bytes(), self.payload_text().as_bytes())
    }

    /// The token.
    pub(super) fn sign(&self) -> String {
        with_signature(&self.message(), &self.key.sign(&self.message()))
    }

    /// The token with other bytes in place of the header's JSON, rightly signed.
    pub(super) fn sign_header(&self, header: &[u8]) -> String {
        let message = message(header, self.payload_text().as_bytes());
        with_signature(&message, &self.key.sign(&message))
    }

    /// The token with other bytes in place of the payload's JSON, rightly signed.
    pub(super) fn sign_payload(&self, payload: &[u8]) -> String {
        let message = message(self.header_text().as_bytes(), payload);
        with_signature(&message, &self.key.sign(&message))
    }

    /// The token with other bytes in place of the signature.
    pub(super) fn with(&self, signature: &[u8]) -> String {
        with_signature(&self.message(), signature)
    }
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn message(header: &[u8], payload: &[u8]) -> String {
    format!("{}.{}", base64url(header), base64url(payload))
}

fn with_signature(message: &str, signature: &[u8]) -> String {
    format!("{message}.{}", base64url(signature))
}
