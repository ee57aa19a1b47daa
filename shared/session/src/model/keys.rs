//! The life of keys: which one signs, which ones are believed, and when the next is due.
//!
//! The keys of one kind stand in a line. A key is published a while before it signs, signs until its
//! successor does, and is believed until the last token that it signed has expired:
//!
//! ```text
//!              published       signs from        signs until       accepted until
//!   predecessor ── active ───────────┤── retiring ────┤
//!   key              ├───── next ────┼──── active ────┼── retiring ───────┤ removed
//!                        LEAD                            token life + LEAD
//! ```
//!
//! All of that is decided when a successor is published, and written beside the keys as instants.
//! From then on every process reads off its own clock what a key is: nothing has to be written, and
//! nothing to be noticed, at the moment one key takes over from another. A process only has to read
//! the table once between publication and first signature, and [`LEAD`] is far longer than anything
//! caches keys.
//!
//! Signing keys and the master keys of refresh tokens follow the same rule; for a master key, to sign
//! is to mint.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// How old the keys that a process has loaded may become before it reads them again.
pub const MAX_AGE: Duration = Duration::from_mins(5);

/// How often a key that a process does not know may cause it to read, because a token can name
/// anything.
pub const UNKNOWN_KEY_COOLDOWN: Duration = Duration::from_secs(10);

/// How long whoever reads the key set by HTTP may keep it.
pub const MAX_CACHING: Duration = Duration::from_mins(30);

/// How long API Gateway's own JWT authorizers keep a key set, whatever it says about caching.
pub const API_GATEWAY_CACHING: Duration = Duration::from_hours(2);

/// From publication to first signature, and from the expiry of the last token to removal.
///
/// Longer than all caches between the table and a verifier, one behind the other: the function that
/// publishes, a proxy that caches, API Gateway. What is left over is for clocks that differ and for a
/// table that cannot be read for a while.
pub const LEAD: Duration = Duration::from_hours(3);

/// From publication to first signature after a revocation. Longer than [`UNKNOWN_KEY_COOLDOWN`], so
/// that a process which meets the new key finds it, however recently it was made to read in vain.
pub const URGENT_LEAD: Duration = Duration::from_secs(30);

/// How many master keys may be in use at once. A refresh token names its key by one byte, 0 being none;
/// what is left is for revocations, which must find a number however full the line is.
pub const MAX_MASTER_KEYS: usize = 240;

/// How many keys of a line are believed at once, at most, if the clock alone makes successors.
#[must_use]
pub fn believed_at_once(interval: Duration, token_ttl: Duration) -> u64 {
    let life = interval + token_ttl + LEAD * 2;
    life.as_secs() / interval.as_secs().max(1) + 1
}

/// How long a revoked signing key is still believed: as long as there may be processes that have not
/// read of it and sign with it. Refusing their tokens would send honest clients round in circles.
pub const REVOKED_ACCEPTANCE: Duration = Duration::from_mins(6);

const _: () = {
    let caches = MAX_AGE.as_secs() + MAX_CACHING.as_secs() + API_GATEWAY_CACHING.as_secs();
    assert!(caches < LEAD.as_secs());
    assert!(UNKNOWN_KEY_COOLDOWN.as_secs() < URGENT_LEAD.as_secs());
    assert!(MAX_AGE.as_secs() + URGENT_LEAD.as_secs() < REVOKED_ACCEPTANCE.as_secs());
};

/// The instants of one key's life, milliseconds since the epoch where stored.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyLife {
    /// When it was written to the table; it is accepted from then on, because clocks differ and a key
    /// that does not sign yet has signed nothing that could be wrong.
    pub published_at: Timestamp,
    /// When it begins to sign.
    pub signs_from: Timestamp,
    /// When its successor takes over; `None` as long as there is none.
    pub signs_until: Option<Timestamp>,
    /// The first instant at which it is not accepted any more; `None` as long as it has no successor.
    pub accepted_until: Option<Timestamp>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// What a key is at an instant.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published; does not sign yet.
    Next,
    /// Signs.
    Active,
    /// Signs no more; what it signed is still believed.
    Retiring,
    /// Nothing of it is believed.
    Removed,
}

