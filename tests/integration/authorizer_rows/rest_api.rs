//! REST APIs: rows 51 to 71. RT is type TOKEN, RR type REQUEST without identity source; `+A` has the source
//! `Authorization` and keeps results for 300 s.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use testkit::front_door::{GatewayResponse, shape};
use testkit::{FrontDoor, Harness, IdentitySource, Kind};

use super::{
    DEMANDS, INVALID_CLAIM, UNAUTHORIZED, allowed, function, get, given, not_allowed, ours,
    raising, request, valid,
};
use crate::mint::{Jwt, access_cookie, bearer};
use crate::templates;

/// D1 and D2 of docs/authorizer.md §9: an explicit deny, and no match.
const DENIED: &str =
    r#"{"Message":"User is not authorized to access this resource with an explicit deny"}"#;
const NOT_ALLOWED: &str = r#"{"Message":"User is not authorized to access this resource"}"#;

const AUTHORIZATION: [IdentitySource; 1] = [IdentitySource::Header("authorization")];
const FIVE_MINUTES: Duration = Duration::from_secs(300);

fn policy(effect: &str, resource: &str, context: &Value) -> Value {
    let statement =
        json!({ "Effect": effect, "Action": "execute-api:Invoke", "Resource": resource });
    json!({
        "principalId": "user-1",
        "policyDocument": { "Version": "2012-10-17", "Statement": [statement] },
        "context": context,
    })
}

/// The gateway responses of the template that shows how to attach a REST API (docs/authorizer.md §1.10).
fn configured() -> BTreeMap<String, GatewayResponse> {
    let template = templates::front_doors();
    let responses = &template["Resources"]["RestApi"]["Properties"]["GatewayResponses"];
    let responses = responses.as_mapping().unwrap().iter().map(|(name, response)| {
        let headers = response["ResponseParameters"]["Headers"].as_mapping().into_iter().flatten();
        let headers = headers.map(|(name, value)| {
            let value = templates::text(value).replace("${WebsiteDomain}", "https://example.com");
            (templates::text(name), value)
        });
        let response = GatewayResponse {
            status: response["StatusCode"].as_u64().map(|status| status.try_into().unwrap()),
            headers: headers.collect(),
            template: response["ResponseTemplates"]["application/json"].as_str().map(str::to_owned),
        };
        (templates::text(name), response)
    });
    responses.collect()
}

/// Browsers refuse an answer that names two origins, so nobody could read the 401 and refresh.
#[test] // template
fn the_answers_of_a_rest_api_itself_name_one_website() {
    let website = &templates::front_doors()["Parameters"]["WebsiteDomain"];
    let pattern = website["AllowedPattern"].as_str().unwrap();
    let has_comma = pattern.replace("{1,5}", "").contains(',');
    assert!(pattern.starts_with('^') && pattern.ends_with('$') && !has_comma, "{pattern}");
    let document = include_str!("../../../docs/authorizer.md");
    let (_, rest) = document.split_once("### 1.10 Gateway responses").unwrap();
    let (text, _) = rest.split_once("### 1.11").unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("`WebsiteDomain` is one website here"), "{text}");
}

#[tokio::test] // model
async fn row_51_a_missing_header_is_401_without_the_function() {
    let (_, front) = ours(Kind::RestToken, &[]).await;
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    assert_eq!(front.take_invocations(), 0);
}

#[tokio::test] // model
async fn row_52_a_header_against_the_expression_is_401_without_the_function() {
    let (_, mut front) = ours(Kind::RestToken, &[]).await;
    front.validation = Some(|value| value.starts_with("Bearer "));
    let outcome = front.send(&get(&[("authorization", "Basic x")])).await;
    assert_eq!((outcome.status(), front.take_invocations()), (401, 0));
    assert_eq!(front.send(&get(&[("authorization", &bearer(&valid()))])).await.status(), 200);
}

#[tokio::test] // model
async fn row_53_type_token_shuts_cookie_clients_out() {
    let (_, front) = ours(Kind::RestToken, &[]).await;
    let outcome = front.send(&get(&[("cookie", &access_cookie(&valid()))])).await;
    assert_eq!((outcome.status(), front.take_invocations()), (401, 0));
}

