//! Any JSON as the event of a function behind HTTP: never a panic, never a session, always an answer that
//! says as much.
#![no_main]

use std::convert::Infallible;

use front_door::invoke;
use lambda_http::{Context, LambdaEvent, Request, Response, service_fn};
use libfuzzer_sys::fuzz_target;
use session::http::{VerifyOptions, verify};
use session::model::Timestamp;
use session_fuzz::{run, verifier};

async fn handle(request: Request) -> Result<Response<String>, Infallible> {
    let now = Timestamp::from_secs(4_102_444_800); // 2100: no token of the corpus is valid any more
    assert!(verify(verifier(), &request, VerifyOptions::default(), now).await.is_err());
    let mut response = Response::new(String::new());
    for name in ["set-cookie", "set-cookie", "x"] {
        response.headers_mut().append(name, http::HeaderValue::from_static("a=b"));
    }
    Ok(response)
}

fuzz_target!(|input: &[u8]| {
    if let Ok(event) = serde_json::from_slice(input)
        && let Ok(answer) =
            run(invoke(service_fn(handle), LambdaEvent::new(event, Context::default())))
    {
        assert_eq!(answer.to_string().matches("a=b").count(), 3);
    }
});
