//! The wire contract: tokens out of cookies and headers, outcomes into status, cookies and headers.
//!
//! Works on the types of the `http` crate; what a Lambda event looks like is the functions' affair.
//! Each endpoint is one function from a request to a response, so that every integration answers the
//! same: [`refresh()`], [`prove_device`], [`sign_out()`], [`own_sessions()`], [`jwks`], [`discovery`]. For an application's own routes there are
//! [`create()`] and [`verify()`], and [`VerifySession`], a tower layer that gives handlers a
//! [`RequestSession`] to read and change.

mod anti_csrf;
mod cookies;
mod cors;
mod create;
mod device;
mod documents;
mod dpop;
mod endpoint;
mod extract;
mod layer;
mod own_sessions;
mod refresh;
mod respond;
mod session;
mod sign_out;
mod verify;

pub use self::anti_csrf::{AntiCsrfCheck, refuse_foreign_sign_in};
pub use self::cookies::TokenHeaders;
pub use self::cors::{allow_website, preflight};
pub use self::create::{Created, create};
pub use self::device::{prove_device, register_device};
pub use self::documents::{discovery, jwks};
pub use self::endpoint::Endpoint;
pub use self::layer::{Protected, RouteStore, VerifySession};
pub use self::own_sessions::own_sessions;
pub use self::refresh::refresh;
pub use self::respond::{
    DefaultErrorHandlers, ErrorHandlers, Response, error_response, error_response_by, json,
    not_found,
};
pub use self::session::{RequestSession, RouteOptions, SessionTokens};
pub use self::sign_out::sign_out;
pub use self::verify::{Verified, VerifyOptions, verify};

/// How tokens travel in one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TransferMethod {
    /// `sAccessToken` and `sRefreshToken`.
    Cookie,
    /// `authorization` in, `st-access-token` and `st-refresh-token` out.
    Header,
}

/// Cookie and header names (contract §1.1).
mod names {
    pub(super) const ACCESS_COOKIE: &str = "sAccessToken";
    pub(super) const REFRESH_COOKIE: &str = "sRefreshToken";
    pub(super) const LEGACY_COOKIE: &str = "sIdRefreshToken";
    pub(super) const DEVICE_COOKIE: &str = "sDevice";
    pub(super) const ACCESS_HEADER: &str = "st-access-token";
    pub(super) const REFRESH_HEADER: &str = "st-refresh-token";
    pub(super) const FRONT_HEADER: &str = "front-token";
    pub(super) const ANTI_CSRF_HEADER: &str = "anti-csrf";
    pub(super) const AUTH_MODE_HEADER: &str = "st-auth-mode";
    pub(super) const DPOP_HEADER: &str = "dpop";
    pub(super) const DPOP_NONCE_HEADER: &str = "dpop-nonce";
    pub(super) const RID_HEADER: &str = "rid";
    // W3C Device Bound Session Credentials §9.
    pub(super) const DEVICE_REGISTRATION_HEADER: &str = "secure-session-registration";
    pub(super) const DEVICE_CHALLENGE_HEADER: &str = "secure-session-challenge";
    pub(super) const DEVICE_RESPONSE_HEADER: &str = "secure-session-response";
    pub(super) const DEVICE_ID_HEADER: &str = "sec-secure-session-id";
    pub(super) const DEVICE_SKIPPED_HEADER: &str = "secure-session-skipped";
}
