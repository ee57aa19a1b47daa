//! A session: one signed-in device or browser of one user.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::claims::{self, Authentication};
use super::device::DeviceKey;
use super::ids::{Generation, SessionHandle, Subject, TenantId, UserId};
use super::provider::{AtProvider, ProviderKeys, ProviderSession};
use super::refresh::RefreshState;
use super::time::Timestamp;

/// One session as the store knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Its public name.
    pub handle: SessionHandle,
    /// Whom it signs in.
    pub subject: Subject,
    /// When it was created.
    pub created_at: Timestamp,
    /// Generations, windows and ends: what the refresh rule decides by.
    pub refresh: RefreshState,
    /// Its own idle life; none where the settings count.
    pub idle_ttl: Option<Duration>,
    /// The life of its own access tokens; none where the settings count.
    pub access_token_ttl: Option<Duration>,
    /// Custom claims, copied into every access token.
    pub access_token_payload: Map<String, Value>,
    /// What is known of the size of the claims.
    pub payload_size: PayloadSize,
    /// Data the application keeps with the session; never leaves the server.
    pub session_data: Map<String, Value>,
    /// Who keeps its tokens, from sign-in on.
    pub keeper: Keeper,
    /// Who got its newest generation, by sign-in or refresh.
    pub last_used_by: Device,
    /// How often that was handed out again; none before the first time.
    pub repeats: Option<Repeats>,
    /// The key that the session is bound to, if it is; set once and never changed.
    pub device_key: Option<DeviceKey>,
    /// Whether the device has yet to prove that it knows of the key: the answer that said so may be lost.
    pub device_pending: bool,
    /// What its identity provider calls it, if sign-in said so.
    pub provider: Option<ProviderKeys>,
    /// Why it was ended; set exactly when `refresh.revoked_at` is.
    pub revocation: Option<Revocation>,
}

impl Session {
    /// Whether the session has neither ended nor been ended at `now`: what every write demands.
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.refresh.revoked_at.is_none() && self.refresh.ends_at() > now
    }

    /// The generation that it began with. A session of an idempotency key began with
    /// [`Generation::first_at`], which no other one reaches by counting.
    #[must_use]
    pub fn first_generation(&self) -> Generation {
        let first = Generation::first_at(self.created_at);
        if self.refresh.current < first { Generation::FIRST } else { first }
    }

    /// When its tokens were renewed last: with the newest generation, else at creation.
    #[must_use]
    pub fn last_refreshed_at(&self) -> Timestamp {
        self.refresh.minted_at.unwrap_or(self.created_at)
    }

    /// The key that the session is bound to, once its device has shown that it knows of it.
    #[must_use]
    pub fn proved_device_key(&self) -> Option<DeviceKey> {
        self.device_key.filter(|_| !self.device_pending)
    }

    /// How sure one can be of it.
    #[must_use]
    pub fn assurance(&self) -> Assurance {
        let claims = self.access_token_payload.iter();
        let claims = claims.filter(|(name, _)| Authentication::CLAIMS.contains(&name.as_str()));
        Assurance {
            device_bound: self.proved_device_key().is_some(),
            authentication: claims.map(|(name, claim)| (name.clone(), claim.clone())).collect(),
        }
    }

    /// The session after its newest generation was handed out again, to `device`.
    #[must_use]
    pub fn repeated(self, refresh: RefreshState, device: &Device) -> Self {
        let generation = refresh.current.number();
        let before =
            self.repeats.filter(|before| before.generation.saturating_add(1) >= generation);
        let (times, elsewhere) =
            before.map_or((0, None), |before| (before.times, before.elsewhere));
        let is_elsewhere = *device != self.last_used_by;
        let repeats = Repeats {
            times: times.saturating_add(1),
            generation,
            elsewhere: if is_elsewhere { Some(device.clone()) } else { elsewhere },
        };
        Self { refresh, repeats: Some(repeats), ..self }
    }
}

/// How much room a session's claims take in its tokens, and how often they changed.
///
/// The bound lets a merge see in its one write whether the claims still fit; the count lets one that
/// has measured exactly notice that somebody else was faster.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PayloadSize {
    /// Bytes of the front token's JSON at most; `None` if nobody has measured yet.
    pub bound: Option<u64>,
    /// How many merges there were.
    pub version: u64,
}

