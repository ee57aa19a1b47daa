//! Which keys sign, and for how long.

use std::time::Duration;

use super::Lifetimes;
use super::reader::{Reader, boolean, seconds};
use crate::model::keys::{LEAD, MAX_MASTER_KEYS, believed_at_once};
use crate::token::PinnedKeys;
use crate::token::key::SigningAlgorithm;

/// Signing keys and master keys.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyConfig {
    /// `SIGNING_ALGORITHM`: `RS256` (default) or `ES256`; counts where keys are made. If it is changed,
    /// the next keys are of the new one.
    pub algorithm: SigningAlgorithm,
    /// `SIGNING_KEY_ROTATION_SECONDS`, 21,600–31,536,000, default 604,800 (168 h, contract §5.6): how
    /// long a dynamic key signs. Counts where keys are made.
    pub signing_rotation: Duration,
    /// `MASTER_KEY_ROTATION_SECONDS`, 86,400–31,536,000, default 7,776,000 (90 days): how long a master
    /// key mints refresh tokens. Counts where keys are made. Not so short that more than
    /// [`MAX_MASTER_KEYS`] would be in use at once.
    pub master_rotation: Duration,
    /// `USE_DYNAMIC_SIGNING_KEY`, default `true`: which kind of key signs and is accepted.
    pub use_dynamic: bool,
    /// `PINNED_JWKS`, default none: a JWK set to verify with instead of the published one, without any
    /// I/O. A rotation then takes a deployment; so does a revocation, of which nothing is heard here.
    pub pinned: Option<PinnedKeys>,
}

impl KeyConfig {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            algorithm: read.or("SIGNING_ALGORITHM", SigningAlgorithm::Rs256, |text| {
                SigningAlgorithm::from_name(text).ok_or_else(|| "use RS256 or ES256".to_owned())
            }),
            signing_rotation: read.or(
                "SIGNING_KEY_ROTATION_SECONDS",
                Duration::from_hours(168),
                seconds((21_600, 31_536_000)),
            ),
            master_rotation: read.or(
                "MASTER_KEY_ROTATION_SECONDS",
                Duration::from_hours(90 * 24),
                seconds((86_400, 31_536_000)),
            ),
            use_dynamic: read.or("USE_DYNAMIC_SIGNING_KEY", true, boolean),
            pinned: read.optional("PINNED_JWKS", PinnedKeys::parse),
        }
    }

    pub(super) fn check(&self, lifetimes: &Lifetimes, read: &mut Reader<'_>) {
        let needed = believed_at_once(self.master_rotation, lifetimes.refresh_token);
        if needed > MAX_MASTER_KEYS as u64 {
            let shortest =
                (lifetimes.refresh_token + LEAD * 2).as_secs() / (MAX_MASTER_KEYS as u64 - 1) + 1;
            read.problem(format!(
                "MASTER_KEY_ROTATION_SECONDS is {} and a session may rest for {} s, so {needed} master \
                 keys would be in use at once, and {MAX_MASTER_KEYS} can be: raise the former to \
                 {shortest} or more, or let sessions rest for less (REFRESH_TOKEN_TTL_SECONDS)",
                self.master_rotation.as_secs(),
                lifetimes.refresh_token.as_secs(),
            ));
        }
    }
}
