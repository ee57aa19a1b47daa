//! Which proof a request with session cookies has to carry, by the website's mode (contract §4), and how a
//! sign-in, which has no session yet, is kept from foreign pages.

use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;

use super::TransferMethod;
use super::extract::{anti_csrf, has_rid, text};
use super::respond::Response;
use crate::config::{AntiCsrf, Origin, SessionConfig};
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

/// The answer to a sign-in that a foreign page may have sent; `None` if it may go on.
///
/// A page that posts somebody else's credentials signs its visitor in as them, who may then tell that
/// account what is not meant for it. No form has the content type of JSON, and browsers say which page a
/// POST comes from (Fetch §3.2, Fetch Metadata §2.3). Clients that are no browsers say nothing, and go on.
#[must_use]
pub fn refuse_foreign_sign_in(config: &SessionConfig, headers: &HeaderMap) -> Option<Response> {
    let refused = |status, message| Some(super::json(status, &json!({ "message": message })));
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "send JSON, and say so: content-type: application/json";
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    }
    let is_foreign = match headers.get(header::ORIGIN) {
        Some(origin) => {
            let origin = origin.to_str().ok().and_then(|text| Origin::parse(text).ok());
            !config.websites.iter().any(|website| Some(&website.origin) == origin.as_ref())
        }
        None => text(headers, "sec-fetch-site").is_some_and(|site| site != "same-origin"),
    };
    if is_foreign {
        return refused(StatusCode::FORBIDDEN, "this page is none of the website's");
    }
    None
}
