//! How soon a thief is noticed: many simulated thefts, on the decision that ships.
//!
//! A thief copies the token that the victim holds, at any moment between two of its refreshes. The
//! victim refreshes about once in the life of an access token. Counted are the victim's refreshes from
//! the theft until one of the two is refused and the session ends, and until nothing that the thief
//! holds buys anything any more; 0 if that is before the first.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use session::model::{
    Decision, Generation, Presented, RefreshPolicy, RefreshState, Timestamp, decide,
};

use crate::{Claim, Size};

/// Where the tables are kept.
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/theft-detection.md");

/// Around the tables in there.
const BEGIN: &str = "<!-- measured by `prove theft` -->";
const END: &str = "<!-- end -->";

/// The same thefts every time.
const SEED: u64 = 7;

/// After so many refreshes of the victim a thief counts as not noticed.
const PATIENCE: usize = 100;

/// The lives of access tokens, in minutes, with the assurance level that has it as default.
const LIVES: [(u64, &str); 6] = [
    (1, "1 min"),
    (3, "3 min"),
    (5, "5 min (aal3)"),
    (15, "15 min (aal2)"),
    (60, "1 h (aal1)"),
    (1440, "1 day"),
];

/// From this life on, in minutes, a thief is to be noticed as soon as the claims say.
const SHORTEST: u64 = 5;

/// The life whose figures are told in full.
const TOLD: u64 = 15;

/// How refresh tokens travel, and what the thief sends with them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Method {
    /// By cookie: no answer is late.
    Cookie,
    /// By header, and the thief copied the user agent, too.
    SameAgent,
    /// By header, and the thief did not.
    OtherAgent,
}

impl Method {
    const ALL: [Self; 3] = [Self::Cookie, Self::SameAgent, Self::OtherAgent];

    const fn text(self) -> &'static str {
        match self {
            Self::Cookie => "Cookie",
            Self::SameAgent => "Header, same agent",
            Self::OtherAgent => "Header, other agent",
        }
    }
}

/// How a thief goes about it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Thief {
    /// Refreshes as often as the victim does, with the newest token it has.
    OncePerLife,
    /// Presents the newest token it has at a steady rate, drawn at random up to twice the life.
    Blind,
    /// Presents the newest token it has, three times in F.
    Polling,
    /// Presents the token before the newest, three times in F.
    PollingBehind,
    /// Presents the one it stole, three times in F.
    PollingStolen,
    /// Knows when the victim refreshes, and presents its newest token as soon as W is over.
    AfterWindow,
    /// Knows when the victim will refresh at the earliest, and presents its newest token W before.
    BeforeVictim,
    /// Presents what it stole once, and then holds what it got.
    Once,
    /// Refreshes F/3 after every refresh of the victim: within the window, like a second tab.
    Shadowing,
}

impl Thief {
    const ALL: [Self; 9] = [
        Self::OncePerLife,
        Self::Blind,
        Self::Polling,
        Self::PollingBehind,
        Self::PollingStolen,
        Self::AfterWindow,
        Self::BeforeVictim,
        Self::Once,
        Self::Shadowing,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::OncePerLife => "refreshes once per life of an access token",
            Self::Blind => "presents its newest token at a steady rate drawn at random",
            Self::Polling => "presents its newest token every F/3",
            Self::PollingBehind => "presents the token before its newest every F/3",
            Self::PollingStolen => "presents the stolen token every F/3",
            Self::AfterWindow => "presents its newest token W after every refresh of the victim",
            Self::BeforeVictim => {
                "presents its newest token W before the victim's earliest refresh"
            }
            Self::Once => "presents the stolen token once, and then holds what it got",
            Self::Shadowing => "refreshes F/3 after every refresh of the victim",
        }
    }

    /// The most refreshes at the median by which the session must have ended.
    const fn goal(self, method: Method) -> Option<usize> {
        match (self, method) {
            (Self::Shadowing | Self::Once, _) => None,
            (_, Method::Cookie | Method::OtherAgent) => Some(2),
            (_, Method::SameAgent) => Some(3),
        }
    }
}

