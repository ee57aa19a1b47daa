//! The refresh rule: what a presented refresh token buys.
//!
//! The aim is twofold. No honest client is ever refused because an answer was lost, two tabs raced
//! or a request was repeated; and once two parties hold tokens of one session, the second party's
//! first move outside the window proves it.
//!
//! Let F be the longest flight of a refresh, from sending the request to receiving its answer. Then:
//!
//! | Presented token | When | Outcome |
//! |---|---|---|
//! | current | rotated more than W ago, or never | [`Decision::Rotate`] |
//! | current | rotated at most W ago | [`Decision::Coalesce`]: the same token |
//! | parent | served at most W ago, rotated at most [`SERVE_CAP`] ago | [`Decision::Serve`]: the current token, and the window slides |
//! | parent | later | [`Decision::Recover`]: a new generation; the successor nobody used is burnt |
//! | grandparent | rotated at most G ago | [`Decision::Overtaken`]: the current token |
//! | anything else | any time | [`Decision::Reuse`]: the session ends |
//!
//! with W = 2F and G = F. Smaller bounds have schedules that refuse an honest client: a window of F,
//! or one that does not slide, is straddled by two tabs. A burnt generation lies between `parent`
//! and `current`; if its answer was lost nobody holds it, so if it ever appears, two parties do.

use std::time::Duration;

use super::ids::Generation;
use super::time::Timestamp;

/// How long after a rotation its parent may be served at most, however often the window slides.
///
/// Without it a thief who polls would keep the window open for ever. With it, refusing an honest
/// client takes nine lost answers in a row and then a race, with the default F of 30 s.
pub const SERVE_CAP: Duration = Duration::from_mins(10);

/// The bounds of the refresh rule, all derived from one setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshPolicy {
    flight: Duration,
}

impl RefreshPolicy {
    /// Longest flight that can be configured: twice what API Gateway allows a call, and W still fits
    /// into [`SERVE_CAP`] five times.
    pub const MAX_FLIGHT: Duration = Duration::from_mins(1);

    /// `flight` is F, the longest time from sending a refresh to receiving its answer; values above
    /// [`Self::MAX_FLIGHT`] are reduced to it. Zero means strict single use.
    #[must_use]
    pub fn new(flight: Duration) -> Self {
        Self { flight: flight.min(Self::MAX_FLIGHT) }
    }

    /// F.
    #[must_use]
    pub const fn flight(self) -> Duration {
        self.flight
    }

    /// W = 2F: how long a superseded token gets the same successor.
    #[must_use]
    pub fn window(self) -> Duration {
        self.flight.saturating_mul(2)
    }

    /// G = F: how long a request may have been overtaken by two rotations.
    #[must_use]
    pub const fn overtaken_window(self) -> Duration {
        self.flight
    }

    /// Whether every superseded token is reuse.
    #[must_use]
    pub const fn is_single_use(self) -> bool {
        self.flight.is_zero()
    }

    /// The latest rotation instant at which the current token may rotate again at `now`.
    ///
    /// The store states this bound as a condition of its write; [`decide`] uses the same function.
    #[must_use]
    pub fn rotation_cutoff(self, now: Timestamp) -> Timestamp {
        if self.is_single_use() {
            Timestamp::from_millis(u64::MAX)
        } else {
            now.minus(self.window())
        }
    }
}

/// What the refresh rule needs to know of a session.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RefreshState {
    /// The one live generation.
    pub current: Generation,
    /// The generation that was exchanged for `current`; none before the first rotation.
    pub parent: Option<Generation>,
    /// The generation that was exchanged for `parent`.
    pub grandparent: Option<Generation>,
    /// When `current` came to be by rotation; none before the first, so a first refresh always
    /// rotates.
    pub rotated_at: Option<Timestamp>,
    /// When the parent was last answered; where the sliding window starts.
    pub served_at: Option<Timestamp>,
    /// Idle end: the session is over at this instant unless refreshed before.
    pub expires_at: Timestamp,
    /// Absolute end, which no refresh moves.
    pub absolute_end: Option<Timestamp>,
    /// Set once the session was ended and kept as a tombstone.
    pub revoked_at: Option<Timestamp>,
}

impl RefreshState {
    /// The state of a session that was just created.
    #[must_use]
    pub const fn new(expires_at: Timestamp, absolute_end: Option<Timestamp>) -> Self {
        Self {
            current: Generation::FIRST,
            parent: None,
            grandparent: None,
            rotated_at: None,
            served_at: None,
            expires_at,
            absolute_end,
            revoked_at: None,
        }
    }

