//! Lambda's Invoke API, for code on this machine that invokes functions through an AWS SDK.
//!
//! It listens on the loopback interface alone, whatever the stack listens on, and asks for the
//! `Authorization` header that SDKs sign: a web page cannot send one here, since no preflight is granted.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::function::Function;

/// The functions that can be invoked, by name.
type Functions = [(&'static str, Function)];

/// The API, which answers once it is served.
#[derive(Debug)]
pub struct InvokeApi {
    listener: TcpListener,
    url: String,
}

impl InvokeApi {
    /// Takes a free port.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        Ok(Self { listener, url })
    }

    /// Offers these functions.
    ///
    /// # Errors
    ///
    /// What the server ends with.
    pub async fn serve(self, functions: Vec<(&'static str, Function)>) -> io::Result<()> {
        let functions: Arc<Functions> = functions.into();
        let app = Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .with_state(functions);
        axum::serve(self.listener, app).await
    }

    /// What `AWS_ENDPOINT_URL_LAMBDA` must say. Signatures are not checked.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// Waits for the answer, whatever `X-Amz-Invocation-Type` says.
async fn invoke(
    State(functions): State<Arc<Functions>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    payload: Bytes,
) -> Response<Body> {
    if !headers.contains_key(header::AUTHORIZATION) {
        let problem = "the request is not signed; send it through an AWS SDK";
        return refusal(StatusCode::FORBIDDEN, "MissingAuthenticationTokenException", problem);
    }
    let Some((_, function)) = functions.iter().find(|(known, _)| *known == name) else {
        let problem = format!("Function not found: {name}");
        return refusal(StatusCode::NOT_FOUND, "ResourceNotFoundException", &problem);
    };
    let Ok(event) = serde_json::from_slice::<Value>(&payload) else {
        let problem = "the payload is no JSON";
        return refusal(StatusCode::BAD_REQUEST, "InvalidRequestContentException", problem);
    };
    match function.invoke(event).await {
        Ok(answer) => Response::new(Body::from(answer.to_string())),
        Err(error) => {
            let mut response = Response::new(Body::from(json!(error).to_string()));
            let unhandled = header::HeaderValue::from_static("Unhandled");
            response.headers_mut().insert("x-amz-function-error", unhandled);
            response
        }
    }
}

fn refusal(status: StatusCode, kind: &'static str, problem: &str) -> Response<Body> {
    let body = json!({ "Type": "User", "Message": problem });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("x-amzn-errortype", header::HeaderValue::from_static(kind));
    response
}
