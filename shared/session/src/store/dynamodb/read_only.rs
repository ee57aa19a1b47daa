//! The tables for a function that must not be able to write.

use super::DynamoDb;
use crate::model::{Session, SessionHandle};
use crate::store::{PublicKeyReader, SessionReader, StoreError};
use crate::token::PublishedKey;

/// Reads public keys and sessions, and has no other capability: what is built on it contains no code
/// that writes, and none that reads private keys.
#[derive(Clone, Debug)]
pub struct ReadOnly(DynamoDb);

impl DynamoDb {
    /// Gives up every capability but those of [`ReadOnly`].
    #[must_use]
    pub const fn read_only(self) -> ReadOnly {
        ReadOnly(self)
    }
}

impl PublicKeyReader for ReadOnly {
    async fn public_keys(&self) -> Result<Option<Vec<PublishedKey>>, StoreError> {
        self.0.public_keys().await
    }
}

impl SessionReader for ReadOnly {
    async fn session(&self, handle: &SessionHandle) -> Result<Option<Session>, StoreError> {
        self.0.session(handle).await
    }
}
