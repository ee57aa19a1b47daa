//! The settings, parsed and cross-checked once.
//!
//! [`SessionConfig::from_lookup`] reports every problem at once, each with the sentence that says
//! what to do. Names, defaults and meanings follow contract §1.4, §2.1, §3.7 and §4.1.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::model::RefreshPolicy;
use crate::token::key::SigningAlgorithm;

/// All settings of the session service.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionConfig {
    /// `APP_ID`, default `public`: part of the user partition, so one table can serve several
    /// applications.
    pub app_id: String,
    /// `API_DOMAIN`, required: scheme, host and port of the API.
    pub api_domain: Origin,
    /// `WEBSITE_DOMAIN`, required: scheme, host and port of the website.
    pub website_domain: Origin,
    /// `API_BASE_PATH`, default `/auth`, with `API_GATEWAY_PATH` (default empty) in front: where the
    /// endpoints are, as the client sees them. Normalised: leading slash, no trailing one.
    pub base_path: String,
    /// Everything about cookies.
    pub cookies: CookieConfig,
    /// `ANTI_CSRF`: `NONE`, `VIA_CUSTOM_HEADER` or `VIA_TOKEN`; by default `VIA_CUSTOM_HEADER` if
    /// cookies are `SameSite=None`, else `NONE`.
    pub anti_csrf: AntiCsrf,
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
    /// (100 days): how long a session lives without a refresh.
    pub refresh_token_ttl: Duration,
    /// `SESSION_ABSOLUTE_TTL_SECONDS`, default none: how long a session lives at most.
    pub absolute_ttl: Option<Duration>,
    /// `REFRESH_FLIGHT_SECONDS`, 0–60, default 30 (API Gateway ends a call at 29 to 30 s): F of the
    /// refresh rule; 0 is strict single use.
    pub refresh: RefreshPolicy,
    /// `SIGNING_ALGORITHM`: `RS256` (default) or `ES256`; counts when keys are made.
    pub signing_algorithm: SigningAlgorithm,
    /// `USE_DYNAMIC_SIGNING_KEY`, default `true`: which kind of key signs and is accepted.
    pub use_dynamic_signing_key: bool,
}

/// Cookie attributes (contract §1.4).
#[derive(Clone, Debug, PartialEq)]
pub struct CookieConfig {
    /// `COOKIE_DOMAIN`, default none: host-only cookies.
    pub domain: Option<String>,
    /// `OLDER_COOKIE_DOMAIN`: the domain before it was changed; `host-only` (or an empty value given
    /// by code) if cookies had no `Domain` then.
    pub older_domain: Option<OlderDomain>,
    /// `COOKIE_SAME_SITE`: `strict`, `lax` or `none`; by default `none` if API and website are on
    /// different sites, else `lax`.
    pub same_site: SameSite,
    /// `COOKIE_SECURE`; by default whether the API is reached by https.
    pub secure: bool,
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

/// The `SameSite` attribute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SameSite {
    /// Never sent across sites.
    Strict,
    /// Sent across sites on top-level navigation only.
    Lax,
    /// Sent always; browsers demand `Secure`.
    None,
}

