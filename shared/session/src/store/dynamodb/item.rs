//! The session item: its attributes, and the way to a [`Session`] and back.
//!
//! Instants are milliseconds except `ttl`, which `DynamoDB` wants in seconds. Generation 0 and instant
//! 0 stand for "none", so that one update expression can move every attribute without asking whether
//! it exists.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::DynamoDb;
use crate::model::ids::UserPartition;
use crate::model::{
    Device, DeviceKey, Generation, Keeper, PayloadSize, ProviderKey, ProviderKeys, RefreshState,
    Repeats, Revocation, Session, SessionHandle, SessionSummary, Subject, TenantId, Timestamp,
    UserId,
};
use crate::store::StoreError;

/// An item as the SDK sees it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The only layout so far. A reader refuses others instead of guessing.
pub(super) const FORMAT: u32 = 1;

/// How long an ended session stays in the table for the housekeeping to find: 1 day, so that a token
/// of a session that just ended is still told from an unknown one in the logs.
const TTL_MARGIN_SECS: u64 = 24 * 60 * 60;

#[derive(Deserialize, Serialize)]
struct SessionItem {
    pk: String,
    sk: String,
    format: u32,
    user_id: UserId,
    recipe_user_id: UserId,
    tenant_id: TenantId,
    created_at: u64,
    expires_at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    absolute_end: Option<u64>,
    /// Milliseconds, like the next one; absent where the settings count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idle_ttl: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token_ttl: Option<u64>,
    current: u32,
    parent: u32,
    spent1: u32,
    spent2: u32,
    spent3: u32,
    displaced: u32,
    chain: u8,
    moved: bool,
    minted_at: u64,
    answered_at: u64,
    reclaimed_at: u64,
    access_token_payload: Map<String, Value>,
    /// Absent on items of the first versions; the count also before the first merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload_version: Option<u64>,
    session_data: Map<String, Value>,
    keeper: Keeper,
    last_used_by: Device,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeats: Option<Repeats>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_key: Option<DeviceKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_pending: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_subject: Option<ProviderKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider_session: Option<ProviderKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revocation: Option<Revocation>,
    ttl: u64,
}

/// What lists read of it. Claims and data may be hundreds of kilobytes, and a user may have any number of
/// sessions.
#[derive(Deserialize)]
struct SummaryItem {
    user_id: UserId,
    recipe_user_id: UserId,
    tenant_id: TenantId,
    created_at: u64,
    expires_at: u64,
    absolute_end: Option<u64>,
    minted_at: u64,
    last_used_by: Device,
    device_key: Option<DeviceKey>,
    device_pending: Option<bool>,
    revoked_at: Option<u64>,
}

/// The attributes of [`SummaryItem`], the handle, and what [`read`] asks for.
pub(super) const SUMMARY: &str = "sk, #format, user_id, recipe_user_id, tenant_id, created_at, \
    expires_at, absolute_end, minted_at, last_used_by, device_key, device_pending, revoked_at";

impl DynamoDb {
    /// The key of a session's item. No handle leads to a session of another application.
    pub(super) fn key(&self, handle: &SessionHandle) -> Item {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.partition(handle.partition()))),
            ("sk".to_owned(), AttributeValue::S(handle.to_string())),
        ])
    }

    /// Where a provider's name leads to users.
    pub(super) fn provider_partition(&self, key: ProviderKey) -> String {
        format!("{}#provider-{key}", self.app_id)
    }

    /// The partition of a user's sessions.
    pub(super) fn partition(&self, user: UserPartition) -> String {
        format!("{}#{user}", self.app_id)
    }
}

/// The housekeeping instant of a session with that idle end, in seconds.
pub(super) const fn ttl(expires_at: Timestamp) -> u64 {
    expires_at.as_secs() + TTL_MARGIN_SECS
}

/// A session as its item, in that partition.
pub(super) fn from_session(pk: String, session: &Session) -> Result<Item, StoreError> {
    let refresh = &session.refresh;
    let [spent1, spent2, spent3] = refresh.spent.map(number);
    let Subject { user_id, recipe_user_id, tenant_id } = session.subject.clone();
    let item = SessionItem {
        pk,
        sk: session.handle.to_string(),
        format: FORMAT,
        user_id,
        recipe_user_id,
        tenant_id,
        created_at: session.created_at.as_millis(),
        expires_at: refresh.expires_at.as_millis(),
        absolute_end: refresh.absolute_end.map(Timestamp::as_millis),
        idle_ttl: session.idle_ttl.map(in_millis),
        access_token_ttl: session.access_token_ttl.map(in_millis),
        current: refresh.current.number(),
        parent: number(refresh.parent),
        spent1,
        spent2,
        spent3,
        displaced: number(refresh.displaced),
        chain: refresh.chain,
        moved: refresh.moved,
        minted_at: millis(refresh.minted_at),
        answered_at: millis(refresh.answered_at),
        reclaimed_at: millis(refresh.reclaimed_at),
        access_token_payload: session.access_token_payload.clone(),
        payload_bytes: session.payload_size.bound,
        payload_version: Some(session.payload_size.version).filter(|version| *version != 0),
        session_data: session.session_data.clone(),
        keeper: session.keeper,
        last_used_by: session.last_used_by.clone(),
        repeats: session.repeats.clone(),
        device_key: session.device_key,
        device_pending: session.device_pending.then_some(true),
        provider_subject: session.provider.map(|keys| keys.subject),
        provider_session: session.provider.and_then(|keys| keys.session),
        revoked_at: refresh.revoked_at.map(Timestamp::as_millis),
        revocation: session.revocation.clone(),
        ttl: ttl(refresh.expires_at),
    };
    serde_dynamo::to_item(item).map_err(|error| inconsistent(&session.handle, &error))
}

