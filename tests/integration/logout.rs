//! Ending sessions by what an identity provider says: logout tokens and security events, each hostile one with
//! its verdict, and when the provider is asked for its keys.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Request;
use jsonwebtoken::signature::Signer as _;
use lambda_runtime::{Context, LambdaEvent};
use revoke::{COOLDOWN, LogoutConfig, MAX_AGE, Provider};
use serde_json::{Value, json};
use session::model::{Clock as _, Device, KeyId, NewSession, ProviderSession, SessionHandle};
use session::service::{AntiCsrfProof, IssuedTokens};
use session::store::{DynamoDb, SessionReader as _};
use session::token::key::SigningAlgorithm;
use session::token::security_event::{CLOCK_SKEW, EVENT_MAX_AGE, LOGOUT_MAX_AGE};
use session::token::{EventIssuer, EventTokenError, SigningKey, UnverifiedRefreshToken};
use session::{SessionError, Sessions};
use testkit::clock::{ManualClock, START};
use testkit::front_door::shape;
use testkit::{Fault, Harness, events, keys};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::secrets::Log;

const ISSUER: &str = "https://id.example.com/realms/main";
const CLIENT: &str = "client-1";
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";
const MOMENT: Duration = Duration::from_secs(1);

/// What a provider publishes, if it answers at all, and what it was asked for.
#[derive(Clone, Default)]
struct Published {
    keys: Arc<Mutex<Option<Value>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Published {
    fn set(&self, keys: Option<Value>) {
        *self.keys.lock().unwrap() = keys;
    }

    fn take_asked(&self) -> usize {
        std::mem::take(&mut *self.asked.lock().unwrap()).len()
    }

    fn answer(&self, address: &str) -> Result<String, session::service::BoxError> {
        self.asked.lock().unwrap().push(address.to_owned());
        let keys = self.keys.lock().unwrap().clone().ok_or("the provider is down")?;
        let document = match address.strip_prefix(ISSUER) {
            Some("/.well-known/openid-configuration") => {
                json!({ "issuer": ISSUER, "jwks_uri": format!("{ISSUER}/certs") })
            }
            Some("/certs") => json!({ "keys": keys }),
            _ => return Err("there is nothing at this address".into()),
        };
        Ok(document.to_string())
    }

    /// What a process of the function knows of it, which is nothing yet.
    fn provider(&self) -> Arc<Provider> {
        let config = LogoutConfig::from_lookup(|name| match name {
            "LOGOUT_ISSUER" => Some(ISSUER.to_owned()),
            "LOGOUT_AUDIENCE" => Some(format!("{CLIENT}, https://app.example.com/events")),
            _ => None,
        });
        let told = self.clone();
        let get = move |address: String| std::future::ready(told.answer(&address));
        Arc::new(Provider::new(config.unwrap().issuer.unwrap(), get))
    }
}

/// A process of the function, a provider, and sessions of its users.
struct Stage {
    harness: Harness,
    published: Published,
    provider: Arc<Provider>,
}

impl Stage {
    async fn new() -> Self {
        let published = Published::default();
        published.set(Some(key_set()));
        let harness = Harness::new(&[("SIGNING_ALGORITHM", "ES256")]).await;
        Self { harness, provider: published.provider(), published }
    }

    fn sessions(&self) -> Arc<Sessions<DynamoDb>> {
        Arc::new(Sessions::new(self.harness.config.clone(), self.harness.store.clone()))
    }

    async fn sign_in(&self, subject: &str, session_id: Option<&str>) -> IssuedTokens {
        let session_id = session_id.map(str::to_owned);
        let provider =
            ProviderSession { issuer: ISSUER.into(), subject: subject.into(), session_id };
        let new = NewSession { provider: Some(provider), ..NewSession::for_user("user-1") };
        let (now, rng) = (self.harness.clock.now(), &mut bootstrap::system_rng());
        self.sessions().create(new, Device::default(), false, now, rng).await.unwrap()
    }

    async fn lives(&self, handle: &SessionHandle) -> bool {
        self.harness.store.session(handle).await.unwrap().is_some()
    }

    async fn answer(&self, event: Value) -> Value {
        let event = LambdaEvent::new(event, Context::default());
        let (sessions, clock) = (self.sessions(), &self.harness.clock);
        revoke::answer(&sessions, Some(&self.provider), clock, event).await.unwrap()
    }

    async fn send(&self, request: Request<Bytes>) -> Value {
        self.answer(shape::integration(&request)).await
    }

    async fn log_out(&self, token: &str) -> Value {
        self.send(logout_request(token)).await
    }

    async fn push(&self, token: &str) -> Value {
        self.send(event_request(token)).await
    }
}

fn post(path: &str, media_type: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::post(path).header("content-type", media_type).body(body.into()).unwrap()
}

const FORM: &str = "application/x-www-form-urlencoded";

fn logout_request(token: &str) -> Request<Bytes> {
    post("/auth/backchannel-logout", FORM, format!("logout_token={token}"))
}

fn event_request(token: &str) -> Request<Bytes> {
    post("/auth/security-events", "application/secevent+jwt", token.to_owned())
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().unwrap()).unwrap()
}

fn rsa() -> SigningKey {
    SigningKey::from_pkcs8(KeyId::new("rsa-1"), SigningAlgorithm::Rs256, keys::DYNAMIC).unwrap()
}

/// The same in every token of a run.
fn ec() -> &'static SigningKey {
    static KEY: std::sync::LazyLock<SigningKey> = std::sync::LazyLock::new(|| {
        let pkcs8 = SigningAlgorithm::Es256.generate_pkcs8().unwrap();
        SigningKey::from_pkcs8(KeyId::new("ec-1"), SigningAlgorithm::Es256, &pkcs8).unwrap()
    });
    &KEY
}