impl KeyLife {
    /// A key that is written at `published_at` and signs from `signs_from` until it gets a successor.
    #[must_use]
    pub const fn new(published_at: Timestamp, signs_from: Timestamp) -> Self {
        Self { published_at, signs_from, signs_until: None, accepted_until: None, revoked_at: None }
    }

    /// What the key is at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> KeyState {
        if !self.is_accepted(now) {
            KeyState::Removed
        } else if self.has_stopped(now) {
            KeyState::Retiring
        } else if now < self.signs_from {
            KeyState::Next
        } else {
            KeyState::Active
        }
    }

    /// Whether what it signed is believed at `now`.
    #[must_use]
    pub fn is_accepted(&self, now: Timestamp) -> bool {
        self.accepted_until.is_none_or(|end| now < end)
    }

    fn has_stopped(&self, now: Timestamp) -> bool {
        self.signs_until.is_some_and(|end| end <= now)
    }

    /// Stops at `at`, and is believed until what it signed has expired.
    fn stop(&mut self, at: Timestamp, policy: RotationPolicy) {
        self.signs_until = Some(at);
        self.accepted_until = Some(at.plus(policy.token_ttl).plus(LEAD));
    }
}

/// The key of a line that signs at `now`: the oldest that has not stopped.
///
/// That is also right for a process whose clock is behind the one that made the first key. `None` only
/// for a line without keys.
pub fn signer<'a, K>(
    line: impl IntoIterator<Item = (&'a KeyLife, K)>,
    now: Timestamp,
) -> Option<K> {
    let signing = line.into_iter().filter(|(life, _)| !life.has_stopped(now));
    signing.min_by_key(|(life, _)| life.signs_from).map(|(_, key)| key)
}

/// How long a key set may be cached at `now`: never so long that a key could sign before everybody has
/// seen it, and never past the instant at which one of the set is to be believed no more. A second at
/// least.
#[must_use]
pub fn caching<'a>(set: impl IntoIterator<Item = &'a KeyLife>, now: Timestamp) -> Duration {
    let ends = set.into_iter().filter_map(|life| life.accepted_until);
    let next = ends.filter(|end| now < *end).map(|end| now.until(end)).min();
    next.unwrap_or(MAX_CACHING).clamp(Duration::from_secs(1), MAX_CACHING)
}

/// What is asked of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Demand {
    /// Whatever is due by the clock.
    Nothing,
    /// A successor now, published as long before it signs as any.
    Successor,
    /// The key at this position must not be believed any longer than is inevitable.
    Revocation(usize),
}

/// How the keys of one kind follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RotationPolicy {
    /// How long a key signs; `None` if only commands end it. Longer than [`LEAD`].
    pub interval: Option<Duration>,
    /// The longest life of what it signs.
    pub token_ttl: Duration,
    /// How long a revoked key is still believed.
    pub revoked_acceptance: Duration,
}

impl RotationPolicy {
    /// Brings a line, oldest key first, to where it should be at `now`, and returns the life of the key
    /// that has to be added, if one has to.
    ///
    /// Doing it again changes nothing, with whatever demand. A demand for a successor is met if one is
    /// published already.
    #[must_use]
    pub fn advance(self, line: &mut [KeyLife], demand: Demand, now: Timestamp) -> Option<KeyLife> {
        // A token life that was made longer applies to what was signed since.
        for life in line.iter_mut().filter(|life| life.revoked_at.is_none()) {
            if let (Some(stops_at), true) = (life.signs_until, life.is_accepted(now)) {
                let end = stops_at.plus(self.token_ttl).plus(LEAD);
                life.accepted_until = life.accepted_until.max(Some(end));
            }
        }
        if let Demand::Revocation(position) = demand {
            return self.revoke(line, position, now);
        }
        let Some(newest) = line.iter_mut().find(|life| life.signs_until.is_none()) else {
            // The first key is needed now, and nobody can have cached a set without it.
            return Some(KeyLife::new(now, now));
        };
        let due_at = self.interval.map(|interval| newest.signs_from.plus(interval));
        let is_due = demand == Demand::Successor || due_at.is_some_and(|due| due <= now.plus(LEAD));
        if newest.signs_from > now || !is_due {
            return None;
        }
        let successor = KeyLife::new(now, now.plus(LEAD));
        newest.stop(successor.signs_from, self);
        Some(successor)
    }

