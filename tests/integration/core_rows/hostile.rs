//! Nothing that a caller sends makes the core panic or answer a fault.

use http::{HeaderValue, Method, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::Core;

/// What there is, and a little of what there is not.
const CALLS: [(Method, &str); 23] = [
    (Method::GET, ""),
    (Method::GET, "/hello"),
    (Method::GET, "/apiversion"),
    (Method::GET, "/telemetry"),
    (Method::GET, "/config"),
    (Method::GET, "/user/id"),
    (Method::GET, "/.well-known/jwks.json"),
    (Method::GET, "/recipe/jwt/jwks"),
    (Method::POST, "/recipe/jwt"),
    (Method::POST, "/recipe/session"),
    (Method::GET, "/recipe/session"),
    (Method::GET, "/recipe/session/user"),
    (Method::POST, "/recipe/session/remove"),
    (Method::POST, "/recipe/session/verify"),
    (Method::POST, "/recipe/session/refresh"),
    (Method::POST, "/recipe/session/regenerate"),
    (Method::GET, "/recipe/session/data"),
    (Method::PUT, "/recipe/session/data"),
    (Method::GET, "/recipe/jwt/data"),
    (Method::PUT, "/recipe/jwt/data"),
    (Method::GET, "/recipe/session/data//"),
    (Method::GET, "//"),
    (Method::GET, "/%2e%2e/hello"),
];

const MEMBERS: [&str; 22] = [
    "userId",
    "userDataInJWT",
    "userDataInDatabase",
    "enableAntiCsrf",
    "useDynamicSigningKey",
    "accessTokenValidity",
    "accessToken",
    "refreshToken",
    "antiCsrfToken",
    "doAntiCsrfCheck",
    "checkDatabase",
    "sessionHandle",
    "sessionHandles",
    "revokeAcrossAllTenants",
    "revokeSessionsForLinkedAccounts",
    "algorithm",
    "jwksDomain",
    "payload",
    "validity",
    "useStaticSigningKey",
    "",
    "x",
];

fn value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(1e300)),
        "\\PC{0,20}".prop_map(Value::from),
        Just(json!("RS256")),
        Just(json!("00000000-0000-4000-8000-000000000000")),
    ];
    scalar.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("\\PC{0,6}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Objects with the members that are asked for, of the right kind more often than not.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let usual = |name: &str| match name {
        "userDataInJWT" | "userDataInDatabase" | "payload" => json!({ "a": { "v": 1, "t": 2 } }),
        "sessionHandles" => json!(["x"]),
        "accessTokenValidity" | "validity" => json!(1000),
        "userId" | "accessToken" | "refreshToken" | "antiCsrfToken" | "sessionHandle"
        | "algorithm" | "jwksDomain" => json!("RS256"),
        _ => json!(true),
    };
    let member = (select(&MEMBERS[..]), value(), 0..4_u8).prop_map(move |(name, odd, dice)| {
        (name.to_owned(), if dice > 0 { usual(name) } else { odd })
    });
    let object = vec(member, 0..22).prop_map(|members| {
        Value::Object(members.into_iter().collect::<Map<_, _>>()).to_string().into_bytes()
    });
    prop_oneof![9 => object, 1 => vec(any::<u8>(), 0..40)]
}

#[derive(Debug)]
struct Sent {
    method: Method,
    uri: String,
    version: Vec<u8>,
    body: Vec<u8>,
}

fn sent() -> impl Strategy<Value = Sent> {
    let other = select(vec![Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD]);
    let call = (select(&CALLS[..]), prop::option::weighted(0.2, other))
        .prop_map(|((method, path), other)| (other.unwrap_or(method), path.to_owned()));
    let odd = "(/[ -~]{0,8}){0,4}".prop_map(|path| (Method::POST, path));
    let call = prop_oneof![9 => call, 1 => odd];
    let prefix = select(vec![
        "",
        "/t1",
        "/public",
        "/appid-public",
        "/appid-x/t1",
        "/é",
        "/appid-",
        "/hello",
    ]);
    let name = select(vec!["userId", "sessionHandle", "fetchAcrossAllTenants", "x"]);
    let query = vec((name, "[A-Za-z0-9%&=+é]{0,12}"), 0..3);
    let version = prop_oneof![
        4 => select(vec!["5.4", "5.6", "3.1", ""]).prop_map(|text| text.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..8),
    ];
    (call, prefix, query, version, body()).prop_map(
        |((method, path), prefix, query, version, body)| {
            let query: Vec<_> =
                query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let uri = format!("/core{prefix}{path}?{}", query.join("&"));
            Sent { method, uri, version, body }
        },
    )
}

#[test]
fn whatever_a_caller_sends_the_core_answers_and_no_fault() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let core = runtime.block_on(Core::new(&[]));
    let mut answered = std::collections::BTreeMap::<u16, usize>::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(1000)
    });
    let counts = std::cell::RefCell::new(&mut answered);
    runner
        .run(&sent(), |sent| {
            let mut request = Request::builder().method(sent.method).uri(sent.uri);
            if let Ok(version) = HeaderValue::from_bytes(&sent.version)
                && !version.is_empty()
            {
                request = request.header("cdi-version", version);
            }
            let Ok(request) = request.body(sent.body.into()) else { return Ok(()) };
            let response = runtime.block_on(core.stack.stack.handle(request));
            let status = response.status().as_u16();
            *counts.borrow_mut().entry(status).or_default() += 1;
            prop_assert!(status < 500, "{status} {:?}", response.body());
            Ok(())
        })
        .unwrap();
    for status in [200, 400, 403, 404, 405] {
        assert!(answered.contains_key(&status), "{answered:?}");
    }
}
