//! The store's write conditions say the same as the refresh rule: a write is applied exactly when the
//! decision stands, and what it writes is what was decided.

use std::time::Duration;

use local::dynamodb::{client, create_tables, store};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use session::Sessions;
use session::model::refresh::RECLAIM_REST;
use session::model::{
    Decision, Device, DeviceKey, DeviceKeyKind, Generation, KeyDemand, Presented, RefreshPolicy,
    RefreshState, Revocation, Session, SessionHandle, Timestamp, UserId, decide,
};
use session::service::{AntiCsrfProof, RefreshOutcome};
use session::store::{
    DynamoDb, Rotation, SessionBinder as _, SessionCreator as _, SessionReader as _,
    SessionRefresher as _, SessionRevoker as _, Written,
};
use session::token::{RefreshToken, UnverifiedRefreshToken};
use testkit::clock::START;
use testkit::harness::config;
use testkit::{Treatment, Wire, events, keys};

const CASES: u64 = 1_000;

async fn fresh_store() -> DynamoDb {
    let client = client(Wire::new());
    create_tables(&client).await.unwrap();
    store(client)
}

/// A policy, and a session in any state, also such that no rule leads to, with every instant close to
/// a bound of the rule.
fn any_session(rng: &mut StdRng) -> (RefreshPolicy, Session) {
    let flight = Duration::from_secs([0, 1, 30, 60][rng.random_range(0..4)]);
    let policy = RefreshPolicy::new(flight);
    let user = UserId::new("user-1");
    let handle = SessionHandle::random(&user, rng);
    let mut past = |bounds: &[Duration]| {
        let bound = bounds[rng.random_range(0..bounds.len())];
        START.minus(bound).plus(Duration::from_millis(rng.random_range(0..=2))).minus(MS)
    };
    let bounds = [Duration::ZERO, flight, policy.window(), policy.window() * 2, MINUTE * 20];
    let (minted_at, answered_at) = (past(&bounds), past(&bounds));
    let (expires_at, absolute_end) = (past(&bounds[..1]), past(&bounds[..1]));
    let reclaimed_at = past(&[Duration::ZERO, RECLAIM_REST]);
    let far = START.plus(Duration::from_hours(1));
    let generation = |number| Generation::new(number);
    let current = rng.random_range(1..=5);
    let has_rotated = current > 1 && rng.random_bool(0.9);
    let mut earlier = || if has_rotated { generation(rng.random_range(0..current)) } else { None };
    let refresh = RefreshState {
        current: generation(current).unwrap(),
        parent: earlier(),
        spent: [earlier(), earlier(), earlier()],
        displaced: earlier(),
        chain: if has_rotated { rng.random_range(0..=4) } else { 0 },
        moved: has_rotated && rng.random_bool(0.5),
        minted_at: has_rotated.then_some(minted_at),
        answered_at: has_rotated.then_some(answered_at.max(minted_at)),
        reclaimed_at: (has_rotated && rng.random_bool(0.3)).then_some(reclaimed_at),
        expires_at: if rng.random_bool(0.2) { expires_at } else { far },
        absolute_end: if rng.random_bool(0.2) { Some(absolute_end) } else { None },
        revoked_at: rng.random_bool(0.05).then_some(START),
    };
    let device_key = any_key(rng);
    let device_pending = device_key.is_some() && rng.random_bool(0.3);
    let idle_ttl =
        [None, Some(MINUTE * 20), Some(MINUTE * 120), Some(MINUTE * 180)][rng.random_range(0..4)];
    let session =
        Session { handle, refresh, idle_ttl, device_key, device_pending, ..events::session() };
    (policy, session)
}

/// None, or one of three.
fn any_key(rng: &mut StdRng) -> Option<DeviceKey> {
    let key = |kind, byte| DeviceKey { kind, thumbprint: [byte; DeviceKey::LEN] };
    let keys =
        [key(DeviceKeyKind::Dbsc, 1), key(DeviceKeyKind::Dbsc, 2), key(DeviceKeyKind::Dpop, 1)];
    if rng.random_bool(0.5) { None } else { Some(keys[rng.random_range(0..keys.len())]) }
}

fn any_demand(session: &Session, rng: &mut StdRng) -> KeyDemand {
    match rng.random_range(0..5) {
        0 => KeyDemand::Nothing,
        1 => KeyDemand::Noted(session.device_key),
        2 => KeyDemand::Proved(any_key(rng)),
        _ => KeyDemand::Proved(session.device_key),
    }
}

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_mins(1);

fn phone() -> Device {
    Device::new(Some("phone"), Some("192.0.2.7"))
}

fn prompt(generation: Generation) -> Presented {
    Presented { generation, may_be_late: false, is_proved: true }
}

fn evidence() -> Revocation {
    Revocation::Reuse { presented: 1, presented_by: phone() }
}