/// As providers publish them: without `alg`, with keys for other things between.
fn key_set() -> Value {
    let jwk = |key: &SigningKey, changes: Value| {
        let mut jwk = serde_json::to_value(key.public_jwk()).unwrap();
        let jwk_members = jwk.as_object_mut().unwrap();
        jwk_members.remove("alg");
        jwk_members.remove("use");
        jwk_members.extend(changes.as_object().unwrap().clone());
        jwk
    };
    json!([
        { "kty": "oct", "kid": "oct-1", "k": "c2VjcmV0", "alg": "HS256" },
        { "kty": "OKP", "kid": "okp-1", "crv": "X25519", "x": "AAAA" },
        "no key",
        jwk(&rsa(), json!({ "kid": "enc-1", "use": "enc" })),
        jwk(&rsa(), json!({ "kid": "ops-1", "key_ops": ["encrypt"] })),
        jwk(&rsa(), json!({ "kid": "ps-1", "alg": "PS256" })),
        jwk(&rsa(), json!({ "kid": "private-1", "d": "AAAA" })),
        jwk(&rsa(), json!({ "x5c": ["MIIC"], "use": "sig" })),
        jwk(ec(), json!({})),
    ])
}

fn base64url(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Any two JSON texts, signed.
fn signed(key: &SigningKey, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", base64url(header), base64url(claims));
    let signature = key.try_sign(message.as_bytes()).unwrap();
    format!("{message}.{}", base64url(signature))
}

fn header() -> Value {
    json!({ "alg": "RS256", "typ": "logout+jwt", "kid": "rsa-1" })
}

/// What Back-Channel Logout §2.4 shows.
fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": "ada",
        "aud": CLIENT,
        "iat": START.as_secs(),
        "exp": START.as_secs() + 120,
        "jti": "bWJq",
        "sid": "s1",
        "events": { LOGOUT: {} },
    })
}

/// What OpenID CAEP 1.0 §3.1 shows.
fn event_claims() -> Value {
    json!({
        "iss": ISSUER,
        "jti": "24c63fb56e5a2d77a6b512616ca9fa24",
        "iat": START.as_secs(),
        "aud": "https://app.example.com/events",
        "txn": "8675309",
        "sub_id": { "format": "opaque", "id": "s1" },
        "events": { REVOKED: { "event_timestamp": START.as_secs(), "initiating_entity": "policy" } },
    })
}

fn token(claims: &Value) -> String {
    signed(&rsa(), &header().to_string(), &claims.to_string())
}

fn event_token(claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "typ": "secevent+jwt", "kid": "rsa-1" });
    signed(&rsa(), &header.to_string(), &claims.to_string())
}

/// The claims with one changed, or without it.
fn with(mut claims: Value, name: &str, value: impl Into<Option<Value>>) -> Value {
    let members = claims.as_object_mut().unwrap();
    match value.into() {
        Some(value) => members.insert(name.to_owned(), value),
        None => members.remove(name),
    };
    claims
}

/// A logout token of this moment, by a key of that name.
fn named(clock: &ManualClock, kid: &str) -> String {
    let claims = with(with(claims(), "exp", None), "iat", json!(clock.now().as_secs()));
    signed(&rsa(), &with(header(), "kid", json!(kid)).to_string(), &claims.to_string())
}

