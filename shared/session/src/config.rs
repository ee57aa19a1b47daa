//! The settings, parsed and cross-checked once.
//!
//! [`SessionConfig::from_lookup`] reports every problem at once, each with the sentence that says
//! what to do. Names, defaults and meanings follow contract §1.4, §2.1, §3.7 and §4.1.

mod checks;
mod lifetimes;
mod origin;
mod reader;
mod website;

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use self::lifetimes::Lifetimes;
pub use self::origin::Origin;
use self::origin::{cookie_domain, url_path};
use self::reader::number;
pub use self::reader::{Reader, boolean};
pub use self::website::{Website, Websites};
use crate::model::RefreshPolicy;
use crate::token::PinnedKeys;
use crate::token::key::SigningAlgorithm;

/// All settings of the session service.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionConfig {
    /// `APP_ID`, default `public`: part of the user partition, so one table can serve several
    /// applications.
    pub app_id: String,
    /// `API_DOMAIN`, required: scheme, host and port of the API.
    pub api_domain: Origin,
    /// The websites, and how cookies are guarded for each.
    pub websites: Websites,
    /// `API_BASE_PATH`, default `/auth`, with `API_GATEWAY_PATH` (default empty) in front: where the
    /// endpoints are, as the client sees them. Normalised: leading slash, no trailing one.
    pub base_path: String,
    /// Everything about cookies.
    pub cookies: CookieConfig,
    /// `TOKEN_TRANSFER_METHOD`: `any` (default), `cookie` or `header`.
    pub transfer_method: AllowedMethod,
    /// `EXPOSE_ACCESS_TOKEN`, default `false`: repeat the access token in a header in cookie method.
    pub expose_access_token: bool,
    /// `SESSION_EXPIRED_STATUS_CODE`, 300–599, default 401.
    pub session_expired_status: StatusCode,
    /// `INVALID_CLAIM_STATUS_CODE`, 300–599, default 403; must differ from the former.
    pub invalid_claim_status: StatusCode,
    /// `ACCESS_TOKEN_TTL_SECONDS`, 1–86,400, default 3600 (contract §5.2).
    pub access_token_ttl: Duration,
    /// `REFRESH_TOKEN_TTL_SECONDS`, 60–34,560,000 (400 days, the browsers' cap), default 8,640,000
    /// (100 days), or the absolute life if that is less: how long a session lives without a refresh.
    pub refresh_token_ttl: Duration,
    /// `SESSION_ABSOLUTE_TTL_SECONDS`, from 60, default none: how long a session lives at most.
    ///
    /// `ASSURANCE_LEVEL`, `aal1`, `aal2` or `aal3`, sets this and the two lifetimes above as NIST SP
    /// 800-63B-4 §5 demands; a lifetime that is set as well may only be shorter.
    pub absolute_ttl: Option<Duration>,
    /// `SESSION_LIMIT_PER_USER`, 1–1000, default none: how many sessions of a user live at once. When a
    /// sign-in exceeds it, those that were refreshed longest ago end.
    pub session_limit: Option<u16>,
    /// `REFRESH_FLIGHT_SECONDS`, 0–60, default 30 (API Gateway ends a call at 29 to 30 s): F of the
    /// refresh rule; 0 is strict single use.
    pub refresh: RefreshPolicy,
    /// `SIGNING_ALGORITHM`: `RS256` (default) or `ES256`; counts where keys are made. If it is changed,
    /// the next keys are of the new one.
    pub signing_algorithm: SigningAlgorithm,
    /// `USE_DYNAMIC_SIGNING_KEY`, default `true`: which kind of key signs and is accepted.
    pub use_dynamic_signing_key: bool,
    /// `SIGNING_KEY_ROTATION_SECONDS`, 21,600–31,536,000, default 604,800 (168 h, contract §5.6): how
    /// long a dynamic key signs. Counts where keys are made.
    pub signing_key_rotation: Duration,
    /// `MASTER_KEY_ROTATION_SECONDS`, 86,400–31,536,000, default 7,776,000 (90 days): how long a master
    /// key mints refresh tokens. Counts where keys are made.
    pub master_key_rotation: Duration,
    /// `PINNED_JWKS`, default none: a JWK set to verify with instead of the published one, without any
    /// I/O. A rotation then takes a deployment.
    pub pinned_keys: Option<PinnedKeys>,
}

