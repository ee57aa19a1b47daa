//! Rotations: many rotators at one instant, and caches that are as stale as they may be.
//!
//! The clock is an argument everywhere, so nothing waits. A rotator runs every hour. Around each
//! change, whoever signs or verifies has loaded keys at the worst instant that is permitted, and every
//! token is presented when it is made and in its last second, to everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryPartition;
use local::dynamodb::{client, create_tables, store};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use session::http::jwks;
use session::model::keys::{API_GATEWAY_CACHING, LEAD, MAX_AGE, MAX_CACHING, MAX_MASTER_KEYS};
use session::model::{Device, KeyId, KeyState, NewSession, Timestamp};
use session::service::{AntiCsrfProof, KeyCommand, KeyKind, KeyReport};
use session::store::{DynamoDb, KeysFound, PrivateKeyReader as _};
use session::token::{PinnedKeys, UnverifiedAccessToken, UnverifiedRefreshToken, VerifyingKeySet};
use session::{SessionConfig, Sessions};
use testkit::clock::START;
use testkit::harness::config;
use testkit::{Treatment, Wire};
use tokio::sync::Barrier;

use crate::{Claim, Size};

/// Rotators at one instant.
const AT_ONCE: usize = 64;

/// Processes that sign, and as many that verify.
const PROCESSES: usize = 2;

const MOMENT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);

/// Gathers the evidence.
pub fn run(size: Size) -> anyhow::Result<Vec<Claim>> {
    let (epochs, rotations) = match size {
        Size::Ci => (1_000, 1_000),
        Size::Full => (20_000, 50_000),
    };
    let years = match size {
        Size::Ci => 3,
        Size::Full => 30,
    };
    Ok(vec![
        one_key_each_epoch(epochs)?,
        no_rotation_refuses_anybody(rotations),
        keys_are_never_used_up(years * 365),
    ])
}

/// The most master keys at once that can be set: one a day, for sessions that rest for 238 days.
const MOST_KEYS: [(&str, &str); 3] = [
    ("SIGNING_ALGORITHM", "ES256"),
    ("MASTER_KEY_ROTATION_SECONDS", "86400"),
    ("REFRESH_TOKEN_TTL_SECONDS", "20563200"),
];

/// Years of rotations at the limit of what can be set. An operator rotates by hand as often as it is
/// granted, and revokes whatever is active once a month.
fn keys_are_never_used_up(days: u64) -> Claim {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (runs, revocations, most, failures) = runtime.block_on(async {
        let wire = Wire::new();
        create_tables(&client(wire.clone())).await.unwrap();
        wire.govern(|_| Treatment::default());
        let keeper = Sessions::new(config(&MOST_KEYS), table(&wire));
        let mut rng = StdRng::seed_from_u64(1);
        let (mut runs, mut revocations, mut most, mut failures) = (0, 0, 0, 0);
        // The scheduler's runs are an hour apart; every sixth is enough to see what fails.
        for hours in (0..days * 24).step_by(6) {
            let now = START.plus(HOUR * u32::try_from(hours).unwrap());
            let by_hand = KeyCommand::Rotate(KeyKind::Master);
            // It may be refused, and then does what is due all the same.
            let _ = keeper.rotate_keys(&by_hand, now, &mut rng).await;
            let mut commands = vec![KeyCommand::Advance];
            if hours % (30 * 24) == 0 && hours > 0 {
                let report = keeper.rotate_keys(&KeyCommand::Advance, now, &mut rng).await.unwrap();
                let active = |kind| {
                    let mut keys = report.keys.iter().filter(move |key| key.kind == kind);
                    keys.find(|key| key.state == KeyState::Active).unwrap().id.clone()
                };
                commands.push(KeyCommand::Revoke(KeyId::new(active(KeyKind::Dynamic))));
                commands.push(KeyCommand::RevokeMaster(active(KeyKind::Master).parse().unwrap()));
                revocations += 2;
            }
            for command in commands {
                runs += 1;
                match keeper.rotate_keys(&command, now, &mut rng).await {
                    Ok(report) => {
                        let masters = report.keys.iter().filter(|key| key.kind == KeyKind::Master);
                        most = masters.count().max(most);
                    }
                    Err(error) => {
                        failures += 1;
                        println!("{now}: {command:?}: {error}");
                    }
                }
            }
        }
        (runs, revocations, most, failures)
    });
    Claim {
        text: format!(
            "{runs} runs in {days} days at the limit of what can be set, {revocations} revocations \
             among them, with up to {most} master keys at once: none fails"
        ),
        holds: failures == 0 && most >= MAX_MASTER_KEYS,
    }
}

type Process = Sessions<DynamoDb>;

