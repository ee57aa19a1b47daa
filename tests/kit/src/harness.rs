//! A whole stack in a test: requests in, responses out, the clock and the wire in hand.

use std::sync::Arc;

use authorizer::AuthorizerConfig;
use bytes::Bytes;
use core_driver::CoreConfig;
use http::{HeaderMap, Method, Request, Response, header};
use local::Stack;
use local::dynamodb::{client, create_tables, store_of};
use local::functions::Functions;
use local::gateway::{Cors, Gateway};
use revoke::LogoutConfig;
use session::model::Clock;
use session::store::DynamoDb;
use session::{SessionConfig, Sessions};

use crate::clock::{ManualClock, START};
use crate::events;
use crate::wire::Wire;

/// A stack of `https://api.example.com` for `https://example.com`, with test keys and a manual clock.
pub struct Harness {
    /// The stack.
    pub stack: Stack,
    /// Its clock.
    pub clock: ManualClock,
    /// Its way to the table.
    pub wire: Wire,
    /// The store, for looking behind the scenes.
    pub store: DynamoDb,
    /// Its settings.
    pub config: SessionConfig,
}

/// The settings of a test: defaults for the two domains, then what the test sets.
///
/// # Panics
///
/// If the settings cannot work.
pub fn config(settings: &[(&str, &str)]) -> SessionConfig {
    SessionConfig::from_lookup(lookup(settings)).unwrap()
}

fn lookup(settings: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    let defaults =
        [("API_DOMAIN", "https://api.example.com"), ("WEBSITE_DOMAIN", "https://example.com")];
    move |name| {
        let mut all = settings.iter().chain(&defaults);
        all.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }
}

impl Harness {
    /// A stack with these settings over a fresh table.
    pub async fn new(settings: &[(&str, &str)]) -> Self {
        Self::over(Wire::new(), ManualClock::at(START), settings, |gateway, _, _| gateway).await
    }

    /// A stack with these settings and an application's own routes, which may use the session service
    /// and the clock.
    pub async fn with_routes(
        settings: &[(&str, &str)],
        routes: impl FnOnce(Gateway, Arc<Sessions<DynamoDb>>, ManualClock) -> Gateway,
    ) -> Self {
        Self::over(Wire::new(), ManualClock::at(START), settings, routes).await
    }

    /// A stack with other settings over the same table and clock, as after a deployment.
    pub async fn redeployed(&self, settings: &[(&str, &str)]) -> Self {
        let (wire, clock) = (self.wire.clone(), self.clock.clone());
        Self::over(wire, clock, settings, |gateway, _, _| gateway).await
    }

    async fn over(
        wire: Wire,
        clock: ManualClock,
        settings: &[(&str, &str)],
        routes: impl FnOnce(Gateway, Arc<Sessions<DynamoDb>>, ManualClock) -> Gateway,
    ) -> Self {
        let config = config(settings);
        let authorizer = AuthorizerConfig::from_lookup(lookup(settings)).unwrap();
        let core_config = CoreConfig::from_lookup(lookup(settings)).unwrap();
        let client = client(wire.clone());
        create_tables(&client).await.unwrap();
        let store = store_of(client.clone(), &config.app_id);
        events::seed_keys(&store).await;
        let cors: Option<Cors> = None;
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let sessions = Arc::new(Sessions::new(config.clone(), store.clone()));
        let routes = |gateway| routes(gateway, sessions, clock.clone());
        let logout = LogoutConfig::from_lookup(lookup(settings)).unwrap();
        let functions =
            Functions::in_process(&config, authorizer, core_config, logout, &store, &shared);
        let stack =
            Stack::start_with(&config, functions, client, shared, cors, routes).await.unwrap();
        wire.take_calls();
        Self { stack, clock, wire, store, config }
    }

    /// Sends one request without a body through the gateway.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Response<Bytes> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.stack.handle(request.body(Bytes::new()).unwrap()).await
    }

    /// `POST /auth/session/refresh`.
    pub async fn refresh(&self, headers: &[(&str, &str)]) -> Response<Bytes> {
        self.send(Method::POST, "/auth/session/refresh", headers).await
    }

    /// `POST /auth/signout`.
    pub async fn sign_out(&self, headers: &[(&str, &str)]) -> Response<Bytes> {
        self.send(Method::POST, "/auth/signout", headers).await
    }

    /// Signs `user-1` in, with `st-auth-mode` as given.
    pub async fn sign_in(&self, mode: &str) -> Tokens {
        let request = Request::post("/example/signin")
            .header("content-type", "application/json")
            .header("st-auth-mode", mode)
            .body(Bytes::from_static(br#"{"userId":"user-1"}"#))
            .unwrap();
        let response = self.stack.handle(request).await;
        assert_eq!(response.status(), 200, "{:?}", response.body());
        Tokens::of(&response)
    }
}

/// The tokens that a response carries, by whichever method.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
    /// The front token.
    pub front: String,
    /// The anti-CSRF token; empty if none.
    pub anti_csrf: String,
}

impl Tokens {
    /// Reads cookies first, then headers; empty text for what is not there.
    pub fn of(response: &Response<Bytes>) -> Self {
        let headers = response.headers();
        let either = |cookie_name: &str, header: &str| {
            let from_cookie = cookie(headers, cookie_name).filter(|value| !value.is_empty());
            from_cookie.unwrap_or_else(|| text(headers, header))
        };
        Self {
            access: either("sAccessToken", "st-access-token"),
            refresh: either("sRefreshToken", "st-refresh-token"),
            front: text(headers, "front-token"),
            anti_csrf: text(headers, "anti-csrf"),
        }
    }

    /// `sAccessToken=…`.
    pub fn access_cookie(&self) -> String {
        format!("sAccessToken={}", self.access)
    }

    /// `sRefreshToken=…`.
    pub fn refresh_cookie(&self) -> String {
        format!("sRefreshToken={}", self.refresh)
    }

    /// `Bearer …` with the access token.
    pub fn access_bearer(&self) -> String {
        format!("Bearer {}", self.access)
    }

    /// `Bearer …` with the refresh token.
    pub fn refresh_bearer(&self) -> String {
        format!("Bearer {}", self.refresh)
    }
}

/// The value that a response sets a cookie to; the first if several.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines
        .filter_map(|line| line.split(';').next()?.split_once('='))
        .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
}

/// A header's value; empty text if it is not there.
pub fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
