//! Every schedule: an exhaustive search over the decision that ships.
//!
//! Tabs of one browser share one session. Requests and answers are lost, late, repeated and
//! reordered; a thief may copy a token at any time and a revoker may end the session at any time.
//! The checker visits every state that some schedule leads to and calls [`decide`] in it.
//!
//! Two abstractions leave finitely many states without a bound on time or on generations, so a search
//! that comes to its end has covered schedules of every length:
//!
//! - *Time is relative.* Every step happens at [`NOW`]; when a tick passes, the past moves away, but
//!   no further than [`FORGOTTEN`], beyond every bound of the rule.
//! - *Generations are roles.* To the rule a token is the current one, its parent, its grandparent or
//!   none of these, and what is none of these stays so. After every step the roles get the numbers 4,
//!   2, 1 and 3 again (a burnt generation lies between parent and current).
//!
//! A test checks what both rest on: that the rule compares and does not calculate. The checker keeps
//! 64 bits of every state it has seen; that two of 10⁷ states share them, and one stays unvisited,
//! has a probability below 10⁻⁵.

use std::fmt::Write as _;
use std::time::Duration;

use session::model::refresh::SERVE_CAP;
use session::model::{Decision, Generation, RefreshPolicy, RefreshState, Timestamp, decide};
use stateright::{Checker, HasDiscoveries, Model, Path, Property};

use crate::{Claim, Size};

/// The instant at which everything happens.
const NOW: Timestamp = Timestamp::from_secs(1_000_000_000);

/// Longer ago than any bound of the rule reaches.
const FORGOTTEN: Duration = Duration::from_mins(11);

/// F as configured by default.
const F: Duration = Duration::from_secs(30);

/// Losses in a row that the cap leaves room for, whatever else happens.
const MOST: u8 = 8;

/// Places on the wire: one for each of three tabs, and two for copies.
const PLACES: usize = 5;

/// Gathers the evidence.
pub fn run(size: Size) -> anyhow::Result<Vec<Claim>> {
    let full = size == Size::Full;
    let rule = RefreshPolicy::new(F);
    let all = [
        (
            "no schedule of three tabs, however long, refuses an honest client",
            Scenario { tabs: 3, copies: 2, ..Scenario::honest(rule, if full { 4 } else { 3 }) },
        ),
        (
            "none does either where clocks differ by 20 s and flights take up to 20 s",
            Scenario {
                tabs: 3,
                copies: if full { 2 } else { 1 },
                flight: 2,
                clock_spread: 2,
                ..Scenario::honest(rule, 3)
            },
        ),
        (
            "none reaches the cap with eight lost answers or fewer",
            Scenario {
                faults: Faults::AtMost(MOST),
                copies: usize::from(full),
                ..Scenario::honest(rule, 2)
            },
        ),
        (
            "with a thief and a revoker: never two live tokens, nothing lives after the end, and \
             a thief outside the windows is seen",
            Scenario {
                tabs: 3,
                copies: if full { 2 } else { 1 },
                thief: true,
                revoker: true,
                ..Scenario::honest(rule, 2)
            },
        ),
        (
            "a thief and a victim who stay further than W apart take turns once at most",
            Scenario {
                tabs: 2,
                copies: 1,
                thief: true,
                keeps_apart: true,
                ..Scenario::honest(rule, if full { 3 } else { 2 })
            },
        ),
    ];
    Ok(all.map(|(text, scenario)| scenario.claim(text)).into())
}

/// A refresh rule.
trait Rule: Copy + Send + Sync + 'static {
    /// What `presented` buys.
    fn decide(self, session: &RefreshState, presented: Generation, now: Timestamp) -> Decision;
}

/// The rule that ships.
impl Rule for RefreshPolicy {
    fn decide(self, session: &RefreshState, presented: Generation, now: Timestamp) -> Decision {
        decide(session, presented, now, self)
    }
}

/// The table of docs/rotation.md, written down a second time and with bounds to choose.
#[derive(Clone, Copy, Debug)]
struct Table {
    window: Duration,
    overtaken: Duration,
    slides: bool,
}

impl Table {
    /// With the bounds that ship.
    fn shipped() -> Self {
        let policy = RefreshPolicy::new(F);
        Self { window: policy.window(), overtaken: policy.overtaken_window(), slides: true }
    }
}

