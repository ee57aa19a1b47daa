//! Keys in memory: loaded once, parsed once, read again by age or when a token names an unknown one.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Mutex;

use super::Sessions;
use crate::config::SessionConfig;
use crate::error::{SessionError, with_causes};
use crate::model::keys::{MAX_AGE, UNKNOWN_KEY_COOLDOWN, signer};
use crate::model::{KeyLife, Timestamp};
use crate::store::{KeysFound, PrivateKeyReader, PublicKeyReader, StoreError, StoredKeys};
use crate::token::key::KeyError;
use crate::token::{MasterKey, MasterKeys, PinnedKeys, SigningKey, VerifyingKeySet};

/// The signing side: signing keys of both kinds and master keys, each with its life.
#[derive(Debug)]
pub struct SigningKeys {
    version: u64,
    signing: Vec<(KeyLife, SigningKey)>,
    master: Vec<(KeyLife, MasterKey)>,
}

impl SigningKeys {
    /// The key that signs access tokens at `now`.
    ///
    /// # Errors
    ///
    /// [`SessionError::Internal`] if there is none of that kind, which no rotation leaves behind.
    pub fn signing(&self, use_dynamic: bool, now: Timestamp) -> Result<&SigningKey, SessionError> {
        let line = self.signing.iter().filter(|(_, key)| key.key_id().is_dynamic() == use_dynamic);
        let key = signer(line.map(|(life, key)| (life, key)), now);
        key.ok_or_else(|| SessionError::Internal("no key signs".into()))
    }

    /// What refresh tokens are derived from at `now`, and by what they are recognised.
    ///
    /// # Errors
    ///
    /// As [`Self::signing`].
    pub fn master(&self, now: Timestamp) -> Result<MasterKeys, SessionError> {
        let minting = signer(self.master.iter().map(|(life, key)| (life, key)), now);
        let minting = minting.ok_or_else(|| SessionError::Internal("no key mints".into()))?;
        let accepted = self
            .master
            .iter()
            .filter(|(life, key)| life.is_accepted(now) && key.id() != minting.id());
        Ok(MasterKeys::new(minting.clone(), accepted.map(|(_, key)| key.clone()).collect()))
    }

    fn has_master(&self, id: u8) -> bool {
        self.master.iter().any(|(_, key)| key.id() == id)
    }

    fn parse(stored: &StoredKeys, app_id: &str) -> Result<Self, StoreError> {
        let signing = stored.signing.iter().map(|key| {
            let parsed =
                SigningKey::from_pkcs8(key.key_id.clone(), key.algorithm, &key.pkcs8()?).ok();
            Some((key.life, parsed?))
        });
        let master = stored.master.iter().map(|key| Some((key.life, key.key(app_id)?)));
        let (signing, master) = (signing.collect::<Option<_>>(), master.collect::<Option<_>>());
        match (signing, master) {
            (Some(signing), Some(master)) => Ok(Self { version: stored.version, signing, master }),
            _ => Err(StoreError::Inconsistent {
                item: "private".to_owned(),
                problem: "one of its keys cannot be parsed".to_owned(),
            }),
        }
    }
}

/// The keys of one process.
#[derive(Debug)]
pub(super) struct KeyRing {
    // Printable: a setting.
    app_id: String,
    /// Given by the settings; then nothing is read for verifying.
    pinned: Option<Arc<VerifyingKeySet>>,
    verifying: Cached<VerifyingKeySet>,
    signing: Cached<SigningKeys>,
}

impl KeyRing {
    /// Loads nothing yet.
    pub(super) fn new(config: &SessionConfig) -> Self {
        Self {
            app_id: config.app_id.clone(),
            pinned: config.keys.pinned.as_ref().map(PinnedKeys::parsed),
            verifying: Cached::default(),
            signing: Cached::default(),
        }
    }

    /// The verifying keys; `kid` is the one that is needed, if one is.
    ///
    /// `None` before the first key was made; that answer is not remembered.
    pub(super) async fn verifying<S: PublicKeyReader>(
        &self,
        store: &S,
        kid: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Arc<VerifyingKeySet>>, SessionError> {
        if let Some(pinned) = &self.pinned {
            return Ok(Some(Arc::clone(pinned)));
        }
        let is_enough = |keys: &VerifyingKeySet| kid.is_none_or(|kid| keys.contains(kid));
        // Whoever is given all of them keeps them, and does not ask again before they lack one.
        let max_age = kid.map_or(UNKNOWN_KEY_COOLDOWN, |_| MAX_AGE);
        let read = async |_| match store.public_keys().await? {
            Some(published) => match VerifyingKeySet::new(published) {
                Ok(keys) => Ok(Some(Arc::new(keys))),
                Err(error) => Err(unusable(&error)),
            },
            None => Ok(None),
        };
        Ok(self.verifying.load(now, max_age, is_enough, read).await?)
    }

    /// The signing keys; `masters` are the master keys that are needed.
    ///
    /// `None` before the first were made.
    pub(super) async fn signing<S: PrivateKeyReader>(
        &self,
        store: &S,
        masters: &[u8],
        now: Timestamp,
    ) -> Result<Option<Arc<SigningKeys>>, SessionError> {
        let is_enough = |keys: &SigningKeys| masters.iter().all(|id| keys.has_master(*id));
        let read = async |loaded: Option<Arc<SigningKeys>>| {
            let known = loaded.as_ref().map(|keys| keys.version);
            match store.private_keys(known).await? {
                KeysFound::None => Ok(None),
                KeysFound::Unchanged => Ok(loaded),
                KeysFound::Changed(stored) => {
                    Ok(Some(Arc::new(SigningKeys::parse(&stored, &self.app_id)?)))
                }
            }
        };
        Ok(self.signing.load(now, MAX_AGE, is_enough, read).await?)
    }
}

fn unusable(error: &KeyError) -> StoreError {
    StoreError::Inconsistent { item: "public".to_owned(), problem: error.to_string() }
}

impl<S: PublicKeyReader> Sessions<S> {
    /// Loads the verifying keys ahead of the first request, while a function starts.
    ///
    /// A table that does not answer is no reason not to start: the first request tries again, and is
    /// answered as a fault if that fails too. Ending the process instead would start it over and over.
    pub async fn preload_verifying_keys(&self, now: Timestamp) {
        if let Err(error) = self.published_keys(now).await {
            tracing::warn!(
                error = with_causes(&error),
                "the verifying keys could not be loaded ahead of time"
            );
        }
    }
}

impl<S: PrivateKeyReader> Sessions<S> {
    /// Loads the signing and master keys ahead of the first request, as
    /// [`Self::preload_verifying_keys`] does.
    pub async fn preload_signing_keys(&self, now: Timestamp) {
        if let Err(error) = self.keys.signing(&self.store, &[], now).await {
            tracing::warn!(
                error = with_causes(&error),
                "the signing keys could not be loaded ahead of time"
            );
        }
    }

