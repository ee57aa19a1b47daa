//! What is recorded, as capabilities: a use case names exactly what it may do, and the template
//! grants the same.
//!
//! Every method is one request and atomic; none reads, thinks and writes. "Not there" is `None`,
//! because it is a normal case; an error means that nothing is known.

pub mod dynamodb;
mod error;
mod keys;
mod seal;

use std::future::Future;
use std::time::Duration;

use serde_json::{Map, Value};

pub use self::dynamodb::{DynamoDb, ReadOnly, create_tables, document};
pub use self::error::StoreError;
pub use self::keys::{StoredKeys, StoredMasterKey, StoredSigningKey};
pub use self::seal::{Answer, DataKey, DataKeys, SealContext};
use crate::model::{
    Device, DeviceKey, Generation, KeyDemand, RefreshPolicy, Revocation, Session, SessionHandle,
    SessionSummary, SessionsOf, TenantId, Timestamp, UserId, provider::ProviderKey,
};
use crate::token::PublishedKey;

/// What became of a conditional write.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// It was applied; the session as it is now, but for [`SessionRefresher::rotate`].
    Applied(Session),
    /// Its condition did not hold; the session as it was found, `None` if there is none.
    Refused(Option<Session>),
}

/// A refresh in the usual case: spend the current generation.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// The session.
    pub handle: &'a SessionHandle,
    /// The generation that was presented.
    pub presented: Generation,
    /// The request's instant.
    pub now: Timestamp,
    /// The bounds of the refresh rule.
    pub policy: RefreshPolicy,
    /// The idle life that the settings allow. A session's own counts if it is shorter.
    pub idle_ttl: Duration,
    /// Whether the session's own is known to be longer, as it may be after a change of the settings.
    pub is_own_too_long: bool,
    /// Who refreshes.
    pub device: &'a Device,
    /// What is needed of the session's device key.
    pub demand: KeyDemand,
}

opaque!(PayloadMerge<'_>);

/// A change of single claims of a session's access token payload.
#[derive(Clone, Copy)]
pub struct PayloadMerge<'a> {
    /// The session.
    pub handle: &'a SessionHandle,
    /// The new value of each claim; null removes it. All others stay as they are.
    pub patch: &'a Map<String, Value>,
    /// How it is known that the result fits into tokens.
    pub room: PayloadRoom,
    /// The request's instant.
    pub now: Timestamp,
}

/// How a merge knows that its result fits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PayloadRoom {
    /// The recorded bound leaves room: applied if it is at most `limit` less `added`.
    Bounded {
        /// Bytes the patch adds at most.
        added: u64,
        /// Bytes there may be.
        limit: u64,
    },
    /// The result was measured: applied if no other merge came in between.
    Measured {
        /// Bytes of the result.
        bytes: u64,
        /// The count of merges that was seen.
        seen_version: u64,
    },
}

/// A part of a user's sessions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionPage {
    /// The sessions of this part that are alive, in no order that means anything.
    pub sessions: Vec<SessionSummary>,
    /// Where the next part begins; `None` if this was the last.
    pub next: Option<SessionHandle>,
}

/// A part of a user's sessions, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HandlePage {
    /// The sessions of this part.
    pub handles: Vec<SessionHandle>,
    /// Where the next part begins; `None` if this was the last.
    pub next: Option<SessionHandle>,
}

/// Reads a session.
pub trait SessionReader {
    /// The session, tombstones and expired ones included.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the table cannot answer or the item cannot be understood.
    fn session(
        &self,
        handle: &SessionHandle,
    ) -> impl Future<Output = Result<Option<Session>, StoreError>> + Send;
}

/// Reads the sessions of a user.
pub trait SessionLister {
    /// The sessions after `after` that are alive at `now`, up to a page; strongly consistent, so that none
    /// is missing whose creation was acknowledged before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the table cannot answer or an item cannot be understood.
    fn sessions_page(
        &self,
        which: SessionsOf<'_>,
        after: Option<&SessionHandle>,
        now: Timestamp,
    ) -> impl Future<Output = Result<SessionPage, StoreError>> + Send;
}

/// A part of what is found by reading a whole table.
#[derive(Clone, Debug)]
pub struct ScanPage {
    /// The sessions that were looked for, tombstones and expired ones included.
    pub handles: Vec<SessionHandle>,
    /// How many items were read for it.
    pub scanned: u64,
    /// Where the next part begins; `None` if this was the last.
    pub next: Option<dynamodb::Cursor>,
}

/// Finds sessions by what no key names. It reads every session of every application in the table, and
/// what that costs: for operators, never on the way of a request.
pub trait SessionScanner {
    /// The sessions of a tenant, or of the whole application, up to a page of the table; strongly consistent.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the table cannot answer.
    fn scan_sessions(
        &self,
        tenant_id: Option<&TenantId>,
        after: Option<dynamodb::Cursor>,
    ) -> impl Future<Output = Result<ScanPage, StoreError>> + Send;
}

