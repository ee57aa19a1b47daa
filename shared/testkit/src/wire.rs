//! Between the SDK and the embedded engine: counts requests and capacity, and breaks on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use local::dynamodb::Embedded;
use serde_json::Value;

/// One request that reached the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Such as `UpdateItem`.
    pub operation: String,
    /// Capacity units the engine reported; none if it refused or was not reached.
    pub units: Option<f64>,
    /// HTTP status of the answer; 0 if the connection broke.
    pub status: u16,
}

/// What happens to a request instead of the usual.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The connection breaks before the engine sees the request.
    ConnectionReset,
    /// The attempt times out before the engine sees the request.
    Timeout,
    /// The engine applies the request, and its answer is lost.
    AppliedButReset,
    /// The engine applies the request, and 500 is answered.
    AppliedButServerError,
    /// 400 `ProvisionedThroughputExceededException`.
    Throttled,
    /// 500 `InternalServerError`, nothing applied.
    ServerError,
    /// 503 without a body, nothing applied.
    Unavailable,
    /// 400 `ResourceNotFoundException`: the table is missing.
    TableMissing,
    /// 400 `AccessDeniedException`.
    AccessDenied,
}

/// An HTTP client for the SDK that leads to an embedded engine; clones share everything.
#[derive(Clone, Debug)]
pub struct Wire {
    engine: Embedded,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Call>,
    script: VecDeque<Option<Fault>>,
    always: Option<Fault>,
}

impl Wire {
    /// A wire to a fresh engine in memory.
    pub fn new() -> Self {
        Self { engine: Embedded::in_memory().unwrap(), state: Arc::default() }
    }

    /// The engine behind the wire.
    pub fn engine(&self) -> &Embedded {
        &self.engine
    }

    /// Breaks every request from now on, or none.
    pub fn break_all(&self, fault: Option<Fault>) {
        self.state.lock().unwrap().always = fault;
    }

    /// What happens to the next requests, in order; `None` lets one through.
    pub fn script(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.state.lock().unwrap().script = faults.into_iter().collect();
    }

    /// The requests since the last call of this method.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        state.script.pop_front().flatten().or(state.always)
    }

    /// Asks the engine, with capacity reported whatever the caller asked for.
    fn apply(&self, target: &str, body: &[u8]) -> (u16, String, Option<f64>) {
        let body = match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(mut request)) => {
                request.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
                serde_json::to_vec(&request).unwrap()
            }
            _ => body.to_vec(),
        };
        let (status, answer) = self.engine.answer(target, &body);
        let parsed: Value = serde_json::from_str(&answer).unwrap_or_default();
        let units = match parsed.get("ConsumedCapacity") {
            Some(Value::Array(tables)) => {
                Some(tables.iter().filter_map(|t| t["CapacityUnits"].as_f64()).sum())
            }
            Some(one) => one["CapacityUnits"].as_f64(),
            None => None,
        };
        (status, answer, units)
    }
}

impl Default for Wire {
    fn default() -> Self {
        Self::new()
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default().to_owned();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let apply = || self.apply(&target, request.body().bytes().unwrap_or_default());
        let error =
            |kind: &str| format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}"}}"#);
        let refused = |status, kind| (status, error(kind), None);
        let answer = match self.next_fault() {
            None => Some(apply()),
            Some(Fault::ConnectionReset | Fault::Timeout) => None,
            Some(Fault::AppliedButReset) => {
                apply();
                None
            }
            Some(Fault::AppliedButServerError) => {
                apply();
                Some(refused(500, "InternalServerError"))
            }
            Some(Fault::Throttled) => Some(refused(400, "ProvisionedThroughputExceededException")),
            Some(Fault::ServerError) => Some(refused(500, "InternalServerError")),
            Some(Fault::Unavailable) => Some((503, String::new(), None)),
            Some(Fault::TableMissing) => Some(refused(400, "ResourceNotFoundException")),
            Some(Fault::AccessDenied) => Some(refused(400, "AccessDeniedException")),
        };
        let (status, units) =
            answer.as_ref().map_or((0, None), |(status, _, units)| (*status, *units));
        self.state.lock().unwrap().calls.push(Call { operation, units, status });
        HttpConnectorFuture::ready(match answer {
            Some((status, body, _)) => {
                Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body)))
            }
            None => Err(ConnectorError::io("connection reset (injected)".into())),
        })
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
