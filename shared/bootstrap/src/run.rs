//! Serves a function's invocations for as long as the process lives.

use std::fmt::Debug;

use lambda_http::lambda_runtime::{self, Diagnostic};
use lambda_http::tower::Service;
use lambda_http::{Error, LambdaEvent, Request, Response, service_fn};
use serde::{Deserialize, Serialize};

/// Serves a function that is invoked with events, observed where telemetry is built in and on.
///
/// # Errors
///
/// What the runtime ends with.
pub async fn run<E, A, S>(handler: S) -> Result<(), Error>
where
    E: for<'de> Deserialize<'de>,
    A: Serialize,
    S: Service<LambdaEvent<E>, Response = A>,
    S::Error: Into<Diagnostic> + Debug,
{
    #[cfg(feature = "otel")]
    if let Some(telemetry) = crate::telemetry::get() {
        use lambda_runtime::layers::TracingLayer;
        let runtime = lambda_runtime::Runtime::new(handler).layer(TracingLayer::new());
        return runtime.layer(crate::telemetry::Observe(telemetry)).run().await;
    }
    lambda_runtime::run(handler).await
}

/// As [`run`], of a function behind HTTP, as [`front_door`] translates both ways.
///
/// # Errors
///
/// As [`run`].
pub async fn serve<S>(service: S) -> Result<(), Error>
where
    S: Service<Request, Response = Response<String>> + Clone,
    S::Future: Send,
    S::Error: Into<Diagnostic> + Debug,
{
    #[cfg(feature = "otel")]
    let service = lambda_http::tower::ServiceExt::map_response(service, crate::telemetry::answered);
    run(service_fn(|event| Box::pin(front_door::invoke(service.clone(), event)))).await
}