impl Rule for Table {
    fn decide(self, session: &RefreshState, presented: Generation, now: Timestamp) -> Decision {
        let RefreshState { current, parent, grandparent, rotated_at, served_at, .. } = *session;
        let is_recent = |at: Option<Timestamp>, bound| at.is_some_and(|at| now <= at.plus(bound));
        let minted = RefreshState {
            current: current.next(),
            rotated_at: Some(now),
            served_at: Some(now),
            ..*session
        };
        if session.revoked_at.is_some() {
            Decision::Revoked
        } else if presented == current && is_recent(rotated_at, self.window) {
            Decision::Coalesce
        } else if presented == current {
            Decision::Rotate(RefreshState { parent: Some(current), grandparent: parent, ..minted })
        } else if Some(presented) == parent
            && is_recent(served_at, self.window)
            && is_recent(rotated_at, SERVE_CAP)
        {
            let served_at = if self.slides { served_at.max(Some(now)) } else { served_at };
            Decision::Serve(RefreshState { served_at, ..*session })
        } else if Some(presented) == parent {
            Decision::Recover(minted)
        } else if Some(presented) == grandparent && is_recent(rotated_at, self.overtaken) {
            Decision::Overtaken
        } else {
            Decision::Reuse
        }
    }
}

/// What is searched. Durations are in ticks.
#[derive(Clone, Copy, Debug)]
struct Scenario<R> {
    rule: R,
    tick: Duration,
    /// Longest flight, from sending a request to the delivery of its answer.
    flight: u8,
    /// How long tabs rest at least once a pair is stored: the lifetime of an access token. Where
    /// nothing arrived they ask again at any time.
    rest: u8,
    /// How far the clocks of two servers may be apart.
    clock_spread: u8,
    /// Tabs that share one storage; what is delivered last stays.
    tabs: usize,
    /// How many requests that nobody awaits may be in flight.
    copies: usize,
    faults: Faults,
    /// Whether somebody copies a token, once, and spends what it has at any time.
    thief: bool,
    /// Whether the acts of thief and victim are further than W apart.
    keeps_apart: bool,
    /// Whether somebody ends the session at any time.
    revoker: bool,
}

/// Losses and copies.
#[derive(Clone, Copy, Debug)]
enum Faults {
    /// Any number, but a schedule ends where [`SERVE_CAP`] closes a window that is in use.
    Any,
    /// So many, cap and all.
    AtMost(u8),
}

/// One state of everything.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct World {
    session: RefreshState,
    /// What the browser holds.
    stored: Generation,
    /// Ticks until a tab may want a new pair.
    resting: u8,
    /// In flight; sorted, because the order of sending has no influence.
    wire: [Option<Message>; PLACES],
    /// Bit n is set if the thief holds generation n.
    loot: u8,
    /// An honest request was refused.
    refused: bool,
    /// Counted only if they are bounded.
    faults: u8,
    /// Kept only if acts are kept apart.
    acts: Acts,
}

/// Who acted when.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
struct Acts {
    since_victim: u8,
    since_thief: u8,
    /// The thief got a pair after the victim did.
    thief_is_ahead: bool,
    /// How often the victim got a pair after the thief did; two is too often.
    turns: u8,
}

/// A refresh in flight.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Message {
    kind: Kind,
    token: Generation,
    /// Ticks since the request was sent.
    age: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Kind {
    /// A tab waits for the answer.
    Request,
    /// Nobody waits for the answer; the server cannot know.
    Copy,
    /// On its way to the tab.
    Answer,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Time passes.
    Tick,
    /// A tab sends what is stored.
    Send,
    /// The network, a proxy or an SDK repeats a request. With the original lost, this is also a tab
    /// that gave up or was closed while its request went on.
    Copy(Message),
    Lose(Message),
    /// The request reaches a server whose clock is so many ticks ahead. A server that decides and
    /// writes later is one whose clock is behind.
    Arrive(Message, u8),
    Deliver(Message),
    Steal(Generation),
    /// The thief refreshes. Its network is perfect.
    Spend(Generation),
    Revoke,
}

const NO_REFUSAL: &str = "no honest client is refused";
const ONE_LEAF: &str = "at most one token is live";
const THE_END: &str = "nothing lives after the end";
const AS_DOCUMENTED: &str = "what the table says is decided";
const THIEF_IS_SEEN: &str = "a thief outside the windows is seen";
const ONE_TURN: &str = "a thief who keeps apart and the victim take turns once at most";

