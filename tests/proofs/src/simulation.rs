//! Seeded simulation of whole clients against the real service and the real store.
//!
//! Every seed is one world: browsers whose tabs share their storage, server instances with a key
//! cache, a clock and an SDK client each, and a network that loses, delays, reorders and repeats.
//! The clients hold to what the rule assumes: an answer that arrives at all arrives within F of its
//! request, and F includes how far the servers' clocks are apart; where scripts store tokens, one page
//! of a browser stands still and stores its answer at any time before the session rotates. Whatever
//! else may happen, no such client is refused and nothing of it is ever cleared.
//!
//! Half of the sessions in cookies are bound to a key of the browser, which is demanded. A thief copies all
//! their cookies, again and again, and tries them at any time at which they prove nothing any more: it is
//! never served, and the clients never notice.
//!
//! Virtual time comes from tokio's paused clock on one thread, chance from the seed. The known
//! frameworks for deterministic simulation (turmoil, madsim) replace sockets or the operating system;
//! here nothing opens a socket, because the SDK talks to the engine through a connector, so they
//! would add a network model that no request passes through. One thread, one clock and three seeded
//! generators (ours, the network's, the SDK's retry jitter) are all it takes to repeat a run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use http::{HeaderMap, Request, header};
use local::dynamodb::{client, create_tables, store};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use session::http::VerifyOptions;
use session::model::keys::LEAD;
use session::model::{
    self, DeviceKey, DeviceKeyKind, Keeper, NewSession, SessionHandle, Timestamp,
};
use session::service::{KeyCommand, KeyKind, RefreshOutcome};
use session::store::{DynamoDb, KeysFound, PrivateKeyReader as _, SessionReader as _};
use session::token::refresh::RefreshClaims;
use session::token::{MasterKeys, UnverifiedRefreshToken};
use session::{SessionError, Sessions};
use testkit::clock::START;
use testkit::harness::{config, cookie, text};
use testkit::{Fault, Treatment, Wire};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

use crate::{Claim, Size};

/// Refreshes per world: enough for a few hundred rotations of each session.
const REFRESHES_PER_SEED: u64 = 5_000;

/// How far the clocks of two server instances may be apart. F has to cover it.
const SERVER_SKEW: Duration = Duration::from_secs(1);

/// How far a client's clock may be off, either way.
const CLIENT_SKEW_MS: i64 = 300_000;

/// Rests between two busy times exceed by far how long keys are cached.
const REST_MINUTES: (u64, u64) = (90, 200);

/// How long before the new keys take over everybody is busy again, at most.
const SHORTLY: Duration = Duration::from_mins(1);

/// Gathers the evidence.
pub fn run(size: Size) -> anyhow::Result<Vec<Claim>> {
    let seeds = match size {
        Size::Ci => 60,
        Size::Full => 20_000,
    };
    let all = simulate_all(seeds);
    for failure in all.failures.iter().take(10) {
        println!("{failure}");
    }
    let refused = all.count("refused") + all.count("cleared") + all.count("wrong token");
    let ways: Vec<_> = all.ways.iter().map(|(way, count)| format!("{count} {way}")).collect();
    let mut claims = vec![
        Claim {
            text: format!(
                "no honest client is refused or cleared in {} refreshes of {} sessions by {} tabs \
                 in {seeds} worlds: {}",
                all.refreshes,
                all.sessions,
                all.tabs,
                ways.join(", "),
            ),
            holds: refused == 0 && all.refreshes >= seeds * REFRESHES_PER_SEED,
        },
        Claim {
            text: "a token that was stored late, and displaced meanwhile, is taken back".to_owned(),
            holds: all.ways.get("reclaimed").is_some_and(|count| *count > 0),
        },
        Claim {
            text: format!("the token that each of {} sessions stored still refreshes", all.kept),
            holds: all.count("lost session") == 0 && all.kept > 0,
        },
        Claim {
            text: format!("nothing refreshes any of {} sessions after its sign-out", all.left),
            holds: all.count("came back") == 0 && all.left > 0,
        },
        Claim {
            text: format!(
                "a thief of all cookies is served 0 of {} times in {} refreshes by browsers that \
                 prove their key, and the owner is refused 0 times",
                all.way("thief refused"),
                all.way("proved"),
            ),
            holds: all.count("thief served") == 0
                && refused == 0
                && all.way("thief refused") > seeds
                && all.way("proved") > seeds,
        },
    ];
    let (first, second) = (
        simulate(0, Control::None, REFRESHES_PER_SEED),
        simulate(0, Control::None, REFRESHES_PER_SEED),
    );
    claims.push(Claim {
        text: format!("a seed repeats its run: trace {:016x}", first.trace),
        holds: first.trace == second.trace,
    });
    for (control, name) in [
        (Control::SingleUse, "tokens of single use"),
        (Control::ShortWindow, "a window for a quarter of the real flight"),
    ] {
        let refused: u64 =
            (0..4).map(|seed| simulate(seed, control, REFRESHES_PER_SEED).count("refused")).sum();
        claims.push(Claim {
            text: format!("the simulation can fail: with {name} it finds {refused} refusals"),
            holds: refused > 0,
        });
    }
    Ok(claims)
}

