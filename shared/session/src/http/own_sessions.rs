//! `GET {base}/sessions`, `DELETE {base}/sessions` and `DELETE {base}/sessions/{sessionHandle}`: a user sees
//! where they are signed in, and signs out there (ASVS 7.4.5, 7.5.2).
//!
//! A user sees the sessions of their own user id in their own tenant and no others. The caller's session
//! must be alive, not only its access token: otherwise a thief whom the owner has just signed out could sign
//! the owner out in return.

use http::{HeaderMap, Request, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::respond::{DefaultErrorHandlers, NO_STORE, Response, json, not_found, refusal};
use super::{Endpoint, TokenHeaders, TransferMethod, Verified, VerifyOptions, verify};
use crate::error::SessionError;
use crate::model::{
    ClaimValidator, Device, SessionHandle, SessionSummary, SessionsOf, Subject, Timestamp,
};
use crate::service::{RevocationCause, Sessions, UsedLast};
use crate::store::{PublicKeyReader, SessionLister, SessionReader, SessionRevoker, UserRevoker};

/// Sessions in one answer: 600 KB at most, where a function may answer 6 MB.
const MAX_LISTED: usize = 500;

/// Answers one request; 404 if it is for something else.
///
/// One read of the caller's session; then a query a page to list, a read and a delete to end one, a query a
/// page and batched deletes to end all others. Access tokens of ended sessions work until they expire.
pub async fn own_sessions<S, B>(
    sessions: &Sessions<S>,
    request: &Request<B>,
    now: Timestamp,
) -> (Response, Result<(), SessionError>)
where
    S: PublicKeyReader + SessionReader + SessionLister + SessionRevoker + UserRevoker,
    B: Sync,
{
    let (config, headers) = (sessions.config(), request.headers());
    let endpoint = Endpoint::of(config, request);
    let Some(endpoint) = endpoint.filter(|endpoint| endpoint.is_of_owners()) else {
        return (not_found(), Ok(()));
    };
    let answer = |error: &SessionError, came_by| {
        refusal(&DefaultErrorHandlers, config, headers, error, came_by)
    };
    let verified = match verify(sessions, request, VerifyOptions::default(), now).await {
        Ok(Some(verified)) => verified,
        Ok(None) => return (answer(&SessionError::NoToken, None), Err(SessionError::NoToken)),
        Err(error) => return (answer(&error, None), Err(error)),
    };
    let method = verified.method;
    let named = Endpoint::handle_in(request);
    let answered = match owner(sessions, endpoint, named, &verified, now).await {
        Ok(owner) if endpoint == Endpoint::Sessions => owner.list(sessions, now).await,
        Ok(owner) if endpoint == Endpoint::OtherSessions => owner.end_others(sessions).await,
        Ok(owner) => owner.end_one(sessions, named, headers, method, now).await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(response) => (response, Ok(())),
        Err(error) => (answer(&error, Some(method)), Err(error)),
    }
}

/// Who asks, by a session that is alive.
struct Owner {
    subject: Subject,
    here: SessionHandle,
}

/// The caller, if the session still lives and, where another one is to end, the sign-in is as recent as it
/// has to be: signing out asks for nothing.
async fn owner<S: SessionReader>(
    sessions: &Sessions<S>,
    endpoint: Endpoint,
    named: Option<SessionHandle>,
    Verified { token, .. }: &Verified,
    now: Timestamp,
) -> Result<Owner, SessionError> {
    let session = sessions.check_alive(token, now).await?;
    let ends_another = endpoint != Endpoint::Sessions && named != Some(session.handle);
    let max_age = sessions.config().lifetimes.max_auth_age;
    if let Some(max_age) = max_age.filter(|_| ends_another) {
        let recent = ClaimValidator::authenticated().max_age(max_age);
        if let Some(failure) = recent.validate(&token.payload, now) {
            return Err(SessionError::InvalidClaims(vec![failure]));
        }
    }
    Ok(Owner { here: session.handle, subject: session.subject })
}

/// A session as its owner sees it, under the names of [`SessionSummary`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    session_handle: SessionHandle,
    /// Whether it is the caller's.
    current: bool,
    time_created: Timestamp,
    last_refreshed_at: Timestamp,
    expiry: Timestamp,
    last_used_by: Device,
    device_bound: bool,
}

impl Owner {
    fn sessions(&self) -> SessionsOf<'_> {
        SessionsOf::user(&self.subject.user_id).in_tenant(&self.subject.tenant_id)
    }

    /// Those used last first, and how many there are.
    async fn list<S: SessionLister>(
        &self,
        sessions: &Sessions<S>,
        now: Timestamp,
    ) -> Result<Response, SessionError> {
        let UsedLast { sessions, total } =
            sessions.used_last(self.sessions(), MAX_LISTED, now).await?;
        let listed: Vec<_> = sessions.into_iter().map(|session| self.shown(session)).collect();
        let mut response = json(StatusCode::OK, &json!({ "sessions": listed, "total": total }));
        response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        Ok(response)
    }

    fn shown(&self, session: SessionSummary) -> Listed {
        Listed {
            session_handle: session.handle,
            current: session.handle == self.here,
            time_created: session.created_at,
            last_refreshed_at: session.last_refreshed_at,
            expiry: session.expires_at,
            last_used_by: session.last_used_by,
            device_bound: session.device_bound,
        }
    }

    async fn end_others<S: UserRevoker>(
        &self,
        sessions: &Sessions<S>,
    ) -> Result<Response, SessionError> {
        let ended = sessions.revoke_all(self.sessions().except(&self.here)).await?;
        Ok(said_ended(ended.len()))
    }

    /// A session of somebody else is no session: the answer does not tell which handles there are.
    async fn end_one<S: SessionReader + SessionRevoker>(
        &self,
        sessions: &Sessions<S>,
        named: Option<SessionHandle>,
        headers: &HeaderMap,
        came_by: TransferMethod,
        now: Timestamp,
    ) -> Result<Response, SessionError> {
        let Some(handle) = named else { return Ok(no_such_session()) };
        if handle == self.here {
            sessions.sign_out(&handle, &self.subject.user_id).await?;
            let mut response = said_ended(1);
            let mut tokens = TokenHeaders::new(sessions.config(), headers);
            tokens.clear(came_by);
            tokens.apply(response.headers_mut());
            return Ok(response);
        }
        let found = sessions.information(&handle, now).await?;
        let is_own = found.is_some_and(|found| {
            let found = &found.summary.subject;
            (&found.user_id, &found.tenant_id) == (&self.subject.user_id, &self.subject.tenant_id)
        });
        let user_id = Some(&self.subject.user_id);
        if is_own && sessions.end(&handle, user_id, RevocationCause::ByHandle).await? {
            return Ok(said_ended(1));
        }
        Ok(no_such_session())
    }
}

fn said_ended(count: usize) -> Response {
    json(StatusCode::OK, &json!({ "status": "OK", "ended": count }))
}

fn no_such_session() -> Response {
    json(StatusCode::NOT_FOUND, &json!({ "message": "no such session" }))
}