/// What the attributes of an item say, if it has the layout that this version knows.
fn read<T: DeserializeOwned>(handle: &SessionHandle, item: Item) -> Result<T, StoreError> {
    let format = item.get("format").and_then(|value| value.as_n().ok()).map(String::as_str);
    if format != Some("1") {
        let found = format.unwrap_or("none");
        return Err(StoreError::Inconsistent {
            item: handle.to_string(),
            problem: format!("format {found}, this version reads {FORMAT}"),
        });
    }
    if !item.values().all(is_known) {
        return Err(inconsistent(handle, &"an attribute of an unknown type"));
    }
    // One after the other, because `from_item` makes two maps of them first.
    let attributes = item.into_iter().map(|(name, value)| (name, Attribute(value)));
    T::deserialize(MapDeserializer::new(attributes)).map_err(|error| inconsistent(handle, &error))
}

/// The value of an attribute, as `serde_dynamo` reads it.
struct Attribute(AttributeValue);

impl IntoDeserializer<'_, serde_dynamo::Error> for Attribute {
    type Deserializer = serde_dynamo::Deserializer;

    fn into_deserializer(self) -> Self::Deserializer {
        serde_dynamo::Deserializer::from_attribute_value(self.0.into())
    }
}

/// What lists tell of the session that an item holds; `None` if it is over at `now`. As [`Session`] has it.
pub(super) fn to_summary(
    handle: &SessionHandle,
    item: Item,
    now: Timestamp,
) -> Result<Option<SessionSummary>, StoreError> {
    let item: SummaryItem = read(handle, item)?;
    let ends_at = item.absolute_end.map_or(item.expires_at, |end| end.min(item.expires_at));
    let summary = SessionSummary {
        handle: *handle,
        subject: Subject {
            user_id: item.user_id,
            recipe_user_id: item.recipe_user_id,
            tenant_id: item.tenant_id,
        },
        created_at: Timestamp::from_millis(item.created_at),
        expires_at: Timestamp::from_millis(ends_at),
        last_refreshed_at: instant(item.minted_at)
            .unwrap_or_else(|| Timestamp::from_millis(item.created_at)),
        last_used_by: item.last_used_by,
        device_bound: item.device_key.is_some() && item.device_pending != Some(true),
    };
    Ok(Some(summary).filter(|found| item.revoked_at.is_none() && found.expires_at > now))
}

/// The session that an item holds.
pub(super) fn to_session(handle: &SessionHandle, item: Item) -> Result<Session, StoreError> {
    let item: SessionItem = read(handle, item)?;
    let Some(current) = Generation::new(item.current) else {
        return Err(inconsistent(handle, &"generation 0"));
    };
    Ok(Session {
        handle: *handle,
        subject: Subject {
            user_id: item.user_id,
            recipe_user_id: item.recipe_user_id,
            tenant_id: item.tenant_id,
        },
        created_at: Timestamp::from_millis(item.created_at),
        refresh: RefreshState {
            current,
            parent: Generation::new(item.parent),
            spent: [item.spent1, item.spent2, item.spent3].map(Generation::new),
            displaced: Generation::new(item.displaced),
            chain: item.chain,
            moved: item.moved,
            minted_at: instant(item.minted_at),
            answered_at: instant(item.answered_at),
            reclaimed_at: instant(item.reclaimed_at),
            expires_at: Timestamp::from_millis(item.expires_at),
            absolute_end: item.absolute_end.map(Timestamp::from_millis),
            revoked_at: item.revoked_at.map(Timestamp::from_millis),
        },
        idle_ttl: item.idle_ttl.map(Duration::from_millis),
        access_token_ttl: item.access_token_ttl.map(Duration::from_millis),
        access_token_payload: item.access_token_payload,
        payload_size: PayloadSize {
            bound: item.payload_bytes,
            version: item.payload_version.unwrap_or_default(),
        },
        session_data: item.session_data,
        keeper: item.keeper,
        last_used_by: item.last_used_by,
        repeats: item.repeats,
        device_key: item.device_key,
        device_pending: item.device_pending.unwrap_or_default(),
        provider: item
            .provider_subject
            .map(|subject| ProviderKeys { subject, session: item.provider_session }),
        revocation: item.revocation,
    })
}

/// Whether the SDK knows the type of this attribute and of all that it holds; `serde_dynamo` panics
/// at others.
fn is_known(value: &AttributeValue) -> bool {
    if let Ok(values) = value.as_l() {
        values.iter().all(is_known)
    } else if let Ok(values) = value.as_m() {
        values.values().all(is_known)
    } else {
        !value.is_unknown()
    }
}

/// Devices, repeats, evidence, claims and data as attributes.
pub(super) fn value(
    handle: &SessionHandle,
    value: &impl Serialize,
) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(|error| inconsistent(handle, &error))
}

pub(super) fn in_millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}

/// 0 for none.
pub(super) fn number(generation: Option<Generation>) -> u32 {
    generation.map_or(0, Generation::number)
}

/// 0 for none.
pub(super) fn millis(instant: Option<Timestamp>) -> u64 {
    instant.map_or(0, Timestamp::as_millis)
}

fn instant(millis: u64) -> Option<Timestamp> {
    (millis != 0).then(|| Timestamp::from_millis(millis))
}

fn inconsistent(handle: &SessionHandle, problem: &impl ToString) -> StoreError {
    StoreError::Inconsistent { item: handle.to_string(), problem: problem.to_string() }
}