/// Cookie attributes (contract §1.4).
#[derive(Clone, Debug, PartialEq)]
pub struct CookieConfig {
    /// `COOKIE_DOMAIN`, default none: host-only cookies.
    pub domain: Option<String>,
    /// `OLDER_COOKIE_DOMAIN`: the domain before it was changed; `host-only` (or an empty value given
    /// by code) if cookies had no `Domain` then.
    pub older_domain: Option<OlderDomain>,
    /// `COOKIE_SECURE`; by default whether the API is reached by https.
    pub secure: bool,
    /// `COOKIE_PARTITIONED`, default `false`, because the reference never does it: keep cookies apart
    /// by the site that embeds the website in an iframe (CHIPS).
    pub partitioned: bool,
    /// `ACCESS_TOKEN_PATH`, default `/`.
    pub access_token_path: String,
}

/// Where older cookies were valid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum OlderDomain {
    /// They had no `Domain` attribute.
    HostOnly,
    /// They had this one.
    Domain(String),
}

/// Where a browser keeps a cookie: besides name and path, what it tells cookies apart by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookiePlace {
    /// The `Domain`; none for the API's host alone.
    pub domain: Option<String>,
    /// Whether it is `Partitioned`.
    pub is_partitioned: bool,
}

/// The `SameSite` attribute.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SameSite {
    /// Never sent across sites.
    Strict,
    /// Sent across sites on top-level navigation only.
    #[default]
    Lax,
    /// Sent always; browsers demand `Secure`.
    None,
}

/// What proves that a cookie request comes from the website (contract §4.1), from none to strictest.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum AntiCsrf {
    /// Nothing: `SameSite` does the work.
    #[default]
    None,
    /// Any `rid` header, which no foreign site can send without CORS permission.
    ViaCustomHeader,
    /// The `anti-csrf` header repeats a value bound to the token.
    ViaToken,
}

/// How tokens may travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AllowedMethod {
    /// As the client asks.
    Any,
    /// Cookies only.
    Cookie,
    /// Headers only.
    Header,
}

/// Settings that cannot work, all of them, one per line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct ConfigError {
    /// Each problem with its remedy.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot work:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

impl SessionConfig {
    /// Every variable that is read.
    pub const VARIABLES: [&'static str; 27] = [
        "APP_ID",
        "API_DOMAIN",
        "WEBSITE_DOMAIN",
        "API_BASE_PATH",
        "API_GATEWAY_PATH",
        "COOKIE_DOMAIN",
        "OLDER_COOKIE_DOMAIN",
        "COOKIE_SAME_SITE",
        "COOKIE_SECURE",
        "COOKIE_PARTITIONED",
        "ACCESS_TOKEN_PATH",
        "ANTI_CSRF",
        "TOKEN_TRANSFER_METHOD",
        "EXPOSE_ACCESS_TOKEN",
        "SESSION_EXPIRED_STATUS_CODE",
        "INVALID_CLAIM_STATUS_CODE",
        "ACCESS_TOKEN_TTL_SECONDS",
        "REFRESH_TOKEN_TTL_SECONDS",
        "SESSION_ABSOLUTE_TTL_SECONDS",
        "ASSURANCE_LEVEL",
        "SESSION_LIMIT_PER_USER",
        "REFRESH_FLIGHT_SECONDS",
        "SIGNING_ALGORITHM",
        "USE_DYNAMIC_SIGNING_KEY",
        "SIGNING_KEY_ROTATION_SECONDS",
        "MASTER_KEY_ROTATION_SECONDS",
        "PINNED_JWKS",
    ];