type Row = (&'static str, String, EventTokenError);

/// Claims that make no logout token, signed as they should be.
fn claims_rows() -> Vec<Row> {
    use EventTokenError::{Claim, NoSubject, Nonce, OtherAudience, OtherIssuer, WrongTime};
    let now = START.as_secs();
    let too_old = now - LOGOUT_MAX_AGE.as_secs();
    let skew = CLOCK_SKEW.as_secs();
    let only_sid = with(claims(), "sub", None);
    let no_names = with(only_sid.clone(), "sid", None);
    let rows = [
        ("iss is missing", with(claims(), "iss", None), OtherIssuer),
        ("iss is another", with(claims(), "iss", json!("https://evil.example")), OtherIssuer),
        ("iss has one slash more", with(claims(), "iss", json!(format!("{ISSUER}/"))), OtherIssuer),
        ("iss is an array", with(claims(), "iss", json!([ISSUER])), OtherIssuer),
        ("iss is a number", with(claims(), "iss", json!(1)), OtherIssuer),
        ("aud is missing", with(claims(), "aud", None), OtherAudience),
        ("aud is another", with(claims(), "aud", json!("client-2")), OtherAudience),
        ("aud is empty", with(claims(), "aud", json!([])), OtherAudience),
        ("aud is of others", with(claims(), "aud", json!(["client-2"])), OtherAudience),
        ("aud holds a number", with(claims(), "aud", json!([CLIENT, 1])), OtherAudience),
        ("aud is an object", with(claims(), "aud", json!({ CLIENT: 1 })), OtherAudience),
        ("iat is missing", with(claims(), "iat", None), Claim("iat")),
        ("iat is a text", with(claims(), "iat", json!(now.to_string())), Claim("iat")),
        ("iat is negative", with(claims(), "iat", json!(-1)), Claim("iat")),
        ("iat is beyond all dates", with(claims(), "iat", json!(1e300)), Claim("iat")),
        ("iat is too long ago", with(claims(), "iat", json!(too_old)), WrongTime),
        ("iat is of the future", with(claims(), "iat", json!(now + skew + 1)), WrongTime),
        ("exp is past", with(claims(), "exp", json!(now - skew)), WrongTime),
        ("exp is a text", with(claims(), "exp", json!("never")), Claim("exp")),
        ("exp is null", with(claims(), "exp", json!(null)), Claim("exp")),
        ("nbf is of the future", with(claims(), "nbf", json!(now + skew + 1)), WrongTime),
        ("jti is missing", with(claims(), "jti", None), Claim("jti")),
        ("jti is empty", with(claims(), "jti", json!("")), Claim("jti")),
        ("events is missing", with(claims(), "events", None), Claim("events")),
        ("events is no object", with(claims(), "events", json!(LOGOUT)), Claim("events")),
        ("events is an array", with(claims(), "events", json!([LOGOUT])), Claim("events")),
        (
            "events has no logout",
            with(claims(), "events", json!({ "logout": {} })),
            Claim("events"),
        ),
        ("the event is null", with(claims(), "events", json!({ LOGOUT: null })), Claim("events")),
        ("the event is an array", with(claims(), "events", json!({ LOGOUT: [] })), Claim("events")),
        ("sub and sid are missing", no_names, NoSubject),
        ("sub is empty", with(claims(), "sub", json!("")), Claim("sub")),
        ("sub is a number", with(claims(), "sub", json!(1)), Claim("sub")),
        ("sub is null", with(claims(), "sub", json!(null)), Claim("sub")),
        ("sid is empty", with(only_sid.clone(), "sid", json!("")), Claim("sid")),
        ("sid is an array", with(only_sid, "sid", json!(["s1"])), Claim("sid")),
        ("nonce is there", with(claims(), "nonce", json!("n-1")), Nonce),
        ("nonce is null", with(claims(), "nonce", json!(null)), Nonce),
        // As an ID token of the same provider: with a nonce or without, it has no events.
        (
            "an ID token",
            with(with(claims(), "events", None), "auth_time", json!(now)),
            Claim("events"),
        ),
    ];
    rows.map(|(name, claims, verdict)| (name, token(&claims), verdict)).into()
}

/// Headers and keys with which no claims hold.
fn header_rows() -> Vec<Row> {
    use EventTokenError::{
        BadSignature, CriticalExtension, Malformed, UnknownKey, WrongAlgorithm, WrongType,
    };
    let by =
        |key: &SigningKey, header: Value| signed(key, &header.to_string(), &claims().to_string());
    let changed = |name, value| by(&rsa(), with(header(), name, value));
    let unsigned = |header: Value| {
        format!("{}.{}.", base64url(header.to_string()), base64url(claims().to_string()))
    };
    let by_public_key = {
        // The public key as the secret of an HMAC, which a verifier would accept that asks the header alone.
        let public = serde_json::to_vec(&rsa().public_jwk()).unwrap();
        let header = with(header(), "alg", json!("HS256")).to_string();
        let message = format!("{}.{}", base64url(header), base64url(claims().to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), message.as_bytes());
        format!("{message}.{}", base64url(tag))
    };
    let own_key = serde_json::to_value(keys::foreign("rsa-1").public_jwk()).unwrap();
    vec![
        ("alg is none", unsigned(with(header(), "alg", json!("none"))), WrongAlgorithm),
        ("alg is None", unsigned(with(header(), "alg", json!("None"))), WrongAlgorithm),
        ("alg is missing", changed("alg", None), WrongAlgorithm),
        ("alg is an array", changed("alg", Some(json!(["RS256"]))), WrongAlgorithm),
        ("alg is PS256", changed("alg", Some(json!("PS256"))), WrongAlgorithm),
        ("HMAC with the public key", by_public_key, WrongAlgorithm),
        ("RS256 by the name of an EC key", changed("kid", Some(json!("ec-1"))), WrongAlgorithm),
        (
            "ES256 by the name of an RSA key",
            by(ec(), with(header(), "alg", json!("ES256"))),
            WrongAlgorithm,
        ),
        ("signed by another", by(&keys::foreign("rsa-1"), header()), BadSignature),
        (
            "a key of its own in the header",
            by(&keys::foreign("rsa-1"), with(header(), "jwk", own_key)),
            BadSignature,
        ),
        ("not signed", unsigned(header()), BadSignature),
        ("kid is unknown", changed("kid", Some(json!("rsa-2"))), UnknownKey),
        ("kid is missing, where there are two keys", changed("kid", None), UnknownKey),
        ("kid is a number", changed("kid", Some(json!(1))), Malformed),
        ("a key to encrypt with", changed("kid", Some(json!("enc-1"))), UnknownKey),
        ("a key that may not verify", changed("kid", Some(json!("ops-1"))), UnknownKey),
        ("a key of another algorithm", changed("kid", Some(json!("ps-1"))), UnknownKey),
        ("a key that was given away", changed("kid", Some(json!("private-1"))), UnknownKey),
        ("a secret as a key", changed("kid", Some(json!("oct-1"))), UnknownKey),
        ("crit", changed("crit", Some(json!(["exp"]))), CriticalExtension),
        ("crit is null", changed("crit", Some(json!(null))), CriticalExtension),
        ("b64 is false", changed("b64", Some(json!(false))), CriticalExtension),
        ("typ of an access token", changed("typ", Some(json!("at+jwt"))), WrongType),
        ("typ of a security event", changed("typ", Some(json!("secevent+jwt"))), WrongType),
        ("typ of a DPoP proof", changed("typ", Some(json!("dpop+jwt"))), WrongType),
        ("typ is an array", changed("typ", Some(json!(["logout+jwt"]))), WrongType),
    ]
}

/// Texts that are no JWT.
fn form_rows() -> Vec<Row> {
    use EventTokenError::{Malformed, TooLong};
    let good = token(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let twice = claims().to_string().replacen('{', r#"{"sub":"bob","#, 1);
    let header_twice = header().to_string().replacen('{', r#"{"kid":"rsa-2","#, 1);
    let long = with(claims(), "filling", json!("x".repeat(8_000)));
    vec![
        ("nothing", String::new(), Malformed),
        ("no JWT", "logout".to_owned(), Malformed),
        ("two segments", message.to_owned(), Malformed),
        ("four segments", format!("{good}.AAAA"), Malformed),
        ("five segments, as a JWE", format!("{message}.AAAA.AAAA.{signature}"), Malformed),
        ("padding", good.replacen('.', "=.", 1), Malformed),
        ("a claim twice", signed(&rsa(), &header().to_string(), &twice), Malformed),
        ("a header's name twice", signed(&rsa(), &header_twice, &claims().to_string()), Malformed),
        ("claims are an array", signed(&rsa(), &header().to_string(), "[]"), Malformed),
        (
            "claims with something behind",
            signed(&rsa(), &header().to_string(), &format!("{} {{}}", claims())),
            Malformed,
        ),
        (
            "a claim that is no UTF-8",
            format!(
                "{}.{}.AAAA",
                base64url(header().to_string()),
                base64url(b"{\"iss\":\"\xff\"}")
            ),
            Malformed,
        ),
        ("longer than any", token(&long), TooLong),
        ("whitespace around", format!("%20{good}%0A"), Malformed),
    ]
}

#[tokio::test]
async fn every_hostile_logout_token_is_refused_and_ends_nothing() {
    let mut rows: Vec<_> =
        claims_rows().into_iter().chain(header_rows()).chain(form_rows()).collect();
    let own = events::access_token(&events::session(), Duration::from_hours(1));
    rows.push(("an access token of ours", own, EventTokenError::OtherIssuer));
    assert!(rows.len() >= 70, "{}", rows.len());
    let mut stage = Stage::new().await;
    let handle = stage.sign_in("ada", Some("s1")).await.handle;
    stage.harness.wire.take_calls();
    for (name, token, verdict) in rows {
        // A process that has just read the keys, so that an unknown one is certain.
        stage.provider = stage.published.provider();
        let answer = stage.log_out(&token).await;
        let refused =
            json!({ "error": "invalid_request", "error_description": verdict.to_string() });
        assert_eq!(answer["statusCode"], 400, "{name}: {answer}");
        assert_eq!(body(&answer), refused, "{name}");
        assert_eq!(answer["headers"]["cache-control"], "no-store", "{name}");
        assert_eq!(stage.harness.wire.take_calls(), [], "{name}");
    }
    assert!(stage.lives(&handle).await);
    assert_eq!(stage.log_out(&token(&claims())).await["statusCode"], 200);
    assert!(!stage.lives(&handle).await);
}

/// What providers send in earnest, in each way that the standard leaves them.
#[tokio::test]
async fn every_honest_logout_token_ends_the_session() {
    let now = START.as_secs();
    let typed = |typ: Option<Value>| {
        signed(&rsa(), &with(header(), "typ", typ).to_string(), &claims().to_string())
    };
    let by_ec = json!({ "alg": "ES256", "kid": "ec-1" }).to_string();
    for (name, token) in [
        ("as the standard shows it", token(&claims())),
        ("by ES256", signed(ec(), &by_ec, &claims().to_string())),
        ("without typ", typed(None)),
        ("of type JWT", typed(Some(json!("JWT")))),
        ("of type application/logout+jwt", typed(Some(json!("application/Logout+JWT")))),
        ("for several", token(&with(claims(), "aud", json!(["client-2", CLIENT])))),
        ("without exp", token(&with(claims(), "exp", None))),
        ("with sub alone", token(&with(claims(), "sid", None))),
        ("with sid alone", token(&with(claims(), "sub", None))),
        ("of a clock that is behind", token(&with(claims(), "iat", json!(now - 60)))),
        ("of a clock that is ahead", token(&with(claims(), "iat", json!(now + 60)))),
        (
            "with fractions of seconds",
            token(&with(claims(), "iat", json!(START.as_secs() as f64 + 0.5))),
        ),
        (
            "with other events beside",
            token(&with(claims(), "events", json!({ LOGOUT: { "x": 1 }, "x": 1 }))),
        ),
    ] {
        let stage = Stage::new().await;
        let handle = stage.sign_in("ada", Some("s1")).await.handle;
        let neighbour = stage.sign_in("bob", Some("s2")).await.handle;
        let answer = stage.log_out(&token).await;
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(200), &json!("")), "{name}");
        assert_eq!(answer["headers"]["cache-control"], "no-store", "{name}");
        assert!(!stage.lives(&handle).await, "{name}");
        assert!(stage.lives(&neighbour).await, "{name}");
    }
}

#[tokio::test]
async fn what_is_no_request_for_a_logout_is_refused_before_its_token_is_looked_at() {
    let good = token(&claims());
    let path = "/auth/backchannel-logout";
    let form = |body: String| post(path, FORM, body);
    let one = format!("logout_token={good}");
    let encoded = {
        let mut event = shape::integration(&form(one.clone()));
        event["isBase64Encoded"] = true.into();
        event["body"] = STANDARD.encode(&one).into();
        event
    };
    let with_body = |body: Value, is_base64: bool| {
        let mut event = encoded.clone();
        (event["body"], event["isBase64Encoded"]) = (body, is_base64.into());
        event
    };
    let event = |request: Request<Bytes>| shape::integration(&request);
    for (name, event, status) in [
        ("nothing", event(form(String::new())), 400),
        ("no body", with_body(json!(null), false), 400),
        ("no token", event(form("token=x".to_owned())), 400),
        ("two tokens", event(form(format!("{one}&{one}"))), 400),
        ("two tokens, one of them empty", event(form(format!("{one}&logout_token="))), 400),
        ("a longer form", event(form(format!("{one}&x={}", "x".repeat(17_000)))), 400),
        (
            "JSON",
            event(post(path, "application/json", json!({ "logout_token": good }).to_string())),
            400,
        ),
        ("a file", event(post(path, "multipart/form-data; boundary=x", one.clone())), 400),
        ("a bare token", event(post(path, "application/logout+jwt", good.clone())), 400),
        ("no type", event(Request::post(path).body(Bytes::from(one.clone())).unwrap()), 400),
        ("base64 that is not said", with_body(STANDARD.encode(&one).into(), false), 400),
        ("GET", event(Request::get(format!("{path}?{one}")).body(Bytes::new()).unwrap()), 404),
        (
            "PUT",
            event(
                Request::put(path)
                    .header("content-type", FORM)
                    .body(Bytes::from(one.clone()))
                    .unwrap(),
            ),
            404,
        ),
        ("another path", event(post("/auth/backchannel_logout", FORM, one.clone())), 404),
    ] {
        let stage = Stage::new().await;
        let handle = stage.sign_in("ada", Some("s1")).await.handle;
        let answer = stage.answer(event).await;
        assert_eq!(answer["statusCode"], status, "{name}: {answer}");
        assert!(stage.lives(&handle).await, "{name}");
        assert_eq!(stage.published.take_asked(), 0, "{name}");
    }
    let carrying = |mut event: Value| {
        event["body"] = one.clone().into();
        event
    };
    let charset = format!("{}; charset=UTF-8", FORM.to_uppercase());
    for (name, event) in [
        ("base64", encoded.clone()),
        ("base64 is said of a text", with_body(one.clone().into(), true)),
        ("a type with parameters", event(post(path, &charset, one.clone()))),
        ("other parameters beside", event(form(format!("state=x&{one}&x")))),
        ("escapes", event(form(one.replace('.', "%2E")))),
        ("a REST API", carrying(shape::proxied(&form(String::new())))),
        ("a load balancer", carrying(shape::load_balancer(&form(String::new()), true))),
    ] {
        let stage = Stage::new().await;
        let handle = stage.sign_in("ada", Some("s1")).await.handle;
        assert_eq!(stage.answer(event).await["statusCode"], 200, "{name}");
        assert!(!stage.lives(&handle).await, "{name}");
    }
}

/// Whoever is not configured to listen, does not; and what comes by HTTP is never a command.
#[tokio::test]
async fn without_a_provider_nobody_listens() {
    let stage = Stage::new().await;
    let handle = stage.sign_in("ada", Some("s1")).await.handle;
    let command = json!({ "everybody": true }).to_string();
    for request in [
        logout_request(&token(&claims())),
        event_request(&event_token(&event_claims())),
        post("/auth/backchannel-logout", "application/json", command.clone()),
        post("/", "application/json", command),
    ] {
        let answer = stage.harness.stack.handle(request.clone()).await;
        assert_eq!(answer.status(), 404);
        let event = LambdaEvent::new(shape::integration(&request), Context::default());
        let (sessions, clock) = (stage.sessions(), &stage.harness.clock);
        let answer = revoke::answer(&sessions, None, clock, event).await.unwrap();
        assert_eq!(answer["statusCode"], 404);
    }
    let mut both = shape::integration(&logout_request(""));
    both["everybody"] = true.into();
    let answer = stage.answer(both).await;
    assert_eq!(answer["statusCode"], 400);
    assert!(stage.lives(&handle).await);
}

#[tokio::test]
async fn a_token_that_comes_again_changes_nothing() {
    let stage = Stage::new().await;
    let handle = stage.sign_in("ada", Some("s1")).await.handle;
    let token = token(&claims());
    for _ in 0..3 {
        assert_eq!(stage.log_out(&token).await["statusCode"], 200);
        assert!(!stage.lives(&handle).await);
    }
    // One that somebody kept ends no later session.
    stage.harness.clock.advance(LOGOUT_MAX_AGE);
    let later = stage.sign_in("ada", Some("s1")).await.handle;
    assert_eq!(stage.log_out(&token).await["statusCode"], 400);
    assert!(stage.lives(&later).await);
}

/// The provider asks again after 503, and never after 200.
#[tokio::test]
async fn a_logout_is_acknowledged_only_if_the_sessions_are_ended() {
    for fault in [Fault::Timeout, Fault::AppliedButReset, Fault::Throttled, Fault::AccessDenied] {
        for let_through in 0..3 {
            let stage = Stage::new().await;
            let handle = stage.sign_in("ada", Some("s1")).await.handle;
            let script = std::iter::repeat_n(None, let_through).chain([Some(fault); 3]);
            stage.harness.wire.script(script);
            let answer = stage.log_out(&token(&claims())).await;
            assert_eq!(answer["statusCode"], 503, "{fault:?} at {let_through}");
            assert_eq!(answer["headers"]["retry-after"], "10");
            stage.harness.wire.script([]);
            assert_eq!(stage.log_out(&token(&claims())).await["statusCode"], 200);
            assert!(!stage.lives(&handle).await, "{fault:?} at {let_through}");
        }
    }
}

/// The same operation as by invocation, whose linearizability the histories in tests/proofs show.
#[tokio::test]
async fn after_an_acknowledged_logout_no_refresh_succeeds() {
    let stage = Stage::new().await;
    let device = Device::default();
    let refreshing = async |token: &str| {
        let presented = UnverifiedRefreshToken::parse(token).unwrap();
        let later = START.plus(Duration::from_mins(1));
        stage.sessions().refresh(&presented, AntiCsrfProof::NotUsed, &device, later).await
    };
    let first = stage.sign_in("ada", Some("s1")).await;
    let second = stage.sign_in("ada", Some("s1")).await;
    let refreshed = refreshing(first.refresh.expose()).await.unwrap();
    assert_eq!(stage.log_out(&token(&claims())).await["statusCode"], 200);
    for token in [&first.refresh, &second.refresh, &refreshed.tokens.refresh] {
        let refused = refreshing(token.expose()).await;
        assert!(matches!(refused, Err(SessionError::SessionEnded(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn keys_are_read_when_they_are_needed_and_no_stranger_has_them_read_often() {
    let stage = Stage::new().await;
    let (clock, published) = (&stage.harness.clock, &stage.published);
    let (fresh, unknown) = (|| named(clock, "rsa-1"), || named(clock, "rsa-2"));
    let status = async |token: String| stage.log_out(&token).await["statusCode"].as_u64().unwrap();

    // What no provider of ours says is none of its business.
    for token in [
        token(&with(claims(), "iss", json!("https://evil.example"))),
        token(&with(claims(), "aud", json!("client-2"))),
        token(&with(claims(), "nonce", json!("n-1"))),
        "x".to_owned(),
    ] {
        assert_eq!(status(token).await, 400);
    }
    assert_eq!(published.take_asked(), 0);

    assert_eq!(status(fresh()).await, 200);
    assert_eq!(published.take_asked(), 2, "the discovery document and the keys");
    assert_eq!(status(fresh()).await, 200);
    assert_eq!(published.take_asked(), 0);

    // Not refused: it may have been published since.
    for _ in 0..20 {
        assert_eq!(status(unknown()).await, 503);
    }
    assert_eq!(published.take_asked(), 0, "they were read a moment ago");
    clock.advance(COOLDOWN);
    assert_eq!(status(unknown()).await, 400);
    for _ in 0..20 {
        assert_eq!(status(unknown()).await, 503);
        assert_eq!(status(fresh()).await, 200);
    }
    assert_eq!(published.take_asked(), 2);

    // A key that has been published meanwhile is found.
    let mut keys = key_set();
    keys[7]["kid"] = json!("rsa-2");
    published.set(Some(keys));
    clock.advance(COOLDOWN);
    assert_eq!(status(unknown()).await, 200);
    assert_eq!(published.take_asked(), 2);
    // And one that has been withdrawn is believed no longer.
    assert_eq!(status(fresh()).await, 503);
    clock.advance(COOLDOWN);
    assert_eq!(status(fresh()).await, 400);
    assert_eq!(published.take_asked(), 2);
    clock.advance(MAX_AGE - MOMENT);
    assert_eq!(status(unknown()).await, 200);
    assert_eq!(published.take_asked(), 0);
    clock.advance(MOMENT);
    assert_eq!(status(unknown()).await, 200);
    assert_eq!(published.take_asked(), 2, "they are old");
}

/// As providers do whose administrators choose the names of keys. No logout may be lost by it: providers tell once.
#[tokio::test]
async fn a_key_that_was_replaced_under_its_name_counts_from_the_first_token() {
    let stage = Stage::new().await;
    let by_first = with(with(claims(), "sub", json!("bob")), "sid", json!("s2"));
    assert_eq!(stage.log_out(&token(&by_first)).await["statusCode"], 200);
    let handle = stage.sign_in("ada", Some("s1")).await.handle;
    let successor = keys::foreign("rsa-1");
    let by_successor = signed(&successor, &header().to_string(), &claims().to_string());
    stage.published.set(Some(json!([successor.public_jwk()])));

    let early = stage.log_out(&by_successor).await;
    assert_eq!(early["statusCode"], 503, "the keys were read a moment ago: not refused for good");
    stage.harness.clock.advance(COOLDOWN);
    assert_eq!(stage.log_out(&by_successor).await["statusCode"], 200);

    assert!(!stage.lives(&handle).await);
    assert_eq!(stage.log_out(&token(&by_first)).await["statusCode"], 503);
    stage.harness.clock.advance(COOLDOWN);
    assert_eq!(stage.log_out(&token(&by_first)).await["statusCode"], 400);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_asked_again_later() {
    let stage = Stage::new().await;
    let (clock, published) = (&stage.harness.clock, &stage.published);
    let status = async |kid: &str| stage.log_out(&named(clock, kid)).await["statusCode"].clone();
    let handle = stage.sign_in("ada", Some("s1")).await.handle;
    published.set(None);
    for _ in 0..20 {
        assert_eq!(status("rsa-1").await, 503);
    }
    assert_eq!(published.take_asked(), 1);
    assert!(stage.lives(&handle).await);
    for useless in [json!([]), json!({}), json!([key_set()[0]])] {
        published.set(Some(useless));
        clock.advance(COOLDOWN);
        assert_eq!(status("rsa-1").await, 503);
    }
    published.set(Some(key_set()));
    assert_eq!(status("rsa-1").await, 503, "it is left alone for a while");
    clock.advance(COOLDOWN);
    assert_eq!(status("rsa-1").await, 200);
    assert!(!stage.lives(&handle).await);
    // Keys that were read once outlive it.
    published.set(None);
    clock.advance(MAX_AGE);
    published.take_asked();
    assert_eq!(status("rsa-1").await, 200);
    assert_eq!(status("rsa-2").await, 503);
    assert_eq!(published.take_asked(), 1);
}

#[tokio::test]
async fn a_discovery_document_that_leads_elsewhere_is_not_followed() {
    let stage = Stage::new().await;
    for (issuer, jwks_uri) in [
        ("https://evil.example", format!("{ISSUER}/certs")),
        (ISSUER, "http://id.example.com/certs".to_owned()),
        (ISSUER, "file:///certs".to_owned()),
        (ISSUER, String::new()),
    ] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&asked);
        let from = EventIssuer { issuer: ISSUER.to_owned(), audiences: vec![CLIENT.to_owned()] };
        let provider = Arc::new(Provider::new(from, move |address: String| {
            told.lock().unwrap().push(address);
            let document = json!({ "issuer": issuer, "jwks_uri": jwks_uri }).to_string();
            std::future::ready(Ok(document))
        }));
        let event = shape::integration(&logout_request(&token(&claims())));
        let event = LambdaEvent::new(event, Context::default());
        let (sessions, clock) = (stage.sessions(), &stage.harness.clock);
        let answer = revoke::answer(&sessions, Some(&provider), clock, event).await.unwrap();
        assert_eq!(answer["statusCode"], 503);
        assert_eq!(*asked.lock().unwrap(), [format!("{ISSUER}/.well-known/openid-configuration")]);
    }
}

/// Whoever serves the keys cannot fill a function's memory.
#[tokio::test]
async fn a_text_is_read_up_to_a_size() {
    let served = async |length: usize| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/keys", listener.local_addr().unwrap());
        let body = "x".repeat(length);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        let serving = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            assert_ne!(connection.read(&mut [0; 1024]).await.unwrap(), 0);
            // Not all of it, where the reader has had enough.
            let _ = connection.write_all(answer.as_bytes()).await;
        });
        let text = bootstrap::get(&address).await;
        serving.abort();
        text.map(|text| text.len())
    };
    assert_eq!(served(256 * 1024).await.unwrap(), 256 * 1024);
    let refused = served(256 * 1024 + 1).await;
    assert!(matches!(refused, Err(bootstrap::HttpError::TooLong)), "{refused:?}");
}

#[tokio::test]
async fn a_security_event_ends_the_sessions_of_its_subject() {
    let user = json!({ "format": "iss_sub", "iss": ISSUER, "sub": "ada" });
    let session = json!({ "format": "opaque", "id": "s1" });
    let complex = |mut members: Value| {
        members["format"] = "complex".into();
        members
    };
    let named = |subject: Value| with(event_claims(), "sub_id", subject);
    let draft = {
        let events = json!({ REVOKED: { "subject": user } });
        with(with(event_claims(), "sub_id", None), "events", events)
    };
    let late = {
        let at = START.as_secs() - EVENT_MAX_AGE.as_secs() + 1;
        with(event_claims(), "iat", json!(at))
    };
    let tenant = json!({ "format": "opaque", "id": "123456789" });
    // `ada` has three sessions: of her sessions s1 and s2 at the provider, and of one that sign-in did not name.
    for (name, claims, ended) in [
        ("a session", named(session.clone()), [true, false, false]),
        ("a user", named(user.clone()), [true, true, true]),
        ("both", named(complex(json!({ "user": user, "session": session }))), [true, false, true]),
        (
            "both, and a tenant",
            named(complex(json!({ "user": user, "session": session, "tenant": tenant }))),
            [true, false, true],
        ),
        (
            "a user within",
            named(complex(json!({ "user": { "format": "opaque", "id": "ada" } }))),
            [true, true, true],
        ),
        ("a session within", named(complex(json!({ "session": session }))), [true, false, false]),
        (
            "a user on a device",
            named(complex(json!({ "user": user, "device": tenant }))),
            [true, true, true],
        ),
        ("a subject in the event", draft, [true, true, true]),
        ("an event that was sent again for a day", late, [true, false, false]),
        (
            "an unknown user",
            named(json!({ "format": "iss_sub", "iss": ISSUER, "sub": "eve" })),
            [false; 3],
        ),
        (
            "a question whether events arrive",
            with(event_claims(), "events", json!({ VERIFICATION: { "state": "x" } })),
            [false; 3],
        ),
        (
            "an event of another kind",
            with(
                event_claims(),
                "events",
                json!({ "https://schemas.openid.net/secevent/caep/event-type/credential-change": {} }),
            ),
            [false; 3],
        ),
    ] {
        let stage = Stage::new().await;
        let mut handles = Vec::new();
        for session_id in [Some("s1"), Some("s2"), None] {
            handles.push(stage.sign_in("ada", session_id).await.handle);
        }
        let answer = stage.push(&event_token(&claims)).await;
        assert_eq!((&answer["statusCode"], &answer["body"]), (&json!(202), &json!("")), "{name}");
        for (handle, ended) in handles.iter().zip(ended) {
            assert_eq!(!stage.lives(handle).await, ended, "{name}");
        }
    }
}

#[tokio::test]
async fn every_hostile_security_event_is_refused_with_the_code_of_rfc_8935() {
    let subject = |subject: Value| event_token(&with(event_claims(), "sub_id", subject));
    let changed = |name, value: Option<Value>| event_token(&with(event_claims(), name, value));
    let by = |key: &SigningKey, changes: Value| {
        let mut header = json!({ "alg": "RS256", "typ": "secevent+jwt", "kid": "rsa-1" });
        header.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        signed(key, &header.to_string(), &event_claims().to_string())
    };
    let now = START.as_secs();
    let rows = [
        ("nothing", String::new(), "invalid_request"),
        ("no JWT", "x".to_owned(), "invalid_request"),
        ("a JWE", "a.b.c.d.e".to_owned(), "invalid_request"),
        ("not typed", by(&rsa(), json!({ "typ": "JWT" })), "invalid_request"),
        ("a logout token", token(&claims()), "invalid_request"),
        ("an access token", by(&rsa(), json!({ "typ": "at+jwt" })), "invalid_request"),
        ("crit", by(&rsa(), json!({ "crit": ["x"] })), "invalid_request"),
        ("alg is none", by(&rsa(), json!({ "alg": "none" })), "invalid_key"),
        ("alg is HS256", by(&rsa(), json!({ "alg": "HS256" })), "invalid_key"),
        ("an EC key's name", by(&rsa(), json!({ "kid": "ec-1" })), "invalid_key"),
        ("an unknown key", by(&rsa(), json!({ "kid": "rsa-2" })), "invalid_key"),
        ("signed by another", by(&keys::foreign("x"), json!({})), "authentication_failed"),
        ("iss is another", changed("iss", Some(json!("https://evil.example"))), "invalid_issuer"),
        ("iss is missing", changed("iss", None), "invalid_issuer"),
        (
            "aud is another",
            changed("aud", Some(json!("https://other.example"))),
            "invalid_audience",
        ),
        ("aud is empty", changed("aud", Some(json!([]))), "invalid_audience"),
        ("iat is missing", changed("iat", None), "invalid_request"),
        ("too old", changed("iat", Some(json!(now - EVENT_MAX_AGE.as_secs()))), "invalid_request"),
        ("of the future", changed("iat", Some(json!(now + 61))), "invalid_request"),
        ("expired", changed("exp", Some(json!(now - 60))), "invalid_request"),
        ("jti is missing", changed("jti", None), "invalid_request"),
        ("events is missing", changed("events", None), "invalid_request"),
        ("events is an array", changed("events", Some(json!([REVOKED]))), "invalid_request"),
        ("the event is a text", changed("events", Some(json!({ REVOKED: "" }))), "invalid_request"),
        ("no subject", changed("sub_id", None), "invalid_request"),
        ("a subject of no format", subject(json!({ "id": "s1" })), "invalid_request"),
        (
            "an email",
            subject(json!({ "format": "email", "email": "a@b.example" })),
            "invalid_request",
        ),
        (
            "a user of another issuer",
            subject(json!({ "format": "iss_sub", "iss": "https://evil.example", "sub": "ada" })),
            "invalid_request",
        ),
        (
            "a user without a name",
            subject(json!({ "format": "iss_sub", "iss": ISSUER, "sub": "" })),
            "invalid_request",
        ),
        ("a number", subject(json!({ "format": "opaque", "id": 1 })), "invalid_request"),
        (
            "complex, of nobody",
            subject(json!({ "format": "complex", "tenant": { "format": "opaque", "id": "s1" } })),
            "invalid_request",
        ),
        (
            "complex, with a session and an email",
            subject(
                json!({ "format": "complex", "session": { "format": "opaque", "id": "s1" }, "user": { "format": "email", "email": "a@b.example" } }),
            ),
            "invalid_request",
        ),
    ];
    let mut stage = Stage::new().await;
    let handle = stage.sign_in("ada", Some("s1")).await.handle;
    stage.harness.wire.take_calls();
    for (name, token, code) in rows {
        stage.provider = stage.published.provider();
        let answer = stage.push(&token).await;
        assert_eq!(answer["statusCode"], 400, "{name}: {answer}");
        assert_eq!(body(&answer)["err"], code, "{name}: {answer}");
        assert!(body(&answer)["description"].is_string(), "{name}");
        assert_eq!(answer["headers"]["content-language"], "en", "{name}");
        assert_eq!(stage.harness.wire.take_calls(), [], "{name}");
    }
    for media_type in [FORM, "application/json", "application/jwt"] {
        let good = event_token(&event_claims());
        let answer = stage.send(post("/auth/security-events", media_type, good)).await;
        assert_eq!(
            (&answer["statusCode"], &body(&answer)["err"]),
            (&json!(400), &json!("invalid_request"))
        );
    }
    // And neither endpoint takes what is the other's.
    let answer = stage.log_out(&event_token(&event_claims())).await;
    assert_eq!(answer["statusCode"], 400);
    assert!(stage.lives(&handle).await);
}

#[tokio::test]
async fn a_security_event_that_cannot_be_acted_upon_is_sent_again() {
    let stage = Stage::new().await;
    let handle = stage.sign_in("ada", Some("s1")).await.handle;
    stage.published.set(None);
    let answer = stage.push(&event_token(&event_claims())).await;
    assert_eq!(
        (&answer["statusCode"], &answer["headers"]["retry-after"]),
        (&json!(503), &json!("10"))
    );
    stage.published.set(Some(key_set()));
    stage.harness.clock.advance(COOLDOWN);
    stage.harness.wire.break_all(Some(Fault::Throttled));
    assert_eq!(stage.push(&event_token(&event_claims())).await["statusCode"], 503);
    stage.harness.wire.break_all(None);
    assert_eq!(stage.push(&event_token(&event_claims())).await["statusCode"], 202);
    assert!(!stage.lives(&handle).await);
}

/// A provider with one key need not name it.
#[tokio::test]
async fn the_only_key_needs_no_name() {
    let stage = Stage::new().await;
    let handle = stage.sign_in("ada", Some("s1")).await.handle;
    let mut keys = key_set();
    keys.as_array_mut().unwrap().pop();
    keys[7].as_object_mut().unwrap().remove("kid");
    stage.published.set(Some(keys));
    let token = signed(&rsa(), r#"{"alg":"RS256"}"#, &claims().to_string());
    assert_eq!(stage.log_out(&token).await["statusCode"], 200);
    assert!(!stage.lives(&handle).await);
}

/// Keys of several kinds may share a name (RFC 7517 §4.5): a token means the one that fits its `alg`.
#[tokio::test]
async fn a_name_that_keys_of_two_kinds_share_means_the_one_of_the_algorithm() {
    let stage = Stage::new().await;
    let mut keys = key_set();
    for key in keys.as_array_mut().unwrap() {
        if ["rsa-1", "ec-1"].map(Value::from).contains(&key["kid"]) {
            key["kid"] = json!("both");
        }
    }
    stage.published.set(Some(keys));
    for (key, alg) in [(&rsa(), "RS256"), (ec(), "ES256")] {
        let handle = stage.sign_in("ada", Some("s1")).await.handle;
        let header = with(with(header(), "kid", json!("both")), "alg", json!(alg));
        let token = signed(key, &header.to_string(), &claims().to_string());
        assert_eq!(stage.log_out(&token).await["statusCode"], 200, "{alg}");
        assert!(!stage.lives(&handle).await, "{alg}");
    }
}

#[test]
fn settings_that_name_no_provider_are_refused_with_a_remedy() {
    let read = |issuer: &str, audience: &str| {
        let value = |name: &str| match name {
            "LOGOUT_ISSUER" => Some(issuer.to_owned()),
            "LOGOUT_AUDIENCE" => Some(audience.to_owned()),
            _ => None,
        };
        LogoutConfig::from_lookup(value).map(|config| config.issuer.map(|from| from.audiences))
    };
    assert_eq!(read("", "").unwrap(), None);
    for issuer in [
        ISSUER,
        "https://id.example.com/",
        "http://localhost:8080",
        "http://127.0.0.1:1",
        "http://[::1]:1/a",
    ] {
        assert_eq!(read(issuer, "a, b").unwrap(), Some(vec!["a".to_owned(), "b".to_owned()]));
    }
    for (issuer, audience) in [
        (ISSUER, ""),
        ("", CLIENT),
        (ISSUER, "a,,b"),
        ("id.example.com", CLIENT),
        ("http://id.example.com", CLIENT),
        ("http://localhost.example.com", CLIENT),
        ("https://id.example.com?x", CLIENT),
        ("https://id.example.com#x", CLIENT),
        ("https://user@id.example.com", CLIENT),
        ("ftp://localhost", CLIENT),
        ("https://", CLIENT),
        ("https:/id.example.com", CLIENT),
        ("https:id.example.com", CLIENT),
        ("https:///id.example.com", CLIENT),
        (r"https:\\id.example.com", CLIENT),
        ("https://id.exam\nple.com", CLIENT),
        ("https://id.example.com/a b", CLIENT),
    ] {
        let error = read(issuer, audience).unwrap_err();
        assert!(error.problems[0].starts_with("LOGOUT_"), "{issuer} {audience}: {error}");
    }
}

#[tokio::test]
async fn no_line_of_the_log_tells_a_token_of_the_provider() {
    let log = Log::default();
    let _listening = log.listen();
    let stage = Stage::new().await;
    stage.sign_in("ada", Some("s1")).await;
    let other = signed(&keys::foreign("rsa-1"), &header().to_string(), &claims().to_string());
    let tokens = [token(&claims()), other, event_token(&event_claims())];
    for token in &tokens {
        stage.log_out(token).await;
        stage.push(token).await;
    }
    let lines = log.lines();
    assert!(lines.contains("a provider's request was refused"), "{lines}");
    assert!(lines.contains("the provider ended sessions"), "{lines}");
    for token in tokens {
        for part in token.split('.') {
            assert!(!lines.contains(part), "{part}: {lines}");
        }
    }
}
