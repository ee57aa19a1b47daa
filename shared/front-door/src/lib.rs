//! What stands in front of a function: its events as HTTP requests, and answers in the form that it reads.
//!
//! HTTP APIs with payload 2.0 and 1.0, function URLs, REST APIs and load balancers. [`headers()`] is the one
//! reading of headers and cookies, for these events and for an authorizer's.
//!
//! The published event types drop a whole header for one byte that HTTP does not allow, so a control
//! character in some other site's cookie would hide the session. Here every header, and every cookie in it,
//! stands for itself.

mod answer;
mod headers;
mod request;

use std::fmt;
use std::pin::Pin;

use bytes::Bytes;
use lambda_runtime::tower::{Service, ServiceExt as _};
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::Value;

pub use lambda_runtime::{Error, service_fn, tower};

pub use self::answer::Answer;
pub use self::headers::{Members, headers};
pub use self::request::RequestContext;

/// What a function is asked.
pub type Request = http::Request<Bytes>;

/// What it answers.
pub type Response = http::Response<String>;

/// Serves the function's invocations through an HTTP service, for as long as the process lives.
///
/// # Errors
///
/// What the runtime ends with.
pub async fn run<S>(service: S) -> Result<(), Error>
where
    S: Service<Request, Response = Response> + Clone,
    S::Error: Into<Diagnostic> + fmt::Debug,
{
    let handler = |event: LambdaEvent<Value>| -> Pin<Box<dyn Future<Output = _>>> {
        let service = service.clone();
        // Boxed, or what the runtime wraps around it nests deeper than the compiler follows.
        Box::pin(async move { invoke(service, &event.payload).await })
    };
    lambda_runtime::run(service_fn(handler)).await
}

/// Answers one event.
///
/// # Errors
///
/// `UnrecognisedEvent` if the event is none of an HTTP request, and what the service fails with.
pub async fn invoke<S>(service: S, event: &Value) -> Result<Answer, Diagnostic>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<Diagnostic>,
{
    let Some((request, form)) = request::recognise(event) else {
        return Err(Diagnostic {
            error_type: "UnrecognisedEvent".to_owned(),
            error_message:
                "the event is no HTTP request of an API, a function URL or a load balancer"
                    .to_owned(),
        });
    };
    let response = service.oneshot(request).await.map_err(Into::into)?;
    Ok(Answer::new(response, form))
}
