//! How soon a thief is noticed: many simulated thefts, on the decision that ships.
//!
//! A thief copies the token that the victim holds, at any moment between two of its refreshes. The
//! victim refreshes about every 15 minutes. Counted are the victim's refreshes from the theft until one
//! of the two is refused and the session ends; 0 if that is before the first.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use session::model::{Decision, Generation, RefreshPolicy, RefreshState, Timestamp, decide};

use crate::{Claim, Size};

/// Where the table is kept.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/theft-detection.md");

/// Around the table in there.
const BEGIN: &str = "<!-- measured by `prove theft` -->";
const END: &str = "<!-- end -->";

/// The same thefts every time.
const SEED: u64 = 7;

/// Milliseconds between two refreshes of the victim, on average, less 10 % and up to 30 % more.
const PERIOD: u64 = 900_000;

/// Between a refresh of the victim and the shadow's, and between two polls.
const STEP: Duration = Duration::from_secs(10);

/// After so many refreshes of the victim a thief counts as not noticed: two days.
const PATIENCE: usize = 200;

/// How a thief goes about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Thief {
    /// Refreshes as often as the victim does, with the newest token it has.
    OncePerPeriod,
    /// Presents the newest token it has, every [`STEP`].
    Polling,
    /// Presents the token before the newest, every [`STEP`], to keep the window open.
    PollingBehind,
    /// Refreshes [`STEP`] after every refresh of the victim: within the window, like a second tab.
    Shadowing,
}

impl Thief {
    const ALL: [Self; 4] =
        [Self::OncePerPeriod, Self::Polling, Self::PollingBehind, Self::Shadowing];

    const fn text(self) -> &'static str {
        match self {
            Self::OncePerPeriod => "refreshes once per period",
            Self::Polling => "presents its newest token every 10 s",
            Self::PollingBehind => "presents the token before its newest every 10 s",
            Self::Shadowing => "refreshes 10 s after every refresh of the victim",
        }
    }
}

/// Gathers the evidence; keeps the table in docs/theft-detection.md at the smaller size.
pub fn run(size: Size) -> anyhow::Result<Vec<Claim>> {
    let thefts = match size {
        Size::Ci => 1_000_000,
        Size::Full => 20_000_000,
    };
    let rows = Thief::ALL.map(|thief| Row::measure(thief, thefts));
    let table = table(&rows, thefts);
    println!("{table}");
    let mut claims: Vec<_> = rows.iter().map(Row::claim).collect();
    if size == Size::Ci {
        claims.push(keep(&table)?);
    }
    Ok(claims)
}

/// One session on the decision that ships.
struct Session {
    state: RefreshState,
    policy: RefreshPolicy,
}

impl Session {
    /// One that was refreshed just now.
    fn rotated(now: Timestamp) -> Self {
        let state = RefreshState::new(Timestamp::from_millis(u64::MAX), None);
        let mut session = Self { state, policy: RefreshPolicy::new(Duration::from_secs(30)) };
        session.refresh(Generation::FIRST, now);
        session
    }

    /// What `presented` is answered with; nothing if the session ends.
    fn refresh(&mut self, presented: Generation, now: Timestamp) -> Option<Generation> {
        match decide(&self.state, presented, now, self.policy) {
            Decision::Rotate(next) | Decision::Serve(next) | Decision::Recover(next) => {
                self.state = next;
            }
            Decision::Coalesce | Decision::Overtaken => {}
            Decision::Reuse | Decision::Expired | Decision::Revoked => return None,
        }
        Some(self.state.current)
    }
}

/// One theft: how often the victim refreshed until it was noticed, or `None`.
fn steal(thief: Thief, rng: &mut StdRng) -> Option<usize> {
    let pause = |rng: &mut StdRng| {
        Duration::from_millis(rng.random_range(PERIOD * 9 / 10..=PERIOD * 13 / 10))
    };
    let start = Timestamp::from_secs(1_000_000_000);
    let mut session = Session::rotated(start);
    let mut victim = session.state.current;
    let mut victim_next = start.plus(pause(rng));
    let mut newest = victim;
    let mut before = victim;
    let mut thief_next = match thief {
        Thief::Shadowing => victim_next.plus(STEP),
        Thief::OncePerPeriod | Thief::Polling | Thief::PollingBehind => {
            start.plus(Duration::from_millis(rng.random_range(0..PERIOD)))
        }
    };
    let mut refreshes = 0;
    while refreshes < PATIENCE {
        if victim_next <= thief_next {
            refreshes += 1;
            let Some(token) = session.refresh(victim, victim_next) else { return Some(refreshes) };
            victim = token;
            victim_next = victim_next.plus(pause(rng));
        } else {
            let presented = if thief == Thief::PollingBehind { before } else { newest };
            let Some(token) = session.refresh(presented, thief_next) else {
                return Some(refreshes);
            };
            if token != newest {
                (before, newest) = (newest, token);
            }
            thief_next = match thief {
                Thief::OncePerPeriod => thief_next.plus(pause(rng)),
                Thief::Polling | Thief::PollingBehind => thief_next.plus(STEP),
                Thief::Shadowing => victim_next.plus(STEP),
            };
        }
    }
    None
}

