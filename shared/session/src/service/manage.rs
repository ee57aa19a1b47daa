//! Looking after sessions by their handles and by their users: list, read, change, end
//! (contract §6.1).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{RevocationCause, Sessions, limits};
use crate::error::SessionError;
use crate::model::{
    AtProvider, Session, SessionHandle, SessionInformation, SessionSummary, SessionsOf, TenantId,
    Timestamp, UserId,
};
use crate::store::dynamodb::Cursor;
use crate::store::{
    PayloadMerge, PayloadRoom, ScanPage, SessionLister, SessionReader, SessionRevoker,
    SessionScanner, SessionUpdater, UserRevoker, Written,
};
use crate::token::size::longest_front_json;

/// How often a merge that has to measure may be overtaken by other merges of the session before the
/// caller is asked to come again.
const MAX_ROUNDS: usize = 8;

impl<S: SessionReader> Sessions<S> {
    /// What is known of a session; `None` if there is none, or it is over. One read.
    ///
    /// # Errors
    ///
    /// Store faults as they are.
    pub async fn information(
        &self,
        handle: &SessionHandle,
        now: Timestamp,
    ) -> Result<Option<SessionInformation>, SessionError> {
        Ok(self.alive(handle, now).await?.map(SessionInformation::from))
    }

    /// The session, unless it is over.
    pub(crate) async fn alive(
        &self,
        handle: &SessionHandle,
        now: Timestamp,
    ) -> Result<Option<Session>, SessionError> {
        let session = self.store.session(handle).await?;
        Ok(session.filter(|session| session.is_alive(now)))
    }
}

/// The sessions of a user that were used last.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedLast {
    /// As many as were asked for, those used last first.
    pub sessions: Vec<SessionSummary>,
    /// How many are alive, with those that are left out.
    pub total: usize,
}

impl<S: SessionLister> Sessions<S> {
    /// The sessions of a user that are alive, those used last first: one query a page.
    ///
    /// Somebody may have any number of sessions; [`Self::used_last`] needs no more memory for many.
    ///
    /// # Errors
    ///
    /// Store faults as they are.
    pub async fn sessions_of(
        &self,
        which: impl Into<SessionsOf<'_>>,
        now: Timestamp,
    ) -> Result<Vec<SessionSummary>, SessionError> {
        Ok(self.used_last(which, usize::MAX, now).await?.sessions)
    }

    /// Of the sessions of a user that are alive the `most` that were used last: one query a page. Besides them
    /// only one page is in memory, which `DynamoDB` bounds by 1 MB.
    ///
    /// # Errors
    ///
    /// Store faults as they are.
    pub async fn used_last(
        &self,
        which: impl Into<SessionsOf<'_>>,
        most: usize,
        now: Timestamp,
    ) -> Result<UsedLast, SessionError> {
        let found = self.newest(which.into(), most, now, |session| session).await?;
        let total = found.seen;
        Ok(UsedLast { sessions: found.into_newest_first(), total })
    }

    /// The handles of the sessions of a user that are alive, those used last first: one query a page.
    ///
    /// # Errors
    ///
    /// Store faults as they are.
    pub async fn handles_of(
        &self,
        which: impl Into<SessionsOf<'_>>,
        now: Timestamp,
    ) -> Result<Vec<SessionHandle>, SessionError> {
        let found = self.newest(which.into(), usize::MAX, now, |session| session.handle).await?;
        Ok(found.into_newest_first())
    }

    /// Whoever asks at whichever time gets the same order.
    async fn newest<T>(
        &self,
        which: SessionsOf<'_>,
        most: usize,
        now: Timestamp,
        keep: fn(SessionSummary) -> T,
    ) -> Result<Newest<T>, SessionError> {
        let mut newest = Newest::new(most);
        let mut after = None;
        loop {
            let page = self.store.sessions_page(which, after.as_ref(), now).await?;
            for session in page.sessions {
                newest.add((session.last_refreshed_at, session.handle), keep(session));
            }
            after = page.next;
            if after.is_none() {
                return Ok(newest);
            }
        }
    }
}

/// Of what comes in any order the newest, and never more than `most` of it.
#[derive(Debug)]
struct Newest<T> {
    most: usize,
    kept: BTreeMap<(Timestamp, SessionHandle), T>,
    seen: usize,
}

impl<T> Newest<T> {
    const fn new(most: usize) -> Self {
        Self { most, kept: BTreeMap::new(), seen: 0 }
    }

    fn add(&mut self, used: (Timestamp, SessionHandle), session: T) {
        self.seen += 1;
        self.kept.insert(used, session);
        if self.kept.len() > self.most {
            self.kept.pop_first();
        }
    }

    fn into_newest_first(self) -> Vec<T> {
        self.kept.into_values().rev().collect()
    }
}

