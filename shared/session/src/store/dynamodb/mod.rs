//! The store on `DynamoDB`: table `Sessions` (`pk`, `sk`) and table `Keys` (`pk`).
//!
//! Every `pk` begins with the application's id, so that applications can share the tables, and IAM can
//! tell them apart by leading keys.
//!
//! Everything about a session is decided by conditions of one write on one item, so there is no
//! transaction and no index on the way of a refresh. A failed condition returns the item it found
//! (`ALL_OLD`), so the loser of a race classifies itself without a read.

pub mod document;
mod item;
mod keys;
mod payload;
mod read_only;
mod refresh;
mod scan;
mod tables;
mod user;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure as OnFailure,
};

pub use self::read_only::ReadOnly;
pub use self::scan::Cursor;
pub use self::tables::create_tables;
use super::{DataKeys, SessionCreator, SessionReader, SessionRevoker, StoreError, Written};
use crate::model::ids::UserPartition;
use crate::model::{ProviderKey, Session, SessionHandle, Timestamp, UserId};

/// The condition that a session is alive, is what this version writes, and has not ended at `:now`.
const IS_ALIVE: &str = "#format = :format AND attribute_not_exists(revoked_at) \
    AND expires_at > :now AND (attribute_not_exists(absolute_end) OR absolute_end > :now)";

/// What one application has in the two tables, through one client. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct DynamoDb {
    client: Arc<LazyLock<Client, Box<dyn FnOnce() -> Client + Send>>>,
    // Printable: a setting, and names of tables.
    app_id: String,
    sessions: String,
    keys: String,
    data_keys: Option<Arc<dyn DataKeys>>,
    /// The highest version of the keys that was seen; clones share it.
    seen: Arc<AtomicU64>,
}

impl DynamoDb {
    /// Uses the tables of these names, for the application of this id ([`SessionConfig::app_id`]).
    ///
    /// [`SessionConfig::app_id`]: crate::SessionConfig::app_id
    pub fn new(
        client: Client,
        app_id: impl Into<String>,
        sessions: impl Into<String>,
        keys: impl Into<String>,
    ) -> Self {
        Self::with_lazy_client(|| client, app_id, sessions, keys)
    }

    /// As [`Self::new`], with a client that is made by the first request. An authorizer with pinned keys
    /// never makes one.
    pub fn with_lazy_client(
        client: impl FnOnce() -> Client + Send + 'static,
        app_id: impl Into<String>,
        sessions: impl Into<String>,
        keys: impl Into<String>,
    ) -> Self {
        let (app_id, sessions, keys) = (app_id.into(), sessions.into(), keys.into());
        let seen = Arc::new(AtomicU64::new(0));
        let client: Box<dyn FnOnce() -> Client + Send> = Box::new(client);
        let client = Arc::new(LazyLock::new(client));
        Self { client, app_id, sessions, keys, data_keys: None, seen }
    }

    /// The same tables, with private keys that are sealed by these data keys.
    #[must_use]
    pub fn sealed_by(self, data_keys: Arc<dyn DataKeys>) -> Self {
        Self { data_keys: Some(data_keys), ..self }
    }

    fn update(&self, handle: &SessionHandle) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.sessions)
            .set_key(Some(self.key(handle)))
            .expression_attribute_names("#format", "format")
            .expression_attribute_values(":format", n(u64::from(item::FORMAT)))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(OnFailure::AllOld)
    }
}

impl SessionReader for DynamoDb {
    async fn session(&self, handle: &SessionHandle) -> Result<Option<Session>, StoreError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.sessions)
            .set_key(Some(self.key(handle)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error))?;
        output.item.map(|found| item::to_session(handle, found)).transpose()
    }
}

impl SessionCreator for DynamoDb {
    async fn create_session(&self, session: &Session) -> Result<Option<Session>, StoreError> {
        let pk = self.partition(session.handle.partition());
        let item = item::from_session(pk, session)?;
        let result = self
            .client
            .put_item()
            .table_name(&self.sessions)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(OnFailure::AllOld)
            .send()
            .await;
        let Err(error) = result else { return Ok(None) };
        let Some(PutItemError::ConditionalCheckFailedException(conflict)) =
            error.as_service_error()
        else {
            return Err(StoreError::from_sdk("PutItem", error));
        };
        let found = conflict.item.clone().unwrap_or_default();
        let found = item::to_session(&session.handle, found)?;
        // An SDK retry of a put that was applied finds its own item: that is success.
        Ok(Some(found).filter(|found| found != session))
    }

    async fn link_provider(
        &self,
        key: ProviderKey,
        user_id: &UserId,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.client
            .put_item()
            .table_name(&self.sessions)
            .item("pk", AttributeValue::S(self.provider_partition(key)))
            .item("sk", AttributeValue::S(UserPartition::of(user_id).to_string()))
            .item("user_id", AttributeValue::S(user_id.to_string()))
            .item("ttl", n(item::ttl(until)))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("PutItem", error))?;
        Ok(())
    }
}

impl SessionRevoker for DynamoDb {
    async fn delete_session(&self, handle: &SessionHandle) -> Result<bool, StoreError> {
        let output = self
            .client
            .delete_item()
            .table_name(&self.sessions)
            .set_key(Some(self.key(handle)))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("DeleteItem", error))?;
        Ok(output.attributes.is_some())
    }
}

/// Sorts the answer of a conditional update.
fn written<R>(
    handle: &SessionHandle,
    result: Result<UpdateItemOutput, SdkError<UpdateItemError, R>>,
) -> Result<Written, StoreError>
where
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let error = match result {
        Ok(output) => {
            let session = item::to_session(handle, output.attributes.unwrap_or_default())?;
            return Ok(Written::Applied(session));
        }
        Err(error) => error,
    };
    let Some(UpdateItemError::ConditionalCheckFailedException(conflict)) = error.as_service_error()
    else {
        return Err(StoreError::from_sdk("UpdateItem", error));
    };
    let old = conflict.item.clone().map(|found| item::to_session(handle, found)).transpose()?;
    Ok(Written::Refused(old))
}

fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}
