//! Events of everything that speaks HTTP, as the requests that clients sent.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Extensions, HeaderMap, Method};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
use lambda_http::aws_lambda_events::query_map::QueryMap;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Context, Request, RequestExt as _};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::de::value::MapDeserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::answer::Form;
use crate::headers::{USUAL, headers};

/// What is read of an event, whichever shape it has. All but the context may be missing or null.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    request_context: Members<'a, &'a RawValue>,
    #[serde(borrow)]
    headers: Option<Members<'a, Said<'a>>>,
    #[serde(borrow)]
    multi_value_headers: Option<Members<'a, Said<'a>>>,
    #[serde(borrow)]
    cookies: Option<Vec<Said<'a>>>,
    #[serde(borrow)]
    http_method: Option<Text<'a>>,
    #[serde(borrow)]
    raw_path: Option<Text<'a>>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    raw_query_string: Option<Text<'a>>,
    query_string_parameters: Option<QueryMap>,
    multi_value_query_string_parameters: Option<QueryMap>,
    path_parameters: Option<HashMap<String, String>>,
    stage_variables: Option<HashMap<String, String>>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    is_base64_encoded: Option<bool>,
}

/// A text, borrowed unless something in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The members of an object, as they come: to go through them once, no tree is needed.
struct Members<'a, V>(Vec<(Text<'a>, V)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Members<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read<'a, V>(PhantomData<Members<'a, V>>);

        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for Read<'a, V> {
            type Value = Members<'a, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(USUAL);
                while let Some(member) = access.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Read(PhantomData))
    }
}

/// What should be a text or a list of texts. What is neither hides nothing beside it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said<'a> {
    Text(#[serde(borrow)] Text<'a>),
    List(#[serde(borrow)] Vec<Self>),
    Other(IgnoredAny),
}

impl Said<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(Text(text)) => Some(text),
            Self::List(_) | Self::Other(_) => None,
        }
    }

    fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Text(_) | Self::Other(_) => &[],
        }
    }
}

/// The request, and the form of its answer; `None` if the event is of no HTTP request.
///
/// Paths, queries and bodies that are not what they say are made so. Neither the stage nor the domain belongs
/// in front of a path.
pub(crate) fn read(event: &str, lambda: Context) -> Option<(Request, Form)> {
    let mut event: Event<'_> = serde_json::from_str(event).ok()?;
    event.request_context.0.retain(|(_, value)| value.get() != "null");
    let (context, method, form) = event.origin()?;
    let path = event.raw_path.as_ref().or(event.path.as_ref()).map_or("", |Text(path)| path);
    let path = utf8_percent_encode(path.trim_start_matches('/'), UNWRITABLE_IN_PATHS);
    let path = format!("/{path}");
    let query = event.query(form);
    let uri = if query.is_empty() { path.parse() } else { format!("{path}?{query}").parse() };
    let headers = event.headers();
    let encoded = event.body.as_ref().filter(|_| event.is_base64_encoded == Some(true));
    let decoded = encoded.and_then(|Text(body)| STANDARD.decode(&**body).ok());
    let body = match (decoded, event.body) {
        (Some(bytes), _) => Body::Binary(bytes),
        (None, Some(Text(text))) => Body::Text(text.into_owned()),
        (None, None) => Body::Empty,
    };

    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri.ok()?;
    *request.headers_mut() = headers;
    let mut known = Extensions::new()
        .with_raw_http_path(path)
        .with_request_context(context)
        .with_lambda_context(lambda);
    if !query.is_empty() {
        known = known.with_query_string_parameters(query.parse::<QueryMap>().unwrap_or_default());
    }
    if let Some(parameters) = event.path_parameters {
        known = known.with_path_parameters(parameters);
    }
    if let Some(variables) = event.stage_variables {
        known = known.with_stage_variables(variables);
    }
    *request.extensions_mut() = known;
    Some((request, form))
}