    fn revoke(self, line: &mut [KeyLife], position: usize, now: Timestamp) -> Option<KeyLife> {
        let revoked = line.get_mut(position)?;
        if revoked.revoked_at.is_some() {
            return None;
        }
        self.end(revoked, now);
        if revoked.has_stopped(now) {
            return None;
        }
        // Whatever waits to sign goes too: it lay in the same place. Processes that do not know yet may
        // sign with it for a while, so it is believed for as long as the revoked one.
        for next in line.iter_mut().filter(|life| life.signs_from > now) {
            self.end(next, now);
            next.signs_until = Some(now);
        }
        let signing = line.iter_mut().find(|life| !life.has_stopped(now))?;
        if signing.revoked_at.is_none() {
            // Only what waited was revoked. Its predecessor goes on and has no end again.
            (signing.signs_until, signing.accepted_until) = (None, None);
            return None;
        }
        let successor = KeyLife::new(now, now.plus(URGENT_LEAD));
        signing.signs_until = Some(successor.signs_from);
        // It signs until then, so it is believed until then.
        signing.accepted_until = signing.accepted_until.max(signing.signs_until);
        Some(successor)
    }

    /// Marks a key as revoked and brings its end forward.
    fn end(self, life: &mut KeyLife, now: Timestamp) {
        let end = now.plus(self.revoked_acceptance);
        life.revoked_at = life.revoked_at.or(Some(now));
        life.accepted_until = Some(life.accepted_until.map_or(end, |earlier| earlier.min(end)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const DAY: Duration = Duration::from_hours(24);

    fn policy() -> RotationPolicy {
        RotationPolicy {
            interval: Some(DAY),
            token_ttl: Duration::from_hours(1),
            revoked_acceptance: REVOKED_ACCEPTANCE,
        }
    }

    /// A line that only grows, so that a position names a key.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Line(Vec<KeyLife>);

    impl Line {
        fn advance(&mut self, demand: Demand, now: Timestamp) -> bool {
            self.follow(policy(), demand, now)
        }

        fn follow(&mut self, policy: RotationPolicy, demand: Demand, now: Timestamp) -> bool {
            let before = self.clone();
            let successor = policy.advance(&mut self.0, demand, now);
            self.0.extend(successor);
            *self != before
        }

        fn signer(&self, now: Timestamp) -> usize {
            signer(self.0.iter().zip(0..), now).expect("a line always has a signer")
        }

        fn states(&self, now: Timestamp) -> Vec<KeyState> {
            self.0.iter().map(|life| life.state(now)).collect()
        }
    }

    fn first() -> Line {
        let mut line = Line::default();
        assert!(line.advance(Demand::Nothing, START));
        line
    }

    #[test]
    fn the_first_key_signs_at_once() {
        let line = first();
        assert_eq!(line.states(START), [KeyState::Active]);
        assert_eq!(
            line.signer(START.minus(Duration::from_secs(5))),
            0,
            "for a clock that is behind"
        );
    }

    #[test]
    fn a_key_is_next_then_active_then_retiring_then_removed() {
        use KeyState::{Active, Next, Removed, Retiring};
        let mut line = first();
        let published = START.plus(DAY).minus(LEAD);
        assert!(!line.advance(Demand::Nothing, published.minus(Duration::from_millis(1))));
        assert!(line.advance(Demand::Nothing, published));
        let switch = START.plus(DAY);
        let end = switch.plus(policy().token_ttl).plus(LEAD);
        let before = |at: Timestamp| at.minus(Duration::from_millis(1));
        for (now, states) in [
            (published, [Active, Next]),
            (before(switch), [Active, Next]),
            (switch, [Retiring, Active]),
            (before(end), [Retiring, Active]),
            (end, [Removed, Active]),
        ] {
            assert_eq!(line.states(now), states, "{now}");
        }
        assert_eq!((line.signer(before(switch)), line.signer(switch)), (0, 1));
    }

    #[test]
    fn a_rotation_that_is_late_keeps_the_lead() {
        let mut line = first();
        let late = START.plus(DAY * 30);
        assert!(line.advance(Demand::Nothing, late));
        assert_eq!(line.0[1].signs_from, late.plus(LEAD));
        assert!(!line.advance(Demand::Nothing, late.plus(Duration::from_hours(1))));
        assert!(!line.advance(Demand::Successor, late.plus(Duration::from_hours(2))));
    }

    #[test]
    fn without_an_interval_only_commands_rotate() {
        let by_command = RotationPolicy { interval: None, ..policy() };
        let mut line = first();
        assert!(!line.follow(by_command, Demand::Nothing, START.plus(DAY * 3650)));
        assert!(line.follow(by_command, Demand::Successor, START.plus(DAY)));
    }

    #[test]
    fn a_revoked_key_is_replaced_in_seconds_and_believed_for_minutes() {
        let mut line = first();
        let now = START.plus(DAY / 2);
        assert!(line.advance(Demand::Revocation(0), now));
        assert_eq!(line.signer(now), 0, "nobody can verify with the new key yet");
        assert_eq!(line.signer(now.plus(URGENT_LEAD)), 1);
        assert!(line.0[0].is_accepted(now.plus(MAX_AGE + URGENT_LEAD)));
        assert!(!line.0[0].is_accepted(now.plus(REVOKED_ACCEPTANCE)));
        assert!(!line.advance(Demand::Revocation(0), now.plus(Duration::from_secs(10))));
        assert!(!line.advance(Demand::Nothing, now.plus(Duration::from_hours(1))));
    }

    #[test]
    fn a_key_that_waits_goes_with_the_one_that_is_revoked() {
        let mut line = first();
        let now = START.plus(DAY).minus(LEAD);
        assert!(line.advance(Demand::Nothing, now));
        assert!(line.advance(Demand::Revocation(0), now));
        assert_eq!(line.signer(now.plus(URGENT_LEAD)), 2);
        assert_eq!(line.signer(now.plus(LEAD)), 2, "the key that waited never signs");
        assert!(!line.0[1].is_accepted(now.plus(REVOKED_ACCEPTANCE)));
    }

    #[test]
    fn if_only_the_key_that_waits_is_revoked_its_predecessor_goes_on() {
        let mut line = first();
        let now = START.plus(DAY).minus(LEAD);
        assert!(line.advance(Demand::Nothing, now));
        assert!(line.advance(Demand::Revocation(1), now));
        assert_eq!(line.0.len(), 2);
        assert_eq!(line.signer(now.plus(LEAD)), 0);
        assert_eq!(line.0[0].accepted_until, None);
        assert!(line.advance(Demand::Nothing, now.plus(Duration::from_hours(1))), "another is due");
        assert_eq!(line.signer(now.plus(LEAD + Duration::from_hours(1))), 2);
    }

    #[test]
    fn a_successor_that_is_revoked_before_it_signs_is_replaced_too() {
        let mut line = first();
        assert!(line.advance(Demand::Revocation(0), START));
        let now = START.plus(Duration::from_secs(10));
        assert!(line.advance(Demand::Revocation(1), now));
        assert_eq!(line.signer(now.plus(URGENT_LEAD)), 2);
    }

    #[test]
    fn a_longer_token_life_holds_for_a_key_that_still_signs() {
        let mut line = first();
        let published = START.plus(DAY).minus(LEAD);
        assert!(line.advance(Demand::Nothing, published));
        let longer = RotationPolicy { token_ttl: DAY, ..policy() };
        assert!(line.follow(longer, Demand::Nothing, START.plus(DAY)));
        assert!(line.0[0].is_accepted(START.plus(DAY * 2)));
    }

    #[test]
    fn caching_ends_where_a_key_does() {
        let mut line = first();
        let lives = |line: &Line| line.0.clone();
        assert_eq!(caching(&lives(&line), START), MAX_CACHING);
        assert!(line.advance(Demand::Revocation(0), START));
        assert_eq!(caching(&lives(&line), START), REVOKED_ACCEPTANCE);
        let end = START.plus(REVOKED_ACCEPTANCE);
        assert_eq!(caching(&lives(&line), end.minus(Duration::from_millis(1))).as_secs(), 1);
        assert_eq!(caching(&lives(&line), end), MAX_CACHING);
    }

    /// What may happen between two looks at a line.
    fn happening() -> impl Strategy<Value = (u64, Demand, bool)> {
        let demand = prop_oneof![
            16 => Just(Demand::Nothing),
            2 => Just(Demand::Successor),
            1 => (0_usize..12).prop_map(Demand::Revocation),
        ];
        (0..3_600_000_u64, demand, proptest::bool::weighted(0.02))
    }

    proptest! {
        /// Signers, verifiers and caches that hold what was in the table at any permitted time before,
        /// while a rotator runs at least once an hour, commands come in, and tokens are given longer
        /// lives now and then.
        #[test]
        fn whatever_is_signed_within_the_permitted_ages_is_believed_until_it_expires(
            script in prop::collection::vec(happening(), 1..300),
            fraction in 0.0..1.0_f64,
        ) {
            let mut now = START;
            let mut policy = RotationPolicy { interval: Some(Duration::from_hours(6)), ..policy() };
            let mut line = first();
            // What was in the table from when on, and which tokens are out: signer and expiry.
            let mut past: Vec<(Timestamp, Line)> = Vec::new();
            let mut tokens: Vec<(usize, Timestamp)> = Vec::new();
            for (millis, demand, is_longer) in script {
                if is_longer {
                    policy.token_ttl += Duration::from_hours(5);
                }
                line.follow(policy, demand, now);
                prop_assert!(!line.follow(policy, demand, now), "doing it again changes nothing");
                past.push((now, line.clone()));
                let next = now.plus(Duration::from_millis(millis));
                let at = now.plus(now.until(next).mul_f64(fraction));
                let loaded_since = |age: Duration| {
                    let oldest = past.iter().rposition(|(written, _)| written.plus(age) <= at);
                    past[oldest.unwrap_or(0)..].iter().map(|(_, line)| line)
                };
                let is_calm = |age: Duration| {
                    let since = at.minus(age);
                    line.0.iter().all(|life| life.revoked_at.is_none_or(|revoked| revoked < since))
                };
                tokens.retain(|(_, expires_at)| at < *expires_at);
                for signing in loaded_since(MAX_AGE) {
                    let key = signing.signer(at);
                    prop_assert!(line.0[key].is_accepted(at), "{at}: {key} signs unbelieved");
                    tokens.push((key, at.plus(policy.token_ttl)));
                    // Everybody has seen it, unless keys had to change in a hurry.
                    let ages = MAX_AGE + MAX_CACHING + API_GATEWAY_CACHING;
                    for seen in loaded_since(ages) {
                        prop_assert!(key < seen.0.len() || !is_calm(LEAD * 2), "{at}: {key} is unseen");
                    }
                }
                for (key, expires_at) in &tokens {
                    let life = &line.0[*key];
                    let is_believed = life.is_accepted(at) || life.revoked_at.is_some();
                    prop_assert!(is_believed, "{at}: {key} has tokens until {expires_at}");
                }
                let revoked = line.0.iter().filter(|life| life.revoked_at.is_some());
                for life in revoked {
                    let revoked_at = life.revoked_at.unwrap_or(at);
                    let end = revoked_at.plus(REVOKED_ACCEPTANCE + URGENT_LEAD);
                    prop_assert!(!life.is_accepted(end.max(at)), "a revoked key goes on");
                }
                now = next;
            }
        }
    }
}
