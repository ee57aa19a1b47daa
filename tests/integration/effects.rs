//! What a response does to the client, in the words of contract §0.3.
//!
//! [`read`] leaves nothing of a response out, and believes no token that it has not tried.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use serde_json::Value as Json;
use session::model::Clock as _;
use session::token::UnverifiedRefreshToken;
use testkit::{Harness, keys};

/// A response, complete.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Headers that say nothing about the session.
    pub(crate) others: Vec<String>,
    pub(crate) effects: Effects,
}

/// Every session header and session cookie of a response.
#[derive(Debug, PartialEq)]
pub(crate) struct Effects {
    /// `front-token`.
    pub(crate) front: Value,
    /// `st-access-token`.
    pub(crate) access: Value,
    /// `st-refresh-token`.
    pub(crate) refresh: Value,
    /// `anti-csrf`.
    pub(crate) anti_csrf: Value,
    /// `Access-Control-Expose-Headers`; empty if absent.
    pub(crate) exposed: String,
    /// The lines of `Set-Cookie` in order; the text of a real token is replaced by `AT` or `RT`.
    pub(crate) cookies: Vec<String>,
}

/// The value of a header.
#[derive(Debug, PartialEq)]
pub(crate) enum Value {
    Absent,
    Empty,
    /// The word `remove`.
    Remove,
    /// A token that holds.
    Real,
    /// Anything else.
    Other(String),
}

use Value::{Absent, Empty, Real, Remove};

/// The headers that [`Effects`] is about, and the one that goes with any of them.
const SESSION_HEADERS: [&str; 7] = [
    "access-control-expose-headers",
    "anti-csrf",
    "cache-control",
    "front-token",
    "set-cookie",
    "st-access-token",
    "st-refresh-token",
];

/// The `Expires` of a cleared cookie.
const PAST: &str = "Thu, 01 Jan 1970 00:00:00 GMT";
/// The `Expires` of an access cookie that is set at `START`: 365 days later.
const ACCESS_END: &str = "Wed, 13 Nov 2024 22:13:20 GMT";
/// The `Expires` of a refresh cookie of a session created or rotated at `START`: 100 days later.
pub(crate) const REFRESH_END: &str = "Thu, 22 Feb 2024 22:13:20 GMT";

/// A JSON answer; 401 has a challenge.
pub(crate) fn answer(status: u16, body: &str, effects: Effects) -> Answer {
    let mut others = vec!["content-type: application/json".to_owned()];
    if status == 401 {
        others.push("www-authenticate: Bearer".to_owned());
    }
    Answer { status, body: body.to_owned(), others, effects }
}

/// Writes nothing: no session header or cookie at all.
pub(crate) fn none() -> Effects {
    Effects {
        front: Absent,
        access: Absent,
        refresh: Absent,
        anti_csrf: Absent,
        exposed: String::new(),
        cookies: vec![],
    }
}

/// Sets cookies, of a session that was created or rotated at `START`, answered at `START`.
pub(crate) fn set_c() -> Effects {
    set_c_until(ACCESS_END, REFRESH_END)
}

/// Sets cookies that end then.
pub(crate) fn set_c_until(access_end: &str, refresh_end: &str) -> Effects {
    let cookies = vec![access_cookie("AT", access_end), refresh_cookie("RT", refresh_end)];
    Effects { front: Real, exposed: "front-token".to_owned(), cookies, ..none() }
}

/// Sets headers.
pub(crate) fn set_h() -> Effects {
    let exposed = "front-token, st-access-token, st-refresh-token".to_owned();
    Effects { front: Real, access: Real, refresh: Real, exposed, ..none() }
}

/// Clears cookies.
pub(crate) fn clr_c() -> Effects {
    let cookies = vec![access_cookie("", PAST), refresh_cookie("", PAST)];
    Effects { front: Remove, exposed: "front-token".to_owned(), cookies, ..none() }
}

/// Clears headers.
pub(crate) fn clr_h() -> Effects {
    let exposed = "st-access-token, st-refresh-token, front-token".to_owned();
    Effects { front: Remove, access: Empty, refresh: Empty, exposed, ..none() }
}

/// Clears everything.
pub(crate) fn clr_all() -> Effects {
    let exposed = "front-token, st-access-token, st-refresh-token".to_owned();
    Effects { cookies: clr_c().cookies, exposed, ..clr_h() }
}

impl Effects {
    /// And clears the legacy cookie.
    pub(crate) fn and_clr_legacy(mut self) -> Self {
        self.cookies.push(cookie("sIdRefreshToken", "", "/", PAST));
        self
    }

    /// Every cookie with this `Domain`.
    pub(crate) fn on_domain(mut self, domain: &str) -> Self {
        for line in &mut self.cookies {
            *line = line.replacen("; Path", &format!("; Domain={domain}; Path"), 1);
        }
        self
    }
}

fn access_cookie(value: &str, end: &str) -> String {
    cookie("sAccessToken", value, "/", end)
}

fn refresh_cookie(value: &str, end: &str) -> String {
    cookie("sRefreshToken", value, "/auth/session/refresh", end)
}

fn cookie(name: &str, value: &str, path: &str, end: &str) -> String {
    format!("{name}={value}; Path={path}; Expires={end}; HttpOnly; Secure; SameSite=Lax")
}

