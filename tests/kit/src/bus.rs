//! An `EventBridge` bus behind the real SDK: takes what the service takes, keeps it, and breaks on demand.

use std::sync::{Arc, Mutex};

use aws_sdk_eventbridge::Client;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bootstrap::EventBus;
use local::dynamodb::sdk_config;
use serde_json::{Value, json};

use crate::iam::Iam;

/// Entries that one call may have.
const MAX_ENTRIES: usize = 10;

/// Bytes of all entries of one call together.
const MAX_BYTES: usize = 256 * 1024;

/// What the bus does with a call instead of taking it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BusFault {
    /// The connection breaks.
    ConnectionReset,
    /// Nothing is ever answered.
    Silence,
    /// 500 `InternalException`.
    ServerError,
    /// 400 `AccessDeniedException`.
    AccessDenied,
    /// 200, but the first entry is refused with `InternalFailure`.
    FirstEntryRefused,
}

/// The bus; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct Bus(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: Vec<Vec<Value>>,
    taken: Vec<Value>,
    faults: Vec<BusFault>,
    always: Option<BusFault>,
}

impl Bus {
    /// Name of the bus.
    pub const NAME: &'static str = "sessions";

    /// What ships, leading here.
    pub fn listener(&self) -> EventBus {
        EventBus::new(Client::new(&sdk_config(self.clone())), Self::NAME, false)
    }

    /// What ships with `EVENT_CONTEXT`, leading here.
    pub fn listener_with_context(&self) -> EventBus {
        EventBus::new(Client::new(&sdk_config(self.clone())), Self::NAME, true)
    }

    /// What ships, leading here through IAM.
    pub fn listener_through(&self, iam: &Iam) -> EventBus {
        EventBus::new(Client::new(&sdk_config(iam.before(self.clone()))), Self::NAME, false)
    }

    /// Breaks every call from now on, or none.
    pub fn break_all(&self, fault: Option<BusFault>) {
        self.0.lock().unwrap().always = fault;
    }

    /// Breaks the next call.
    pub fn break_next(&self, fault: BusFault) {
        self.0.lock().unwrap().faults.push(fault);
    }

    /// The events since the last call of this method: type and detail.
    pub fn take_events(&self) -> Vec<(String, Value)> {
        let taken = std::mem::take(&mut self.0.lock().unwrap().taken);
        let event = |entry: Value| {
            let detail = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
            (entry["DetailType"].as_str().unwrap().to_owned(), detail)
        };
        taken.into_iter().map(event).collect()
    }

    /// How many entries each call had since the last call of this method.
    pub fn take_calls(&self) -> Vec<usize> {
        let calls = std::mem::take(&mut self.0.lock().unwrap().calls);
        calls.iter().map(Vec::len).collect()
    }

    fn answer(&self, request: &HttpRequest) -> Option<Result<(u16, Value), ConnectorError>> {
        let refused = |status, kind: &str| Some(Ok((status, json!({ "__type": kind }))));
        if request.headers().get("x-amz-target") != Some("AWSEvents.PutEvents") {
            return refused(400, "UnknownOperationException");
        }
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let entries = body["Entries"].as_array().unwrap().clone();
        let mut state = self.0.lock().unwrap();
        state.calls.push(entries.clone());
        let scripted = (!state.faults.is_empty()).then(|| state.faults.remove(0));
        match scripted.or(state.always) {
            Some(BusFault::ConnectionReset) => {
                return Some(Err(ConnectorError::io("connection reset (injected)".into())));
            }
            Some(BusFault::Silence) => return None,
            Some(BusFault::ServerError) => return refused(500, "InternalException"),
            Some(BusFault::AccessDenied) => return refused(400, "AccessDeniedException"),
            Some(BusFault::FirstEntryRefused) => {
                let taken = entries.get(1..).unwrap();
                state.taken.extend(taken.iter().cloned());
                let mut results = vec![json!({ "ErrorCode": "InternalFailure" })];
                results.extend(taken.iter().map(|_| json!({ "EventId": "1" })));
                return Some(Ok((200, json!({ "FailedEntryCount": 1, "Entries": results }))));
            }
            None => {}
        }
        let bytes: usize = entries.iter().map(size).sum();
        if entries.is_empty() || entries.len() > MAX_ENTRIES || bytes > MAX_BYTES {
            return refused(400, "ValidationException");
        }
        let results: Vec<_> = entries.iter().map(result).collect();
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        state.taken.extend(entries);
        Some(Ok((200, json!({ "FailedEntryCount": failed, "Entries": results }))))
    }
}

/// As the service counts: source, type and detail.
fn size(entry: &Value) -> usize {
    let length = |member: &str| entry[member].as_str().map_or(0, str::len);
    length("Source") + length("DetailType") + length("Detail")
}

fn result(entry: &Value) -> Value {
    let detail = entry["Detail"].as_str().and_then(|text| serde_json::from_str(text).ok());
    if entry["EventBusName"] != Bus::NAME {
        json!({ "ErrorCode": "ResourceNotFoundException" })
    } else if !detail.is_some_and(|detail: Value| detail.is_object()) {
        json!({ "ErrorCode": "MalformedDetail" })
    } else if entry["Source"].as_str().is_none() || entry["DetailType"].as_str().is_none() {
        json!({ "ErrorCode": "InvalidArgument" })
    } else {
        json!({ "EventId": "1" })
    }
}

impl HttpConnector for Bus {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match self.answer(&request) {
            None => HttpConnectorFuture::new(std::future::pending()),
            Some(answer) => HttpConnectorFuture::ready(answer.map(|(status, body)| {
                HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body.to_string()))
            })),
        }
    }
}
