//! A function URL: every request below it goes to one function, without a gateway in between.

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use serde_json::{Map, json};

use crate::event::{self, Incoming, LOCAL};
use crate::function::Function;

/// A function and where its URL is.
#[derive(Debug)]
pub(crate) struct FunctionUrl {
    path: &'static str,
    function: Function,
}

impl FunctionUrl {
    /// On AWS the function has a host to itself; here it is below a path.
    pub(crate) const fn new(path: &'static str, function: Function) -> Self {
        Self { path, function }
    }

    /// Answers a request below the path; `None` for every other.
    pub(crate) async fn handle(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let request = self.below(request)?;
        let incoming = Incoming {
            api: LOCAL,
            request: &request,
            route_key: "$default",
            path_parameters: Map::new(),
        };
        // Who can reach this machine counts as let in by IAM.
        let authorizer = json!({ "iam": { "userArn": "arn:aws:iam::123456789012:user/local" } });
        let answer = self.function.invoke(incoming.integration_event(Some(authorizer))).await;
        let response = answer.ok().and_then(event::response);
        Some(response.unwrap_or_else(|| {
            tracing::error!("a function behind a URL failed");
            let mut response = Response::new(Bytes::from_static(b"Internal Server Error"));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }))
    }

    /// The request as the function would get it on AWS.
    fn below(&self, request: &Request<Bytes>) -> Option<Request<Bytes>> {
        let path = request.uri().path().strip_prefix(self.path)?;
        if !path.is_empty() && !path.starts_with('/') {
            return None;
        }
        let path = if path.is_empty() { "/" } else { path };
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        let mut below = request.clone();
        *below.uri_mut() = format!("{path}{query}").parse::<Uri>().ok()?;
        Some(below)
    }
}