#[tokio::test]
async fn a_rotation_is_applied_exactly_when_the_rule_says_so() {
    let (store, mut rng) = (fresh_store().await, StdRng::seed_from_u64(1));
    let (mut applied, mut unproved) = (0, 0);
    for case in 0..CASES {
        let (policy, session) = any_session(&mut rng);
        let presented = Generation::new(rng.random_range(1..=6)).unwrap();
        // Most cases should get past the first comparison.
        let presented = if rng.random_bool(0.7) { session.refresh.current } else { presented };
        store.create_session(&session).await.unwrap();
        let idle_ttl = Duration::from_hours(2);
        let is_own_too_long = rng.random_bool(0.3);
        let own = session.idle_ttl.unwrap_or(idle_ttl);
        let expires_at = START.plus(if is_own_too_long { idle_ttl } else { own });
        let device = phone();
        let handle = &session.handle;
        let demand = any_demand(&session, &mut rng);
        let is_proved = demand.is_met(session.device_key, session.device_pending);
        unproved += u64::from(!is_proved);
        let (device, now) = (&device, START);
        let rotation =
            Rotation { handle, presented, now, policy, idle_ttl, is_own_too_long, device, demand };
        let written = store.rotate(rotation).await.unwrap();
        let case = format!("case {case}: {presented:?} {policy:?} {demand:?} {session:?}");
        let presented = Presented { is_proved, ..prompt(presented) };
        let (expected, now_there) = match decide(&session.refresh, presented, START, policy) {
            // One that the settings allow no more has to be seen first.
            Decision::Rotate(next) if is_own_too_long || own <= idle_ttl => {
                applied += 1;
                let refresh = RefreshState { expires_at, ..next };
                let device_pending = session.device_pending && !demand.ends_pending();
                let (before, last_used_by) = (session.clone(), device.clone());
                let now_there =
                    Session { refresh, device_pending, last_used_by, ..session.clone() };
                (Written::Applied(before), now_there)
            }
            _ => (Written::Refused(Some(session.clone())), session.clone()),
        };
        assert_eq!(written, expected, "{case}");
        assert_eq!(store.session(handle).await.unwrap(), Some(now_there), "{case}");
    }
    assert!((CASES / 5..CASES * 4 / 5).contains(&applied), "{applied} of {CASES} rotated");
    assert!(unproved > CASES / 20, "{unproved} of {CASES} lacked the key");
}

#[tokio::test]
async fn a_session_is_bound_while_it_is_alive_to_one_key_for_good() {
    let (store, mut rng) = (fresh_store().await, StdRng::seed_from_u64(3));
    let mut bound = 0;
    for case in 0..CASES / 4 {
        let (_, session) = any_session(&mut rng);
        let Some(key) = any_key(&mut rng) else { continue };
        store.create_session(&session).await.unwrap();
        let written = store.bind_session(&session.handle, key, START).await.unwrap();
        bound += u64::from(session.device_key.is_none());
        let expected = if session.is_alive(START) && session.device_key.is_none() {
            Written::Applied(Session { device_key: Some(key), device_pending: true, ..session })
        } else {
            Written::Refused(Some(session))
        };
        assert_eq!(written, expected, "case {case}");
    }
    assert!(bound > 10, "{bound} bound");
    let nobody = SessionHandle::random(&UserId::new("user-2"), &mut rng);
    let key = DeviceKey { kind: DeviceKeyKind::Dbsc, thumbprint: [1; DeviceKey::LEN] };
    assert_eq!(store.bind_session(&nobody, key, START).await.unwrap(), Written::Refused(None));
}

/// What another request may have done to a session after it was seen.
fn meanwhile(seen: &RefreshState, rng: &mut StdRng) -> Option<RefreshState> {
    let mut state = *seen;
    let later = |at: Option<Timestamp>| Some(at.unwrap_or(START).plus(MS));
    match rng.random_range(0..8) {
        0 => return None,
        1 => state.current = seen.current.next(),
        2 => state.parent = Some(seen.current),
        3 => state.minted_at = later(seen.minted_at),
        4 => state.answered_at = later(seen.answered_at),
        5 => state.answered_at = Some(START.plus(MS)),
        6 => state.revoked_at = Some(START),
        _ => {}
    }
    Some(state)
}