    /// Reads the settings through `lookup`; an empty value counts as absent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every missing, malformed and contradictory setting.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader::new(lookup);
        let api_domain = read.required("API_DOMAIN", Origin::parse);
        let origins = read.required("WEBSITE_DOMAIN", |text| {
            text.split(',')
                .map(|origin| Origin::parse(origin.trim()))
                .collect::<Result<Vec<_>, _>>()
        });
        let same_site = read.optional("COOKIE_SAME_SITE", SameSite::parse);
        let anti_csrf = read.optional("ANTI_CSRF", AntiCsrf::parse);
        let cookies =
            CookieConfig::read(&mut read, api_domain.as_ref().is_some_and(Origin::is_https));
        let base_path = [
            read.or("API_GATEWAY_PATH", String::new(), url_path),
            read.or("API_BASE_PATH", "/auth".to_owned(), url_path),
        ]
        .concat();
        let lifetimes = Lifetimes::read(&mut read);
        let transfer_method =
            read.or("TOKEN_TRANSFER_METHOD", AllowedMethod::Any, AllowedMethod::parse);
        let websites = origins.zip(api_domain.as_ref()).and_then(|(origins, api)| {
            Websites::new(api, origins, same_site, anti_csrf)
                .map_err(|problem| read.problems.push(problem))
                .ok()
        });
        let config = Self {
            app_id: read.or("APP_ID", "public".to_owned(), |text| Ok(text.to_owned())),
            base_path,
            cookies,
            transfer_method,
            expose_access_token: read.or("EXPOSE_ACCESS_TOKEN", false, boolean),
            session_expired_status: read.or(
                "SESSION_EXPIRED_STATUS_CODE",
                StatusCode::UNAUTHORIZED,
                status,
            ),
            invalid_claim_status: read.or(
                "INVALID_CLAIM_STATUS_CODE",
                StatusCode::FORBIDDEN,
                status,
            ),
            access_token_ttl: lifetimes.access_token,
            refresh_token_ttl: lifetimes.refresh_token,
            absolute_ttl: lifetimes.absolute,
            session_limit: read.or("SESSION_LIMIT_PER_USER", None, |text| {
                let limit = number(text, (1, 1000))?;
                Ok(u16::try_from(limit).ok())
            }),
            refresh: read.or(
                "REFRESH_FLIGHT_SECONDS",
                RefreshPolicy::new(Duration::from_secs(30)),
                |text| {
                    let max = RefreshPolicy::MAX_FLIGHT.as_secs();
                    number(text, (0, max))
                        .map(|flight| RefreshPolicy::new(Duration::from_secs(flight)))
                },
            ),
            signing_algorithm: read.or("SIGNING_ALGORITHM", SigningAlgorithm::Rs256, |text| {
                SigningAlgorithm::from_name(text).ok_or_else(|| "use RS256 or ES256".to_owned())
            }),
            use_dynamic_signing_key: read.or("USE_DYNAMIC_SIGNING_KEY", true, boolean),
            signing_key_rotation: read.or(
                "SIGNING_KEY_ROTATION_SECONDS",
                Duration::from_hours(168),
                |text| number(text, (21_600, 31_536_000)).map(Duration::from_secs),
            ),
            master_key_rotation: read.or(
                "MASTER_KEY_ROTATION_SECONDS",
                Duration::from_hours(90 * 24),
                |text| number(text, (86_400, 31_536_000)).map(Duration::from_secs),
            ),
            pinned_keys: read.or("PINNED_JWKS", None, |text| PinnedKeys::parse(text).map(Some)),
            // Placeholders that are never seen: without both there is an error below.
            api_domain: api_domain.unwrap_or_default(),
            websites: websites.unwrap_or_default(),
        };
        config.cross_check(&mut read.problems);
        read.finish(config)
    }

    /// `iss` of every token: API domain and base path.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}{}", self.api_domain, self.base_path)
    }

    /// The path of the refresh endpoint as the client sees it; also the refresh cookie's path.
    #[must_use]
    pub fn refresh_path(&self) -> String {
        format!("{}/session/refresh", self.base_path)
    }

    /// Whether browsers would refuse the cookies of that website (contract §1.4).
    #[must_use]
    pub fn is_insecure_cross_site(&self, website: &Website) -> bool {
        let both_local = self.api_domain.is_local() && website.origin.is_local();
        website.same_site == SameSite::None && !self.cookies.secure && !both_local
    }
}

