//! The published key set (RFC 7517) and the parsed keys behind it.

use std::collections::HashMap;

use jsonwebtoken::jwk::JwkSet;

use super::key::{KeyError, VerifyingKey};

/// The public key set, every key parsed once.
#[derive(Debug)]
pub struct VerifyingKeySet {
    document: JwkSet,
    keys: HashMap<String, VerifyingKey>,
}

impl VerifyingKeySet {
    /// Parses every key of the document.
    ///
    /// # Errors
    ///
    /// [`KeyError::UnusableJwk`] if one key cannot be used: the set is written by us alone, so that
    /// is a fault to see and not a key to skip.
    pub fn new(document: JwkSet) -> Result<Self, KeyError> {
        let mut keys = HashMap::with_capacity(document.keys.len());
        for jwk in &document.keys {
            let key_id = jwk.common.key_id.clone().unwrap_or_default();
            keys.insert(key_id, VerifyingKey::from_jwk(jwk)?);
        }
        Ok(Self { document, keys })
    }

    /// The key that `kid` names.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.get(kid)
    }

    /// The document to publish.
    #[must_use]
    pub const fn document(&self) -> &JwkSet {
        &self.document
    }
}
