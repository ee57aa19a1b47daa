//! What is counted.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Waker};
use std::time::Duration;

use authorizer::{AuthorizerConfig, ResponseFormat};
use bytes::Bytes;
use http::{Method, Request, Response};
use lambda_http::{Context, LambdaEvent, Request as LambdaRequest, service_fn};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use session::http::{VerifyOptions, verify};
use session::model::{DeviceKey, Generation, Revocation, Session, SessionHandle, Timestamp};
use session::service::AntiCsrfProof;
use session::store::{
    KeysFound, PrivateKeyReader, PublicKeyReader, Rotation, SessionBinder, SessionReader,
    SessionRefresher, StoreError, Written,
};
use session::token::access::AccessTokenInput;
use session::token::{PublishedKey, SigningKey};
use session::{SessionConfig, Sessions};
use testkit::clock::START;
use testkit::front_door::shape;
use testkit::{ManualClock, events, keys};

/// One of the hot paths.
type Operation = Box<dyn FnMut()>;

/// Prepares one.
type Prepare = fn() -> Operation;

/// All of them, by name.
pub const ALL: [(&str, Prepare); 9] = [
    ("verify-rs256", || verifying(&keys::dynamic())),
    ("verify-es256", || verifying(&keys::es256())),
    ("claims", cloning_claims),
    ("authorizer-http", || authorizing(&shape::http_api_2(&get_orders()))),
    ("authorizer-rest", || authorizing(&shape::rest_request(&get_orders()))),
    ("refresh", || refreshing(&shape::integration(&refresh()))),
    ("event", || reading(&shape::integration(&get_orders()))),
    ("cookies", looking_for_cookies),
    ("mint", || minting(keys::dynamic())),
];

/// An access token into its session.
fn verifying(key: &SigningKey) -> Operation {
    let (sessions, token) = (sessions(key), token(key));
    Box::new(move || {
        let verified = at_once(sessions.get(black_box(&token), AntiCsrfProof::NotUsed, START));
        black_box(verified.unwrap());
    })
}

/// What a verification gives out, to know what it needs beside that.
fn cloning_claims() -> Operation {
    let key = keys::dynamic();
    let (sessions, token) = (sessions(&key), token(&key));
    let verified = at_once(sessions.get(&token, AntiCsrfProof::NotUsed, START)).unwrap();
    Box::new(move || drop(black_box(verified.clone())))
}

/// The bytes of an event into those of the answer.
fn authorizing(event: &Value) -> Operation {
    let (sessions, clock) = (sessions(&keys::dynamic()), ManualClock::at(START));
    let config =
        AuthorizerConfig { response: ResponseFormat::Simple, ..AuthorizerConfig::default() };
    let event = event.to_string();
    Box::new(move || {
        let event: Box<RawValue> = serde_json::from_slice(black_box(event.as_bytes())).unwrap();
        let answer = at_once(authorizer::handle(&sessions, &config, &clock, &event)).unwrap();
        black_box(serde_json::to_vec(&answer).unwrap());
    })
}

/// The bytes of an event into those of the answer, by the rule: the token was just handed out, so the table refuses to
/// rotate.
fn refreshing(event: &Value) -> Operation {
    let parts = Arc::new((sessions(&keys::dynamic()), ManualClock::at(START)));
    answering(event, move |request| {
        let parts = Arc::clone(&parts);
        async move { Ok(::refresh::handle(&parts.0, &parts.1, request).await) }
    })
}

/// The bytes of an event into those of an empty answer.
fn reading(event: &Value) -> Operation {
    answering(event, |_| ready(Ok(Response::new(String::new()))))
}