/// What proves that a cookie request comes from the website (contract §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AntiCsrf {
    /// Nothing: `SameSite` does the work.
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
    pub const VARIABLES: [&'static str; 21] = [
        "APP_ID",
        "API_DOMAIN",
        "WEBSITE_DOMAIN",
        "API_BASE_PATH",
        "API_GATEWAY_PATH",
        "COOKIE_DOMAIN",
        "OLDER_COOKIE_DOMAIN",
        "COOKIE_SAME_SITE",
        "COOKIE_SECURE",
        "ACCESS_TOKEN_PATH",
        "ANTI_CSRF",
        "TOKEN_TRANSFER_METHOD",
        "EXPOSE_ACCESS_TOKEN",
        "SESSION_EXPIRED_STATUS_CODE",
        "INVALID_CLAIM_STATUS_CODE",
        "ACCESS_TOKEN_TTL_SECONDS",
        "REFRESH_TOKEN_TTL_SECONDS",
        "SESSION_ABSOLUTE_TTL_SECONDS",
        "REFRESH_FLIGHT_SECONDS",
        "SIGNING_ALGORITHM",
        "USE_DYNAMIC_SIGNING_KEY",
    ];

    /// Reads the settings through `lookup`; an empty value counts as absent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every missing, malformed and contradictory setting.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader { lookup, problems: Vec::new() };
        let api_domain = read.required("API_DOMAIN", Origin::parse);
        let website_domain = read.required("WEBSITE_DOMAIN", Origin::parse);
        let sites = api_domain.as_ref().zip(website_domain.as_ref());
        let is_cross_site = match sites.map(|(api, website)| api.is_cross_site(website)) {
            Some(Ok(is_cross_site)) => is_cross_site,
            Some(Err(problem)) => {
                read.problems.push(problem);
                false
            }
            None => false,
        };
        let default_same_site = if is_cross_site { SameSite::None } else { SameSite::Lax };
        let same_site = read.or("COOKIE_SAME_SITE", default_same_site, SameSite::parse);
        let default_anti_csrf =
            if same_site == SameSite::None { AntiCsrf::ViaCustomHeader } else { AntiCsrf::None };
        let is_https = api_domain.as_ref().is_some_and(|api| api.scheme == "https");
        let cookies = CookieConfig::read(&mut read, same_site, is_https);
        let base_path = [
            read.or("API_GATEWAY_PATH", String::new(), url_path),
            read.or("API_BASE_PATH", "/auth".to_owned(), url_path),
        ]
        .concat();
        let seconds =
            |range: (u64, u64)| move |text: &str| number(text, range).map(Duration::from_secs);
        let config = Self {
            app_id: read.or("APP_ID", "public".to_owned(), |text| Ok(text.to_owned())),
            base_path,
            cookies,
            anti_csrf: read.or("ANTI_CSRF", default_anti_csrf, AntiCsrf::parse),
            transfer_method: read.or(
                "TOKEN_TRANSFER_METHOD",
                AllowedMethod::Any,
                AllowedMethod::parse,
            ),
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
            access_token_ttl: read.or(
                "ACCESS_TOKEN_TTL_SECONDS",
                Duration::from_hours(1),
                seconds((1, 86_400)),
            ),
            refresh_token_ttl: read.or(
                "REFRESH_TOKEN_TTL_SECONDS",
                Duration::from_hours(100 * 24),
                seconds((60, 34_560_000)),
            ),
            absolute_ttl: read.or("SESSION_ABSOLUTE_TTL_SECONDS", None, |text| {
                seconds((60, u64::from(u32::MAX)))(text).map(Some)
            }),
            refresh: read.or(
                "REFRESH_FLIGHT_SECONDS",
                RefreshPolicy::new(Duration::from_secs(30)),
                |text| {
                    let max = RefreshPolicy::MAX_FLIGHT.as_secs();
                    seconds((0, max))(text).map(RefreshPolicy::new)
                },
            ),
            signing_algorithm: read.or("SIGNING_ALGORITHM", SigningAlgorithm::Rs256, |text| {
                SigningAlgorithm::from_name(text).ok_or_else(|| "use RS256 or ES256".to_owned())
            }),
            use_dynamic_signing_key: read.or("USE_DYNAMIC_SIGNING_KEY", true, boolean),
            // Placeholders that are never seen: without both domains there is an error below.
            api_domain: api_domain.unwrap_or_default(),
            website_domain: website_domain.unwrap_or_default(),
        };
        let mut problems = read.problems;
        config.cross_check(&mut problems);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
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

    /// Whether cookies of this configuration would be refused by browsers (contract §1.4).
    #[must_use]
    pub fn is_insecure_cross_site(&self) -> bool {
        let both_local = self.api_domain.is_local() && self.website_domain.is_local();
        self.cookies.same_site == SameSite::None && !self.cookies.secure && !both_local
    }

    fn cross_check(&self, problems: &mut Vec<String>) {
        if self.session_expired_status == self.invalid_claim_status {
            problems.push(format!(
                "SESSION_EXPIRED_STATUS_CODE and INVALID_CLAIM_STATUS_CODE are both {}: clients tell \
                 the two cases apart by status, so choose different ones",
                self.session_expired_status.as_u16()
            ));
        }
        if self.access_token_ttl >= self.refresh_token_ttl {
            problems.push(
                "ACCESS_TOKEN_TTL_SECONDS must be less than REFRESH_TOKEN_TTL_SECONDS: otherwise a \
                 session is over before it is first refreshed"
                    .to_owned(),
            );
        }
        // The refresh rule takes for granted that a browser does not refresh what it has just stored;
        // the life of access tokens sees to it, jitter included (docs/rotation.md).
        if self.access_token_ttl * 95 / 100 < self.refresh.flight() {
            problems.push(format!(
                "ACCESS_TOKEN_TTL_SECONDS less 5 % must not be below REFRESH_FLIGHT_SECONDS ({}): \
                 otherwise clients refresh again while a refresh may still be under way; lower the latter",
                self.refresh.flight().as_secs()
            ));
        }
        if self.is_insecure_cross_site() && self.transfer_method == AllowedMethod::Cookie {
            problems.push(
                "cookies would be SameSite=None without Secure, which browsers refuse: serve the API \
                 by https (API_DOMAIN), or use TOKEN_TRANSFER_METHOD=header"
                    .to_owned(),
            );
        }
        if self.base_path.is_empty() {
            problems.push(
                "API_BASE_PATH must not be the root: the refresh cookie's path would cover \
                 everything; use a path such as /auth"
                    .to_owned(),
            );
        }
        if let Some(domain) = &self.cookies.domain {
            let bare = domain.trim_start_matches('.');
            let host = self.api_domain.host.as_str();
            let covers = host == bare || host.strip_suffix(bare).is_some_and(|h| h.ends_with('.'));
            if !covers && !host.is_empty() {
                problems.push(format!(
                    "COOKIE_DOMAIN {domain} does not cover the API's host {host}: browsers would \
                     refuse the cookies; use the host or a parent domain of it"
                ));
            }
        }
    }
}

