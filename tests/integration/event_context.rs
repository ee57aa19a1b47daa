//! What events say to risk engines where the settings ask for it, what they say elsewhere, and what none ever says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};
use session::error::{DeviceUnproved, Reuse, TryRefresh, WhyUnproved};
use session::http::create;
use session::model::{
    Assurance, Authentication, Device, DeviceKey, DeviceKeyKind, Generation, NewSession,
    SessionHandle, TenantId, Timestamp, UserId,
};
use session::service::{Listener as _, RefreshOutcome, RevocationCause, SessionEvent};
use session::store::SessionReader as _;
use testkit::clock::START;
use testkit::harness::Tokens;
use testkit::{Bus, Harness};

use crate::device_binding::{challenge_of, key, proof};
use crate::route::{layer_over, plain, send, sessions};
use crate::session_events::{Stage, tokens_of};
use crate::templates;

/// The owner's phone, and somebody else's laptop.
fn phone() -> Device {
    Device { country: Some("DE".to_owned()), ..Device::new(Some("phone"), Some("192.0.2.1")) }
}

fn laptop() -> Device {
    Device { country: Some("FR".to_owned()), ..Device::new(Some("laptop"), Some("198.51.100.2")) }
}

fn assurance() -> Assurance {
    let authentication =
        Authentication { at: Timestamp::from_secs(9), methods: vec!["pwd".to_owned()] };
    Assurance { device_bound: true, authentication: authentication.into_claims() }
}

const HANDLE: SessionHandle = SessionHandle::from_bytes([1; SessionHandle::LEN]);
const KEY: DeviceKey = DeviceKey { kind: DeviceKeyKind::Dbsc, thumbprint: [1; DeviceKey::LEN] };

/// One event of each kind: what it is called, what it says, and its context where the settings ask for that.
fn golden() -> Vec<(SessionEvent, &'static str, Value, Value)> {
    let (user_id, tenant_id) = (UserId::new("user-1"), TenantId::public());
    let (handle, expires_at, key) = (HANDLE, Timestamp::from_millis(5), KEY);
    let text = handle.to_string();
    let (owner, other) = (
        json!({ "agent": "phone", "network": "192.0.2.1" }),
        json!({ "agent": "laptop", "network": "198.51.100.2" }),
    );
    let created_context = json!({
        "askedBy": { "agent": "phone", "network": "192.0.2.1", "country": "DE" },
        "deviceBound": true,
        "authentication": { "auth_time": 9, "amr": ["pwd"] },
    });
    let context = json!({
        "askedBy": { "agent": "laptop", "network": "198.51.100.2", "country": "FR" },
        "lastUsedBy": { "agent": "phone", "network": "192.0.2.1", "country": "DE" },
        "changed": ["agent", "network", "country"],
        "deviceBound": true,
        "authentication": { "auth_time": 9, "amr": ["pwd"] },
    });
    let reuse = Reuse {
        handle,
        user_id: user_id.clone(),
        recipe_user_id: user_id.clone(),
        tenant_id: tenant_id.clone(),
        presented: Generation::FIRST,
        current: Generation::FIRST.next().next(),
        presented_by: laptop(),
        last_used_by: phone(),
        assurance: assurance(),
    };
    let lack = DeviceUnproved {
        handle,
        user_id: user_id.clone(),
        tenant_id: tenant_id.clone(),
        why: WhyUnproved::Missing,
        asked_by: laptop(),
        last_used_by: phone(),
        assurance: assurance(),
    };
    vec![
        (
            SessionEvent::Created {
                handle,
                user_id: user_id.clone(),
                tenant_id: tenant_id.clone(),
                expires_at,
                device: phone(),
                assurance: assurance(),
            },
            "Session Created",
            json!({ "sessionHandle": text, "userId": "user-1", "tenantId": "public", "expiresAt": 5 }),
            created_context,
        ),
        (
            SessionEvent::Refreshed {
                handle,
                user_id: user_id.clone(),
                tenant_id: tenant_id.clone(),
                outcome: RefreshOutcome::Coalesced,
                expires_at,
                device: laptop(),
                last_used_by: phone(),
                assurance: assurance(),
                repeats: 3,
            },
            "Session Refreshed",
            json!({
                "sessionHandle": text, "userId": "user-1", "tenantId": "public", "expiresAt": 5,
                "outcome": "Coalesced", "askedBy": other, "repeats": 3,
            }),
            context.clone(),
        ),
        (
            SessionEvent::Revoked {
                handles: vec![handle],
                user_id: Some(user_id.clone()),
                cause: RevocationCause::SignedOut,
            },
            "Sessions Revoked",
            json!({ "sessionHandles": [text], "userId": "user-1", "cause": "SignedOut" }),
            Value::Null,
        ),
        (
            SessionEvent::ReuseDetected(Box::new(reuse)),
            "Refresh Token Reuse Detected",
            json!({
                "sessionHandle": text, "userId": "user-1", "tenantId": "public",
                "presentedGeneration": 1, "currentGeneration": 3, "generationDistance": 2,
                "presentedBy": other, "lastUsedBy": owner,
            }),
            context.clone(),
        ),
        (
            SessionEvent::DeviceBound {
                handle,
                user_id: user_id.clone(),
                tenant_id: tenant_id.clone(),
                key,
                device: laptop(),
                last_used_by: phone(),
                assurance: assurance(),
            },
            "Device Bound",
            json!({
                "sessionHandle": text, "userId": "user-1", "tenantId": "public",
                "kind": "dbsc", "thumbprint": key.jkt(), "askedBy": other,
            }),
            context.clone(),
        ),
        (
            SessionEvent::DeviceBindingLost { handle, key, device: laptop() },
            "Device Binding Lost",
            json!({ "sessionHandle": text, "kind": "dbsc", "thumbprint": key.jkt(), "askedBy": other }),
            json!({ "askedBy": context["askedBy"] }),
        ),
        (
            SessionEvent::DeviceProofMissing { lack: Box::new(lack), is_served: true },
            "Device Proof Missing",
            json!({
                "sessionHandle": text, "userId": "user-1", "tenantId": "public",
                "why": "Missing", "served": true, "askedBy": other, "lastUsedBy": owner,
            }),
            context,
        ),
    ]
}