/// A way to the table, with a quota of retries of its own.
fn table(wire: &Wire) -> DynamoDb {
    let own = RetryPartition::custom("own").build();
    let config = client(wire.clone()).config().to_builder().retry_partition(own).build();
    store(Client::from_conf(config))
}

/// A process with the shortest periods that can be set, so that as much as possible happens at once.
fn process(table: &DynamoDb) -> Process {
    static SETTINGS: LazyLock<SessionConfig> = LazyLock::new(settings);
    Sessions::new(SETTINGS.clone(), table.clone())
}

fn settings() -> SessionConfig {
    config(&[
        ("SIGNING_ALGORITHM", "ES256"),
        ("SIGNING_KEY_ROTATION_SECONDS", "21600"),
        ("MASTER_KEY_ROTATION_SECONDS", "86400"),
        ("REFRESH_TOKEN_TTL_SECONDS", "172800"),
    ])
}

/// Every epoch, all run as soon as the next key is due.
fn one_key_each_epoch(epochs: u32) -> anyhow::Result<Claim> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build()?;
    runtime.block_on(async {
        let wire = Wire::new();
        create_tables(&client(wire.clone())).await?;
        // All have read before the first of them writes.
        wire.govern(|operation| {
            let back = if operation == "GetItem" { MOMENT } else { Duration::ZERO };
            Treatment { back, ..Treatment::default() }
        });
        let rotators: Vec<_> = (0..AT_ONCE).map(|_| Arc::new(process(&table(&wire)))).collect();
        let (mut now, mut wrong, mut made) = (START, 0, BTreeSet::new());
        for epoch in 1..=epochs {
            let barrier = Arc::new(Barrier::new(AT_ONCE));
            let tasks: Vec<_> = rotators
                .iter()
                .zip(0_u64..)
                .map(|(rotator, number)| {
                    let (rotator, barrier) = (Arc::clone(rotator), Arc::clone(&barrier));
                    tokio::spawn(async move {
                        let mut rng = StdRng::seed_from_u64(number);
                        barrier.wait().await;
                        rotator.rotate_keys(&KeyCommand::Advance, now, &mut rng).await
                    })
                })
                .collect();
            let mut reports = Vec::new();
            for task in tasks {
                reports.push(task.await??);
            }
            let changes = reports.iter().filter(|report| report.changed).count();
            let seen: BTreeSet<_> = reports.iter().map(newest).collect();
            let version = match rotators[0].store().private_keys(None).await? {
                KeysFound::Changed(keys) => keys.version,
                KeysFound::None | KeysFound::Unchanged => 0,
            };
            made.extend(seen.iter().cloned());
            let is_one = changes == 1 && seen.len() == 1 && version == u64::from(epoch);
            if !is_one || made.len() != epoch as usize {
                wrong += 1;
                println!("epoch {epoch}: {changes} changes to version {version}, {seen:?}");
            }
            // The first key signs at once, its successors after the lead.
            now = now.plus(if epoch == 1 { HOUR * 3 } else { HOUR * 6 });
        }
        Ok(Claim {
            text: format!(
                "{AT_ONCE} rotators at one instant make exactly one key and one change of the \
                 table, in {epochs} epochs on two threads"
            ),
            holds: wrong == 0,
        })
    })
}

/// The id of the dynamic key that was made last.
fn newest(report: &KeyReport) -> String {
    let mut dynamic = report.keys.iter().filter(|key| key.kind == KeyKind::Dynamic);
    dynamic.next_back().map(|key| key.id.clone()).unwrap_or_default()
}

fn no_rotation_refuses_anybody(rotations: usize) -> Claim {
    // Two worlds on two threads, which differ in chance only.
    let worlds = std::thread::scope(|scope| {
        let half = rotations.div_ceil(2);
        let worlds = [1, 2].map(|seed| scope.spawn(move || live(seed, half, API_GATEWAY_CACHING)));
        worlds.map(|world| world.join().unwrap())
    });
    let sum = |count: fn(&Tally) -> usize| worlds.iter().map(count).sum::<usize>();
    let refused = sum(|tally| tally.refused);
    Claim {
        text: format!(
            "{} rotations of signing keys and {} of master keys, with every cache at its worst age, \
             refuse none of {} access and {} refresh tokens",
            sum(|tally| tally.rotations),
            sum(|tally| tally.masters),
            sum(|tally| tally.presented),
            sum(|tally| tally.refreshed),
        ),
        holds: refused == 0 && sum(|tally| tally.rotations) >= rotations,
    }
}

