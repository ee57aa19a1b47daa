//! The paths that this project serves, and which of them a request is for (contract §3.1).

use http::{Method, Request};

use crate::config::SessionConfig;
use crate::model::SessionHandle;

/// The last segment of a path that names a session.
const HANDLE: &str = "/{sessionHandle}";

/// An endpoint, below the base path that is configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Endpoint {
    /// `POST {base}/session/refresh`.
    Refresh,
    /// `POST {base}/session/refresh/device`.
    Device,
    /// `POST {base}/session/refresh/device/register`.
    DeviceRegistration,
    /// `POST {base}/signout`.
    SignOut,
    /// `GET {base}/sessions`: where the user is signed in.
    Sessions,
    /// `DELETE {base}/sessions`: sign out everywhere else.
    OtherSessions,
    /// `DELETE {base}/sessions/{sessionHandle}`: sign out there.
    OneSession,
    /// `POST {base}/backchannel-logout`: an identity provider says that its session is over.
    BackchannelLogout,
    /// `POST {base}/security-events`: an identity provider says that sessions were revoked.
    SecurityEvents,
    /// `GET {base}/jwt/jwks.json`.
    Jwks,
    /// `GET {base}/.well-known/openid-configuration`.
    Discovery,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Refresh,
        Self::Device,
        Self::DeviceRegistration,
        Self::SignOut,
        Self::Sessions,
        Self::OtherSessions,
        Self::OneSession,
        Self::BackchannelLogout,
        Self::SecurityEvents,
        Self::Jwks,
        Self::Discovery,
    ];

    /// The one that a request is for: method, base path, at most one tenant segment, path.
    ///
    /// The tenant has no effect, one trailing slash is tolerated, the query string is ignored, and the
    /// case of the path counts. A gateway may have left out the front, which is a stage or the key of a
    /// domain's mapping: of the base path, and of a public document's path all but the last segment.
    #[must_use]
    pub fn of<B>(config: &SessionConfig, request: &Request<B>) -> Option<Self> {
        let path = request.uri().path();
        let path = path.strip_suffix('/').unwrap_or(path);
        let is_base = |base: &str| base.starts_with('/') && config.api.base_path.ends_with(base);
        Self::ALL.into_iter().find(|endpoint| {
            let is_path = match endpoint.before(path) {
                Some(base) => is_base(base) || without_tenant(base).is_some_and(is_base),
                None => endpoint.is_public() && ends_with_segments(endpoint.path(), path),
            };
            is_path && request.method().as_str().eq_ignore_ascii_case(endpoint.method().as_str())
        })
    }

    /// What is in front of this endpoint's own part of a path.
    fn before(self, path: &str) -> Option<&str> {
        let Some(parent) = self.path().strip_suffix(HANDLE) else {
            return path.strip_suffix(self.path());
        };
        let (front, handle) = path.rsplit_once('/')?;
        front.strip_suffix(parent).filter(|_| !handle.is_empty())
    }

    /// Whether anybody may read it, from pages of any origin.
    #[must_use]
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Jwks | Self::Discovery)
    }

    /// Whether it is about the caller's own sessions.
    pub(super) const fn is_of_owners(self) -> bool {
        matches!(self, Self::Sessions | Self::OtherSessions | Self::OneSession)
    }

    /// The session that the path of [`Self::OneSession`] names, if it has the form of a handle.
    pub(super) fn handle_in<B>(request: &Request<B>) -> Option<SessionHandle> {
        let path = request.uri().path();
        path.strip_suffix('/').unwrap_or(path).rsplit('/').next()?.parse().ok()
    }

    /// The method that it is asked by.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::Refresh
            | Self::Device
            | Self::DeviceRegistration
            | Self::SignOut
            | Self::BackchannelLogout
            | Self::SecurityEvents => Method::POST,
            Self::Sessions | Self::Jwks | Self::Discovery => Method::GET,
            Self::OtherSessions | Self::OneSession => Method::DELETE,
        }
    }

    /// Its path below the base path.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Refresh => "/session/refresh",
            Self::Device => "/session/refresh/device",
            Self::DeviceRegistration => "/session/refresh/device/register",
            Self::SignOut => "/signout",
            Self::Sessions | Self::OtherSessions => "/sessions",
            Self::OneSession => "/sessions/{sessionHandle}",
            Self::BackchannelLogout => "/backchannel-logout",
            Self::SecurityEvents => "/security-events",
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

