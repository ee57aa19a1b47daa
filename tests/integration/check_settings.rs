//! A deployment whose functions would refuse to start fails instead (docs/deployment.md).

use check_settings::{Event, answer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What `CloudFormation` sends, with settings that differ from the least there can be.
fn request(kind: &str, settings: &[(&str, &str)]) -> Value {
    let mut all = json!({
        "API_DOMAIN": "https://api.example.com",
        "WEBSITE_DOMAIN": "https://example.com",
        "COOKIE_DOMAIN": "",
    });
    for (name, value) in settings {
        all[name] = (*value).into();
    }
    let mut request = json!({
        "RequestType": kind,
        "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:check",
        "ResponseURL": "https://cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com/x?y",
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/sesam/1",
        "RequestId": "request-1",
        "ResourceType": "Custom::Settings",
        "LogicalResourceId": "Settings",
        "ResourceProperties": { "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:check", "Settings": all },
    });
    if kind != "Create" {
        request["PhysicalResourceId"] = "made-before".into();
    }
    request
}

fn answered(request: Value) -> Value {
    let event: Event = serde_json::from_value(request).unwrap();
    serde_json::to_value(answer(&event)).unwrap()
}

#[test]
fn settings_that_work_let_the_deployment_go_on() {
    let created = answered(request("Create", &[]));
    let digest = created["Data"]["Digest"].as_str().unwrap();
    assert_eq!(digest.len(), 22);
    assert_eq!(
        created,
        json!({
            "Status": "SUCCESS",
            "PhysicalResourceId": "Settings",
            "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/sesam/1",
            "RequestId": "request-1",
            "LogicalResourceId": "Settings",
            "Data": { "Digest": digest },
        })
    );
    // Another id would have the former resource deleted.
    assert_eq!(answered(request("Update", &[]))["PhysicalResourceId"], "made-before");
}

/// Each of them passes the template's patterns, and the functions would refuse to start.
#[test]
fn settings_that_cannot_work_fail_the_deployment_with_the_functions_own_sentence() {
    for (settings, sentence) in [
        (
            &[("ACCESS_TOKEN_TTL_SECONDS", "31"), ("REFRESH_FLIGHT_SECONDS", "30")][..],
            "ACCESS_TOKEN_TTL_SECONDS less 5 % must not be below REFRESH_FLIGHT_SECONDS (30)",
        ),
        (&[("ACCESS_TOKEN_TTL_SECONDS", "0")], "ACCESS_TOKEN_TTL_SECONDS is \"0\": use a whole"),
        (
            &[("ACCESS_TOKEN_TTL_SECONDS", "3600"), ("REFRESH_TOKEN_TTL_SECONDS", "3600")],
            "ACCESS_TOKEN_TTL_SECONDS is 3600 and must be less than the 3600 s",
        ),
        (
            &[("REFRESH_TOKEN_TTL_SECONDS", "99999999")],
            "REFRESH_TOKEN_TTL_SECONDS is \"99999999\": use a whole number from 60 to 34560000",
        ),
        (
            &[("SESSION_ABSOLUTE_TTL_SECONDS", "5")],
            "SESSION_ABSOLUTE_TTL_SECONDS is \"5\": use a whole number from 60",
        ),
        (
            &[("REFRESH_TOKEN_TTL_SECONDS", "7200"), ("SESSION_ABSOLUTE_TTL_SECONDS", "3600")],
            "REFRESH_TOKEN_TTL_SECONDS is more than SESSION_ABSOLUTE_TTL_SECONDS",
        ),
        (
            &[("ASSURANCE_LEVEL", "aal2"), ("REFRESH_TOKEN_TTL_SECONDS", "7200")],
            "REFRESH_TOKEN_TTL_SECONDS is weaker than ASSURANCE_LEVEL=aal2 allows: set at most 3600",
        ),
        (
            &[("COOKIE_DOMAIN", ".other.com")],
            "COOKIE_DOMAIN .other.com does not cover the API's host api.example.com",
        ),
        (
            &[("OLDER_COOKIE_DOMAIN", "host-only")],
            "OLDER_COOKIE_DOMAIN is where cookies are kept now",
        ),
        (
            &[("COOKIE_PARTITIONED", "true")],
            "COOKIE_PARTITIONED is for cookies inside pages of other sites",
        ),
        (
            &[("WEBSITE_DOMAIN", "https://elsewhere.test"), ("COOKIE_SAME_SITE", "lax")],
            "COOKIE_SAME_SITE=lax keeps the cookies from https://elsewhere.test",
        ),
        (
            &[("SIGNING_KEY_ROTATION_SECONDS", "1"), ("MASTER_KEY_ROTATION_SECONDS", "1")],
            "MASTER_KEY_ROTATION_SECONDS is \"1\": use a whole number from 86400",
        ),
        (
            &[("ALLOWED_TENANTS", "one,,two")],
            "ALLOWED_TENANTS is \"one,,two\": write ids of tenants",
        ),
        (&[("SESSION_REQUIRED", "maybe")], "SESSION_REQUIRED is \"maybe\""),
        (
            &[("CORE_API_KEYS", "a-key-of-twenty-letters"), ("CORE_API_KEYS_SECRET", "arn:…")],
            "CORE_API_KEYS and CORE_API_KEYS_SECRET are both set",
        ),
        (
            &[("LOGOUT_ISSUER", "https://id.example.com")],
            "LOGOUT_ISSUER and LOGOUT_AUDIENCE say together",
        ),
    ] {
        for kind in ["Create", "Update"] {
            let answer = answered(request(kind, settings));
            assert_eq!(answer["Status"], "FAILED", "{settings:?}");
            let reason = answer["Reason"].as_str().unwrap();
            assert!(reason.starts_with("the configuration cannot work:"), "{reason}");
            assert!(reason.contains(sentence), "{settings:?}: {reason}");
        }
    }
}

/// Whoever reads settings of its own at start is asked about them.
#[test]
fn the_settings_of_every_function_are_read_as_it_reads_them() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../functions");
    let source = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    let checker = source("check-settings/src/lib.rs");
    for folder in std::fs::read_dir(root).unwrap() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        let main = source(&format!("{name}/src/main.rs"));
        let read = main.split("::from_lookup").next().filter(|before| *before != main);
        let Some(config) = read.and_then(|before| before.rsplit('(').next()) else { continue };
        assert!(checker.contains(&format!("{config}::from_lookup(&lookup)")), "{name}: {config}");
    }
}

