//! Functions behind APIs, function URLs and load balancers, on [`lambda_http`].
//!
//! HTTP APIs with payload 2.0 and 1.0, function URLs, REST APIs and load balancers. [`headers()`] is the one
//! reading of headers and cookies, for their events and for an authorizer's.
//!
//! The published event types drop a whole header for one byte that HTTP does not allow, so a control
//! character in some other site's cookie would hide the session, and cookies beside an empty list of them.
//! Here every header, and every cookie in it, stands for itself.

mod answer;
mod event;
mod headers;

use std::fmt;

use lambda_http::request::RequestContext;
use lambda_http::tower::{Service, ServiceExt as _};
use lambda_http::{Error, LambdaEvent, Request, RequestExt as _, Response, service_fn};
use lambda_runtime::Diagnostic;
use serde_json::value::{RawValue, to_raw_value};

use self::answer::{Answer, joined};
pub use self::headers::headers;

/// Serves the function's invocations through an HTTP service, for as long as the process lives.
///
/// # Errors
///
/// What the runtime ends with.
pub async fn run<S>(service: S) -> Result<(), Error>
where
    S: Service<Request, Response = Response<String>> + Clone,
    S::Future: Send,
    S::Error: Into<Diagnostic> + fmt::Debug,
{
    lambda_runtime::run(service_fn(|event| Box::pin(invoke(service.clone(), event)))).await
}

/// Answers one event.
///
/// # Errors
///
/// `UnrecognisedEvent` if the event is none of an HTTP request, and what the service fails with.
pub async fn invoke<S>(
    service: S,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<Box<RawValue>, Diagnostic>
where
    S: Service<Request, Response = Response<String>>,
    S::Future: Send,
    S::Error: Into<Diagnostic>,
{
    let LambdaEvent { payload, context } = event;
    let (request, form) = event::read(payload.get(), context).ok_or_else(|| {
        let message = "the event is no HTTP request of an API, a function URL or a load balancer";
        fault("UnrecognisedEvent", message)
    })?;
    // On the heap, as the layers of an application may be many.
    let response = Box::pin(service.oneshot(request)).await.map_err(Into::into)?;
    let response = joined(response);
    let answer = to_raw_value(&Answer::new(&response, form));
    answer.map_err(|error| fault("UnwritableAnswer", &error.to_string()))
}

fn fault(error_type: &str, message: &str) -> Diagnostic {
    Diagnostic { error_type: error_type.to_owned(), error_message: message.to_owned() }
}

/// The address that a request came from, as the event says it.
#[must_use]
pub fn network(request: &Request) -> Option<String> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.clone(),
        RequestContext::ApiGatewayV1(context) => context.identity.source_ip.clone(),
        // A load balancer adds the address that it saw at the end of what the client sent.
        RequestContext::Alb(_) => {
            let list = request.headers().get_all("x-forwarded-for").iter().next_back()?;
            list.to_str().ok()?.rsplit(',').next().map(|address| address.trim().to_owned())
        }
        _ => None,
    }
}
