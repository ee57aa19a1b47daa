//! The identity provider whose tokens end sessions, and its keys, kept in memory.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Deserialize;
use session::error::with_causes;
use session::model::{AtProvider, Timestamp};
use session::service::BoxError;
use session::token::security_event::EventTokenKind;
use session::token::{EventIssuer, EventTokenError, UnverifiedEventToken, VerifyingKeySet};
use tokio::sync::Mutex;

/// How old the provider's keys may become: how long one that it has withdrawn is still believed.
pub const MAX_AGE: Duration = Duration::from_mins(10);

/// How long the provider is left alone after it was asked, whatever tokens name.
pub const COOLDOWN: Duration = Duration::from_secs(10);

/// What reading a text at an address comes to.
type Reading = Pin<Box<dyn Future<Output = Result<String, BoxError>> + Send>>;

/// The provider.
pub struct Provider {
    from: EventIssuer,
    get: Box<dyn Fn(String) -> Reading + Send + Sync>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    keys: Option<VerifyingKeySet>,
    read_at: Option<Timestamp>,
    asked_at: Option<Timestamp>,
}

/// Why a token is not acted upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unverified {
    /// It must not be.
    Refused(EventTokenError),
    /// The provider's keys are not there; the same token may hold later.
    NoKeys,
}

/// What is needed of a discovery document (`OpenID` Connect Discovery §3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Provider {
    /// The provider of these tokens; `get` reads the text at an address, within bounds of time and size.
    pub fn new<R>(from: EventIssuer, get: impl Fn(String) -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = Result<String, BoxError>> + Send + 'static,
    {
        let held = Mutex::new(Held::default());
        Self { from, get: Box::new(move |address| Box::pin(get(address))), held }
    }

    /// Whose sessions a token says are over; `None` if it says so of none.
    ///
    /// Keys are read when they are needed: if there are none, if they are older than [`MAX_AGE`], or if the
    /// token does not hold by them, and at most once per [`COOLDOWN`]. Keys that were read once outlive a
    /// provider that does not answer. That a token does not hold is certain only right after reading: its key may
    /// be new, also under a name that is known.
    pub(crate) async fn verify(
        &self,
        text: &str,
        kind: EventTokenKind,
        now: Timestamp,
    ) -> Result<Option<AtProvider>, Unverified> {
        let token = UnverifiedEventToken::parse(text, kind, &self.from, now);
        let token = token.map_err(Unverified::Refused)?;
        let mut held = self.held.lock().await;
        let known = held.keys.as_ref().and_then(|keys| token.verify(keys).ok());
        let is_fresh = held.read_at.is_some_and(|at| now < at.plus(MAX_AGE));
        let may_ask = held.asked_at.is_none_or(|at| now >= at.plus(COOLDOWN));
        if may_ask && !(is_fresh && known.is_some()) {
            held.asked_at = Some(now);
            match self.read().await {
                Ok(keys) => {
                    let verdict = token.verify(&keys);
                    held.keys = Some(keys);
                    held.read_at = Some(now);
                    return verdict.map_err(Unverified::Refused);
                }
                Err(error) => {
                    let error = with_causes(&*error);
                    tracing::error!(error, "the provider's keys cannot be read");
                }
            }
        }
        known.ok_or(Unverified::NoKeys)
    }

    async fn read(&self) -> Result<VerifyingKeySet, BoxError> {
        let base = self.from.issuer.strip_suffix('/').unwrap_or(&self.from.issuer);
        let document = (self.get)(format!("{base}/.well-known/openid-configuration")).await?;
        let Discovery { issuer, jwks_uri } = serde_json::from_str(&document)?;
        if issuer != self.from.issuer {
            return Err("the discovery document is another issuer's".into());
        }
        // An issuer by https has its keys by https too.
        let scheme = |address: &str| address.split_once("://").map(|(scheme, _)| scheme.to_owned());
        if scheme(&jwks_uri) != scheme(&issuer) {
            return Err("jwks_uri has another scheme than the issuer".into());
        }
        let keys = (self.get)(jwks_uri).await?;
        Ok(VerifyingKeySet::of_provider(&keys).map_err(|problem| format!("jwks_uri: {problem}"))?)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("from", &self.from).finish_non_exhaustive()
    }
}
