//! The refresh rule: what a presented refresh token buys.
//!
//! No honest client is refused because answers were lost or late, tabs raced or a request was
//! repeated; and once two parties present tokens of one session, further than W apart, one of them
//! ends it soon. Let F be the longest flight of a refresh, from sending the request to storing its
//! answer. One answer a day may be stored later than that, by a page that stood still. With W = 2F:
//!
//! | Presented token | current minted at most W ago | later |
//! |---|---|---|
//! | current | [`Decision::Coalesce`]: the same token | [`Decision::Rotate`] |
//! | parent, twin | [`Decision::Serve`]: the current token | [`Decision::Recover`]: a new generation |
//! | the two before current, not displaced | serve | [`Decision::Reclaim`]: a new generation; all others are displaced |
//! | else remembered, not displaced | serve, if that mint moved the parent; if not, reclaim | reclaim |
//! | remembered, displaced | serve, if that mint moved the parent; if not, reuse | [`Decision::Reuse`]: the session ends |
//! | anything else | reuse | reuse |
//! | anything, without the session's device key | [`Decision::Unproved`]: nothing | nothing |
//!
//! *Parent* is the token that was exchanged for a new generation last. *Remembered* is what was minted
//! since the third last rotation. A mint *straddles* if the token it replaces was handed out at most W
//! before: both may be under way, so the replaced one is a *twin*, as are those before it in up to
//! [`CHAIN`] such mints in a row. A reclaim is for an answer that was stored late: where that does not
//! explain the token ([`Presented::may_be_late`]), and within [`RECLAIM_REST`] of another, it is reuse.

use std::time::Duration;

use super::ids::Generation;
use super::time::Timestamp;

/// How many straddling mints in a row leave twins. Each takes a lost answer and two requests, one
/// just before and one just after the end of a window; a thief who polls does the same.
pub const CHAIN: u8 = 3;

/// How many generations before the current one a request may name that was sent before the last mint.
const PREDECESSORS: u8 = 2;

/// How long after a reclaim there is no other. An honest client needs one for every answer that was
/// stored late; a thief and a victim who take turns need one for every turn.
pub const RECLAIM_REST: Duration = Duration::from_hours(24);

/// The bound of the refresh rule, derived from one setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshPolicy {
    flight: Duration,
}

impl RefreshPolicy {
    /// Longest flight that can be configured: twice what API Gateway allows a call.
    pub const MAX_FLIGHT: Duration = Duration::from_mins(1);

    /// `flight` is F, the longest time from sending a refresh to storing its answer; values above
    /// [`Self::MAX_FLIGHT`] are reduced to it. Zero means strict single use.
    #[must_use]
    pub fn new(flight: Duration) -> Self {
        Self { flight: flight.min(Self::MAX_FLIGHT) }
    }

    /// What suits access tokens of this life: F = 30 s, the longest call through API Gateway, but W is
    /// at most a tenth of the life, or thieves are within W of most refreshes by chance.
    #[must_use]
    pub fn for_life(access_token_life: Duration) -> Self {
        Self::new(Duration::from_secs(30).min(access_token_life / 20))
    }

    /// F.
    #[must_use]
    pub const fn flight(self) -> Duration {
        self.flight
    }

    /// W = 2F.
    #[must_use]
    pub fn window(self) -> Duration {
        self.flight.saturating_mul(2)
    }

    /// Whether every superseded token is reuse.
    #[must_use]
    pub const fn is_single_use(self) -> bool {
        self.flight.is_zero()
    }

    /// The current token rotates at `now` if it was minted before this instant.
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
    /// The one live generation, and the newest.
    pub current: Generation,
    /// The token that was exchanged for a new generation last; none before the first refresh.
    pub parent: Option<Generation>,
    /// What the last three rotations spent, newest first; what is older than all is forgotten.
    pub spent: [Option<Generation>; 3],
    /// A reclaim displaced every generation up to this one.
    pub displaced: Option<Generation>,
    /// Straddling mints in a row up to `current`: 0 to [`CHAIN`], or one more for any longer row.
    pub chain: u8,
    /// Whether the mint of `current` moved the parent.
    pub moved: bool,
    /// When `current` was minted; none before the first refresh, so that one always rotates.
    pub minted_at: Option<Timestamp>,
    /// When `current` was handed out last.
    pub answered_at: Option<Timestamp>,
    /// When there was a reclaim last.
    pub reclaimed_at: Option<Timestamp>,
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
            spent: [None; 3],
            displaced: None,
            chain: 0,
            moved: false,
            minted_at: None,
            answered_at: None,
            reclaimed_at: None,
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

    fn is_remembered(&self, token: Generation) -> bool {
        let [.., oldest] = self.spent;
        token < self.current && Some(token) >= oldest
    }

