//! Refreshing: one conditional write in the usual case, no read in any.

use super::{IssuedTokens, SessionEvent, Sessions};
use crate::error::{Ended, Reuse, SessionError, Unproved};
use crate::model::{Decision, Device, RefreshState, Revocation, Session, Timestamp, decide};
use crate::store::{PrivateKeyReader, Rotation, SessionRefresher, Transition, Written};
use crate::token::UnverifiedRefreshToken;
use crate::token::refresh::{RefreshClaims, is_equal};

/// How often a decision may be overtaken by other refreshes of the session before the request is
/// asked to come again. Every round somebody else's write succeeded, and a refresh that lost twice
/// finds its token within the window, where nothing needs to be written.
const MAX_ROUNDS: usize = 4;

/// What proves that a refresh by cookie was meant (contract §4.3).
#[derive(Clone, Copy, Debug)]
pub enum AntiCsrfProof<'a> {
    /// Nothing is demanded, or another layer checked it; no anti-CSRF token is issued.
    NotUsed,
    /// The `anti-csrf` header, as far as the request has one; a new token is issued.
    Token(Option<&'a str>),
}

/// A refresh that succeeded.
#[derive(Debug)]
pub struct Refreshed {
    /// The tokens to send.
    pub tokens: IssuedTokens,
    /// Which way it took.
    pub outcome: RefreshOutcome,
}

/// Which way a refresh took; one metric each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefreshOutcome {
    /// The current token was spent for the next generation.
    Rotated,
    /// The current token was fresh and is sent again.
    Coalesced,
    /// The parent got the same successor.
    Served,
    /// A late parent got a new generation; its unused successor is burnt.
    Recovered,
    /// A grandparent that was overtaken got the current token.
    Overtaken,
}

impl RefreshOutcome {
    /// The metric's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rotated => "Rotated",
            Self::Coalesced => "Coalesced",
            Self::Served => "Served",
            Self::Recovered => "Recovered",
            Self::Overtaken => "Overtaken",
        }
    }
}

impl<S: SessionRefresher + PrivateKeyReader> Sessions<S> {
    /// Exchanges a refresh token for a pair, by the rule of [`crate::model::refresh`].
    ///
    /// Repeating a refresh is always safe: whatever became of the first try, the second gets the same
    /// refresh token.
    ///
    /// # Errors
    ///
    /// [`SessionError::Unproved`] if the token is not ours or lacks its proof. [`SessionError::SessionEnded`]
    /// and [`SessionError::Reuse`] are certain; all others say that nothing is known and the same token
    /// works again later.
    pub async fn refresh(
        &self,
        presented: &UnverifiedRefreshToken,
        anti_csrf: AntiCsrfProof<'_>,
        device: &Device,
        now: Timestamp,
    ) -> Result<Refreshed, SessionError> {
        let keys = self.minting_keys(&[presented.unverified_master_key_id()], now).await?;
        let claims = presented
            .verify(&keys.master(now)?)
            .ok_or(SessionError::Unproved(Unproved::NotAuthentic))?;
        let with_anti_csrf = check_anti_csrf(&claims, anti_csrf)?;

        let spent = self.spend(&claims, device, now).await;
        if let Err(SessionError::Reuse(reuse)) = &spent {
            self.tell(|| SessionEvent::ReuseDetected(reuse.clone())).await;
        }
        let (session, outcome) = spent?;
        let current = session.refresh.current;
        let tokens = self.issue(&keys, &session, current, with_anti_csrf, now)?;
        self.tell(|| SessionEvent::Refreshed {
            handle: session.handle,
            user_id: session.subject.user_id.clone(),
            tenant_id: session.subject.tenant_id.clone(),
            outcome,
            expires_at: session.refresh.ends_at(),
        })
        .await;
        Ok(Refreshed { tokens, outcome })
    }

    /// The tokens to go on with when a client sent several: of each session the newest authentic one, the
    /// sessions in the order sent. A single token is returned as it is.
    ///
    /// # Errors
    ///
    /// Faults only.
    pub async fn newest_of_each_session(
        &self,
        presented: Vec<UnverifiedRefreshToken>,
        now: Timestamp,
    ) -> Result<Vec<UnverifiedRefreshToken>, SessionError> {
        if presented.len() <= 1 {
            return Ok(presented);
        }
        let ids: Vec<_> =
            presented.iter().map(UnverifiedRefreshToken::unverified_master_key_id).collect();
        let master = self.minting_keys(&ids, now).await?.master(now)?;
        let authentic = presented
            .into_iter()
            .filter_map(|token| token.verify(&master).map(|claims| (claims, token)));
        let mut newest: Vec<(RefreshClaims, UnverifiedRefreshToken)> = Vec::new();
        for (claims, token) in authentic {
            match newest.iter_mut().find(|(known, _)| known.handle == claims.handle) {
                Some((known, _)) if known.generation >= claims.generation => {}
                Some(known) => *known = (claims, token),
                None => newest.push((claims, token)),
            }
        }
        Ok(newest.into_iter().map(|(_, token)| token).collect())
    }