impl<S: SessionLister + SessionRevoker> Sessions<S> {
    /// Ends those sessions of a user that were refreshed longest ago, until as many are left as may be.
    ///
    /// The order is total and the new session is in it like any other, so that sign-ins that race end
    /// the same ones.
    pub(super) async fn keep_to_limit(
        &self,
        which: SessionsOf<'_>,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let Some(limit) = self.config.lifetimes.sessions_per_user else {
            return Ok(());
        };
        let handles = self.handles_of(which, now).await?;
        let surplus = handles.get(limit.into()..).unwrap_or_default();
        self.end_all(surplus, Some(which.user_id), RevocationCause::OverLimit).await?;
        Ok(())
    }
}

impl<S: SessionRevoker> Sessions<S> {
    /// Ends a session by deleting it; whether there was one.
    ///
    /// Once this returned, no refresh of the session succeeds: every later write demands that the item
    /// exists.
    ///
    /// # Errors
    ///
    /// [`SessionError::Unavailable`] if the store cannot answer: the session may still live.
    pub async fn revoke(&self, handle: &SessionHandle) -> Result<bool, SessionError> {
        self.end(handle, None, RevocationCause::ByHandle).await
    }

    /// Ends several sessions, of whichever users; those that there were. One delete each.
    ///
    /// # Errors
    ///
    /// [`SessionError::Unavailable`] if some may still live; repeating the call is safe.
    pub async fn revoke_many(
        &self,
        handles: &[SessionHandle],
    ) -> Result<Vec<SessionHandle>, SessionError> {
        self.end_all(handles, None, RevocationCause::ByHandle).await
    }

    /// As [`Self::revoke`], for a session whose user is signing out.
    pub(crate) async fn sign_out(
        &self,
        handle: &SessionHandle,
        user_id: &UserId,
    ) -> Result<bool, SessionError> {
        self.end(handle, Some(user_id), RevocationCause::SignedOut).await
    }

    pub(crate) async fn end(
        &self,
        handle: &SessionHandle,
        user_id: Option<&UserId>,
        cause: RevocationCause,
    ) -> Result<bool, SessionError> {
        let ended = self.end_all(std::slice::from_ref(handle), user_id, cause).await?;
        Ok(!ended.is_empty())
    }

