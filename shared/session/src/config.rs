//! The settings, parsed and cross-checked once.
//!
//! Each section reads its own variables and checks what they say together.
//! [`SessionConfig::from_lookup`] reports every problem at once, each with the sentence that says what
//! to do. Names, defaults and meanings follow contract §1.4, §2.1, §3.7 and §4.1.

mod api;
mod cookies;
mod device;
mod keys;
mod lifetimes;
mod origin;
mod reader;
#[cfg(test)]
mod tests;
mod transfer;
mod website;

pub use self::api::{Api, Statuses};
pub use self::cookies::{CookieConfig, CookiePlace, OlderDomain};
pub use self::device::DeviceBinding;
pub use self::keys::KeyConfig;
pub use self::lifetimes::Lifetimes;
pub use self::origin::Origin;
use self::reader::seconds;
pub use self::reader::{ConfigError, Reader, boolean, tenants};
pub use self::transfer::{
    AllowedMethod, MAX_COOKIE_LEN, MAX_HEADERS_LEN, OTHER_HEADERS_LEN, Transfer,
};
pub use self::website::{AntiCsrf, SameSite, Website, Websites};
use crate::model::RefreshPolicy;

/// All settings of the session service.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionConfig {
    /// `APP_ID`, default `public`: letters, digits, `-` and `_`, at most 64. Applications that share the
    /// tables have keys of their own there, and neither accept each other's tokens nor see each other's
    /// sessions.
    pub app_id: String,
    /// Where the API is.
    pub api: Api,
    /// The websites, and how cookies are guarded for each.
    pub websites: Websites,
    /// Everything about cookies that holds for all websites.
    pub cookies: CookieConfig,
    /// How tokens travel.
    pub transfer: Transfer,
    /// How refusals are told to clients.
    pub statuses: Statuses,
    /// How long sessions and their tokens live.
    pub lifetimes: Lifetimes,
    /// `REFRESH_FLIGHT_SECONDS`, 0–60, default 30 (API Gateway ends a call at 29 to 30 s) or a twentieth
    /// of an access token's life if that is less: F of the refresh rule; 0 is strict single use.
    pub refresh: RefreshPolicy,
    /// `DEVICE_BINDING`: `off` (default), `report` or `require`.
    pub device_binding: DeviceBinding,
    /// `DPOP_NONCE`, default `false`: whether the proofs of sign-ins and refreshes need a nonce of ours,
    /// which shows that they were not made ahead (RFC 9449 §8). Demanded where `DEVICE_BINDING` is `require`.
    pub dpop_nonce: bool,
    /// `CLOUDFRONT_HEADERS`, default `false`: whether `CloudFront-Viewer-Address` and `CloudFront-Viewer-Country`
    /// are believed. Any client can send them to an API that is reached past `CloudFront`.
    pub cloudfront_headers: bool,
    /// `EVENT_CONTEXT`, default `false`: whether events say what a risk engine wants to know (docs/events.md).
    pub event_context: bool,
    /// Which keys sign, and for how long.
    pub keys: KeyConfig,
}

fn app_id(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.len() <= 64 && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("use at most 64 letters, digits, hyphens and underscores".to_owned())
}

impl SessionConfig {
    /// Reads the settings through `lookup`; an empty value counts as absent.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every missing, malformed and contradictory setting.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader::new(&lookup);
        let config = Self::read(&mut read);
        config.check(&mut read);
        read.finish(config)
    }

    /// Every variable that is read.
    #[must_use]
    pub fn variables() -> Vec<&'static str> {
        Reader::asked_by(Self::read)
    }

    fn read(read: &mut Reader<'_>) -> Self {
        let api = Api::read(read);
        let lifetimes = Lifetimes::read(read);
        let flights = seconds((0, RefreshPolicy::MAX_FLIGHT.as_secs()));
        Self {
            app_id: read.or("APP_ID", "public".to_owned(), app_id),
            websites: Websites::read(read, &api.domain),
            cookies: CookieConfig::read(read, &api),
            transfer: Transfer::read(read),
            statuses: Statuses::read(read),
            refresh: read.optional("REFRESH_FLIGHT_SECONDS", flights).map_or_else(
                || RefreshPolicy::for_life(lifetimes.access_token),
                RefreshPolicy::new,
            ),
            lifetimes,
            device_binding: DeviceBinding::read(read),
            dpop_nonce: read.or("DPOP_NONCE", false, boolean),
            cloudfront_headers: read.or("CLOUDFRONT_HEADERS", false, boolean),
            event_context: read.or("EVENT_CONTEXT", false, boolean),
            keys: KeyConfig::read(read),
            api,
        }
    }

    fn check(&self, read: &mut Reader<'_>) {
        self.api.check(read);
        self.transfer.check(&self.websites, read);
        self.statuses.check(read);
        self.lifetimes.check(self.refresh, read);
        self.keys.check(&self.lifetimes, read);
        if self.dpop_nonce && !self.device_binding.is_on() {
            read.problem(
                "DPOP_NONCE asks for nonces in proofs of device keys, and nobody looks at proofs with \
                 DEVICE_BINDING=off: set DEVICE_BINDING=require, or leave DPOP_NONCE out",
            );
        }
        // Without a domain there is nothing to compare cookies with, and it is missed already.
        let is_known = !self.api.domain.host().is_empty();
        if self.transfer.method != AllowedMethod::Header && is_known {
            self.cookies.check(&self.api.domain, read);
            self.device_binding.check(self, read);
            self.websites.check(self, read);
        }
    }

    /// Whether cookies with that `SameSite` are `Secure`. Browsers drop those that are `SameSite=None`
    /// and are not, and accept `Secure` from this machine without https.
    #[must_use]
    pub fn is_secure(&self, same_site: SameSite) -> bool {
        let needs_it = same_site == SameSite::None;
        self.cookies.secure || (needs_it && self.api.domain.is_loopback())
    }

    /// Whether browsers would refuse the cookies of that website (contract §1.4).
    #[must_use]
    pub fn is_insecure_cross_site(&self, website: &Website) -> bool {
        website.same_site == SameSite::None && !self.is_secure(website.same_site)
    }
}