    /// When the session ends if nothing happens: the earlier of idle and absolute end.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.absolute_end.map_or(self.expires_at, |end| end.min(self.expires_at))
    }

    /// The state after spending `current` at `now`.
    fn rotated(self, now: Timestamp) -> Self {
        Self {
            current: self.current.next(),
            parent: Some(self.current),
            grandparent: self.parent,
            rotated_at: Some(now),
            served_at: Some(now),
            ..self
        }
    }

    /// The state after a late parent: one generation further, the unused successor left behind.
    fn recovered(self, now: Timestamp) -> Self {
        Self { current: self.current.next(), rotated_at: Some(now), served_at: Some(now), ..self }
    }
}

/// What a presented refresh token buys. Acting on it is the service's job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Spend the token for the next generation.
    Rotate(RefreshState),
    /// The token is the current one and fresh: answer it again, write nothing.
    Coalesce,
    /// The token was just superseded: answer the current one and slide the window.
    Serve(RefreshState),
    /// The answer that carried the successor never arrived: replace and burn the successor.
    Recover(RefreshState),
    /// The request was overtaken by two rotations: answer the current token, write nothing.
    Overtaken,
    /// Two parties hold tokens of this session: end it.
    Reuse,
    /// The session ended by itself.
    Expired,
    /// The session was ended before.
    Revoked,
}

/// Decides what a presented, authentic refresh token buys.
///
/// `now` is the server's clock in milliseconds. Every input maps to a decision; store faults are the
/// caller's. The returned states leave `expires_at` as it was: extending the idle end is the
/// service's job, because only it knows the setting.
///
/// Source: RFC 9700 §4.14.2 (replay of an invalidated refresh token is detected and the active one
/// revoked), with one documented deviation: within W the token is not replaced.
#[must_use]
pub fn decide(
    state: &RefreshState,
    presented: Generation,
    now: Timestamp,
    policy: RefreshPolicy,
) -> Decision {
    if state.revoked_at.is_some() {
        return Decision::Revoked;
    }
    if state.ends_at() <= now {
        return Decision::Expired;
    }
    if presented == state.current {
        return match state.rotated_at {
            Some(rotated_at) if rotated_at >= policy.rotation_cutoff(now) => Decision::Coalesce,
            Some(_) | None => Decision::Rotate(state.rotated(now)),
        };
    }
    if policy.is_single_use() {
        return Decision::Reuse;
    }
    if Some(presented) == state.parent {
        return if is_window_open(state, now, policy) {
            Decision::Serve(RefreshState { served_at: state.served_at.max(Some(now)), ..*state })
        } else {
            Decision::Recover(state.recovered(now))
        };
    }
    if Some(presented) == state.grandparent
        && state.rotated_at.is_some_and(|at| now <= at.plus(policy.overtaken_window()))
    {
        return Decision::Overtaken;
    }
    Decision::Reuse
}