fn answering<F>(event: &Value, service: impl Fn(LambdaRequest) -> F + Clone + 'static) -> Operation
where
    F: Future<Output = Result<Response<String>, Infallible>> + Send + 'static,
{
    let event = event.to_string();
    Box::new(move || {
        let payload = serde_json::from_slice(black_box(event.as_bytes())).unwrap();
        let event = LambdaEvent::new(payload, Context::default());
        let answer = at_once(front_door::invoke(service_fn(service.clone()), event)).unwrap();
        black_box(serde_json::to_vec(&answer).unwrap());
    })
}

/// A request that has cookies of others only.
fn looking_for_cookies() -> Operation {
    let sessions = sessions(&keys::dynamic());
    let others: Vec<_> = (0..20).map(|it| format!("cookie{it}=value-of-{it}")).collect();
    let request = browser(Method::GET, "/orders", &others.join("; "));
    let options = VerifyOptions { session_required: false, ..VerifyOptions::default() };
    Box::new(move || {
        let verified = at_once(verify(&sessions, black_box(&request), options, START));
        assert!(verified.unwrap().is_none());
    })
}

/// A session into its access token.
fn minting(key: SigningKey) -> Operation {
    let (session, hash) = (session(), "0".repeat(64));
    Box::new(move || {
        let input = AccessTokenInput::of(black_box(&session), &hash, None);
        black_box(input.sign(&key, START, HOUR).unwrap());
    })
}

const HOUR: Duration = Duration::from_hours(1);

/// A session with two claims, whose first token was just exchanged for one that is under way.
fn session() -> Session {
    let mut session = events::session();
    let (role, verified) =
        (json!({ "v": ["admin", "user"], "t": START }), json!({ "v": true, "t": START }));
    session
        .access_token_payload
        .extend([("st-role".to_owned(), role), ("st-ev".to_owned(), verified)]);
    session.refresh.minted_at = Some(START.minus(Duration::from_secs(1)));
    session.refresh.answered_at = session.refresh.minted_at;
    session
}

fn token(key: &SigningKey) -> String {
    let hash = "0".repeat(64);
    AccessTokenInput::of(&session(), &hash, None).sign(key, START, HOUR).unwrap().token
}

fn cookies() -> String {
    let token = token(&keys::dynamic());
    format!("theme=dark; sAccessToken={token}; _ga=GA1.1.1234567890.1700000000")
}

fn get_orders() -> Request<Bytes> {
    browser(Method::GET, "/orders", &cookies())
}

fn refresh() -> Request<Bytes> {
    let token = keys::master().mint(&session().handle, Generation::FIRST, false);
    let cookies = format!("{}; sRefreshToken={}", cookies(), token.expose());
    browser(Method::POST, "/auth/session/refresh", &cookies)
}

/// A request as a browser sends it.
fn browser(method: Method, path: &str, cookies: &str) -> Request<Bytes> {
    let headers = [
        ("accept", "application/json, text/plain, */*"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
        ("cookie", cookies),
        ("host", "api.example.com"),
        ("origin", "https://example.com"),
        ("referer", "https://example.com/"),
        ("rid", "anti-csrf"),
        ("sec-ch-ua", r#""Chromium";v="142", "Not_A Brand";v="99""#),
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "same-site"),
        ("st-auth-mode", "cookie"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0",
        ),
        ("x-amzn-trace-id", "Root=1-00000000-000000000000000000000000"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
    ];
    let request = Request::builder().method(method).uri(path);
    let request = headers.into_iter().fold(request, |it, (name, value)| it.header(name, value));
    request.body(Bytes::new()).unwrap()
}

/// A service that knows this key, and a table that holds one session.
fn sessions(key: &SigningKey) -> Sessions<Memory> {
    let pinned = json!({ "keys": [key.public_jwk()] }).to_string();
    let config = SessionConfig::from_lookup(|name| match name {
        "API_DOMAIN" => Some("https://api.example.com".to_owned()),
        "WEBSITE_DOMAIN" => Some("https://example.com".to_owned()),
        "PINNED_JWKS" => Some(pinned.clone()),
        _ => None,
    });
    Sessions::new(config.unwrap(), Memory { session: session() })
}

/// What a table would say, at once.
struct Memory {
    session: Session,
}

impl PublicKeyReader for Memory {
    async fn public_keys(&self) -> Result<Option<Vec<PublishedKey>>, StoreError> {
        unreachable!("the keys are pinned")
    }
}

impl PrivateKeyReader for Memory {
    async fn private_keys(&self, _: Option<u64>) -> Result<KeysFound, StoreError> {
        Ok(KeysFound::Changed(keys::stored().0))
    }
}

impl SessionReader for Memory {
    async fn session(&self, _: &SessionHandle) -> Result<Option<Session>, StoreError> {
        unreachable!("no setting asks for it")
    }
}

impl SessionRefresher for Memory {
    async fn rotate(&self, _: Rotation<'_>) -> Result<Written, StoreError> {
        Ok(Written::Refused(Some(self.session.clone())))
    }

    async fn advance(&self, _: &Session, next: &Session) -> Result<Written, StoreError> {
        Ok(Written::Applied(next.clone()))
    }

    async fn entomb(
        &self,
        _: &Session,
        _: &Revocation,
        _: Timestamp,
    ) -> Result<Written, StoreError> {
        unreachable!("nobody steals")
    }
}

impl SessionBinder for Memory {
    async fn bind_session(
        &self,
        _: &SessionHandle,
        _: DeviceKey,
        _: Timestamp,
    ) -> Result<Written, StoreError> {
        unreachable!("no device is bound")
    }
}

/// The outcome of a future that has nothing to wait for.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut task::Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits for something"),
    }
}
