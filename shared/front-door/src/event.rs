//! Events into what `lambda_http` reads without loss.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use lambda_http::request::LambdaRequest;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value, from_value};

use crate::answer::Form;
use crate::headers::headers;

/// The event without its headers, the headers, and the form of the answer; `None` if it is no HTTP request.
///
/// Left out is what may be absent and is null, and the stage and the domain, which would be put in front
/// of the path. Paths, queries and bodies that are not what they say are made so.
pub(crate) fn read(event: Value) -> Option<(LambdaRequest, HeaderMap, Form)> {
    let Value::Object(mut event) = event else { return None };
    event.retain(|_, value| !value.is_null());
    let context = event.get_mut("requestContext")?.as_object_mut()?;
    context.retain(|name, value| !value.is_null() && name != "stage" && name != "domainName");
    let has_http = context.contains_key("http");
    let has_elb = context.contains_key("elb");

    let lists = event.remove("multiValueHeaders");
    let lists = lists.as_ref().and_then(Value::as_object);
    let form = match (has_elb, lists.is_some()) {
        (false, _) => Form::Gateway,
        (true, true) => Form::LoadBalancerOfLists,
        (true, false) => Form::LoadBalancer,
    };
    let (single, cookies) = (event.remove("headers"), event.remove("cookies"));
    let single = single.as_ref().and_then(Value::as_object).into_iter().flatten();
    let headers = headers(
        single.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))),
        lists.into_iter().flatten().map(|(name, values)| (name.as_str(), texts(Some(values)))),
        texts(cookies.as_ref()),
    );

    rewrite(&mut event, &["rawPath", "path"], |path| {
        let path = utf8_percent_encode(path.trim_start_matches('/'), UNWRITABLE_IN_PATHS);
        format!("/{path}")
    });
    rewrite(&mut event, &["rawQueryString"], |query| {
        utf8_percent_encode(query, UNWRITABLE).to_string()
    });
    let body = event.get("body").and_then(Value::as_str).unwrap_or_default();
    if STANDARD.decode(body).is_err() {
        event.remove("isBase64Encoded");
    }

    let event = Value::Object(event);
    let request = if has_http {
        LambdaRequest::ApiGatewayV2(from_value(event).ok()?)
    } else if has_elb {
        LambdaRequest::Alb(from_value(event).ok()?)
    } else {
        LambdaRequest::ApiGatewayV1(from_value(event).ok()?)
    };
    Some((request, headers, form))
}

/// What neither path nor query can contain. `%` can: both may be encoded already.
const UNWRITABLE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Nor can a path what begins a query.
const UNWRITABLE_IN_PATHS: &AsciiSet = &UNWRITABLE.add(b'?');

fn texts(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn rewrite(event: &mut Map<String, Value>, names: &[&str], written: impl Fn(&str) -> String) {
    for name in names {
        if let Some(Value::String(text)) = event.get_mut(*name) {
            *text = written(text);
        }
    }
}
