//! How long things live, with presets of NIST SP 800-63B.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::{Reader, number, seconds};
use crate::model::{RefreshPolicy, SessionLifetimes, TenantId};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How long sessions and their tokens live, and how many sessions at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifetimes {
    /// `ACCESS_TOKEN_TTL_SECONDS`, 1–86,400, default 3600 (contract §5.2).
    pub access_token: Duration,
    /// `REFRESH_TOKEN_TTL_SECONDS`, 60–34,560,000 (400 days, the browsers' cap), default 8,640,000
    /// (100 days), or the absolute life if that is less: how long a session lives without a refresh.
    pub refresh_token: Duration,
    /// `SESSION_ABSOLUTE_TTL_SECONDS`, from 60, default none: how long a session lives at most.
    ///
    /// `ASSURANCE_LEVEL`, `aal1`, `aal2` or `aal3`, sets this and the two lifetimes above as NIST SP
    /// 800-63B-4 §5 demands; a lifetime that is set as well may only be shorter.
    pub absolute: Option<Duration>,
    /// `DEVICE_PROOF_TTL_SECONDS`, 5–600, default 300: how long a browser's proof of its device key counts
    /// (docs/device-binding.md).
    pub device_proof: Duration,
    /// `SESSION_LIMIT_PER_USER`, 1–1000, default none: how many sessions of a user live at once. When a
    /// sign-in exceeds it, those that were refreshed longest ago end.
    pub sessions_per_user: Option<u16>,
    /// `SESSIONS_MAX_AUTH_AGE_SECONDS`, 1–86,400, default none: how long after a sign-in the user may end
    /// other sessions of theirs over HTTP; later they have to sign in again first (ASVS 7.5.2).
    pub max_auth_age: Option<Duration>,
    /// `TENANT_LIFETIMES`, such as `{"acme":{"refreshTokenTtlSeconds":3600}}`, default none: shorter lives of
    /// the sessions of some tenants. Sessions that began before keep what they began with.
    pub tenants: BTreeMap<TenantId, SessionLifetimes>,
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
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        let level = read.optional("ASSURANCE_LEVEL", |text| {
            let found = ASSURANCE_LEVELS.iter().find(|level| level.name == text);
            found.ok_or_else(|| "use aal1, aal2 or aal3".to_owned())
        });
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
                    read.problem(format!(
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
        Self {
            access_token,
            refresh_token: refresh_token
                .unwrap_or_else(|| absolute.map_or(idle_limit, |end| end.min(idle_limit))),
            absolute,
            device_proof: read.or("DEVICE_PROOF_TTL_SECONDS", MINUTE * 5, seconds((5, 600))),
            sessions_per_user: read.optional("SESSION_LIMIT_PER_USER", |text| {
                let limit = number(text, (1, 1000))?;
                u16::try_from(limit).map_err(|error| error.to_string())
            }),
            tenants: read.or("TENANT_LIFETIMES", BTreeMap::new(), |text| {
                serde_json::from_str(text).map_err(|error| {
                    format!(
                        "use JSON such as {{\"acme\":{{\"refreshTokenTtlSeconds\":3600}}}}: {error}"
                    )
                })
            }),
            max_auth_age: read.optional("SESSIONS_MAX_AUTH_AGE_SECONDS", seconds((1, 86_400))),
        }
    }

    pub(super) fn check(&self, refresh: RefreshPolicy, read: &mut Reader<'_>) {
        if self.absolute.is_some_and(|absolute| self.refresh_token > absolute) {
            read.problem(
                "REFRESH_TOKEN_TTL_SECONDS is more than SESSION_ABSOLUTE_TTL_SECONDS: every session is \
                 over before it is idle for so long; lower the former or leave it out",
            );
        }
        let (access_token, end) = (self.access_token, self.refresh_token);
        for problem in problems("ACCESS_TOKEN_TTL_SECONDS", access_token, end, refresh) {
            read.problem(problem);
        }
        for tenant in self.tenants.keys() {
            if let Err(problem) = self.of_session(SessionLifetimes::default(), tenant, refresh) {
                read.problem(format!("TENANT_LIFETIMES, of {tenant}: {problem}"));
            }
        }
    }

    /// What counts for a new session besides the settings: each of its own and its tenant's lives that is
    /// shorter than theirs.
    ///
    /// # Errors
    ///
    /// The sentence that says what cannot work and what can.
    pub(crate) fn of_session(
        &self,
        own: SessionLifetimes,
        tenant: &TenantId,
        refresh: RefreshPolicy,
    ) -> Result<SessionLifetimes, String> {
        let own = own.shortest(self.tenants.get(tenant).copied().unwrap_or_default());
        for (name, life, least) in [
            ("accessTokenTtlSeconds", own.access_token, 1),
            ("refreshTokenTtlSeconds", own.refresh_token, 60),
            ("absoluteTtlSeconds", own.absolute, 60),
        ] {
            if life.is_some_and(|life| life < Duration::from_secs(least)) {
                return Err(format!("{name} must be at least {least}"));
            }
        }
        let own = SessionLifetimes {
            access_token: own.access_token.filter(|life| *life < self.access_token),
            refresh_token: own.refresh_token.filter(|life| *life < self.refresh_token),
            absolute: own.absolute.filter(|life| self.absolute.is_none_or(|end| *life < end)),
        };
        if own == SessionLifetimes::default() {
            return Ok(own);
        }
        let idle = own.refresh_token.unwrap_or(self.refresh_token);
        let end = own.absolute.or(self.absolute).map_or(idle, |absolute| absolute.min(idle));
        let access_token = own.access_token.unwrap_or(self.access_token);
        match problems("accessTokenTtlSeconds", access_token, end, refresh).pop() {
            None => Ok(own),
            Some(problem) => Err(problem),
        }
    }
}

/// What stands against access tokens of that life, the sessions ending after `end` unless refreshed.
fn problems(
    name: &str,
    access_token: Duration,
    end: Duration,
    refresh: RefreshPolicy,
) -> Vec<String> {
    let mut problems = Vec::new();
    if access_token >= end {
        problems.push(format!(
            "{name} is {} and must be less than the {} s after which a session ends unless refreshed: \
             otherwise it is over before it is first refreshed",
            access_token.as_secs(),
            end.as_secs()
        ));
    }
    // Whoever asks within W = 2F of another is taken for another tab (docs/rotation.md): if that is
    // longer than the time between two refreshes, jitter included, nobody is ever noticed.
    if access_token * 95 / 100 < refresh.flight() {
        problems.push(format!(
            "{name} less 5 % must not be below REFRESH_FLIGHT_SECONDS ({}): otherwise a thief can always \
             be taken for another tab; lower the latter, or leave it out",
            refresh.flight().as_secs()
        ));
    }
    problems
}
