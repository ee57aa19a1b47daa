//! What a request carries (contract §1.6). Lenient in form, strict in meaning, never failing.

use std::borrow::Cow;
use std::net::IpAddr;

use http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

use super::TransferMethod;
use super::names::{ANTI_CSRF_HEADER, AUTH_MODE_HEADER, RID_HEADER};
use crate::config::SessionConfig;
use crate::model::Device;

/// The value after `Bearer ` or `DPoP `, trimmed: exactly these spellings, first header only.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers).map(|(_, token)| token)
}

/// How a token is sent in `Authorization`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scheme {
    /// Whoever has the token may use it (RFC 6750 §2.1).
    Bearer,
    /// A proof of a key comes with it (RFC 9449 §7.1).
    Dpop,
}

/// The token in `Authorization` and how it is sent.
pub(super) fn credentials(headers: &HeaderMap) -> Option<(Scheme, &str)> {
    let text = text(headers, header::AUTHORIZATION.as_str())?;
    let with = |scheme, prefix| Some((scheme, text.strip_prefix(prefix)?.trim()));
    with(Scheme::Bearer, "Bearer ").or_else(|| with(Scheme::Dpop, "DPoP "))
}

/// The first value of a header; `None` if absent or not visible ASCII.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl Device {
    /// The device that the headers tell of; `network` is the source address, as the gateway reports it. With
    /// `CLOUDFRONT_HEADERS` it is the viewer's, if there is one, and the country is that of `CloudFront`.
    #[must_use]
    pub fn of(config: &SessionConfig, headers: &HeaderMap, network: Option<&str>) -> Self {
        let agent = text(headers, header::USER_AGENT.as_str());
        if !config.cloudfront_headers {
            return Self::new(agent, network);
        }
        let viewer = only(headers, "cloudfront-viewer-address").and_then(address);
        let country = only(headers, "cloudfront-viewer-country");
        let is_code = |text: &&str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase());
        Self {
            country: country.filter(is_code).map(str::to_owned),
            ..Self::new(agent, viewer.as_deref().or(network))
        }
    }
}

/// The value of a header that `CloudFront` sets: beside a second one it could be the client's.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

/// The address of an address and port, `192.0.2.1:46532` or `2001:db8::1:46532`.
fn address(viewer: &str) -> Option<String> {
    let (address, _) = viewer.rsplit_once(':')?;
    Some(address.parse::<IpAddr>().ok()?.to_string())
}

/// The `anti-csrf` header.
pub(super) fn anti_csrf(headers: &HeaderMap) -> Option<&str> {
    text(headers, ANTI_CSRF_HEADER)
}

/// Whether there is a `rid` header; any value, even an empty one, will do.
pub(super) fn has_rid(headers: &HeaderMap) -> bool {
    headers.contains_key(RID_HEADER)
}

/// The method that the client asks for; `None` if it does not say, or says something else.
pub(super) fn auth_mode(headers: &HeaderMap) -> Option<TransferMethod> {
    match text(headers, AUTH_MODE_HEADER)?.to_ascii_lowercase().as_str() {
        "cookie" => Some(TransferMethod::Cookie),
        "header" => Some(TransferMethod::Header),
        _ => None,
    }
}

/// The request's cookies in order, duplicates included.
pub(super) struct Cookies<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Cookies<'a> {
    /// Reads every `Cookie` header. Pairs without `=` or that are no text are skipped, and only they:
    /// another cookie of the site, in whatever encoding, must not hide the session.
    ///
    /// Names are what they are, byte for byte (RFC 6265 §5.4): a cookie with a name that only decodes to
    /// ours is somebody else's, and we could not clear it.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let lines = headers.get_all(header::COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let pairs = pairs.filter_map(|pair| {
            let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
            Some((name.trim_matches(WHITESPACE), value.trim_matches(WHITESPACE)))
        });
        Self(pairs.collect())
    }

    /// The values of that name, decoded, in the order sent; one that is repeated counts once.
    pub(super) fn all(&self, name: &str) -> Vec<Cow<'a, str>> {
        let mut values = Vec::new();
        for (_, value) in self.0.iter().filter(|(key, _)| *key == name) {
            let value = decoded(value);
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values
    }

    /// Whether there is a cookie of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.count(name) > 0
    }

    /// How many cookies of that name were sent, whatever their values.
    pub(super) fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(key, _)| *key == name).count()
    }
}

/// What may stand around names and values (RFC 9110 §5.6.3).
const WHITESPACE: [char; 2] = [' ', '\t'];

