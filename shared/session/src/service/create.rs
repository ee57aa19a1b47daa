//! Creating a session.

use rand_core::CryptoRng;

use super::{IssuedTokens, Minting, SessionEvent, Sessions, limits};
use crate::error::SessionError;
use crate::model::{
    Authentication, Device, NewSession, PayloadSize, RefreshState, Session, SessionHandle,
    SessionsOf, Subject, Timestamp,
};
use crate::store::SignInStore;
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

fn check_ids(subject: &Subject) -> Result<(), SessionError> {
    check_id("user id", subject.user_id.as_str())?;
    check_id("recipe user id", subject.recipe_user_id.as_str())?;
    check_id("tenant id", subject.tenant_id.as_str())
}

impl<S: SignInStore> Sessions<S> {
    /// Records a new session and issues its first tokens: one write, and with a limit of sessions per
    /// user one query a page and a delete for each session too many. Needs no request; the caller
    /// delivers the tokens.
    ///
    /// `with_anti_csrf` says whether an anti-CSRF token goes with them; `rng` names the session.
    /// Claims that belong to tokens or the session are dropped ([`crate::token::registered`]); fetched
    /// ones are fetched.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidInput`] if an id is empty, too long or would be read as another one, or
    /// claims and data would not fit ([`super::limits`]); nothing is recorded then. Store faults as they are; a session may be
    /// recorded then, but nobody holds its tokens.
    pub async fn create(
        &self,
        new: NewSession,
        device: Device,
        with_anti_csrf: bool,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<IssuedTokens, SessionError> {
        let mut new = new;
        check_ids(&new.subject)?;
        let payload = &mut new.access_token_payload;
        drop_those_of_tokens(payload);
        payload.insert("iss".to_owned(), self.config.api.issuer().into());
        payload
            .extend(new.authentication.take().map(Authentication::into_claims).unwrap_or_default());
        self.fetch_claims(&new.subject, payload, now).await?;
        self.create_as_given(new, device, with_anti_csrf, Minting::default(), now, rng).await
    }

    /// As [`Self::create`], with the claims as they are given: nothing is dropped, fetched or added, not
    /// even an issuer.
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
        let subject = new.subject;
        check_ids(&subject)?;
        let mut payload = new.access_token_payload;
        payload.extend(new.authentication.map(Authentication::into_claims).unwrap_or_default());
        let mut session = Session {
            handle: SessionHandle::random(&subject.user_id, rng),
            subject,
            created_at: now,
            refresh: RefreshState::new(
                now.plus(self.config.lifetimes.refresh_token),
                self.config.lifetimes.absolute.map(|ttl| now.plus(ttl)),
            ),
            access_token_payload: limits::claims(payload)?,
            payload_size: PayloadSize::default(),
            session_data: limits::session_data(new.session_data)?,
            keeper: new.keeper,
            last_used_by: device,
            repeats: None,
            revocation: None,
        };
        let bytes = longest_front_json(&session);
        limits::check_front_json(bytes, self.config.transfer.front_json_limit())?;
        session.payload_size.bound = Some(bytes as u64);
        let keys = self.ensure_keys(now, rng).await?;
        let first = session.refresh.current;
        let issued = self.issue(&keys, &session, first, with_anti_csrf, minting, now)?;
        self.store.create_session(&session).await?;
        self.tell(|| SessionEvent::Created {
            handle: session.handle,
            user_id: session.subject.user_id.clone(),
            tenant_id: session.subject.tenant_id.clone(),
            expires_at: session.refresh.ends_at(),
        })
        .await;
        self.keep_to_limit(SessionsOf::user(&session.subject.user_id), now).await?;
        Ok(issued)
    }
}