/// Records a new session.
pub trait SessionCreator {
    /// Puts the session if its handle is free; otherwise gives the other session that has it. Repeating
    /// the call with the same session is harmless.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known.
    fn create_session(
        &self,
        session: &Session,
    ) -> impl Future<Output = Result<Option<Session>, StoreError>> + Send;

    /// Records that a provider's name leads to a user, for as long as `until` at least. Repeating the call
    /// is harmless.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known.
    fn link_provider(
        &self,
        key: ProviderKey,
        user_id: &UserId,
        until: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Records what an application changes in a session.
pub trait SessionUpdater {
    /// Replaces the session data, if the session is alive. Repeating the call is harmless.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known.
    fn replace_session_data(
        &self,
        handle: &SessionHandle,
        data: &Map<String, Value>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Changes single claims, each on its own, if the session is alive and the result fits: whatever
    /// others merge at the same time is kept. Repeating the call is harmless.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known.
    fn merge_access_token_payload(
        &self,
        merge: PayloadMerge<'_>,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;
}

/// Records what a refresh decided.
pub trait SessionRefresher {
    /// The usual case in one write: applied exactly when `decide` would say `Rotate`. It answers the session as it
    /// was before, which tells who refreshed last, and from which follows how it is now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known; repeating the refresh is then safe.
    fn rotate(
        &self,
        rotation: Rotation<'_>,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Records what was decided on a session that was seen: a refresh state, and who asked. Refused if
    /// another generation was minted since, for a new generation also if the current one was handed
    /// out since, and if the session was bound to a device since.
    ///
    /// # Errors
    ///
    /// As [`Self::rotate`].
    fn advance(
        &self,
        seen: &Session,
        next: &Session,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;

    /// Ends the session and keeps it as a tombstone, unless it was refreshed or bound since it was seen.
    ///
    /// # Errors
    ///
    /// As [`Self::rotate`].
    fn entomb(
        &self,
        seen: &Session,
        revocation: &Revocation,
        now: Timestamp,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;
}

/// Binds a session to the key of a device.
pub trait SessionBinder {
    /// Records the key, which the device has yet to prove, if the session is alive and has none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known.
    fn bind_session(
        &self,
        handle: &SessionHandle,
        key: DeviceKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send;
}

/// Removes a session.
pub trait SessionRevoker {
    /// Deletes the session; whether there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known; repeating the call is safe.
    fn delete_session(
        &self,
        handle: &SessionHandle,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Removes many sessions.
pub trait UserRevoker {
    /// The users that a provider's name leads to, those that were recorded before the call.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the table cannot answer.
    fn users_of_provider(
        &self,
        key: ProviderKey,
    ) -> impl Future<Output = Result<Vec<UserId>, StoreError>> + Send;

    /// Deletes these sessions, of whichever users.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if some may be left; repeating the call is safe.
    fn delete_sessions(
        &self,
        handles: &[SessionHandle],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The sessions after `after`, up to a page, tombstones and expired ones included; strongly consistent, so
    /// that none is missing whose creation was acknowledged before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the table cannot answer.
    fn handles_page(
        &self,
        which: SessionsOf<'_>,
        after: Option<&SessionHandle>,
    ) -> impl Future<Output = Result<HandlePage, StoreError>> + Send;
}

/// Reads the public key set and nothing else.
pub trait PublicKeyReader {
    /// The published keys with their lives; `None` before the first were made.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the table cannot answer or the item cannot be understood.
    fn public_keys(
        &self,
    ) -> impl Future<Output = Result<Option<Vec<PublishedKey>>, StoreError>> + Send;
}

/// What a reader of private keys found.
#[derive(Clone)]
pub enum KeysFound {
    /// There are no keys yet.
    None,
    /// The keys are those that the reader has.
    Unchanged,
    /// These are the keys.
    Changed(StoredKeys),
}

/// Reads the private halves and the master keys.
pub trait PrivateKeyReader {
    /// All private key material. If its version is `known` nothing is unsealed.
    ///
    /// # Errors
    ///
    /// As [`PublicKeyReader::public_keys`], and if it is sealed and cannot be unsealed.
    fn private_keys(
        &self,
        known: Option<u64>,
    ) -> impl Future<Output = Result<KeysFound, StoreError>> + Send;
}

/// Replaces the keys.
pub trait KeyRotator {
    /// Records both halves of the next version at once, if the version before it is still what the
    /// table holds; `false` if somebody else was first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known; repeating the call is safe.
    fn replace_keys(
        &self,
        keys: &StoredKeys,
        public: &[PublishedKey],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// What a sign-in asks of a store: it records the session, makes the first keys if there are none, and
/// ends sessions beyond a limit.
pub trait SignInStore:
    SessionCreator + SessionLister + SessionRevoker + PrivateKeyReader + KeyRotator
{
}

impl<S> SignInStore for S where
    S: SessionCreator + SessionLister + SessionRevoker + PrivateKeyReader + KeyRotator
{
}