/// Which sessions of a user are meant: all of them, unless narrowed.
#[derive(Clone, Copy, Debug)]
pub struct SessionsOf<'a> {
    /// The user.
    pub user_id: &'a UserId,
    /// Only those of this tenant.
    pub tenant_id: Option<&'a TenantId>,
    /// All but this one.
    pub except: Option<&'a SessionHandle>,
    /// Only those that an identity provider means.
    pub at_provider: Option<AtProvider>,
}

impl<'a> SessionsOf<'a> {
    /// All sessions of the user, in every tenant.
    #[must_use]
    pub const fn user(user_id: &'a UserId) -> Self {
        Self { user_id, tenant_id: None, except: None, at_provider: None }
    }

    /// Only those of this tenant.
    #[must_use]
    pub const fn in_tenant(self, tenant_id: &'a TenantId) -> Self {
        Self { tenant_id: Some(tenant_id), ..self }
    }

    /// All but this one: for "sign out everywhere else".
    #[must_use]
    pub const fn except(self, handle: &'a SessionHandle) -> Self {
        Self { except: Some(handle), ..self }
    }

    /// Only those that an identity provider means.
    #[must_use]
    pub const fn at_provider(self, which: AtProvider) -> Self {
        Self { at_provider: Some(which), ..self }
    }
}

impl<'a> From<&'a UserId> for SessionsOf<'a> {
    fn from(user_id: &'a UserId) -> Self {
        Self::user(user_id)
    }
}

/// What lists tell of a session (contract §6.1), to its user or to an administrator: the list of devices
/// somebody is signed in on consists of these. It is as large for a session of many claims and much data as
/// for one without. Serialises to the names of the contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionSummary {
    /// Its public name.
    #[serde(rename = "sessionHandle")]
    pub handle: SessionHandle,
    /// Whom it signs in.
    #[serde(flatten)]
    pub subject: Subject,
    /// When it was created; milliseconds when serialised.
    #[serde(rename = "timeCreated")]
    pub created_at: Timestamp,
    /// When it ends unless it is refreshed; milliseconds when serialised.
    #[serde(rename = "expiry")]
    pub expires_at: Timestamp,
    /// When its tokens were renewed last, by sign-in or refresh; milliseconds when serialised.
    pub last_refreshed_at: Timestamp,
    /// Who did that.
    pub last_used_by: Device,
    /// Whether it is bound to a key of the device, which has proved it; left out when serialised if it is not.
    #[serde(skip_serializing_if = "is_false")]
    pub device_bound: bool,
}

/// What may be told of a session (contract §6.1). Serialises to the names of the contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionInformation {
    /// What lists tell of it.
    #[serde(flatten)]
    pub summary: SessionSummary,
    /// What the application keeps with it.
    #[serde(rename = "sessionDataInDatabase")]
    pub session_data: Map<String, Value>,
    /// Its custom claims, as the next refresh will put them into tokens.
    #[serde(rename = "customClaimsInAccessTokenPayload")]
    pub access_token_payload: Map<String, Value>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl SessionInformation {
    /// The value of a claim that is stored with its age (contract §6.3); null is a value.
    #[must_use]
    pub fn claim_value(&self, key: &str) -> Option<&Value> {
        claims::value_of(&self.access_token_payload, key)
    }
}

impl From<Session> for SessionInformation {
    fn from(session: Session) -> Self {
        let device_bound = session.proved_device_key().is_some();
        let summary = SessionSummary {
            handle: session.handle,
            created_at: session.created_at,
            expires_at: session.refresh.ends_at(),
            last_refreshed_at: session.last_refreshed_at(),
            subject: session.subject,
            last_used_by: session.last_used_by,
            device_bound,
        };
        Self {
            summary,
            session_data: session.session_data,
            access_token_payload: session.access_token_payload,
        }
    }
}

