//! Session events on an `EventBridge` bus; docs/events.md has their schema.

use std::error::Error;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::error::DisplayErrorContext;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::{Value, json};
use session::model::{Clock as _, SessionHandle};
use session::service::{Listener, RevocationCause, SessionEvent, Told};

use crate::SystemClock;
use crate::metrics::{self, place};

/// The `source` of all our events.
pub const EVENT_SOURCE: &str = "sesam";

/// The metric that counts events which did not reach the bus.
const EVENT_LOST: &str = "EventLost";

/// Handles in one entry: 40 KB, so that a call's entries stay below the limit of 256 KB together.
const HANDLES_PER_ENTRY: usize = 1000;

/// Entries in one call; `EventBridge` takes 10.
const ENTRIES_PER_CALL: usize = 5;

/// How often an entry is put that the bus refuses by itself, which the SDK does not try again.
const ATTEMPTS: usize = 3;

/// Puts every event on a bus.
#[derive(Clone, Debug)]
pub struct EventBus {
    client: Client,
    // Printable: a setting.
    name: String,
    with_context: bool,
}

impl EventBus {
    /// The bus of that name or ARN; whether events go there with their context.
    #[must_use]
    pub fn new(client: Client, name: impl Into<String>, with_context: bool) -> Self {
        Self { client, name: name.into(), with_context }
    }

    async fn put(&self, event: &SessionEvent) -> Result<(), Box<dyn Error + Send + Sync>> {
        for call in self.entries(event).chunks(ENTRIES_PER_CALL) {
            self.put_call(call.to_vec()).await?;
        }
        Ok(())
    }

    async fn put_call(
        &self,
        mut entries: Vec<PutEventsRequestEntry>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut refused_with = None;
        for _ in 0..ATTEMPTS {
            let call = self.client.put_events().set_entries(Some(entries.clone())).send();
            let answer = call.await.map_err(|error| DisplayErrorContext(error).to_string())?;
            if answer.failed_entry_count() == 0 {
                return Ok(());
            }
            // The answer has one result for each entry, in order.
            let (results, put) = (answer.entries(), std::mem::take(&mut entries));
            let refused = put.into_iter().zip(results).filter(|(_, it)| it.error_code().is_some());
            entries = refused.map(|(entry, _)| entry).collect();
            refused_with = results.iter().find_map(|result| result.error_code().map(str::to_owned));
        }
        Err(format!("the bus refused {} entries: {refused_with:?}", entries.len()).into())
    }

    fn entries(&self, event: &SessionEvent) -> Vec<PutEventsRequestEntry> {
        let (detail_type, details) = describe(event);
        let context = if self.with_context { context(event) } else { None };
        let entry = |mut detail: Value| {
            if let (Some(context), Some(members)) = (&context, detail.as_object_mut()) {
                members.insert("context".to_owned(), context.clone());
            }
            PutEventsRequestEntry::builder()
                .event_bus_name(&self.name)
                .source(EVENT_SOURCE)
                .detail_type(detail_type)
                .detail(detail.to_string())
                .build()
        };
        details.into_iter().map(entry).collect()
    }
}

impl Listener for EventBus {
    fn notify<'a>(&'a self, event: &'a SessionEvent) -> Told<'a> {
        Box::pin(async move {
            let put = self.put(event).await;
            if put.is_err() {
                metrics::count(EVENT_LOST, SystemClock.now());
            }
            put
        })
    }
}

