//! What a refresh changes: each outcome of the rule is one conditional write.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;

use super::{DynamoDb, IS_ALIVE, item, n, written};
use crate::model::{
    DeviceKey, KeyDemand, RefreshState, Revocation, Session, SessionHandle, Timestamp,
};
use crate::store::{Rotation, SessionBinder, SessionRefresher, StoreError, Written};

/// The condition that no generation was minted in between.
const IS_AS_SEEN: &str = "#format = :format AND attribute_not_exists(revoked_at) \
    AND #current = :seen_current AND parent = :seen_parent AND minted_at = :seen_minted_at";

/// The condition that the current one was not handed out in between either: whoever got it holds it.
const IS_AS_ANSWERED: &str = "answered_at = :seen_answered_at";

/// The condition that the session was not bound in between: a key that was seen never changes.
const IS_UNBOUND: &str = " AND attribute_not_exists(device_key)";

/// The condition that the device has yet to prove its key.
const IS_PENDING: &str = " AND attribute_exists(device_pending)";

/// The condition that there is no device key, or that it is the one proved.
const IS_PROVED: &str = " AND (attribute_not_exists(device_key) OR device_key = :proved)";

/// The condition that there is no device key, or that the device has yet to prove it.
const NEEDS_NO_PROOF: &str =
    " AND (attribute_not_exists(device_key) OR attribute_exists(device_pending))";

/// What the first proof of the device key changes.
const END_PENDING: &str = " REMOVE device_pending";
/// The condition that a session's own idle life, if it has one, is no longer than the settings allow.
const IS_OWN_IDLE_TTL_ALLOWED: &str =
    " AND (attribute_not_exists(idle_ttl) OR idle_ttl <= :idle_ttl)";

/// What every new generation changes.
const MINT: &str = "#current = :current, parent = :parent, chain = :chain, moved = :moved, \
    minted_at = :minted_at, answered_at = :minted_at, #ttl = :ttl, last_used_by = :device";

