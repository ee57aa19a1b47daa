//! Tokens on a response: attaching and clearing them (contract §1.3, §1.5, §1.7).

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::names::{
    ACCESS_COOKIE, ACCESS_HEADER, ANTI_CSRF_HEADER, DEVICE_COOKIE, DEVICE_REGISTRATION_HEADER,
    DPOP_NONCE_HEADER, FRONT_HEADER, LEGACY_COOKIE, REFRESH_COOKIE, REFRESH_HEADER,
};
use super::respond::NO_STORE;
use super::{Endpoint, TransferMethod};
use crate::config::{CookiePlace, SameSite, SessionConfig};
use crate::model::Timestamp;
use crate::service::{IssuedTokens, ReissuedToken};

/// How long the access cookie lives, whatever its token says: its presence after the token expired
/// tells the back end that a refresh is worth trying. Browsers cap cookies at 400 days.
const ACCESS_COOKIE_TTL: Duration = Duration::from_hours(365 * 24);

opaque!(TokenHeaders<'_>);

/// The session headers and cookies of one response, in the making.
///
/// A later write of a header, or of a cookie of the same name and place, replaces the earlier one.
#[derive(Clone)]
pub struct TokenHeaders<'a> {
    config: &'a SessionConfig,
    same_site: SameSite,
    headers: Vec<(&'static str, HeaderValue)>,
    cookies: Vec<Cookie>,
    exposed: Vec<&'static str>,
}

#[derive(Clone)]
struct Cookie {
    name: &'static str,
    place: CookiePlace,
    line: HeaderValue,
}

impl<'a> TokenHeaders<'a> {
    /// Nothing yet; `request` tells which website the cookies are for.
    #[must_use]
    pub fn new(config: &'a SessionConfig, request: &HeaderMap) -> Self {
        let same_site = config.websites.of(request).same_site;
        Self { config, same_site, headers: Vec::new(), cookies: Vec::new(), exposed: Vec::new() }
    }

    /// Attaches a fresh pair by `method`; `now` starts the access cookie's life.
    pub fn attach(&mut self, method: TransferMethod, tokens: &IssuedTokens, now: Timestamp) {
        self.attach_access(method, &tokens.front, &tokens.access.token, now);
        match method {
            TransferMethod::Cookie => {
                let refresh_end = tokens.refresh_expires_at;
                self.set_cookie(REFRESH_COOKIE, tokens.refresh.expose(), refresh_end);
            }
            TransferMethod::Header => self.set(REFRESH_HEADER, tokens.refresh.expose()),
        }
        if let Some(anti_csrf) = &tokens.anti_csrf {
            self.set(ANTI_CSRF_HEADER, anti_csrf);
        }
    }

    /// Attaches a new access token by `method`, and leaves the refresh token as it is. The anti-CSRF
    /// token, which is the same as before, is repeated to a request that carried one (contract §4.5).
    pub(super) fn update(
        &mut self,
        method: TransferMethod,
        token: &ReissuedToken,
        repeat_anti_csrf: bool,
        now: Timestamp,
    ) {
        self.attach_access(method, &token.front, &token.access.token, now);
        if let Some(anti_csrf) = token.anti_csrf.as_ref().filter(|_| repeat_anti_csrf) {
            self.set(ANTI_CSRF_HEADER, anti_csrf);
        }
    }

    fn attach_access(&mut self, method: TransferMethod, front: &str, access: &str, now: Timestamp) {
        self.set(FRONT_HEADER, front);
        match method {
            TransferMethod::Cookie => {
                self.set_cookie(ACCESS_COOKIE, access, now.plus(ACCESS_COOKIE_TTL));
                if self.config.transfer.expose_access_token {
                    self.set(ACCESS_HEADER, access);
                }
            }
            TransferMethod::Header => self.set(ACCESS_HEADER, access),
        }
    }

    /// Asks the browser for a key to bind the session to. Browsers read it even where scripts may not.
    pub(super) fn ask_for_device_key(&mut self, challenge: &str) {
        let path = Endpoint::DeviceRegistration.path_in(self.config);
        let value = format!("(ES256);path=\"{path}\";challenge=\"{challenge}\"");
        // Checked configuration and base64url are visible ASCII.
        if let Ok(value) = HeaderValue::from_str(&value) {
            self.headers.push((DEVICE_REGISTRATION_HEADER, value));
        }
    }

    /// Gives the client the nonce of its next proof (RFC 9449 §8.2).
    pub(super) fn give_dpop_nonce(&mut self, nonce: &str) {
        self.set(DPOP_NONCE_HEADER, nonce);
    }

    /// Clears the tokens of one method.
    pub fn clear(&mut self, method: TransferMethod) {
        match method {
            TransferMethod::Cookie => {
                self.clear_cookie(ACCESS_COOKIE);
                self.clear_cookie(REFRESH_COOKIE);
                if self.config.device_binding.is_on() {
                    self.clear_cookie(DEVICE_COOKIE);
                }
            }
            TransferMethod::Header => {
                self.set(ACCESS_HEADER, "");
                self.set(REFRESH_HEADER, "");
            }
        }
        self.headers.retain(|(name, _)| *name != ANTI_CSRF_HEADER);
        self.set(FRONT_HEADER, "remove");
    }

    /// Clears the cookie that back ends before 2023 set.
    pub fn clear_legacy(&mut self) {
        self.clear_cookie(LEGACY_COOKIE);
    }

    /// Clears a cookie wherever it was kept before the settings changed, if they tell of such a place.
    pub(super) fn clear_older(&mut self, name: &'static str) {
        for place in self.config.cookies.older_places() {
            self.put_cookie(name, "", Timestamp::from_millis(0), place);
        }
    }

    /// Writes everything to a response, in place of what was written there before of the same headers
    /// and cookies; what the application exposed before is kept and extended.
    ///
    /// Such a response is one client's, whatever the application says: nobody may keep it.
    pub fn apply(self, headers: &mut HeaderMap) {
        if !self.headers.is_empty() || !self.cookies.is_empty() {
            headers.insert(header::CACHE_CONTROL, NO_STORE);
        }
        for (name, value) in self.headers {
            headers.insert(HeaderName::from_static(name), value);
        }
        if !self.cookies.is_empty() {
            let is_replaced = |line: &HeaderValue| {
                self.cookies.iter().any(|cookie| is_same_cookie(&cookie.line, line))
            };
            let before = headers.get_all(header::SET_COOKIE).iter();
            let kept: Vec<_> = before.filter(|line| !is_replaced(line)).cloned().collect();
            headers.remove(header::SET_COOKIE);
            for line in kept.into_iter().chain(self.cookies.into_iter().map(|cookie| cookie.line)) {
                headers.append(header::SET_COOKIE, line);
            }
        }
        if self.exposed.is_empty() {
            return;
        }
        let before = headers.get(header::ACCESS_CONTROL_EXPOSE_HEADERS);
        let before = before.and_then(|list| list.to_str().ok()).unwrap_or_default();
        let mut names: Vec<_> =
            before.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        for name in self.exposed {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name);
            }
        }
        if let Ok(list) = HeaderValue::from_str(&names.join(", ")) {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, list);
        }
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.retain(|(known, _)| *known != name);
        // Tokens, base64 and `remove` are visible ASCII, so this always holds.
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.push((name, value));
        }
        if !self.exposed.contains(&name) {
            self.exposed.push(name);
        }
    }

    fn set_cookie(&mut self, name: &'static str, value: &str, expires_at: Timestamp) {
        self.put_cookie(name, value, expires_at, self.config.cookies.place());
    }

    /// Wherever it may be kept: what is left on one domain would be sent on.
    fn clear_cookie(&mut self, name: &'static str) {
        self.set_cookie(name, "", Timestamp::from_millis(0));
        self.clear_older(name);
    }

    /// `value` needs no encoding: tokens keep to `A–Z a–z 0–9 - _ .`.
    fn put_cookie(
        &mut self,
        name: &'static str,
        value: &str,
        expires_at: Timestamp,
        place: CookiePlace,
    ) {
        let cookies = &self.config.cookies;
        let refresh_path = Endpoint::Refresh.path_in(self.config);
        let path = match name {
            REFRESH_COOKIE | DEVICE_COOKIE => &refresh_path,
            _ => &cookies.access_token_path,
        };
        let expires = httpdate::fmt_http_date(
            SystemTime::UNIX_EPOCH + Duration::from_secs(expires_at.as_secs()),
        );
        let domain =
            place.domain.as_ref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let same_site =
            if name == DEVICE_COOKIE { device_same_site(self.config) } else { self.same_site };
        let secure = if self.config.is_secure(same_site) { "; Secure" } else { "" };
        let same_site = same_site.as_str();
        let partitioned = if place.is_partitioned { "; Partitioned" } else { "" };
        let line = format!(
            "{name}={value}{domain}; Path={path}; Expires={expires}; HttpOnly{secure}; \
             SameSite={same_site}{partitioned}"
        );
        // Names, tokens, dates and checked configuration are visible ASCII.
        if let Ok(mut line) = HeaderValue::from_str(&line) {
            line.set_sensitive(true);
            self.cookies.retain(|cookie| cookie.name != name || cookie.place != place);
            self.cookies.push(Cookie { name, place, line });
        }
    }
}

