//! Any answer of the table to a read: never a panic, and only a complete item of our format is a session.
#![no_main]

use std::sync::{LazyLock, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use libfuzzer_sys::fuzz_target;
use session::model::SessionHandle;
use session::store::{DynamoDb, SessionReader as _};
use session_fuzz::run;

/// What the table answers next.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static STORE: LazyLock<DynamoDb> = LazyLock::new(|| {
    let connector = SharedHttpConnector::new(Answers);
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(Credentials::new("example", "example", None, None, "fuzz"))
        .retry_config(RetryConfig::disabled())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    DynamoDb::new(Client::from_conf(config), "public", "Sessions", "Keys")
});

#[derive(Debug)]
struct Answers;

impl HttpConnector for Answers {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let status = 200.try_into().expect("200 is a status");
        let body = ANSWER.lock().expect("one thread").clone();
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}

fuzz_target!(|input: &[u8]| {
    *ANSWER.lock().expect("one thread") = input.to_vec();
    let handle = SessionHandle::from_bytes([1; SessionHandle::LEN]);
    if let Ok(Some(session)) = run(STORE.session(&handle)) {
        assert_eq!(session.handle, handle);
    }
});
