//! Data keys from KMS: what seals private keys where `KMS_KEY_ID` is set.

use std::collections::HashMap;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::DataKeySpec;
use session::store::{Answer, DataKey, DataKeys, SealContext, StoreError};
use zeroize::Zeroizing;

/// A symmetric KMS key. Its material never leaves KMS; what is sealed with it is bound to the table,
/// the document and its version by the encryption context.
#[derive(Debug)]
pub struct Kms {
    client: Client,
    // Printable: a setting.
    key_id: String,
}

impl Kms {
    /// Uses the key of this id, ARN or alias.
    pub fn new(client: Client, key_id: impl Into<String>) -> Self {
        Self { client, key_id: key_id.into() }
    }
}

impl DataKeys for Kms {
    fn generate<'a>(&'a self, context: &'a SealContext) -> Answer<'a, DataKey> {
        Box::pin(async move {
            let output = self
                .client
                .generate_data_key()
                .key_id(&self.key_id)
                .key_spec(DataKeySpec::Aes256)
                .set_encryption_context(Some(pairs(context)))
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("GenerateDataKey", error))?;
            match (output.plaintext, output.ciphertext_blob) {
                (Some(plain), Some(wrapped)) => Ok(DataKey {
                    plain: Zeroizing::new(plain.into_inner()),
                    wrapped: wrapped.into_inner(),
                }),
                _ => Err(incomplete()),
            }
        })
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        context: &'a SealContext,
    ) -> Answer<'a, Zeroizing<Vec<u8>>> {
        Box::pin(async move {
            let output = self
                .client
                .decrypt()
                // Not whichever key the wrapped text names: ours.
                .key_id(&self.key_id)
                .ciphertext_blob(Blob::new(wrapped))
                .set_encryption_context(Some(pairs(context)))
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("Decrypt", error))?;
            let plain = output.plaintext.ok_or_else(incomplete)?;
            Ok(Zeroizing::new(plain.into_inner()))
        })
    }
}

fn pairs(context: &SealContext) -> HashMap<String, String> {
    context.pairs().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn incomplete() -> StoreError {
    let problem = "the answer of KMS holds no data key".to_owned();
    StoreError::Inconsistent { item: "private".to_owned(), problem }
}