impl<R: Rule> Model for Scenario<R> {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::new()]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        if world.refused {
            return;
        }
        steps.push(Step::Tick);
        let copies = world.messages().filter(|message| message.kind == Kind::Copy).count();
        let waiting = world.messages().count() - copies;
        if world.resting == 0 && waiting < self.tabs {
            steps.push(Step::Send);
        }
        for message in world.messages() {
            steps.push(Step::Lose(message));
            if message.kind == Kind::Answer {
                steps.push(Step::Deliver(message));
                continue;
            }
            if copies < self.copies {
                steps.push(Step::Copy(message));
            }
            if self.may_act(world.acts.since_thief) {
                steps.extend((0..=self.clock_spread).map(|ahead| Step::Arrive(message, ahead)));
            }
        }
        if self.thief && world.loot == 0 {
            steps.push(Step::Steal(world.stored));
            steps.extend(world.messages().map(|message| Step::Steal(message.token)));
        }
        if self.may_act(world.acts.since_victim) {
            steps.extend(world.loot().map(Step::Spend));
        }
        if self.revoker && world.session.revoked_at.is_none() {
            steps.push(Step::Revoke);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = *world;
        match step {
            Step::Tick => self.pass_time(&mut next),
            Step::Send => {
                next.put(Message { kind: Kind::Request, token: world.stored, age: 0 });
            }
            Step::Copy(message) => {
                next.put(Message { kind: Kind::Copy, ..message });
                next.faults += 1;
            }
            Step::Lose(message) => next.lose(message),
            Step::Arrive(message, ahead) => {
                next.take(message);
                if !self.present(&mut next, message.token, ahead) {
                    next.refused = !self.thief && !self.revoker;
                } else if message.kind == Kind::Request {
                    let token = next.session.current;
                    next.put(Message { kind: Kind::Answer, token, ..message });
                }
                next.acts.since_victim = 0;
            }
            Step::Deliver(message) => {
                next.take(message);
                next.stored = message.token;
                next.resting = self.rest;
                next.acts.turns += u8::from(world.acts.thief_is_ahead);
                next.acts.thief_is_ahead = false;
            }
            Step::Steal(token) => next.loot |= 1 << token.number(),
            Step::Spend(token) => {
                if self.present(&mut next, token, 0) {
                    next.loot |= 1 << next.session.current.number();
                    next.acts.thief_is_ahead = true;
                }
                next.acts.since_thief = 0;
            }
            Step::Revoke => next.session.revoked_at = Some(NOW),
        }
        match self.faults {
            Faults::Any => next.faults = 0,
            Faults::AtMost(most) if next.faults > most => return None,
            Faults::AtMost(_) => {}
        }
        if !self.keeps_apart {
            next.acts = Acts::default();
        }
        next.renumber();
        next.wire.sort_unstable();
        Some(next)
    }

    fn within_boundary(&self, world: &World) -> bool {
        matches!(self.faults, Faults::AtMost(_)) || !self.is_cut_by_cap(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_REFUSAL, |_: &Self, world: &World| !world.refused),
            Property::always(ONE_LEAF, Self::has_one_leaf),
            Property::always(THE_END, |scenario: &Self, world: &World| {
                world.session.revoked_at.is_none()
                    || roles().all(|token| scenario.decide(world, token, 0) == Decision::Revoked)
            }),
            Property::always(AS_DOCUMENTED, |scenario: &Self, world: &World| {
                let as_documented = |token| Table::shipped().decide(&world.session, token, NOW);
                roles().all(|token| scenario.decide(world, token, 0) == as_documented(token))
            }),
            Property::always(THIEF_IS_SEEN, Self::is_thief_seen),
            Property::always(ONE_TURN, |_: &Self, world: &World| world.acts.turns <= 1),
        ]
    }
}

impl<R: Rule> Scenario<R> {
    /// Two tabs, `flight` ticks to the longest flight, and as little rest as the rule allows.
    fn honest(rule: R, flight: u8) -> Self {
        Self {
            rule,
            tick: F / u32::from(flight),
            flight,
            rest: flight,
            clock_spread: 0,
            tabs: 2,
            copies: 0,
            faults: Faults::Any,
            thief: false,
            keeps_apart: false,
            revoker: false,
        }
    }

    /// Searches to the end.
    fn claim(self, text: &str) -> Claim {
        let checker = self.checker().threads(2).finish_when(HasDiscoveries::AnyFailures);
        let checker = checker.spawn_bfs().join();
        let mut text = format!(
            "{text}: {} states, {} transitions, depth {}",
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth()
        );
        let failures = checker.discoveries();
        for (property, path) in &failures {
            let _ = write!(text, "\nnot so that {property}:\n{}", self.tell(path.clone()));
        }
        Claim { text, holds: failures.is_empty() }
    }

