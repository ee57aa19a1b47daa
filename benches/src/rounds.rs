//! Contenders that take turns, and what comes of their times.
//!
//! The loop is our own because Criterion and divan measure one function after the other and only functions: here
//! processes take turns with functions, so that what disturbs the machine disturbs all alike.

use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Runs once and says how long one operation took, in nanoseconds.
pub type Turn<'a> = Box<dyn FnMut() -> anyhow::Result<f64> + 'a>;

/// One of those that are compared.
pub struct Contender<'a> {
    /// What the tables call it.
    pub name: String,
    turn: Turn<'a>,
    /// Nanoseconds of an operation, round by round.
    pub times: Vec<f64>,
}

impl<'a> Contender<'a> {
    /// Nothing has been measured yet.
    pub fn new(name: impl Into<String>, turn: impl FnMut() -> anyhow::Result<f64> + 'a) -> Self {
        Self { name: name.into(), turn: Box::new(turn), times: Vec::new() }
    }

    /// The middle of its times.
    pub fn median(&self) -> f64 {
        quantile(&self.times, 0.5)
    }

    /// How many times as long as the other it takes: round by round, so that what disturbed a round counts on
    /// both sides.
    pub fn ratio(&self, other: &Self) -> Spread {
        let pairs = self.times.iter().zip(&other.times);
        Spread::of(&pairs.map(|(own, other)| own / other).collect::<Vec<_>>())
    }

    /// How many nanoseconds longer than the other it takes.
    pub fn excess(&self, other: &Self) -> Spread {
        let pairs = self.times.iter().zip(&other.times);
        Spread::of(&pairs.map(|(own, other)| own - other).collect::<Vec<_>>())
    }
}

/// Lets all take turns, `rounds` times after one that does not count.
///
/// # Errors
///
/// The first that fails ends it.
pub fn take_turns(contenders: &mut [Contender<'_>], rounds: usize) -> anyhow::Result<()> {
    for round in 0..=rounds {
        for Contender { name, turn, times } in contenders.iter_mut() {
            let time = turn().with_context(|| format!("{name}, round {round}"))?;
            if round > 0 {
                times.push(time);
            }
        }
    }
    Ok(())
}

/// A figure of several rounds: the median, and between what half of the rounds lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The first quartile.
    pub low: f64,
    /// The third quartile.
    pub high: f64,
}

impl Spread {
    /// Of these figures.
    pub fn of(figures: &[f64]) -> Self {
        let at = |share| quantile(figures, share);
        Self { median: at(0.5), low: at(0.25), high: at(0.75) }
    }

    /// `1.12 (1.10–1.15)`.
    pub fn times(self) -> String {
        let Self { median, low, high } = self;
        let digits = if median < 10.0 { 2 } else { 1 };
        format!("{median:.digits$} ({low:.digits$}–{high:.digits$})")
    }
}

/// The figure below which a share of the figures lies; between two, in proportion. Not a number if there are none.
pub fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// How long something takes, and what comes of it.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = now();
    let done = work();
    (done, begun.elapsed())
}

/// An instant to measure from.
#[expect(clippy::disallowed_methods, reason = "durations are all that is measured here")]
pub fn now() -> Instant {
    Instant::now()
}

/// In nanoseconds.
pub fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_figures() {
        let figures = [4.0, 1.0, 3.0, 2.0];
        assert_eq!([0.0, 0.5, 1.0].map(|share| quantile(&figures, share)), [1.0, 2.5, 4.0]);
        assert_eq!(quantile(&[7.0], 0.9), 7.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn contenders_take_turns_and_are_compared_round_by_round() {
        let order = std::cell::RefCell::new(Vec::new());
        let slow = std::cell::Cell::new(0.0_f64);
        let contender = |name: &'static str, factor: f64| {
            let (order, slow) = (&order, &slow);
            Contender::new(name, move || {
                order.borrow_mut().push(name);
                slow.set(slow.get() + 1.0);
                // The machine becomes slower with each turn.
                Ok(factor * (slow.get() / 2.0).ceil())
            })
        };
        let mut both = [contender("a", 10.0), contender("b", 15.0)];
        take_turns(&mut both, 2).unwrap();
        assert_eq!(*order.borrow(), ["a", "b", "a", "b", "a", "b"]);
        assert_eq!(both[0].times, [20.0, 30.0], "the first round is not counted");
        assert_eq!(both[1].ratio(&both[0]), Spread { median: 1.5, low: 1.5, high: 1.5 });
        assert_eq!(both[1].excess(&both[0]).median, 12.5);
    }

    #[test]
    fn a_turn_that_fails_is_named() {
        let mut one = [Contender::new("broken", || anyhow::bail!("no key"))];
        let error = take_turns(&mut one, 3).unwrap_err();
        assert_eq!(format!("{error:#}"), "broken, round 0: no key");
    }
}