/// One world again, with what went wrong in it.
pub fn replay(seed: u64) -> Vec<Claim> {
    let report = simulate(seed, Control::None, REFRESHES_PER_SEED);
    for failure in &report.failures {
        println!("{failure}");
    }
    vec![Claim {
        text: format!(
            "seed {seed}: {} refreshes, trace {:016x}, {:?}",
            report.refreshes, report.trace, report.ways
        ),
        holds: report.failures.is_empty(),
    }]
}

/// Deliberate mistakes in the servers' settings, to show that they would be found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Control {
    None,
    SingleUse,
    ShortWindow,
}

/// What a run has shown.
#[derive(Debug, Default)]
struct Report {
    refreshes: u64,
    sessions: u64,
    tabs: u64,
    kept: u64,
    left: u64,
    ways: BTreeMap<&'static str, u64>,
    failed: BTreeMap<&'static str, u64>,
    failures: Vec<String>,
    trace: u64,
}

impl Report {
    fn count(&self, kind: &str) -> u64 {
        self.failed.get(kind).copied().unwrap_or_default()
    }

    fn way(&self, way: &str) -> u64 {
        self.ways.get(way).copied().unwrap_or_default()
    }

    fn merge(&mut self, other: Self) {
        self.refreshes += other.refreshes;
        self.sessions += other.sessions;
        self.tabs += other.tabs;
        self.kept += other.kept;
        self.left += other.left;
        for (way, count) in other.ways {
            *self.ways.entry(way).or_default() += count;
        }
        for (kind, count) in other.failed {
            *self.failed.entry(kind).or_default() += count;
        }
        self.failures.extend(other.failures);
    }
}

fn simulate_all(seeds: u64) -> Report {
    let next = AtomicU64::new(0);
    let total = Mutex::new(Report::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let report = simulate(seed, Control::None, REFRESHES_PER_SEED);
                    total.lock().unwrap().merge(report);
                }
            });
        }
    });
    total.into_inner().unwrap()
}

/// Lives through one world.
fn simulate(seed: u64, control: Control, refreshes: u64) -> Report {
    // The SDK draws its retry jitter from this thread's generator.
    fastrand::seed(seed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.unwrap(), async {
        let world = Rc::new(World::new(seed, control, refreshes).await);
        world.live().await;
        world.report.replace(Report::default())
    })
}

/// What differs from world to world.
#[derive(Debug)]
struct Nature {
    /// The longest flight of a request and its answer.
    flight: Duration,
    access_ttl: Duration,
    /// How likely a request or an answer is lost.
    loss: f64,
}

struct World {
    seed: u64,
    /// How many refreshes the world lives for.
    quota: u64,
    nature: Nature,
    rng: RefCell<StdRng>,
    epoch: Instant,
    wire: Wire,
    settings: session::SessionConfig,
    instances: RefCell<Vec<Rc<Instance>>>,
    /// A way to the table that never fails, for setting up and for looking.
    look: DynamoDb,
    /// Every master key there has been.
    masters: RefCell<Option<MasterKeys>>,
    devices: RefCell<Vec<Rc<Device>>>,
    /// Until when everybody rests.
    resting_until: Cell<Duration>,
    is_over: Cell<bool>,
    report: RefCell<Report>,
    trace: RefCell<DefaultHasher>,
}

/// One server process.
struct Instance {
    sessions: Sessions<DynamoDb>,
    skew: Duration,
}

