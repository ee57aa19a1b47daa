//! Lambda's Runtime API, by which one process asks for events and says what came of them
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use lambda_runtime::Diagnostic;
use serde_json::{Value, json};
use session::model::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Invoked, fault};

/// What a function may answer, in bytes (Lambda quota).
const MAX_ANSWER_BYTES: usize = 6 * 1024 * 1024;

/// One invocation, as the process gets it.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) function_arn: String,
    pub(super) trace_id: String,
    pub(super) deadline: Timestamp,
    pub(super) payload: Value,
    /// Where the process's answer goes.
    pub(super) answer: oneshot::Sender<Invoked>,
}

/// What a process says of itself: it waits for an event, which goes here, or it could not start.
pub(super) type Ready = Result<oneshot::Sender<Event>, Diagnostic>;

/// The API of one process, on a loopback port of its own; it ends when it is dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    /// What `AWS_LAMBDA_RUNTIME_API` must say.
    pub(super) address: SocketAddr,
    /// One for each `next`, which is not answered before there is an event.
    pub(super) ready: mpsc::Receiver<Ready>,
    server: JoinHandle<io::Result<()>>,
}

/// What the requests of one process share.
struct Process {
    ready: mpsc::Sender<Ready>,
    asked: Mutex<Option<Asked>>,
}

/// An invocation that is not answered yet: its id, and where the answer goes.
type Asked = (String, oneshot::Sender<Invoked>);

impl RuntimeApi {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (says, ready) = mpsc::channel(1);
        let api = Router::new()
            .route("/invocation/next", get(next))
            .route("/invocation/{id}/response", post(response))
            .route("/invocation/{id}/error", post(error))
            .route("/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(MAX_ANSWER_BYTES))
            .with_state(Arc::new(Process { ready: says, asked: Mutex::default() }));
        let api = Router::new().nest("/2018-06-01/runtime", api);
        let server = tokio::spawn(async move { axum::serve(listener, api).await });
        Ok(Self { address, ready, server })
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(process): State<Arc<Process>>) -> Response {
    let (give, event) = oneshot::channel();
    let (Ok(()), Ok(event)) = (process.ready.send(Ok(give)).await, event.await) else {
        return refusal(StatusCode::GONE, "Runtime.Ended", "nobody waits for this process");
    };
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", event.id.clone()),
        ("lambda-runtime-deadline-ms", event.deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", event.function_arn),
        ("lambda-runtime-trace-id", event.trace_id),
    ];
    *process.asked() = Some((event.id, event.answer));
    (headers, event.payload.to_string()).into_response()
}

async fn response(
    State(process): State<Arc<Process>>,
    Path(id): Path<String>,
    answer: Bytes,
) -> Response {
    process.answered(&id, serde_json::from_slice(&answer).map_err(|error| fault(&error)))
}

async fn error(
    State(process): State<Arc<Process>>,
    Path(id): Path<String>,
    error: Bytes,
) -> Response {
    process.answered(&id, Err(reported(&error)))
}

async fn init_error(State(process): State<Arc<Process>>, error: Bytes) -> Response {
    let _ = process.ready.send(Err(reported(&error))).await;
    accepted()
}

impl Process {
    fn answered(&self, id: &str, invoked: Invoked) -> Response {
        let Some((_, answer)) = self.asked().take_if(|(asked, _)| asked == id) else {
            return refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
        };
        let _ = answer.send(invoked);
        accepted()
    }

    fn asked(&self) -> MutexGuard<'_, Option<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error as runtimes report it; what is none is told as it is.
fn reported(error: &[u8]) -> Diagnostic {
    serde_json::from_slice(error).unwrap_or_else(|_| Diagnostic {
        error_type: "Runtime.Unknown".to_owned(),
        error_message: String::from_utf8_lossy(error).into_owned(),
    })
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, r#"{"status":"OK"}"#).into_response()
}

fn refusal(status: StatusCode, kind: &str, problem: &str) -> Response {
    let body = json!({ "errorType": kind, "errorMessage": problem });
    (status, body.to_string()).into_response()
}