fn live(seed: u64, rotations: usize, gateway_caching: Duration) -> Tally {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let wire = Wire::new();
        create_tables(&client(wire.clone())).await.unwrap();
        wire.govern(|_| Treatment::default());
        let table = table(&wire);
        let mut world = World {
            signers: (0..PROCESSES).map(|_| process(&table)).collect(),
            verifiers: (0..PROCESSES).map(|_| process(&table)).collect(),
            chain: Chain::new(process(&table), gateway_caching),
            newborn: None,
            growing: None,
            keeper: process(&table),
            table,
            gateway_caching,
            rng: StdRng::seed_from_u64(seed),
            coming: BTreeMap::new(),
            number: 0,
            tally: Tally::default(),
        };
        world.at(START, Event::Rotate);
        while world.tally.rotations < rotations {
            let ((now, _), event) = world.coming.pop_first().unwrap();
            world.happen(event, now).await;
        }
        world.tally
    })
}

/// What has been seen.
#[derive(Debug, Default)]
struct Tally {
    rotations: usize,
    masters: usize,
    presented: usize,
    refreshed: usize,
    refused: usize,
}

struct World {
    table: DynamoDb,
    gateway_caching: Duration,
    rng: StdRng,
    keeper: Process,
    signers: Vec<Process>,
    verifiers: Vec<Process>,
    chain: Chain,
    /// A chain that has read the keys just before the hourly run.
    newborn: Option<Chain>,
    /// A chain that fetches at the worst instants, until it takes over.
    growing: Option<Chain>,
    coming: BTreeMap<(Timestamp, u64), Event>,
    number: u64,
    tally: Tally,
}

/// What happens at an instant.
enum Event {
    /// The hourly run.
    Rotate,
    /// Everybody looks at the keys, and reads them if that is due.
    Look,
    /// One process issues a session.
    Issue(usize),
    /// An access token is shown to everybody.
    Present(Rc<str>),
    /// A refresh token is used for the first time, at the end of its life.
    Refresh(Rc<str>),
    /// A new chain of caches begins with the function that publishes.
    Publish,
    /// Its proxy fetches.
    Proxy,
    /// Its gateway fetches, and takes over.
    Gateway,
}

impl World {
    fn at(&mut self, now: Timestamp, event: Event) {
        self.number += 1;
        self.coming.insert((now, self.number), event);
    }

