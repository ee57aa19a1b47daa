//! The paths that this project serves, and which of them a request is for (contract §3.1).

use http::{Method, Request};

use crate::config::SessionConfig;

/// An endpoint, below the base path that is configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// `POST {base}/session/refresh`.
    Refresh,
    /// `POST {base}/signout`.
    SignOut,
    /// `GET {base}/jwt/jwks.json`.
    Jwks,
    /// `GET {base}/.well-known/openid-configuration`.
    Discovery,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Refresh, Self::SignOut, Self::Jwks, Self::Discovery];

    /// The one that a request is for: method, base path, at most one tenant segment, path.
    ///
    /// The tenant has no effect, one trailing slash is tolerated, the query string is ignored, and the
    /// case of the path counts.
    #[must_use]
    pub fn of<B>(config: &SessionConfig, request: &Request<B>) -> Option<Self> {
        let path = request.uri().path();
        let below_base =
            path.strip_suffix('/').unwrap_or(path).strip_prefix(&config.api.base_path)?;
        Self::ALL.into_iter().find(|endpoint| {
            let between = below_base.strip_suffix(endpoint.path());
            request.method().as_str().eq_ignore_ascii_case(endpoint.method().as_str())
                && between.is_some_and(|between| between.is_empty() || is_tenant(between))
        })
    }

    /// The method that it is asked by.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::Refresh | Self::SignOut => Method::POST,
            Self::Jwks | Self::Discovery => Method::GET,
        }
    }

    /// Its path below the base path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Refresh => "/session/refresh",
            Self::SignOut => "/signout",
            Self::Jwks => "/jwt/jwks.json",
            Self::Discovery => "/.well-known/openid-configuration",
        }
    }

    /// Its path as clients see it; that of [`Self::Refresh`] is the refresh cookie's too.
    #[must_use]
    pub fn path_in(self, config: &SessionConfig) -> String {
        format!("{}{}", config.api.base_path, self.path())
    }
}

fn is_tenant(segment: &str) -> bool {
    segment.strip_prefix('/').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    })
}