    /// Deletes one after the other, and tells of all together, also of those before a fault.
    async fn end_all(
        &self,
        handles: &[SessionHandle],
        user_id: Option<&UserId>,
        cause: RevocationCause,
    ) -> Result<Vec<SessionHandle>, SessionError> {
        let mut ended = Vec::new();
        let mut fault = None;
        for handle in handles {
            match self.store.delete_session(handle).await {
                Ok(true) => ended.push(*handle),
                Ok(false) => {}
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
        self.tell_revoked(&ended, user_id, cause).await;
        fault.map_or(Ok(ended), |error| Err(error.into()))
    }
}

impl<S: UserRevoker> Sessions<S> {
    /// Ends the sessions of a user, all or as narrowed: one query a page and batched deletes; the
    /// handles it ended.
    ///
    /// Covers all sessions whose creation was acknowledged before the call. Access tokens that are out
    /// work until they expire.
    ///
    /// # Errors
    ///
    /// [`SessionError::Unavailable`] if some sessions may still live; repeating the call is safe.
    pub async fn revoke_all(
        &self,
        which: impl Into<SessionsOf<'_>>,
    ) -> Result<Vec<SessionHandle>, SessionError> {
        let which = which.into();
        let cause = match which.at_provider {
            None => RevocationCause::ByUser,
            Some(_) => RevocationCause::ByProvider,
        };
        let mut ended = Vec::new();
        let mut after = None;
        loop {
            let page = self.store.handles_page(which, after.as_ref()).await?;
            self.store.delete_sessions(&page.handles).await?;
            // Page by page, so that what is done is told, whatever becomes of the rest.
            self.tell_revoked(&page.handles, Some(which.user_id), cause).await;
            ended.extend(page.handles);
            after = page.next;
            if after.is_none() {
                return Ok(ended);
            }
        }
    }

    /// Ends the sessions that an identity provider means; the handles it ended. One query for the users that
    /// the provider's name leads to, which is one in the usual case, and [`Self::revoke_all`] for each.
    ///
    /// # Errors
    ///
    /// As [`Self::revoke_all`].
    pub async fn revoke_at_provider(
        &self,
        which: AtProvider,
    ) -> Result<Vec<SessionHandle>, SessionError> {
        let mut ended = Vec::new();
        for user_id in self.store.users_of_provider(which.key()).await? {
            let sessions = SessionsOf::user(&user_id).at_provider(which);
            ended.extend(self.revoke_all(sessions).await?);
        }
        Ok(ended)
    }
}

impl<S: SessionScanner + UserRevoker> Sessions<S> {
    /// Ends the sessions of a tenant, or of everybody, that are on a page of the table, tombstones and expired
    /// ones included. A scan of 1 MB and a batch for 25 sessions.
    ///
    /// Once the last page is done, no session lives whose creation was acknowledged before the first was
    /// asked for. Sessions that begin meanwhile may or may not be ended.
    ///
    /// # Errors
    ///
    /// As [`Self::revoke_all`]; the same page can be asked for again.
    pub async fn revoke_page(
        &self,
        tenant_id: Option<&TenantId>,
        after: Option<Cursor>,
    ) -> Result<ScanPage, SessionError> {
        let page = self.store.scan_sessions(tenant_id, after).await?;
        self.store.delete_sessions(&page.handles).await?;
        let cause = tenant_id.map_or(RevocationCause::Everybody, |_| RevocationCause::ByTenant);
        self.tell_revoked(&page.handles, None, cause).await;
        Ok(page)
    }
}

impl<S: SessionUpdater> Sessions<S> {
    /// Replaces the data kept with a session; whether there was such a session. One write, the last
    /// writer wins.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidInput`] if the table cannot keep the data ([`limits`]); nothing is
    /// written then. Store faults as they are; repeating the call is harmless.
    pub async fn update_session_data(
        &self,
        handle: &SessionHandle,
        data: Map<String, Value>,
        now: Timestamp,
    ) -> Result<bool, SessionError> {
        let data = limits::session_data(data)?;
        let written = self.store.replace_session_data(handle, &data, now).await?;
        Ok(matches!(written, Written::Applied(_)))
    }

    /// Changes custom claims of a session; whether there was such a session. Null removes a claim.
    ///
    /// One write in the usual case. Each claim is changed on its own, so that of several callers at once
    /// none loses a claim that another set. Clients see the change after their next refresh.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidInput`] for reserved names and for claims that would not fit into tokens
    /// ([`limits`]); nothing is written then. [`SessionError::Contended`] if others kept merging while
    /// this one had to measure. Store faults as they are; repeating the call is harmless.
    pub async fn merge_into_access_token_payload(
        &self,
        handle: &SessionHandle,
        patch: Map<String, Value>,
        now: Timestamp,
    ) -> Result<bool, SessionError> {
        Ok(self.merge(handle, patch, now).await?.is_some())
    }

    /// As [`Self::merge_into_access_token_payload`]; the session as it is then.
    pub(crate) async fn merge(
        &self,
        handle: &SessionHandle,
        patch: Map<String, Value>,
        now: Timestamp,
    ) -> Result<Option<Session>, SessionError> {
        self.change(handle, limits::patch(patch)?, now).await
    }

    /// Applies a patch that was looked at; the session as it is then.
    pub(super) async fn change(
        &self,
        handle: &SessionHandle,
        patch: Map<String, Value>,
        now: Timestamp,
    ) -> Result<Option<Session>, SessionError> {
        let limit = self.config.transfer.front_json_limit();
        let added = limits::added_by(&patch);
        // Whatever is there, the patch alone must fit.
        limits::check_front_json(added, limit)?;
        let bounded = PayloadRoom::Bounded { added: added as u64, limit: limit as u64 };
        let mut room = bounded;
        for _ in 0..MAX_ROUNDS {
            let merge = PayloadMerge { handle, patch: &patch, room, now };
            let seen = match self.store.merge_access_token_payload(merge).await? {
                Written::Applied(session) => return Ok(Some(session)),
                Written::Refused(Some(seen)) if seen.is_alive(now) => seen,
                Written::Refused(_) => return Ok(None),
            };
            let known = seen.payload_size.bound.map(|bound| bound.saturating_add(added as u64));
            room = if known.is_some_and(|bytes| bytes <= limit as u64) {
                bounded
            } else {
                measured(&seen, &patch, self.may_be_bound(&seen), limit)?
            };
        }
        Err(SessionError::Contended(*handle))
    }
}

/// Measures what a merge results in. Claims that became too large by a change of the settings may
/// always shrink.
fn measured(
    seen: &Session,
    patch: &Map<String, Value>,
    may_be_bound: bool,
    limit: usize,
) -> Result<PayloadRoom, SessionError> {
    let mut merged = seen.clone();
    merged.access_token_payload.extend(patch.clone());
    merged.access_token_payload.retain(|_, value| !value.is_null());
    let bytes = longest_front_json(&merged, may_be_bound);
    if bytes >= longest_front_json(seen, may_be_bound) {
        limits::check_front_json(bytes, limit)?;
    }
    let seen_version = seen.payload_size.version;
    Ok(PayloadRoom::Measured { bytes: bytes as u64, seen_version })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A session's use, of which many are at the same time.
    fn uses() -> impl Strategy<Value = Vec<(Timestamp, SessionHandle)>> {
        let of = |(number, millis)| {
            let handle = SessionHandle::of_sign_in(&UserId::new("user-1"), &format!("{number}"));
            (Timestamp::from_millis(millis), handle)
        };
        let unique = proptest::collection::hash_map(any::<u16>(), 0_u64..20, 0..60);
        unique.prop_map(move |found| found.into_iter().map(of).collect())
    }

    proptest! {
        #[test]
        fn the_newest_are_kept_as_if_all_were_sorted_and_cut(uses in uses(), most in 0_usize..70) {
            let mut newest = Newest::new(most);
            for used in &uses {
                newest.add(*used, *used);
                prop_assert!(newest.kept.len() <= most);
            }
            prop_assert_eq!(newest.seen, uses.len());
            let mut expected = uses;
            expected.sort_by_key(|used| std::cmp::Reverse(*used));
            expected.truncate(most);
            prop_assert_eq!(newest.into_newest_first(), expected);
        }
    }
}
