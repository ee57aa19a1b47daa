//! Private keys that are sealed by KMS: the real SDK against an emulation that really encrypts.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use http::{Request, header};
use local::dynamodb::{KEYS_TABLE, client, create_tables, store};
use session::http::Response;
use session::model::keys::MAX_AGE;
use session::model::{Device, NewSession, Timestamp};
use session::service::{KeyCommand, KeyKind, KeyReport};
use session::store::{DataKeys as _, DynamoDb, SealContext, StoreError};
use session::{SessionError, Sessions};
use testkit::clock::START;
use testkit::harness::config;
use testkit::{EmulatedKms, KmsFault, Wire};

type Process = Sessions<DynamoDb>;
type Item = std::collections::HashMap<String, AttributeValue>;

struct Stage {
    wire: Wire,
    kms: EmulatedKms,
}

impl Stage {
    /// Empty tables.
    async fn new() -> Self {
        let wire = Wire::new();
        create_tables(&client(wire.clone())).await.unwrap();
        Self { wire, kms: EmulatedKms::new() }
    }

    /// A process that has loaded nothing yet and seals.
    fn process(&self) -> Process {
        let store = store(client(self.wire.clone())).sealed_by(self.kms.data_keys());
        Sessions::new(config(&[("SIGNING_ALGORITHM", "ES256")]), store)
    }

    /// A process without a KMS key.
    fn plain_process(&self) -> Process {
        let store = store(client(self.wire.clone()));
        Sessions::new(config(&[("SIGNING_ALGORITHM", "ES256")]), store)
    }

    async fn item(&self) -> Item {
        let client = client(self.wire.engine().clone());
        let key = AttributeValue::S("public#private".to_owned());
        let output = client.get_item().table_name(KEYS_TABLE).key("pk", key).send().await;
        output.unwrap().item.unwrap()
    }

    async fn put(&self, item: Item) {
        let client = client(self.wire.engine().clone());
        client.put_item().table_name(KEYS_TABLE).set_item(Some(item)).send().await.unwrap();
    }
}

async fn rotate(process: &Process, command: KeyCommand) -> Result<KeyReport, SessionError> {
    process.rotate_keys(&command, START, &mut bootstrap::system_rng()).await
}

async fn sign_in(process: &Process) -> Result<String, SessionError> {
    let (new, rng) = (NewSession::for_user("user-1"), &mut bootstrap::system_rng());
    let tokens = process.create(new, Device::default(), false, START, rng).await?;
    Ok(tokens.refresh.expose().to_owned())
}

async fn refresh(process: &Process, token: &str, now: Timestamp) -> Response {
    let request = Request::post("/").header(header::COOKIE, format!("sRefreshToken={token}"));
    let request = request.body(()).unwrap();
    session::http::refresh(process, &request, &Device::default(), now).await.0
}

fn document(item: &Item) -> &[u8] {
    item["document"].as_b().unwrap().as_ref()
}

fn is_in_the_clear(item: &Item) -> bool {
    document(item).windows(5).any(|bytes| bytes == b"pkcs8")
}

#[tokio::test]
async fn what_is_stored_shows_no_key() {
    let stage = Stage::new().await;
    sign_in(&stage.process()).await.unwrap();
    let item = stage.item().await;
    assert!(!is_in_the_clear(&item));
    assert!(item.contains_key("data_key"));
    assert_eq!(stage.kms.take_calls(), ["GenerateDataKey", "Decrypt"]);

    let plain = Stage::new().await;
    sign_in(&plain.plain_process()).await.unwrap();
    assert!(is_in_the_clear(&plain.item().await), "the test would see a key");
}

#[tokio::test]
async fn a_document_is_unsealed_once_until_it_changes() {
    let stage = Stage::new().await;
    let token = sign_in(&stage.process()).await.unwrap();
    let process = stage.process();
    stage.kms.take_calls();
    for minutes in 0..60 {
        let now = START.plus(Duration::from_mins(minutes));
        assert_eq!(refresh(&process, &token, now).await.status(), 200);
        if minutes == 0 {
            assert_eq!(stage.kms.take_calls(), ["Decrypt"]);
            break;
        }
    }
    stage.wire.take_calls();
    let mut reads = 0;
    for number in 1..=12 {
        process.preload_signing_keys(START.plus(MAX_AGE * number)).await;
        reads += stage.wire.take_calls().len();
    }
    assert_eq!((reads, stage.kms.take_calls().len()), (12, 0));
    rotate(&stage.process(), KeyCommand::Rotate(KeyKind::Master)).await.unwrap();
    assert_eq!(stage.kms.take_calls(), ["Decrypt", "GenerateDataKey"]);
    process.preload_signing_keys(START.plus(MAX_AGE * 13)).await;
    assert_eq!(stage.kms.take_calls(), ["Decrypt"]);
}