/// One browser: a session whose tabs share what is stored.
struct Device {
    number: usize,
    handle: SessionHandle,
    uses_cookies: bool,
    /// The key that the session is bound to, if it is.
    key: Option<DeviceKey>,
    skew_ms: i64,
    stored: RefCell<Stored>,
    /// The newest generation that the servers are done answering with.
    known: Cell<u32>,
    /// Whether one of its pages has stood still: it may once in a day, and no world lives as long.
    has_stood_still: Cell<bool>,
    /// Until when its other pages rest as well, since it is in the background.
    background_until: Cell<Duration>,
    leaving: Cell<Leaving>,
}

struct Stored {
    refresh: String,
    access: String,
    /// By the server's clock.
    access_expires_at: Timestamp,
    /// When this refresh token was stored first.
    stored_at: Duration,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Leaving {
    No,
    Asked,
    Done,
}

/// What became of one refresh, for the client.
enum Answer {
    Fresh(Stored),
    /// Nothing arrived, or a fault did: ask again.
    Nothing,
    /// 401 after the client had asked to be signed out.
    Ended,
}

impl World {
    async fn new(seed: u64, control: Control, quota: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let configured = Duration::from_secs([3, 5, 10, 30][rng.random_range(0..4)]);
        let nature = Nature {
            flight: configured - SERVER_SKEW,
            access_ttl: Duration::from_secs([60, 300, 600, 3600][rng.random_range(0..4)]),
            loss: if rng.random_bool(0.7) { 0.05 } else { 0.2 },
        };
        let flight = match control {
            Control::None => configured,
            Control::SingleUse => Duration::ZERO,
            Control::ShortWindow => configured / 4,
        };
        let settings = config(&[
            ("DEVICE_BINDING", "require"),
            ("REFRESH_FLIGHT_SECONDS", &flight.as_secs().to_string()),
            ("ACCESS_TOKEN_TTL_SECONDS", &nature.access_ttl.as_secs().to_string()),
            // It signs 15 times faster; which algorithm it is makes no difference here.
            ("SIGNING_ALGORITHM", "ES256"),
        ]);
        let wire = Wire::new();
        let quiet = client(wire.engine().clone());
        create_tables(&quiet).await.unwrap();
        let look = store(quiet);
        let world = Self {
            seed,
            quota,
            nature,
            rng: RefCell::new(rng),
            epoch: Instant::now(),
            wire,
            settings,
            instances: RefCell::default(),
            look,
            masters: RefCell::default(),
            devices: RefCell::default(),
            resting_until: Cell::default(),
            is_over: Cell::default(),
            report: RefCell::default(),
            trace: RefCell::default(),
        };
        world.rotate_keys(KeyCommand::Advance).await;
        world
    }

    async fn live(self: &Rc<Self>) {
        let instances = self.between(2, 4);
        for _ in 0..instances {
            let fresh = self.start_instance();
            self.instances.borrow_mut().push(fresh);
        }
        let mut tabs = Vec::new();
        for number in 0..self.between(2, 6) {
            let device = Rc::new(self.sign_in(number).await);
            self.devices.borrow_mut().push(Rc::clone(&device));
            let count = match self.between(0, 19) {
                0..=4 => 1,
                5..=11 => 2,
                12..=17 => self.between(3, 8),
                _ => self.between(9, 64),
            };
            for _ in 0..count {
                let (world, device) = (Rc::clone(self), Rc::clone(&device));
                tabs.push(tokio::task::spawn_local(async move { world.tab(&device).await }));
            }
            // The first one stays, so that every world has a session to the end.
            if number > 0 && self.chance(0.3) {
                let (world, device) = (Rc::clone(self), Rc::clone(&device));
                tabs.push(tokio::task::spawn_local(async move { world.leave(&device).await }));
            }
        }
        {
            let mut report = self.report.borrow_mut();
            report.sessions = self.devices.borrow().len() as u64;
            report.tabs = tabs.len() as u64;
        }
        self.misbehave();
        self.direct().await;
        self.is_over.set(true);
        for tab in tabs {
            tab.await.unwrap();
        }
        self.wire.govern(|_| Treatment::default());
        sleep(self.settings.refresh.window() * 2).await;
        self.take_stock().await;
        self.report.borrow_mut().trace = self.trace.borrow().finish();
    }

