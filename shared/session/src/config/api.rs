//! Where the API is, and which statuses it answers with.

use http::StatusCode;

use super::origin::{Origin, url_path};
use super::reader::{Reader, number};

/// Where clients reach the API.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// `API_DOMAIN`, required: scheme, host and port of the API.
    pub domain: Origin,
    /// `API_GATEWAY_PATH`, default empty: what clients write in front of every path, and the API may not see.
    pub gateway_path: String,
    /// `API_BASE_PATH`, default `/auth`, with `API_GATEWAY_PATH` (default empty) in front: where the
    /// endpoints are, as the client sees them. Normalised: leading slash, no trailing one.
    pub base_path: String,
}

impl Api {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        // A placeholder that is never seen: without a domain nothing starts.
        let domain = read.required("API_DOMAIN", Origin::parse).unwrap_or_default();
        let base_path = read.or("API_BASE_PATH", "/auth".to_owned(), url_path);
        let gateway_path = read.or("API_GATEWAY_PATH", String::new(), url_path);
        Self { domain, base_path: format!("{gateway_path}{base_path}"), gateway_path }
    }

    pub(super) fn check(&self, read: &mut Reader<'_>) {
        if self.base_path.is_empty() {
            read.problem(
                "API_BASE_PATH must not be the root: the refresh cookie's path would cover \
                 everything; use a path such as /auth",
            );
        }
    }

    /// `iss` of every token: API domain and base path.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}{}", self.domain, self.base_path)
    }
}

/// How refusals are told to clients, who tell them apart by status (contract §3.7).
#[derive(Clone, Debug, PartialEq)]
pub struct Statuses {
    /// `SESSION_EXPIRED_STATUS_CODE`, 300–599, default 401.
    pub session_expired: StatusCode,
    /// `INVALID_CLAIM_STATUS_CODE`, 300–599, default 403; must differ from the former.
    pub invalid_claim: StatusCode,
}

impl Statuses {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let mut status = |name, default| read.or(name, default, status);
        Self {
            session_expired: status("SESSION_EXPIRED_STATUS_CODE", StatusCode::UNAUTHORIZED),
            invalid_claim: status("INVALID_CLAIM_STATUS_CODE", StatusCode::FORBIDDEN),
        }
    }

    pub(super) fn check(&self, read: &mut Reader<'_>) {
        if self.session_expired == self.invalid_claim {
            read.problem(format!(
                "SESSION_EXPIRED_STATUS_CODE and INVALID_CLAIM_STATUS_CODE are both {}: clients tell \
                 the two cases apart by status, so choose different ones",
                self.session_expired.as_u16()
            ));
        }
    }
}

fn status(text: &str) -> Result<StatusCode, String> {
    let code = number(text, (300, 599))?;
    u16::try_from(code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| "not a status code".to_owned())
}
