//! Refreshing: one conditional write in the usual case, no read in any.

use std::borrow::Cow;
use std::time::Duration;

use super::{IssuedTokens, Minting, SessionEvent, Sessions};
use crate::config::DeviceBinding;
use crate::error::{DeviceUnproved, Ended, Reuse, SessionError, Unproved, WhyUnproved};
use crate::model::{
    Decision, Device, DeviceKey, Generation, Keeper, KeyDemand, Presented, RefreshPolicy,
    RefreshState, Repeats, Revocation, Session, SessionHandle, Timestamp, decide,
};
use crate::store::{PrivateKeyReader, Rotation, SessionRefresher, Written};
use crate::token::dbsc::unverified_master_key_id;
use crate::token::refresh::RefreshClaims;
use crate::token::{MasterKeys, UnverifiedRefreshToken};

/// How often a refresh writes before it is asked to come again. Whenever a write is refused somebody
/// else's write succeeded, and a refresh that lost twice finds its token within the window, where
/// nothing needs to be written.
const MAX_WRITES: usize = 5;

opaque!(AntiCsrfProof<'_>, DeviceProof<'_>);

/// What proves that a refresh by cookie was meant (contract §4.3).
#[derive(Clone, Copy)]
pub enum AntiCsrfProof<'a> {
    /// Nothing is demanded, or another layer checked it; no anti-CSRF token is issued.
    NotUsed,
    /// The `anti-csrf` header, as far as the request has one; a new token is issued.
    Token(Option<&'a str>),
}

/// What shows that a refresh comes from the session's device (docs/device-binding.md).
#[derive(Clone, Copy, Default)]
pub struct DeviceProof<'a> {
    /// A key that the request proves by itself.
    pub key: Option<DeviceKey>,
    /// Cookies that may say that the browser has just proved its key.
    pub cookies: &'a [Cow<'a, str>],
    /// Whether the browser says that it could not prove its key just now.
    pub is_hindered: bool,
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
    /// A token that was just superseded got the current one.
    Served,
    /// The answer with the current token was lost; there is a new generation in its place.
    Recovered,
    /// An answer was stored late, over a newer one; there is a new generation, for this client alone.
    Reclaimed,
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
            Self::Reclaimed => "Reclaimed",
        }
    }

    /// Whether the client got a generation that somebody had got before.
    #[must_use]
    pub const fn is_repeat(self) -> bool {
        matches!(self, Self::Coalesced | Self::Served)
    }
}

impl<S: SessionRefresher + PrivateKeyReader> Sessions<S> {
    /// Exchanges a refresh token for a pair, by the rule of [`crate::model::refresh`], without a proof of
    /// a device key.
    ///
    /// Repeating a refresh is always safe: whatever became of the first try, the second gets the same
    /// refresh token.
    ///
    /// # Errors
    ///
    /// [`SessionError::Unproved`] if the token is not ours or lacks its proof,
    /// [`SessionError::DeviceUnproved`] if it lacks that of the session's device. [`SessionError::SessionEnded`]
    /// and [`SessionError::Reuse`] are certain; all others say that nothing is known and the same token
    /// works again later.
    pub async fn refresh(
        &self,
        presented: &UnverifiedRefreshToken,
        anti_csrf: AntiCsrfProof<'_>,
        device: &Device,
        now: Timestamp,
    ) -> Result<Refreshed, SessionError> {
        let (proof, minting) = (DeviceProof::default(), Minting::default());
        self.refresh_with(presented, anti_csrf, proof, device, minting, now).await
    }