#[tokio::test]
async fn a_kms_that_fails_is_a_fault_and_never_a_log_out() {
    let stage = Stage::new().await;
    let token = sign_in(&stage.process()).await.unwrap();
    for (fault, status) in [
        (KmsFault::Throttled, 503),
        (KmsFault::ServerError, 503),
        (KmsFault::ConnectionReset, 503),
        (KmsFault::AccessDenied, 500),
    ] {
        let process = stage.process();
        stage.kms.break_all(Some(fault));
        let response = refresh(&process, &token, START).await;
        assert_eq!(response.status(), status, "{fault:?}");
        for name in ["set-cookie", "front-token", "st-access-token", "st-refresh-token"] {
            assert!(!response.headers().contains_key(name), "{fault:?} clears nothing");
        }
        assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        assert!(sign_in(&process).await.is_err());
        stage.kms.break_all(None);
        assert_eq!(refresh(&process, &token, START).await.status(), 200, "{fault:?}");
    }
}

#[tokio::test]
async fn keys_that_were_unsealed_once_outlive_a_kms_that_fails() {
    let stage = Stage::new().await;
    let process = stage.process();
    let token = sign_in(&process).await.unwrap();
    rotate(&stage.process(), KeyCommand::Rotate(KeyKind::Dynamic)).await.unwrap();
    stage.kms.break_all(Some(KmsFault::ServerError));
    let later = START.plus(MAX_AGE * 2);
    assert_eq!(refresh(&process, &token, later).await.status(), 200);
}

#[tokio::test]
async fn a_rotation_without_kms_changes_nothing() {
    let stage = Stage::new().await;
    rotate(&stage.process(), KeyCommand::Advance).await.unwrap();
    let before = stage.item().await;
    stage.kms.break_all(Some(KmsFault::Throttled));
    let error = rotate(&stage.process(), KeyCommand::Rotate(KeyKind::Static)).await.unwrap_err();
    assert!(matches!(error, SessionError::Unavailable(_)), "{error:?}");
    assert_eq!(stage.item().await, before);
}

#[tokio::test]
async fn keys_in_the_clear_are_read_and_sealed_at_the_next_run() {
    let stage = Stage::new().await;
    let token = sign_in(&stage.plain_process()).await.unwrap();
    assert_eq!(refresh(&stage.process(), &token, START).await.status(), 200);
    assert!(is_in_the_clear(&stage.item().await));
    assert!(rotate(&stage.process(), KeyCommand::Advance).await.unwrap().changed);
    assert!(!is_in_the_clear(&stage.item().await));
    assert!(!rotate(&stage.process(), KeyCommand::Advance).await.unwrap().changed);
    assert_eq!(refresh(&stage.process(), &token, START).await.status(), 200);
}

#[tokio::test]
async fn sealed_keys_without_a_kms_key_are_an_error_that_says_so() {
    let stage = Stage::new().await;
    let token = sign_in(&stage.process()).await.unwrap();
    let process = stage.plain_process();
    assert_eq!(refresh(&process, &token, START).await.status(), 500);
    let Err(SessionError::Internal(cause)) = sign_in(&process).await else {
        panic!("it must be a fault of the deployment")
    };
    assert!(cause.to_string().contains("KMS_KEY_ID"), "{cause}");
    assert!(rotate(&process, KeyCommand::Advance).await.is_err(), "and nothing is overwritten");
}

#[tokio::test]
async fn another_kms_key_opens_nothing() {
    let stage = Stage::new().await;
    let token = sign_in(&stage.process()).await.unwrap();
    let other = stage.kms.data_keys_of("arn:aws:kms:eu-west-1:123456789012:key/other");
    let store = store(client(stage.wire.clone())).sealed_by(other);
    let process = Sessions::new(config(&[]), store);
    assert_eq!(refresh(&process, &token, START).await.status(), 500);
}

#[tokio::test]
async fn a_sealed_document_cannot_be_changed_or_brought_back_under_another_version() {
    let stage = Stage::new().await;
    let token = sign_in(&stage.process()).await.unwrap();
    let old = stage.item().await;
    rotate(&stage.process(), KeyCommand::Rotate(KeyKind::Master)).await.unwrap();
    let new = stage.item().await;

    let mut changed = new.clone();
    let mut bytes = document(&new).to_vec();
    bytes[40] ^= 1;
    changed.insert("document".to_owned(), AttributeValue::B(Blob::new(bytes)));
    let mut brought_back = old.clone();
    brought_back.insert("version".to_owned(), new["version"].clone());
    for item in [changed, brought_back] {
        stage.put(item).await;
        assert_eq!(refresh(&stage.process(), &token, START).await.status(), 500);
    }
    stage.put(new).await;
    assert_eq!(refresh(&stage.process(), &token, START).await.status(), 200);
}

#[tokio::test]
async fn a_data_key_is_unwrapped_in_its_own_context_only() {
    let data_keys = EmulatedKms::new().data_keys();
    let document = "public#private".to_owned();
    let context = SealContext { table: "Keys".to_owned(), document, version: 1 };
    let data_key = data_keys.generate(&context).await.unwrap();
    assert_eq!(data_keys.unwrap(&data_key.wrapped, &context).await.unwrap(), data_key.plain);
    for other in [
        SealContext { table: "Others".to_owned(), ..context.clone() },
        SealContext { document: "other#private".to_owned(), ..context.clone() },
        SealContext { version: 2, ..context.clone() },
    ] {
        let error = data_keys.unwrap(&data_key.wrapped, &other).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{other:?}: {error:?}");
    }
}
