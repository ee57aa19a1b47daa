//! The two key items of an application: `public` for everybody who verifies, `private` for those who
//! sign.
//!
//! They are replaced together, each on condition that it is the version that was seen. So the halves
//! never disagree, one read shows a whole schedule, and of any number of rotators one wins.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::item::Item;
use super::{DynamoDb, n};
use crate::store::seal::{open, seal};
use crate::store::{
    KeyRotator, KeysFound, PrivateKeyReader, PublicKeyReader, SealContext, StoreError, StoredKeys,
};
use crate::token::PublishedKey;

/// The published set, behind the application's id in its partition key; the only item most functions
/// may read.
const PUBLIC: &str = "public";
/// The private halves and master keys.
const PRIVATE: &str = "private";

impl PublicKeyReader for DynamoDb {
    async fn public_keys(&self) -> Result<Option<Vec<PublishedKey>>, StoreError> {
        match self.key_item(PUBLIC).await? {
            Some((_, item)) => Ok(Some(parse(PUBLIC, bytes(PUBLIC, &item, "document")?)?)),
            None => Ok(None),
        }
    }
}

impl PrivateKeyReader for DynamoDb {
    async fn private_keys(&self, known: Option<u64>) -> Result<KeysFound, StoreError> {
        let Some((version, item)) = self.key_item(PRIVATE).await? else {
            return Ok(KeysFound::None);
        };
        if known == Some(version) {
            return Ok(KeysFound::Unchanged);
        }
        let document = bytes(PRIVATE, &item, "document")?;
        let keys: StoredKeys = match (item.contains_key("data_key"), &self.data_keys) {
            (false, _) => parse(PRIVATE, document)?,
            (true, Some(data_keys)) => {
                let context = self.seal_context(version);
                let data_key =
                    data_keys.unwrap(bytes(PRIVATE, &item, "data_key")?, &context).await?;
                let opened = open(&data_key, &context, document);
                parse(PRIVATE, &opened.ok_or_else(|| inconsistent(PRIVATE, "its seal is broken"))?)?
            }
            (true, None) => {
                let problem = "it is sealed; set KMS_KEY_ID to the key that it was sealed with";
                return Err(inconsistent(PRIVATE, problem));
            }
        };
        let lacks_seal = self.data_keys.is_some() && !item.contains_key("data_key");
        Ok(KeysFound::Changed(StoredKeys { version, lacks_seal, ..keys }))
    }
}

impl KeyRotator for DynamoDb {
    async fn replace_keys(
        &self,
        keys: &StoredKeys,
        public: &[PublishedKey],
    ) -> Result<bool, StoreError> {
        let document = Zeroizing::new(serialize(PRIVATE, keys)?);
        let mut private = HashMap::new();
        match &self.data_keys {
            Some(data_keys) => {
                let context = self.seal_context(keys.version);
                let data_key = data_keys.generate(&context).await?;
                let sealed = seal(&data_key.plain, &context, &document)
                    .ok_or_else(|| inconsistent(PRIVATE, "it cannot be sealed"))?;
                private.insert("document".to_owned(), b(sealed));
                private.insert("data_key".to_owned(), b(data_key.wrapped));
            }
            None => {
                private.insert("document".to_owned(), b(document.to_vec()));
            }
        }
        let public = HashMap::from([("document".to_owned(), b(serialize(PUBLIC, public)?))]);
        let puts =
            [self.put(PRIVATE, private, keys.version)?, self.put(PUBLIC, public, keys.version)?];
        let result =
            self.client.transact_write_items().set_transact_items(Some(puts.into())).send().await;
        match result {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled))
                    if cancelled.cancellation_reasons().iter().any(|reason| {
                        matches!(
                            reason.code(),
                            Some("ConditionalCheckFailed" | "TransactionConflict")
                        )
                    }) =>
                {
                    Ok(false)
                }
                _ => Err(StoreError::from_sdk("TransactWriteItems", error)),
            },
        }
    }
}

impl DynamoDb {
    /// Reads an item, and refuses one that is older than what this process has seen: a strongly consistent
    /// read never is, unless somebody has put it back. Both items have the same versions, so one number
    /// is enough.
    async fn key_item(&self, name: &str) -> Result<Option<(u64, Item)>, StoreError> {
        // Before the read, so that a change meanwhile by another task is no step back.
        let seen = self.seen.load(Ordering::SeqCst);
        let output = self
            .client
            .get_item()
            .table_name(&self.keys)
            .key("pk", AttributeValue::S(self.key_pk(name)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error))?;
        let Some(item) = output.item else {
            return if seen == 0 { Ok(None) } else { Err(inconsistent(name, "it is gone")) };
        };
        let version = item.get("version").and_then(|value| value.as_n().ok()?.parse().ok());
        let version = version.ok_or_else(|| inconsistent(name, "it has no version"))?;
        if version < seen {
            let problem = format!("it is version {version}, and version {seen} has been there");
            return Err(inconsistent(name, &problem));
        }
        self.seen.fetch_max(version, Ordering::SeqCst);
        Ok(Some((version, item)))
    }

    fn key_pk(&self, name: &str) -> String {
        format!("{}#{name}", self.app_id)
    }

    fn seal_context(&self, version: u64) -> SealContext {
        SealContext { table: self.keys.clone(), document: self.key_pk(PRIVATE), version }
    }

    /// A put of that version, on condition that the one before it is there.
    fn put(
        &self,
        name: &str,
        mut item: Item,
        version: u64,
    ) -> Result<TransactWriteItem, StoreError> {
        item.insert("pk".to_owned(), AttributeValue::S(self.key_pk(name)));
        item.insert("version".to_owned(), n(version));
        let put = Put::builder().table_name(&self.keys).set_item(Some(item));
        let put = match version {
            0 | 1 => put.condition_expression("attribute_not_exists(pk)"),
            _ => put
                .condition_expression("#version = :seen")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":seen", n(version - 1)),
        };
        let put = put.build().map_err(|_| inconsistent(name, "the request cannot be built"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

fn b(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn bytes<'a>(pk: &str, item: &'a Item, name: &str) -> Result<&'a [u8], StoreError> {
    let value = item.get(name).and_then(|value| value.as_b().ok());
    value.map(AsRef::as_ref).ok_or_else(|| inconsistent(pk, &format!("it has no {name}")))
}

fn parse<T: DeserializeOwned>(pk: &str, document: &[u8]) -> Result<T, StoreError> {
    // The cause would quote key material.
    serde_json::from_slice(document).map_err(|_| inconsistent(pk, "its document cannot be read"))
}

fn serialize<T: Serialize + ?Sized>(pk: &str, document: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(document).map_err(|_| inconsistent(pk, "its document cannot be written"))
}

fn inconsistent(pk: &str, problem: &str) -> StoreError {
    StoreError::Inconsistent { item: pk.to_owned(), problem: problem.to_owned() }
}