impl CookieConfig {
    fn read<L: Fn(&str) -> Option<String>>(
        read: &mut Reader<L>,
        same_site: SameSite,
        is_https: bool,
    ) -> Self {
        Self {
            domain: read.or("COOKIE_DOMAIN", None, |text| cookie_domain(text).map(Some)),
            older_domain: read.or("OLDER_COOKIE_DOMAIN", None, |text| {
                if text == "host-only" {
                    return Ok(Some(OlderDomain::HostOnly));
                }
                cookie_domain(text).map(|domain| Some(OlderDomain::Domain(domain)))
            }),
            same_site,
            secure: read.or("COOKIE_SECURE", is_https, boolean),
            access_token_path: or_root(read.or("ACCESS_TOKEN_PATH", String::new(), url_path)),
        }
    }
}

/// Reads variables and collects what is wrong with them.
struct Reader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn value(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn required<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Some(text) = self.value(name) else {
            self.problems
                .push(format!("{name} is missing: set it, for example https://api.example.com"));
            return None;
        };
        parse(&text).map_err(|problem| self.reject(name, &text, &problem)).ok()
    }

    fn or<T>(&mut self, name: &str, default: T, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let Some(text) = self.value(name) else {
            return default;
        };
        match parse(&text) {
            Ok(value) => value,
            Err(problem) => {
                self.reject(name, &text, &problem);
                default
            }
        }
    }

    fn reject(&mut self, name: &str, text: &str, problem: &str) {
        self.problems.push(format!("{name} is {text:?}: {problem}"));
    }
}