/// One pair of quotes removed, then percent-decoded; left as it is if that gives no text.
fn decoded(value: &str) -> Cow<'_, str> {
    let unquoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let value = unquoted.unwrap_or(value);
    if !value.contains('%') {
        return Cow::Borrowed(value); // tokens: kilobytes of which no byte is encoded
    }
    percent_decode_str(value).decode_utf8().unwrap_or(Cow::Borrowed(value))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn bearer_is_spelt_one_way_and_its_value_is_trimmed() {
        let read = |value| bearer(&headers(&[("authorization", value)])).map(str::to_owned);
        assert_eq!(read("Bearer   x "), Some("x".to_owned()));
        assert_eq!(read("Bearer "), Some(String::new()));
        assert_eq!(read("bearer x"), None);
        assert_eq!(read("Basic x"), None);
        assert_eq!(read("Bearer"), None);
    }

    #[test]
    fn cookies_of_several_headers_are_one_list() {
        let headers = headers(&[("cookie", "a=1; b=2"), ("cookie", "a=3")]);
        let cookies = Cookies::of(&headers);
        assert_eq!(cookies.all("a"), ["1", "3"]);
        assert_eq!(cookies.all("b"), ["2"]);
    }

    #[test]
    fn a_cookie_that_is_repeated_is_one_cookie() {
        let headers = headers(&[("cookie", "a=1; a=2;a=1"), ("cookie", "a=\"1\"")]);
        assert_eq!(Cookies::of(&headers).all("a"), ["1", "2"]);
    }

    #[test]
    fn names_are_compared_byte_for_byte() {
        let line = "%73AccessToken=1; \u{a0}sAccessToken=2; saccesstoken=3; sAccessToken\u{a0}=4;\t sAccessToken \t=5";
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        assert_eq!(Cookies::of(&headers).all("sAccessToken"), ["5"]);
    }

    #[test]
    fn attributes_quotes_and_encoded_values_are_understood() {
        let line = "sAccessToken=\"a%2Bb\"; Expires=Sun, 21 Nov 2027 00:00:00 GMT; HttpOnly;c=%zz";
        let headers = headers(&[("cookie", line)]);
        let cookies = Cookies::of(&headers);
        assert_eq!(cookies.all("sAccessToken"), ["a+b"]);
        assert_eq!(cookies.all("c"), ["%zz"]);
        assert!(!cookies.has("HttpOnly"));
    }

    #[test]
    fn a_cookie_that_is_no_ascii_or_no_text_does_not_hide_the_others() {
        let mut headers = HeaderMap::new();
        let line = HeaderValue::from_bytes(b"a=\xc3\xbc; c=1; d=\xff").unwrap();
        headers.insert("cookie", line);
        let cookies = Cookies::of(&headers);
        assert_eq!(cookies.all("a"), ["ü"]);
        assert_eq!(cookies.all("c"), ["1"]);
        assert!(!cookies.has("d"));
    }

    #[test]
    fn a_header_that_is_no_text_is_as_good_as_absent() {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_bytes(b"a=\xff").unwrap());
        headers.insert("authorization", HeaderValue::from_bytes(b"Bearer \xff").unwrap());
        assert!(!Cookies::of(&headers).has("a"));
        assert_eq!(bearer(&headers), None);
    }

    #[test]
    fn cloudfront_tells_where_a_viewer_is_and_what_is_no_address_or_country_tells_nothing() {
        let of = |believed: bool, pairs: &[(&'static str, &'static str)]| {
            let lookup = |name: &str| match name {
                "API_DOMAIN" => Some("https://api.example.com".to_owned()),
                "WEBSITE_DOMAIN" => Some("https://example.com".to_owned()),
                "CLOUDFRONT_HEADERS" => Some(believed.to_string()),
                _ => None,
            };
            let config = SessionConfig::from_lookup(lookup).unwrap();
            let device = Device::of(&config, &headers(pairs), Some("192.0.2.9"));
            (device.network.unwrap(), device.country)
        };
        let address = |text| ("cloudfront-viewer-address", text);
        let country = |text| ("cloudfront-viewer-country", text);
        let edge = "192.0.2.9".to_owned();
        let is_in = |code: &str| Some(code.to_owned());
        let told = [address("198.51.100.10:46532"), country("DE")];
        assert_eq!(of(true, &told), ("198.51.100.10".to_owned(), is_in("DE")));
        assert_eq!(of(false, &told), (edge.clone(), None));
        assert_eq!(of(true, &[address("2001:DB8::A:46532")]), ("2001:db8::a".to_owned(), None));
        for text in ["", "198.51.100.10", "198.51.100.1:2:3", "unknown:80", "[::1]", ":80"] {
            assert_eq!(of(true, &[address(text)]).0, edge, "{text}");
        }
        for text in ["", "D", "de", "DEU", "T1", "DE,FR", "D "] {
            assert_eq!(of(true, &[country(text)]).1, None, "{text}");
        }
        let twice = [country("DE"), country("FR"), address("::1:1"), address("::2:1")];
        assert_eq!(of(true, &twice), (edge, None));
    }

    #[test]
    fn an_agent_that_is_no_text_is_as_good_as_absent() {
        let config = |name: &str| match name {
            "API_DOMAIN" | "WEBSITE_DOMAIN" => Some("https://example.com".to_owned()),
            _ => None,
        };
        let config = SessionConfig::from_lookup(config).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_bytes(b"phone \xff").unwrap());
        assert_eq!(Device::of(&config, &headers, None), Device::default());
    }
}
