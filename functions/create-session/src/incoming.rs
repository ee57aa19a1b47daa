//! The request that the client sent to the caller.

use serde_json::{Map, Value, json};

use crate::input::Members;
use crate::refusal::Refusal;

/// The event that it came as; `None` if the caller says nothing of it.
pub(crate) fn take(said: &mut Members) -> Result<Option<Value>, Refusal> {
    match (said.object("event")?, said.object("headers")?) {
        (Some(event), None) => Ok(Some(event.into())),
        (None, Some(headers)) => Ok(Some(with_headers(&headers))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Refusal::input("send event or headers: each has the request's headers"))
        }
    }
}

/// A request with these headers, each value a text or a list of texts, as an HTTP API's event.
pub(crate) fn with_headers(headers: &Map<String, Value>) -> Value {
    json!({
        "version": "2.0",
        "rawPath": "/",
        "requestContext": { "http": { "method": "POST" } },
        "multiValueHeaders": headers,
        "headers": headers,
    })
}