impl CookieConfig {
    fn read<L: Fn(&str) -> Option<String>>(read: &mut Reader<L>, is_https: bool) -> Self {
        Self {
            domain: read.or("COOKIE_DOMAIN", None, |text| cookie_domain(text).map(Some)),
            older_domain: read.or("OLDER_COOKIE_DOMAIN", None, |text| {
                if text == "host-only" {
                    return Ok(Some(OlderDomain::HostOnly));
                }
                cookie_domain(text).map(|domain| Some(OlderDomain::Domain(domain)))
            }),
            secure: read.or("COOKIE_SECURE", is_https, boolean),
            partitioned: read.or("COOKIE_PARTITIONED", false, boolean),
            access_token_path: or_root(read.or("ACCESS_TOKEN_PATH", String::new(), url_path)),
        }
    }

    /// Where cookies are kept now.
    #[must_use]
    pub fn place(&self) -> CookiePlace {
        CookiePlace { domain: self.domain.clone(), is_partitioned: self.partitioned }
    }

    /// Where browsers may still keep cookies from before the settings changed: on the older domain,
    /// partitioned or not, and on today's if they were not partitioned then.
    #[must_use]
    pub fn older_places(&self) -> Vec<CookiePlace> {
        let older = self.older_domain.as_ref().map(|older| match older {
            OlderDomain::HostOnly => None,
            OlderDomain::Domain(domain) => Some(domain.clone()),
        });
        let before = self.partitioned.then(|| self.domain.clone());
        let unpartitioned = older.iter().chain(&before).map(|domain| (domain, false));
        let partitioned = older.iter().filter(|_| self.partitioned).map(|domain| (domain, true));
        let places = unpartitioned.chain(partitioned);
        places
            .map(|(domain, is_partitioned)| CookiePlace { domain: domain.clone(), is_partitioned })
            .collect()
    }
}

fn or_root(path: String) -> String {
    if path.is_empty() { "/".to_owned() } else { path }
}

fn status(text: &str) -> Result<StatusCode, String> {
    let code = number(text, (300, 599))?;
    u16::try_from(code)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| "not a status code".to_owned())
}

impl SameSite {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "strict" => Ok(Self::Strict),
            "lax" => Ok(Self::Lax),
            "none" => Ok(Self::None),
            _ => Err("use strict, lax or none".to_owned()),
        }
    }

    /// The attribute's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

impl AntiCsrf {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "NONE" => Ok(Self::None),
            "VIA_CUSTOM_HEADER" => Ok(Self::ViaCustomHeader),
            "VIA_TOKEN" => Ok(Self::ViaToken),
            _ => Err("use NONE, VIA_CUSTOM_HEADER or VIA_TOKEN".to_owned()),
        }
    }
}

