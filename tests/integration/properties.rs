//! What holds for every input: what is written reads back, and what was touched does not verify.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Map, Value, json};
use session::model::{
    Device, Keeper, PayloadSize, RefreshState, Session, SessionHandle, Subject, Timestamp, UserId,
};
use session::store::{SessionCreator as _, SessionReader as _};
use session::token::registered::CLAIMS;
use session::token::{UnverifiedAccessToken, VerifyingKeySet, front_token};
use testkit::clock::START;
use testkit::events::access_token;
use testkit::{Harness, keys};

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z_é-]{1,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn claims() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-zA-Z_é-]{1,8}", json_value(), 0..6).prop_map(|map| {
        let is_free = |name: &String| CLAIMS.iter().all(|(known, _)| known != name);
        map.into_iter().filter(|(name, _)| is_free(name)).collect()
    })
}

fn session(custom: Map<String, Value>) -> Session {
    let subject = Subject::user("user-1");
    Session {
        handle: SessionHandle::random(&subject.user_id, &mut rand::rng()),
        subject,
        created_at: START,
        refresh: RefreshState::new(START.plus(Duration::from_hours(1)), None),
        idle_ttl: None,
        access_token_ttl: None,
        access_token_payload: custom.clone(),
        payload_size: PayloadSize::default(),
        session_data: custom,
        keeper: Keeper::Browser,
        last_used_by: Device::new(Some("agent"), None),
        repeats: None,
        device_key: None,
        device_pending: false,
        provider: None,
        revocation: None,
    }
}

fn sign(session: &Session) -> String {
    access_token(session, Duration::from_mins(1))
}

fn published() -> VerifyingKeySet {
    VerifyingKeySet::new(keys::stored().1).unwrap()
}

proptest! {
    #[test]
    fn an_access_token_says_what_was_signed(custom in claims()) {
        let session = session(custom);
        let token = sign(&session);
        let parsed = UnverifiedAccessToken::parse(&token).unwrap();
        let verified = parsed.verify(&published(), START, true).unwrap();
        prop_assert_eq!(verified.handle(), Some(session.handle));
        prop_assert_eq!(&verified.claims.subject, &session.subject);
        for (name, value) in &session.access_token_payload {
            prop_assert_eq!(verified.payload.get(name), Some(value));
        }
    }

    #[test]
    fn no_changed_character_of_an_access_token_verifies(at: prop::sample::Index, with in "[A-Za-z0-9._-]") {
        let token = sign(&session(Map::new()));
        let at = at.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(at..=at, &with);
        prop_assume!(changed != token);
        let verified = UnverifiedAccessToken::parse(&changed)
            .map(|parsed| parsed.verify(&published(), START, true));
        prop_assert!(!matches!(verified, Some(Ok(_))));
    }

    #[test]
    fn a_front_token_reads_back(payload in claims(), user in "\\PC{1,20}", expires_at: u32) {
        let expires_at = Timestamp::from_secs(expires_at.into());
        let token = front_token(&UserId::new(user.clone()), expires_at, &payload);
        let decoded: Value = serde_json::from_slice(&STANDARD.decode(token).unwrap()).unwrap();
        let expected = json!({ "uid": user, "ate": expires_at.as_millis(), "up": payload });
        prop_assert_eq!(decoded, expected);
    }
}

#[tokio::test]
async fn a_stored_session_reads_back() {
    let harness = Harness::new(&[]).await;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let custom = claims().new_tree(&mut runner).unwrap().current();
        let written = session(custom);
        harness.store.create_session(&written).await.unwrap();
        assert_eq!(harness.store.session(&written.handle).await.unwrap(), Some(written));
    }
}
