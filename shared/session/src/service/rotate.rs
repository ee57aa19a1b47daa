//! Making, replacing and revoking keys: one read, the rule of [`crate::model::keys`], one write.

use std::sync::Arc;

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::Sessions;
use super::keys::SigningKeys;
use crate::error::SessionError;
use crate::model::keys::{
    Demand, MAX_MASTER_KEYS, REVOKED_ACCEPTANCE, RotationPolicy, URGENT_LEAD,
};
use crate::model::{KeyId, KeyLife, KeyState, Timestamp};
use crate::store::{
    KeyRotator, KeysFound, PrivateKeyReader, StoreError, StoredKeys, StoredMasterKey,
    StoredSigningKey,
};
use crate::token::key::SigningAlgorithm;
use crate::token::{MasterKey, PublishedKey, SigningKey};

/// How often somebody else's change may come in between. The second round usually finds that all has
/// been done.
const MAX_ROUNDS: usize = 4;

/// The three kinds of keys. Each has a line of its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// Signs access tokens, and rotates by time.
    Dynamic,
    /// Signs tokens that live long; rotates by command only.
    Static,
    /// Derives refresh tokens, and rotates by time.
    Master,
}

/// What is to happen with the keys. What is due by the clock happens along with every command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeyCommand {
    /// What is due by the clock, and nothing else.
    Advance,
    /// A successor for the keys of a kind, through the usual lead: nobody notices.
    Rotate(KeyKind),
    /// Another key signs in seconds, and the signing key of this id is not believed any longer than
    /// processes may sign with it that have not heard of it. Clients refresh once and go on.
    Revoke(KeyId),
    /// Another master key mints in seconds, and every session whose refresh token was minted under this
    /// one ends.
    RevokeMaster(u8),
}

/// The keys as they are after a command, without any key material.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyReport {
    /// Whether the command changed anything.
    pub changed: bool,
    /// How many changes there have been.
    pub version: u64,
    /// Every key, signing keys first.
    pub keys: Vec<KeySummary>,
}

/// One key of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeySummary {
    /// The `kid` of a signing key, the number of a master key.
    // Printable: not the key.
    pub id: String,
    /// Which line it stands in.
    pub kind: KeyKind,
    /// What a signing key signs with.
    pub algorithm: Option<SigningAlgorithm>,
    /// What it is now.
    pub state: KeyState,
    /// When it is what; milliseconds since the epoch.
    #[serde(flatten)]
    pub life: KeyLife,
}

impl<S: PrivateKeyReader> Sessions<S> {
    /// The keys as they are; `None` before the first were made. One read, and nothing is changed.
    ///
    /// # Errors
    ///
    /// Store faults as they are.
    pub async fn key_report(&self, now: Timestamp) -> Result<Option<KeyReport>, SessionError> {
        match self.store.private_keys(None).await? {
            KeysFound::Changed(keys) => Ok(Some(report(&keys, false, now))),
            KeysFound::None | KeysFound::Unchanged => Ok(None),
        }
    }
}

