//! The settings of one authorizer function. A stack may have several, from one binary.

use http::StatusCode;
use session::SessionConfig;
use session::config::{ConfigError, Origin, Reader, boolean};
use session::http::AntiCsrfCheck;
use session::model::ClaimValidator;

use crate::answer::{RESERVED_KEYS, ResponseFormat};
use crate::claims::validators;

/// What an authorizer asks of requests, and how it answers.
#[derive(Clone, Debug)]
pub struct AuthorizerConfig {
    /// `AUTHORIZER_RESPONSE`: `simple` (default) or `policy`, as the authorizer of an HTTP API with
    /// payload 2.0 is set up. All other front doors have one form of answer each.
    pub response: ResponseFormat,
    /// `SESSION_REQUIRED`, default `true`: whether a request without any token is refused; a text that has
    /// not the form of our tokens is none. A stale token is refused in any case.
    pub session_required: bool,
    /// `CHECK_DATABASE`, default `false`: whether each request asks the table if the session still lives,
    /// in one strongly consistent read. Otherwise a token works until it expires.
    pub check_database: bool,
    /// `ANTI_CSRF_CHECK`: when requests with cookies need an anti-CSRF proof: `always`, `never`, or `auto`
    /// (default): all but GET do.
    pub anti_csrf_check: AntiCsrfCheck,
    /// `REQUIRED_CLAIMS`, a JSON list such as `[{"claim":"st-role","includes":"admin"}]`: what a token must
    /// say of its session, or the request is 403.
    pub required_claims: Vec<ClaimValidator>,
    /// `CONTEXT_CLAIMS`, names with commas between: the claims that the integration finds in its context,
    /// in place of the complete payload as JSON text.
    pub context_claims: Option<Vec<String>>,
    /// `WEBSOCKET_ORIGINS`, origins with commas between: where a WebSocket may be opened from with cookies.
    /// If empty, from the websites of `WEBSITE_DOMAIN`.
    pub websocket_origins: Vec<Origin>,
}

impl Default for AuthorizerConfig {
    fn default() -> Self {
        Self {
            response: ResponseFormat::Simple,
            session_required: true,
            check_database: false,
            anti_csrf_check: AntiCsrfCheck::Auto,
            required_claims: Vec::new(),
            context_claims: None,
            websocket_origins: Vec::new(),
        }
    }
}

impl AuthorizerConfig {
    /// Reads the settings through `lookup`; an empty value counts as absent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every malformed setting.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader::new(&lookup);
        let config = Self::read(&mut read);
        if !config.session_required && !config.required_claims.is_empty() {
            read.problem(
                "SESSION_REQUIRED=false lets in whoever leaves the token out, and REQUIRED_CLAIMS then \
                 demands nothing of them: leave one of the two out; an authorizer of its own can \
                 serve the routes that differ",
            );
        }
        read.finish(config)
    }

    /// Every variable that is read.
    #[must_use]
    pub fn variables() -> Vec<&'static str> {
        Reader::asked_by(Self::read)
    }

    fn read(read: &mut Reader<'_>) -> Self {
        let default = Self::default();
        Self {
            response: read.or("AUTHORIZER_RESPONSE", default.response, response),
            session_required: read.or("SESSION_REQUIRED", default.session_required, boolean),
            check_database: read.or("CHECK_DATABASE", default.check_database, boolean),
            anti_csrf_check: read.or("ANTI_CSRF_CHECK", default.anti_csrf_check, anti_csrf_check),
            required_claims: read.or("REQUIRED_CLAIMS", default.required_claims, validators),
            context_claims: read.optional("CONTEXT_CLAIMS", claim_names),
            websocket_origins: read.or("WEBSOCKET_ORIGINS", Vec::new(), |text| {
                listed(text).map(Origin::parse).collect()
            }),
        }
    }
}

/// What a gateway may not follow, as a sentence for the log. No error, because only the events tell what
/// kind of API is in front: those of REST APIs can be taught other status codes.
#[must_use]
pub fn caveat(config: &SessionConfig) -> Option<String> {
    let (expired, invalid) = (config.statuses.session_expired, config.statuses.invalid_claim);
    let is_fixed = expired == StatusCode::UNAUTHORIZED && invalid == StatusCode::FORBIDDEN;
    (!is_fixed).then(|| {
        format!(
            "HTTP and WebSocket APIs answer 401 and 403 for an authorizer, whatever \
             SESSION_EXPIRED_STATUS_CODE ({}) and INVALID_CLAIM_STATUS_CODE ({}) say: leave them out, or \
             map both in the gateway responses of a REST API",
            expired.as_u16(),
            invalid.as_u16()
        )
    })
}