#[tokio::test]
async fn a_decision_is_applied_only_to_the_state_it_was_made_on() {
    let (store, mut rng) = (fresh_store().await, StdRng::seed_from_u64(5));
    let (mut handed_out, mut minted, mut entombed) = (0, 0, 0);
    for case in 0..2 * CASES {
        let (policy, mut seen) = any_session(&mut rng);
        seen.refresh.revoked_at = None;
        let known = [Some(seen.refresh.current), seen.refresh.parent, seen.refresh.spent[0]];
        let generation = known[rng.random_range(0..3)].unwrap_or(Generation::FIRST);
        let presented = Presented { may_be_late: rng.random_bool(0.5), ..prompt(generation) };
        let decision = decide(&seen.refresh, presented, START, policy);
        let found = meanwhile(&seen.refresh, &mut rng);
        let found = found.map(|refresh| Session { refresh, ..seen.clone() });
        let key = if rng.random_bool(0.1) { any_key(&mut rng) } else { None };
        let is_proved_meanwhile = rng.random_bool(0.2);
        let found = found.map(|it| Session {
            device_key: it.device_key.or(key),
            device_pending: it.device_pending && !is_proved_meanwhile,
            ..it
        });
        let ends_pending = rng.random_bool(0.3);
        if let Some(found) = &found {
            store.create_session(found).await.unwrap();
        }
        // Written here as the rule has it: the same generations, and what is about to be superseded was
        // not handed out in between.
        let same = found.as_ref().filter(|found| {
            let (a, b) = (&found.refresh, &seen.refresh);
            let bound = |it: &Session| (it.device_key, it.device_pending);
            (a.current, a.parent, a.minted_at, None, bound(found))
                == (b.current, b.parent, b.minted_at, a.revoked_at, bound(&seen))
        });
        let unanswered = same.filter(|f| f.refresh.answered_at == seen.refresh.answered_at);
        let (written, expected) = match decision {
            Decision::Coalesce(next) | Decision::Serve(next) if next != seen.refresh => {
                let next = seen.clone().repeated(next, &phone());
                let device_pending = next.device_pending && !ends_pending;
                let next = Session { device_pending, ..next };
                let forward = same.filter(|f| f.refresh.answered_at < next.refresh.answered_at);
                handed_out += u64::from(forward.is_some());
                (store.advance(&seen, &next).await.unwrap(), forward.map(|_| next))
            }
            Decision::Recover(refresh) | Decision::Reclaim(refresh) => {
                minted += u64::from(unanswered.is_some());
                let device_pending = seen.device_pending && !ends_pending;
                let last_used_by = phone();
                let next = Session { refresh, last_used_by, device_pending, ..seen.clone() };
                (store.advance(&seen, &next).await.unwrap(), unanswered.map(|_| next))
            }
            _ => {
                entombed += u64::from(unanswered.is_some());
                let written = store.entomb(&seen, &evidence(), START).await.unwrap();
                let refresh = RefreshState { revoked_at: Some(START), ..seen.refresh };
                let tombstone = Session { refresh, revocation: Some(evidence()), ..seen.clone() };
                (written, unanswered.map(|_| tombstone))
            }
        };
        let expected = match expected {
            Some(next) => Written::Applied(next),
            None => Written::Refused(found),
        };
        assert_eq!(written, expected, "case {case}: {decision:?} on {:?}", seen.refresh);
        let expected = match expected {
            Written::Applied(session) => Some(session),
            Written::Refused(found) => found,
        };
        assert_eq!(store.session(&seen.handle).await.unwrap(), expected, "case {case}");
        store.delete_session(&seen.handle).await.unwrap();
    }
    for count in [handed_out, minted, entombed] {
        assert!(
            count > CASES / 100,
            "{handed_out} handed out, {minted} minted, {entombed} entombed"
        );
    }
}

/// Two tabs ask with the parent just as the window closes: one a millisecond before, one after. The
/// later one decides first and writes last, when the other was already given the successor.
#[tokio::test]
async fn a_successor_that_was_given_out_meanwhile_is_not_given_up() {
    let wire = Wire::new();
    let client = client(wire.clone());
    create_tables(&client).await.unwrap();
    let store = store(client);
    events::seed_keys(&store).await;
    events::seed_session(&store).await;
    let sessions = Sessions::new(config(&[]), store);
    let first = keys::master().mint(&events::session().handle, Generation::FIRST, false);
    let refresh = async |token: &RefreshToken, now| {
        let presented = UnverifiedRefreshToken::parse(token.expose()).unwrap();
        let device = Device::default();
        let refreshed = sessions.refresh(&presented, AntiCsrfProof::NotUsed, &device, now).await;
        refreshed.unwrap()
    };
    assert_eq!(refresh(&first, START).await.outcome, RefreshOutcome::Rotated);

    let closes = START.plus(sessions.config().refresh.window());
    let mut number = 0;
    wire.govern(move |_| {
        number += 1;
        // The later tab's second request: it has seen the session and is about to replace the token.
        let there = if number == 2 { Duration::from_millis(200) } else { Duration::ZERO };
        Treatment { there, ..Treatment::default() }
    });
    let earlier = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        refresh(&first, closes).await
    };
    let (later, earlier) = tokio::join!(refresh(&first, closes.plus(MS)), earlier);
    assert_eq!(earlier.outcome, RefreshOutcome::Served);
    assert_eq!(later.outcome, RefreshOutcome::Recovered);
    // Whichever of the two answers was stored last goes on.
    let long_after = closes.plus(MINUTE * 10);
    let went_on = refresh(&earlier.tokens.refresh, long_after).await;
    assert_eq!(went_on.outcome, RefreshOutcome::Recovered);
}