    /// The keys that tell whether a token of our form is authentic.
    ///
    /// A table without keys is a fault like a table that does not answer: it may be the wrong table, or
    /// an emptied one, and that must not end anything on the client. Master keys of these ids are read
    /// for if they are not loaded, at most once per cooldown; if that fails it is a fault too.
    pub(crate) async fn minting_keys(
        &self,
        ids: &[u8],
        now: Timestamp,
    ) -> Result<Arc<SigningKeys>, SessionError> {
        let keys = self.keys.signing(&self.store, ids, now).await?;
        keys.ok_or_else(|| {
            SessionError::Internal("there are no keys to check the token with".into())
        })
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
    /// When it was last attempted to load it, and what went wrong then.
    attempted_at: Option<Timestamp>,
    failure: Option<StoreError>,
    attempts: u64,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        let slot = Slot {
            value: None,
            loaded_at: Timestamp::from_millis(0),
            attempted_at: None,
            failure: None,
            attempts: 0,
        };
        Self { slot: RwLock::new(slot), reading: Mutex::new(()) }
    }
}

impl<T> Cached<T> {
    /// The value; read if there is none, if it is too old, or if it is not `is_enough` and the last
    /// attempt is long enough ago. A value that was loaded once and is enough outlives a store that
    /// cannot answer. That a value lacks something is certain only if it has just been read: otherwise
    /// it is the store's fault, and reported as one.
    async fn load(
        &self,
        now: Timestamp,
        max_age: Duration,
        is_enough: impl Fn(&T) -> bool,
        read: impl AsyncFnOnce(Option<Arc<T>>) -> Result<Option<Arc<T>>, StoreError>,
    ) -> Result<Option<Arc<T>>, StoreError> {
        let attempts = match self.look(now, max_age, &is_enough) {
            Look::Answer(answer) => return answer.map(Some),
            Look::Read { attempts } => attempts,
        };
        let _reading = self.reading.lock().await;
        // Whoever held the lock before may have read it, or learnt that it cannot be read.
        match self.look(now, max_age, &is_enough) {
            Look::Answer(answer) => return answer.map(Some),
            Look::Read { attempts: now_at } if now_at != attempts => return self.outcome(),
            Look::Read { .. } => {}
        }
        let loaded = self.peek().value.clone();
        // Rare: what it takes is not kept ready on the way of every token.
        let result = Box::pin(read(loaded)).await;
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        slot.attempted_at = Some(now);
        slot.attempts += 1;
        slot.failure = None;
        match result {
            Ok(value) => {
                slot.loaded_at = now;
                slot.value = value;
                Ok(slot.value.clone())
            }
            Err(error) => {
                slot.failure = Some(error.clone());
                match &slot.value {
                    Some(value) if is_enough(value) => {
                        let error = with_causes(&error);
                        tracing::warn!(
                            error,
                            "keys could not be read again; using the loaded ones"
                        );
                        Ok(Some(Arc::clone(value)))
                    }
                    Some(_) | None => Err(error),
                }
            }
        }
    }

    fn look(&self, now: Timestamp, max_age: Duration, is_enough: impl Fn(&T) -> bool) -> Look<T> {
        let slot = self.peek();
        let read = Look::Read { attempts: slot.attempts };
        let Some(value) = &slot.value else {
            return read;
        };
        let is_fresh = now < slot.loaded_at.plus(max_age);
        let is_cooling = slot.attempted_at.is_some_and(|at| now < at.plus(UNKNOWN_KEY_COOLDOWN));
        match (is_enough(value), &slot.failure) {
            (true, _) if is_fresh || is_cooling => Look::Answer(Ok(Arc::clone(value))),
            (false, None) if is_cooling => Look::Answer(Ok(Arc::clone(value))),
            (false, Some(failure)) if is_cooling => Look::Answer(Err(failure.clone())),
            _ => read,
        }
    }

    /// What the last attempt ended with, when there is nothing in memory to go on with.
    fn outcome(&self) -> Result<Option<Arc<T>>, StoreError> {
        let slot = self.peek();
        slot.failure.clone().map_or_else(|| Ok(slot.value.clone()), Err)
    }

    fn peek(&self) -> std::sync::RwLockReadGuard<'_, Slot<T>> {
        self.slot.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is in memory.
enum Look<T> {
    /// All that is needed, or the certainty that it cannot be had now.
    Answer(Result<Arc<T>, StoreError>),
    /// Too little, after that many attempts.
    Read { attempts: u64 },
}