#[tokio::test]
async fn each_kind_of_event_says_exactly_this_and_its_context_only_where_asked() {
    for (event, kind, mut detail, context) in golden() {
        let bus = Bus::default();
        bus.listener().notify(&event).await.unwrap();
        assert_eq!(bus.take_events(), [(kind.to_owned(), detail.clone())]);

        bus.listener_with_context().notify(&event).await.unwrap();
        if !context.is_null() {
            detail["context"] = context;
        }
        assert_eq!(bus.take_events(), [(kind.to_owned(), detail)]);
    }
    let (bus, user_id, tenant_id) = (Bus::default(), UserId::new("user-1"), TenantId::public());
    let (why, is_served) = (TryRefresh::WrongScheme, true);
    let counted =
        SessionEvent::TokenProofMissing { handle: None, user_id, tenant_id, why, is_served };
    bus.listener_with_context().notify(&counted).await.unwrap();
    assert_eq!(bus.take_events(), []);
}

#[test]
fn every_member_of_a_context_is_described_to_those_who_write_rules() {
    let described = include_str!("../../docs/events.md");
    for (.., context) in golden() {
        let objects = [&context, &context["askedBy"], &context["authentication"]];
        let members = objects.into_iter().filter_map(Value::as_object).flatten();
        for (name, _) in members {
            assert!(described.contains(&format!("`{name}`")), "docs/events.md lacks {name}");
        }
    }
}

/// Signs in on a device, with claims of all kinds.
async fn sign_in(stage: &Stage, device: Device) -> Tokens {
    let mut new = NewSession::for_user("user-1");
    new.authentication = Some(Authentication { at: START, methods: vec!["otp".to_owned()] });
    new.access_token_payload.insert("acr".to_owned(), "urn:gold".into());
    new.access_token_payload.insert("secret".to_owned(), "of the application".into());
    stage.sign_in_as(new, device).await
}