    /// Tries the usual case; if its condition fails, decides on the session that was found.
    async fn spend(
        &self,
        claims: &RefreshClaims,
        device: &Device,
        now: Timestamp,
    ) -> Result<(Session, RefreshOutcome), SessionError> {
        let expires_at = now.plus(self.config.lifetimes.refresh_token);
        let rotation = Rotation {
            handle: &claims.handle,
            presented: claims.generation,
            now,
            policy: self.config.refresh,
            expires_at,
            device,
        };
        let mut written = self.store.rotate(rotation).await?;
        let mut outcome = Ok(RefreshOutcome::Rotated);
        for _ in 0..MAX_ROUNDS {
            let seen = match written {
                Written::Applied(session) => return outcome.map(|outcome| (session, outcome)),
                Written::Refused(None) => return Err(SessionError::SessionEnded(Ended::Unknown)),
                Written::Refused(Some(seen)) => seen,
            };
            let decision = decide(&seen.refresh, claims.generation, now, self.config.refresh);
            (written, outcome) = match decision {
                Decision::Coalesce => return Ok((seen, RefreshOutcome::Coalesced)),
                Decision::Overtaken => return Ok((seen, RefreshOutcome::Overtaken)),
                // Somebody slid the window as far already.
                Decision::Serve(next) if next == seen.refresh => {
                    return Ok((seen, RefreshOutcome::Served));
                }
                Decision::Serve(next) => {
                    (self.advance(&seen, &next, device).await?, Ok(RefreshOutcome::Served))
                }
                Decision::Recover(next) => {
                    let next = RefreshState { expires_at, ..next };
                    (self.advance(&seen, &next, device).await?, Ok(RefreshOutcome::Recovered))
                }
                // Only if the session changed between the write and its answer: take it again.
                Decision::Rotate(_) => {
                    (self.store.rotate(rotation).await?, Ok(RefreshOutcome::Rotated))
                }
                Decision::Reuse => {
                    let reuse = Reuse {
                        handle: seen.handle,
                        user_id: seen.subject.user_id.clone(),
                        tenant_id: seen.subject.tenant_id.clone(),
                        presented: claims.generation,
                        current: seen.refresh.current,
                        presented_by: device.clone(),
                        last_used_by: seen.last_used_by.clone(),
                    };
                    let evidence = Revocation::Reuse {
                        presented: claims.generation.number(),
                        presented_by: device.clone(),
                    };
                    let written = self.store.entomb(&seen, &evidence, now).await?;
                    (written, Err(SessionError::Reuse(Box::new(reuse))))
                }
                Decision::Expired => return Err(SessionError::SessionEnded(Ended::Expired)),
                // A repeated entombing finds its own tombstone: the evidence must not get lost.
                Decision::Revoked if outcome.is_err() && seen.refresh.revoked_at == Some(now) => {
                    return outcome.map(|outcome| (seen, outcome));
                }
                Decision::Revoked => return Err(SessionError::SessionEnded(Ended::Revoked)),
            };
        }
        match written {
            Written::Applied(session) => outcome.map(|outcome| (session, outcome)),
            Written::Refused(_) => Err(SessionError::Contended(claims.handle)),
        }
    }

    async fn advance(
        &self,
        seen: &Session,
        next: &RefreshState,
        device: &Device,
    ) -> Result<Written, SessionError> {
        Ok(self.store.advance(Transition { seen, next, device }).await?)
    }
}

/// Whether the proof suffices; returns whether an anti-CSRF token goes with the answer.
///
/// A refresh token that was minted without one, because the mode was another then, is accepted.
fn check_anti_csrf(claims: &RefreshClaims, proof: AntiCsrfProof<'_>) -> Result<bool, SessionError> {
    match proof {
        AntiCsrfProof::NotUsed => Ok(false),
        AntiCsrfProof::Token(presented) => match &claims.anti_csrf_token {
            Some(expected) if !presented.is_some_and(|proof| is_equal(proof, expected)) => {
                Err(SessionError::Unproved(Unproved::AntiCsrf))
            }
            Some(_) | None => Ok(true),
        },
    }
}
