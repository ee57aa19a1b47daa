//! What a refresh changes: each outcome of the rule is one conditional write.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

use super::{DynamoDb, IS_ALIVE, item, n, written};
use crate::model::{RefreshState, Revocation, Session, Timestamp};
use crate::store::{Rotation, SessionRefresher, StoreError, Transition, Written};

/// The condition that no other refresh came in between.
const IS_AS_SEEN: &str = "#format = :format AND attribute_not_exists(revoked_at) \
    AND #current = :seen_current AND parent = :seen_parent AND rotated_at = :seen_rotated_at";

impl SessionRefresher for DynamoDb {
    async fn rotate(&self, rotation: Rotation<'_>) -> Result<Written, StoreError> {
        let Rotation { handle, presented, now, policy, expires_at, device } = rotation;
        let result = self
            .update(handle)
            .update_expression(
                "SET #current = :next, parent = :presented, grandparent = parent, \
                 rotated_at = :now, served_at = :now, \
                 expires_at = :expires_at, #ttl = :ttl, last_used_by = :device",
            )
            .condition_expression(format!(
                "#current = :presented AND rotated_at < :cutoff AND {IS_ALIVE}"
            ))
            .expression_attribute_names("#current", "current")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":presented", n(u64::from(presented.number())))
            .expression_attribute_values(":next", n(u64::from(presented.next().number())))
            .expression_attribute_values(":now", n(now.as_millis()))
            .expression_attribute_values(":cutoff", n(policy.rotation_cutoff(now).as_millis()))
            .expression_attribute_values(":expires_at", n(expires_at.as_millis()))
            .expression_attribute_values(":ttl", n(item::ttl(expires_at)))
            .expression_attribute_values(":device", item::value(handle, device)?)
            .send()
            .await;
        written(handle, result)
    }

    async fn advance(&self, transition: Transition<'_>) -> Result<Written, StoreError> {
        let Transition { seen, next, device } = transition;
        let RefreshState { current, rotated_at, served_at, expires_at, .. } = *next;
        let request = self.update(&seen.handle);
        let (request, window) = if rotated_at == seen.refresh.rotated_at {
            // The window only ever slides forward, whoever comes last.
            (request, "served_at < :served_at")
        } else {
            // Whoever was served since then holds the successor, so it must not be burnt.
            let seen_served_at = n(item::millis(seen.refresh.served_at));
            let request = request.expression_attribute_values(":seen_served_at", seen_served_at);
            (request, "served_at = :seen_served_at")
        };
        let result = request
            .update_expression(
                "SET #current = :current, rotated_at = :rotated_at, served_at = :served_at, \
                 expires_at = :expires_at, #ttl = :ttl, last_used_by = :device",
            )
            .condition_expression(format!("{IS_AS_SEEN} AND {window}"))
            .set_as_seen(&seen.refresh)
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":current", n(u64::from(current.number())))
            .expression_attribute_values(":rotated_at", n(item::millis(rotated_at)))
            .expression_attribute_values(":served_at", n(item::millis(served_at)))
            .expression_attribute_values(":expires_at", n(expires_at.as_millis()))
            .expression_attribute_values(":ttl", n(item::ttl(expires_at)))
            .expression_attribute_values(":device", item::value(&seen.handle, device)?)
            .send()
            .await;
        written(&seen.handle, result)
    }

    async fn entomb(
        &self,
        seen: &Session,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let evidence = item::value(&seen.handle, revocation)?;
        let result = self
            .update(&seen.handle)
            .update_expression("SET revoked_at = :now, revocation = :evidence")
            .condition_expression(IS_AS_SEEN)
            .set_as_seen(&seen.refresh)
            .expression_attribute_values(":now", n(now.as_millis()))
            .expression_attribute_values(":evidence", evidence)
            .send()
            .await;
        written(&seen.handle, result)
    }
}

/// Binds what [`IS_AS_SEEN`] compares with.
trait AsSeen {
    fn set_as_seen(self, seen: &RefreshState) -> Self;
}

impl AsSeen for UpdateItemFluentBuilder {
    fn set_as_seen(self, seen: &RefreshState) -> Self {
        self.expression_attribute_names("#current", "current")
            .expression_attribute_values(":seen_current", n(u64::from(seen.current.number())))
            .expression_attribute_values(":seen_parent", n(u64::from(item::number(seen.parent))))
            .expression_attribute_values(":seen_rotated_at", n(item::millis(seen.rotated_at)))
    }
}