async fn refresh_on(stage: &Stage, device: &Device, tokens: &Tokens) -> Tokens {
    tokens_of(stage.refresh_on(device, tokens).await)
}

/// Of the one event since the last: its outcome, who refreshed last before, and what changed.
fn told(stage: &Stage) -> [Value; 3] {
    let [(_, detail)] = &stage.bus.take_events()[..] else { panic!("not one event") };
    let context = &detail["context"];
    let agent = &context["lastUsedBy"]["agent"];
    [detail["outcome"].clone(), agent.clone(), context["changed"].clone()]
}

fn moved(outcome: &str, last: &str, changed: Value) -> [Value; 3] {
    [outcome.into(), last.into(), changed]
}

#[tokio::test]
async fn every_outcome_tells_who_asked_beside_who_rotated_last() {
    let stage = Stage::told_by(Bus::listener_with_context).await;
    let (owner, thief) = (phone(), laptop());
    let all = json!(["agent", "network", "country"]);
    let first = sign_in(&stage, owner.clone()).await;
    stage.bus.take_events();

    stage.wait_for_the_window_to_close();
    let second = refresh_on(&stage, &owner, &first).await;
    assert_eq!(told(&stage), moved("Rotated", "phone", json!([])));
    stage.stack.clock.advance(Duration::from_secs(1));
    refresh_on(&stage, &thief, &second).await;
    assert_eq!(told(&stage), moved("Coalesced", "phone", all.clone()));
    stage.stack.clock.advance(Duration::from_secs(1));
    refresh_on(&stage, &thief, &first).await;
    assert_eq!(told(&stage), moved("Served", "phone", all.clone()));
    // At the same instant nothing is written, and it is told all the same.
    refresh_on(&stage, &thief, &first).await;
    assert_eq!(told(&stage), moved("Served", "phone", all.clone()));

    stage.wait_for_the_window_to_close();
    let third = refresh_on(&stage, &thief, &first).await;
    assert_eq!(told(&stage), moved("Recovered", "phone", all.clone()));
    stage.wait_for_the_window_to_close();
    let elsewhere = Device { network: Some("203.0.113.3".to_owned()), ..thief.clone() };
    refresh_on(&stage, &elsewhere, &second).await;
    assert_eq!(told(&stage), moved("Reclaimed", "laptop", json!(["network"])));
    stage.wait_for_the_window_to_close();
    refresh_on(&stage, &owner, &third).await;
    let reuse = told(&stage);
    assert_eq!(reuse[1..], moved("", "laptop", all)[1..]);
}

#[tokio::test]
async fn a_rotation_tells_who_had_the_session_before() {
    let stage = Stage::told_by(Bus::listener_with_context).await;
    let tokens = sign_in(&stage, phone()).await;
    stage.bus.take_events();
    stage.wait_for_the_window_to_close();
    let tokens = refresh_on(&stage, &laptop(), &tokens).await;
    let all = json!(["agent", "network", "country"]);
    assert_eq!(told(&stage), moved("Rotated", "phone", all));
    stage.wait_for_the_window_to_close();
    refresh_on(&stage, &laptop(), &tokens).await;
    assert_eq!(told(&stage), moved("Rotated", "laptop", json!([])));
}

#[tokio::test]
async fn of_the_claims_only_those_about_the_sign_in_are_told() {
    let stage = Stage::told_by(Bus::listener_with_context).await;
    let tokens = sign_in(&stage, phone()).await;
    stage.wait_for_the_window_to_close();
    refresh_on(&stage, &phone(), &tokens).await;
    let expected = json!({ "auth_time": START.as_secs(), "amr": ["otp"], "acr": "urn:gold" });
    let events = stage.bus.take_events();
    assert_eq!(events.len(), 2);
    for (kind, detail) in events {
        assert_eq!(detail["context"]["authentication"], expected, "{kind}");
        assert_eq!(detail["context"]["deviceBound"], false, "{kind}");
        assert!(!detail.to_string().contains("of the application"), "{detail}");
    }
}

