//! What an application changes in a session: single claims, or all of its data.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{DynamoDb, IS_ALIVE, item, n, written};
use crate::model::{SessionHandle, Timestamp};
use crate::store::{PayloadMerge, PayloadRoom, SessionUpdater, StoreError, Written};

impl SessionUpdater for DynamoDb {
    async fn replace_session_data(
        &self,
        handle: &SessionHandle,
        data: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let result = self
            .update(handle)
            .update_expression("SET session_data = :data")
            .condition_expression(IS_ALIVE)
            .expression_attribute_values(":data", item::value(handle, data)?)
            .expression_attribute_values(":now", n(now.as_millis()))
            .send()
            .await;
        written(handle, result)
    }

    async fn merge_access_token_payload(
        &self,
        merge: PayloadMerge<'_>,
    ) -> Result<Written, StoreError> {
        let PayloadMerge { handle, patch, room, now } = merge;
        let mut request = self
            .update(handle)
            .expression_attribute_values(":now", n(now.as_millis()))
            .expression_attribute_values(":one", n(1));
        // Each claim is a path of its own, so that concurrent merges of different claims both stay.
        // Names are short because an expression has 4 KB.
        let (mut set, mut removed) = (Vec::new(), Vec::new());
        for (index, (name, value)) in patch.iter().enumerate() {
            let path = format!("#p.#{index}");
            request = request.expression_attribute_names(format!("#{index}"), name);
            if value.is_null() {
                removed.push(path);
            } else {
                set.push(format!("{path}=:{index}"));
                let value = item::value(handle, value)?;
                request = request.expression_attribute_values(format!(":{index}"), value);
            }
        }
        let mut added = "payload_version :one".to_owned();
        let condition = match room {
            PayloadRoom::Bounded { added: bytes, limit } => {
                added.push_str(", payload_bytes :added");
                let room = limit.saturating_sub(bytes);
                request = request
                    .expression_attribute_values(":added", n(bytes))
                    .expression_attribute_values(":room", n(room));
                "payload_bytes <= :room"
            }
            PayloadRoom::Measured { bytes, seen_version } => {
                set.push("payload_bytes=:bytes".to_owned());
                request = request.expression_attribute_values(":bytes", n(bytes));
                if seen_version == 0 {
                    "attribute_not_exists(payload_version)"
                } else {
                    request = request.expression_attribute_values(":seen", n(seen_version));
                    "payload_version = :seen"
                }
            }
        };
        let mut expression = format!("ADD {added}");
        for (clause, paths) in [("SET", set), ("REMOVE", removed)] {
            if !paths.is_empty() {
                let _ = write!(expression, " {clause} {}", paths.join(","));
            }
        }
        if !patch.is_empty() {
            request = request.expression_attribute_names("#p", "access_token_payload");
        }
        let result = request
            .update_expression(expression)
            .condition_expression(format!("{IS_ALIVE} AND {condition}"))
            .send()
            .await;
        written(handle, result)
    }
}
