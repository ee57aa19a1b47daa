//! Answers that lose no header.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, Response, header};
use serde::Serialize;

/// The form of an answer, which follows from the form of the event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// HTTP API with payload 2.0, or function URL.
    Payload2,
    /// REST API, or HTTP API with payload 1.0.
    Payload1,
    /// Load balancer with multi-value headers.
    LoadBalancerOfLists,
    /// Load balancer without: one value a header.
    LoadBalancer,
}

/// An answer with its headers in the one form that its front door reads.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer<'a> {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<Cow<'a, str>, Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<BTreeMap<&'a str, Vec<Cow<'a, str>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<Vec<Cow<'a, str>>>,
    body: &'a str,
    is_base64_encoded: bool,
}

impl<'a> Answer<'a> {
    /// Of a response whose headers are [joined].
    pub(crate) fn new(response: &'a Response<String>, form: Form) -> Self {
        let (status, headers) = (response.status(), response.headers());
        let described =
            || format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
        let mut answer = Self {
            status_code: status.as_u16(),
            status_description: None,
            headers: None,
            multi_value_headers: None,
            cookies: None,
            body: response.body(),
            is_base64_encoded: false,
        };
        match form {
            Form::Payload2 => {
                let others = headers.iter().filter(|(name, _)| *name != header::SET_COOKIE);
                answer.headers =
                    Some(others.map(|(name, value)| (name.as_str().into(), text(value))).collect());
                answer.cookies =
                    Some(headers.get_all(header::SET_COOKIE).iter().map(text).collect());
            }
            Form::Payload1 => answer.multi_value_headers = Some(lists(headers)),
            Form::LoadBalancerOfLists => {
                answer.status_description = Some(described());
                answer.multi_value_headers = Some(lists(headers));
            }
            Form::LoadBalancer => {
                answer.status_description = Some(described());
                let single = lists(headers).into_iter().flat_map(|(name, values)| {
                    let values = values.into_iter().enumerate();
                    values.map(move |(number, value)| (spelling(name, number).into(), value))
                });
                answer.headers = Some(single.collect());
            }
        }
        answer
    }
}

/// The response with the values of a repeated header in one line (RFC 9110 §5.3). `Set-Cookie` may be repeated only.
pub(crate) fn joined(mut response: Response<String>) -> Response<String> {
    let headers = response.headers_mut();
    let repeated = headers.keys().filter(|name| {
        *name != header::SET_COOKIE && headers.get_all(*name).iter().nth(1).is_some()
    });
    for name in repeated.cloned().collect::<Vec<_>>() {
        let values: Vec<_> = headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(line) = HeaderValue::from_bytes(&values.join(&b", "[..])) {
            headers.insert(name, line);
        }
    }
    response
}

fn lists(headers: &HeaderMap) -> BTreeMap<&str, Vec<Cow<'_, str>>> {
    let list = |name| headers.get_all(name).iter().map(text).collect();
    headers.keys().map(|name| (name.as_str(), list(name))).collect()
}

fn text(value: &HeaderValue) -> Cow<'_, str> {
    // Nearly all are texts, and this finds out faster.
    str::from_utf8(value.as_bytes())
        .map_or_else(|_| String::from_utf8_lossy(value.as_bytes()), Cow::Borrowed)
}

/// The name in another mixture of capitals for each number: a map of single values holds a header
/// several times only under names that differ.
fn spelling(name: &str, number: usize) -> String {
    let mut bits = number;
    let spelt = name.chars().map(|letter| {
        let is_capital = letter.is_ascii_alphabetic() && bits & 1 == 1;
        bits >>= usize::from(letter.is_ascii_alphabetic());
        if is_capital { letter.to_ascii_uppercase() } else { letter }
    });
    spelt.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_are_one_line_except_cookies() {
        let mut response = Response::new(String::new());
        for (name, value) in
            [("vary", "a"), ("set-cookie", "b"), ("vary", "c"), ("set-cookie", "d")]
        {
            response.headers_mut().append(name, HeaderValue::from_static(value));
        }
        let headers = joined(response).into_parts().0.headers;
        assert_eq!(headers["vary"], "a, c");
        assert_eq!(headers.len(), 3);
    }
}