/// As sessions of earlier versions, of the core, and of sign-in code that says nothing of the client.
#[tokio::test]
async fn where_no_device_was_known_none_has_changed() {
    let stage = Stage::told_by(Bus::listener_with_context).await;
    let tokens = sign_in(&stage, Device::default()).await;
    stage.bus.take_events();
    stage.wait_for_the_window_to_close();
    let tokens = refresh_on(&stage, &phone(), &tokens).await;
    assert_eq!(told(&stage)[2], json!([]));
    stage.wait_for_the_window_to_close();
    refresh_on(&stage, &Device::default(), &tokens).await;
    assert_eq!(told(&stage)[2], json!([]));
}

#[tokio::test]
async fn cloudfront_is_believed_only_where_the_settings_say_so() {
    let viewer = json!({ "agent": "phone", "network": "2001:db8::7", "country": "DE" });
    for (setting, is_believed) in [("true", true), ("false", false)] {
        let stack = Harness::new(&[("CLOUDFRONT_HEADERS", setting)]).await;
        let tokens = stack.sign_in("cookie").await;
        let cookie = tokens.refresh_cookie();
        let headers = [
            ("cookie", cookie.as_str()),
            ("user-agent", "phone"),
            ("cloudfront-viewer-address", "2001:db8::7:46532"),
            ("cloudfront-viewer-country", "DE"),
        ];
        assert_eq!(stack.refresh(&headers).await.status(), 200);
        let handle = crate::effects::claims(&tokens.access)["sessionHandle"].clone();
        let handle = handle.as_str().unwrap().parse().unwrap();
        let kept = stack.store.session(&handle).await.unwrap().unwrap().last_used_by;
        assert_eq!(json!(kept) == viewer, is_believed, "{kept:?}");
        assert_eq!(kept.country.is_some(), is_believed, "{kept:?}");
    }
}

/// The rules of `examples/session-events.yaml`, with the operators that they use: a list holds one of these texts.
fn matches(pattern: &Value, found: &Value) -> bool {
    match (pattern, found) {
        (Value::Object(members), _) => {
            members.iter().all(|(name, pattern)| matches(pattern, &found[name]))
        }
        (Value::Array(wanted), found) => {
            assert!(wanted.iter().all(Value::is_string), "an operator that is not modelled");
            let found = found.as_array().map_or(std::slice::from_ref(found), Vec::as_slice);
            found.iter().any(|found| wanted.contains(found))
        }
        _ => panic!("a pattern is made of objects and lists"),
    }
}

#[tokio::test]
async fn the_example_mails_about_another_device_and_about_nothing_else() {
    let template = templates::session_events();
    let rule = |name: &str| {
        let properties = &template["Resources"][name]["Properties"];
        let pattern = serde_json::to_value(&properties["EventPattern"]).unwrap();
        (pattern, properties["Targets"][0]["InputTransformer"].clone())
    };
    let ((archive, _), (mail, text)) = (rule("ArchiveRule"), rule("NewDeviceRule"));

    let stage = Stage::told_by(Bus::listener_with_context).await;
    let version = Device { agent: Some("phone2".to_owned()), ..phone() };
    let elsewhere = Device { network: Some("203.0.113.3".to_owned()), ..version.clone() };
    let mut tokens = sign_in(&stage, phone()).await;
    for device in [phone(), version, elsewhere, laptop()] {
        stage.wait_for_the_window_to_close();
        tokens = refresh_on(&stage, &device, &tokens).await;
    }
    let event = |(kind, detail)| {
        json!({
            "source": "sesam", "detail-type": kind, "time": "2026-01-01T00:00:00Z", "detail": detail
        })
    };
    let events: Vec<_> = stage.bus.take_events().into_iter().map(event).collect();
    assert!(events.iter().all(|event| matches(&archive, event)));
    let mailed: Vec<_> = events.iter().map(|event| matches(&mail, event)).collect();
    assert_eq!(mailed, [false, false, false, false, true], "{events:?}");

    let paths = text["InputPathsMap"].as_mapping().unwrap();
    let template = text["InputTemplate"].as_str().unwrap();
    for (name, path) in paths {
        let pointer = path.as_str().unwrap().replace("$.", "/").replace('.', "/");
        assert!(events[4].pointer(&pointer).is_some_and(Value::is_string), "{pointer}");
        assert!(template.contains(&format!("<{}>", name.as_str().unwrap())), "{name:?}");
    }
    assert_eq!(template.matches('<').count(), paths.len() + 1, "each placeholder has a path");
    for line in template.lines() {
        assert!(line.starts_with('"') && line.ends_with('"'), "lines of a text are quoted: {line}");
    }
}