/// Gathers the evidence; keeps the tables in docs/theft-detection.md at the smaller size.
pub fn run(size: Size) -> anyhow::Result<Vec<Claim>> {
    let thefts = match size {
        Size::Ci => 20_000,
        Size::Full => 1_000_000,
    };
    let mut rows = Vec::new();
    for method in Method::ALL {
        for (life, _) in LIVES {
            // Pollers take their time.
            let thefts = thefts / usize::try_from(life / 60)?.max(1);
            rows.extend(Thief::ALL.map(|thief| Row::measure(thief, method, life, thefts)));
        }
    }
    let tables = tables(&rows, thefts);
    println!("{tables}");
    let mut claims: Vec<_> = Method::ALL.map(|method| noticed_soon(&rows, method)).into();
    claims.extend(patient_thieves(&rows));
    claims.push(the_limit(&rows));
    if size == Size::Ci {
        claims.push(keep(&tables)?);
    }
    Ok(claims)
}

/// One session on the decision that ships.
struct Session {
    state: RefreshState,
    policy: RefreshPolicy,
    method: Method,
    /// Whose user agent is recorded with the session.
    last_minted_by: Party,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Party {
    Victim,
    Thief,
}

impl Session {
    /// One that was refreshed just now.
    fn rotated(method: Method, life: Duration, now: Timestamp) -> Self {
        let state = RefreshState::new(Timestamp::from_millis(u64::MAX), None);
        let policy = RefreshPolicy::for_life(life);
        let mut session = Self { state, policy, method, last_minted_by: Party::Victim };
        session.refresh(Party::Victim, Generation::FIRST, now);
        session
    }

    fn decide(&self, party: Party, generation: Generation, now: Timestamp) -> Decision {
        let may_be_late = match self.method {
            Method::Cookie => false,
            Method::SameAgent => true,
            Method::OtherAgent => party == self.last_minted_by,
        };
        decide(
            &self.state,
            Presented { generation, may_be_late, is_proved: true },
            now,
            self.policy,
        )
    }

    /// What `generation` is answered with; nothing if the session ends.
    fn refresh(
        &mut self,
        party: Party,
        generation: Generation,
        now: Timestamp,
    ) -> Option<Generation> {
        match self.decide(party, generation, now) {
            Decision::Rotate(next) | Decision::Recover(next) | Decision::Reclaim(next) => {
                self.state = next;
                self.last_minted_by = party;
            }
            Decision::Coalesce(next) | Decision::Serve(next) => self.state = next,
            Decision::Reuse | Decision::Unproved | Decision::Expired | Decision::Revoked => {
                return None;
            }
        }
        Some(self.state.current)
    }

    /// Whether this buys the thief nothing once the windows are closed.
    fn is_worthless(&self, generation: Generation, now: Timestamp) -> bool {
        let later = now.plus(self.policy.window() * 2);
        self.decide(Party::Thief, generation, later) == Decision::Reuse
    }
}

/// How one theft went, in refreshes of the victim.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    ended: Option<usize>,
    shut_out: Option<usize>,
    /// The thief acted within W of every refresh of the victim.
    always_near: bool,
}

/// One theft.
fn steal(thief: Thief, method: Method, life: Duration, rng: &mut StdRng) -> Outcome {
    let pause = |rng: &mut StdRng| life.mul_f64(rng.random_range(0.9..=1.3));
    let start = Timestamp::from_secs(1_000_000_000);
    let mut session = Session::rotated(method, life, start);
    let (step, window) = (session.policy.flight() / 3, session.policy.window());
    let margin = window + Duration::from_millis(1);
    let rate = life.mul_f64(rng.random_range(0.02..=2.0));
    let mut victim = session.state.current;
    let (mut victim_before, mut victim_next) = (start, start.plus(pause(rng)));
    let stolen = victim;
    let (mut newest, mut before) = (stolen, stolen);
    let mut thief_before = None;
    let mut thief_next = match thief {
        Thief::Shadowing => victim_next.plus(step),
        Thief::AfterWindow => start.plus(margin),
        Thief::BeforeVictim => start.plus(life.mul_f64(0.9)).minus(margin),
        _ => start.plus(life.mul_f64(rng.random_range(0.0..0.9))),
    };
    let mut outcome = Outcome { always_near: true, ..Outcome::default() };
    let (mut refreshes, mut is_near) = (0, true);
    while refreshes < PATIENCE {
        let is_victim = victim_next <= thief_next;
        let (party, presented, now) = match thief {
            _ if is_victim => (Party::Victim, victim, victim_next),
            Thief::PollingBehind => (Party::Thief, before, thief_next),
            Thief::PollingStolen => (Party::Thief, stolen, thief_next),
            _ => (Party::Thief, newest, thief_next),
        };
        refreshes += usize::from(is_victim);
        let Some(token) = session.refresh(party, presented, now) else {
            outcome.ended = Some(refreshes);
            outcome.shut_out = outcome.shut_out.or(outcome.ended);
            return outcome;
        };
        if is_victim {
            outcome.always_near &= is_near;
            is_near = thief_before.is_some_and(|at: Timestamp| now <= at.plus(window));
            (victim, victim_before, victim_next) = (token, now, now.plus(pause(rng)));
            if [newest, before, stolen].iter().all(|token| session.is_worthless(*token, now)) {
                outcome.shut_out = outcome.shut_out.or(Some(refreshes));
            } else {
                outcome.shut_out = None;
            }
        } else {
            is_near |= now <= victim_before.plus(window);
            thief_before = Some(now);
            if token != newest {
                (before, newest) = (newest, token);
            }
        }
        if is_victim == matches!(thief, Thief::AfterWindow | Thief::BeforeVictim | Thief::Shadowing)
        {
            thief_next = match thief {
                Thief::OncePerLife => now.plus(pause(rng)),
                Thief::Blind => now.plus(rate),
                Thief::Polling | Thief::PollingBehind | Thief::PollingStolen => now.plus(step),
                Thief::AfterWindow => now.plus(margin),
                Thief::BeforeVictim => now.plus(life.mul_f64(0.9)).minus(margin),
                Thief::Once => Timestamp::from_millis(u64::MAX),
                Thief::Shadowing => now.plus(step),
            };
        } else if !is_victim {
            thief_next = Timestamp::from_millis(u64::MAX);
        }
    }
    outcome
}

