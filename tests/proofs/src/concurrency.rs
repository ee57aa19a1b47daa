//! Many refreshes of one token at once on real threads, and refreshes against sign-outs in recorded
//! histories.
//!
//! The histories are small and many: a handful of requests that overlap in virtual time, each with its
//! invocation and response on record, checked for linearizability against the simplest specification
//! there is: a session is alive until one instant and gone ever after. For that, an exact check is one
//! comparison, which no general tester would make clearer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use local::dynamodb::{client, create_tables, store};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use session::error::Ended;
use session::model::{
    AtProvider, Device, NewSession, ProviderKeys, ProviderSession, SessionHandle, TenantId,
    Timestamp, UserId,
};
use session::service::{AntiCsrfProof, RefreshOutcome};
use session::store::{DynamoDb, SessionReader as _};
use session::token::UnverifiedRefreshToken;
use session::{SessionError, Sessions};
use testkit::clock::START;
use testkit::harness::config;
use testkit::{Fault, Treatment, Wire};
use tokio::sync::Barrier;
use tokio::task::LocalSet;
use tokio::time::sleep;

use crate::{Claim, Size};

/// Refreshes of one token in one round.
const AT_ONCE: usize = 64;

/// Gathers the evidence.
pub fn run(size: Size) -> anyhow::Result<Vec<Claim>> {
    let (rounds, histories) = match size {
        Size::Ci => (1_000, 100_000),
        Size::Full => (100_000, 10_000_000),
    };
    Ok(vec![one_step_each_round(rounds)?, sign_outs_are_final(histories)])
}

type Service = Sessions<DynamoDb>;

/// A service with ES256 keys over that wire.
async fn service(wire: &Wire) -> Service {
    let settings = config(&[("SIGNING_ALGORITHM", "ES256")]);
    let client = client(wire.clone());
    create_tables(&client).await.unwrap();
    // A quota of retries of its own; by default all clients of a process share one.
    let own = RetryPartition::custom("own").build();
    let client = Client::from_conf(client.config().to_builder().retry_partition(own).build());
    Sessions::new(settings, store(client))
}

async fn refresh(
    service: &Service,
    token: &str,
    now: Timestamp,
) -> Result<(String, RefreshOutcome), SessionError> {
    let presented = UnverifiedRefreshToken::parse(token).unwrap();
    let device = Device::default();
    let refreshed = service.refresh(&presented, AntiCsrfProof::NotUsed, &device, now).await?;
    Ok((refreshed.tokens.refresh.expose().to_owned(), refreshed.outcome))
}

async fn sign_in(service: &Service, new: NewSession, seed: u64) -> (SessionHandle, String) {
    let mut rng = StdRng::seed_from_u64(seed);
    let tokens = service.create(new, Device::default(), false, START, &mut rng).await;
    let tokens = tokens.unwrap();
    (tokens.handle, tokens.refresh.expose().to_owned())
}

/// Every round, all refresh the token that the last round gave, on two threads.
fn one_step_each_round(rounds: u32) -> anyhow::Result<Claim> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    runtime.block_on(async {
        let service = Arc::new(service(&Wire::new()).await);
        let (handle, mut token) = sign_in(&service, NewSession::for_user("user-1"), 0).await;
        let mut wrong_rounds = 0;
        for round in 1..=rounds {
            let begin = START.plus(service.config().refresh.window() * 2 * round);
            let barrier = Arc::new(Barrier::new(AT_ONCE));
            let tasks: Vec<_> = (0..AT_ONCE)
                .map(|number| {
                    let (service, barrier) = (Arc::clone(&service), Arc::clone(&barrier));
                    let token = token.clone();
                    tokio::spawn(async move {
                        barrier.wait().await;
                        // Not all in one millisecond, so that later answers are recorded as well.
                        let now = begin.plus(Duration::from_millis(number as u64 / 4));
                        refresh(&service, &token, now).await
                    })
                })
                .collect();
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await?);
            }
            let rotations = answers
                .iter()
                .filter(|answer| matches!(answer, Ok((_, RefreshOutcome::Rotated))))
                .count();
            let first = answers.first().and_then(|answer| answer.as_ref().ok()).cloned();
            let next = first.map(|(token, _)| token).unwrap_or_default();
            let all_same =
                answers.iter().all(|answer| matches!(answer, Ok((token, _)) if *token == next));
            let session = service.store().session(&handle).await?;
            let steps = session.map(|session| session.refresh.current.number() - 1);
            if rotations != 1 || !all_same || steps != Some(round) || next == token {
                wrong_rounds += 1;
                println!("round {round}: {rotations} rotations, generation {steps:?}");
            }
            token = next;
        }
        Ok(Claim {
            text: format!(
                "{AT_ONCE} refreshes of one token at once make exactly one step and get one \
                 token, without an error, in {rounds} rounds on two threads"
            ),
            holds: wrong_rounds == 0,
        })
    })
}

