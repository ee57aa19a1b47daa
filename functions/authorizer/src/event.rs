//! The events of every front door, as they come: members may be missing or null (docs/authorizer.md §1.2).
//!
//! Nothing is read of them that does not matter for the decision. Each becomes the request that the client sent, so
//! that one verification serves all.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::iter;

use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use serde::Deserialize;
use session::token::dpop::normal_path;

/// An event that was recognised.
pub struct Event {
    /// Who asks, and so which answers it understands.
    pub front_door: FrontDoor,
    /// What the client sent, as far as a session is concerned. Its path is what the event says of it, for
    /// DPoP proofs only.
    pub request: Request<()>,
}

/// Who asks. `api` is the ARN pattern of everything that one deployed API serves: a verdict holds for a
/// session and not for a route, and a cached policy is applied to other routes too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FrontDoor {
    /// An HTTP API, payload 2.0: its answers have one of two forms, which the event does not name.
    HttpApi2 {
        /// Such as `arn:aws:execute-api:eu-west-1:123456789012:abcdef123/$default/*`.
        // Printable: the name of an API, here and below.
        api: String,
    },
    /// An HTTP API, payload 1.0.
    HttpApi1 {
        /// As in [`Self::HttpApi2`].
        api: String,
    },
    /// A REST API, with an authorizer of type TOKEN or REQUEST.
    RestApi {
        /// As in [`Self::HttpApi2`].
        api: String,
    },
    /// A WebSocket API that is being connected to.
    WebSocketApi {
        /// As in [`Self::HttpApi2`].
        api: String,
    },
    /// An `AppSync` API.
    AppSync,
}

impl FrontDoor {
    pub(crate) const fn is_web_socket(&self) -> bool {
        matches!(self, Self::WebSocketApi { .. })
    }
}

/// What matters of an event, whichever shape it has: members may be missing or null.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    version: Option<Text<'a>>,
    /// HTTP API, payload 2.0; all others but `AppSync` have a `methodArn`.
    #[serde(borrow)]
    route_arn: Option<Text<'a>>,
    #[serde(borrow)]
    method_arn: Option<Text<'a>>,
    #[serde(borrow)]
    http_method: Option<Text<'a>>,
    #[serde(borrow)]
    raw_path: Option<Text<'a>>,
    /// As the client spelt them, repeated ones in `multiValueHeaders`; joined by commas in payload 2.0.
    #[serde(borrow)]
    headers: Option<Texts<'a>>,
    #[serde(borrow)]
    multi_value_headers: Option<BTreeMap<Text<'a>, Option<Vec<Text<'a>>>>>,
    /// Payload 2.0.
    #[serde(borrow)]
    cookies: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    query_string_parameters: Option<Texts<'a>>,
    #[serde(borrow)]
    request_context: Option<Context<'a>>,
    /// REST API, type TOKEN: one header's value and nothing else. `AppSync`: the token without a scheme.
    #[serde(borrow)]
    authorization_token: Option<Text<'a>>,
    /// `AppSync`.
    #[serde(borrow)]
    request_headers: Option<Texts<'a>>,
}

type Texts<'a> = BTreeMap<Text<'a>, Option<Text<'a>>>;

/// A text, borrowed unless something in it is escaped.
#[derive(Deserialize, Eq, Ord, PartialEq, PartialOrd)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn as_str(&self) -> &str {
        &self.0
    }
}

fn text<'e>(text: Option<&'e Text<'_>>) -> Option<&'e str> {
    text.map(Text::as_str)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    /// Payload 2.0.
    #[serde(borrow)]
    http: Option<Http<'a>>,
    /// Payload 1.0 and REST API: with the stage or the mapping's key, as the client wrote it.
    #[serde(borrow)]
    path: Option<Text<'a>>,
    /// WebSocket API.
    #[serde(borrow)]
    event_type: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Http<'a> {
    #[serde(borrow)]
    method: Text<'a>,
}

impl Event {
    /// Recognises an event by its JSON text; `None` if it is of no known shape. The order matters
    /// (docs/authorizer.md §1.3).
    #[must_use]
    pub fn recognise(event: &str) -> Option<Self> {
        let event: Members<'_> = serde_json::from_str(event).ok()?;
        match (text(event.kind.as_ref()), text(event.version.as_ref())) {
            (Some("TOKEN"), _) => rest_token(&event),
            (_, Some("2.0")) => http_api_2(&event),
            (_, Some("1.0")) => method_request(|api| FrontDoor::HttpApi1 { api }, &event),
            (Some("REQUEST"), _) if event.is_connect() => web_socket(&event),
            (Some("REQUEST"), _) => method_request(|api| FrontDoor::RestApi { api }, &event),
            (None, _) => app_sync(&event),
            (Some(_), _) => None,
        }
    }
}

impl Members<'_> {
    fn headers(&self) -> HeaderMap {
        let multiple = self.multi_value_headers.iter().flatten();
        let multiple = multiple
            .map(|(name, values)| (name.as_str(), values.iter().flatten().map(Text::as_str)));
        let cookies = self.cookies.iter().flatten().map(Text::as_str);
        front_door::headers(named(self.headers.as_ref()), multiple, cookies)
    }

    /// By what API Gateway says, never by the path, which a client can choose where a route is greedy.
    fn is_connect(&self) -> bool {
        let context = self.request_context.as_ref();
        context.and_then(|it| text(it.event_type.as_ref())) == Some("CONNECT")
    }
}

