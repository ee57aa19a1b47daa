//! CORS of the functions themselves, for front doors that add none (contract §7.7).

use bytes::Bytes;
use http::{Method, Request};
use local::function::Function;
use serde_json::Value;
use testkit::Harness;
use testkit::front_door::shape;

use crate::templates;

const WEBSITES: (&str, &str) = ("WEBSITE_DOMAIN", "https://example.com,https://admin.example.com");

/// What a function behind a REST API answers a page of that origin.
async fn answer(function: &Function, method: Method, path: &str, origin: &str) -> Value {
    let mut request = Request::builder().method(&method).uri(path).header("origin", origin);
    if method == Method::OPTIONS {
        request = request.header("access-control-request-method", "POST");
    }
    let event = shape::rest_request(&request.body(Bytes::new()).unwrap());
    function.invoke(event).await.unwrap()
}

fn header<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    let values = answer["multiValueHeaders"].get(name);
    values.or(answer["headers"].get(name)).and_then(|it| it.get(0).unwrap_or(it).as_str())
}

const ROUTES: [&str; 2] = ["/auth/session/refresh", "/auth/signout"];

#[tokio::test]
async fn a_page_of_each_website_may_read_the_answers_and_no_other_page_may() {
    let stack = Harness::new(&[WEBSITES]).await;
    let functions = stack.stack.functions();
    for (path, function) in ROUTES.into_iter().zip([&functions.refresh, &functions.signout]) {
        for origin in ["https://example.com", "https://admin.example.com"] {
            let answer = answer(function, Method::POST, path, origin).await;
            assert_eq!(answer["statusCode"], 401, "{answer}");
            assert_eq!(header(&answer, "access-control-allow-origin"), Some(origin));
            assert_eq!(header(&answer, "access-control-allow-credentials"), Some("true"));
            assert_eq!(header(&answer, "vary"), Some("origin"));
        }
        for origin in ["https://example.com.evil.test", "http://example.com", "null"] {
            let answer = answer(function, Method::POST, path, origin).await;
            assert_eq!(header(&answer, "access-control-allow-origin"), None, "{origin}");
            assert_eq!(header(&answer, "access-control-allow-credentials"), None, "{origin}");
        }
    }
}

#[tokio::test]
async fn a_preflight_is_answered_as_an_http_api_does_and_reaches_no_table() {
    let stack = Harness::new(&[WEBSITES]).await;
    let functions = stack.stack.functions();
    for (path, function) in ROUTES.into_iter().zip([&functions.refresh, &functions.signout]) {
        let allowed = answer(function, Method::OPTIONS, path, "https://admin.example.com").await;
        assert_eq!(allowed["statusCode"], 204, "{allowed}");
        for (name, value) in [
            ("access-control-allow-origin", "https://admin.example.com"),
            ("access-control-allow-credentials", "true"),
            (
                "access-control-allow-headers",
                "rid, fdi-version, anti-csrf, authorization, st-auth-mode, dpop, content-type",
            ),
            ("access-control-allow-methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS"),
            ("access-control-max-age", "600"),
        ] {
            assert_eq!(header(&allowed, name), Some(value));
        }
        let refused = answer(function, Method::OPTIONS, path, "https://evil.test").await;
        assert_eq!(header(&refused, "access-control-allow-methods"), None);
    }
    assert_eq!(stack.wire.take_calls(), []);
}

/// What a REST API's preflight says, the template says for HTTP APIs.
#[tokio::test]
async fn the_functions_and_the_template_allow_the_same() {
    let stack = Harness::new(&[]).await;
    let refresh = &stack.stack.functions().refresh;
    let allowed = answer(refresh, Method::OPTIONS, ROUTES[0], "https://example.com").await;
    let http_api = &templates::own()["Resources"]["HttpApi"]["Properties"];
    let cors = templates::chosen(&http_api["CorsConfiguration"]);
    for (name, list) in [
        ("access-control-allow-headers", "AllowHeaders"),
        ("access-control-allow-methods", "AllowMethods"),
    ] {
        let listed = cors[list].as_sequence().unwrap().iter().map(templates::text);
        assert_eq!(header(&allowed, name), Some(&*listed.collect::<Vec<_>>().join(", ")), "{name}");
    }
}
