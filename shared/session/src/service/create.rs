//! Creating a session.

use std::time::Duration;

use rand_core::CryptoRng;

use super::device::challenge;
use super::{IssuedTokens, Minting, SessionEvent, Sessions, limits};
use crate::error::SessionError;
use crate::model::{
    Authentication, Device, Generation, NewSession, PayloadSize, ProviderKeys, ProviderSession,
    RefreshState, Session, SessionHandle, SessionsOf, Timestamp, provider,
};
use crate::store::{SignInStore, StoreError};
use crate::token::registered::drop_those_of_tokens;
use crate::token::size::longest_front_json;

/// Longest id, in bytes: it is part of every token.
const MAX_ID_LEN: usize = 256;

/// Refuses an id that would not be read from a token as it was given: readers trim, some of them as
/// JavaScript does, and text with control characters is shown and logged as something else.
fn check_id(what: &str, id: &str) -> Result<(), SessionError> {
    let trimmed = id.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if !id.is_empty() && id.len() <= MAX_ID_LEN && trimmed == id && !id.contains(char::is_control) {
        return Ok(());
    }
    Err(SessionError::invalid_input(format!(
        "the {what} must have 1 to {MAX_ID_LEN} bytes, no control characters, and no white space at \
         either end"
    )))
}

fn check_ids(new: &NewSession) -> Result<(), SessionError> {
    check_id("user id", new.subject.user_id.as_str())?;
    check_id("recipe user id", new.subject.recipe_user_id.as_str())?;
    check_id("tenant id", new.subject.tenant_id.as_str())?;
    if let Some(provider) = &new.provider {
        check_id("provider's issuer", &provider.issuer)?;
        check_id("provider's subject", &provider.subject)?;
        if let Some(session_id) = &provider.session_id {
            check_id("provider's session id", session_id)?;
        }
    }
    new.idempotency_key.as_deref().map_or(Ok(()), |key| check_id("idempotency key", key))
}