    async fn happen(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Rotate => self.rotate(now).await,
            Event::Look => {
                for signer in &self.signers {
                    signer.preload_signing_keys(now).await;
                }
                for verifier in &self.verifiers {
                    verifier.preload_verifying_keys(now).await;
                }
                self.newborn = Some(self.publish(now).await);
            }
            Event::Issue(signer) => self.issue(signer, now).await,
            Event::Present(token) => self.present(&token, now).await,
            Event::Refresh(token) => {
                let signer = self.rng.random_range(0..PROCESSES);
                self.refresh(signer, &token, now).await;
            }
            Event::Publish => self.growing = Some(self.publish(now).await),
            Event::Proxy => {
                self.growing.as_mut().unwrap().proxy(now).await;
            }
            Event::Gateway => {
                self.growing.as_mut().unwrap().gateway(now).await;
                self.chain = self.growing.take().unwrap();
            }
        }
    }

    /// A chain whose publisher has just read the keys.
    async fn publish(&self, now: Timestamp) -> Chain {
        let chain = Chain::new(process(&self.table), self.gateway_caching);
        chain.publisher.preload_verifying_keys(now).await;
        chain
    }

    async fn rotate(&mut self, now: Timestamp) {
        let report = self.keeper.rotate_keys(&KeyCommand::Advance, now, &mut self.rng).await;
        let report = report.unwrap();
        // The worst instant to look is just before the next change.
        self.at(now.plus(HOUR - MOMENT), Event::Look);
        self.at(now.plus(HOUR), Event::Rotate);
        let published = |kind| {
            let mut keys = report.keys.iter().filter(move |key| key.kind == kind);
            report.changed && keys.any(|key| key.life.published_at == now)
        };
        self.tally.masters += usize::from(published(KeyKind::Master));
        if !published(KeyKind::Dynamic) {
            return;
        }
        self.tally.rotations += 1;
        assert!(report.keys.iter().any(|key| key.state == KeyState::Active));
        let switch = now.plus(if now == START { Duration::ZERO } else { LEAD });
        for signer in 0..PROCESSES {
            // The last instant at which somebody may not have heard of the new key.
            self.at(now.plus(MAX_AGE - MOMENT * 2), Event::Issue(signer));
            self.at(switch.minus(MOMENT), Event::Issue(signer));
            self.at(switch, Event::Issue(signer));
            let anywhen = now.plus((LEAD + HOUR).mul_f64(self.rng.random()));
            self.at(anywhen, Event::Issue(signer));
        }
        // Each cache takes what the one before it is about to forget.
        let gateway = switch.minus(self.gateway_caching).plus(MOMENT);
        let proxy = gateway.minus(MAX_CACHING).plus(MOMENT);
        let publish = proxy.minus(MAX_AGE).plus(MOMENT);
        if now != START {
            if now < publish {
                self.at(publish, Event::Publish);
            } else {
                // Caches that are not permitted: this one read just before the change.
                self.growing = self.newborn.take();
            }
            self.at(proxy, Event::Proxy);
            self.at(gateway, Event::Gateway);
        }
    }

    async fn issue(&mut self, signer: usize, now: Timestamp) {
        let (new, device) = (NewSession::for_user("user-1"), Device::default());
        let issued = self.signers[signer].create(new, device, false, now, &mut self.rng).await;
        let issued = issued.unwrap();
        let access: Rc<str> = issued.access.token.into();
        self.present(&access, now).await;
        self.at(issued.access.expires_at.minus(MOMENT), Event::Present(access));
        let resting: Rc<str> = issued.refresh.expose().into();
        self.at(issued.refresh_expires_at.minus(MOMENT), Event::Refresh(resting));
        // Another session is refreshed at once, by everybody else.
        let (new, device) = (NewSession::for_user("user-2"), Device::default());
        let issued = self.signers[signer].create(new, device, false, now, &mut self.rng).await;
        let token = issued.unwrap().refresh.expose().to_owned();
        for other in (0..PROCESSES).filter(|other| *other != signer) {
            self.refresh(other, &token, now).await;
        }
    }

    async fn refresh(&mut self, signer: usize, token: &str, now: Timestamp) {
        let token = UnverifiedRefreshToken::parse(token).unwrap();
        let device = Device::default();
        let signer = &self.signers[signer];
        let result = signer.refresh(&token, AntiCsrfProof::NotUsed, &device, now).await;
        self.tally.refreshed += 1;
        if let Err(error) = result {
            self.refuse(now, &format!("a refresh token: {error:?}"));
        }
    }

    async fn present(&mut self, token: &str, now: Timestamp) {
        let parsed = || UnverifiedAccessToken::parse(token).unwrap();
        let mut refusals = Vec::new();
        for verifier in &self.verifiers {
            let refusal = verifier.verify(parsed(), now).await.err();
            refusals.push(("a process", refusal.map(|error| format!("{error:?}"))));
        }
        for (name, set) in
            [("a proxy", self.chain.proxy(now).await), ("a gateway", self.chain.gateway(now).await)]
        {
            let refusal = parsed().verify(&set, now, true).err();
            refusals.push((name, refusal.map(|error| format!("{error:?}"))));
        }
        self.tally.presented += refusals.len();
        for (name, refusal) in refusals {
            if let Some(refusal) = refusal {
                self.refuse(now, &format!("an access token at {name}: {refusal}"));
            }
        }
    }

    fn refuse(&mut self, now: Timestamp, what: &str) {
        self.tally.refused += 1;
        if self.tally.refused <= 10 {
            println!("{now}: {what}");
        }
    }
}

/// The function that publishes, a proxy that caches as long as it is told, and a gateway that caches
/// as long as it likes. None asks again because a key is unknown.
struct Chain {
    publisher: Process,
    proxy: Option<Cached>,
    gateway: Option<Cached>,
    gateway_caching: Duration,
}

/// A key set, until when.
type Cached = (Arc<VerifyingKeySet>, Timestamp);

impl Chain {
    fn new(publisher: Process, gateway_caching: Duration) -> Self {
        Self { publisher, proxy: None, gateway: None, gateway_caching }
    }

    async fn proxy(&mut self, now: Timestamp) -> Arc<VerifyingKeySet> {
        if let Some((set, until)) = &self.proxy
            && now < *until
        {
            return Arc::clone(set);
        }
        let response = jwks(&self.publisher, now).await;
        let caching = testkit::harness::text(response.headers(), "cache-control");
        let seconds = caching.split(['=', ',']).nth(1).and_then(|seconds| seconds.parse().ok());
        let set = PinnedKeys::parse(response.body()).unwrap().parsed();
        let until = now.plus(Duration::from_secs(seconds.unwrap()));
        self.proxy = Some((Arc::clone(&set), until));
        set
    }

    async fn gateway(&mut self, now: Timestamp) -> Arc<VerifyingKeySet> {
        if let Some((set, until)) = &self.gateway
            && now < *until
        {
            return Arc::clone(set);
        }
        let set = self.proxy(now).await;
        self.gateway = Some((Arc::clone(&set), now.plus(self.gateway_caching)));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_used_up_in_three_months() {
        assert!(keys_are_never_used_up(90).holds);
    }

    #[test]
    fn caches_that_are_too_old_are_found_out() {
        assert_eq!(live(1, 5, API_GATEWAY_CACHING).refused, 0);
        let too_old = API_GATEWAY_CACHING + MAX_CACHING;
        assert_ne!(live(1, 5, too_old).refused, 0);
    }
}