/// Everything by which somebody proves something: what the headers hold that carry it, both ways.
fn credentials<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let telling = ["user-agent", "content-type", "cache-control", "content-length"];
    let values = headers.into_iter().filter(|(name, _)| !telling.contains(name));
    let parts = values.flat_map(|(_, value)| value.split([';', '=', ' ', '"', '.']));
    parts.filter(|part| part.len() >= 16).map(str::to_owned).collect()
}

#[tokio::test]
async fn no_event_with_its_context_holds_a_token_a_cookie_or_a_proof() {
    let stack = Harness::new(&[("DEVICE_BINDING", "report"), ("ANTI_CSRF", "VIA_TOKEN")]).await;
    let bus = Bus::default();
    let sessions = sessions(&stack).with_listener(Arc::new(bus.listener_with_context()));
    let mut secrets = Vec::new();

    let request = Request::post("/").header("st-auth-mode", "cookie").body(()).unwrap();
    let (new, mut rng) = (NewSession::for_user("user-1"), bootstrap::system_rng());
    let created = create(&sessions, &request, new, phone(), START, &mut rng).await.unwrap();
    let challenge = created.tokens.device_challenge.clone().unwrap();
    let mut response = Response::new(Bytes::new());
    created.apply(response.headers_mut());
    let first = Tokens::of(&response);

    let layer = layer_over(&stack, sessions);
    let mut ask = async |path: &str, headers: &[(&str, &str)]| {
        let response = send(&layer, (Method::POST, path), headers, plain).await.unwrap();
        let answered = response.headers().iter();
        let answered = answered.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
        secrets.extend(credentials(headers.iter().copied().chain(answered)));
        response
    };
    let refresh = "/auth/session/refresh";
    let (own, cookies) = (key(), first.refresh_cookie());
    let registration = proof(&own, &challenge, true);
    let device = ("user-agent", "phone");
    let headers = [("cookie", &*cookies), ("secure-session-response", &registration), device];
    let bound = ask(&format!("{refresh}/device/register"), &headers).await;
    let (challenge, identifier) = challenge_of(&bound);
    let by_other = proof(&key(), &challenge, false);
    let headers = [
        ("cookie", &*cookies),
        ("sec-secure-session-id", &identifier),
        ("secure-session-response", &by_other),
    ];
    ask(&format!("{refresh}/device"), &headers).await;
    let mut tokens = first.clone();
    for _ in 0..3 {
        stack.clock.advance(stack.config.refresh.window() * 2);
        let headers =
            [("cookie", &*tokens.refresh_cookie()), ("anti-csrf", &*first.anti_csrf), device];
        tokens = Tokens::of(&ask(refresh, &headers).await);
    }
    stack.clock.advance(stack.config.refresh.window() * 2);
    let headers = [("cookie", &*cookies), ("anti-csrf", &*first.anti_csrf), ("user-agent", "x")];
    assert_eq!(ask(refresh, &headers).await.status(), 401);

    let hash = crate::effects::claims(&tokens.access)["refreshTokenHash1"].clone();
    secrets.extend([hash.as_str().unwrap().to_owned(), first.access, first.front]);
    let events = bus.take_events();
    let kinds: std::collections::BTreeSet<_> = events.iter().map(|(kind, _)| &**kind).collect();
    let expected = [
        "Device Binding Lost",
        "Device Bound",
        "Device Proof Missing",
        "Refresh Token Reuse Detected",
        "Session Created",
        "Session Refreshed",
    ];
    assert_eq!(kinds, expected.into());
    let told = format!("{events:?}");
    assert!(secrets.len() > 20, "{secrets:?}");
    for secret in secrets {
        assert!(!told.contains(&secret), "{secret} in {told}");
    }
}
