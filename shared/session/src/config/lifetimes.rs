//! How long things live, with presets of NIST SP 800-63B.

use std::time::Duration;

use super::reader::{Reader, number};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The lifetimes of one configuration.
pub(super) struct Lifetimes {
    pub(super) access_token: Duration,
    pub(super) refresh_token: Duration,
    pub(super) absolute: Option<Duration>,
}

/// What an authenticator assurance level allows (NIST SP 800-63B-4 §5), and an access token that fits
/// well into its idle time.
struct AssuranceLevel {
    name: &'static str,
    absolute: Duration,
    idle: Duration,
    access_token: Duration,
}

/// For level 1 the standard has no idle time; the session's whole life takes its place.
const ASSURANCE_LEVELS: [AssuranceLevel; 3] = [
    AssuranceLevel {
        name: "aal1",
        absolute: DAY.saturating_mul(30),
        idle: DAY.saturating_mul(30),
        access_token: HOUR,
    },
    AssuranceLevel {
        name: "aal2",
        absolute: DAY,
        idle: HOUR,
        access_token: MINUTE.saturating_mul(15),
    },
    AssuranceLevel {
        name: "aal3",
        absolute: HOUR.saturating_mul(12),
        idle: MINUTE.saturating_mul(15),
        access_token: MINUTE.saturating_mul(5),
    },
];

impl Lifetimes {
    /// Reads and checks them; what is not set follows from what is.
    pub(super) fn read<L: Fn(&str) -> Option<String>>(read: &mut Reader<L>) -> Self {
        let level = read.optional("ASSURANCE_LEVEL", |text| {
            let found = ASSURANCE_LEVELS.iter().find(|level| level.name == text);
            found.ok_or_else(|| "use aal1, aal2 or aal3".to_owned())
        });
        let seconds =
            |range: (u64, u64)| move |text: &str| number(text, range).map(Duration::from_secs);
        let absolute =
            read.optional("SESSION_ABSOLUTE_TTL_SECONDS", seconds((60, u64::from(u32::MAX))));
        let refresh_token = read.optional("REFRESH_TOKEN_TTL_SECONDS", seconds((60, 34_560_000)));
        let access_token = read.or(
            "ACCESS_TOKEN_TTL_SECONDS",
            level.map_or(HOUR, |level| level.access_token),
            seconds((1, 86_400)),
        );
        if let Some(level) = level {
            for (name, set, limit) in [
                ("SESSION_ABSOLUTE_TTL_SECONDS", absolute, level.absolute),
                ("REFRESH_TOKEN_TTL_SECONDS", refresh_token, level.idle),
            ] {
                if set.is_some_and(|set| set > limit) {
                    read.problems.push(format!(
                        "{name} is weaker than ASSURANCE_LEVEL={} allows: set at most {}, or leave it \
                         out",
                        level.name,
                        limit.as_secs()
                    ));
                }
            }
        }
        let absolute = absolute.or(level.map(|level| level.absolute));
        let idle_limit = level.map_or(DAY * 100, |level| level.idle);
        let lifetimes = Self {
            access_token,
            refresh_token: refresh_token
                .unwrap_or_else(|| absolute.map_or(idle_limit, |end| end.min(idle_limit))),
            absolute,
        };
        lifetimes.check(&mut read.problems);
        lifetimes
    }

    fn check(&self, problems: &mut Vec<String>) {
        if self.absolute.is_some_and(|absolute| self.refresh_token > absolute) {
            problems.push(
                "REFRESH_TOKEN_TTL_SECONDS is more than SESSION_ABSOLUTE_TTL_SECONDS: every session is \
                 over before it is idle for so long; lower the former or leave it out"
                    .to_owned(),
            );
        }
        if self.access_token >= self.refresh_token {
            problems.push(format!(
                "ACCESS_TOKEN_TTL_SECONDS is {} and must be less than the {} s after which a session \
                 ends unless refreshed: otherwise it is over before it is first refreshed",
                self.access_token.as_secs(),
                self.refresh_token.as_secs()
            ));
        }
    }
}
