//! How tokens travel, and how much of a session travels with them.

use super::reader::{Reader, boolean};
use super::{AntiCsrf, Websites};
use crate::token::key::SigningAlgorithm;
use crate::token::refresh::TEXT_LEN as REFRESH_LEN;
use crate::token::size::{access_len, front_len};

/// Longest cookie that browsers keep, name, equals sign and value, in bytes (RFC 6265 §6.1).
pub const MAX_COOKIE_LEN: usize = 4096;

/// Longest request line and headers that API Gateway takes, in bytes.
pub const MAX_HEADERS_LEN: usize = 10_240;

/// What is left of them for the request line and for headers that are not ours, in bytes.
pub const OTHER_HEADERS_LEN: usize = 1_500;

/// How tokens travel (contract §2.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// `TOKEN_TRANSFER_METHOD`: `any` (default), `cookie` or `header`.
    pub method: AllowedMethod,
    /// `EXPOSE_ACCESS_TOKEN`, default `false`: repeat the access token in a header in cookie method.
    pub expose_access_token: bool,
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

impl Transfer {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            method: read.or("TOKEN_TRANSFER_METHOD", AllowedMethod::Any, AllowedMethod::parse),
            expose_access_token: read.or("EXPOSE_ACCESS_TOKEN", false, boolean),
        }
    }

    pub(super) fn check(&self, websites: &Websites, read: &mut Reader<'_>) {
        let needs_cookies = websites.iter().any(|website| website.anti_csrf == AntiCsrf::ViaToken);
        if needs_cookies && self.method == AllowedMethod::Header {
            read.problem(
                "ANTI_CSRF=VIA_TOKEN guards cookies, and TOKEN_TRANSFER_METHOD=header allows none: leave \
                 one of them out",
            );
        }
    }

    /// The bytes that the front token's JSON may have, so that every cookie and every request fits.
    #[must_use]
    pub fn front_json_limit(&self) -> usize {
        // Everything grows with the JSON, so halving finds the border.
        let (mut fitting, mut too_long) = (0, MAX_COOKIE_LEN);
        while too_long - fitting > 1 {
            let middle = usize::midpoint(fitting, too_long);
            if self.fits(middle) {
                fitting = middle;
            } else {
                too_long = middle;
            }
        }
        fitting
    }

    fn fits(&self, front_json: usize) -> bool {
        // The longer of the two signatures, whatever is set: after a change of the setting the keys of
        // before sign on for hours.
        let access = access_len(front_json, SigningAlgorithm::Rs256);
        let front = front_len(front_json);
        // The front ends keep both of them as cookies of their own, too.
        let longest_cookie = ("st-access-token=".len() + access).max("sFrontToken=".len() + front);
        longest_cookie <= MAX_COOKIE_LEN
            && self.longest_request(access, front) <= MAX_HEADERS_LEN - OTHER_HEADERS_LEN
    }

    /// Our share of the largest request that a client sends, in bytes.
    ///
    /// With API and website on one domain the cookies of both travel. A client has tokens of one method
    /// only: sign-in and refresh clear those of the other.
    fn longest_request(&self, access: usize, front: usize) -> usize {
        let cookie = |name: &str, value: usize| name.len() + "=; ".len() + value;
        let uuid = 36;
        let either = "cookie: \r\n".len()
            + cookie("sFrontToken", front)
            + cookie("st-last-access-token-update", "1700000000000".len());
        let by_cookie = cookie("sAccessToken", access)
            + cookie("sRefreshToken", REFRESH_LEN)
            + cookie("sAntiCsrf", uuid)
            + "anti-csrf: \r\n".len()
            + uuid
            + if self.expose_access_token { cookie("st-access-token", access) } else { 0 };
        let by_header = "authorization: Bearer \r\n".len()
            + access
            + cookie("st-access-token", access)
            + cookie("st-refresh-token", REFRESH_LEN);
        either
            + match self.method {
                AllowedMethod::Any => by_cookie.max(by_header),
                AllowedMethod::Cookie => by_cookie,
                AllowedMethod::Header => by_header,
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