/// One request of a history, by the order in which requests began and ended.
#[derive(Clone, Copy, Debug)]
struct Event {
    invoked: u64,
    responded: u64,
    saw: Saw,
}

/// What the answer of a request says of the session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Saw {
    /// A refresh succeeded.
    Alive,
    /// A refresh was refused because there is no session.
    Gone,
    /// A sign-out found the session.
    Ended,
    /// A sign-out found none; its own earlier attempt may have ended it.
    WasEnded,
    /// A fault: a sign-out may have ended it, or may yet.
    UnknownSignOut,
    /// A fault of a refresh says nothing.
    Nothing,
}

/// Whether there is an instant at which some sign-out took effect, such that everything that saw the
/// session alive began before it, and everything that saw it gone ended after it.
fn is_linearizable(history: &[Event]) -> bool {
    let of = |wanted: &'static [Saw]| history.iter().filter(move |e| wanted.contains(&e.saw));
    let alive = of(&[Saw::Alive]).map(|e| e.invoked).max().unwrap_or(0);
    let gone = of(&[Saw::Gone, Saw::Ended, Saw::WasEnded]).map(|e| e.responded).min();
    let Some(gone) = gone else { return true };
    let fits = |e: &Event, until: u64| alive.max(e.invoked) < gone.min(until);
    let ended: Vec<_> = of(&[Saw::Ended]).collect();
    match ended.as_slice() {
        [one] => fits(one, one.responded),
        [] => {
            of(&[Saw::WasEnded]).any(|e| fits(e, e.responded))
                || of(&[Saw::UnknownSignOut]).any(|e| fits(e, u64::MAX))
        }
        _ => false,
    }
}

fn sign_outs_are_final(histories: u64) -> Claim {
    let next = AtomicU64::new(0);
    let (wrong, overlapping) = (AtomicU64::new(0), AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
                LocalSet::new().block_on(&runtime, async {
                    let wire = Wire::new();
                    let service = Rc::new(service(&wire).await);
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= histories {
                            return;
                        }
                        let (history, is_back) = record(&service, &wire, seed).await;
                        let both = [Saw::Alive, Saw::Gone];
                        if both.iter().all(|saw| history.iter().any(|e| e.saw == *saw)) {
                            overlapping.fetch_add(1, Ordering::Relaxed);
                        }
                        if is_back || !is_linearizable(&history) {
                            wrong.fetch_add(1, Ordering::Relaxed);
                            println!("history {seed}: is there again: {is_back}; {history:?}");
                        }
                    }
                });
            });
        }
    });
    let (wrong, overlapping) = (wrong.into_inner(), overlapping.into_inner());
    Claim {
        text: format!(
            "once a sign-out, or a revocation of user, tenant or provider's session, is acknowledged no \
             refresh succeeds and the session never comes back: {histories} histories are linearizable, {overlapping} of them with refreshes on both \
             sides of the sign-out"
        ),
        holds: wrong == 0 && overlapping * 20 > histories,
    }
}

/// Ends a session, by its handle in every other case, else from outside. `true` only if it was this request
/// alone that ended it, which nobody learns from outside.
async fn end(
    service: &Service,
    handle: &SessionHandle,
    way: u32,
    keys: &ProviderKeys,
) -> Result<bool, SessionError> {
    let (subject, session) = (keys.subject, keys.session.unwrap());
    let tenant = TenantId::public();
    match way {
        0 => service.revoke_all(&UserId::new("user-1")).await.map(drop)?,
        1 => service.revoke_page(Some(&tenant), None).await.map(drop)?,
        2 => service.revoke_at_provider(AtProvider::Session(session)).await.map(drop)?,
        3 => service
            .revoke_at_provider(AtProvider::SessionOf { subject, session })
            .await
            .map(drop)?,
        _ => return service.revoke(handle).await,
    }
    Ok(false)
}

