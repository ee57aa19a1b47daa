//! Creating a session, and the first keys.

use jsonwebtoken::jwk::JwkSet;
use rand_core::CryptoRng;

use super::keys::SigningKeys;
use super::{ClaimSubject, IssuedTokens, SessionEvent, Sessions, limits};
use crate::error::SessionError;
use crate::model::{
    Authentication, DeviceContext, KeyId, NewSession, PayloadSize, RefreshState, Session,
    SessionHandle, SessionsOf, Timestamp,
};
use crate::store::{
    KeyCreator, PrivateKeyReader, SessionCreator, SessionLister, SessionRevoker, StoredKeys,
    StoredMasterKey, StoredSigningKey,
};
use crate::token::access::RESERVED_CLAIMS;
use crate::token::size::longest_front_json;
use crate::token::{MasterKey, SigningKey};

/// Longest user id, in bytes: it is part of every token.
const MAX_USER_ID_LEN: usize = 256;

impl<S> Sessions<S>
where
    S: SessionCreator + SessionLister + SessionRevoker + PrivateKeyReader + KeyCreator,
{
    /// Records a new session and issues its first tokens: one write, and with a limit of sessions per
    /// user one query a page and a delete for each session too many. Needs no request; the caller
    /// delivers the tokens.
    ///
    /// `with_anti_csrf` says whether an anti-CSRF token goes with them; `rng` names the session.
    /// Reserved claims are dropped (contract §5.2); registered ones are fetched.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidInput`] if the user id is empty or too long, or claims and data would not
    /// fit ([`super::limits`]); nothing is recorded then. Store faults as they are; a session may be
    /// recorded then, but nobody holds its tokens.
    pub async fn create(
        &self,
        new: NewSession,
        used_by: DeviceContext,
        with_anti_csrf: bool,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<IssuedTokens, SessionError> {
        let user_id = new.user_id;
        if user_id.as_str().trim() != user_id.as_str() || user_id.as_str().is_empty() {
            return Err(SessionError::invalid_input(
                "the user id must not be empty or begin or end with white space",
            ));
        }
        if user_id.as_str().len() > MAX_USER_ID_LEN {
            return Err(SessionError::invalid_input("the user id is longer than 256 bytes"));
        }
        let mut payload = new.access_token_payload;
        payload.retain(|name, _| !RESERVED_CLAIMS.contains(&name.as_str()));
        payload.insert("iss".to_owned(), self.config.issuer().into());
        payload.extend(new.authentication.map(Authentication::into_claims).unwrap_or_default());
        let mut subject = ClaimSubject {
            recipe_user_id: new.recipe_user_id.unwrap_or_else(|| user_id.clone()),
            user_id,
            tenant_id: new.tenant_id,
            payload,
        };
        self.fetch_claims(&mut subject, now).await?;
        let ClaimSubject { user_id, recipe_user_id, tenant_id, payload } = subject;
        let mut session = Session {
            handle: SessionHandle::random(&self.config.app_id, &user_id, rng),
            user_id,
            recipe_user_id,
            tenant_id,
            created_at: now,
            refresh: RefreshState::new(
                now.plus(self.config.refresh_token_ttl),
                self.config.absolute_ttl.map(|ttl| now.plus(ttl)),
            ),
            access_token_payload: limits::claims(payload)?,
            payload_size: PayloadSize::default(),
            session_data: limits::session_data(new.session_data)?,
            last_used_by: used_by,
            revocation: None,
        };
        let bytes = longest_front_json(&session);
        limits::check_front_json(bytes, limits::front_json_limit(&self.config))?;
        session.payload_size.bound = Some(bytes as u64);
        let keys = self.ensure_keys(now, rng).await?;
        let issued = self.issue(&keys, &session, session.refresh.current, with_anti_csrf, now)?;
        self.store.create_session(&session).await?;
        self.tell(|| SessionEvent::Created {
            handle: session.handle,
            user_id: session.user_id.clone(),
            tenant_id: session.tenant_id.clone(),
            expires_at: session.refresh.ends_at(),
        })
        .await;
        self.keep_to_limit(SessionsOf::user(&session.user_id), now).await?;
        Ok(issued)
    }
}

impl<S: PrivateKeyReader + KeyCreator> Sessions<S> {
    /// Loads the keys, and makes the first ones if there are none.
    ///
    /// Any number of processes may do this at once: one set wins and all use it.
    ///
    /// # Errors
    ///
    /// Store faults as they are; [`SessionError::Internal`] if keys cannot be made or parsed.
    pub async fn ensure_keys(
        &self,
        now: Timestamp,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<std::sync::Arc<SigningKeys>, SessionError> {
        if let Some(keys) = self.keys.signing(&self.store, now).await? {
            return Ok(keys);
        }
        let (private, public) = self.generate_keys(now, rng)?;
        if self.store.create_keys(&private, &public).await? {
            tracing::info!("made the first signing and master keys");
        }
        let keys = self.keys.signing(&self.store, now).await?;
        keys.ok_or_else(|| SessionError::Internal("keys vanished after they were made".into()))
    }

    fn generate_keys(
        &self,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(StoredKeys, JwkSet), SessionError> {
        let algorithm = self.config.signing_algorithm;
        let mut random = [0; 16];
        rng.fill_bytes(&mut random);
        let static_id = format!("s-{:032x}", u128::from_be_bytes(random));
        let mut signing = Vec::new();
        let mut public = JwkSet { keys: Vec::new() };
        for key_id in [format!("d-{}", now.as_millis()), static_id] {
            let key_id = KeyId::new(key_id);
            let pkcs8 = algorithm.generate_pkcs8()?;
            let key = SigningKey::from_pkcs8(key_id.clone(), algorithm, &pkcs8)?;
            public.keys.push(key.public_jwk());
            signing.push(StoredSigningKey::new(key_id, algorithm.name(), &pkcs8));
        }
        let mut secret = [0; MasterKey::SECRET_LEN];
        rng.fill_bytes(&mut secret);
        let master = vec![StoredMasterKey::new(1, &secret)];
        Ok((StoredKeys { signing, master }, public))
    }
}