    fn decide(&self, world: &World, presented: Generation, ahead: u8) -> Decision {
        let now = NOW.plus(self.tick * u32::from(ahead));
        self.rule.decide(&world.session, presented, now)
    }

    /// Presents a token; whether it is answered, with the then current one.
    fn present(&self, world: &mut World, token: Generation, ahead: u8) -> bool {
        match self.decide(world, token, ahead) {
            Decision::Rotate(next) | Decision::Serve(next) | Decision::Recover(next) => {
                world.session = next;
                true
            }
            Decision::Coalesce | Decision::Overtaken => true,
            Decision::Reuse => {
                world.session.revoked_at = Some(NOW);
                false
            }
            Decision::Expired | Decision::Revoked => false,
        }
    }

    fn pass_time(&self, world: &mut World) {
        let earlier = |at: Timestamp| at.minus(self.tick).max(NOW.minus(FORGOTTEN));
        world.session.rotated_at = world.session.rotated_at.map(earlier);
        world.session.served_at = world.session.served_at.map(earlier);
        world.resting = world.resting.saturating_sub(1);
        world.acts.since_victim = world.acts.since_victim.saturating_add(1).min(self.apart());
        world.acts.since_thief = world.acts.since_thief.saturating_add(1).min(self.apart());
        let late = |message: &Message| message.age == self.flight;
        while let Some(message) = world.messages().find(late) {
            world.lose(message);
        }
        for message in world.wire.iter_mut().flatten() {
            message.age += 1;
        }
    }

    /// The first distance that is longer than W.
    fn apart(&self) -> u8 {
        let ticks = RefreshPolicy::new(F).window().as_millis() / self.tick.as_millis();
        u8::try_from(ticks).unwrap_or(u8::MAX).saturating_add(1)
    }

    fn may_act(&self, since_other: u8) -> bool {
        !self.keeps_apart || since_other == self.apart()
    }

    /// Whether the cap closes the window, by some server's clock, before silence does.
    fn is_cut_by_cap(&self, world: &World) -> bool {
        let latest = NOW.plus(self.tick * u32::from(self.clock_spread));
        let window = RefreshPolicy::new(F).window();
        world.session.served_at.is_some_and(|at| NOW <= at.plus(window))
            && world.session.rotated_at.is_some_and(|at| at.plus(SERVE_CAP) < latest)
    }

    /// Live is what rotates, now or as soon as it is old enough.
    fn has_one_leaf(&self, world: &World) -> bool {
        let is_leaf = |token: &Generation| {
            matches!(self.decide(world, *token, 0), Decision::Rotate(_) | Decision::Coalesce)
        };
        roles().filter(is_leaf).count() <= 1
    }

    /// Once the victim holds the current token, the thief does not, nothing is in flight and every
    /// window is closed, all that the thief can present ends the session: at once, or when the victim
    /// presents what it holds.
    fn is_thief_seen(&self, world: &World) -> bool {
        let is_outside = world.session.revoked_at.is_none()
            && world.stored == world.session.current
            && world.messages().next().is_none()
            && world.loot().all(|token| {
                matches!(self.decide(world, token, 0), Decision::Reuse | Decision::Recover(_))
            });
        let is_seen = |token| {
            let mut after = *world;
            !self.present(&mut after, token, 0)
                || self.decide(&after, after.stored, 0) == Decision::Reuse
        };
        !is_outside || world.loot().all(is_seen)
    }

    /// The schedule that leads to a state, one step a line.
    fn tell(&self, path: Path<World, Step>) -> String {
        let mut now = Duration::ZERO;
        let mut told = String::new();
        for (world, step) in path.into_vec() {
            let about = |message: Message| {
                let age = (self.tick * message.age.into()).as_secs();
                format!("{}, on its way for {age} s", role(message.token))
            };
            let decided = |token, ahead| {
                let decision = format!("{:?}", self.decide(&world, token, ahead));
                decision.split('(').next().unwrap_or_default().to_owned()
            };
            let text = match step {
                None => continue,
                Some(Step::Tick) => {
                    now += self.tick;
                    continue;
                }
                Some(Step::Send) => format!("a tab sends the {}", role(world.stored)),
                Some(Step::Copy(message)) => format!("repeated: {}", about(message)),
                Some(Step::Lose(message)) => format!("lost: {}", about(message)),
                Some(Step::Arrive(message, ahead)) => {
                    format!("{}: {}", decided(message.token, ahead), about(message))
                }
                Some(Step::Deliver(message)) => format!("stored: {}", about(message)),
                Some(Step::Steal(token)) => format!("the thief copies the {}", role(token)),
                Some(Step::Spend(token)) => {
                    format!("{}: the thief's {}", decided(token, 0), role(token))
                }
                Some(Step::Revoke) => "the session is ended".to_owned(),
            };
            let _ = writeln!(told, "{:>6} s  {text}", now.as_secs());
        }
        told
    }
}

