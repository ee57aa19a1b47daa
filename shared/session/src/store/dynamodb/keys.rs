//! The two key items: `public` for everybody who verifies, `private` for those who sign.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jsonwebtoken::jwk::JwkSet;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DynamoDb;
use super::item::Item;
use crate::store::{KeyCreator, PrivateKeyReader, PublicKeyReader, StoreError, StoredKeys};

/// Partition key of the published set; the only item most functions may read.
const PUBLIC: &str = "public";
/// Partition key of the private halves and master keys.
const PRIVATE: &str = "private";

impl PublicKeyReader for DynamoDb {
    async fn public_keys(&self) -> Result<Option<JwkSet>, StoreError> {
        self.document(PUBLIC).await
    }
}

impl PrivateKeyReader for DynamoDb {
    async fn private_keys(&self) -> Result<Option<StoredKeys>, StoreError> {
        self.document(PRIVATE).await
    }
}

impl KeyCreator for DynamoDb {
    async fn create_keys(&self, keys: &StoredKeys, public: &JwkSet) -> Result<bool, StoreError> {
        let puts = [self.put_if_absent(PRIVATE, keys)?, self.put_if_absent(PUBLIC, public)?];
        let result =
            self.client.transact_write_items().set_transact_items(Some(puts.into())).send().await;
        match result {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled))
                    if cancelled
                        .cancellation_reasons()
                        .iter()
                        .any(|reason| reason.code() == Some("ConditionalCheckFailed")) =>
                {
                    Ok(false)
                }
                _ => Err(StoreError::from_sdk("TransactWriteItems", error)),
            },
        }
    }
}

impl DynamoDb {
    async fn document<T: DeserializeOwned>(&self, pk: &str) -> Result<Option<T>, StoreError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.keys)
            .key("pk", AttributeValue::S(pk.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("GetItem", error))?;
        let Some(item) = output.item else {
            return Ok(None);
        };
        let document = item.get("document").and_then(|value| value.as_b().ok());
        let Some(document) = document else {
            return Err(inconsistent(pk, "no document"));
        };
        serde_json::from_slice(document.as_ref())
            .map(Some)
            // The cause would quote key material.
            .map_err(|_| inconsistent(pk, "the document cannot be read"))
    }

    fn put_if_absent(
        &self,
        pk: &str,
        document: &impl Serialize,
    ) -> Result<TransactWriteItem, StoreError> {
        let json = serde_json::to_vec(document)
            .map_err(|_| inconsistent(pk, "the document cannot be written"))?;
        let item: Item = HashMap::from([
            ("pk".to_owned(), AttributeValue::S(pk.to_owned())),
            ("document".to_owned(), AttributeValue::B(Blob::new(json))),
        ]);
        let put = Put::builder()
            .table_name(&self.keys)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|_| inconsistent(pk, "the request cannot be built"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

fn inconsistent(pk: &str, problem: &str) -> StoreError {
    StoreError::Inconsistent { item: pk.to_owned(), problem: problem.to_owned() }
}