impl SessionRefresher for DynamoDb {
    async fn rotate(&self, rotation: Rotation<'_>) -> Result<Written, StoreError> {
        let Rotation { handle, presented, now, policy, idle_ttl, is_own_too_long, device, demand } =
            rotation;
        let latest_end = now.plus(idle_ttl);
        let (expires_at, is_own_allowed) = if is_own_too_long {
            (":expires_at", "")
        } else {
            ("if_not_exists(idle_ttl, :idle_ttl) + :now", IS_OWN_IDLE_TTL_ALLOWED)
        };
        let is_proved = match demand {
            KeyDemand::Nothing | KeyDemand::Noted(_) => "",
            KeyDemand::Proved(None) => NEEDS_NO_PROOF,
            KeyDemand::Proved(Some(_)) => IS_PROVED,
        };
        let end_pending = if demand.ends_pending() { END_PENDING } else { "" };
        let request = self
            .update(handle)
            .return_values(ReturnValue::AllOld)
            // What stands on the right is what was there before.
            .update_expression(format!(
                "SET {MINT}, expires_at = {expires_at}, \
                 spent1 = :parent, spent2 = spent1, spent3 = spent2{end_pending}"
            ))
            .condition_expression(format!(
                "#current = :parent AND minted_at < :cutoff AND {IS_ALIVE}{is_proved}{is_own_allowed}"
            ))
            .expression_attribute_names("#current", "current")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":current", n(presented.next().number().into()))
            .expression_attribute_values(":parent", n(presented.number().into()))
            .expression_attribute_values(":chain", n(0))
            .expression_attribute_values(":moved", item::value(handle, &true)?)
            .expression_attribute_values(":minted_at", n(now.as_millis()))
            .expression_attribute_values(":now", n(now.as_millis()))
            .expression_attribute_values(":cutoff", n(policy.rotation_cutoff(now).as_millis()))
            // To the housekeeping it is all the same if the session's own idle life ends earlier.
            .expression_attribute_values(":ttl", n(item::ttl(latest_end)))
            .expression_attribute_values(":device", item::value(handle, device)?);
        let request = if is_own_too_long {
            request.expression_attribute_values(":expires_at", n(latest_end.as_millis()))
        } else {
            request.expression_attribute_values(":idle_ttl", n(item::in_millis(idle_ttl)))
        };
        let request = match demand {
            KeyDemand::Proved(Some(key)) => {
                request.expression_attribute_values(":proved", item::value(handle, &key)?)
            }
            KeyDemand::Nothing | KeyDemand::Noted(_) | KeyDemand::Proved(None) => request,
        };
        written(handle, request.send().await)
    }

    async fn advance(&self, seen: &Session, next: &Session) -> Result<Written, StoreError> {
        let (handle, state) = (&seen.handle, &next.refresh);
        let is_bound_as_seen = is_bound_as_seen(seen);
        let is_ended = seen.device_pending && !next.device_pending;
        let end_pending = if is_ended { END_PENDING } else { "" };
        let request = self.update(handle).set_as_seen(&seen.refresh);
        let request = if state.current == seen.refresh.current {
            request
                .update_expression(format!(
                    "SET answered_at = :answered_at, repeats = :repeats{end_pending}"
                ))
                // It only ever goes forward, whoever comes last.
                .condition_expression(format!(
                    "{IS_AS_SEEN} AND answered_at < :answered_at{is_bound_as_seen}"
                ))
                .expression_attribute_values(":answered_at", n(item::millis(state.answered_at)))
                .expression_attribute_values(":repeats", item::value(handle, &next.repeats)?)
        } else {
            request
                .update_expression(format!(
                    "SET {MINT}, expires_at = :expires_at, \
                     displaced = :displaced, reclaimed_at = :reclaimed_at{end_pending}"
                ))
                .condition_expression(format!(
                    "{IS_AS_SEEN} AND {IS_AS_ANSWERED}{is_bound_as_seen}"
                ))
                .set_as_answered(&seen.refresh)
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_values(":current", n(state.current.number().into()))
                .expression_attribute_values(":parent", n(item::number(state.parent).into()))
                .expression_attribute_values(":displaced", n(item::number(state.displaced).into()))
                .expression_attribute_values(":chain", n(state.chain.into()))
                .expression_attribute_values(":moved", item::value(handle, &state.moved)?)
                .expression_attribute_values(":minted_at", n(item::millis(state.minted_at)))
                .expression_attribute_values(":reclaimed_at", n(item::millis(state.reclaimed_at)))
                .expression_attribute_values(":expires_at", n(state.expires_at.as_millis()))
                .expression_attribute_values(":ttl", n(item::ttl(state.expires_at)))
                .expression_attribute_values(":device", item::value(handle, &next.last_used_by)?)
        };
        written(handle, request.send().await)
    }

    async fn entomb(
        &self,
        seen: &Session,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let result = self
            .update(&seen.handle)
            .update_expression("SET revoked_at = :now, revocation = :evidence")
            .condition_expression(format!(
                "{IS_AS_SEEN} AND {IS_AS_ANSWERED}{}",
                is_bound_as_seen(seen)
            ))
            .set_as_seen(&seen.refresh)
            .set_as_answered(&seen.refresh)
            .expression_attribute_values(":now", n(now.as_millis()))
            .expression_attribute_values(":evidence", item::value(&seen.handle, revocation)?)
            .send()
            .await;
        written(&seen.handle, result)
    }
}

impl SessionBinder for DynamoDb {
    async fn bind_session(
        &self,
        handle: &SessionHandle,
        key: DeviceKey,
        now: Timestamp,
    ) -> Result<Written, StoreError> {
        let result = self
            .update(handle)
            .update_expression("SET device_key = :key, device_pending = :pending")
            .condition_expression(format!("{IS_ALIVE}{IS_UNBOUND}"))
            .expression_attribute_values(":now", n(now.as_millis()))
            .expression_attribute_values(":key", item::value(handle, &key)?)
            .expression_attribute_values(":pending", item::value(handle, &true)?)
            .send()
            .await;
        written(handle, result)
    }
}

const fn is_bound_as_seen(seen: &Session) -> &'static str {
    match (seen.device_key, seen.device_pending) {
        (None, _) => IS_UNBOUND,
        (Some(_), true) => IS_PENDING,
        (Some(_), false) => "",
    }
}

/// Binds what conditions compare with.
trait Seen {
    /// For [`IS_AS_SEEN`].
    fn set_as_seen(self, seen: &RefreshState) -> Self;
    /// For [`IS_AS_ANSWERED`].
    fn set_as_answered(self, seen: &RefreshState) -> Self;
}

impl Seen for UpdateItemFluentBuilder {
    fn set_as_seen(self, seen: &RefreshState) -> Self {
        self.expression_attribute_names("#current", "current")
            .expression_attribute_values(":seen_current", n(seen.current.number().into()))
            .expression_attribute_values(":seen_parent", n(item::number(seen.parent).into()))
            .expression_attribute_values(":seen_minted_at", n(item::millis(seen.minted_at)))
    }

    fn set_as_answered(self, seen: &RefreshState) -> Self {
        self.expression_attribute_values(":seen_answered_at", n(item::millis(seen.answered_at)))
    }
}