/// What many thefts of one kind have shown.
struct Row {
    thief: Thief,
    method: Method,
    life: u64,
    thefts: usize,
    /// How many sessions had ended after so many refreshes.
    ended_after: [usize; PATIENCE + 1],
    /// How many thieves were shut out after so many refreshes.
    shut_out_after: [usize; PATIENCE + 1],
    /// Never noticed, and within W of every refresh.
    near: usize,
}

impl Row {
    fn measure(thief: Thief, method: Method, life: u64, thefts: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(SEED);
        let mut row = Self {
            thief,
            method,
            life,
            thefts,
            ended_after: [0; PATIENCE + 1],
            shut_out_after: [0; PATIENCE + 1],
            near: 0,
        };
        for _ in 0..thefts {
            let outcome = steal(thief, method, Duration::from_mins(life), &mut rng);
            if let Some(refreshes) = outcome.ended {
                row.ended_after[refreshes] += 1;
            } else {
                row.near += usize::from(outcome.always_near);
            }
            if let Some(refreshes) = outcome.shut_out {
                row.shut_out_after[refreshes] += 1;
            }
        }
        row
    }

    /// After how many refreshes so many per cent are counted, of those who were not always near.
    fn percentile(&self, counts: &[usize], percent: usize) -> Option<usize> {
        let all = self.thefts - self.near;
        let wanted = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reaches = |count: &usize| {
            seen += count;
            seen >= wanted
        };
        counts.iter().position(reaches)
    }

    fn ended(&self, percent: usize) -> Option<usize> {
        self.percentile(&self.ended_after, percent)
    }

    fn shut_out(&self, percent: usize) -> Option<usize> {
        self.percentile(&self.shut_out_after, percent)
    }

    fn percent(&self, thefts: usize) -> f64 {
        100.0 * thefts as f64 / self.thefts as f64
    }

    fn ended_by(&self, refresh: usize) -> f64 {
        self.percent(self.ended_after[..=refresh].iter().sum())
    }

    fn never_ended(&self) -> f64 {
        100.0 - self.ended_by(PATIENCE)
    }
}

fn number(refreshes: Option<usize>) -> String {
    refreshes.map_or("–".to_owned(), |refreshes| refreshes.to_string())
}

/// Whether all thieves are noticed as soon as they should be, from [`SHORTEST`] on.
fn noticed_soon(rows: &[Row], method: Method) -> Claim {
    let mut worst = 0;
    let mut late = String::new();
    for row in rows.iter().filter(|row| row.method == method && row.life >= SHORTEST) {
        let Some(goal) = row.thief.goal(method) else { continue };
        let median = row.ended(50).unwrap_or(usize::MAX);
        worst = worst.max(median);
        if median > goal {
            let (thief, life) = (row.thief.text(), row.life);
            let median = number(row.ended(50));
            let _ = write!(late, "\n  {thief}, life {life} min: {median}, not {goal}");
        }
    }
    let text = format!(
        "{}: with a life of {SHORTEST} min or more every thief who is not within W of every refresh \
         is noticed after refresh {worst} of the victim or before (worst median){late}",
        method.text()
    );
    Claim { text, holds: late.is_empty() }
}