/// Lets a few refreshes and sign-outs of one session overlap; also whether the session is there again
/// afterwards.
async fn record(service: &Rc<Service>, wire: &Wire, seed: u64) -> (Vec<Event>, bool) {
    fastrand::seed(seed);
    wire.govern(|_| Treatment::default());
    // The same in each history, so that what leads to the user stays two items and a scan one page.
    let provider = ProviderSession {
        issuer: "https://id.example.com".to_owned(),
        subject: "ada".to_owned(),
        session_id: Some("s1".to_owned()),
    };
    let new = NewSession { provider: Some(provider.clone()), ..NewSession::for_user("user-1") };
    let (handle, token) = sign_in(service, new, seed).await;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut chance = StdRng::seed_from_u64(!seed);
    wire.govern(move |_| {
        let fault = match chance.random_range(0..40) {
            0 => Some(Fault::AppliedButReset),
            1 => Some(Fault::AppliedButServerError),
            2 => Some(Fault::Throttled),
            3 => Some(Fault::AppliedButSilence),
            _ => None,
        };
        // Now and then one lands after the SDK has given up on it.
        let slow = if chance.random_bool(0.02) { 1_000 } else { 0 };
        let there = Duration::from_millis(chance.random_range(0..4) + slow);
        let back = Duration::from_millis(chance.random_range(0..4));
        Treatment { there, fault, back }
    });

    let order = Rc::new(Cell::new(0));
    let history = Rc::new(RefCell::new(Vec::new()));
    let tick = |order: &Cell<u64>| {
        order.set(order.get() + 1);
        order.get()
    };
    let mut tasks = Vec::new();
    for _ in 0..rng.random_range(1..=3) {
        let (service, token) = (Rc::clone(service), token.clone());
        let (order, history) = (Rc::clone(&order), Rc::clone(&history));
        let begin = Duration::from_millis(rng.random_range(0..10));
        // A second refresh rotates again, as if it came much later.
        let times = rng.random_range(1..=2);
        tasks.push(tokio::task::spawn_local(async move {
            sleep(begin).await;
            let mut token = token;
            for now in
                [START, START.plus(service.config().refresh.window() * 3)].into_iter().take(times)
            {
                let invoked = tick(&order);
                let saw = match refresh(&service, &token, now).await {
                    Ok((next, _)) => {
                        token = next;
                        Saw::Alive
                    }
                    Err(SessionError::SessionEnded(Ended::Unknown)) => Saw::Gone,
                    Err(SessionError::Unavailable(_)) => Saw::Nothing,
                    Err(error) => panic!("history {seed}: {error:?}"),
                };
                history.borrow_mut().push(Event { invoked, responded: tick(&order), saw });
            }
        }));
    }
    for _ in 0..rng.random_range(1..=2) {
        let service = Rc::clone(service);
        let (order, history) = (Rc::clone(&order), Rc::clone(&history));
        let begin = Duration::from_millis(rng.random_range(0..20));
        let (way, at_provider) = (rng.random_range(0..8), provider.keys());
        tasks.push(tokio::task::spawn_local(async move {
            sleep(begin).await;
            let invoked = tick(&order);
            let saw = match end(&service, &handle, way, &at_provider).await {
                Ok(true) => Saw::Ended,
                Ok(false) => Saw::WasEnded,
                Err(_) => Saw::UnknownSignOut,
            };
            history.borrow_mut().push(Event { invoked, responded: tick(&order), saw });
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    // Whatever is still on the wire lands.
    sleep(Duration::from_secs(2)).await;
    wire.govern(|_| Treatment::default());
    let history = history.take();
    let is_acknowledged = history.iter().any(|e| matches!(e.saw, Saw::Ended | Saw::WasEnded));
    let is_there = service.store().session(&handle).await.unwrap().is_some();
    (history, is_acknowledged && is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(invoked: u64, responded: u64, saw: Saw) -> Event {
        Event { invoked, responded, saw }
    }

    #[test]
    fn a_refresh_that_began_after_the_sign_out_ended_is_found_out() {
        let sign_out = event(1, 4, Saw::Ended);
        assert!(is_linearizable(&[event(2, 3, Saw::Alive), sign_out]));
        assert!(is_linearizable(&[event(3, 9, Saw::Alive), sign_out]));
        assert!(!is_linearizable(&[event(5, 6, Saw::Alive), sign_out]));
    }

    #[test]
    fn alive_after_gone_is_found_out_even_while_the_sign_out_is_under_way() {
        let sign_out = event(1, 9, Saw::Ended);
        let gone = event(2, 3, Saw::Gone);
        assert!(is_linearizable(&[event(2, 5, Saw::Alive), gone, sign_out]));
        assert!(!is_linearizable(&[event(4, 5, Saw::Alive), gone, sign_out]));
    }

    #[test]
    fn gone_before_any_sign_out_began_is_found_out() {
        assert!(!is_linearizable(&[event(1, 2, Saw::Gone), event(3, 4, Saw::Ended)]));
        assert!(!is_linearizable(&[event(1, 2, Saw::Gone)]));
    }

    #[test]
    fn two_that_both_ended_the_session_are_found_out() {
        assert!(!is_linearizable(&[event(1, 4, Saw::Ended), event(2, 3, Saw::Ended)]));
        assert!(is_linearizable(&[event(1, 4, Saw::Ended), event(2, 6, Saw::WasEnded)]));
    }

    #[test]
    fn a_sign_out_that_reported_a_fault_may_have_ended_the_session() {
        let unknown = event(1, 2, Saw::UnknownSignOut);
        assert!(is_linearizable(&[unknown, event(3, 4, Saw::Alive), event(5, 6, Saw::Gone)]));
        assert!(!is_linearizable(&[unknown, event(5, 6, Saw::Gone), event(7, 8, Saw::Alive)]));
    }
}
