//! Between the SDK and the embedded engine: counts requests and capacity, and breaks on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
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
    /// The attempt times out before the engine sees the request; reported at once.
    Timeout,
    /// Nothing is ever answered and the engine never sees the request: only time-outs end it.
    Silence,
    /// The engine applies the request, and nothing is ever answered.
    AppliedButSilence,
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

/// How one request fares when a function decides ([`Wire::govern`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct Treatment {
    /// How long the request is under way. It arrives even if the caller has given up by then.
    pub there: Duration,
    /// What happens to it instead of the usual.
    pub fault: Option<Fault>,
    /// How long the answer is under way.
    pub back: Duration,
}

type Governor = Box<dyn FnMut(&str) -> Treatment + Send>;

/// An HTTP client for the SDK that leads to an embedded engine; clones share everything.
#[derive(Clone, Debug)]
pub struct Wire {
    engine: Embedded,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    answered: usize,
    script: VecDeque<Option<Fault>>,
    always: Option<Fault>,
    governor: Option<Governor>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("calls", &self.calls).finish_non_exhaustive()
    }
}

/// What comes back on the wire.
enum Outcome {
    Answered { status: u16, body: String, units: Option<f64> },
    Broken,
    Silent,
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

    /// Lets a function decide on every request from now on, by operation. Instead of scripts; such
    /// requests are neither listed nor metered, so that millions of them cost no more than they must.
    pub fn govern(&self, governor: impl FnMut(&str) -> Treatment + Send + 'static) {
        self.state.lock().unwrap().governor = Some(Box::new(governor));
    }

    /// The requests since the last call of this method.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    /// The bytes of all answers so far.
    pub fn answered(&self) -> usize {
        self.state.lock().unwrap().answered
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        state.script.pop_front().flatten().or(state.always)
    }

    /// Asks the engine, with capacity reported whatever the caller asked for.
    fn metered(&self, target: &str, body: &[u8]) -> Outcome {
        let body = match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(mut request)) => {
                request.insert("ReturnConsumedCapacity".to_owned(), "TOTAL".into());
                serde_json::to_vec(&request).unwrap()
            }
            _ => body.to_vec(),
        };
        let (status, body) = self.engine.answer(target, &body);
        let parsed: Value = serde_json::from_str(&body).unwrap_or_default();
        let units = match parsed.get("ConsumedCapacity") {
            Some(Value::Array(tables)) => {
                Some(tables.iter().filter_map(|t| t["CapacityUnits"].as_f64()).sum())
            }
            Some(one) => one["CapacityUnits"].as_f64(),
            None => None,
        };
        Outcome::Answered { status, body, units }
    }

    /// Passes a request through a governor's hands.
    fn governed(&self, treatment: Treatment, target: String, body: Vec<u8>) -> HttpConnectorFuture {
        let Treatment { there, fault, back } = treatment;
        let engine = self.engine.clone();
        let arrive = move || {
            outcome(fault, || {
                let (status, body) = engine.answer(&target, &body);
                Outcome::Answered { status, body, units: None }
            })
        };
        HttpConnectorFuture::new(async move {
            let outcome = if there.is_zero() {
                arrive()
            } else {
                // On its own, because what is on the wire arrives whether or not anybody waits.
                let arrival = async move {
                    tokio::time::sleep(there).await;
                    arrive()
                };
                tokio::spawn(arrival).await.unwrap()
            };
            if !back.is_zero() {
                tokio::time::sleep(back).await;
            }
            received(outcome).await
        })
    }
}

/// What a fault makes of a request; `apply` lets the engine have it.
fn outcome(fault: Option<Fault>, apply: impl FnOnce() -> Outcome) -> Outcome {
    let refused = |status, kind: &str| {
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{kind}"}}"#);
        Outcome::Answered { status, body, units: None }
    };
    match fault {
        None => apply(),
        Some(Fault::ConnectionReset | Fault::Timeout) => Outcome::Broken,
        Some(Fault::Silence) => Outcome::Silent,
        Some(Fault::AppliedButReset) => {
            apply();
            Outcome::Broken
        }
        Some(Fault::AppliedButSilence) => {
            apply();
            Outcome::Silent
        }
        Some(Fault::AppliedButServerError) => {
            apply();
            refused(500, "InternalServerError")
        }
        Some(Fault::Throttled) => refused(400, "ProvisionedThroughputExceededException"),
        Some(Fault::ServerError) => refused(500, "InternalServerError"),
        Some(Fault::Unavailable) => {
            Outcome::Answered { status: 503, body: String::new(), units: None }
        }
        Some(Fault::TableMissing) => refused(400, "ResourceNotFoundException"),
        Some(Fault::AccessDenied) => refused(400, "AccessDeniedException"),
    }
}

/// What the SDK gets to see.
async fn received(outcome: Outcome) -> Result<HttpResponse, ConnectorError> {
    match outcome {
        Outcome::Answered { status, body, .. } => {
            Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body)))
        }
        Outcome::Broken => Err(ConnectorError::io("connection reset (injected)".into())),
        Outcome::Silent => std::future::pending().await,
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
        let body = request.body().bytes().unwrap_or_default();
        let treatment =
            self.state.lock().unwrap().governor.as_mut().map(|govern| govern(&operation));
        if let Some(treatment) = treatment {
            let body = body.to_vec();
            return self.governed(treatment, target, body);
        }
        let outcome = outcome(self.next_fault(), || self.metered(&target, body));
        let (status, units, bytes) = match &outcome {
            Outcome::Answered { status, units, body } => (*status, *units, body.len()),
            Outcome::Broken | Outcome::Silent => (0, None, 0),
        };
        let mut state = self.state.lock().unwrap();
        state.calls.push(Call { operation, units, status });
        state.answered += bytes;
        drop(state);
        HttpConnectorFuture::new(received(outcome))
    }
}