impl<S: SignInStore> Sessions<S> {
    /// Records a new session and issues its first tokens: one write, one more for each name that a provider
    /// gave, and with a limit of sessions per user one query a page and a delete for each session too many. Needs no request; the caller
    /// delivers the tokens.
    ///
    /// `with_anti_csrf` says whether an anti-CSRF token goes with them; `rng` names the session.
    /// Claims that belong to tokens or the session are dropped ([`crate::token::registered`]); fetched
    /// ones are fetched.
    ///
    /// With [`NewSession::idempotency_key`] the same sign-in may be repeated, even at the same time: one of
    /// the attempts records the session and all answer its tokens. A sign-in is the same if it names the
    /// same subject, claims, data, lifetimes and device; fetched claims are as they were fetched first. Listeners
    /// hear of it once at most.
    ///
    /// # Errors
    ///
    /// [`SessionError::IdempotencyKeyUsed`] if the key is that of another sign-in, or of a session that
    /// was refreshed, changed or ended since. [`SessionError::InvalidInput`] if an id is empty, too long
    /// or would be read as another one, or claims and data would not fit ([`super::limits`]); nothing is
    /// recorded then. Store faults as they are; a session may be recorded then, but nobody holds its tokens.
    pub async fn create(
        &self,
        new: NewSession,
        device: Device,
        with_anti_csrf: bool,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<IssuedTokens, SessionError> {
        check_ids(&new)?;
        let mut new = new;
        let payload = &mut new.access_token_payload;
        drop_those_of_tokens(payload);
        payload.insert("iss".to_owned(), self.config.api.issuer().into());
        payload
            .extend(new.authentication.take().map(Authentication::into_claims).unwrap_or_default());
        self.fetch_claims(&new.subject, payload, now).await?;
        self.record(new, device, with_anti_csrf, Minting::default(), now, rng).await
    }

    /// As [`Self::create`], with the claims as they are given: nothing is dropped, fetched or added, neither
    /// an issuer nor [`NewSession::authentication`].
    ///
    /// # Errors
    ///
    /// As [`Self::create`], and if there is a claim that each token has of its own.
    pub async fn create_as_given(
        &self,
        new: NewSession,
        device: Device,
        with_anti_csrf: bool,
        minting: Minting,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<IssuedTokens, SessionError> {
        check_ids(&new)?;
        self.record(new, device, with_anti_csrf, minting, now, rng).await
    }

    async fn record(
        &self,
        new: NewSession,
        device: Device,
        with_anti_csrf: bool,
        minting: Minting,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<IssuedTokens, SessionError> {
        let subject = new.subject;
        let key = new.idempotency_key.as_deref();
        let usual = &self.config.lifetimes;
        let own = usual.of_session(new.lifetimes, &subject.tenant_id, self.config.refresh);
        let own = own.map_err(SessionError::invalid_input)?;
        let provider = new.provider.as_ref().map(ProviderSession::keys);
        let longest = [own.absolute.or(usual.absolute), provider.map(|_| provider::LONGEST_LIFE)];
        let mut refresh = RefreshState::new(
            now.plus(own.refresh_token.unwrap_or(usual.refresh_token)),
            longest.into_iter().flatten().min().map(|ttl| now.plus(ttl)),
        );
        let handle = match key {
            None => SessionHandle::random(&subject.user_id, rng),
            Some(key) => {
                // The handle is free again once its session was deleted.
                refresh.current = Generation::first_at(now);
                SessionHandle::of_sign_in(&subject.user_id, key)
            }
        };
        let mut session = Session {
            handle,
            subject,
            created_at: now,
            refresh,
            idle_ttl: own.refresh_token,
            access_token_ttl: own.access_token,
            access_token_payload: limits::claims(new.access_token_payload)?,
            payload_size: PayloadSize::default(),
            session_data: limits::session_data(new.session_data)?,
            keeper: new.keeper,
            last_used_by: device,
            repeats: None,
            device_key: new.device_key,
            device_pending: false,
            provider,
            revocation: None,
        };
        let bytes = longest_front_json(&session, self.may_be_bound(&session));
        limits::check_front_json(bytes, self.config.transfer.front_json_limit())?;
        session.payload_size.bound = Some(bytes as u64);
        let keys = self.ensure_keys(now, rng).await?;
        let issue = |session: &Session| {
            let current = session.refresh.current;
            let mut issued = self.issue(&keys, session, current, with_anti_csrf, minting, now)?;
            if self.asks_for_device_key(session) {
                let challenge = challenge(&keys.master(now)?, &session.handle, now);
                issued.device_challenge = Some(challenge);
            }
            Ok::<_, SessionError>(issued)
        };
        let mut issued = issue(&session)?;
        // Before the session, so that whoever is asked to end it from then on finds it.
        if let Some(ProviderKeys { subject, session: at_provider }) = session.provider {
            let (user_id, until) = (&session.subject.user_id, now.plus(provider::LONGEST_LIFE));
            for key in [Some(subject), at_provider].into_iter().flatten() {
                self.store.link_provider(key, user_id, until).await?;
            }
        }
        match (self.store.create_session(&session).await?, key) {
            (None, _) => {
                self.tell(|| SessionEvent::Created {
                    handle,
                    user_id: session.subject.user_id.clone(),
                    tenant_id: session.subject.tenant_id.clone(),
                    expires_at: session.refresh.ends_at(),
                    device: session.last_used_by.clone(),
                    assurance: session.assurance(),
                })
                .await;
            }
            (Some(found), Some(_)) if self.is_repeated(&found, &session, own.absolute, now) => {
                issued = issue(&found)?;
            }
            (Some(_), Some(_)) => return Err(SessionError::IdempotencyKeyUsed(handle)),
            (Some(_), None) => {
                let problem = "the handle of a new session is taken".to_owned();
                return Err(StoreError::Inconsistent { item: handle.to_string(), problem }.into());
            }
        }
        // After a repetition, too: whoever recorded the session may not have come this far.
        self.keep_to_limit(SessionsOf::user(&session.subject.user_id), now).await?;
        Ok(issued)
    }

    /// Whether `found` is the untouched session of the same sign-in as `wanted`. An absolute life is only
    /// compared if the sign-in has one of its own: that of the settings may have changed between the two.
    fn is_repeated(
        &self,
        found: &Session,
        wanted: &Session,
        own_absolute: Option<Duration>,
        now: Timestamp,
    ) -> bool {
        let asked_for = |session: &Session| {
            let mut claims = session.access_token_payload.clone();
            claims.retain(|name, _| self.claim(name).is_none());
            claims
        };
        let absolute = |session: &Session| {
            session.refresh.absolute_end.map(|end| session.created_at.until(end))
        };
        found.is_alive(now)
            && found.refresh.parent.is_none()
            && found.subject == wanted.subject
            && found.session_data == wanted.session_data
            && found.last_used_by == wanted.last_used_by
            && found.keeper == wanted.keeper
            && (found.access_token_ttl, found.idle_ttl)
                == (wanted.access_token_ttl, wanted.idle_ttl)
            && (own_absolute.is_none() || absolute(found) == absolute(wanted))
            && found.provider == wanted.provider
            && wanted.device_key.is_none_or(|key| found.device_key == Some(key))
            && asked_for(found) == asked_for(wanted)
    }
}
