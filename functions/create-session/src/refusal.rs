//! Why there is no session: a code for programs, a sentence for people.

use session::SessionError;
use session::http::Response;
use session::model::TenantId;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// A member that is missing, unknown, or of the wrong kind.
    #[error("{0}")]
    Input(String),
    /// A claim that callers cannot give.
    #[error("the claim {0} belongs to the session itself and cannot be given")]
    ReservedClaim(&'static str),
    /// A tenant that callers cannot sign users in to.
    #[error("the tenant {0} is not one of ALLOWED_TENANTS")]
    Tenant(TenantId),
    /// A foreign page may have sent the client's request, which is answered so.
    #[error("the client's request is no JSON or comes from a page of another site: {}", .0.body())]
    CrossSite(Box<Response>),
    /// The service does not create it.
    #[error(transparent)]
    Session(SessionError),
}

impl Refusal {
    pub(crate) fn input(problem: impl Into<String>) -> Self {
        Self::Input(problem.into())
    }

    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Input(_) | Self::Session(SessionError::InvalidInput(_)) => "INVALID_INPUT",
            Self::ReservedClaim(_) => "RESERVED_CLAIM",
            Self::Tenant(_) => "TENANT_NOT_ALLOWED",
            Self::CrossSite(_) => "CROSS_SITE_REQUEST",
            Self::Session(SessionError::UseDpopNonce(_)) => "USE_DPOP_NONCE",
            Self::Session(SessionError::IdempotencyKeyUsed(_)) => "IDEMPOTENCY_KEY_USED",
            Self::Session(SessionError::Unavailable(_) | SessionError::Contended(_)) => {
                "UNAVAILABLE"
            }
            Self::Session(_) => "INTERNAL_ERROR",
        }
    }
}
