//! The headers of an event.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// So many headers a browser's request has behind a gateway.
pub(crate) const USUAL: usize = 32;

/// The headers of an event, in whatever way it has them: one value a name, several values a name, and
/// cookies in a list of their own. Names may be spelt in any case.
///
/// Where a name has both forms of values, the form that can repeat it is complete. Cookies count wherever
/// they are; a gateway that sends them both ways repeats them. A header or a cookie that HTTP does not allow
/// is left out, and hides no other. `Authorization` twice is as good as absent: two values could mean either.
#[must_use]
pub fn headers<'a, V: IntoIterator<Item = &'a str>>(
    single: impl IntoIterator<Item = (&'a str, &'a str)>,
    multiple: impl IntoIterator<Item = (&'a str, V)>,
    cookies: impl IntoIterator<Item = &'a str>,
) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(USUAL);
    for cookie in cookies {
        add(&mut headers, header::COOKIE.as_str(), cookie);
    }
    let mut complete = Vec::new();
    for (name, values) in multiple {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            complete.push(name);
        }
        values.for_each(|value| add(&mut headers, name, value));
    }
    for (name, value) in single {
        if !complete.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            add(&mut headers, name, value);
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
    // Where there is nothing to split, nothing is searched: all headers come by here.
    if name == header::COOKIE {
        value.split(';').for_each(|cookie| append(headers, name.clone(), cookie));
    } else {
        append(headers, name, value);
    }
}

fn append(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    let Ok(mut value) = HeaderValue::from_bytes(value.as_bytes()) else {
        return;
    };
    // Nobody who prints a request prints its credentials.
    value.set_sensitive(name == header::COOKIE || name == header::AUTHORIZATION);
    // Gateways allow 10 to 64 KiB of headers; past tens of thousands of them the rest is left out.
    let _ = headers.try_append(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    type Single<'a> = &'a [(&'a str, &'a str)];
    type Multiple<'a> = &'a [(&'a str, &'a [&'a str])];

    fn headers(single: Single<'_>, multiple: Multiple<'_>, cookies: &[&str]) -> HeaderMap {
        let multiple = multiple.iter().map(|(name, values)| (*name, values.iter().copied()));
        super::headers(single.iter().copied(), multiple, cookies.iter().copied())
    }

    fn cookies(headers: &HeaderMap) -> Vec<&[u8]> {
        headers.get_all("cookie").iter().map(|line| line.as_bytes().trim_ascii()).collect()
    }

    #[test]
    fn repeated_headers_count_from_the_form_that_can_repeat_them() {
        let single = [("Cookie", "b=2"), ("Origin", "https://example.com"), ("accept", "a")];
        let multiple = [("cookie", &["a=1; c=3", "b=2"][..]), ("accept", &[])];
        let headers = headers(&single, &multiple, &[]);
        assert_eq!(cookies(&headers), [b"a=1", b"c=3", b"b=2"]);
        assert_eq!(headers["origin"], "https://example.com");
        assert_eq!(headers.len(), 5);
    }

    #[test]
    fn cookies_count_wherever_the_gateway_puts_them() {
        let line: Single<'_> = &[("Cookie", "a=1")];
        for (single, list, expected) in [
            (line, &[][..], vec![&b"a=1"[..]]),
            (line, &["a=1"], vec![b"a=1", b"a=1"]),
            (line, &["b=2"], vec![b"b=2", b"a=1"]),
            (&[], &["b=2", "a=1"], vec![b"b=2", b"a=1"]),
        ] {
            assert_eq!(cookies(&headers(single, &[], list)), expected);
        }
    }

    #[test]
    fn authorization_twice_is_as_good_as_absent() {
        let twice = [("Authorization", &["Bearer a", "Bearer b"][..])];
        assert!(headers(&[], &twice, &[]).is_empty());
        let spelt_twice = [("Authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert!(headers(&spelt_twice, &[], &[]).is_empty());
    }

    #[test]
    fn what_http_does_not_allow_hides_nothing_else() {
        let line = "bad=\u{1}; sAccessToken=x; name=ü";
        let single = [("cookie", line), ("user-agent", "a\nb"), ("no name", "x"), ("rid", "y")];
        let headers = headers(&single, &[], &["\u{7f}"]);
        assert_eq!(cookies(&headers), [&b"sAccessToken=x"[..], "name=ü".as_bytes()]);
        assert_eq!(headers["rid"], "y");
        assert_eq!(headers.len(), 3);
    }
}
