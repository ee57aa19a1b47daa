//! Which proof a request with session cookies has to carry, by the website's mode (contract §4).

use http::{HeaderMap, Method};

use super::TransferMethod;
use super::extract::{anti_csrf, has_rid};
use crate::config::{AntiCsrf, SessionConfig};
use crate::service::AntiCsrfProof;

/// When a route asks requests with session cookies for a proof.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum AntiCsrfCheck {
    /// By method: all but GET.
    #[default]
    Auto,
    /// Whatever the method.
    Always,
    /// Never: for routes that any page may call.
    Never,
}

impl AntiCsrfCheck {
    pub(super) fn applies_to(self, method: &Method) -> bool {
        match self {
            Self::Auto => method != Method::GET,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The proof that a request carries; `None` if it lacks the one that its mode asks for. What
/// [`AntiCsrfProof::Token`] holds is still to be compared.
pub(super) fn proof<'r>(
    config: &SessionConfig,
    headers: &'r HeaderMap,
    method: TransferMethod,
) -> Option<AntiCsrfProof<'r>> {
    match (method, config.websites.of(headers).anti_csrf) {
        // No foreign page can send a header of ours.
        (TransferMethod::Header, _) | (TransferMethod::Cookie, AntiCsrf::None) => {
            Some(AntiCsrfProof::NotUsed)
        }
        (TransferMethod::Cookie, AntiCsrf::ViaCustomHeader) => {
            has_rid(headers).then_some(AntiCsrfProof::NotUsed)
        }
        (TransferMethod::Cookie, AntiCsrf::ViaToken) => {
            Some(AntiCsrfProof::Token(anti_csrf(headers)))
        }
    }
}

/// Whether a request carries what its mode asks cookies for, as far as headers tell: no foreign page can
/// send one of them.
pub(super) fn is_proved(config: &SessionConfig, headers: &HeaderMap) -> bool {
    match proof(config, headers, TransferMethod::Cookie) {
        Some(AntiCsrfProof::NotUsed | AntiCsrfProof::Token(Some(_))) => true,
        Some(AntiCsrfProof::Token(None)) | None => false,
    }
}
