//! Key material at rest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::model::{KeyId, KeyLife};
use crate::token::MasterKey;
use crate::token::key::SigningAlgorithm;

/// The private halves and master keys, as one document. Never printable.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct StoredKeys {
    /// Counts the changes, from 1. Kept beside the document, in both items alike.
    #[serde(skip)]
    pub version: u64,
    /// Whether the document was found in the clear although there is something to seal it with.
    #[serde(skip)]
    pub lacks_seal: bool,
    /// Private halves of the signing keys, dynamic and static ones; of each kind the oldest first.
    pub signing: Vec<StoredSigningKey>,
    /// Master keys of refresh tokens, the oldest first.
    pub master: Vec<StoredMasterKey>,
}

/// One private half.
#[derive(Clone, Deserialize, Serialize)]
pub struct StoredSigningKey {
    /// Its `kid`.
    pub key_id: KeyId,
    /// Its `alg`.
    pub algorithm: SigningAlgorithm,
    /// When it is what.
    pub life: KeyLife,
    /// PKCS#8 DER in base64.
    pkcs8: Zeroizing<String>,
}

impl StoredSigningKey {
    /// Wraps a private key in PKCS#8 DER.
    #[must_use]
    pub fn new(key_id: KeyId, algorithm: SigningAlgorithm, life: KeyLife, pkcs8: &[u8]) -> Self {
        let pkcs8 = Zeroizing::new(STANDARD.encode(pkcs8));
        Self { key_id, algorithm, life, pkcs8 }
    }

    /// The PKCS#8 DER; `None` if the text is not base64.
    #[must_use]
    pub fn pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        STANDARD.decode(self.pkcs8.as_bytes()).ok().map(Zeroizing::new)
    }
}

/// One master key.
#[derive(Clone, Deserialize, Serialize)]
pub struct StoredMasterKey {
    /// The number that tokens carry.
    pub id: u8,
    /// When it is what; to sign is to mint.
    pub life: KeyLife,
    /// 32 bytes in base64.
    secret: Zeroizing<String>,
}

impl StoredMasterKey {
    /// Wraps a secret.
    #[must_use]
    pub fn new(id: u8, life: KeyLife, secret: &[u8; MasterKey::SECRET_LEN]) -> Self {
        Self { id, life, secret: Zeroizing::new(STANDARD.encode(secret)) }
    }

    /// The key of that application; `None` if the text is not 32 bytes of base64.
    #[must_use]
    pub fn key(&self, app_id: &str) -> Option<MasterKey> {
        let secret = Zeroizing::new(STANDARD.decode(self.secret.as_bytes()).ok()?);
        let secret: &[u8; MasterKey::SECRET_LEN] = secret.as_slice().try_into().ok()?;
        Some(MasterKey::new(self.id, app_id, secret))
    }
}