/// Else a stack that failed for its settings could not even be removed.
#[test]
fn deleting_always_succeeds() {
    assert_eq!(answered(request("Delete", &[("API_DOMAIN", "")]))["Status"], "SUCCESS");
    let mut without = request("Delete", &[]);
    without.as_object_mut().unwrap().remove("ResourceProperties");
    assert_eq!(answered(without)["Status"], "SUCCESS");
}

#[test]
fn settings_that_are_not_there_are_missed() {
    let mut without = request("Create", &[]);
    without["ResourceProperties"] = json!({});
    let reason = answered(without)["Reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("API_DOMAIN is missing"), "{reason}");
}

/// The digest is what makes Lambda publish a version, so it must follow the settings and nothing else.
#[test]
fn other_settings_have_another_digest() {
    let digest = |request| answered(request)["Data"]["Digest"].clone();
    let as_it_was = digest(request("Create", &[]));
    assert_eq!(digest(request("Update", &[])), as_it_was);
    let mut checker = request("Update", &[]);
    checker["ResourceProperties"]["Checker"] = "arn:…:check:2".into();
    assert_eq!(digest(checker), as_it_was);
    assert_ne!(digest(request("Update", &[("ACCESS_TOKEN_TTL_SECONDS", "900")])), as_it_was);
    assert_ne!(digest(request("Update", &[("KMS_KEY_ID", "arn:aws:kms:…")])), as_it_was);
}

/// `CloudFormation` ignores answers of more than 4096 bytes, and then waits for an hour.
#[test]
fn an_answer_is_never_too_long() {
    let websites = format!("https://{}.example", "é".repeat(4000));
    let mut long = request("Create", &[("WEBSITE_DOMAIN", &websites)]);
    for name in ["StackId", "RequestId", "LogicalResourceId"] {
        long[name] = "x".repeat(255).into();
    }
    let answer = answered(long);
    assert_eq!(answer["Status"], "FAILED");
    assert!(answer.to_string().len() <= 4096, "{}", answer.to_string().len());
}

/// One request that reaches a server that answers with this status, and what became of it.
async fn put(status: &str, document: &[u8]) -> (String, Result<(), bootstrap::HttpError>) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/a%2Fb?X-Signature=c%2Bd", server.local_addr().unwrap());
    let serve = async {
        let (mut stream, _) = server.accept().await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(document) {
            let read = stream.read_buf(&mut received).await.unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&received));
        }
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(received).unwrap()
    };
    tokio::join!(serve, bootstrap::put(&address, document.to_vec()))
}

/// The address is signed: for this path and query, for PUT, and for no content type.
#[tokio::test]
async fn the_answer_is_put_at_the_address_as_it_was_signed() {
    let (received, outcome) = put("200 OK", b"{\"Status\":\"SUCCESS\"}").await;
    outcome.unwrap();
    let head = received.to_lowercase();
    assert!(head.starts_with("put /a%2fb?x-signature=c%2bd http/1.1\r\n"), "{received}");
    assert!(head.contains("\r\ncontent-length: 20\r\n"), "{received}");
    assert!(!head.contains("content-type"), "{received}");
}

#[tokio::test]
async fn an_answer_that_is_not_taken_is_an_error_without_the_address() {
    let (_, outcome) = put("403 Forbidden", b"{}").await;
    assert_eq!(outcome.unwrap_err().to_string(), "the answer is 403");
}