/// What `response` does. Tokens are real if `stack` takes them now and they belong to one another.
pub(crate) async fn read(stack: &Harness, response: Response<Bytes>) -> Answer {
    let headers = response.headers();
    let tried = Tried::of(stack, headers).await;
    let value = |name: &str, real: &Option<String>| match joined(headers, name) {
        None => Absent,
        Some(text) if text.is_empty() => Empty,
        Some(text) if text == "remove" => Remove,
        text if text == *real => Real,
        Some(text) => Value::Other(text),
    };
    let effects = Effects {
        front: value("front-token", &tried.front),
        access: value("st-access-token", &tried.access),
        refresh: value("st-refresh-token", &tried.refresh),
        anti_csrf: value("anti-csrf", &tried.anti_csrf),
        exposed: joined(headers, "access-control-expose-headers").unwrap_or_default(),
        cookies: values(headers, "set-cookie").map(|line| tried.named(line)).collect(),
    };
    if effects != none() {
        assert_eq!(headers["cache-control"], "no-store", "what is one client's must not be kept");
    }
    let others = headers.iter().filter(|(name, _)| !SESSION_HEADERS.contains(&name.as_str()));
    let mut others: Vec<_> =
        others.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    others.sort();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    Answer { status: response.status().as_u16(), body, others, effects }
}

/// The tokens of a response that passed every check; what did not pass is not here.
#[derive(Default)]
struct Tried {
    access: Option<String>,
    refresh: Option<String>,
    front: Option<String>,
    anti_csrf: Option<String>,
}

impl Tried {
    async fn of(stack: &Harness, headers: &HeaderMap) -> Self {
        let Some(access) = carried(headers, "sAccessToken", "st-access-token") else {
            return Self::default();
        };
        if !is_accepted(stack, &access).await {
            return Self::default();
        }
        let claims = claims(&access);
        let refresh = carried(headers, "sRefreshToken", "st-refresh-token");
        Self {
            front: Some(front_token(&access)),
            refresh: refresh.filter(|token| is_issued_with(token, &claims)),
            anti_csrf: claims["antiCsrfToken"].as_str().map(str::to_owned),
            access: Some(access),
        }
    }

    /// A line of `Set-Cookie` with the text of a real token replaced by its name.
    fn named(&self, line: &str) -> String {
        for (name, token, short) in
            [("sAccessToken", &self.access, "AT"), ("sRefreshToken", &self.refresh, "RT")]
        {
            let Some(token) = token else { continue };
            if let Some(attributes) = line.strip_prefix(&format!("{name}={token};")) {
                return format!("{name}={short};{attributes}");
            }
        }
        line.to_owned()
    }
}

/// Whether an access token was minted now, for `user-1`, and opens a protected route.
async fn is_accepted(stack: &Harness, token: &str) -> bool {
    // Both ways: a stack that is fixed to one does not look at the other.
    let (cookie, bearer) = (format!("sAccessToken={token}"), format!("Bearer {token}"));
    let both = [("cookie", cookie.as_str()), ("authorization", bearer.as_str())];
    let response = stack.send(Method::GET, "/api/me", &both).await;
    if response.status() != 200 {
        return false;
    }
    let claims = claims(token);
    claims["sub"] == "user-1" && claims["iat"] == stack.clock.now().as_secs()
}

/// The payload of a JWT, as its issuer wrote it.
fn payload(token: &str) -> String {
    let payload = token.split('.').nth(1).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// What an access token says, unverified.
pub(crate) fn claims(token: &str) -> Json {
    serde_json::from_str(&payload(token)).unwrap()
}

/// The one front token that goes with an access token (contract §1.2).
fn front_token(access: &str) -> String {
    let (payload, claims) = (payload(access), claims(access));
    let ends_at = claims["exp"].as_u64().unwrap() * 1000;
    STANDARD.encode(format!(r#"{{"uid":"user-1","ate":{ends_at},"up":{payload}}}"#))
}

/// Whether a refresh token is authentic, and the one that these claims name.
fn is_issued_with(refresh: &str, claims: &Json) -> bool {
    let master = keys::master();
    let Some(token) =
        UnverifiedRefreshToken::parse(refresh).and_then(|token| token.verify(&master))
    else {
        return false;
    };
    let minted = master.mint(&token.handle, token.generation, token.with_anti_csrf);
    let anti_csrf =
        token.with_anti_csrf.then(|| master.anti_csrf_token(&token.handle, token.generation));
    claims["sessionHandle"] == token.handle.to_string()
        && claims["refreshTokenHash1"] == minted.hash()
        && claims["antiCsrfToken"].as_str() == anti_csrf.as_deref()
}

/// A token as a cookie that is not being cleared, else as a header.
fn carried(headers: &HeaderMap, cookie: &str, header: &str) -> Option<String> {
    let pairs = values(headers, "set-cookie").filter_map(|line| line.split(';').next());
    let mut set = pairs.filter_map(|pair| pair.strip_prefix(cookie)?.strip_prefix('='));
    let from_cookie = set.find(|value| !value.is_empty()).map(str::to_owned);
    from_cookie.or_else(|| joined(headers, header))
}

/// All values of a header in one text; a header that is written twice equals none that we expect.
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let all: Vec<_> = values(headers, name).collect();
    (!all.is_empty()).then(|| all.join(" AND "))
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap())
}