#[tokio::test] // function, model
async fn row_54_a_valid_token_is_allowed_for_the_whole_stage() {
    let request = get(&[("authorization", &bearer(&valid()))]);
    let answer = function(&[], shape::rest_token(&request)).await.unwrap();
    let stage = "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/v1/*";
    assert_eq!(answer, policy("Allow", stage, &answer["context"]));
    let (_, front) = ours(Kind::RestToken, &[]).await;
    let outcome = front.send(&request).await;
    assert_eq!(outcome.status(), 200);
    assert_eq!(outcome.authorizer.unwrap()["principalId"], "user-1");
}

#[tokio::test] // function, model
async fn row_55_an_expired_token_is_raised_and_becomes_the_configured_401() {
    let request = get(&[("authorization", &bearer(&Jwt::expired().sign()))]);
    let raised = function(&[], shape::rest_token(&request)).await.unwrap_err();
    assert_eq!(raised.error_message, "Unauthorized");
    let (_, mut front) = ours(Kind::RestToken, &[]).await;
    let outcome = front.send(&request).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    front.gateway_responses = configured();
    let outcome = front.send(&request).await;
    assert_eq!((outcome.status(), outcome.body()), (401, r#"{"message":"unauthorised"}"#));
    let headers = outcome.response.headers();
    assert_eq!(headers["access-control-allow-origin"], "https://example.com");
    assert_eq!(headers["access-control-allow-credentials"], "true");
}

#[tokio::test] // function, model
async fn row_56_without_a_token_401_is_raised() {
    let raised = function(&[], shape::rest_request(&get(&[]))).await.unwrap_err();
    assert_eq!(raised.error_message, "Unauthorized");
    let (_, front) = ours(Kind::RestRequest, &[]).await;
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    assert_eq!(front.take_invocations(), 1);
}

#[tokio::test] // function, model with the gateway responses of the template
async fn row_57_claims_that_do_not_suffice_are_403_with_the_body_that_front_ends_read() {
    let request = get(&[("authorization", &not_allowed()), ("origin", "https://example.com")]);
    let answer = function(&[DEMANDS], shape::rest_request(&request)).await.unwrap();
    let stage = "arn:aws:execute-api:eu-west-1:123456789012:abcdef123/v1/*";
    assert_eq!(answer, policy("Deny", stage, &json!({ "body": INVALID_CLAIM })));
    for kind in [Kind::RestRequest, Kind::RestToken] {
        let (_, mut front) = ours(kind, &[DEMANDS]).await;
        front.gateway_responses = configured();
        let outcome = front.send(&request).await;
        assert_eq!((outcome.status(), outcome.body()), (403, INVALID_CLAIM));
        let headers = outcome.response.headers();
        assert_eq!(headers["access-control-allow-origin"], "https://example.com");
        assert_eq!(front.send(&get(&[("authorization", &allowed())])).await.status(), 200);
    }
}

#[tokio::test] // model, given result
async fn row_58_without_a_gateway_response_a_denial_has_a_fixed_body_and_no_cors_headers() {
    let front = given(Kind::RestRequest, policy("Deny", "*", &json!({ "body": "{}" })));
    let outcome = front.send(&get(&[("origin", "https://example.com")])).await;
    assert_eq!((outcome.status(), outcome.body()), (403, DENIED));
    assert!(outcome.response.headers().get("access-control-allow-origin").is_none());
}

#[tokio::test] // model, given result
async fn row_59_a_policy_for_another_method_is_a_denial_of_another_kind() {
    let front = given(Kind::RestRequest, policy("Allow", "arn:*/POST/orders", &json!({})));
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (403, NOT_ALLOWED));
}

#[tokio::test] // model, given result
async fn row_60_a_denial_can_be_worded_as_401_with_what_the_context_says() {
    let context = json!({ "body": r#"{"message":"try refresh token"}"#, "reason": "expired" });
    let mut front = given(Kind::RestRequest, policy("Deny", "*", &context));
    let reason = ("x-reason".to_owned(), "context.authorizer.reason".to_owned());
    let wording = GatewayResponse {
        status: Some(401),
        headers: BTreeMap::from([reason]),
        template: Some("$context.authorizer.body".to_owned()),
    };
    front.gateway_responses.insert("ACCESS_DENIED".to_owned(), wording);
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, r#"{"message":"try refresh token"}"#));
    assert_eq!(outcome.response.headers()["x-reason"], "expired");
}

/// A token with claims of every type.
fn with_claims() -> String {
    let token = Jwt::valid().claim("n", 1).claim("b", true).claim("none", Value::Null);
    token.claim("st-role", json!({ "v": ["admin"], "t": 5 })).sign()
}

const CLAIMS: [(&str, &str); 1] = [("CONTEXT_CLAIMS", "n, b, none, st-role, absent")];

#[tokio::test] // model, given result; and ours, which makes text of what is nested
async fn row_61_a_nested_context_is_a_fault_and_ours_is_never_nested() {
    let nested = policy("Allow", "*", &json!({ "roles": ["a"] }));
    assert_eq!(given(Kind::RestRequest, nested).send(&get(&[])).await.status(), 500);
    let (_, front) = ours(Kind::RestRequest, &CLAIMS).await;
    let outcome = front.send(&get(&[("authorization", &bearer(&with_claims()))])).await;
    let roles: Value =
        serde_json::from_str(outcome.authorizer.unwrap()["st-role"].as_str().unwrap()).unwrap();
    assert_eq!(roles, json!({ "v": ["admin"], "t": 5 }));
}

#[tokio::test] // function, model
async fn row_62_numbers_and_booleans_reach_the_integration_as_text() {
    let (_, front) = ours(Kind::RestRequest, &CLAIMS).await;
    let request = get(&[("authorization", &bearer(&with_claims()))]);
    let context = front.send(&request).await.authorizer.unwrap();
    assert_eq!((&context["n"], &context["b"]), (&json!("1"), &json!("true")));
    // An HTTP API leaves them what they are. Null and what is not there are left out, and so is the payload.
    let answer = function(&CLAIMS, shape::http_api_2(&request)).await.unwrap();
    let context = &answer["context"];
    assert_eq!((&context["n"], &context["b"]), (&json!(1), &json!(true)));
    for absent in ["none", "absent", "accessTokenPayload"] {
        assert!(context.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test] // model, given result
async fn row_63_a_policy_without_a_principal_is_a_fault() {
    let mut nobody = policy("Allow", "*", &json!({}));
    nobody.as_object_mut().unwrap().remove("principalId");
    assert_eq!(given(Kind::RestRequest, nobody).send(&get(&[])).await.status(), 500);
}

#[tokio::test] // model, given result; ours raises instead, row 56
async fn row_64_the_object_that_is_401_for_http_apis_is_a_fault_here() {
    let object = json!({ "errorMessage": "Unauthorized" });
    assert_eq!(given(Kind::RestRequest, object).send(&get(&[])).await.status(), 500);
    assert_eq!(raising(Kind::RestRequest, "anything else").send(&get(&[])).await.status(), 500);
}

#[tokio::test] // function
async fn row_65_cookies_in_two_header_fields_are_one_list() {
    let cookie = access_cookie(&valid());
    let event = shape::rest_request(&get(&[("cookie", &cookie), ("cookie", "theme=dark")]));
    assert_eq!(event["headers"]["Cookie"], "theme=dark");
    assert_eq!(function(&[], event).await.unwrap()["principalId"], "user-1");
}

#[tokio::test] // model; and our policy, which does not grow with the path
async fn row_66_a_method_arn_over_1600_bytes_is_414() {
    let (_, front) = ours(Kind::RestRequest, &[]).await;
    let headers = [("authorization", &*bearer(&valid()))];
    let sent = async |length: usize| {
        let prefix = shape::rest_request(&get(&[]))["methodArn"].as_str().unwrap().len();
        let path = format!("/orders{}", "x".repeat(length - prefix));
        front.send(&request(Method::GET, &path, &headers)).await.status()
    };
    assert_eq!((sent(1600).await, sent(1601).await), (200, 414));
    assert_eq!(front.take_invocations(), 1);
}

#[tokio::test] // model, and template
async fn row_67_preflights_need_to_be_exempt_from_the_authorizer() {
    let (_, mut front) = ours(Kind::RestRequest, &[]).await;
    front.guards_preflight = true;
    let preflight = request(Method::OPTIONS, "/orders", &[]);
    assert_eq!(front.send(&preflight).await.status(), 401);
    let apis = templates::resources("AWS::Serverless::Api");
    assert!(!apis.is_empty());
    for (name, api) in apis {
        assert_eq!(api["Auth"]["AddDefaultAuthorizerToCorsPreflight"], false, "{name}");
    }
    front.guards_preflight = false;
    assert_eq!(front.send(&preflight).await.status(), 204);
}

#[tokio::test] // model
async fn row_68_an_unknown_path_is_403_without_the_authorizer() {
    let (_, front) = ours(Kind::RestRequest, &[]).await;
    let outcome = front.send(&request(Method::GET, "/nowhere", &[])).await;
    assert_eq!(outcome.status(), 403);
    assert_eq!(outcome.body(), r#"{"message":"Missing Authentication Token"}"#);
    assert_eq!(front.take_invocations(), 0);
}

#[tokio::test] // model with the gateway responses of the template
async fn every_refusal_of_the_templates_api_can_be_read_by_the_website() {
    let bearer = bearer(&valid());
    let (path, unknown) = ("/orders", "/nowhere");
    for (result, path, status) in [
        (json!({}), path, 500),
        (policy("Deny", "*", &json!({ "body": "{}" })), path, 403),
        (policy("Allow", "arn:*/POST/orders", &json!({})), path, 403),
        (policy("Allow", "*", &json!({})), unknown, 403),
    ] {
        let mut front = given(Kind::RestRequest, result);
        front.gateway_responses = configured();
        let outcome = front.send(&request(Method::GET, path, &[("authorization", &bearer)])).await;
        assert_eq!(outcome.status(), status, "{path}");
        let origin = outcome.response.headers().get("access-control-allow-origin");
        assert_eq!(origin.unwrap(), "https://example.com", "{path}, {status}");
    }
}

/// Our function behind RR+A.
async fn keeping(settings: super::Headers<'_>) -> (Harness, FrontDoor) {
    let (stack, front) = ours(Kind::RestRequest, settings).await;
    (stack, front.keeping(&AUTHORIZATION, FIVE_MINUTES))
}

#[tokio::test] // model
async fn row_69_with_results_kept_a_missing_source_is_401_without_the_function() {
    let (_, front) = keeping(&[("SESSION_REQUIRED", "false")]).await;
    let outcome = front.send(&get(&[])).await;
    assert_eq!((outcome.status(), outcome.body()), (401, UNAUTHORIZED));
    assert_eq!(front.take_invocations(), 0);
}

#[tokio::test] // model, given result
async fn row_70_a_kept_policy_for_one_method_denies_the_others() {
    let front = given(Kind::RestRequest, policy("Allow", "arn:*/GET/orders", &json!({})));
    let front = front.keeping(&AUTHORIZATION, FIVE_MINUTES);
    let headers = [("authorization", "Bearer x")];
    assert_eq!(front.send(&get(&headers)).await.status(), 200);
    let outcome = front.send(&request(Method::POST, "/orders", &headers)).await;
    assert_eq!((outcome.status(), outcome.body()), (403, NOT_ALLOWED));
    assert_eq!(front.take_invocations(), 1);
}

#[tokio::test] // model
async fn row_71_our_kept_policy_allows_the_other_methods() {
    let (_, front) = keeping(&[]).await;
    let headers = [("authorization", &*bearer(&valid()))];
    assert_eq!(front.send(&get(&headers)).await.status(), 200);
    assert_eq!(front.send(&request(Method::POST, "/b", &headers)).await.status(), 200);
    assert_eq!(front.take_invocations(), 1);
}
