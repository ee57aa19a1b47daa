//! Claims that are fetched: at sign-in, and again when a route asks for fresh ones (contract §6.3,
//! §6.4).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Sessions;
use crate::error::SessionError;
use crate::model::claims::stored;
use crate::model::{ClaimValidator, InvalidClaim, Session, SessionHandle, Subject, Timestamp};
use crate::store::{SessionReader, SessionUpdater};

/// What goes wrong in an application's own code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Fetched = Pin<Box<dyn Future<Output = Result<Option<Value>, BoxError>> + Send>>;

/// A claim whose value the application knows: fetched for every new session, and for validators that
/// find it missing or too old.
#[derive(Clone)]
pub struct FetchedClaim {
    key: String,
    fetch: Arc<dyn Fn(Subject, Map<String, Value>) -> Fetched + Send + Sync>,
}

impl FetchedClaim {
    /// The claim of that name in the payload. `fetch` is told whose it is and the payload as it is now; it
    /// gives the value, or `None` to leave the claim as it is. Its failure is a fault (500), never a
    /// refusal.
    pub fn new<F>(
        key: impl Into<String>,
        fetch: impl Fn(Subject, Map<String, Value>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Option<Value>, BoxError>> + Send + 'static,
    {
        Self {
            key: key.into(),
            fetch: Arc::new(move |subject, payload| Box::pin(fetch(subject, payload))),
        }
    }

    /// The name in the payload.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Fetches the value, in the form that payloads hold; `None` if there is nothing to say.
    async fn fetch(
        &self,
        subject: &Subject,
        payload: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Option<Value>, SessionError> {
        let value =
            (self.fetch)(subject.clone(), payload.clone()).await.map_err(SessionError::Internal)?;
        Ok(value.map(|value| stored(value, now)))
    }
}

impl fmt::Debug for FetchedClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchedClaim").field("key", &self.key).finish_non_exhaustive()
    }
}

impl<S> Sessions<S> {
    /// Fetches this claim for every new session, and again for validators of its key.
    #[must_use]
    pub fn with_claim(mut self, claim: FetchedClaim) -> Self {
        self.claims.push(claim);
        self
    }

    /// Demands this of every session on every protected route, unless the route says otherwise.
    /// Refresh and sign-out never validate claims.
    #[must_use]
    pub fn with_validator(mut self, validator: ClaimValidator) -> Self {
        self.validators.push(validator);
        self
    }

    /// The validators that routes demand unless they say otherwise.
    pub fn validators(&self) -> &[ClaimValidator] {
        &self.validators
    }

    pub(super) fn claim(&self, key: &str) -> Option<&FetchedClaim> {
        self.claims.iter().find(|claim| claim.key == key)
    }

    /// Every registered claim of a new session; later ones see the earlier ones.
    pub(super) async fn fetch_claims(
        &self,
        subject: &Subject,
        payload: &mut Map<String, Value>,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        for claim in &self.claims {
            if let Some(value) = claim.fetch(subject, payload, now).await? {
                payload.insert(claim.key.clone(), value);
            }
        }
        Ok(())
    }

    /// Fetches what the validators find missing or too old; what changed, to be merged. The payload is the
    /// one to validate then.
    pub(crate) async fn refetch(
        &self,
        subject: &Subject,
        payload: &mut Map<String, Value>,
        validators: &[ClaimValidator],
        now: Timestamp,
    ) -> Result<Map<String, Value>, SessionError> {
        let mut patch = Map::new();
        for validator in validators {
            let key = validator.to_refetch(payload, now);
            let Some(claim) = key.and_then(|key| self.claim(key)) else { continue };
            if let Some(value) = claim.fetch(subject, payload, now).await? {
                payload.insert(claim.key.clone(), value.clone());
                patch.insert(claim.key.clone(), value);
            }
        }
        Ok(patch)
    }

