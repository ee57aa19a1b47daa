//! All sessions of a user: one partition, so one strongly consistent query finds them all.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, WriteRequest};

use super::{DynamoDb, item};
use crate::model::ids::UserPartition;
use crate::model::{AtProvider, ProviderKey, SessionHandle, SessionsOf, Timestamp, UserId};
use crate::store::{HandlePage, SessionLister, SessionPage, StoreError, UserRevoker};

/// Deletes in one batch at most (`DynamoDB` quota).
const BATCH: usize = 25;

/// How often what a batch left over is sent again, with growing pauses: 1.5 s in all.
const MAX_ROUNDS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

impl UserRevoker for DynamoDb {
    async fn users_of_provider(&self, key: ProviderKey) -> Result<Vec<UserId>, StoreError> {
        let pages = self
            .client
            .query()
            .table_name(&self.sessions)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(self.provider_partition(key)))
            .projection_expression("user_id")
            .into_paginator()
            .items();
        let items = pages.send().try_collect().await;
        let items = items.map_err(|error| StoreError::from_sdk("Query", error))?;
        let user_of = |item: &item::Item| Some(UserId::new(item.get("user_id")?.as_s().ok()?));
        Ok(items.iter().filter_map(user_of).collect())
    }

    async fn delete_sessions(&self, handles: &[SessionHandle]) -> Result<(), StoreError> {
        for batch in handles.chunks(BATCH) {
            self.delete_batch(batch).await?;
        }
        Ok(())
    }

    async fn handles_page(
        &self,
        which: SessionsOf<'_>,
        after: Option<&SessionHandle>,
    ) -> Result<HandlePage, StoreError> {
        let page = self.query(which, after).projection_expression("sk").send().await;
        let page = page.map_err(|error| StoreError::from_sdk("Query", error))?;
        let handles = page.items().iter().filter_map(handle_of);
        let handles = handles.filter(|found| Some(found) != which.except).collect();
        Ok(HandlePage { handles, next: next(&page) })
    }
}

impl SessionLister for DynamoDb {
    async fn sessions_page(
        &self,
        which: SessionsOf<'_>,
        after: Option<&SessionHandle>,
        now: Timestamp,
    ) -> Result<SessionPage, StoreError> {
        let page = self.query(which, after).projection_expression(item::SUMMARY);
        let page = page.expression_attribute_names("#format", "format").send().await;
        let page = page.map_err(|error| StoreError::from_sdk("Query", error))?;
        let next = next(&page);
        let found = page.items.unwrap_or_default().into_iter();
        let found = found.filter_map(|item| handle_of(&item).map(|handle| (handle, item)));
        let sessions = found
            .filter(|(handle, _)| Some(handle) != which.except)
            .filter_map(|(handle, item)| item::to_summary(&handle, item, now).transpose())
            .collect::<Result<_, _>>()?;
        Ok(SessionPage { sessions, next })
    }
}

pub(super) fn handle_of(item: &item::Item) -> Option<SessionHandle> {
    item.get("sk")?.as_s().ok()?.parse().ok()
}

/// Where the page after this one begins.
fn next(page: &QueryOutput) -> Option<SessionHandle> {
    page.last_evaluated_key().and_then(handle_of)
}

impl DynamoDb {
    /// A page of the user's partition. The filter spares another user who shares it.
    fn query(&self, which: SessionsOf<'_>, after: Option<&SessionHandle>) -> QueryFluentBuilder {
        let text = |text: &dyn ToString| AttributeValue::S(text.to_string());
        let query = self
            .client
            .query()
            .table_name(&self.sessions)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(
                ":pk",
                text(&self.partition(UserPartition::of(which.user_id))),
            )
            .expression_attribute_values(":user_id", text(which.user_id))
            .set_exclusive_start_key(after.map(|handle| self.key(handle)));
        let mut filter = "user_id = :user_id".to_owned();
        let mut query = query;
        if let Some(tenant_id) = which.tenant_id {
            filter.push_str(" AND tenant_id = :tenant_id");
            query = query.expression_attribute_values(":tenant_id", text(tenant_id));
        }
        let (subject, session, meant) = match which.at_provider {
            None => (None, None, ""),
            Some(AtProvider::Subject(subject)) => {
                (Some(subject), None, " AND provider_subject = :subject")
            }
            Some(AtProvider::Session(session)) => {
                (None, Some(session), " AND provider_session = :session")
            }
            Some(AtProvider::SessionOf { subject, session }) => (
                Some(subject),
                Some(session),
                " AND provider_subject = :subject AND (provider_session = :session OR \
                 attribute_not_exists(provider_session))",
            ),
        };
        filter.push_str(meant);
        for (name, key) in [(":subject", subject), (":session", session)] {
            if let Some(key) = key {
                query = query.expression_attribute_values(name, text(&key));
            }
        }
        query.filter_expression(filter)
    }

    async fn delete_batch(&self, handles: &[SessionHandle]) -> Result<(), StoreError> {
        let mut writes = Vec::with_capacity(handles.len());
        for handle in handles {
            let delete = DeleteRequest::builder().set_key(Some(self.key(handle))).build();
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
            source: Box::<dyn std::error::Error + Send + Sync>::from(
                "the table keeps leaving items over",
            )
            .into(),
        })
    }
}