/// Whether a thief who takes its time is noticed at the victim's first refresh.
fn patient_thieves(rows: &[Row]) -> Vec<Claim> {
    let is_patient = |row: &&Row| row.thief == Thief::OncePerLife && row.life == TOLD;
    let claim = |row: &Row| {
        let (refresh, by) =
            if row.method == Method::SameAgent { (2, "second") } else { (1, "first") };
        let share = row.ended_by(refresh);
        let text = format!(
            "{}: a thief who refreshes as often as the victim is noticed by the {by} refresh in \
             {share:.1} % of thefts",
            row.method.text()
        );
        Claim { text, holds: share >= 85.0 }
    };
    rows.iter().filter(is_patient).map(claim).collect()
}

/// Whether the thief who does what a second tab does is not noticed: nobody could.
fn the_limit(rows: &[Row]) -> Claim {
    let mut shadows = rows.iter().filter(|row| row.thief == Thief::Shadowing);
    Claim {
        text: "a thief within W of every refresh is not noticed: the stated limit".to_owned(),
        holds: shadows.all(|row| row.near == row.thefts),
    }
}

fn tables(rows: &[Row], thefts: usize) -> String {
    let mut tables = format!("{thefts} thefts each ({} at a day), seed {SEED}\n", thefts / 24);
    for method in [Method::Cookie, Method::SameAgent] {
        let _ = write!(
            tables,
            "\n**{}**, access tokens of {TOLD} min\n\n\
             | A thief who | ended at the first | by the second | median | 99 % | never | shut out: median | 99 % |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|\n",
            method.text()
        );
        for row in rows.iter().filter(|row| row.method == method && row.life == TOLD) {
            let _ = writeln!(
                tables,
                "| {} | {:.1} % | {:.1} % | {} | {} | {:.2} % | {} | {} |",
                row.thief.text(),
                row.ended_by(1),
                row.ended_by(2),
                number(row.ended(50)),
                number(row.ended(99)),
                row.never_ended(),
                number(row.shut_out(50)),
                number(row.shut_out(99)),
            );
        }
    }
    for method in Method::ALL {
        let _ =
            write!(tables, "\n**{}**, by life: median and 99 %\n\n| A thief who |", method.text());
        for (_, text) in LIVES {
            let _ = write!(tables, " {text} |");
        }
        let _ = writeln!(tables, "\n|---|{}", "--:|".repeat(LIVES.len()));
        for thief in Thief::ALL.into_iter().filter(|thief| thief.goal(method).is_some()) {
            let _ = write!(tables, "| {} |", thief.text());
            for row in rows.iter().filter(|row| row.method == method && row.thief == thief) {
                let _ = write!(tables, " {}, {} |", number(row.ended(50)), number(row.ended(99)));
            }
            tables.push('\n');
        }
    }
    tables
}

/// Compares with the tables in the document and writes them there if they differ.
fn keep(tables: &str) -> anyhow::Result<Claim> {
    let document = fs::read_to_string(DOCUMENT).context("docs/theft-detection.md")?;
    let (head, rest) = document.split_once(BEGIN).context("no begin of the tables")?;
    let (old, tail) = rest.split_once(END).context("no end of the tables")?;
    let holds = old.trim() == tables.trim();
    if !holds {
        let new = format!("{head}{BEGIN}\n{}\n{END}{tail}", tables.trim());
        fs::write(DOCUMENT, new).context("docs/theft-detection.md")?;
    }
    let text = if holds { "has these tables" } else { "had others; they were replaced" };
    Ok(Claim { text: format!("docs/theft-detection.md {text}"), holds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_thefts() {
        let measure = || Row::measure(Thief::OncePerLife, Method::Cookie, 15, 100).ended_after;
        assert_eq!(measure(), measure());
    }

    #[test]
    fn percentiles_leave_out_those_who_were_always_near() {
        let mut row = Row::measure(Thief::Shadowing, Method::Cookie, 15, 200);
        assert_eq!((row.near, row.ended(50)), (200, None));
        row.near = 100;
        row.ended_after[1] = 98;
        row.ended_after[3] = 1;
        row.ended_after[7] = 1;
        assert_eq!([50, 99, 100].map(|percent| row.ended(percent)), [Some(1), Some(3), Some(7)]);
    }

    #[test]
    fn a_thief_who_stops_is_shut_out_though_the_session_goes_on() {
        let row = Row::measure(Thief::Once, Method::Cookie, 15, 1000);
        assert!(row.shut_out(99).is_some());
    }
}