/// What an application says when it signs a user in.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whom to sign in.
    pub subject: Subject,
    /// Custom claims; reserved names are dropped (contract §5.2).
    pub access_token_payload: Map<String, Value>,
    /// Data to keep with the session.
    pub session_data: Map<String, Value>,
    /// Who will keep its tokens. Where a request signs in, its method decides.
    pub keeper: Keeper,
    /// How and when the user proved who they are, for routes that ask
    /// ([`claims::ClaimValidator::authenticated`]).
    pub authentication: Option<Authentication>,
    /// Whether an anti-CSRF token goes with cookies; if nothing is said, as the website's mode asks.
    pub anti_csrf: Option<bool>,
    /// What makes the sign-in repeatable: 1 to 256 bytes that no other sign-in of the user has. The same
    /// sign-in under the same key answers the same session for as long as it has not been refreshed.
    pub idempotency_key: Option<String>,
    /// How long it lives, where that is less than the settings and those of its tenant say.
    pub lifetimes: SessionLifetimes,
    /// A key that the client has proved with this very sign-in: the session is bound to it.
    pub device_key: Option<DeviceKey>,
    /// The identity provider that signed the user in, and its names for them: by those it can end the
    /// session, which then lives 400 days at most.
    pub provider: Option<ProviderSession>,
}

impl NewSession {
    /// A session of `user_id` in the default tenant, without claims or data.
    #[must_use]
    pub fn for_user(user_id: impl Into<String>) -> Self {
        Self {
            subject: Subject::user(user_id),
            access_token_payload: Map::new(),
            session_data: Map::new(),
            keeper: Keeper::Browser,
            authentication: None,
            anti_csrf: None,
            idempotency_key: None,
            lifetimes: SessionLifetimes::default(),
            device_key: None,
            provider: None,
        }
    }
}

/// How long a session and its tokens live, where that is not left to the settings. It only ever shortens:
/// of several that say something the shortest counts. As JSON each is a number of seconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SessionLifetimes {
    /// How long an access token is valid; from 1 s.
    #[serde(rename = "accessTokenTtlSeconds", deserialize_with = "seconds")]
    pub access_token: Option<Duration>,
    /// How long the session lives without a refresh; from 60 s.
    #[serde(rename = "refreshTokenTtlSeconds", deserialize_with = "seconds")]
    pub refresh_token: Option<Duration>,
    /// How long the session lives at most; from 60 s.
    #[serde(rename = "absoluteTtlSeconds", deserialize_with = "seconds")]
    pub absolute: Option<Duration>,
}

impl SessionLifetimes {
    /// Of each life the shorter one.
    #[must_use]
    pub fn shortest(self, other: Self) -> Self {
        let shorter = |one: Option<Duration>, other| one.into_iter().chain(other).min();
        Self {
            access_token: shorter(self.access_token, other.access_token),
            refresh_token: shorter(self.refresh_token, other.refresh_token),
            absolute: shorter(self.absolute, other.absolute),
        }
    }
}

fn seconds<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
}

/// Who keeps a client's tokens. That is settled at sign-in: whoever steals a cookie can send it as a
/// header.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeper {
    /// The browser, which stores what an answer brings when it arrives, whatever its pages do.
    Browser,
    /// A script, which may stand still for any time before it stores what arrived.
    Script,
}

/// Where a request came from, as far as the gateway tells; agent and network at most 192 bytes each.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Device {
    /// The `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The source address, as the gateway reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The country, two capitals of ISO 3166-1, where the settings believe a front door that names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl Device {
    /// Longest text kept of agent and network, in bytes; keeps a session within one write unit.
    pub const MAX_LEN: usize = 192;

    /// Cuts both texts to [`Self::MAX_LEN`] bytes at a character border.
    #[must_use]
    pub fn new(agent: Option<&str>, network: Option<&str>) -> Self {
        let cut = |text: &str| {
            let mut end = text.len().min(Self::MAX_LEN);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.get(..end).unwrap_or_default().to_owned()
        };
        Self { agent: agent.map(cut), network: network.map(cut), country: None }
    }

    /// In what a request from `now` differs from the one before, which came from here. What was not known
    /// before has not changed, nor has anything if nothing is known of the request.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<DeviceChange> {
        let agent = match (&self.agent, &now.agent) {
            (Some(before), Some(now)) if before == now => None,
            (Some(before), Some(now)) if without_digits(before).eq(without_digits(now)) => {
                Some(DeviceChange::AgentVersion)
            }
            (Some(_), None) if *now == Self::default() => None,
            (Some(_), Some(_) | None) => Some(DeviceChange::Agent),
            (None, _) => None,
        };
        let network = self.network.as_ref().zip(now.network.as_ref());
        let network = network.filter(|(before, now)| subnet(before) != subnet(now));
        let country = self.country.as_ref().zip(now.country.as_ref());
        let country = country.filter(|(before, now)| before != now);
        let places =
            [network.map(|_| DeviceChange::Network), country.map(|_| DeviceChange::Country)];
        agent.into_iter().chain(places.into_iter().flatten()).collect()
    }
}

