//! The published key set (RFC 7517) and the parsed keys behind it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{
    AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key::{KeyError, SigningAlgorithm, VerifyingKey};
use crate::model::{KeyLife, Timestamp, keys};

/// A public half and its life, as the table keeps it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct PublishedKey {
    /// The key.
    pub jwk: Jwk,
    /// When it is what.
    pub life: KeyLife,
}

/// A public key set, every key parsed once.
#[derive(Debug)]
pub struct VerifyingKeySet {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    jwk: Jwk,
    /// `None` for a key that is believed for ever.
    life: Option<KeyLife>,
    key: VerifyingKey,
}

impl VerifyingKeySet {
    /// Parses keys that are believed for as long as their life says.
    ///
    /// # Errors
    ///
    /// [`KeyError::UnusableJwk`] if one key cannot be used: the set is written by us alone, so that
    /// is a fault to see and not a key to skip.
    pub fn new(published: Vec<PublishedKey>) -> Result<Self, KeyError> {
        Self::parse(published.into_iter().map(|key| (key.jwk, Some(key.life))))
    }

    /// Parses keys that are believed for ever.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn of_any_age(document: JwkSet) -> Result<Self, KeyError> {
        Self::parse(document.keys.into_iter().map(|jwk| (jwk, None)))
    }

    /// Parses the JWK set of an identity provider, whose keys are believed for as long as it publishes them.
    ///
    /// A key that does not verify RS256 or ES256 is left out (RFC 7517 §5): one for something else, of an
    /// unknown kind, malformed, or private. Many providers do not say `alg`; a key has the one that fits it.
    ///
    /// # Errors
    ///
    /// What the text lacks, if it is no JWK set or no key is left.
    pub fn of_provider(json: &str) -> Result<Self, &'static str> {
        #[derive(Deserialize)]
        struct Published {
            keys: Vec<Value>,
        }

        let Ok(Published { keys }) = serde_json::from_str(json) else {
            return Err("it is no JWK set");
        };
        let entries: Vec<_> = keys.into_iter().filter_map(Entry::of_provider).collect();
        if entries.is_empty() {
            return Err("it has no key for RS256 or ES256");
        }
        Ok(Self { entries })
    }

    fn parse(keys: impl Iterator<Item = (Jwk, Option<KeyLife>)>) -> Result<Self, KeyError> {
        let entries = keys
            .map(|(jwk, life)| VerifyingKey::from_jwk(&jwk).map(|key| Entry { jwk, life, key }))
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// The key that `kid` names, if it is to be believed at `now`.
    ///
    /// One that does not sign yet is: the signer's clock may be ahead.
    #[must_use]
    pub fn find(&self, kid: &str, now: Timestamp) -> Option<&VerifyingKey> {
        let entry = self.entry(kid)?;
        entry.is_accepted(now).then_some(&entry.key)
    }

    /// The key that a provider's token means. Keys of several kinds may share a `kid` (RFC 7517 §4.5): then the one
    /// that fits. A token need not name the only key (`OpenID` Connect Core 1.0 §10.1).
    pub(super) fn meant(&self, kid: Option<&str>, by: SigningAlgorithm) -> Option<&VerifyingKey> {
        let Some(kid) = kid else {
            return if let [only] = self.entries.as_slice() { Some(&only.key) } else { None };
        };
        let named = self.entries.iter().filter(|entry| entry.is_named(kid)).map(|entry| &entry.key);
        named.clone().find(|key| key.signing_algorithm() == by).or_else(|| named.clone().next())
    }

    /// Whether `kid` is one of the set, believed or not.
    #[must_use]
    pub fn contains(&self, kid: &str) -> bool {
        self.entry(kid).is_some()
    }

    /// There are a few, among which a search is faster than a hash.
    fn entry(&self, kid: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_named(kid))
    }

    /// The document to publish at `now`.
    #[must_use]
    pub fn document(&self, now: Timestamp) -> JwkSet {
        let accepted = self.entries.iter().filter(|entry| entry.is_accepted(now));
        JwkSet { keys: accepted.map(|entry| entry.jwk.clone()).collect() }
    }

    /// How long that document may be cached.
    #[must_use]
    pub fn caching(&self, now: Timestamp) -> Duration {
        keys::caching(self.entries.iter().filter_map(|entry| entry.life.as_ref()), now)
    }
}