/// Whether the parent still gets the same successor.
fn is_window_open(state: &RefreshState, now: Timestamp, policy: RefreshPolicy) -> bool {
    let (Some(rotated_at), Some(served_at)) = (state.rotated_at, state.served_at) else {
        return false;
    };
    now <= served_at.plus(policy.window()).min(rotated_at.plus(SERVE_CAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: Duration = Duration::from_secs(30);
    const W_MS: u64 = 60_000;
    const T0: u64 = 1_700_000_000_000;

    fn policy() -> RefreshPolicy {
        RefreshPolicy::new(F)
    }

    fn at(millis_after_start: u64) -> Timestamp {
        Timestamp::from_millis(T0 + millis_after_start)
    }

    fn generation(number: u32) -> Generation {
        Generation::new(number).unwrap()
    }

    fn fresh() -> RefreshState {
        RefreshState::new(at(100_000_000), None)
    }

    fn rotate(state: RefreshState, now: Timestamp) -> RefreshState {
        let Decision::Rotate(next) = decide(&state, state.current, now, policy()) else {
            panic!("not rotated");
        };
        next
    }

    #[test]
    fn a_first_refresh_rotates_even_in_the_millisecond_of_creation() {
        let next = rotate(fresh(), at(0));
        assert_eq!(next.current, generation(2));
        assert_eq!(next.parent, Some(Generation::FIRST));
        assert_eq!(next.grandparent, None);
    }

    #[test]
    fn the_current_token_is_coalesced_up_to_w_and_rotates_one_millisecond_later() {
        let state = rotate(fresh(), at(0));
        let current = state.current;
        assert_eq!(decide(&state, current, at(W_MS), policy()), Decision::Coalesce);
        assert!(matches!(decide(&state, current, at(W_MS + 1), policy()), Decision::Rotate(_)));
    }

    #[test]
    fn the_parent_gets_the_same_successor_and_the_window_slides() {
        let state = rotate(fresh(), at(0));
        let parent = Generation::FIRST;
        let Decision::Serve(served) = decide(&state, parent, at(W_MS), policy()) else {
            panic!("window closed early");
        };
        assert_eq!(served.current, state.current);
        assert!(matches!(decide(&served, parent, at(2 * W_MS), policy()), Decision::Serve(_)));
        assert!(matches!(
            decide(&served, parent, at(2 * W_MS + 1), policy()),
            Decision::Recover(_)
        ));
    }

    #[test]
    fn sliding_stops_at_the_cap() {
        let mut state = rotate(fresh(), at(0));
        let cap = 600_000;
        for now in (W_MS..=cap).step_by(30_000) {
            let Decision::Serve(next) = decide(&state, Generation::FIRST, at(now), policy()) else {
                panic!("closed after {now} ms");
            };
            state = next;
        }
        let late = decide(&state, Generation::FIRST, at(cap + 1), policy());
        assert!(matches!(late, Decision::Recover(_)));
    }

    #[test]
    fn a_late_parent_is_recovered_and_its_unused_successor_is_burnt() {
        let state = rotate(fresh(), at(0));
        let burnt = state.current;
        let Decision::Recover(recovered) =
            decide(&state, Generation::FIRST, at(W_MS + 1), policy())
        else {
            panic!("not recovered");
        };
        assert_eq!(recovered.current, generation(3));
        assert_eq!(recovered.parent, Some(Generation::FIRST));
        assert_eq!(decide(&recovered, burnt, at(W_MS + 2), policy()), Decision::Reuse);
    }

    #[test]
    fn an_overtaken_grandparent_gets_the_current_token_up_to_g() {
        let state = rotate(rotate(fresh(), at(0)), at(W_MS + 1));
        let now = W_MS + 1 + 30_000;
        assert_eq!(decide(&state, Generation::FIRST, at(now), policy()), Decision::Overtaken);
        assert_eq!(decide(&state, Generation::FIRST, at(now + 1), policy()), Decision::Reuse);
    }

    #[test]
    fn a_generation_that_was_never_minted_is_reuse() {
        assert_eq!(decide(&fresh(), generation(7), at(0), policy()), Decision::Reuse);
    }

    #[test]
    fn without_a_flight_every_superseded_token_is_reuse_and_nothing_is_coalesced() {
        let single_use = RefreshPolicy::new(Duration::ZERO);
        let Decision::Rotate(state) = decide(&fresh(), Generation::FIRST, at(0), single_use) else {
            panic!("not rotated");
        };
        let again = decide(&state, state.current, at(0), single_use);
        assert!(matches!(again, Decision::Rotate(_)));
        assert_eq!(decide(&state, Generation::FIRST, at(0), single_use), Decision::Reuse);
    }

    #[test]
    fn a_session_is_alive_one_millisecond_before_its_end_and_over_at_it() {
        let state = RefreshState::new(at(1000), None);
        assert!(matches!(
            decide(&state, Generation::FIRST, at(999), policy()),
            Decision::Rotate(_)
        ));
        assert_eq!(decide(&state, Generation::FIRST, at(1000), policy()), Decision::Expired);
    }

    #[test]
    fn the_absolute_end_counts_even_when_the_idle_end_is_later() {
        let state = RefreshState::new(at(5000), Some(at(1000)));
        assert_eq!(decide(&state, Generation::FIRST, at(1000), policy()), Decision::Expired);
    }

    #[test]
    fn nothing_is_bought_from_a_tombstone() {
        let state = RefreshState { revoked_at: Some(at(0)), ..rotate(fresh(), at(0)) };
        for presented in 1..=3 {
            assert_eq!(decide(&state, generation(presented), at(1), policy()), Decision::Revoked);
        }
    }
}