fn named<'e>(texts: Option<&'e Texts<'_>>) -> impl Iterator<Item = (&'e str, &'e str)> {
    texts
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), text(value.as_ref())?)))
}

fn rest_token(event: &Members<'_>) -> Option<Event> {
    let arn = text(event.method_arn.as_ref())?;
    let (_, method) = whole_api(arn)?;
    let mut headers = HeaderMap::new();
    authorize(&mut headers, text(event.authorization_token.as_ref()).unwrap_or_default());
    event_of(|api| FrontDoor::RestApi { api }, arn, method, "", headers)
}

fn http_api_2(event: &Members<'_>) -> Option<Event> {
    let http = event.request_context.as_ref()?.http.as_ref()?;
    let (arn, method) = (text(event.route_arn.as_ref())?, http.method.as_str());
    let path = text(event.raw_path.as_ref()).unwrap_or_default();
    event_of(|api| FrontDoor::HttpApi2 { api }, arn, method, path, event.headers())
}

fn method_request(
    front_door: impl FnOnce(String) -> FrontDoor,
    event: &Members<'_>,
) -> Option<Event> {
    let (arn, method) = (text(event.method_arn.as_ref())?, text(event.http_method.as_ref())?);
    let path = event.request_context.as_ref().and_then(|it| text(it.path.as_ref()));
    let path = path.unwrap_or_default();
    event_of(front_door, arn, method, path, event.headers())
}

fn web_socket(event: &Members<'_>) -> Option<Event> {
    let mut headers = event.headers();
    // The one place where a script in a browser can put a token (RFC 6750 §2.3).
    if let Some((_, token)) =
        named(event.query_string_parameters.as_ref()).find(|(name, _)| *name == "access_token")
        && !headers.contains_key(header::AUTHORIZATION)
    {
        authorize(&mut headers, &format!("Bearer {token}"));
    }
    let front_door = |api| FrontDoor::WebSocketApi { api };
    event_of(front_door, text(event.method_arn.as_ref())?, Method::GET.as_str(), "", headers)
}

fn app_sync(event: &Members<'_>) -> Option<Event> {
    let token = text(event.authorization_token.as_ref())?;
    let mut headers = front_door::headers(
        named(event.request_headers.as_ref()),
        iter::empty::<(_, [_; 0])>(),
        [],
    );
    let has_scheme = ["Bearer ", "DPoP "].iter().any(|it| token.starts_with(it));
    let scheme = if has_scheme { "" } else { "Bearer " };
    authorize(&mut headers, &format!("{scheme}{token}"));
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static("/graphql");
    *request.headers_mut() = headers;
    Some(Event { front_door: FrontDoor::AppSync, request })
}

fn event_of(
    front_door: impl FnOnce(String) -> FrontDoor,
    arn: &str,
    method: &str,
    path: &str,
    headers: HeaderMap,
) -> Option<Event> {
    let (api, _) = whole_api(arn)?;
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method.to_uppercase().as_bytes()).ok()?;
    // A path that is no URI's proves nothing, and decides nothing else.
    *request.uri_mut() = normal_path(path).parse().unwrap_or_default();
    *request.headers_mut() = headers;
    Some(Event { front_door: front_door(api), request })
}

/// `arn:…:apiId/stage/METHOD/path` as the pattern `arn:…:apiId/stage/*` and the method.
fn whole_api(arn: &str) -> Option<(String, &str)> {
    // The path may contain colons and slashes of its own.
    let target = arn.splitn(6, ':').nth(5)?;
    let prefix = arn.strip_suffix(target)?;
    let mut segments = target.splitn(4, '/');
    let (api, stage, method) = (segments.next()?, segments.next()?, segments.next()?);
    Some((format!("{prefix}{api}/{stage}/*"), method))
}

/// Sets the credentials; none if HTTP does not allow them.
fn authorize(headers: &mut HeaderMap, value: &str) {
    headers.remove(header::AUTHORIZATION);
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_covers_the_whole_stage_and_keeps_the_partition() {
        let whole = |arn| whole_api(arn).map(|(api, method)| (api, method.to_owned()));
        let get = |api: &str| Some((api.to_owned(), "GET".to_owned()));
        for (arn, expected) in [
            (
                "arn:aws:execute-api:eu-west-1:123456789012:abc/$default/GET/orders/7",
                get("arn:aws:execute-api:eu-west-1:123456789012:abc/$default/*"),
            ),
            (
                "arn:aws-cn:execute-api:cn-north-1:123456789012:abc/v1/GET/a:b/c:d",
                get("arn:aws-cn:execute-api:cn-north-1:123456789012:abc/v1/*"),
            ),
            (
                "arn:aws:execute-api:eu-west-1:123456789012:abc/v1/GET/",
                get("arn:aws:execute-api:eu-west-1:123456789012:abc/v1/*"),
            ),
            ("arn:aws:execute-api:eu-west-1:123456789012:abc", None),
            ("abc/v1/GET/orders", None),
            ("", None),
        ] {
            assert_eq!(whole(arn), expected, "{arn}");
        }
    }
}