impl Entry {
    fn of_provider(jwk: Value) -> Option<Self> {
        if PRIVATE_MEMBERS.iter().any(|name| jwk.get(name).is_some()) {
            return None;
        }
        let mut jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let Jwk { common, algorithm } = &mut jwk;
        let is_to_sign =
            common.public_key_use.as_ref().is_none_or(|it| *it == PublicKeyUse::Signature);
        let may_verify =
            common.key_operations.as_ref().is_none_or(|it| it.contains(&KeyOperations::Verify));
        if !is_to_sign || !may_verify {
            return None;
        }
        let is_rsa = matches!(algorithm, AlgorithmParameters::RSA(_));
        let fitting = if is_rsa { KeyAlgorithm::RS256 } else { KeyAlgorithm::ES256 };
        common.key_algorithm.get_or_insert(fitting);
        let key = VerifyingKey::from_jwk(&jwk).ok()?;
        Some(Self { jwk, life: None, key })
    }

    fn is_named(&self, kid: &str) -> bool {
        self.jwk.common.key_id.as_deref() == Some(kid)
    }

    fn is_accepted(&self, now: Timestamp) -> bool {
        self.life.is_none_or(|life| life.is_accepted(now))
    }
}

/// Members that only private and secret keys have (RFC 7518 §6, RFC 8037 §2).
pub(super) const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key set that a deployment fixes: verifying with it needs no table at all.
#[derive(Clone, Debug)]
pub struct PinnedKeys(Arc<VerifyingKeySet>);

impl PinnedKeys {
    /// Parses a JWK set. Its keys are believed until another deployment replaces them.
    ///
    /// # Errors
    ///
    /// What is wrong with it and what to do, if it is no such set or one key has no id of its own, is
    /// private, or cannot be used.
    pub fn parse(json: &str) -> Result<Self, String> {
        let not_a_set = |_| "it must be a JWK set: {\"keys\":[…]}".to_owned();
        let document: Value = serde_json::from_str(json).map_err(not_a_set)?;
        let mut keys = document.get("keys").and_then(Value::as_array).into_iter().flatten();
        if keys.any(|key| PRIVATE_MEMBERS.iter().any(|name| key.get(name).is_some())) {
            return Err("it holds a private key: pin the public halves only".to_owned());
        }
        let set: JwkSet = serde_json::from_value(document).map_err(not_a_set)?;
        if set.keys.is_empty() {
            return Err("it holds no key: nothing could be verified".to_owned());
        }
        let ids = set.keys.iter().filter_map(|key| key.common.key_id.as_deref());
        let ids: HashSet<_> = ids.filter(|id| !id.is_empty()).collect();
        let are_named = ids.len() == set.keys.len();
        let keys = VerifyingKeySet::of_any_age(set).map_err(|error| error.to_string())?;
        if !are_named {
            return Err("every key needs a kid of its own: tokens name it".to_owned());
        }
        Ok(Self(Arc::new(keys)))
    }

    /// The parsed keys.
    #[must_use]
    pub fn parsed(&self) -> Arc<VerifyingKeySet> {
        Arc::clone(&self.0)
    }
}

impl PartialEq for PinnedKeys {
    fn eq(&self, other: &Self) -> bool {
        let keys =
            |pinned: &Self| pinned.0.entries.iter().map(|e| e.jwk.clone()).collect::<Vec<_>>();
        keys(self) == keys(other)
    }
}
