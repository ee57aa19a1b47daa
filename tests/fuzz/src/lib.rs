//! What the fuzz targets share.

use std::future::Future;
use std::sync::LazyLock;

use session::model::{KeyId, KeyLife, Session, SessionHandle, Timestamp};
use session::store::{PublicKeyReader, SessionReader, StoreError};
use session::token::key::SigningAlgorithm;
use session::token::{PublishedKey, SigningKey};
use session::{SessionConfig, Sessions};
use tokio::runtime::Runtime;

/// The test stack's dynamic key: public and worthless.
const PKCS8: &[u8] = include_bytes!("../../kit/keys/dynamic.pkcs8.der");

/// The one test key.
pub fn signing_key() -> SigningKey {
    let key_id = KeyId::new("d-1700000000000");
    let key = SigningKey::from_pkcs8(key_id, SigningAlgorithm::Rs256, PKCS8);
    key.expect("the test key is good")
}

/// A key set with the one test key.
pub struct TestKeys;

impl PublicKeyReader for TestKeys {
    async fn public_keys(&self) -> Result<Option<Vec<PublishedKey>>, StoreError> {
        let start = Timestamp::from_millis(0);
        let life = KeyLife::new(start, start);
        Ok(Some(vec![PublishedKey { jwk: signing_key().public_jwk(), life }]))
    }
}

impl SessionReader for TestKeys {
    async fn session(&self, _: &SessionHandle) -> Result<Option<Session>, StoreError> {
        Ok(None)
    }
}

/// A service that can only verify; one for all runs, because loading keys would take most of the time.
pub fn verifier() -> &'static Sessions<TestKeys> {
    static VERIFIER: LazyLock<Sessions<TestKeys>> = LazyLock::new(|| {
        let config = SessionConfig::from_lookup(|name| match name {
            "API_DOMAIN" => Some("https://api.example.com".to_owned()),
            "WEBSITE_DOMAIN" => Some("https://example.com".to_owned()),
            _ => None,
        });
        Sessions::new(config.expect("the two domains suffice"), TestKeys)
    });
    &VERIFIER
}

/// Runs a future to its end on this thread.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime of one thread")
    });
    RUNTIME.block_on(future)
}