    /// Whether this token and the current one were under way together.
    fn is_twin(&self, token: Generation) -> bool {
        self.chain <= CHAIN && self.is_within(self.chain, token)
    }

    /// Whether this token is at most so many generations older than the current one.
    fn is_within(&self, generations: u8, token: Generation) -> bool {
        token.number().saturating_add(generations.into()) >= self.current.number()
    }

    /// The state after handing out the current token again.
    fn answered(self, now: Timestamp) -> Self {
        Self { answered_at: self.answered_at.max(Some(now)), ..self }
    }

    /// The state after spending the current token.
    pub(crate) fn rotated(self, now: Timestamp) -> Self {
        let [last, second, _] = self.spent;
        Self {
            current: self.current.next(),
            parent: Some(self.current),
            spent: [Some(self.current), last, second],
            chain: 0,
            moved: true,
            minted_at: Some(now),
            answered_at: Some(now),
            ..self
        }
    }

    /// The state after a token that is not current bought another generation.
    fn minted(self, presented: Generation, now: Timestamp, policy: RefreshPolicy) -> Self {
        let straddles = self.answered_at.is_some_and(|at| now <= at.plus(policy.window()));
        Self {
            current: self.current.next(),
            parent: Some(presented),
            chain: if straddles { CHAIN.min(self.chain) + 1 } else { 0 },
            moved: Some(presented) != self.parent,
            minted_at: Some(now),
            answered_at: Some(now),
            ..self
        }
    }
}

/// An authentic refresh token, as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Presented {
    /// Which one it is.
    pub generation: Generation,
    /// Whether its answer may have been stored late: a script stored it, not the browser by itself,
    /// and the script is that of the session's own browser as far as can be seen.
    pub may_be_late: bool,
    /// Whether the session needs no proof of a device key, or its own was proved.
    pub is_proved: bool,
}

