//! Keys in memory: loaded once, parsed once, reloaded by age or when a token names an unknown one.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use crate::error::SessionError;
use crate::model::Timestamp;
use crate::store::{PrivateKeyReader, PublicKeyReader, StoreError, StoredKeys, StoredMasterKey};
use crate::token::key::SigningAlgorithm;
use crate::token::{MasterKeys, SigningKey, VerifyingKeySet};

/// How old a loaded key set may become: well below the two hours that a key is published before it
/// signs.
const MAX_AGE: Duration = Duration::from_hours(1);

/// How often an unknown `kid` may cause a read, per process: tokens can name anything.
const UNKNOWN_KEY_COOLDOWN: Duration = Duration::from_secs(10);

/// The signing side: both kinds of signing key and the master keys.
#[derive(Debug)]
pub struct SigningKeys {
    dynamic: SigningKey,
    fixed: SigningKey,
    /// What refresh tokens are derived from.
    pub master: MasterKeys,
}

impl SigningKeys {
    /// The key that signs access tokens.
    #[must_use]
    pub const fn signing(&self, use_dynamic: bool) -> &SigningKey {
        if use_dynamic { &self.dynamic } else { &self.fixed }
    }

    fn parse(stored: &StoredKeys) -> Result<Self, SessionError> {
        let signing = |is_dynamic: bool| {
            let mut keys = stored.signing.iter();
            let key = keys.find(|key| key.key_id.is_dynamic() == is_dynamic)?;
            let algorithm = SigningAlgorithm::from_name(&key.algorithm)?;
            SigningKey::from_pkcs8(key.key_id.clone(), algorithm, &key.pkcs8()?).ok()
        };
        let mut masters = stored.master.iter().map(StoredMasterKey::key);
        let keys = (|| {
            let (dynamic, fixed) = (signing(true)?, signing(false)?);
            let minting = masters.next()??;
            let accepted = masters.collect::<Option<Vec<_>>>()?;
            Some(Self { dynamic, fixed, master: MasterKeys::new(minting, accepted) })
        })();
        keys.ok_or_else(|| {
            let problem = "signing or master keys are missing or cannot be parsed".to_owned();
            StoreError::Inconsistent { item: "private".to_owned(), problem }.into()
        })
    }
}

/// The keys of one process.
#[derive(Debug, Default)]
pub struct KeyRing {
    verifying: Cached<VerifyingKeySet>,
    signing: Cached<SigningKeys>,
}

impl KeyRing {
    /// The verifying keys; read again when too old, or when `unknown` to the loaded set and the last
    /// attempt is long enough ago. A set that was loaded once outlives a store that cannot answer.
    ///
    /// `None` before the first key was made; that answer is not remembered.
    pub(super) async fn verifying<S: PublicKeyReader>(
        &self,
        store: &S,
        kid: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Arc<VerifyingKeySet>>, SessionError> {
        let is_wanted = |keys: &VerifyingKeySet| kid.is_none_or(|kid| keys.find(kid).is_some());
        self.verifying
            .load(now, is_wanted, async || match store.public_keys().await? {
                Some(document) => Ok(Some(VerifyingKeySet::new(document)?)),
                None => Ok(None),
            })
            .await
    }

    /// The signing keys, read again when too old; `None` before the first were made.
    pub(super) async fn signing<S: PrivateKeyReader>(
        &self,
        store: &S,
        now: Timestamp,
    ) -> Result<Option<Arc<SigningKeys>>, SessionError> {
        self.signing
            .load(
                now,
                |_| true,
                async || match store.private_keys().await? {
                    Some(stored) => Ok(Some(SigningKeys::parse(&stored)?)),
                    None => Ok(None),
                },
            )
            .await
    }
}

/// One value that is read rarely and used always.
#[derive(Debug)]
struct Cached<T> {
    slot: RwLock<Slot<T>>,
    /// Held while reading, so that many waiting requests cause one read.
    reading: Mutex<()>,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<Arc<T>>,
    loaded_at: Timestamp,
    attempted_at: Option<Timestamp>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        let slot = Slot { value: None, loaded_at: Timestamp::from_millis(0), attempted_at: None };
        Self { slot: RwLock::new(slot), reading: Mutex::new(()) }
    }
}

impl<T> Cached<T> {
    async fn load(
        &self,
        now: Timestamp,
        is_wanted: impl Fn(&T) -> bool,
        read: impl AsyncFnOnce() -> Result<Option<T>, SessionError>,
    ) -> Result<Option<Arc<T>>, SessionError> {
        if let Some(value) = self.usable(now, &is_wanted) {
            return Ok(Some(value));
        }
        let _reading = self.reading.lock().await;
        // Whoever held the lock before may have read it.
        if let Some(value) = self.usable(now, &is_wanted) {
            return Ok(Some(value));
        }
        let result = read().await;
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        slot.attempted_at = Some(now);
        match result {
            Ok(Some(value)) => {
                slot.loaded_at = now;
                slot.value = Some(Arc::new(value));
            }
            Ok(None) => slot.value = None,
            Err(error) if slot.value.is_none() => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "keys could not be reloaded; using the loaded ones");
            }
        }
        Ok(slot.value.clone())
    }

    /// The loaded value, unless it should be read again now.
    fn usable(&self, now: Timestamp, is_wanted: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let value = slot.value.as_ref()?;
        let is_fresh = now < slot.loaded_at.plus(MAX_AGE);
        let is_cooling = slot.attempted_at.is_some_and(|at| now < at.plus(UNKNOWN_KEY_COOLDOWN));
        (is_cooling || is_fresh && is_wanted(value)).then(|| Arc::clone(value))
    }
}