impl<S: PrivateKeyReader + KeyRotator> Sessions<S> {
    /// Does what is due and what is commanded. Repeating a command is harmless, and of any number of
    /// processes that run at once exactly one makes the change.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidInput`] if a key to revoke does not exist; nothing is done then. The same if
    /// there is no room for another master key, and [`SessionError::Internal`] if a key cannot be made;
    /// what was due for keys of other kinds is done then. Store faults as they are.
    pub async fn rotate_keys(
        &self,
        command: &KeyCommand,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<KeyReport, SessionError> {
        for _ in 0..MAX_ROUNDS {
            let found = match self.store.private_keys(None).await? {
                KeysFound::Changed(found) => found,
                KeysFound::None | KeysFound::Unchanged => StoredKeys::default(),
            };
            if let Some(report) = self.step(found, command, now, rng).await? {
                return Ok(report);
            }
        }
        Err(SessionError::Internal("the keys kept changing while they were rotated".into()))
    }

    /// Loads the keys, and makes the first ones if there are none.
    ///
    /// Any number of processes may do this at once: one set wins and all use it.
    ///
    /// # Errors
    ///
    /// Store faults as they are; [`SessionError::Internal`] if keys cannot be made or parsed.
    pub async fn ensure_keys(
        &self,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Arc<SigningKeys>, SessionError> {
        if let Some(keys) = self.keys.signing(&self.store, &[], now).await? {
            return Ok(keys);
        }
        self.step(StoredKeys::default(), &KeyCommand::Advance, now, rng).await?;
        let keys = self.keys.signing(&self.store, &[], now).await?;
        keys.ok_or_else(|| SessionError::Internal("keys vanished after they were made".into()))
    }

    /// Goes on from the keys that were found; `None` if they have changed since.
    async fn step(
        &self,
        found: StoredKeys,
        command: &KeyCommand,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Option<KeyReport>, SessionError> {
        check_id(&found, command)?;
        let lacks_seal = found.lacks_seal;
        let before = lives(&found);
        let mut keys = found;
        let followed = self.follow(&mut keys, command, now, rng);
        let changed = lacks_seal || lives(&keys) != before;
        if changed {
            keys.version += 1;
            if !self.store.replace_keys(&keys, &published(&keys)?).await? {
                return Ok(None);
            }
            tracing::info!(version = keys.version, ?command, "the keys changed");
        }
        // Only now, because what failed in one line must not undo what was needed in another.
        followed?;
        Ok(Some(report(&keys, changed, now)))
    }

    /// Forgets the keys that are over, applies the rule to each line, and makes the keys it asks for. A
    /// line whose key cannot be made stays as it is, and stops no other; the first failure is reported.
    fn follow(
        &self,
        keys: &mut StoredKeys,
        command: &KeyCommand,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(), SessionError> {
        keys.signing.retain(|key| key.life.is_accepted(now));
        keys.master.retain(|key| key.life.is_accepted(now));
        let dynamic = self.advance_signing(keys, KeyKind::Dynamic, command, now, rng);
        let fixed = self.advance_signing(keys, KeyKind::Static, command, now, rng);
        let master = self.advance_master(keys, command, now, rng);
        dynamic.and(fixed).and(master)
    }

    fn advance_signing(
        &self,
        keys: &mut StoredKeys,
        kind: KeyKind,
        command: &KeyCommand,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(), SessionError> {
        let is_dynamic = kind == KeyKind::Dynamic;
        let line = || keys.signing.iter().filter(|key| key.key_id.is_dynamic() == is_dynamic);
        let revoked = match command {
            KeyCommand::Revoke(id) => line().position(|key| key.key_id == *id),
            KeyCommand::Advance | KeyCommand::Rotate(_) | KeyCommand::RevokeMaster(_) => None,
        };
        let newest = line().find(|key| key.life.signs_until.is_none());
        let is_outdated = newest.is_some_and(|key| key.algorithm != self.config.keys.algorithm);
        let demand = match revoked {
            Some(position) => Demand::Revocation(position),
            None if is_outdated || *command == KeyCommand::Rotate(kind) => Demand::Successor,
            None => Demand::Nothing,
        };
        let policy = RotationPolicy {
            interval: is_dynamic.then_some(self.config.keys.signing_rotation),
            token_ttl: self.config.lifetimes.access_token,
            revoked_acceptance: REVOKED_ACCEPTANCE,
        };
        let mut lives: Vec<_> = line().map(|key| key.life).collect();
        let successor = policy.advance(&mut lives, demand, now);
        let made =
            successor.map(|life| self.make_signing_key(keys, kind, life, rng)).transpose()?;
        let line = keys.signing.iter_mut().filter(|key| key.key_id.is_dynamic() == is_dynamic);
        line.zip(lives).for_each(|(key, life)| key.life = life);
        keys.signing.extend(made);
        Ok(())
    }

    fn advance_master(
        &self,
        keys: &mut StoredKeys,
        command: &KeyCommand,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(), SessionError> {
        let is_full = keys.master.len() >= MAX_MASTER_KEYS;
        let demand = match command {
            KeyCommand::RevokeMaster(id) => {
                let position = keys.master.iter().position(|key| key.id == *id);
                position.map_or(Demand::Nothing, Demand::Revocation)
            }
            KeyCommand::Rotate(KeyKind::Master) if is_full => {
                return Err(SessionError::invalid_input(format!(
                    "{MAX_MASTER_KEYS} master keys are in use; wait until one of them has expired"
                )));
            }
            KeyCommand::Rotate(KeyKind::Master) => Demand::Successor,
            KeyCommand::Rotate(KeyKind::Dynamic | KeyKind::Static)
            | KeyCommand::Advance
            | KeyCommand::Revoke(_) => Demand::Nothing,
        };
        if is_full {
            tracing::warn!("the active master key mints on: {MAX_MASTER_KEYS} are in use");
        }
        let policy = RotationPolicy {
            interval: (!is_full).then_some(self.config.keys.master_rotation),
            token_ttl: self.config.lifetimes.refresh_token,
            // No longer than it mints: accepting it further would carry sessions over to the new key,
            // and with them whoever forged their tokens.
            revoked_acceptance: URGENT_LEAD,
        };
        let mut lives: Vec<_> = keys.master.iter().map(|key| key.life).collect();
        let successor = policy.advance(&mut lives, demand, now);
        let made = successor.map(|life| make_master_key(keys, life, rng)).transpose()?;
        keys.master.iter_mut().zip(lives).for_each(|(key, life)| key.life = life);
        keys.master.extend(made);
        Ok(())
    }

    fn make_signing_key(
        &self,
        keys: &StoredKeys,
        kind: KeyKind,
        life: KeyLife,
        rng: &mut impl CryptoRng,
    ) -> Result<StoredSigningKey, SessionError> {
        let id = if kind == KeyKind::Dynamic {
            // The creation time, or the next that is free.
            let is_free = |id: &KeyId| keys.signing.iter().all(|key| key.key_id != *id);
            let ids = life.published_at.as_millis()..;
            ids.map(|millis| KeyId::new(format!("d-{millis}"))).find(is_free)
        } else {
            let mut random = [0; 16];
            rng.fill_bytes(&mut random);
            Some(KeyId::new(format!("s-{:032x}", u128::from_be_bytes(random))))
        };
        let id = id.ok_or_else(|| SessionError::Internal("no key id is free".into()))?;
        let algorithm = self.config.keys.algorithm;
        Ok(StoredSigningKey::new(id, algorithm, life, &algorithm.generate_pkcs8()?))
    }
}

/// Whether a key that is to be revoked is there.
fn check_id(keys: &StoredKeys, command: &KeyCommand) -> Result<(), SessionError> {
    let is_known = match command {
        KeyCommand::Revoke(id) => keys.signing.iter().any(|key| key.key_id == *id),
        KeyCommand::RevokeMaster(id) => keys.master.iter().any(|key| key.id == *id),
        KeyCommand::Advance | KeyCommand::Rotate(_) => true,
    };
    if is_known { Ok(()) } else { Err(SessionError::invalid_input("no key has this id")) }
}

/// Ids go round: one is taken again when its last token has expired long ago.
fn make_master_key(
    keys: &StoredKeys,
    life: KeyLife,
    rng: &mut impl CryptoRng,
) -> Result<StoredMasterKey, SessionError> {
    let last = keys.master.last().map_or(0, |key| key.id);
    let is_free = |id: &u8| *id != 0 && keys.master.iter().all(|key| key.id != *id);
    let id = (1..=u8::MAX)
        .map(|step| last.wrapping_add(step))
        .find(is_free)
        .ok_or(SessionError::invalid_input("255 master keys are in use; wait for half a minute"))?;
    let mut secret = zeroize::Zeroizing::new([0; MasterKey::SECRET_LEN]);
    rng.fill_bytes(secret.as_mut_slice());
    Ok(StoredMasterKey::new(id, life, &secret))
}

fn lives(keys: &StoredKeys) -> Vec<KeyLife> {
    let signing = keys.signing.iter().map(|key| key.life);
    signing.chain(keys.master.iter().map(|key| key.life)).collect()
}

/// The public halves. They are derived at each change, so that they cannot differ from the private.
fn published(keys: &StoredKeys) -> Result<Vec<PublishedKey>, StoreError> {
    let public = |key: &StoredSigningKey| {
        let pkcs8 = key.pkcs8()?;
        let private = SigningKey::from_pkcs8(key.key_id.clone(), key.algorithm, &pkcs8).ok()?;
        Some(PublishedKey { jwk: private.public_jwk(), life: key.life })
    };
    let published = keys.signing.iter().map(public).collect::<Option<_>>();
    published.ok_or_else(|| StoreError::Inconsistent {
        item: "private".to_owned(),
        problem: "one of its keys cannot be parsed".to_owned(),
    })
}

fn report(keys: &StoredKeys, changed: bool, now: Timestamp) -> KeyReport {
    let signing = keys.signing.iter().map(|key| KeySummary {
        id: key.key_id.to_string(),
        kind: if key.key_id.is_dynamic() { KeyKind::Dynamic } else { KeyKind::Static },
        algorithm: Some(key.algorithm),
        state: key.life.state(now),
        life: key.life,
    });
    let master = keys.master.iter().map(|key| KeySummary {
        id: key.id.to_string(),
        kind: KeyKind::Master,
        algorithm: None,
        state: key.life.state(now),
        life: key.life,
    });
    KeyReport { changed, version: keys.version, keys: signing.chain(master).collect() }
}
