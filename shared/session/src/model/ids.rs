//! Names of things: sessions, users, tenants, keys, generations.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// Bytes of a [`UserPartition`]: 96 bits keep accidental collisions of users out of reach, and a
/// collision would only make two users share a partition, never a session.
const PARTITION_LEN: usize = 12;

/// Bytes of the random part of a handle: 128 bits (ASVS 7.2.3).
const RANDOM_LEN: usize = 16;

/// Keeps handles of repeatable sign-ins apart from every other use of the hash.
const IDEMPOTENCY_LABEL: &str = "sesam sign-in v1";

/// What all sessions of one user have in common: with the application before it, their partition in the
/// table.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UserPartition([u8; PARTITION_LEN]);

impl UserPartition {
    /// The first 12 bytes of SHA-256 over the user id.
    #[must_use]
    pub fn of(user_id: &UserId) -> Self {
        let hash = digest(&SHA256, user_id.as_str().as_bytes());
        let mut bytes = [0; PARTITION_LEN];
        for (to, from) in bytes.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }
}

impl fmt::Display for UserPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// Public, stable, non-secret name of one session; safe in logs.
///
/// Holds the user's partition, so that a handle alone finds its item without an index, within its
/// application. Its text is 38 characters of base64url.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionHandle([u8; Self::LEN]);

impl SessionHandle {
    /// Length in bytes.
    pub const LEN: usize = PARTITION_LEN + RANDOM_LEN;

    /// A handle that nobody can guess, in the partition of `user_id`.
    pub fn random(user_id: &UserId, rng: &mut (impl rand_core::CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; Self::LEN];
        let (partition, random) = bytes.split_at_mut(PARTITION_LEN);
        partition.copy_from_slice(&UserPartition::of(user_id).0);
        rng.fill_bytes(random);
        Self(bytes)
    }

    /// The handle of the session that a sign-in makes however often it is repeated: an idempotency key in
    /// place of chance.
    ///
    /// The random part is the first 16 bytes of SHA-256 over a label, user id and key, separated by zero
    /// bytes. Whoever knows them can compute the handle, which is no secret.
    /// There is no secret of ours in it, so that a change of master keys between two attempts does not
    /// make two sessions.
    #[must_use]
    pub fn of_sign_in(user_id: &UserId, idempotency_key: &str) -> Self {
        let input = [IDEMPOTENCY_LABEL, user_id.as_str(), idempotency_key].join("\0");
        let mut bytes = [0; Self::LEN];
        let (partition, rest) = bytes.split_at_mut(PARTITION_LEN);
        partition.copy_from_slice(&UserPartition::of(user_id).0);
        for (to, from) in rest.iter_mut().zip(digest(&SHA256, input.as_bytes()).as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// From the bytes carried in a refresh token.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes carried in a refresh token.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The partition of the session's user.
    #[must_use]
    pub fn partition(&self) -> UserPartition {
        let mut bytes = [0; PARTITION_LEN];
        for (to, from) in bytes.iter_mut().zip(self.0) {
            *to = from;
        }
        UserPartition(bytes)
    }
}

impl fmt::Display for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for SessionHandle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionHandle({self})")
    }
}

/// The text is not a session handle of ours.
#[derive(Debug, thiserror::Error)]
#[error("not a session handle")]
pub struct InvalidHandle;

impl FromStr for SessionHandle {
    type Err = InvalidHandle;

    fn from_str(text: &str) -> Result<Self, InvalidHandle> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidHandle)?;
        bytes.try_into().map(Self).map_err(|_| InvalidHandle)
    }
}

/// Position of a refresh token in its session: one more at every rotation, from 1 on, or from
/// [`Self::first_at`].
///
/// Rotation is ordered by this number and never by a clock. Four bytes outlast a rotation every
/// second for 136 years.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Generation(NonZeroU32);

impl Generation {
    /// The generation of a new session.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// The first generation of a session whose handle may have named an earlier session: the second of
    /// its creation. Tokens are derived from handle and generation, so none of the earlier session is one
    /// of the new one if that is at least a second younger and the earlier one did not rotate more than
    /// once a second, for which it would have to be strictly single use.
    #[must_use]
    pub fn first_at(now: Timestamp) -> Self {
        Self::new(u32::try_from(now.as_secs()).unwrap_or(u32::MAX)).unwrap_or(Self::FIRST)
    }

    /// `None` for 0, which no token carries.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number on the wire and in the table.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// The generation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Defines an identifier that is text with a length limit.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A user, as the application names it; not a secret, possibly personal: not for logs.
    UserId
}
text_id! {
    /// A tenant; `public` unless the application uses several.
    TenantId
}
text_id! {
    /// The `kid` of a signing key: `d-…` for dynamic keys, `s-…` for static ones.
    KeyId
}

impl TenantId {
    /// The tenant of applications that have only one.
    pub const PUBLIC: &'static str = "public";

    /// The default tenant.
    #[must_use]
    pub fn public() -> Self {
        Self(Self::PUBLIC.to_owned())
    }
}

impl KeyId {
    /// Whether this key is one of those that rotate (contract §5.1).
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.0.starts_with("d-")
    }
}

/// Whom a session signs in. Serialises to the names of the contract (§6.1).
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The user.
    pub user_id: UserId,
    /// The login method's own id of the user; equals `user_id` without account linking.
    pub recipe_user_id: UserId,
    /// The tenant.
    pub tenant_id: TenantId,
}

impl Subject {
    /// A user in the default tenant, without account linking.
    #[must_use]
    pub fn user(user_id: impl Into<String>) -> Self {
        let user_id = UserId::new(user_id);
        Self { recipe_user_id: user_id.clone(), user_id, tenant_id: TenantId::public() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_its_text_and_finds_its_partition() {
        let user = UserId::new("user-1");
        let handle = SessionHandle::random(&user, &mut rand::rng());
        assert_eq!(handle.to_string().parse::<SessionHandle>().unwrap(), handle);
        assert_eq!(handle.partition(), UserPartition::of(&user));
        assert_eq!(handle.to_string().len(), 38);
    }

    #[test]
    fn a_repeatable_sign_in_has_a_handle_for_each_user_and_key() {
        let of = |user, key| SessionHandle::of_sign_in(&UserId::new(user), key);
        let handle = of("user-1", "key");
        assert_eq!(handle, of("user-1", "key"));
        assert_eq!(handle.partition(), UserPartition::of(&UserId::new("user-1")));
        for (user, key) in [("user-2", "key"), ("user-1", "kex"), ("user-1k", "ey")] {
            assert_ne!(handle.0[PARTITION_LEN..], of(user, key).0[PARTITION_LEN..]);
        }
    }

    #[test]
    fn a_later_session_of_the_same_handle_begins_beyond_the_earlier_one() {
        let at = |secs| Generation::first_at(Timestamp::from_secs(secs));
        assert!(at(1_700_000_000).next() < at(1_700_000_002));
        assert_eq!((at(0), at(u64::from(u32::MAX) + 1).number()), (Generation::FIRST, u32::MAX));
    }
}
