//! A protected route of an application: a handler behind the layer, over the table of a whole stack.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use session::Sessions;
use session::http::{RequestSession, RouteOptions, VerifySession};
use session::service::BoxError;
use session::store::DynamoDb;
use testkit::Harness;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use crate::effects::{Answer, Effects, answer, read};

/// What handlers get to see.
pub(crate) type Session = RequestSession<DynamoDb>;

/// What handlers answer with.
pub(crate) type Handled = Result<Response<String>, BoxError>;

/// A service with test keys over the stack's table, to register claims and validators on.
pub(crate) fn sessions(stack: &Harness) -> Sessions<DynamoDb> {
    Sessions::new(stack.config.clone(), stack.store.clone())
}

/// The layer with default options.
pub(crate) fn layer(stack: &Harness) -> VerifySession<DynamoDb> {
    layer_over(stack, sessions(stack))
}

pub(crate) fn layer_over(stack: &Harness, sessions: Sessions<DynamoDb>) -> VerifySession<DynamoDb> {
    VerifySession::new(Arc::new(sessions), stack.clock.clone())
}

/// The application's own answer.
pub(crate) fn app(effects: Effects) -> Answer {
    Answer { others: vec![], ..answer(200, "app", effects) }
}

pub(crate) fn ok() -> Handled {
    Ok(Response::new("app".to_owned()))
}

/// Sends a request through the layer to a handler that is given the session, if there is one.
pub(crate) async fn send<F>(
    layer: &VerifySession<DynamoDb>,
    (method, path): (Method, &str),
    headers: &[(&str, &str)],
    handler: impl Fn(Option<Session>) -> F + Clone + Send + 'static,
) -> Result<Response<Bytes>, BoxError>
where
    F: Future<Output = Handled> + Send + 'static,
{
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let handler = service_fn(move |request: Request<String>| handler(Session::of(&request).ok()));
    let mut service = layer.layer(handler);
    let request = request.body(String::new()).unwrap();
    let response = service.ready().await?.call(request).await?;
    Ok(response.map(Bytes::from))
}

/// As [`send`], a GET; what the answer does, in the words of contract §0.3.
pub(crate) async fn get<F>(
    stack: &Harness,
    layer: &VerifySession<DynamoDb>,
    headers: &[(&str, &str)],
    handler: impl Fn(Option<Session>) -> F + Clone + Send + 'static,
) -> Answer
where
    F: Future<Output = Handled> + Send + 'static,
{
    let response = send(layer, (Method::GET, "/orders"), headers, handler).await.unwrap();
    read(stack, response).await
}

/// A handler that says whether it was reached, and does nothing.
pub(crate) async fn plain(_: Option<Session>) -> Handled {
    ok()
}

/// Options that ask the table.
pub(crate) fn strict(check: session::service::DatabaseCheck) -> RouteOptions {
    RouteOptions::default().check_database(check)
}
