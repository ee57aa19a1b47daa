//! The headers of an event.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};

/// A member of an event that may be absent or null.
pub type Members = Option<Map<String, Value>>;

/// The headers of an event, in whatever way it has them: one value a name, several values a name, and
/// cookies in a list of their own. Names may be spelt in any case.
///
/// Where a name has both forms of values, the form that can repeat it is complete. Cookies count wherever
/// they are; a gateway that sends them both ways repeats them. A header or a cookie that HTTP does not allow
/// is left out, and hides no other. `Authorization` twice is as good as absent: two values could mean either.
#[must_use]
pub fn headers(single: Members, multiple: Members, cookies: Option<Vec<String>>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for cookie in cookies.unwrap_or_default() {
        add(&mut headers, header::COOKIE.as_str(), &cookie);
    }
    let mut complete = Vec::new();
    for (name, values) in multiple.unwrap_or_default() {
        let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
        for value in values.iter().filter_map(Value::as_str) {
            add(&mut headers, &name, value);
        }
        if !values.is_empty() {
            complete.push(name);
        }
    }
    for (name, value) in single.unwrap_or_default() {
        if let Some(value) = value.as_str()
            && !complete.iter().any(|known| name.eq_ignore_ascii_case(known))
        {
            add(&mut headers, &name, value);
        }
    }
    // Payload 2.0 joins them by a comma, which is no token; neither is this.
    if headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some() {
        headers.remove(header::AUTHORIZATION);
    }
    headers
}

/// Adds a header, cookies one by one.
fn add(headers: &mut HeaderMap, name: &str, value: &str) {
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        return;
    };
    let is_cookie = name == header::COOKIE;
    let parts = value.split(|character| is_cookie && character == ';');
    for mut part in parts.filter_map(|part| HeaderValue::from_bytes(part.as_bytes()).ok()) {
        // Nobody who prints a request prints its credentials.
        part.set_sensitive(is_cookie || name == header::AUTHORIZATION);
        // Gateways allow 10 to 64 KiB of headers; past tens of thousands of them the rest is left out.
        if headers.try_append(&name, part).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn members(value: &Value) -> Members {
        value.as_object().cloned()
    }

    fn cookies(headers: &HeaderMap) -> Vec<&[u8]> {
        headers.get_all("cookie").iter().map(|line| line.as_bytes().trim_ascii()).collect()
    }

    #[test]
    fn repeated_headers_count_from_the_form_that_can_repeat_them() {
        let single = json!({ "Cookie": "b=2", "Origin": "https://example.com", "accept": "a" });
        let multiple = json!({ "cookie": ["a=1; c=3", "b=2"], "accept": null });
        let headers = headers(members(&single), members(&multiple), None);
        assert_eq!(cookies(&headers), [b"a=1", b"c=3", b"b=2"]);
        assert_eq!(headers["origin"], "https://example.com");
        assert_eq!(headers.len(), 5);
    }

    #[test]
    fn cookies_count_wherever_the_gateway_puts_them() {
        let line = json!({ "Cookie": "a=1" });
        for (header, list, expected) in [
            (Some(&line), None, vec![&b"a=1"[..]]),
            (Some(&line), Some(vec![]), vec![b"a=1"]),
            (Some(&line), Some(vec!["a=1"]), vec![b"a=1", b"a=1"]),
            (Some(&line), Some(vec!["b=2"]), vec![b"b=2", b"a=1"]),
            (None, Some(vec!["b=2", "a=1"]), vec![b"b=2", b"a=1"]),
        ] {
            let list = list.map(|list| list.into_iter().map(str::to_owned).collect());
            assert_eq!(cookies(&headers(header.and_then(members), None, list)), expected);
        }
    }

    #[test]
    fn authorization_twice_is_as_good_as_absent() {
        let twice = json!({ "Authorization": ["Bearer a", "Bearer b"] });
        assert!(headers(None, members(&twice), None).is_empty());
        let spelt_twice = json!({ "Authorization": "Bearer a", "authorization": "Bearer b" });
        assert!(headers(members(&spelt_twice), None, None).is_empty());
    }

    #[test]
    fn what_http_does_not_allow_hides_nothing_else() {
        let line = "bad=\u{1}; sAccessToken=x; name=ü";
        let single = json!({ "cookie": line, "user-agent": "a\nb", "no name": "x", "rid": "y" });
        let headers = headers(members(&single), None, Some(vec!["\u{7f}".to_owned()]));
        assert_eq!(cookies(&headers), [&b"sAccessToken=x"[..], "name=ü".as_bytes()]);
        assert_eq!(headers["rid"], "y");
        assert_eq!(headers.len(), 3);
    }
}