impl World {
    fn new() -> Self {
        let mut new = Self {
            session: RefreshState::new(NOW.plus(Duration::from_hours(1)), None),
            stored: Generation::FIRST,
            resting: 0,
            wire: [None; PLACES],
            loot: 0,
            refused: false,
            faults: 0,
            acts: Acts::default(),
        };
        new.renumber();
        new
    }

    fn messages(&self) -> impl Iterator<Item = Message> + use<> {
        self.wire.into_iter().flatten()
    }

    fn loot(&self) -> impl Iterator<Item = Generation> + use<> {
        let loot = self.loot;
        roles().filter(move |token| loot & (1 << token.number()) != 0)
    }

    fn put(&mut self, message: Message) {
        let place = self.wire.iter_mut().find(|place| place.is_none());
        *place.expect("a place for every tab and every copy") = Some(message);
    }

    fn take(&mut self, message: Message) {
        let place = self.wire.iter_mut().find(|place| **place == Some(message));
        *place.expect("steps are about messages in flight") = None;
    }

    fn lose(&mut self, message: Message) {
        self.take(message);
        self.faults += u8::from(message.kind != Kind::Copy);
    }

    /// Gives the roles their numbers again.
    fn renumber(&mut self) {
        let RefreshState { current, parent, grandparent, .. } = self.session;
        let role = |token: Generation| {
            let number = match token {
                _ if token == current => 4,
                _ if Some(token) == parent => 2,
                _ if Some(token) == grandparent => 1,
                _ => 3,
            };
            Generation::new(number).expect("not zero")
        };
        self.loot = self.loot().fold(0, |loot, token| loot | 1 << role(token).number());
        self.stored = role(self.stored);
        for message in self.wire.iter_mut().flatten() {
            message.token = role(message.token);
        }
        self.session.current = role(current);
        self.session.parent = parent.map(role);
        self.session.grandparent = grandparent.map(role);
    }
}

/// The numbers of the four roles, and the next.
fn roles() -> impl Iterator<Item = Generation> {
    (1..=5).filter_map(Generation::new)
}