/// The type of an event and its details; several only for more handles than fit into one.
fn describe(event: &SessionEvent) -> (&'static str, Vec<Value>) {
    match event {
        SessionEvent::Created { handle, user_id, tenant_id, expires_at, .. } => {
            let detail = json!({
                "sessionHandle": handle.to_string(),
                "userId": user_id,
                "tenantId": tenant_id,
                "expiresAt": expires_at.as_millis(),
            });
            ("Session Created", vec![detail])
        }
        SessionEvent::Refreshed {
            handle,
            user_id,
            tenant_id,
            outcome,
            expires_at,
            device,
            repeats,
            ..
        } => {
            let detail = json!({
                "sessionHandle": handle.to_string(),
                "userId": user_id,
                "tenantId": tenant_id,
                "outcome": outcome.name(),
                "expiresAt": expires_at.as_millis(),
                "askedBy": place(device),
                "repeats": repeats,
            });
            ("Session Refreshed", vec![detail])
        }
        SessionEvent::Revoked { handles, user_id, cause } => {
            let detail = |handles: &[SessionHandle]| {
                let handles: Vec<_> = handles.iter().map(ToString::to_string).collect();
                json!({ "sessionHandles": handles, "userId": user_id, "cause": name(*cause) })
            };
            ("Sessions Revoked", handles.chunks(HANDLES_PER_ENTRY).map(detail).collect())
        }
        SessionEvent::ReuseDetected(reuse) => {
            ("Refresh Token Reuse Detected", vec![metrics::evidence(reuse)])
        }
        SessionEvent::DeviceBound { handle, user_id, tenant_id, key, device, .. } => {
            let detail = json!({
                "sessionHandle": handle.to_string(),
                "userId": user_id,
                "tenantId": tenant_id,
                "kind": key.kind.name(),
                "thumbprint": key.jkt(),
                "askedBy": place(device),
            });
            ("Device Bound", vec![detail])
        }
        SessionEvent::DeviceBindingLost { handle, key, device } => {
            let detail = json!({
                "sessionHandle": handle.to_string(),
                "kind": key.kind.name(),
                "thumbprint": key.jkt(),
                "askedBy": place(device),
            });
            ("Device Binding Lost", vec![detail])
        }
        // One for each request would be too many; they are counted.
        SessionEvent::TokenProofMissing { .. } => ("Token Proof Missing", Vec::new()),
        SessionEvent::DeviceProofMissing { lack, is_served } => {
            ("Device Proof Missing", vec![metrics::unproved(lack, *is_served)])
        }
    }
}

/// What a risk engine wants to know beside the event: who asked and who refreshed last before, in what they
/// differ, and how sure one can be of the session. `None` for events that no request of the session's causes,
/// and for those that are not told.
fn context(event: &SessionEvent) -> Option<Value> {
    let (asked_by, last_used_by, assurance) = match event {
        SessionEvent::Created { device, assurance, .. } => (device, None, Some(assurance)),
        SessionEvent::Refreshed { device, last_used_by, assurance, .. }
        | SessionEvent::DeviceBound { device, last_used_by, assurance, .. } => {
            (device, Some(last_used_by), Some(assurance))
        }
        SessionEvent::ReuseDetected(reuse) => {
            (&reuse.presented_by, Some(&reuse.last_used_by), Some(&reuse.assurance))
        }
        SessionEvent::DeviceProofMissing { lack, .. } => {
            (&lack.asked_by, Some(&lack.last_used_by), Some(&lack.assurance))
        }
        SessionEvent::DeviceBindingLost { device, .. } => (device, None, None),
        SessionEvent::Revoked { .. } | SessionEvent::TokenProofMissing { .. } => return None,
    };
    let mut context = json!({ "askedBy": asked_by });
    let members = context.as_object_mut()?;
    if let Some(last_used_by) = last_used_by {
        members.insert("lastUsedBy".to_owned(), json!(last_used_by));
        members.insert("changed".to_owned(), json!(last_used_by.changes(asked_by)));
    }
    if let Some(assurance) = assurance {
        members.insert("deviceBound".to_owned(), assurance.device_bound.into());
        members.insert("authentication".to_owned(), assurance.authentication.clone().into());
    }
    Some(context)
}

const fn name(cause: RevocationCause) -> &'static str {
    match cause {
        RevocationCause::SignedOut => "SignedOut",
        RevocationCause::ByHandle => "ByHandle",
        RevocationCause::ByUser => "ByUser",
        RevocationCause::ByTenant => "ByTenant",
        RevocationCause::Everybody => "Everybody",
        RevocationCause::ByProvider => "ByProvider",
        RevocationCause::OverLimit => "OverLimit",
    }
}