impl Event<'_> {
    /// What the front door says of the request, the method, and the form of its answers.
    fn origin(&self) -> Option<(RequestContext, Method, Form)> {
        let has = |name: &str| self.request_context.0.iter().any(|(Text(known), _)| known == name);
        let members = self.request_context.0.iter().map(|(Text(name), value)| (&**name, *value));
        let said = MapDeserializer::<_, serde_json::Error>::new(members);
        if has("http") {
            let context = ApiGatewayV2httpRequestContext::deserialize(said).ok()?;
            let method = context.http.method.clone();
            return Some((RequestContext::ApiGatewayV2(context), method, Form::Payload2));
        }
        let method = self.http_method.as_ref()?.0.parse().ok()?;
        if has("elb") {
            let has_lists = self.multi_value_headers.is_some();
            let form = if has_lists { Form::LoadBalancerOfLists } else { Form::LoadBalancer };
            return Some((RequestContext::Alb(Deserialize::deserialize(said).ok()?), method, form));
        }
        let context = RequestContext::ApiGatewayV1(Deserialize::deserialize(said).ok()?);
        Some((context, method, Form::Payload1))
    }

    fn query(&self, form: Form) -> String {
        let query = self.raw_query_string.as_ref().map(|Text(query)| Cow::from(&**query));
        let query = query.unwrap_or_else(|| {
            let lists = self.multi_value_query_string_parameters.as_ref();
            let lists = lists.filter(|parameters| !parameters.is_empty());
            let parameters = lists.or(self.query_string_parameters.as_ref());
            let query = parameters.map(QueryMap::to_query_string).unwrap_or_default();
            match form {
                Form::Payload1 | Form::Payload2 => query.into(),
                // What it passes on is encoded already.
                Form::LoadBalancer | Form::LoadBalancerOfLists => {
                    percent_decode_str(&query).decode_utf8_lossy().into_owned().into()
                }
            }
        });
        utf8_percent_encode(&query, UNWRITABLE).to_string()
    }

    fn headers<'e>(&'e self) -> HeaderMap {
        let single = self.headers.iter().flat_map(|Members(members)| members);
        let lists = self.multi_value_headers.iter().flat_map(|Members(members)| members);
        let texts = |list: &'e [Said<'_>]| list.iter().filter_map(Said::text);
        headers(
            single.filter_map(|(Text(name), value)| Some((&**name, value.text()?))),
            lists.map(|(Text(name), values)| (&**name, texts(values.list()))),
            texts(self.cookies.as_deref().unwrap_or_default()),
        )
    }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(event: &Value) -> Request {
        read(&event.to_string(), Context::default()).unwrap().0
    }

    #[test]
    fn path_and_query_are_those_that_the_client_sent() {
        let path = "/a/../b%2fc";
        for event in [
            json!({ "rawPath": path, "rawQueryString": "x=1%262",
                "requestContext": { "stage": "dev", "http": { "method": "GET" } } }),
            json!({ "path": path, "httpMethod": "GET", "queryStringParameters": { "x": "1&2" },
                "requestContext": { "stage": "dev", "httpMethod": "GET" } }),
            json!({ "path": path, "httpMethod": "GET",
                "multiValueQueryStringParameters": { "x": ["1%262"] },
                "requestContext": { "elb": {} } }),
        ] {
            let request = request(&event);
            assert_eq!(request.uri(), "/a/../b%2fc?x=1%262");
            assert_eq!(request.raw_http_path(), path);
            assert_eq!(request.query_string_parameters().first("x"), Some("1&2"));
        }
    }

    #[test]
    fn the_context_is_complete_and_what_is_null_in_it_is_absent() {
        let event = json!({ "requestContext": {
            "stage": "dev", "timeEpoch": null, "elb": null, "http": { "method": "GET" } } });
        let Some(RequestContext::ApiGatewayV2(context)) =
            request(&event).request_context_ref().cloned()
        else {
            panic!("it is of payload 2.0")
        };
        assert_eq!(context.stage.as_deref(), Some("dev"));
    }
}