fn role(token: Generation) -> &'static str {
    match token.number() {
        1 => "grandparent",
        2 => "parent",
        4 => "current token",
        _ => "burnt one",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every use of the parent within the window mints another child, which replaces the first.
    #[derive(Clone, Copy)]
    struct NewChildInGrace(Duration);

    impl Rule for NewChildInGrace {
        fn decide(self, session: &RefreshState, presented: Generation, now: Timestamp) -> Decision {
            let child = RefreshState { current: session.current.next(), ..*session };
            if presented == session.current {
                let (parent, rotated_at) = (Some(presented), Some(now));
                Decision::Rotate(RefreshState { parent, rotated_at, ..child })
            } else if Some(presented) == session.parent
                && session.rotated_at.is_some_and(|at| now <= at.plus(self.0))
            {
                Decision::Recover(child)
            } else {
                Decision::Reuse
            }
        }
    }

    /// A shortest schedule that refuses an honest client.
    fn refusal<R: Rule>(scenario: Scenario<R>) -> Option<String> {
        let refused = HasDiscoveries::AnyOf(BTreeSet::from([NO_REFUSAL]));
        let checker = scenario.checker().finish_when(refused).spawn_bfs().join();
        let schedule = checker.discovery(NO_REFUSAL).map(|path| scenario.tell(path));
        println!("{}", schedule.as_deref().unwrap_or("no refusal"));
        schedule
    }

    fn shipped() -> Scenario<RefreshPolicy> {
        Scenario::honest(RefreshPolicy::new(F), 2)
    }

    #[test]
    fn the_rule_that_ships_refuses_nobody() {
        assert_eq!(refusal(Scenario { copies: 1, ..shipped() }), None);
    }

    #[test]
    fn single_use_refuses_the_second_tab() {
        let single_use = RefreshPolicy::new(Duration::ZERO);
        assert!(refusal(Scenario::honest(single_use, 1)).is_some());
    }

    #[test]
    fn a_new_child_within_a_grace_period_refuses_the_second_tab() {
        assert!(refusal(Scenario::honest(NewChildInGrace(2 * F), 1)).is_some());
    }

    #[test]
    fn a_window_that_does_not_slide_is_straddled() {
        let fixed = Table { slides: false, ..Table::shipped() };
        assert!(refusal(Scenario::honest(fixed, 1)).is_some());
    }

    #[test]
    fn a_window_below_2f_is_straddled() {
        for window in [F, F * 3 / 2] {
            let narrow = Table { window, ..Table::shipped() };
            assert!(refusal(Scenario::honest(narrow, 2)).is_some(), "{window:?}");
        }
    }

    #[test]
    fn a_window_of_2f_needs_tabs_that_rest_for_f_and_one_of_3f_does_not() {
        let table = |halves| Table { window: F * halves / 2, ..Table::shipped() };
        let restless = |window| Scenario { rest: 0, copies: 1, ..Scenario::honest(window, 2) };
        assert!(refusal(restless(table(4))).is_some());
        assert!(refusal(restless(table(5))).is_some());
        assert_eq!(refusal(restless(table(6))), None);
        let overtaken = Duration::ZERO;
        let no_grandparent = Table { overtaken, ..table(6) };
        assert!(refusal(restless(no_grandparent)).is_some());
    }

    #[test]
    fn clocks_may_differ_by_w_less_two_flights() {
        let spread = |flight, clock_spread| Scenario {
            flight,
            clock_spread,
            ..Scenario::honest(RefreshPolicy::new(F), 3)
        };
        assert_eq!(refusal(spread(2, 2)), None);
        assert!(refusal(spread(2, 3)).is_some());
        assert!(refusal(spread(3, 1)).is_some());
    }

    #[test]
    fn nine_lost_answers_in_a_row_and_then_a_race_reach_the_cap() {
        assert_eq!(refusal(Scenario { faults: Faults::AtMost(MOST), ..shipped() }), None);
        assert!(refusal(Scenario { faults: Faults::AtMost(MOST + 1), ..shipped() }).is_some());
    }

    /// The stated limit: whatever the thief does less than W after the victim is what a second tab
    /// could do.
    #[test]
    fn a_thief_within_the_windows_is_not_seen() {
        let thief = Scenario { thief: true, rest: 5, tabs: 1, ..shipped() };
        let mut world = World::new();
        let mut act = |step| world = thief.next_state(&world, step).expect("a step of the model");
        act(Step::Steal(Generation::new(4).unwrap()));
        for _ in 0..100 {
            let current = Generation::new(4).unwrap();
            let request = Message { kind: Kind::Request, token: current, age: 0 };
            act(Step::Send);
            act(Step::Arrive(request, 0));
            act(Step::Deliver(Message { kind: Kind::Answer, ..request }));
            act(Step::Tick);
            act(Step::Spend(Generation::new(2).unwrap()));
            (0..5).for_each(|_| act(Step::Tick));
        }
        assert_eq!(world.session.revoked_at, None);
        assert_eq!(world.stored, world.session.current);
    }

    #[test]
    fn the_rule_compares_generations_and_does_not_calculate_with_them() {
        let number = |number| Generation::new(number).unwrap();
        let ago = |secs| Some(NOW.minus(Duration::from_secs(secs)));
        for (current, parent, grandparent) in
            [(2, 1, 0), (9, 7, 4), (9, 8, 7), (9, 3, 2), (9, 8, 0)]
        {
            for (rotated, served) in [(0, 0), (30, 0), (31, 31), (61, 60), (61, 61), (601, 1)] {
                for presented in 1..=9 {
                    let mut world = World::new();
                    world.session.current = number(current);
                    world.session.parent = Generation::new(parent);
                    world.session.grandparent = Generation::new(grandparent);
                    world.session.rotated_at = ago(rotated);
                    world.session.served_at = ago(served);
                    world.stored = number(presented);
                    let step = |mut world: World| {
                        let presented = world.stored;
                        let answered = shipped().present(&mut world, presented, 0);
                        world.renumber();
                        (answered, world)
                    };
                    let mut in_roles = world;
                    in_roles.renumber();
                    assert_eq!(step(world), step(in_roles), "{presented} in {world:?}");
                }
            }
        }
    }
}