    /// Busy times with rests between them, and new keys of every kind: published in the first, and
    /// taking over by the clock in the second, while everybody is busy.
    async fn direct(&self) {
        const TIMES: u64 = 4;
        let mut take_over = Duration::ZERO;
        for time in 1..=TIMES {
            let middle = self.quota * (2 * time - 1) / (2 * TIMES);
            self.until_refreshes(middle).await;
            if time == 1 {
                self.rotate_keys(KeyCommand::Rotate(KeyKind::Dynamic)).await;
                self.rotate_keys(KeyCommand::Rotate(KeyKind::Master)).await;
                take_over = self.elapsed() + LEAD;
            }
            self.until_refreshes(self.quota * time / TIMES).await;
            if time < TIMES {
                let rest = if time == 1 {
                    take_over.saturating_sub(self.elapsed() + self.up_to(SHORTLY))
                } else {
                    Duration::from_mins(self.between(REST_MINUTES.0, REST_MINUTES.1))
                };
                self.resting_until.set(self.elapsed() + rest);
                sleep(rest).await;
            }
        }
    }

    /// Waits for that many refreshes, or for the first failure: sessions that are lost never get there.
    async fn until_refreshes(&self, count: u64) {
        let is_due = |report: &Report| report.refreshes >= count || !report.failed.is_empty();
        while !is_due(&self.report.borrow()) {
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// A tab: refreshes when its clock says so, when it is looked at, and again if nothing came.
    async fn tab(self: Rc<Self>, device: &Rc<Device>) {
        let window = self.settings.refresh.window().max(self.nature.flight * 2);
        loop {
            let resting = self.resting_until.get().saturating_sub(self.elapsed());
            sleep(resting + self.pause(device, window)).await;
            loop {
                sleep(device.background_until.get().saturating_sub(self.elapsed())).await;
                if self.is_over.get() {
                    return;
                }
                match self.refresh(device).await {
                    Answer::Fresh(stored) => {
                        device.store(stored);
                        break;
                    }
                    Answer::Ended => return,
                    Answer::Nothing => {
                        let again = match self.between(0, 3) {
                            0 | 1 => self.up_to(Duration::from_millis(50)),
                            2 => self.up_to(window),
                            // Where the window closes.
                            _ => window + self.up_to(SERVER_SKEW * 2) - SERVER_SKEW * 2,
                        };
                        sleep(again).await;
                    }
                }
            }
        }
    }

    /// How long a tab leaves the session alone.
    fn pause(&self, device: &Device, window: Duration) -> Duration {
        let stored = device.stored.borrow();
        match self.between(0, 9) {
            0 => {
                let own_clock =
                    self.now(Duration::ZERO).as_millis().saturating_add_signed(device.skew_ms);
                let left = stored.access_expires_at.as_millis().saturating_sub(own_clock);
                Duration::from_millis(left).min(window * 4) + self.up_to(Duration::from_millis(50))
            }
            1 | 2 => self.up_to(window * 4),
            // All at once when the stored token may rotate again, or some time around it.
            3..=6 => {
                let rotates = stored.stored_at + window + self.up_to(Duration::from_millis(30));
                rotates.saturating_sub(self.elapsed())
            }
            7 | 8 => {
                let rotates = stored.stored_at + window + self.up_to(SERVER_SKEW * 4);
                rotates.saturating_sub(self.elapsed() + SERVER_SKEW * 2)
            }
            _ => self.up_to(Duration::from_millis(100)),
        }
    }

    /// Sends what is stored and waits for the answer, as long as a flight takes at most.
    async fn refresh(self: &Rc<Self>, device: &Rc<Device>) -> Answer {
        let sent = self.elapsed();
        let limit = self.nature.flight;
        if let Some(key) = device.key
            && self.chance(0.1)
        {
            tokio::task::spawn_local(Rc::clone(self).steal(Rc::clone(device), key));
        }
        let token = device.stored.borrow().refresh.clone();
        if self.chance(self.nature.loss) {
            sleep(self.up_to(limit)).await;
            return Answer::Nothing;
        }
        if self.chance(0.02) {
            // The network delivers the request a second time; nobody hears the answer.
            let (world, device, token) = (Rc::clone(self), Rc::clone(device), token.clone());
            let later = self.delay(limit);
            tokio::task::spawn_local(async move {
                sleep(later).await;
                world.serve(&device, &token).await;
            });
        }
        sleep(self.delay(limit)).await;
        let answer = self.serve(device, &token).await;
        if self.chance(self.nature.loss) {
            sleep(self.up_to(limit.saturating_sub(self.elapsed() - sent))).await;
            return Answer::Nothing;
        }
        if let Answer::Fresh(stored) = &answer
            && self.stands_still(device)
        {
            return if self.goes_on(device, stored).await { answer } else { Answer::Nothing };
        }
        let back = self.delay(limit);
        if self.elapsed() - sent + back > limit {
            // The gateway gives up.
            sleep(limit.saturating_sub(self.elapsed() - sent)).await;
            return Answer::Nothing;
        }
        sleep(back).await;
        answer
    }

    /// Whether the page that was just answered stands still before its script stores the answer.
    fn stands_still(&self, device: &Device) -> bool {
        let may = !device.uses_cookies && !device.has_stood_still.get();
        let stands_still = may && self.chance(0.01);
        device.has_stood_still.set(device.has_stood_still.get() || stands_still);
        stands_still
    }

    /// Waits far longer than a flight; whether the page goes on before the session rotates. If not, it
    /// is closed.
    async fn goes_on(&self, device: &Device, stored: &Stored) -> bool {
        let window = self.settings.refresh.window();
        let background = window + self.up_to(window);
        device.background_until.set(self.elapsed() + background);
        sleep(background + self.up_to(window * 2)).await;
        let session = self.look.session(&device.handle).await.unwrap();
        let held = self.claims(&stored.refresh).map(|claims| claims.generation);
        let goes_on = session.is_some_and(|session| session.refresh.spent[0] < held);
        self.count(if goes_on { "stored late" } else { "never stored" });
        goes_on
    }

    /// What one server process does with a refresh; judges the answer whether or not it arrives.
    async fn serve(&self, device: &Device, token: &str) -> Answer {
        let (slot, instance) = self.any_instance();
        let now = self.now(instance.skew);
        let proof = device.key.map(|key| self.proof(device, &key, now));
        if proof.is_some() {
            self.count("proved");
        }
        let request = device.request(token, "sRefreshToken", proof.as_deref());
        let was_over = device.leaving.get() == Leaving::Done;
        let known = device.known.get();
        let is_looked_at = self.chance(0.05);
        let before = if is_looked_at { self.current(device).await } else { None };
        let agent = model::Device::default();
        let work = session::http::refresh(&instance.sessions, &request, &agent, now);
        let (response, outcome) = if self.chance(0.01) {
            // The process dies on the way; what it sent to the table arrives all the same.
            let dead = timeout(self.up_to(Duration::from_millis(50)), work).await;
            let Ok(done) = dead else {
                let fresh = self.start_instance();
                self.instances.borrow_mut()[slot] = fresh;
                self.count("process died");
                return Answer::Nothing;
            };
            done
        } else {
            work.await
        };
        let (status, headers) = (response.status().as_u16(), response.headers());
        let answered = device.read(headers, "sRefreshToken", "st-refresh-token");
        let claims = self.claims(&answered);
        let generation = claims.as_ref().map_or(0, |claims| claims.generation.number());
        self.note((device.number, status, generation));
        let way = match &outcome {
            Ok(RefreshOutcome::Rotated) => "rotated",
            Ok(RefreshOutcome::Coalesced) => "coalesced",
            Ok(RefreshOutcome::Served) => "served",
            Ok(RefreshOutcome::Recovered) => "recovered",
            Ok(RefreshOutcome::Reclaimed) => "reclaimed",
            Err(SessionError::Unavailable(_) | SessionError::Contended(_)) => "unavailable",
            Err(_) => "ended",
        };
        self.count(way);
        self.report.borrow_mut().refreshes += 1;
        match (status, &outcome) {
            (200, Ok(_)) if was_over => {
                self.fail("came back", device, "a refresh succeeded after the sign-out".into());
                Answer::Ended
            }
            (200, Ok(way)) => {
                let is_current = match before {
                    Some(before) => {
                        let after = self.current(device).await;
                        before <= generation && after.is_none_or(|after| generation <= after)
                    }
                    None => known <= generation,
                };
                let is_ours = claims.is_some_and(|claims| claims.handle == device.handle);
                if !is_ours || !is_current {
                    let what = format!("{way:?} gave generation {generation} after {known}");
                    self.fail("wrong token", device, what);
                }
                if is_clearing(headers) {
                    self.fail("cleared", device, format!("{headers:?}"));
                }
                device.known.set(known.max(generation).max(device.known.get()));
                let stored = Stored {
                    refresh: answered,
                    access: device.read(headers, "sAccessToken", "st-access-token"),
                    access_expires_at: now.plus(self.nature.access_ttl),
                    stored_at: self.elapsed(),
                };
                if self.chance(0.1) {
                    self.verify(device, &stored).await;
                }
                Answer::Fresh(stored)
            }
            (503, Err(SessionError::Unavailable(_) | SessionError::Contended(_))) => {
                if is_clearing(headers) || !answered.is_empty() {
                    self.fail("cleared", device, format!("{headers:?}"));
                }
                Answer::Nothing
            }
            (401, Err(SessionError::SessionEnded(_))) if device.leaving.get() != Leaving::No => {
                Answer::Ended
            }
            _ => {
                let presented = self.claims(token).map_or(0, |claims| claims.generation.number());
                let state = self.look.session(&device.handle).await;
                let state = state.ok().flatten().map(|session| session.refresh);
                let what = format!("{status} {outcome:?} to generation {presented}; {state:?}");
                self.fail("refused", device, what);
                Answer::Ended
            }
        }
    }

    /// The cookie that a browser gets for a proof of its key just before it refreshes.
    fn proof(&self, device: &Device, key: &DeviceKey, now: Timestamp) -> String {
        let life = self.settings.lifetimes.device_proof + self.settings.refresh.flight();
        let masters = self.masters.borrow();
        masters
            .as_ref()
            .map(|keys| keys.device_cookie(&device.handle, key, now.plus(life)))
            .unwrap()
    }

    /// Copies all cookies of a bound session now, and tries them when they prove nothing any more.
    async fn steal(self: Rc<Self>, device: Rc<Device>, key: DeviceKey) {
        let life = self.settings.lifetimes.device_proof + self.settings.refresh.flight();
        let token = device.stored.borrow().refresh.clone();
        // None of the servers' clocks is behind this one.
        let proof = self.proof(&device, &key, self.now(Duration::ZERO));
        // Whoever has none need not wait.
        let (proof, rest) =
            if self.chance(0.5) { (None, Duration::ZERO) } else { (Some(proof), life) };
        sleep(rest + self.up_to(self.settings.refresh.window() * 4)).await;
        let (_, instance) = self.any_instance();
        let now = self.now(instance.skew);
        let request = device.request(&token, "sRefreshToken", proof.as_deref());
        let thief = model::Device::default();
        let (response, outcome) =
            session::http::refresh(&instance.sessions, &request, &thief, now).await;
        self.note((device.number, response.status().as_u16()));
        match outcome {
            Ok(_) => self.fail("thief served", &device, "without the key".into()),
            Err(SessionError::Unavailable(_) | SessionError::Contended(_)) => {}
            Err(_) => self.count("thief refused"),
        }
    }

    /// A fresh access token holds everywhere, whoever signed it.
    async fn verify(&self, device: &Device, stored: &Stored) {
        let (_, instance) = self.any_instance();
        let request = device.request(&stored.access, "sAccessToken", None);
        let now = self.now(instance.skew);
        let options = VerifyOptions::default();
        match session::http::verify(&instance.sessions, &request, options, now).await {
            Ok(Some(_)) | Err(SessionError::Unavailable(_)) => {}
            other => self.fail("wrong token", device, format!("a fresh access token: {other:?}")),
        }
    }

    /// Signs out at some time and asks until it is certain.
    async fn leave(self: Rc<Self>, device: &Rc<Device>) {
        self.until_refreshes(self.between(self.quota / 5, self.quota * 4 / 5)).await;
        let resting = self.resting_until.get().saturating_sub(self.elapsed());
        sleep(resting + self.up_to(self.nature.flight)).await;
        loop {
            let (_, instance) = self.any_instance();
            let access = device.stored.borrow().access.clone();
            let request = device.request(&access, "sAccessToken", None);
            let now = self.now(instance.skew);
            device.leaving.set(Leaving::Asked);
            let (response, outcome) =
                session::http::sign_out(&instance.sessions, &request, now).await;
            self.note((device.number, response.status().as_u16()));
            match outcome {
                Ok(()) => {
                    device.leaving.set(Leaving::Done);
                    return;
                }
                Err(SessionError::TryRefresh(_)) => match self.refresh(device).await {
                    Answer::Fresh(stored) => device.store(stored),
                    Answer::Nothing => sleep(self.up_to(self.nature.flight)).await,
                    // An earlier try was applied though it was reported as failed.
                    Answer::Ended => {
                        device.leaving.set(Leaving::Done);
                        return;
                    }
                },
                Err(SessionError::Unavailable(_)) => sleep(self.up_to(self.nature.flight)).await,
                Err(error) => {
                    self.fail("refused", device, format!("sign-out: {error:?}"));
                    return;
                }
            }
        }
    }

    /// Who stayed has a token that works; who left has left no trace.
    async fn take_stock(&self) {
        let devices = self.devices.borrow().clone();
        for device in devices {
            let token = device.stored.borrow().refresh.clone();
            if device.leaving.get() == Leaving::Done {
                self.report.borrow_mut().left += 1;
                self.serve(&device, &token).await;
                if self.current(&device).await.is_some() {
                    self.fail("came back", &device, "the item is there again".into());
                }
            } else {
                self.report.borrow_mut().kept += 1;
                if !matches!(self.serve(&device, &token).await, Answer::Fresh(_)) {
                    self.fail("lost session", &device, "the stored token does not refresh".into());
                }
            }
        }
    }

    /// The network between the servers and the table: one request in eight meets trouble.
    fn misbehave(&self) {
        let mut rng = StdRng::seed_from_u64(!self.seed);
        self.wire.govern(move |_| {
            let fault = match rng.random_range(0..100) {
                0..=2 => Some(Fault::Throttled),
                3 => Some(Fault::ServerError),
                4 => Some(Fault::ConnectionReset),
                5 | 6 => Some(Fault::AppliedButReset),
                7 | 8 => Some(Fault::AppliedButServerError),
                9 => Some(Fault::Silence),
                10 => Some(Fault::AppliedButSilence),
                _ => None,
            };
            // Some arrive after the SDK has given up and tried again.
            let there = if rng.random_bool(0.02) { rng.random_range(0..2_000) } else { 0 };
            let back = if rng.random_bool(0.5) { rng.random_range(1..20) } else { 0 };
            Treatment {
                there: Duration::from_millis(there),
                fault,
                back: Duration::from_millis(back),
            }
        });
    }

    /// Carries out a command, and learns to read what is minted from then on.
    async fn rotate_keys(&self, command: KeyCommand) {
        let keeper = Sessions::new(self.settings.clone(), self.look.clone());
        let mut rng = StdRng::seed_from_u64(self.rng.borrow_mut().random());
        let now = self.now(Duration::ZERO);
        keeper.rotate_keys(&command, now, &mut rng).await.unwrap();
        let KeysFound::Changed(stored) = self.look.private_keys(None).await.unwrap() else {
            unreachable!("keys are never removed")
        };
        let mut keys = stored.master.iter().map(|key| key.key("public").unwrap());
        *self.masters.borrow_mut() = Some(MasterKeys::new(keys.next().unwrap(), keys.collect()));
    }

    /// What a refresh token says, whichever master key minted it.
    fn claims(&self, token: &str) -> Option<RefreshClaims> {
        UnverifiedRefreshToken::parse(token)?.verify(self.masters.borrow().as_ref()?)
    }

    async fn sign_in(&self, number: u64) -> Device {
        let (_, instance) = self.any_instance();
        let uses_cookies = self.chance(0.5);
        let keeper = if uses_cookies { Keeper::Browser } else { Keeper::Script };
        let key = DeviceKey { kind: DeviceKeyKind::Dbsc, thumbprint: [1; DeviceKey::LEN] };
        let device_key = Some(key).filter(|_| uses_cookies && self.chance(0.5));
        let new = NewSession::for_user(format!("user-{number}"));
        let new = NewSession { keeper, device_key, ..new };
        let now = self.now(instance.skew);
        let mut rng = StdRng::seed_from_u64(self.rng.borrow_mut().random());
        let created =
            instance.sessions.create(new, model::Device::default(), false, now, &mut rng).await;
        let tokens = created.unwrap();
        Device {
            number: number as usize,
            handle: tokens.handle,
            uses_cookies,
            key: device_key,
            skew_ms: self.rng.borrow_mut().random_range(-CLIENT_SKEW_MS..=CLIENT_SKEW_MS),
            stored: RefCell::new(Stored {
                refresh: tokens.refresh.expose().to_owned(),
                access: tokens.access.token,
                access_expires_at: tokens.access.expires_at,
                stored_at: self.elapsed(),
            }),
            known: Cell::new(1),
            has_stood_still: Cell::new(false),
            background_until: Cell::default(),
            leaving: Cell::new(Leaving::No),
        }
    }

    fn start_instance(&self) -> Rc<Instance> {
        // A quota of retries for each process, as in life; by default all of this process share one.
        let own = RetryPartition::custom("instance").build();
        let config = client(self.wire.clone()).config().to_builder().retry_partition(own).build();
        let sessions = Sessions::new(self.settings.clone(), store(Client::from_conf(config)));
        Rc::new(Instance { sessions, skew: self.up_to(SERVER_SKEW) })
    }

    fn any_instance(&self) -> (usize, Rc<Instance>) {
        let mut instances = self.instances.borrow_mut();
        let slot = self.between(0, instances.len() as u64 - 1) as usize;
        if self.chance(0.005) {
            instances[slot] = self.start_instance();
        }
        (slot, Rc::clone(&instances[slot]))
    }

    async fn current(&self, device: &Device) -> Option<u32> {
        let session = self.look.session(&device.handle).await.unwrap();
        session.map(|session| session.refresh.current.number())
    }

    fn fail(&self, kind: &'static str, device: &Device, what: String) {
        let mut report = self.report.borrow_mut();
        *report.failed.entry(kind).or_default() += 1;
        if report.failures.len() < 3 {
            let (seed, at, number) = (self.seed, self.elapsed(), device.number);
            report.failures.push(format!(
                "{kind}: session {number} after {at:?} ({:?}): {what}\n  again: prove simulation --seed {seed}",
                self.nature
            ));
        }
    }

    fn count(&self, way: &'static str) {
        *self.report.borrow_mut().ways.entry(way).or_default() += 1;
    }

    fn note(&self, what: impl std::hash::Hash) {
        let mut trace = self.trace.borrow_mut();
        self.elapsed().as_millis().hash(&mut *trace);
        what.hash(&mut *trace);
    }

    fn elapsed(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn now(&self, skew: Duration) -> Timestamp {
        START.plus(self.elapsed() + skew)
    }

    fn chance(&self, probability: f64) -> bool {
        self.rng.borrow_mut().random_bool(probability)
    }

    fn between(&self, least: u64, most: u64) -> u64 {
        self.rng.borrow_mut().random_range(least..=most)
    }

    fn up_to(&self, most: Duration) -> Duration {
        Duration::from_millis(self.between(0, most.as_millis() as u64))
    }

    /// One way through the network: mostly quick, sometimes as slow as it gets.
    fn delay(&self, limit: Duration) -> Duration {
        match self.between(0, 9) {
            0..=6 => self.up_to(Duration::from_millis(100)),
            7 => self.up_to(limit / 2),
            _ => self.up_to(limit),
        }
    }
}

impl Device {
    /// The last delivery wins, as in a cookie jar.
    fn store(&self, mut new: Stored) {
        let mut stored = self.stored.borrow_mut();
        if new.refresh == stored.refresh {
            new.stored_at = stored.stored_at;
        }
        *stored = new;
    }

    fn request(&self, token: &str, cookie_name: &str, proof: Option<&str>) -> Request<()> {
        let request = Request::post("/auth/session/refresh");
        let request = if self.uses_cookies {
            let proof = proof.map(|proof| format!("; sDevice={proof}")).unwrap_or_default();
            request.header(header::COOKIE, format!("{cookie_name}={token}{proof}"))
        } else {
            request.header(header::AUTHORIZATION, format!("Bearer {token}"))
        };
        request.body(()).unwrap()
    }

    fn read(&self, headers: &HeaderMap, cookie_name: &str, header_name: &str) -> String {
        if self.uses_cookies {
            cookie(headers, cookie_name).unwrap_or_default()
        } else {
            text(headers, header_name)
        }
    }
}

/// Whether an answer takes anything away from the client.
fn is_clearing(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::SET_COOKIE).iter();
    let clears_cookie = lines.filter_map(|line| line.to_str().ok()).any(|line| line.contains("=;"));
    let clears_header = ["st-access-token", "st-refresh-token"]
        .iter()
        .any(|name| headers.get(*name).is_some_and(http::HeaderValue::is_empty));
    clears_cookie || clears_header || text(headers, "front-token") == "remove"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
        let first = simulate(1, Control::None, 500);
        assert_eq!(first.trace, simulate(1, Control::None, 500).trace);
        assert_ne!(first.trace, simulate(2, Control::None, 500).trace);
        assert_eq!(first.failures, Vec::<String>::new());
    }

    #[test]
    fn a_server_that_takes_tokens_once_is_found_out() {
        assert_ne!(simulate(1, Control::SingleUse, 500).count("refused"), 0);
    }
}
