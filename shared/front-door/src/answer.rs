//! Responses into answers.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;

use crate::Response;

/// The form of an answer, which follows from the form of the event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// HTTP API with payload 2.0, function URL: one value a header, cookies in a list.
    Payload2,
    /// REST API, HTTP API with payload 1.0: lists of values.
    Payload1,
    /// Load balancer with multi-value headers.
    LoadBalancerOfLists,
    /// Load balancer without: one value a header.
    LoadBalancer,
}

/// What the function returns: members that its front door does not know are left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<Vec<String>>,
    body: String,
    is_base64_encoded: bool,
}

impl Answer {
    pub(crate) fn new(response: Response, form: Form) -> Self {
        let (mut parts, body) = response.into_parts();
        let is_of_load_balancer = matches!(form, Form::LoadBalancer | Form::LoadBalancerOfLists);
        let mut answer = Self {
            status_code: parts.status.as_u16(),
            status_description: is_of_load_balancer.then(|| parts.status.to_string()),
            headers: None,
            multi_value_headers: None,
            cookies: None,
            body,
            is_base64_encoded: false,
        };
        if matches!(form, Form::Payload1 | Form::LoadBalancerOfLists) {
            answer.multi_value_headers = Some(lists(&parts.headers));
            return answer;
        }
        let cookies = texts(&parts.headers, &header::SET_COOKIE);
        parts.headers.remove(header::SET_COOKIE);
        let mut headers = joined(&parts.headers);
        if form == Form::Payload2 {
            answer.cookies = Some(cookies);
        } else {
            let spelt = cookies.into_iter().enumerate();
            headers.extend(spelt.map(|(number, line)| (spelling("set-cookie", number), line)));
        }
        answer.headers = Some(headers);
        answer
    }
}

fn lists(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    headers.keys().map(|name| (name.to_string(), texts(headers, name))).collect()
}

fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers.keys().map(|name| (name.to_string(), texts(headers, name).join(", "))).collect()
}

fn texts(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.get_all(name).iter().map(text).collect()
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
