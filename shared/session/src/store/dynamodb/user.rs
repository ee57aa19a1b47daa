//! All sessions of a user: one partition, so one strongly consistent query finds them all.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};

use super::{DynamoDb, item};
use crate::model::ids::UserPartition;
use crate::model::{SessionHandle, UserId};
use crate::store::{StoreError, UserRevoker};

/// Deletes in one batch at most (`DynamoDB` quota).
const BATCH: usize = 25;

/// How often what a batch left over is sent again, with growing pauses: 1.5 s in all.
const MAX_ROUNDS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl UserRevoker for DynamoDb {
    async fn delete_sessions_of(
        &self,
        app_id: &str,
        user_id: &UserId,
    ) -> Result<Vec<SessionHandle>, StoreError> {
        let partition = UserPartition::of(app_id, user_id).to_string();
        let mut ended = Vec::new();
        let mut after = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.sessions)
                .consistent_read(true)
                .projection_expression("sk")
                .key_condition_expression("pk = :pk")
                // Two users could share a partition; neither ends the other's sessions.
                .filter_expression("user_id = :user_id")
                .expression_attribute_values(":pk", AttributeValue::S(partition.clone()))
                .expression_attribute_values(":user_id", AttributeValue::S(user_id.to_string()))
                .set_exclusive_start_key(after)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("Query", error))?;
            let keys = page.items().iter().filter_map(|found| found.get("sk")?.as_s().ok());
            let handles: Vec<SessionHandle> = keys.filter_map(|sk| sk.parse().ok()).collect();
            for batch in handles.chunks(BATCH) {
                self.delete_batch(batch).await?;
            }
            ended.extend(handles);
            match page.last_evaluated_key {
                Some(key) => after = Some(key),
                None => return Ok(ended),
            }
        }
    }
}

impl DynamoDb {
    async fn delete_batch(&self, handles: &[SessionHandle]) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(handles.len());
        for handle in handles {
            let delete = DeleteRequest::builder().set_key(Some(item::key(handle))).build();
            let delete = delete.map_err(|_| StoreError::Inconsistent {
                item: handle.to_string(),
                problem: "the request cannot be built".to_owned(),
            })?;
            writes.push(WriteRequest::builder().delete_request(delete).build());
        }
        let mut left = HashMap::from([(self.sessions.clone(), writes)]);
        for round in 0..MAX_ROUNDS {
            let output = self
                .client
                .batch_write_item()
                .set_request_items(Some(left))
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("BatchWriteItem", error))?;
            left = output.unprocessed_items.unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(round)).await;
        }
        Err(StoreError::Unavailable {
            operation: "BatchWriteItem",
            code: "unprocessed items".to_owned(),
            source: "the table keeps leaving items over".into(),
        })
    }
}