/// What many thefts of one kind have shown.
struct Row {
    thief: Thief,
    thefts: usize,
    /// How many were noticed after so many refreshes.
    noticed_after: [usize; PATIENCE + 1],
}

impl Row {
    fn measure(thief: Thief, thefts: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(SEED);
        let mut noticed_after = [0; PATIENCE + 1];
        for _ in 0..thefts {
            if let Some(refreshes) = steal(thief, &mut rng) {
                noticed_after[refreshes] += 1;
            }
        }
        Self { thief, thefts, noticed_after }
    }

    fn noticed(&self) -> usize {
        self.noticed_after.iter().sum()
    }

    /// After how many refreshes so many per cent of the noticed thefts were noticed.
    fn percentile(&self, percent: usize) -> Option<usize> {
        let wanted = (self.noticed() * percent).div_ceil(100);
        let mut seen = 0;
        let reaches = |count: &usize| {
            seen += count;
            seen > 0 && seen >= wanted
        };
        self.noticed_after.iter().position(reaches)
    }

    fn percent(&self, thefts: usize) -> f64 {
        100.0 * thefts as f64 / self.thefts as f64
    }

    fn claim(&self) -> Claim {
        let text = self.thief.text();
        let (Some(median), Some(p99), Some(max)) =
            (self.percentile(50), self.percentile(99), self.percentile(100))
        else {
            let text = format!("a thief who {text} is not noticed: the stated limit");
            return Claim { text, holds: self.thief == Thief::Shadowing };
        };
        Claim {
            text: format!(
                "a thief who {text} is noticed after refresh {median} of the victim (median), {p99} \
                 (99 %), {max} (most), {:.2} % never",
                self.percent(self.thefts - self.noticed())
            ),
            holds: median <= 1 && p99 <= 4 && self.noticed() == self.thefts,
        }
    }
}

fn table(rows: &[Row], thefts: usize) -> String {
    let mut table = format!(
        "{thefts} thefts each, seed {SEED}\n\n\
         | A thief who | at the first | median | 99 % | most | never |\n|---|--:|--:|--:|--:|--:|\n"
    );
    for row in rows {
        let number = |percent| row.percentile(percent).map_or("–".to_owned(), |n| n.to_string());
        let _ = writeln!(
            table,
            "| {} | {:.1} % | {} | {} | {} | {:.2} % |",
            row.thief.text(),
            row.percent(row.noticed_after[..=1].iter().sum()),
            number(50),
            number(99),
            number(100),
            row.percent(row.thefts - row.noticed())
        );
    }
    table
}

/// Compares with the table in the document and writes it there if it differs.
fn keep(table: &str) -> anyhow::Result<Claim> {
    let document = fs::read_to_string(DOCUMENT).context("docs/theft-detection.md")?;
    let (head, rest) = document.split_once(BEGIN).context("no begin of the table")?;
    let (old, tail) = rest.split_once(END).context("no end of the table")?;
    let holds = old.trim() == table.trim();
    if !holds {
        let new = format!("{head}{BEGIN}\n{}\n{END}{tail}", table.trim());
        fs::write(DOCUMENT, new).context("docs/theft-detection.md")?;
    }
    let text = if holds { "has this table" } else { "had another table; it was replaced" };
    Ok(Claim { text: format!("docs/theft-detection.md {text}"), holds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_thefts() {
        let measure = || Row::measure(Thief::OncePerPeriod, 100).noticed_after;
        assert_eq!(measure(), measure());
    }

    #[test]
    fn thieves_are_noticed_and_the_shadow_is_not() {
        for thief in Thief::ALL {
            let row = Row::measure(thief, 1000);
            assert!(row.claim().holds, "{}", row.claim().text);
            assert_eq!(row.noticed() == 0, thief == Thief::Shadowing);
        }
    }

    #[test]
    fn percentiles_are_of_the_noticed() {
        let mut row = Row::measure(Thief::Shadowing, 200);
        assert_eq!(row.percentile(50), None);
        row.noticed_after[1] = 98;
        row.noticed_after[3] = 1;
        row.noticed_after[7] = 1;
        assert_eq!(
            [50, 99, 100].map(|percent| row.percentile(percent)),
            [Some(1), Some(3), Some(7)]
        );
        assert_eq!(row.noticed(), 100);
    }
}
