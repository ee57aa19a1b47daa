//! Creating a session, and the first keys.

use jsonwebtoken::jwk::JwkSet;
use rand_core::CryptoRng;

use super::keys::SigningKeys;
use super::{IssuedTokens, SessionEvent, Sessions};
use crate::error::SessionError;
use crate::model::{
    DeviceContext, KeyId, NewSession, RefreshState, Session, SessionHandle, Timestamp,
};
use crate::store::{
    KeyCreator, PrivateKeyReader, SessionCreator, StoredKeys, StoredMasterKey, StoredSigningKey,
};
use crate::token::access::RESERVED_CLAIMS;
use crate::token::{MasterKey, SigningKey};

/// Longest user id, in bytes: it is part of every token.
const MAX_USER_ID_LEN: usize = 256;

/// Longest cookie that browsers keep, name and value, in bytes (RFC 6265 §6.1).
const MAX_COOKIE_LEN: usize = 4096;

impl<S: SessionCreator + PrivateKeyReader + KeyCreator> Sessions<S> {
    /// Records a new session and issues its first tokens: one write.
    ///
    /// `with_anti_csrf` says whether an anti-CSRF token goes with them; `rng` names the session.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidInput`] if the user id is empty or too long, or the claims would not
    /// fit into a cookie; nothing is recorded then. Store faults as they are.
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
            return Err(SessionError::InvalidInput(
                "the user id must not be empty or begin or end with white space",
            ));
        }
        if user_id.as_str().len() > MAX_USER_ID_LEN {
            return Err(SessionError::InvalidInput("the user id is longer than 256 bytes"));
        }
        let handle = SessionHandle::random(&self.config.app_id, &user_id, rng);
        let mut access_token_payload = new.access_token_payload;
        access_token_payload.retain(|name, _| !RESERVED_CLAIMS.contains(&name.as_str()));
        access_token_payload.insert("iss".to_owned(), self.config.issuer().into());
        let session = Session {
            handle,
            recipe_user_id: new.recipe_user_id.unwrap_or_else(|| user_id.clone()),
            user_id,
            tenant_id: new.tenant_id,
            created_at: now,
            refresh: RefreshState::new(
                now.plus(self.config.refresh_token_ttl),
                self.config.absolute_ttl.map(|ttl| now.plus(ttl)),
            ),
            access_token_payload,
            session_data: new.session_data,
            last_used_by: used_by,
            revocation: None,
        };
        let keys = self.ensure_keys(now, rng).await?;
        let issued = self.issue(&keys, &session, session.refresh.current, with_anti_csrf, now)?;
        // The front token is kept as a cookie too, and is the longest of the three.
        if issued.front.len().max(issued.access.token.len()) + "sFrontToken=".len() > MAX_COOKIE_LEN
        {
            return Err(SessionError::InvalidInput(
                "the claims do not fit into a cookie of 4096 bytes; keep large data in the session data",
            ));
        }
        self.store.create_session(&session).await?;
        self.tell(|| SessionEvent::Created {
            handle: session.handle,
            user_id: session.user_id.clone(),
            tenant_id: session.tenant_id.clone(),
            expires_at: session.refresh.ends_at(),
        })
        .await;
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