impl AllowedMethod {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "any" => Ok(Self::Any),
            "cookie" => Ok(Self::Cookie),
            "header" => Ok(Self::Header),
            _ => Err("use any, cookie or header".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn config(settings: &[(&str, &str)]) -> Result<SessionConfig, ConfigError> {
        let defaults =
            [("API_DOMAIN", "https://api.example.com"), ("WEBSITE_DOMAIN", "https://example.com")];
        SessionConfig::from_lookup(|name| {
            let mut all = settings.iter().chain(&defaults);
            all.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn problems(settings: &[(&str, &str)]) -> Vec<String> {
        config(settings).unwrap_err().problems
    }

    fn refused(settings: &[(&str, &str)], reason: &str) {
        let problems = problems(settings);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].contains(reason), "{problems:#?}");
    }

    /// The settings for the website that a request with this header comes from.
    fn for_request<'c>(config: &'c SessionConfig, name: &'static str, value: &str) -> &'c Website {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        config.websites.of(&headers)
    }

    const OTHER_SITE: (&str, &str) = ("WEBSITE_DOMAIN", "https://other.com");
    const TWO_SITES: (&str, &str) =
        ("WEBSITE_DOMAIN", "https://example.com, https://other.com:8443");
    const INSECURE_API: (&str, &str) = ("API_DOMAIN", "http://api.example.com");
    const INSECURE_WEBSITE: (&str, &str) = ("WEBSITE_DOMAIN", "http://example.com");
    const HEADERS_ONLY: (&str, &str) = ("TOKEN_TRANSFER_METHOD", "header");

    #[test]
    fn one_site_gives_lax_secure_cookies_and_no_anti_csrf() {
        let config = config(&[]).unwrap();
        let website = config.websites.of(&HeaderMap::new());
        assert_eq!(website.same_site, SameSite::Lax);
        assert_eq!(website.anti_csrf, AntiCsrf::None);
        assert!(config.cookies.secure);
        assert_eq!(config.issuer(), "https://api.example.com/auth");
    }

    #[test]
    fn the_default_gateway_host_is_another_site() {
        let host = "https://abc.execute-api.eu-west-1.amazonaws.com";
        let config = config(&[("API_DOMAIN", host)]).unwrap();
        let website = config.websites.of(&HeaderMap::new());
        assert_eq!(website.same_site, SameSite::None);
        assert_eq!(website.anti_csrf, AntiCsrf::ViaCustomHeader);
    }

    #[test]
    fn localhost_and_a_loopback_address_are_one_site() {
        let local =
            [("API_DOMAIN", "http://localhost:3001"), ("WEBSITE_DOMAIN", "http://127.0.0.1:3000")];
        let config = config(&local).unwrap();
        assert_eq!(config.websites.of(&HeaderMap::new()).same_site, SameSite::Lax);
        assert!(!config.cookies.secure);
    }

    #[test]
    fn each_of_several_websites_gets_what_its_own_site_asks_for() {
        let config = config(&[TWO_SITES]).unwrap();
        for (name, value, same_site, anti_csrf) in [
            ("origin", "https://example.com", SameSite::Lax, AntiCsrf::None),
            ("referer", "https://example.com/page?x", SameSite::Lax, AntiCsrf::None),
            ("origin", "https://other.com:8443", SameSite::None, AntiCsrf::ViaCustomHeader),
            ("referer", "https://other.com:8443/", SameSite::None, AntiCsrf::ViaCustomHeader),
        ] {
            let website = for_request(&config, name, value);
            assert_eq!((website.same_site, website.anti_csrf), (same_site, anti_csrf), "{value}");
        }
    }

    #[test]
    fn a_request_from_elsewhere_gets_the_first_websites_cookies_and_the_strictest_anti_csrf() {
        let config = config(&[TWO_SITES]).unwrap();
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "https://other.com"),
            ("origin", "http://example.com"),
            ("origin", "null"),
            ("x-nothing", "said"),
        ] {
            let website = for_request(&config, name, value);
            assert_eq!(website.same_site, SameSite::Lax, "{value}");
            assert_eq!(website.anti_csrf, AntiCsrf::ViaCustomHeader, "{value}");
        }
    }

