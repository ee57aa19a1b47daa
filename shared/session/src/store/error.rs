//! What can go wrong between us and the table, or the service that seals keys.

use std::sync::Arc;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A store call without an answer that can be used.
///
/// Whatever the variant, nothing may be concluded about the session: never "allow", never "ended".
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The service did not answer, or answered that it cannot now: time-out, connection, throttling,
    /// 5xx. The write may or may not have been applied; trying again is safe and sensible.
    #[error("{operation}: the service is not available ({code})")]
    Unavailable {
        /// The operation of `DynamoDB` or KMS.
        operation: &'static str,
        /// The service's error code, or the kind of failure.
        code: String,
        /// The SDK's error.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The service refused the request: missing table or key, missing permission, invalid request. A
    /// fault of deployment or code; trying again does not help.
    #[error("{operation}: the service refused the request ({code})")]
    Refused {
        /// The operation of `DynamoDB` or KMS.
        operation: &'static str,
        /// The service's error code.
        code: String,
        /// The SDK's error.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// An item cannot be understood: written by a newer version, or damaged.
    #[error("item {item}: {problem}")]
    Inconsistent {
        /// Which item; never its content.
        item: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl StoreError {
    /// Sorts an SDK error whose modelled causes were handled already.
    pub fn from_sdk<E, R>(operation: &'static str, error: SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let (code, is_refusal) = match &error {
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or("unknown").to_owned();
                let is_refusal = is_refusal(&code);
                (code, is_refusal)
            }
            SdkError::TimeoutError(_) => ("timeout".to_owned(), false),
            SdkError::DispatchFailure(_) => ("connection".to_owned(), false),
            SdkError::ResponseError(_) => ("unreadable response".to_owned(), false),
            SdkError::ConstructionFailure(_) => ("invalid request".to_owned(), true),
            _ => ("unknown".to_owned(), false),
        };
        let source = Arc::new(error);
        if is_refusal {
            Self::Refused { operation, code, source }
        } else {
            Self::Unavailable { operation, code, source }
        }
    }

    /// Whether asking again later can help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// Codes that no repetition cures (`DynamoDB` developer guide, error handling; KMS API reference,
/// `Decrypt` and `GenerateDataKey`).
fn is_refusal(code: &str) -> bool {
    matches!(
        code,
        "ResourceNotFoundException"
            | "AccessDeniedException"
            | "ValidationException"
            | "SerializationException"
            | "UnrecognizedClientException"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "DisabledException"
            | "IncorrectKeyException"
            | "InvalidCiphertextException"
            | "InvalidKeyUsageException"
            | "KMSInvalidStateException"
            | "NotFoundException"
    )
}
