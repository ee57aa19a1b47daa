//! Binding a session to the browser that it was signed in on, and proving the browser's key
//! (docs/device-binding.md).

use super::{SessionEvent, Sessions};
use crate::error::SessionError;
use crate::model::{Device, Keeper, Session, SessionHandle, Timestamp};
use crate::store::{PrivateKeyReader, SessionBinder, Written};
use crate::token::dbsc::{BrowserKey, BrowserProof, CHALLENGE_LIFE, unverified_master_key_id};
use crate::token::{MasterKeys, UnverifiedRefreshToken};

opaque!(BrowserCredential);

/// What a browser that has proved its key gets.
pub struct BrowserCredential {
    /// The name by which the browser knows the session.
    pub identifier: String,
    /// The value of the cookie that proves the key with the next refreshes.
    pub cookie: String,
    /// What is to be signed next time.
    pub challenge: String,
}

/// What a registration comes to.
#[derive(Debug)]
pub enum Registration {
    /// The session is bound to the key.
    Bound(BrowserCredential),
    /// It is not: the proof does not hold, or the session is over or bound to another key.
    Refused,
}

/// What a browser is told that asks with the name of a session.
#[derive(Debug)]
pub enum BrowserAnswer {
    /// The key is proved.
    Proved(BrowserCredential),
    /// There is no proof, or one of a challenge that does not count any more: sign this one.
    Challenge {
        // Printable: neither is worth anything without the key.
        /// The name that it asked with.
        identifier: String,
        /// What is to be signed.
        challenge: String,
    },
    /// The proof is not by the session's key.
    Refused,
    /// It is not the session that its cookies are of: the browser should forget the name.
    Forget,
}

impl<S> Sessions<S> {
    /// Whether its browser should bind the session, if it can.
    pub(super) fn asks_for_device_key(&self, session: &Session) -> bool {
        self.config.device_binding.is_on()
            && session.keeper == Keeper::Browser
            && session.device_key.is_none()
    }

    /// Whether the session may yet be bound, and its tokens become longer by the name of the key.
    pub(super) fn may_be_bound(&self, session: &Session) -> bool {
        session.device_pending || self.asks_for_device_key(session)
    }
}

impl<S: SessionBinder + PrivateKeyReader> Sessions<S> {
    /// Binds a session to the key that a browser proves, in one write; the key is demanded once the browser has
    /// shown with a refresh that it knows of it. `presented` are the refresh tokens
    /// that came along, one of which must be of the session that the challenge was made for. Repeating
    /// the call is harmless.
    ///
    /// # Errors
    ///
    /// Faults only.
    pub async fn register_browser(
        &self,
        presented: &[UnverifiedRefreshToken],
        proof: &str,
        device: &Device,
        now: Timestamp,
    ) -> Result<Registration, SessionError> {
        let Some(proof) = BrowserProof::parse(proof) else { return Ok(Registration::Refused) };
        let master = self.device_keys(&[proof.challenge()], presented, now).await?;
        let is_for =
            |handle: &SessionHandle| master.is_device_challenge(proof.challenge(), handle, now);
        let handle = sessions_of(presented, &master).find(is_for);
        let (Some(handle), Some(browser)) = (handle, proof.registered_key()) else {
            return Ok(Registration::Refused);
        };
        let key = browser.device_key();
        let session = match self.store.bind_session(&handle, key, now).await? {
            Written::Applied(session) => session,
            // The browser repeats itself.
            Written::Refused(Some(seen)) if seen.device_key == Some(key) && seen.is_alive(now) => {
                seen
            }
            Written::Refused(_) => return Ok(Registration::Refused),
        };
        self.tell(|| SessionEvent::DeviceBound {
            handle,
            assurance: session.assurance(),
            user_id: session.subject.user_id,
            tenant_id: session.subject.tenant_id,
            key,
            device: device.clone(),
            last_used_by: session.last_used_by,
        })
        .await;
        Ok(Registration::Bound(self.credential(&master, &handle, &browser, now)))
    }
}

impl<S: PrivateKeyReader> Sessions<S> {
    /// Answers a browser that is about to refresh the session of that name, without any table. `presented`
    /// are the refresh tokens that came along.
    ///
    /// # Errors
    ///
    /// Faults only.
    pub async fn prove_browser(
        &self,
        identifier: &str,
        presented: &[UnverifiedRefreshToken],
        proof: Option<&str>,
        device: &Device,
        now: Timestamp,
    ) -> Result<BrowserAnswer, SessionError> {
        let master = self.device_keys(&[identifier], presented, now).await?;
        // A binding of a session that was signed out would renew the cookie of the one that took its place.
        let Some((handle, browser)) = master
            .of_device_identifier(identifier)
            .filter(|(handle, _)| sessions_of(presented, &master).any(|it| it == *handle))
        else {
            return Ok(BrowserAnswer::Forget);
        };
        if let Some(proof) = proof {
            let proof = BrowserProof::parse(proof).filter(|proof| proof.is_signed_by(&browser));
            let Some(proof) = proof else {
                let (key, device) = (browser.device_key(), device.clone());
                self.tell(|| SessionEvent::DeviceBindingLost { handle, key, device }).await;
                return Ok(BrowserAnswer::Refused);
            };
            if master.is_device_challenge(proof.challenge(), &handle, now) {
                let credential = self.credential(&master, &handle, &browser, now);
                return Ok(BrowserAnswer::Proved(credential));
            }
        }
        Ok(BrowserAnswer::Challenge {
            identifier: identifier.to_owned(),
            challenge: challenge(&master, &handle, now),
        })
    }

    /// The master keys, those included that these texts and tokens claim to be derived from.
    async fn device_keys(
        &self,
        texts: &[&str],
        presented: &[UnverifiedRefreshToken],
        now: Timestamp,
    ) -> Result<MasterKeys, SessionError> {
        let of_texts = texts.iter().filter_map(|text| unverified_master_key_id(text));
        let of_tokens = presented.iter().map(UnverifiedRefreshToken::unverified_master_key_id);
        let ids: Vec<_> = of_texts.chain(of_tokens).collect();
        self.minting_keys(&ids, now).await?.master(now)
    }

    fn credential(
        &self,
        master: &MasterKeys,
        handle: &SessionHandle,
        browser: &BrowserKey,
        now: Timestamp,
    ) -> BrowserCredential {
        // The browser forgets it in time, and what it sent just before may be under way for F.
        let end = now.plus(self.config.lifetimes.device_proof).plus(self.config.refresh.flight());
        BrowserCredential {
            identifier: master.device_identifier(handle, browser),
            cookie: master.device_cookie(handle, &browser.device_key(), end),
            challenge: challenge(master, handle, now),
        }
    }
}

/// A challenge that may be answered from now on.
pub(super) fn challenge(master: &MasterKeys, handle: &SessionHandle, now: Timestamp) -> String {
    master.device_challenge(handle, now.plus(CHALLENGE_LIFE))
}

/// The sessions of those that are authentic.
fn sessions_of<'a>(
    presented: &'a [UnverifiedRefreshToken],
    master: &'a MasterKeys,
) -> impl Iterator<Item = SessionHandle> {
    presented.iter().filter_map(|token| Some(token.verify(master)?.handle))
}