    #[test]
    fn an_origin_is_compared_whole_and_as_browsers_write_it() {
        let config = config(&[TWO_SITES]).unwrap();
        for text in [
            "https://example.com.evil.example",
            "https://example.com@evil.example",
            "https://evil.example/https://example.com",
            "https://sub.example.com",
            "https://example.com:8443",
            "https://[::1",
            "https://",
            "file:///",
            "",
        ] {
            let website = for_request(&config, "origin", text);
            assert_eq!(website.anti_csrf, AntiCsrf::ViaCustomHeader, "{text}");
        }
        let standard_port = for_request(&config, "origin", "https://example.com:443");
        assert_eq!(standard_port.anti_csrf, AntiCsrf::None);
    }

    #[test]
    fn an_origin_counts_more_than_a_referer() {
        let config = config(&[TWO_SITES]).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("origin", "https://evil.example".parse().unwrap());
        headers.insert("referer", "https://example.com/".parse().unwrap());
        assert_eq!(config.websites.of(&headers).anti_csrf, AntiCsrf::ViaCustomHeader);
    }

    #[test]
    fn what_is_set_for_cookies_holds_for_every_website() {
        let set = [TWO_SITES, ("COOKIE_SAME_SITE", "none"), ("ANTI_CSRF", "VIA_TOKEN")];
        let config = config(&set).unwrap();
        for website in config.websites.iter() {
            assert_eq!(website.same_site, SameSite::None);
            assert_eq!(website.anti_csrf, AntiCsrf::ViaToken);
        }
    }

    #[test]
    fn every_website_must_be_an_origin_of_a_known_site() {
        refused(&[("WEBSITE_DOMAIN", "https://example.com,ftp://x")], "the scheme must be");
        refused(&[("WEBSITE_DOMAIN", "https://example.com,")], "not a URL");
        refused(&[("WEBSITE_DOMAIN", "https://example.com,https://intranet")], "is not known");
        refused(&[("WEBSITE_DOMAIN", "*")], "is not known");
    }