fn ends_with_segments(path: &str, end: &str) -> bool {
    end.len() > 1 && end.starts_with('/') && path.ends_with(end)
}

/// What is in front of a last segment that has the form of a tenant's id.
fn without_tenant(path: &str) -> Option<&str> {
    let (base, name) = path.rsplit_once('/')?;
    let is_tenant =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    is_tenant.then_some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(gateway_path: &str) -> SessionConfig {
        let config = SessionConfig::from_lookup(|name| {
            let value = match name {
                "API_DOMAIN" => "https://api.example.com",
                "WEBSITE_DOMAIN" => "https://example.com",
                "API_GATEWAY_PATH" => gateway_path,
                _ => return None,
            };
            Some(value.to_owned())
        });
        config.unwrap()
    }

    fn refresh_at(gateway_path: &str, path: &str) -> bool {
        let request = Request::post(path).body(()).unwrap();
        Endpoint::of(&config(gateway_path), &request) == Some(Endpoint::Refresh)
    }

    #[test]
    fn a_mapping_may_cut_off_all_but_the_last_segment_of_a_public_document() {
        for (path, expected) in [
            ("/jwt/jwks.json", None),
            ("/jwks.json", Some(Endpoint::Jwks)),
            ("/openid-configuration", Some(Endpoint::Discovery)),
            ("/s.json", None),
            ("/x/jwks.json", None),
            ("/", None),
        ] {
            let request = Request::get(path).body(()).unwrap();
            assert_eq!(Endpoint::of(&config(""), &request), expected, "{path}");
        }
        let request = Request::post("/refresh").body(()).unwrap();
        assert_eq!(Endpoint::of(&config(""), &request), None);
    }

    #[test]
    fn a_stage_or_mapping_key_may_be_in_the_path_or_left_out_of_it() {
        assert!(refresh_at("", "/auth/session/refresh"));
        assert!(refresh_at("/v1", "/v1/auth/session/refresh"));
        assert!(refresh_at("/v1", "/auth/session/refresh"));
        assert!(refresh_at("/v1/dev", "/dev/auth/t1/session/refresh/"));
    }

    #[test]
    fn the_last_segment_names_a_session() {
        for (method, path, expected) in [
            (Method::GET, "/auth/sessions", Some(Endpoint::Sessions)),
            (Method::DELETE, "/auth/t1/sessions/", Some(Endpoint::OtherSessions)),
            (Method::DELETE, "/auth/sessions/abc", Some(Endpoint::OneSession)),
            (Method::DELETE, "/auth/t1/sessions/abc", Some(Endpoint::OneSession)),
            (Method::GET, "/auth/sessions/abc", None),
            (Method::DELETE, "/auth/sessions/a/b", None),
            (Method::DELETE, "/sessions/abc", None),
        ] {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            assert_eq!(Endpoint::of(&config(""), &request), expected, "{path}");
        }
    }

    #[test]
    fn only_whole_segments_of_the_base_path_count() {
        for (gateway_path, path) in [
            ("", "/session/refresh"),
            ("", "/h/session/refresh"),
            ("", "/x/y/session/refresh"),
            ("", "/auth/a/b/session/refresh"),
            ("", "/auth/a_b/session/refresh"),
            ("", "/dev/auth/session/refresh"),
            ("/v1", "/v2/auth/session/refresh"),
            ("", "//session/refresh"),
        ] {
            assert!(!refresh_at(gateway_path, path), "{gateway_path} {path}");
        }
    }
}