/// Scheme, host and port (contract §1.4, `apiDomain`).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Reads a URL or a bare host; the path is dropped. Without a scheme, `http` is assumed for
    /// localhost and IPv4, `https` otherwise.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.to_lowercase();
        let with_scheme = if text.contains("://") {
            text
        } else {
            let host = text.split([':', '/']).next().unwrap_or_default();
            let scheme = if is_local_host(host) { "http" } else { "https" };
            format!("{scheme}://{text}")
        };
        let url = Url::parse(&with_scheme).map_err(|error| format!("not a URL ({error})"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("the scheme must be http or https".to_owned());
        }
        let host = url.host_str().ok_or("there is no host")?.to_owned();
        Ok(Self { scheme: url.scheme().to_owned(), host, port: url.port() })
    }

    fn is_local(&self) -> bool {
        is_local_host(&self.host)
    }

    /// Whether cookies of this origin are third-party cookies on `website` (contract §1.4).
    fn is_cross_site(&self, website: &Self) -> Result<bool, String> {
        Ok(self.scheme != website.scheme || self.site()? != website.site()?)
    }

    /// The top-level site: the registrable domain, with the exceptions of contract §1.4.
    fn site(&self) -> Result<String, String> {
        if self.is_local() {
            return Ok("localhost".to_owned());
        }
        if let Some(domain) = psl::domain_str(&self.host) {
            // A domain without a listed suffix is only taken for `.local` and the like below.
            let is_known =
                psl::suffix(self.host.as_bytes()).is_some_and(|suffix| suffix.is_known());
            if is_known {
                return Ok(domain.to_owned());
            }
        }
        // The host is lower case since it was parsed.
        if [".amazonaws.com", ".local"].iter().any(|suffix| self.host.ends_with(suffix)) {
            return Ok(self.host.clone());
        }
        Err(format!(
            "the site of host {:?} is not known: use a name under a public suffix, or localhost",
            self.host
        ))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn is_local_host(host: &str) -> bool {
    host.starts_with("localhost") || host.parse::<Ipv4Addr>().is_ok()
}

/// Normalises a cookie domain: host only, lower case, a leading dot kept except where it is
/// meaningless (contract §1.4).
fn cookie_domain(text: &str) -> Result<String, String> {
    let text = text.to_lowercase();
    let (had_dot, rest) =
        text.strip_prefix('.').map_or((false, text.as_str()), |rest| (true, rest));
    let host = Origin::parse(rest)?.host;
    Ok(if had_dot && !is_local_host(&host) { format!(".{host}") } else { host })
}

/// Normalises a URL path: leading slash, no trailing one, the root becomes empty; case is kept.
fn url_path(text: &str) -> Result<String, String> {
    let path = match text.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => text,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_start_matches('/').trim_end_matches('/');
    if path.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b';') {
        return Err("not a URL path".to_owned());
    }
    Ok(if path.is_empty() { String::new() } else { format!("/{path}") })
}

fn or_root(path: String) -> String {
    if path.is_empty() { "/".to_owned() } else { path }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("use true or false".to_owned()),
    }
}

fn number(text: &str, (min, max): (u64, u64)) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("use a whole number from {min} to {max}"))
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

    #[test]
    fn one_site_gives_lax_secure_cookies_and_no_anti_csrf() {
        let config = config(&[]).unwrap();
        assert_eq!(config.cookies.same_site, SameSite::Lax);
        assert!(config.cookies.secure);
        assert_eq!(config.anti_csrf, AntiCsrf::None);
        assert_eq!(config.issuer(), "https://api.example.com/auth");
    }

    #[test]
    fn the_default_gateway_host_is_another_site() {
        let host = "https://abc.execute-api.eu-west-1.amazonaws.com";
        let config = config(&[("API_DOMAIN", host)]).unwrap();
        assert_eq!(config.cookies.same_site, SameSite::None);
        assert_eq!(config.anti_csrf, AntiCsrf::ViaCustomHeader);
    }

    #[test]
    fn localhost_and_a_loopback_address_are_one_site() {
        let local =
            [("API_DOMAIN", "http://localhost:3001"), ("WEBSITE_DOMAIN", "http://127.0.0.1:3000")];
        let config = config(&local).unwrap();
        assert_eq!(config.cookies.same_site, SameSite::Lax);
        assert!(!config.cookies.secure);
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
        assert_eq!(config.cookies.same_site, SameSite::Strict);
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
    fn a_missing_domain_is_named() {
        let error = SessionConfig::from_lookup(|_| None).unwrap_err().to_string();
        assert!(error.contains("API_DOMAIN is missing"), "{error}");
        assert!(error.contains("WEBSITE_DOMAIN is missing"), "{error}");
    }

    #[test]
    fn a_cookie_domain_that_does_not_cover_the_api_is_refused() {
        let problems = problems(&[("COOKIE_DOMAIN", "ample.com")]);
        assert!(problems[0].contains("does not cover"), "{problems:?}");
    }

    #[test]
    fn access_tokens_that_end_within_a_flight_are_refused() {
        let problems = problems(&[("ACCESS_TOKEN_TTL_SECONDS", "31")]);
        assert!(problems[0].contains("REFRESH_FLIGHT_SECONDS (30)"), "{problems:?}");
        assert!(config(&[("ACCESS_TOKEN_TTL_SECONDS", "32")]).is_ok());
    }

    #[test]
    fn cookies_that_browsers_refuse_are_refused_at_start() {
        let problems = problems(&[
            ("API_DOMAIN", "http://api.example.com"),
            ("TOKEN_TRANSFER_METHOD", "cookie"),
        ]);
        assert!(problems[0].contains("SameSite=None without Secure"), "{problems:?}");
    }
}