    #[test]
    fn paths_and_cookie_domains_are_normalised() {
        let config = config(&[
            ("API_GATEWAY_PATH", "/dev"),
            ("ACCESS_TOKEN_PATH", "/foo/"),
            ("COOKIE_DOMAIN", ".Example.com"),
            ("OLDER_COOKIE_DOMAIN", "https://api.example.com:80/x"),
            ("COOKIE_SAME_SITE", " Strict "),
        ])
        .unwrap();
        assert_eq!(config.refresh_path(), "/dev/auth/session/refresh");
        assert_eq!(config.cookies.access_token_path, "/foo");
        assert_eq!(config.cookies.domain.as_deref(), Some(".example.com"));
        let older = Some(OlderDomain::Domain("api.example.com".to_owned()));
        assert_eq!(config.cookies.older_domain, older);
        assert_eq!(config.websites.of(&HeaderMap::new()).same_site, SameSite::Strict);
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_remedy() {
        let problems = problems(&[
            ("API_DOMAIN", "ftp://x"),
            ("ANTI_CSRF", "maybe"),
            ("ACCESS_TOKEN_TTL_SECONDS", "0"),
            ("SESSION_EXPIRED_STATUS_CODE", "403"),
        ]);
        assert_eq!(problems.len(), 4, "{problems:#?}");
    }

    #[test]
    fn the_number_of_sessions_is_limited_if_at_all_to_one_up_to_a_thousand() {
        assert_eq!(config(&[]).unwrap().session_limit, None);
        for (text, expected) in [("1", Some(1)), ("1000", Some(1000))] {
            assert_eq!(
                config(&[("SESSION_LIMIT_PER_USER", text)]).unwrap().session_limit,
                expected
            );
        }
        for text in ["0", "1001", "many"] {
            assert_eq!(problems(&[("SESSION_LIMIT_PER_USER", text)]).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_missing_domain_is_named() {
        let error = SessionConfig::from_lookup(|_| None).unwrap_err().to_string();
        assert!(error.contains("API_DOMAIN is missing"), "{error}");
        assert!(error.contains("WEBSITE_DOMAIN is missing"), "{error}");
    }

    #[test]
    fn a_cookie_domain_that_does_not_cover_the_api_is_refused() {
        refused(&[("COOKIE_DOMAIN", "ample.com")], "COOKIE_DOMAIN ample.com does not cover");
        refused(&[("OLDER_COOKIE_DOMAIN", "other.com")], "OLDER_COOKIE_DOMAIN other.com does not");
    }

    #[test]
    fn a_cookie_domain_that_strangers_share_is_refused() {
        refused(&[("COOKIE_DOMAIN", ".com")], "strangers share it");
        let gateway = ("API_DOMAIN", "https://abc.execute-api.eu-west-1.amazonaws.com");
        refused(&[gateway, ("COOKIE_DOMAIN", "amazonaws.com")], "strangers share it");
        assert!(config(&[gateway, ("COOKIE_DOMAIN", gateway.1)]).is_ok());
    }

    #[test]
    fn an_older_cookie_domain_that_is_todays_is_refused() {
        let now = ("COOKIE_DOMAIN", "example.com");
        refused(&[now, ("OLDER_COOKIE_DOMAIN", ".example.com")], "where cookies are kept now");
        refused(&[("OLDER_COOKIE_DOMAIN", "host-only")], "where cookies are kept now");
        assert!(config(&[now, ("OLDER_COOKIE_DOMAIN", "host-only")]).is_ok());
    }

    #[test]
    fn access_tokens_that_end_within_a_flight_are_refused() {
        refused(&[("ACCESS_TOKEN_TTL_SECONDS", "31")], "REFRESH_FLIGHT_SECONDS (30)");
        assert!(config(&[("ACCESS_TOKEN_TTL_SECONDS", "32")]).is_ok());
    }

    #[test]
    fn cookies_that_browsers_refuse_are_refused_at_start() {
        let cookies = ("TOKEN_TRANSFER_METHOD", "cookie");
        refused(&[INSECURE_API, cookies], "SameSite=None without Secure");
        refused(&[INSECURE_API, INSECURE_WEBSITE, ("COOKIE_SECURE", "true")], "refuse the cookies");
        // Browsers make an exception for this machine.
        let local = ("API_DOMAIN", "http://localhost:3001");
        let secure = [local, ("WEBSITE_DOMAIN", "http://localhost"), ("COOKIE_SECURE", "true")];
        assert!(config(&secure).is_ok());
    }

    #[test]
    fn cookies_that_would_travel_in_the_clear_are_refused() {
        refused(&[("COOKIE_SECURE", "false")], "where anybody can read them");
        assert!(config(&[("COOKIE_SECURE", "false"), HEADERS_ONLY]).is_ok());
    }

    #[test]
    fn cookies_that_never_reach_the_website_are_refused() {
        refused(
            &[OTHER_SITE, ("COOKIE_SAME_SITE", "lax")],
            "keeps the cookies from https://other.com",
        );
        refused(
            &[TWO_SITES, ("COOKIE_SAME_SITE", "strict")],
            "keeps the cookies from https://other",
        );
        assert!(config(&[OTHER_SITE, ("COOKIE_SAME_SITE", "lax"), HEADERS_ONLY]).is_ok());
    }

    #[test]
    fn cookies_that_any_site_could_use_are_refused() {
        refused(&[OTHER_SITE, ("ANTI_CSRF", "NONE")], "open to requests from any site");
        refused(&[("COOKIE_SAME_SITE", "none"), ("ANTI_CSRF", "NONE")], "open to requests");
        assert!(config(&[OTHER_SITE, ("ANTI_CSRF", "NONE"), HEADERS_ONLY]).is_ok());
    }

    #[test]
    fn an_anti_csrf_token_without_cookies_is_refused() {
        refused(&[HEADERS_ONLY, ("ANTI_CSRF", "VIA_TOKEN")], "allows none");
    }

    #[test]
    fn partitioned_cookies_must_be_same_site_none_and_secure() {
        let partitioned = ("COOKIE_PARTITIONED", "true");
        assert!(config(&[OTHER_SITE, partitioned]).unwrap().cookies.partitioned);
        refused(&[partitioned], "are SameSite=Lax");
        refused(&[TWO_SITES, partitioned], "those for https://example.com are SameSite=Lax");
        refused(&[INSECURE_API, partitioned], "needs Secure");
        assert!(!config(&[OTHER_SITE]).unwrap().cookies.partitioned);
    }

    #[test]
    fn older_cookies_may_be_anywhere_that_the_settings_tell_of() {
        let places = |settings: &[(&str, &str)]| {
            let places = config(settings).unwrap().cookies.older_places();
            let text = places.into_iter().map(|place| (place.domain, place.is_partitioned));
            text.collect::<Vec<_>>()
        };
        let older = ("OLDER_COOKIE_DOMAIN", "example.com");
        let older_domain = Some("example.com".to_owned());
        assert_eq!(places(&[]), []);
        assert_eq!(places(&[older]), [(older_domain.clone(), false)]);
        let partitioned = [OTHER_SITE, ("COOKIE_PARTITIONED", "true")];
        assert_eq!(places(&partitioned), [(None, false)]);
        let both = [OTHER_SITE, ("COOKIE_PARTITIONED", "true"), older];
        let expected = [(older_domain.clone(), false), (None, false), (older_domain, true)];
        assert_eq!(places(&both), expected);
    }

    #[test]
    fn assurance_levels_set_the_lifetimes_of_the_standard() {
        // NIST SP 800-63B-4 §5: overall and idle time, in seconds; the last is our access token's.
        for (level, expected) in [
            ("aal1", [30 * 86_400, 30 * 86_400, 3600]),
            ("aal2", [86_400, 3600, 900]),
            ("aal3", [43_200, 900, 300]),
        ] {
            let config = config(&[("ASSURANCE_LEVEL", level)]).unwrap();
            let absolute = config.absolute_ttl.unwrap();
            let set = [absolute, config.refresh_token_ttl, config.access_token_ttl];
            assert_eq!(set.map(|ttl| ttl.as_secs()), expected, "{level}");
        }
        refused(&[("ASSURANCE_LEVEL", "aal4")], "use aal1, aal2 or aal3");
    }

    #[test]
    fn an_assurance_level_can_be_tightened_and_not_weakened() {
        let level = ("ASSURANCE_LEVEL", "aal2");
        refused(&[level, ("SESSION_ABSOLUTE_TTL_SECONDS", "86401")], "set at most 86400");
        refused(&[level, ("REFRESH_TOKEN_TTL_SECONDS", "3601")], "set at most 3600");
        refused(&[level, ("ACCESS_TOKEN_TTL_SECONDS", "3600")], "before it is first refreshed");
        let tight = [level, ("SESSION_ABSOLUTE_TTL_SECONDS", "1800")];
        let config = config(&tight).unwrap();
        assert_eq!(config.absolute_ttl, Some(Duration::from_mins(30)));
        assert_eq!(config.refresh_token_ttl, Duration::from_mins(30));
    }

    #[test]
    fn a_session_must_outlive_its_idle_time_and_its_first_access_token() {
        let day = ("SESSION_ABSOLUTE_TTL_SECONDS", "86400");
        refused(&[day, ("REFRESH_TOKEN_TTL_SECONDS", "86401")], "every session is over before");
        assert_eq!(config(&[day]).unwrap().refresh_token_ttl, Duration::from_hours(24));
        refused(&[("SESSION_ABSOLUTE_TTL_SECONDS", "3600")], "before it is first refreshed");
    }
}
