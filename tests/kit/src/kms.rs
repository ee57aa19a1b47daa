//! An emulated KMS behind the real SDK: it really encrypts, and really compares contexts.

use std::sync::{Arc, Mutex};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_sdk_kms::Client;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bootstrap::Kms;
use local::dynamodb::sdk_config;
use serde_json::{Value, json};

use crate::iam::Iam;

/// The ARN of the only key that exists.
pub const KEY_ID: &str =
    "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// What happens to every request instead of the usual.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KmsFault {
    /// 400 `AccessDeniedException`.
    AccessDenied,
    /// 400 `ThrottlingException`.
    Throttled,
    /// 500 `KMSInternalException`.
    ServerError,
    /// The connection breaks.
    ConnectionReset,
}

/// A KMS with one key; clones share it.
#[derive(Clone)]
pub struct EmulatedKms {
    root: Arc<RandomizedNonceKey>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<String>,
    fault: Option<KmsFault>,
}

impl EmulatedKms {
    /// A KMS whose key nobody else has.
    pub fn new() -> Self {
        let root = RandomizedNonceKey::new(&AES_256_GCM, &rand::random::<[u8; 32]>()).unwrap();
        Self { root: Arc::new(root), state: Arc::default() }
    }

    /// The way to it that ships, over the SDK that ships.
    pub fn data_keys(&self) -> Arc<Kms> {
        self.data_keys_of(KEY_ID)
    }

    /// The same, asking for another key.
    pub fn data_keys_of(&self, key_id: &str) -> Arc<Kms> {
        Arc::new(Kms::new(Client::new(&sdk_config(self.clone())), key_id))
    }

    /// The way to it through IAM.
    pub fn data_keys_through(&self, iam: &Iam) -> Arc<Kms> {
        Arc::new(Kms::new(Client::new(&sdk_config(iam.before(self.clone()))), KEY_ID))
    }

    /// Breaks every request from now on, or none.
    pub fn break_all(&self, fault: Option<KmsFault>) {
        self.state.lock().unwrap().fault = fault;
    }

    /// The operations since the last call of this method.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    fn answer(&self, operation: &str, request: &Value) -> Result<Value, &'static str> {
        if request["KeyId"] != KEY_ID {
            return Err("NotFoundException");
        }
        // Any stable text of the context; KMS too takes it as additional data.
        let context = Aad::from(request["EncryptionContext"].to_string());
        match operation {
            "GenerateDataKey" => {
                assert_eq!(request["KeySpec"], "AES_256");
                let plain: [u8; 32] = rand::random();
                let mut wrapped = plain.to_vec();
                let nonce = self.root.seal_in_place_append_tag(context, &mut wrapped).unwrap();
                let wrapped = [nonce.as_ref().as_slice(), &wrapped].concat();
                Ok(json!({
                    "KeyId": KEY_ID,
                    "Plaintext": STANDARD.encode(plain),
                    "CiphertextBlob": STANDARD.encode(wrapped),
                }))
            }
            "Decrypt" => {
                let wrapped = request["CiphertextBlob"].as_str().unwrap_or_default();
                let mut wrapped = STANDARD.decode(wrapped).unwrap_or_default();
                let (nonce, sealed) =
                    wrapped.split_at_mut_checked(NONCE_LEN).ok_or("InvalidCiphertextException")?;
                let nonce = Nonce::try_assume_unique_for_key(nonce).unwrap();
                let plain = self.root.open_in_place(nonce, context, sealed);
                let plain = plain.map_err(|_| "InvalidCiphertextException")?;
                Ok(json!({ "KeyId": KEY_ID, "Plaintext": STANDARD.encode(plain) }))
            }
            _ => Err("UnsupportedOperationException"),
        }
    }
}

impl Default for EmulatedKms {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for EmulatedKms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmulatedKms")
    }
}

impl HttpConnector for EmulatedKms {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let fault = {
            let mut state = self.state.lock().unwrap();
            state.calls.push(operation.clone());
            state.fault
        };
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default());
        let answer = match fault {
            None => self.answer(&operation, &body.unwrap_or_default()).map_err(|kind| (400, kind)),
            Some(KmsFault::AccessDenied) => Err((400, "AccessDeniedException")),
            Some(KmsFault::Throttled) => Err((400, "ThrottlingException")),
            Some(KmsFault::ServerError) => Err((500, "KMSInternalException")),
            Some(KmsFault::ConnectionReset) => {
                let broken = ConnectorError::io("connection reset (injected)".into());
                return HttpConnectorFuture::ready(Err(broken));
            }
        };
        let (status, body) = match answer {
            Ok(body) => (200, body),
            Err((status, kind)) => (status, json!({ "__type": kind })),
        };
        let body = SdkBody::from(body.to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body)))
    }
}