/// An agent but for its version.
fn without_digits(agent: &str) -> impl Iterator<Item = char> {
    agent.chars().filter(|letter| !letter.is_ascii_digit())
}

/// The part of an address that does not change by itself: of IPv6 hosts take new ones within 64 bits every day
/// (RFC 8981).
fn subnet(network: &str) -> Cow<'_, str> {
    match network.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => format!("{:x?}", address.segments().split_at(4).0).into(),
        Ok(IpAddr::V4(address)) => address.to_string().into(),
        Err(_) => network.into(),
    }
}

/// In what two requests of a session differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum DeviceChange {
    /// The agent, in more than numbers; or there is none any more.
    Agent,
    /// The agent, in numbers only: most often an update.
    AgentVersion,
    /// The network; of IPv6 addresses the first 64 bits.
    Network,
    /// The country, where both are known.
    Country,
}

/// How sure one can be of a session: what events say of it where the settings ask for that.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assurance {
    /// Whether it is bound to a key of its device, which has proved it.
    pub device_bound: bool,
    /// How and when its user proved who they are: of the claims `auth_time`, `amr` and `acr` those that it has.
    pub authentication: Map<String, Value>,
}

/// Refreshes in a row that were answered with a token that somebody had got already.
///
/// A second tab or a lost answer causes one now and then. A thief who asks within the window of each of
/// its victim's refreshes, which the refresh rule cannot tell from a second tab, causes one in every
/// generation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Repeats {
    /// How many there were since the last generation that was handed out once only.
    pub times: u32,
    /// The number of the generation that was handed out last.
    pub generation: u32,
    /// Who asked for one of them last, other than the session's `last_used_by`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<Device>,
}

impl Repeats {
    /// So many in a row are unusual. Published front ends refresh up to ten times in a row for an API
    /// that keeps answering 401.
    pub const MANY: u32 = 20;
}

/// Why a session was ended and kept as a tombstone, with the evidence.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Revocation {
    /// A spent refresh token was presented again.
    Reuse {
        /// The number of the generation that was presented.
        presented: u32,
        /// Who presented it; the other party is the session's `last_used_by`.
        presented_by: Device,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(before: (&str, &str, &str), now: (&str, &str, &str)) -> Vec<DeviceChange> {
        let device = |(agent, network, country): (&str, &str, &str)| {
            let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            Device { agent: known(agent), network: known(network), country: known(country) }
        };
        device(before).changes(&device(now))
    }

    #[test]
    fn what_was_known_and_differs_has_changed() {
        use DeviceChange::{Agent, AgentVersion, Country, Network};
        let phone = ("Phone/1.2", "192.0.2.1", "DE");
        for (before, now, expected) in [
            (phone, phone, vec![]),
            (phone, ("Laptop", "192.0.2.2", "FR"), vec![Agent, Network, Country]),
            (phone, ("Phone/13.4", "192.0.2.1", "DE"), vec![AgentVersion]),
            (phone, ("", "192.0.2.1", "DE"), vec![Agent]),
            (phone, ("Phone/1.2", "", ""), vec![]),
            (phone, ("", "", ""), vec![]),
            (("", "", ""), phone, vec![]),
            (("", "2001:db8:1:2::a", ""), ("", "2001:db8:1:2:ffff::b", ""), vec![]),
            (("", "2001:db8:1:2::a", ""), ("", "2001:db8:1:3::a", ""), vec![Network]),
            (("", "::ffff:192.0.2.1", ""), ("", "192.0.2.1", ""), vec![]),
            (("", "no address", ""), ("", "another", ""), vec![Network]),
        ] {
            assert_eq!(changes(before, now), expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn an_agent_of_any_length_is_compared_as_far_as_it_is_kept() {
        let long = |end| Device::new(Some(&format!("{}{end}", "ü".repeat(5_000))), None);
        assert_eq!(long("a").agent.unwrap().len(), Device::MAX_LEN);
        assert_eq!(long("a").changes(&long("b")), []);
    }
}