    /// As [`Self::refresh`], with what proves the session's device key, and an access token of the
    /// caller's choice.
    ///
    /// # Errors
    ///
    /// As [`Self::refresh`].
    pub async fn refresh_with(
        &self,
        presented: &UnverifiedRefreshToken,
        anti_csrf: AntiCsrfProof<'_>,
        proof: DeviceProof<'_>,
        device: &Device,
        minting: Minting,
        now: Timestamp,
    ) -> Result<Refreshed, SessionError> {
        let of_cookies = proof.cookies.iter().filter_map(|text| unverified_master_key_id(text));
        let ids: Vec<_> =
            [presented.unverified_master_key_id()].into_iter().chain(of_cookies).collect();
        let keys = self.minting_keys(&ids, now).await?;
        let master = keys.master(now)?;
        let claims =
            presented.verify(&master).ok_or(SessionError::Unproved(Unproved::NotAuthentic))?;
        let with_anti_csrf = check_anti_csrf(&master, &claims, anti_csrf)?;

        let asked = Asked {
            generation: claims.generation,
            device,
            now,
            policy: self.config.refresh,
            idle_ttl: self.config.lifetimes.refresh_token,
            binding: self.config.device_binding,
            proved: proof.key.or_else(|| {
                let mut cookies = proof.cookies.iter();
                cookies.find_map(|text| master.proved_by_cookie(text, &claims.handle, now))
            }),
            is_hindered: proof.is_hindered,
        };
        let spent = self.spend(&claims, &asked).await;
        match &spent {
            Err(SessionError::Reuse(reuse)) => {
                self.tell(|| SessionEvent::ReuseDetected(reuse.clone())).await;
            }
            Err(SessionError::DeviceUnproved(lack)) => {
                let (lack, is_served) = (lack.clone(), false);
                self.tell(|| SessionEvent::DeviceProofMissing { lack, is_served }).await;
            }
            Ok(Spending { session, last_used_by, .. }) if asked.is_to_report(session) => {
                let (lack, is_served) = (Box::new(asked.lack(session, last_used_by)), true);
                self.tell(|| SessionEvent::DeviceProofMissing { lack, is_served }).await;
            }
            Ok(_) | Err(_) => {}
        }
        let Spending { session, outcome, last_used_by } = spent?;
        let current = session.refresh.current;
        let tokens = self.issue(&keys, &session, current, with_anti_csrf, minting, now)?;
        let is_of_current = |it: &&Repeats| it.generation == current.number();
        let repeats = session.repeats.as_ref().filter(is_of_current);
        let repeats = repeats.filter(|_| outcome.is_repeat());
        self.tell(|| SessionEvent::Refreshed {
            handle: session.handle,
            user_id: session.subject.user_id.clone(),
            tenant_id: session.subject.tenant_id.clone(),
            outcome,
            expires_at: session.refresh.ends_at(),
            device: device.clone(),
            last_used_by,
            assurance: session.assurance(),
            repeats: repeats.map_or(0, |repeats| repeats.times),
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

    /// Writes, and if a write's condition fails, sees what is there and decides what to write.
    async fn spend(&self, claims: &RefreshClaims, asked: &Asked<'_>) -> Spent {
        let mut write = Write::Rotate { is_own_too_long: false };
        for _ in 0..MAX_WRITES {
            let written = match &write {
                Write::Rotate { is_own_too_long } => {
                    self.store.rotate(asked.rotation(&claims.handle, *is_own_too_long)).await?
                }
                Write::Advance { seen, state, .. } => {
                    self.store.advance(seen, &asked.advanced(seen.clone(), *state)).await?
                }
                Write::Entomb { seen } => {
                    self.store.entomb(seen, &asked.evidence(), asked.now).await?
                }
            };
            let seen = match written {
                Written::Applied(session) => return asked.applied(write, session),
                Written::Refused(None) => return Err(SessionError::SessionEnded(Ended::Unknown)),
                Written::Refused(Some(seen)) => seen,
            };
            write = match asked.next(seen) {
                Step::Write(next) => next,
                Step::Answer(spent) => return spent,
            };
        }
        Err(SessionError::Contended(claims.handle))
    }
}

/// What spending a token came to.
type Spent = Result<Spending, SessionError>;

/// A token was spent.
#[derive(Debug)]
struct Spending {
    /// The session, whose current generation is to be sent.
    session: Session,
    outcome: RefreshOutcome,
    /// Who got the newest generation that there was before.
    last_used_by: Device,
}

/// An authentic token was presented: which, by whom, when, and what the settings make of it.
struct Asked<'a> {
    generation: Generation,
    device: &'a Device,
    now: Timestamp,
    policy: RefreshPolicy,
    /// The idle life that the settings allow.
    idle_ttl: Duration,
    binding: DeviceBinding,
    /// The device key that was proved.
    proved: Option<DeviceKey>,
    /// Whether the browser says that it could not.
    is_hindered: bool,
}

/// What to do next.
#[derive(Debug)]
enum Step {
    Write(Write),
    /// Nothing is left to write.
    Answer(Spent),
}

/// What to write next; refused if the session is not as it has to be.
#[derive(Debug)]
enum Write {
    /// The usual case, of which nothing needs to be seen, or only that the session's own idle life is
    /// longer than the settings allow by now.
    Rotate { is_own_too_long: bool },
    /// What was decided on the session that was seen, unless it moved on since.
    Advance { seen: Session, state: RefreshState, outcome: RefreshOutcome },
    /// The session's end.
    Entomb { seen: Session },
}

impl Asked<'_> {
    fn rotation<'a>(&'a self, handle: &'a SessionHandle, is_own_too_long: bool) -> Rotation<'a> {
        let Self { generation: presented, device, now, policy, idle_ttl, .. } = *self;
        let demand = self.demand();
        Rotation { handle, presented, now, policy, idle_ttl, is_own_too_long, device, demand }
    }

    /// What is needed of the session's device key.
    const fn demand(&self) -> KeyDemand {
        match self.binding {
            DeviceBinding::Off => KeyDemand::Nothing,
            DeviceBinding::Report => KeyDemand::Noted(self.proved),
            DeviceBinding::Require => KeyDemand::Proved(self.proved),
        }
    }

    /// Whether a session that was served should have had a proof.
    fn is_to_report(&self, session: &Session) -> bool {
        let is_pending = false; // It is worth telling that the browser may not know of its key.
        self.binding.is_on()
            && !KeyDemand::Proved(self.proved).is_met(session.device_key, is_pending)
    }

    /// What comes next, given the session that was found there.
    fn next(&self, seen: Session) -> Step {
        if self.generation < seen.first_generation() {
            // It is of an earlier session of the same handle, which was deleted.
            return Step::Answer(Err(SessionError::SessionEnded(Ended::Unknown)));
        }
        let presented = Presented {
            generation: self.generation,
            may_be_late: seen.keeper == Keeper::Script
                && self.device.agent == seen.last_used_by.agent,
            is_proved: self.demand().is_met(seen.device_key, seen.device_pending),
        };
        match decide(&seen.refresh, presented, self.now, self.policy) {
            // If its own idle life is too long, or it changed between the write and its answer.
            Decision::Rotate(_) => {
                let is_own_too_long = seen.idle_ttl > Some(self.idle_ttl);
                Step::Write(Write::Rotate { is_own_too_long })
            }
            Decision::Coalesce(state) => Self::advance(seen, state, RefreshOutcome::Coalesced),
            Decision::Serve(state) => Self::advance(seen, state, RefreshOutcome::Served),
            Decision::Recover(state) => Self::advance(seen, state, RefreshOutcome::Recovered),
            Decision::Reclaim(state) => Self::advance(seen, state, RefreshOutcome::Reclaimed),
            Decision::Reuse => Step::Write(Write::Entomb { seen }),
            Decision::Unproved => {
                let lack = self.lack(&seen, &seen.last_used_by);
                Step::Answer(Err(SessionError::DeviceUnproved(Box::new(lack))))
            }
            // The answer to our own entombing got lost: the evidence must not.
            Decision::Revoked if self.has_entombed(&seen) => Step::Answer(Err(self.reuse(&seen))),
            Decision::Revoked => Step::Answer(Err(SessionError::SessionEnded(Ended::Revoked))),
            Decision::Expired => Step::Answer(Err(SessionError::SessionEnded(Ended::Expired))),
        }
    }

    fn advance(seen: Session, state: RefreshState, outcome: RefreshOutcome) -> Step {
        if state == seen.refresh {
            // It was handed out at this instant already, or later by another clock.
            let last_used_by = seen.last_used_by.clone();
            return Step::Answer(Ok(Spending { session: seen, outcome, last_used_by }));
        }
        Step::Write(Write::Advance { seen, state, outcome })
    }

    /// The session in that state, to which this request brings it.
    fn advanced(&self, seen: Session, state: RefreshState) -> Session {
        let device_pending = seen.device_pending && !self.demand().ends_pending();
        let seen = Session { device_pending, ..seen };
        if state.current == seen.refresh.current {
            return seen.repeated(state, self.device);
        }
        let idle_ttl = seen.idle_ttl.map_or(self.idle_ttl, |own| own.min(self.idle_ttl));
        Session {
            refresh: RefreshState { expires_at: self.now.plus(idle_ttl), ..state },
            last_used_by: self.device.clone(),
            ..seen
        }
    }

    /// What it means that this was written, given the session that the write answers.
    fn applied(&self, write: Write, session: Session) -> Spent {
        match write {
            Write::Rotate { .. } => {
                let last_used_by = session.last_used_by.clone();
                let state = session.refresh.rotated(self.now);
                let session = self.advanced(session, state);
                Ok(Spending { session, outcome: RefreshOutcome::Rotated, last_used_by })
            }
            Write::Advance { seen, outcome, .. } => {
                Ok(Spending { session, outcome, last_used_by: seen.last_used_by })
            }
            Write::Entomb { .. } => Err(self.reuse(&session)),
        }
    }

    fn has_entombed(&self, seen: &Session) -> bool {
        seen.refresh.revoked_at == Some(self.now) && seen.revocation == Some(self.evidence())
    }

    fn evidence(&self) -> Revocation {
        let presented_by = self.device.clone();
        Revocation::Reuse { presented: self.generation.number(), presented_by }
    }

    /// What is known of a request that lacks the proof of the session's device key.
    fn lack(&self, session: &Session, last_used_by: &Device) -> DeviceUnproved {
        DeviceUnproved {
            handle: session.handle,
            user_id: session.subject.user_id.clone(),
            tenant_id: session.subject.tenant_id.clone(),
            why: match self.proved {
                Some(_) => WhyUnproved::OtherKey,
                None if self.is_hindered => WhyUnproved::Hindered,
                None => WhyUnproved::Missing,
            },
            asked_by: self.device.clone(),
            last_used_by: last_used_by.clone(),
            assurance: session.assurance(),
        }
    }

    fn reuse(&self, tombstone: &Session) -> SessionError {
        SessionError::Reuse(Box::new(Reuse {
            handle: tombstone.handle,
            user_id: tombstone.subject.user_id.clone(),
            recipe_user_id: tombstone.subject.recipe_user_id.clone(),
            tenant_id: tombstone.subject.tenant_id.clone(),
            presented: self.generation,
            current: tombstone.refresh.current,
            presented_by: self.device.clone(),
            last_used_by: tombstone.last_used_by.clone(),
            assurance: tombstone.assurance(),
        }))
    }
}

/// Whether the proof suffices; returns whether an anti-CSRF token goes with the answer.
///
/// Any proof of the session will do. A refresh token that was minted without one, because the mode was
/// another then, is accepted.
fn check_anti_csrf(
    master: &MasterKeys,
    claims: &RefreshClaims,
    proof: AntiCsrfProof<'_>,
) -> Result<bool, SessionError> {
    let AntiCsrfProof::Token(presented) = proof else {
        return Ok(false);
    };
    let is_proved = presented.is_some_and(|proof| master.is_anti_csrf_token(proof, &claims.handle));
    if is_proved || !claims.with_anti_csrf {
        Ok(true)
    } else {
        Err(SessionError::Unproved(Unproved::AntiCsrf))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Map;

    use super::*;
    use crate::model::{DeviceKeyKind, PayloadSize, Subject};

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const W: Duration = Duration::from_mins(1);
    const MS: Duration = Duration::from_millis(1);

    fn phone() -> Device {
        Device::new(Some("phone"), Some("192.0.2.7"))
    }

    /// The phone asks with this token.
    fn asked<R>(generation: u32, then: impl FnOnce(&Asked<'_>) -> R) -> R {
        then(&Asked {
            generation: Generation::new(generation).unwrap(),
            device: &phone(),
            now: NOW,
            policy: RefreshPolicy::new(W / 2),
            idle_ttl: W * 100,
            binding: DeviceBinding::Require,
            proved: None,
            is_hindered: false,
        })
    }

    /// Rotated twice, recovered once, the last so long ago; by the phone.
    fn session(minted_ago: Duration) -> Session {
        let subject = Subject::user("user-1");
        let generation = Generation::new;
        let refresh = RefreshState {
            current: generation(4).unwrap(),
            parent: generation(2),
            spent: [generation(2), generation(1), None],
            minted_at: Some(NOW.minus(minted_ago)),
            answered_at: Some(NOW.minus(minted_ago)),
            ..RefreshState::new(NOW.plus(W), None)
        };
        Session {
            handle: SessionHandle::from_bytes([1; SessionHandle::LEN]),
            subject,
            created_at: NOW.minus(W * 100),
            refresh,
            idle_ttl: None,
            access_token_ttl: None,
            access_token_payload: Map::new(),
            payload_size: PayloadSize::default(),
            session_data: Map::new(),
            keeper: Keeper::Script,
            last_used_by: phone(),
            repeats: None,
            device_key: None,
            device_pending: false,
            provider: None,
            revocation: None,
        }
    }

    /// What presenting a token leads to, in a word.
    fn step(generation: u32, seen: Session) -> String {
        match asked(generation, |asked| asked.next(seen)) {
            Step::Write(Write::Rotate { .. }) => "rotate".to_owned(),
            Step::Write(Write::Advance { outcome, .. }) => outcome.name().to_owned(),
            Step::Write(Write::Entomb { .. }) => "entomb".to_owned(),
            Step::Answer(Ok(spent)) => format!("answer {}", spent.outcome.name()),
            Step::Answer(Err(error)) => error.to_string(),
        }
    }

    #[test]
    fn every_decision_leads_to_the_write_that_it_names() {
        let late = W + MS;
        for (generation, minted_ago, expected) in [
            (4, late, "rotate"),
            (4, W, "Coalesced"),
            (2, W, "Served"),
            (2, late, "Recovered"),
            (3, late, "Reclaimed"),
            (5, W, "entomb"),
        ] {
            let said = step(generation, session(minted_ago));
            assert_eq!(said, expected, "{generation} after {minted_ago:?}");
        }
    }

    #[test]
    fn what_was_handed_out_at_this_instant_is_answered_without_a_write() {
        assert_eq!(step(4, session(Duration::ZERO)), "answer Coalesced");
        assert_eq!(step(2, session(Duration::ZERO)), "answer Served");
    }

    #[test]
    fn a_session_that_is_over_is_answered_without_a_write() {
        let mut over = session(W);
        over.refresh.expires_at = NOW;
        assert_eq!(step(4, over), "the session has ended: session expired");
        let mut ended = session(W);
        ended.refresh.revoked_at = Some(NOW.minus(MS));
        assert_eq!(step(4, ended), "the session has ended: session revoked");
    }

    #[test]
    fn a_token_of_an_earlier_session_of_the_same_handle_is_over_and_ends_nothing() {
        for keeper in [Keeper::Script, Keeper::Browser] {
            let mut seen = Session { keeper, ..session(W) };
            let first = Generation::first_at(seen.created_at);
            seen.refresh.current = first.next();
            seen.refresh.parent = Some(first);
            seen.refresh.spent = [Some(first), None, None];
            for generation in [4, first.number() - 1] {
                let said = step(generation, seen.clone());
                assert_eq!(said, "the session has ended: session unknown", "{generation}");
            }
            assert_eq!(step(first.number(), seen), "Served");
        }
    }

    #[test]
    fn a_late_answer_is_forgiven_to_a_script_of_the_same_agent_only() {
        let late = W + MS;
        assert_eq!(step(3, session(late)), "Reclaimed");
        let cookies = Session { keeper: Keeper::Browser, ..session(late) };
        assert_eq!(step(3, cookies), "entomb");
        let network = Device::new(Some("phone"), Some("198.51.100.1"));
        let moved = Session { last_used_by: network, ..session(late) };
        assert_eq!(step(3, moved), "Reclaimed");
        for agent in [Some("laptop"), None] {
            let last_used_by = Device::new(agent, None);
            let other = Session { last_used_by, ..session(late) };
            assert_eq!(step(3, other), "entomb", "{agent:?}");
        }
    }

    #[test]
    fn only_the_tombstone_of_this_very_request_is_reuse_once_more() {
        let tombstone = |revoked_at, presented| {
            let mut session = session(W);
            session.refresh.revoked_at = Some(revoked_at);
            session.revocation = Some(Revocation::Reuse { presented, presented_by: phone() });
            step(1, session)
        };
        assert!(tombstone(NOW, 1).starts_with("refresh token reuse"));
        assert_eq!(tombstone(NOW.minus(MS), 1), "the session has ended: session revoked");
        assert_eq!(tombstone(NOW, 2), "the session has ended: session revoked");
    }

    #[test]
    fn a_bound_session_needs_its_key_where_that_is_required_and_nowhere_else() {
        let key = |byte| DeviceKey { kind: DeviceKeyKind::Dbsc, thumbprint: [byte; 32] };
        let bound = || Session { device_key: Some(key(1)), ..session(W + MS) };
        let step = |binding, proved, is_hindered, seen| {
            asked(4, |asked| {
                let asked = Asked { binding, proved, is_hindered, ..*asked };
                let is_to_report = asked.is_to_report(&seen);
                match asked.next(seen) {
                    Step::Write(Write::Rotate { .. }) if is_to_report => "report".to_owned(),
                    Step::Write(Write::Rotate { .. }) => "rotate".to_owned(),
                    Step::Answer(Err(SessionError::DeviceUnproved(lack))) => {
                        format!("{:?}", lack.why)
                    }
                    step @ (Step::Write(_) | Step::Answer(_)) => panic!("{step:?}"),
                }
            })
        };
        let (off, report, require) =
            (DeviceBinding::Off, DeviceBinding::Report, DeviceBinding::Require);
        for (key, is_hindered, expected) in [
            (Some(key(1)), false, ["rotate", "rotate", "rotate"]),
            (Some(key(2)), false, ["rotate", "report", "OtherKey"]),
            (None, false, ["rotate", "report", "Missing"]),
            (None, true, ["rotate", "report", "Hindered"]),
        ] {
            let said = [off, report, require].map(|on| step(on, key, is_hindered, bound()));
            assert_eq!(said, expected, "{key:?}");
            for on in [off, report, require] {
                assert_eq!(step(on, key, is_hindered, session(W + MS)), "rotate", "not bound");
            }
        }
    }

    #[test]
    fn whoever_lacks_the_key_cannot_end_the_session_by_a_spent_token() {
        let key = DeviceKey { kind: DeviceKeyKind::Dpop, thumbprint: [1; 32] };
        let bound = Session { device_key: Some(key), ..session(W + MS) };
        assert!(step(5, bound).starts_with("no proof of the device key"));
        assert_eq!(step(5, session(W + MS)), "entomb");
    }

    #[test]
    fn a_new_generation_moves_the_idle_end_and_is_the_devices_that_asked() {
        let seen = Session { last_used_by: Device::default(), ..session(W + MS) };
        let next = asked(2, |asked| {
            let Step::Write(Write::Advance { seen, state, .. }) = asked.next(seen) else {
                panic!("not recovered");
            };
            asked.advanced(seen, state)
        });
        assert_eq!(next.refresh.expires_at, NOW.plus(W * 100));
        assert_eq!(next.last_used_by, phone());
        assert_eq!(next.repeats, None);
    }

    #[test]
    fn a_repeat_leaves_the_idle_end_and_the_device_and_is_counted() {
        let seen = Session { last_used_by: Device::default(), ..session(W) };
        let state = RefreshState { answered_at: Some(NOW), ..seen.refresh };
        let next = asked(2, |asked| asked.advanced(seen.clone(), state));
        let repeats = Repeats { times: 1, generation: 4, elsewhere: Some(phone()) };
        assert_eq!(next, Session { refresh: state, repeats: Some(repeats), ..seen });
    }

    #[test]
    fn repeats_are_counted_as_long_as_no_generation_goes_without() {
        let repeats = |times, generation| Repeats { times, generation, elsewhere: None };
        let after = |before| {
            let seen = Session { repeats: before, ..session(W) };
            seen.clone().repeated(seen.refresh, &phone()).repeats.unwrap()
        };
        assert_eq!(after(None), repeats(1, 4));
        assert_eq!(after(Some(repeats(7, 4))), repeats(8, 4));
        assert_eq!(after(Some(repeats(7, 3))), repeats(8, 4));
        assert_eq!(after(Some(repeats(7, 2))), repeats(1, 4));
        let elsewhere = Repeats { elsewhere: Some(Device::default()), ..repeats(7, 3) };
        assert_eq!(after(Some(elsewhere)).elsewhere, Some(Device::default()));
    }
}