/// What a presented refresh token buys. Acting on it is the service's job.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// Spend the token for the next generation.
    Rotate(RefreshState),
    /// The token is the current one and fresh: answer it again.
    Coalesce(RefreshState),
    /// The token was just superseded: answer the current one.
    Serve(RefreshState),
    /// The answer that carried the successor never arrived: replace the successor.
    Recover(RefreshState),
    /// An answer was stored late, over a newer one: go on from there, and displace all others.
    Reclaim(RefreshState),
    /// Two parties hold tokens of this session: end it.
    Reuse,
    /// Whoever presents it lacks the key of the session's device: nothing is bought, and nothing ends.
    Unproved,
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
/// revoked), with two documented deviations: a token that was just superseded is not yet invalid, and
/// one late answer a day is no replay.
#[must_use]
pub fn decide(
    state: &RefreshState,
    presented: Presented,
    now: Timestamp,
    policy: RefreshPolicy,
) -> Decision {
    let Presented { generation: token, may_be_late, is_proved } = presented;
    if state.revoked_at.is_some() {
        return Decision::Revoked;
    }
    if state.ends_at() <= now {
        return Decision::Expired;
    }
    if !is_proved {
        return Decision::Unproved;
    }
    let is_fresh = state.minted_at.is_some_and(|at| at >= policy.rotation_cutoff(now));
    if token == state.current {
        return if is_fresh {
            Decision::Coalesce(state.answered(now))
        } else {
            Decision::Rotate(state.rotated(now))
        };
    }
    if policy.is_single_use() || !state.is_remembered(token) {
        return Decision::Reuse;
    }
    let is_free = Some(token) == state.parent || state.is_twin(token);
    let is_displaced = !is_free && Some(token) <= state.displaced;
    let is_near = !is_displaced && state.is_within(PREDECESSORS, token);
    if is_fresh && (is_free || is_near || state.moved) {
        return Decision::Serve(state.answered(now));
    }
    let minted = state.minted(token, now, policy);
    if is_free {
        return Decision::Recover(minted);
    }
    let may_reclaim = state.reclaimed_at.is_none_or(|at| at.plus(RECLAIM_REST) < now);
    if may_be_late && may_reclaim && !is_displaced {
        let displaced = Some(state.current);
        return Decision::Reclaim(RefreshState { displaced, reclaimed_at: Some(now), ..minted });
    }
    Decision::Reuse
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: Duration = Duration::from_secs(30);
    const W_MS: u64 = 60_000;
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
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

    /// A token that came by header from the session's own browser.
    fn late(number: u32) -> Presented {
        Presented { generation: generation(number), may_be_late: true, is_proved: true }
    }

    /// A token that came by cookie.
    fn prompt(number: u32) -> Presented {
        Presented { generation: generation(number), may_be_late: false, is_proved: true }
    }

    fn new() -> RefreshState {
        RefreshState::new(at(100 * DAY_MS), None)
    }

    fn by(state: &RefreshState, presented: Presented, millis: u64) -> Decision {
        decide(state, presented, at(millis), policy())
    }

    /// What follows, and the decision's name.
    fn then(state: &RefreshState, presented: u32, millis: u64) -> (&'static str, RefreshState) {
        match by(state, late(presented), millis) {
            Decision::Rotate(next) => ("rotate", next),
            Decision::Coalesce(next) => ("coalesce", next),
            Decision::Serve(next) => ("serve", next),
            Decision::Recover(next) => ("recover", next),
            Decision::Reclaim(next) => ("reclaim", next),
            Decision::Reuse => ("reuse", *state),
            Decision::Unproved | Decision::Expired | Decision::Revoked => panic!("not in here"),
        }
    }

    /// The state after presenting these tokens at these milliseconds, with what each must buy.
    fn after(steps: &[(u32, u64, &str)]) -> RefreshState {
        steps.iter().fold(new(), |state, &(presented, millis, expected)| {
            let (decision, next) = then(&state, presented, millis);
            assert_eq!(decision, expected, "{presented} at {millis} ms in {state:?}");
            next
        })
    }

    #[test]
    fn a_first_refresh_rotates_even_in_the_millisecond_of_creation() {
        let state = after(&[(1, 0, "rotate")]);
        assert_eq!(state.current, generation(2));
        assert_eq!(state.parent, Some(generation(1)));
        assert_eq!(state.spent, [Some(generation(1)), None, None]);
    }

    #[test]
    fn the_current_token_is_coalesced_up_to_w_and_rotates_one_millisecond_later() {
        let state = after(&[(1, 0, "rotate"), (2, W_MS, "coalesce")]);
        assert_eq!(then(&state, 2, W_MS + 1).0, "rotate");
    }

    #[test]
    fn a_parent_is_served_up_to_w_after_the_mint_and_the_window_does_not_slide() {
        let state = after(&[(1, 0, "rotate"), (1, W_MS, "serve")]);
        assert_eq!(state.current, generation(2));
        assert_eq!(then(&state, 1, W_MS + 1).0, "recover");
    }

    #[test]
    fn whoever_hands_out_the_current_token_records_when_and_never_backwards() {
        for presented in [1, 2] {
            let (_, state) = then(&after(&[(1, 0, "rotate")]), presented, 10);
            assert_eq!(state.answered_at, Some(at(10)));
            let (_, state) = then(&state, presented, 5);
            assert_eq!(state.answered_at, Some(at(10)));
        }
    }

    #[test]
    fn what_was_under_way_together_is_a_twin_for_three_mints_in_a_row() {
        let mut state = after(&[(1, 0, "rotate")]);
        for mint in 1..=3 {
            let now = u64::from(mint) * (W_MS + 1);
            state = then(&state, 1, now - 1).1;
            state = then(&state, 1, now).1;
            assert_eq!(state.chain, mint);
            for twin in 2..=1 + u32::from(mint) {
                assert_eq!(then(&state, twin, now + W_MS + 1).0, "recover", "{twin}, {mint} mints");
            }
        }
        let now = 4 * (W_MS + 1);
        state = then(&state, 1, now - 1).1;
        state = then(&state, 1, now).1;
        assert_eq!(then(&state, 5, now + W_MS + 1).0, "reclaim");
    }

    #[test]
    fn a_successor_that_was_handed_out_long_before_is_no_twin() {
        let state = after(&[(1, 0, "rotate"), (1, W_MS + 1, "recover")]);
        assert_eq!(state.chain, 0);
        assert_eq!(by(&state, prompt(2), 2 * W_MS + 2), Decision::Reuse);
    }

    #[test]
    fn an_answer_that_was_stored_late_is_forgiven_and_displaces_all_others() {
        let state = after(&[(1, 0, "rotate"), (1, W_MS + 1, "recover"), (2, 3 * W_MS, "reclaim")]);
        assert_eq!(state.current, generation(4));
        assert_eq!(state.parent, Some(generation(2)));
        assert_eq!(then(&state, 3, 5 * W_MS).0, "reuse");
    }

    #[test]
    fn a_token_that_the_browser_stored_by_itself_cannot_be_late() {
        let state = after(&[(1, 0, "rotate"), (1, W_MS + 1, "recover")]);
        assert_eq!(by(&state, prompt(2), 3 * W_MS), Decision::Reuse);
        assert_eq!(then(&state, 2, 3 * W_MS).0, "reclaim");
    }

    #[test]
    fn a_second_reclaim_takes_a_day() {
        let state = after(&[
            (1, 0, "rotate"),
            (1, W_MS + 1, "recover"),
            (2, 3 * W_MS, "reclaim"),
            (2, 5 * W_MS, "recover"),
            (2, 7 * W_MS, "recover"),
        ]);
        assert_eq!(then(&state, 5, 3 * W_MS + DAY_MS).0, "reuse");
        assert_eq!(then(&state, 5, 3 * W_MS + DAY_MS + 1).0, "reclaim");
    }

    #[test]
    fn the_two_before_current_are_served_within_w_of_any_mint() {
        let state = after(&[(1, 0, "rotate"), (1, 2 * W_MS, "recover"), (1, 4 * W_MS, "recover")]);
        for (presented, expected) in [(3, "serve"), (2, "serve")] {
            assert_eq!(then(&state, presented, 4 * W_MS + 1).0, expected);
        }
    }

    #[test]
    fn an_older_one_is_served_within_w_of_a_mint_that_moved_the_parent() {
        let recovered = [(1, 0, "rotate"), (1, 2 * W_MS, "recover"), (1, 4 * W_MS, "recover")];
        let rotated = after(&[&recovered[..], &[(4, 6 * W_MS, "rotate")]].concat());
        assert_eq!(then(&rotated, 2, 7 * W_MS).0, "serve");
        let stayed = after(&[&recovered[..], &[(1, 6 * W_MS, "recover")]].concat());
        assert_eq!(then(&stayed, 2, 7 * W_MS).0, "reclaim");
        assert_eq!(by(&stayed, prompt(2), 7 * W_MS), Decision::Reuse);
    }

    #[test]
    fn what_is_older_than_three_rotations_is_forgotten() {
        let rotation = |number: u32| (number, 2 * W_MS * u64::from(number), "rotate");
        let state = after(&(1..=4).map(rotation).collect::<Vec<_>>());
        assert_eq!(then(&state, 2, 8 * W_MS).0, "serve");
        assert_eq!(then(&state, 2, 10 * W_MS).0, "reclaim");
        assert_eq!(then(&state, 1, 8 * W_MS).0, "reuse");
    }

    #[test]
    fn a_generation_that_was_never_minted_is_reuse() {
        assert_eq!(by(&new(), late(7), 0), Decision::Reuse);
    }

    #[test]
    fn without_a_flight_every_superseded_token_is_reuse_and_nothing_is_coalesced() {
        let single_use = RefreshPolicy::new(Duration::ZERO);
        let Decision::Rotate(state) = decide(&new(), late(1), at(0), single_use) else {
            panic!("not rotated");
        };
        assert!(matches!(decide(&state, late(2), at(0), single_use), Decision::Rotate(_)));
        assert_eq!(decide(&state, late(1), at(0), single_use), Decision::Reuse);
    }

    #[test]
    fn a_session_is_alive_one_millisecond_before_its_end_and_over_at_it() {
        let state = RefreshState::new(at(1000), None);
        assert!(matches!(by(&state, late(1), 999), Decision::Rotate(_)));
        assert_eq!(by(&state, late(1), 1000), Decision::Expired);
    }

    #[test]
    fn the_absolute_end_counts_even_when_the_idle_end_is_later() {
        let state = RefreshState::new(at(5000), Some(at(1000)));
        assert_eq!(by(&state, late(1), 1000), Decision::Expired);
    }

    #[test]
    fn nothing_is_bought_from_a_tombstone() {
        let state = RefreshState { revoked_at: Some(at(0)), ..after(&[(1, 0, "rotate")]) };
        for presented in 1..=3 {
            assert_eq!(by(&state, late(presented), 1), Decision::Revoked);
        }
    }

    #[test]
    fn whoever_lacks_the_devices_key_buys_nothing_and_ends_nothing() {
        let state =
            after(&[(1, 0, "rotate"), (2, W_MS + 1, "rotate"), (3, 2 * W_MS + 2, "rotate")]);
        let presented = |number| Presented { is_proved: false, ..late(number) };
        for number in 1..=9 {
            for millis in [2 * W_MS + 2, 2 * W_MS + 3, 3 * W_MS + 3, 9 * DAY_MS] {
                assert_eq!(by(&state, presented(number), millis), Decision::Unproved);
            }
        }
        let over = RefreshState { revoked_at: Some(at(0)), ..state };
        assert_eq!(by(&over, presented(4), 1), Decision::Revoked);
    }

    #[test]
    fn the_default_flight_is_30_s_or_a_twentieth_of_an_access_tokens_life() {
        for (life, flight) in [(3600, 30), (600, 30), (300, 15), (60, 3)] {
            let policy = RefreshPolicy::for_life(Duration::from_secs(life));
            assert_eq!(policy.flight(), Duration::from_secs(flight));
        }
    }
}
