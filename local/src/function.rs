//! Lambda functions: an event in, an answer out, a panic contained.

mod process;
mod runtime_api;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use lambda_http::tower::Service;
use lambda_http::{Context, LambdaEvent, Request, Response, service_fn};
use lambda_runtime::Diagnostic;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::process::{Language, Program, Sandbox};
pub use self::runtime_api::RuntimeApi;

/// What an invocation ends with: the function's answer, or the error that Lambda reports.
pub type Invoked = Result<Value, Diagnostic>;

type Invocation = Pin<Box<dyn Future<Output = Invoked> + Send>>;

/// A function that can be invoked with an event.
#[derive(Clone)]
pub struct Function(Arc<dyn Fn(Value) -> Invocation + Send + Sync>);

impl Function {
    /// A function on the plain runtime.
    pub fn new<E, A, F, R, D>(handler: F) -> Self
    where
        E: DeserializeOwned + Send + 'static,
        A: Serialize,
        F: Fn(E) -> R + Send + Sync + 'static,
        R: Future<Output = Result<A, D>> + Send + 'static,
        D: Into<Diagnostic>,
    {
        let handler = Arc::new(handler);
        Self(Arc::new(move |event| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let event = serde_json::from_value(event).map_err(|error| fault(&error))?;
                let answer = handler(event).await.map_err(Into::into)?;
                serde_json::to_value(answer).map_err(|error| fault(&error))
            })
        }))
    }

    /// A function behind an HTTP API, through the same translation both ways as when it is deployed.
    pub fn http<F, R>(handler: F) -> Self
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Response<String>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        Self::service(service_fn(move |request| {
            let handler = Arc::clone(&handler);
            async move { Ok::<_, Infallible>(handler(request).await) }
        }))
    }

    /// As [`Self::http`], of a service, which may have layers.
    pub fn service<S>(service: S) -> Self
    where
        S: Service<Request, Response = Response<String>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<Diagnostic> + Send,
    {
        Self::new(move |event| {
            front_door::invoke(service.clone(), LambdaEvent::new(event, Context::default()))
        })
    }

    /// Invokes the function; a panic becomes an error, as the runtime does it.
    ///
    /// # Errors
    ///
    /// What Lambda would report.
    pub async fn invoke(&self, event: Value) -> Invoked {
        match tokio::spawn((self.0)(event)).await {
            Ok(invoked) => invoked,
            Err(error) => Err(fault(&error)),
        }
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Function")
    }
}

fn fault(error: &dyn std::error::Error) -> Diagnostic {
    Diagnostic { error_type: "Runtime".to_owned(), error_message: error.to_string() }
}