fn response(text: &str) -> Result<ResponseFormat, String> {
    match text {
        "simple" => Ok(ResponseFormat::Simple),
        "policy" => Ok(ResponseFormat::Policy),
        _ => Err("use simple or policy".to_owned()),
    }
}

fn anti_csrf_check(text: &str) -> Result<AntiCsrfCheck, String> {
    match text {
        "auto" => Ok(AntiCsrfCheck::Auto),
        "always" => Ok(AntiCsrfCheck::Always),
        "never" => Ok(AntiCsrfCheck::Never),
        _ => Err("use auto, always or never".to_owned()),
    }
}

fn claim_names(text: &str) -> Result<Vec<String>, String> {
    if let Some(taken) = listed(text).find(|name| RESERVED_KEYS.contains(name)) {
        return Err(format!("{taken} is a key of its own in the context; name other claims"));
    }
    Ok(listed(text).map(str::to_owned).collect())
}

fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<AuthorizerConfig, ConfigError> {
        AuthorizerConfig::from_lookup(|name| {
            let found = settings.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn status_codes_that_a_gateway_may_not_follow_are_pointed_out() {
        let said = |settings: &[(&str, &str)]| {
            let domains =
                [("API_DOMAIN", "https://api.example.com"), ("WEBSITE_DOMAIN", "example.com")];
            let config = SessionConfig::from_lookup(|name| {
                let found = domains.iter().chain(settings).find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            });
            caveat(&config.unwrap())
        };
        assert_eq!(said(&[]), None);
        assert!(said(&[("SESSION_EXPIRED_STATUS_CODE", "440")]).unwrap().contains("(440)"));
        assert!(said(&[("INVALID_CLAIM_STATUS_CODE", "499")]).unwrap().contains("(499)"));
    }

    #[test]
    fn every_setting_is_read() {
        let config = read(&[
            ("AUTHORIZER_RESPONSE", "policy"),
            ("CHECK_DATABASE", "true"),
            ("ANTI_CSRF_CHECK", "always"),
            ("REQUIRED_CLAIMS", r#"[{"claim":"st-ev","isTrue":true}]"#),
            ("CONTEXT_CLAIMS", "st-role, plan"),
            ("WEBSOCKET_ORIGINS", "https://a.example.com,https://b.example.com:8443"),
        ])
        .unwrap();
        assert_eq!(config.response, ResponseFormat::Policy);
        assert!(!read(&[("SESSION_REQUIRED", "false")]).unwrap().session_required);
        assert!(config.check_database);
        assert_eq!(config.anti_csrf_check, AntiCsrfCheck::Always);
        assert_eq!(config.required_claims.len(), 1);
        assert_eq!(config.context_claims.unwrap(), ["st-role", "plan"]);
        let origins: Vec<_> = config.websocket_origins.iter().map(ToString::to_string).collect();
        assert_eq!(origins, ["https://a.example.com", "https://b.example.com:8443"]);
    }

    /// Whoever drops the token would be let in where a claim is demanded.
    #[test]
    fn claims_cannot_be_demanded_where_no_session_is() {
        let demand = ("REQUIRED_CLAIMS", r#"[{"claim":"st-ev","isTrue":true}]"#);
        let problems = read(&[demand, ("SESSION_REQUIRED", "false")]).unwrap_err().problems;
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("SESSION_REQUIRED=false lets in"), "{problems:?}");
        assert!(read(&[demand]).is_ok());
        assert!(read(&[("REQUIRED_CLAIMS", "[]"), ("SESSION_REQUIRED", "false")]).is_ok());
    }

    #[test]
    fn every_problem_is_reported_at_once_with_its_remedy() {
        let error = read(&[
            ("AUTHORIZER_RESPONSE", "iam"),
            ("SESSION_REQUIRED", "maybe"),
            ("CHECK_DATABASE", "1"),
            ("ANTI_CSRF_CHECK", "on"),
            ("REQUIRED_CLAIMS", "admin"),
            ("CONTEXT_CLAIMS", "plan,claims"),
            ("WEBSOCKET_ORIGINS", "ftp://example.com"),
        ]);
        let problems = error.unwrap_err().problems;
        assert_eq!(problems.len(), AuthorizerConfig::variables().len(), "{problems:?}");
        assert!(problems[5].contains("claims is a key of its own"), "{}", problems[5]);
    }
}