/// The device cookie is one for all websites, because browsers renew it without saying for which. By
/// itself it is worth nothing.
fn device_same_site(config: &SessionConfig) -> SameSite {
    config.websites.iter().map(|website| website.same_site).max().unwrap_or_default()
}

/// The device cookie's attributes, as browsers compare them with what sets it: all but its life.
pub(super) fn device_cookie_attributes(config: &SessionConfig) -> String {
    let same_site = device_same_site(config);
    let domain = config.cookies.domain.as_ref().map(|domain| format!("Domain={domain}; "));
    format!(
        "{}Path={}; HttpOnly{}; SameSite={}",
        domain.unwrap_or_default(),
        Endpoint::Refresh.path_in(config),
        if config.is_secure(same_site) { "; Secure" } else { "" },
        same_site.as_str(),
    )
}

/// The line that sets the device cookie. Its life is counted by the browser, whose clock may be wrong.
pub(super) fn device_cookie(config: &SessionConfig, value: &str) -> Option<HeaderValue> {
    let seconds = config.lifetimes.device_proof.as_secs();
    let attributes = device_cookie_attributes(config);
    let line = format!("{DEVICE_COOKIE}={value}; Max-Age={seconds}; {attributes}");
    let mut line = HeaderValue::from_str(&line).ok()?;
    line.set_sensitive(true);
    Some(line)
}

/// Whether two lines of `Set-Cookie` are kept in one place by a browser: same name, same domain, same
/// partitioning. Paths follow from our names.
fn is_same_cookie(left: &HeaderValue, right: &HeaderValue) -> bool {
    let place = |line: &HeaderValue| {
        let line = line.to_str().ok()?;
        let (name, _) = line.split_once('=')?;
        let attributes =
            || line.split(';').skip(1).map(|attribute| attribute.trim().to_lowercase());
        let domain = attributes().find(|attribute| attribute.starts_with("domain="));
        let is_partitioned = attributes().any(|attribute| attribute == "partitioned");
        Some((name.trim().to_owned(), domain, is_partitioned))
    };
    place(left).is_some_and(|left| Some(left) == place(right))
}
