//! What the fuzz targets share.

use std::future::Future;
use std::sync::LazyLock;

use jsonwebtoken::jwk::JwkSet;
use session::model::{KeyId, Session, SessionHandle};
use session::store::{PublicKeyReader, SessionReader, StoreError};
use session::token::SigningKey;
use session::token::key::SigningAlgorithm;
use session::{SessionConfig, Sessions};
use tokio::runtime::Runtime;

/// The test stack's dynamic key: public and worthless.
const PKCS8: &[u8] = include_bytes!("../../../shared/testkit/keys/dynamic.pkcs8.der");

/// A key set with the one test key.
pub struct TestKeys;

impl PublicKeyReader for TestKeys {
    async fn public_keys(&self) -> Result<Option<JwkSet>, StoreError> {
        let key_id = KeyId::new("d-1700000000000");
        let key = SigningKey::from_pkcs8(key_id, SigningAlgorithm::Rs256, PKCS8);
        Ok(key.ok().map(|key| JwkSet { keys: vec![key.public_jwk()] }))
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