    /// The patch that a fresh value makes; empty if there is none to say.
    pub(crate) async fn fetched_patch(
        &self,
        key: &str,
        subject: &Subject,
        payload: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Map<String, Value>, SessionError> {
        let claim = self.claim(key).ok_or_else(|| {
            let problem = format!("no claim {key} is registered; see Sessions::with_claim");
            SessionError::invalid_input(problem)
        })?;
        let value = claim.fetch(subject, payload, now).await?;
        Ok(value.map(|value| (key.to_owned(), value)).into_iter().collect())
    }
}

/// What the payload lacks, in the order of the validators.
pub(crate) fn failures(
    payload: &Map<String, Value>,
    validators: &[ClaimValidator],
    now: Timestamp,
) -> Vec<InvalidClaim> {
    validators.iter().filter_map(|validator| validator.validate(payload, now)).collect()
}

/// A patch that sets one claim to a value as of `now`.
pub(crate) fn setting(key: &str, value: Value, now: Timestamp) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), stored(value, now))])
}

/// A patch that removes one claim.
pub(crate) fn removing(key: &str) -> Map<String, Value> {
    Map::from_iter([(key.to_owned(), Value::Null)])
}

impl<S: SessionUpdater> Sessions<S> {
    /// Sets a claim to a value as of `now`; whether there was such a session. Clients see it after
    /// their next refresh.
    ///
    /// # Errors
    ///
    /// As [`Sessions::merge_into_access_token_payload`].
    pub async fn set_claim_value(
        &self,
        handle: &SessionHandle,
        key: &str,
        value: Value,
        now: Timestamp,
    ) -> Result<bool, SessionError> {
        self.merge_into_access_token_payload(handle, setting(key, value, now), now).await
    }

    /// Removes a claim; whether there was such a session.
    ///
    /// # Errors
    ///
    /// As [`Sessions::merge_into_access_token_payload`].
    pub async fn remove_claim(
        &self,
        handle: &SessionHandle,
        key: &str,
        now: Timestamp,
    ) -> Result<bool, SessionError> {
        self.merge_into_access_token_payload(handle, removing(key), now).await
    }
}

impl<S: SessionReader + SessionUpdater> Sessions<S> {
    /// Fetches a registered claim and sets it; whether there was such a session.
    ///
    /// # Errors
    ///
    /// As [`Sessions::merge_into_access_token_payload`]; [`SessionError::InvalidInput`] if no such claim
    /// is registered, [`SessionError::Internal`] if fetching failed.
    pub async fn fetch_and_set_claim(
        &self,
        handle: &SessionHandle,
        key: &str,
        now: Timestamp,
    ) -> Result<bool, SessionError> {
        let Some(session) = self.alive(handle, now).await? else {
            return Ok(false);
        };
        let Session { subject, access_token_payload, .. } = &session;
        let patch = self.fetched_patch(key, subject, access_token_payload, now).await?;
        if patch.is_empty() {
            return Ok(true);
        }
        self.merge_into_access_token_payload(handle, patch, now).await
    }

    /// What a session's stored claims lack, after fetching what is missing or too old and writing it
    /// back; `None` if there is no such session. The validators are the registered ones unless given.
    ///
    /// # Errors
    ///
    /// Faults, of the store and of fetching.
    pub async fn validate_claims(
        &self,
        handle: &SessionHandle,
        validators: Option<&[ClaimValidator]>,
        now: Timestamp,
    ) -> Result<Option<Vec<InvalidClaim>>, SessionError> {
        let Some(session) = self.alive(handle, now).await? else {
            return Ok(None);
        };
        let validators = validators.unwrap_or(&self.validators);
        let Session { subject, access_token_payload: mut payload, .. } = session;
        let patch = self.refetch(&subject, &mut payload, validators, now).await?;
        if !patch.is_empty() && !self.merge_into_access_token_payload(handle, patch, now).await? {
            return Ok(None);
        }
        Ok(Some(failures(&payload, validators, now)))
    }
}
