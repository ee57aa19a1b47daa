//! The session of one request: what a handler reads, changes and ends (contract §6.2).

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, Request};
use serde_json::{Map, Value};

use super::respond::{ErrorHandlers, Response, refusal};
use super::verify::presented;
use super::{AntiCsrfCheck, TokenHeaders, TransferMethod, VerifyOptions};
use crate::error::{Ended, SessionError};
use crate::model::{
    Authentication, ClaimValidator, Clock, Session, SessionHandle, SessionInformation, TenantId,
    Timestamp, UserId, claims,
};
use crate::service::claims::{failures, removing, setting};
use crate::service::{
    AntiCsrfProof, DatabaseCheck, Minting, ReissuedToken, RevocationCause, Sessions,
};
use crate::store::{
    DynamoDb, PrivateKeyReader, PublicKeyReader, SessionReader, SessionRevoker, SessionUpdater,
};
use crate::token::registered::keep_those_of_tokens;
use crate::token::{AccessClaims, AccessToken, front_token};

/// What a route asks of its callers.
#[derive(Clone, Debug, Default)]
pub struct RouteOptions {
    /// Whether a session is required, and when cookies need an anti-CSRF proof.
    pub verify: VerifyOptions,
    /// Whether the table is asked about the session.
    pub database: DatabaseCheck,
    validators: Validators,
}

/// Which validators a route uses, given those of the service and the caller's token.
#[derive(Clone, Default)]
enum Validators {
    #[default]
    OfTheService,
    Chosen(Arc<Choice>),
}

type Choice = dyn Fn(&[ClaimValidator], &AccessToken) -> Vec<ClaimValidator> + Send + Sync;

impl fmt::Debug for Validators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OfTheService => "OfTheService",
            Self::Chosen(_) => "Chosen(…)",
        })
    }
}

impl RouteOptions {
    /// Lets requests without any token through, without a session.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.verify.session_required = false;
        self
    }

    /// Asks requests with cookies for an anti-CSRF proof at other times than [`AntiCsrfCheck::Auto`].
    #[must_use]
    pub const fn anti_csrf(mut self, check: AntiCsrfCheck) -> Self {
        self.verify.anti_csrf_check = check;
        self
    }

    /// Asks the table about the session, so that a revoked one is refused at once.
    #[must_use]
    pub const fn check_database(mut self, check: DatabaseCheck) -> Self {
        self.database = check;
        self
    }

    /// Demands this too, after the validators of the service.
    #[must_use]
    pub fn require(self, validator: ClaimValidator) -> Self {
        let before = self.validators.clone();
        self.validators(move |of_the_service, token| {
            let mut all = before.of(of_the_service, token);
            all.push(validator.clone());
            all
        })
    }

    /// Demands what `choose` makes of the validators of the service and of the caller's token, in place
    /// of the former: `|_, _| vec![]` demands nothing.
    #[must_use]
    pub fn validators(
        mut self,
        choose: impl Fn(&[ClaimValidator], &AccessToken) -> Vec<ClaimValidator> + Send + Sync + 'static,
    ) -> Self {
        self.validators = Validators::Chosen(Arc::new(choose));
        self
    }
}

impl Validators {
    fn of(&self, of_the_service: &[ClaimValidator], token: &AccessToken) -> Vec<ClaimValidator> {
        match self {
            Self::OfTheService => of_the_service.to_vec(),
            Self::Chosen(choose) => choose(of_the_service, token),
        }
    }
}

/// The session of one request; clones are the same session.
///
/// Changes of claims and the end of the session are collected and written by [`Self::apply`], which the
/// layer [`super::VerifySession`] does with every answer. A handler may take long, so each operation
/// asks the clock anew.
pub struct RequestSession<S = DynamoDb> {
    inner: Arc<Inner<S>>,
}

struct Inner<S> {
    sessions: Arc<Sessions<S>>,
    clock: Arc<dyn Clock>,
    /// The request's headers, for the answer depends on some.
    request: HeaderMap,
    claims: AccessClaims,
    state: Mutex<State>,
}

/// What changes during the request. Never locked while something is awaited.
struct State {
    text: String,
    payload: Map<String, Value>,
    /// The count of merges that the payload reflects.
    version: u64,
    method: Option<TransferMethod>,
    changes: Vec<Change>,
}

/// What the client is to be told.
enum Change {
    Reissued(Box<ReissuedToken>),
    Ended,
}

opaque!(SessionTokens);

/// The tokens that go with requests of a session, for clients that are served without cookies and headers.
#[derive(Clone)]
pub struct SessionTokens {
    /// The access token.
    pub access: String,
    /// What a browser may know.
    pub front: String,
    /// The anti-CSRF token, if the session has one.
    pub anti_csrf: Option<String>,
    /// Whether access and front token are newer than those of the request.
    pub is_updated: bool,
}

impl<S> Clone for RequestSession<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<S> fmt::Debug for RequestSession<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handle = &self.inner.claims.session_handle;
        f.debug_struct("RequestSession").field("handle", handle).finish_non_exhaustive()
    }
}

impl<S: Send + Sync + 'static> RequestSession<S> {
    /// The session that the layer found for this request.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoToken`] if there is none, which the layer answers as any request without a
    /// session. Where a session is optional, ask for `.ok()`.
    pub fn of<B>(request: &Request<B>) -> Result<Self, SessionError> {
        request.extensions().get::<Self>().cloned().ok_or(SessionError::NoToken)
    }
}

impl<S: PublicKeyReader + PrivateKeyReader + SessionReader> RequestSession<S> {
    /// The session of a request, as far as its token and the table tell (contract §2.3); `None` if
    /// there is none and none is required. What it claims is checked by [`Self::validate`].
    ///
    /// # Errors
    ///
    /// As [`super::verify()`] and [`Sessions::check_database`].
    pub async fn from_request<B: Sync>(
        sessions: &Arc<Sessions<S>>,
        clock: &Arc<dyn Clock>,
        request: &Request<B>,
        options: &RouteOptions,
    ) -> Result<Option<Self>, SessionError> {
        Self::find(sessions, clock, request, options).await.map_err(|(_, error)| error)
    }

    /// As [`Self::from_request`]; an error says how the token came that it is about, if there was one.
    pub(super) async fn find<B: Sync>(
        sessions: &Arc<Sessions<S>>,
        clock: &Arc<dyn Clock>,
        request: &Request<B>,
        options: &RouteOptions,
    ) -> Result<Option<Self>, (Option<TransferMethod>, SessionError)> {
        let now = clock.now();
        let presented = presented(sessions, request, options.verify, now).await;
        let Some((text, verified)) = presented.map_err(|error| (None, error))? else {
            return Ok(None);
        };
        let method = Some(verified.method);
        let checked = sessions.check_database(&verified.token, options.database, now).await;
        checked.map_err(|error| (method, error))?;
        let (sessions, clock) = (Arc::clone(sessions), Arc::clone(clock));
        let request = request.headers().clone();
        Ok(Some(Self::new(sessions, clock, request, verified.token, text.into_owned(), method)))
    }

    /// The session of an access token that came by another way than a request of ours, such as a
    /// socket's. [`Self::deliver_by`] chooses how changes are told, if they are.
    ///
    /// # Errors
    ///
    /// As [`Sessions::get`] and [`Sessions::check_database`]; a text that is no token of ours is
    /// [`SessionError::NoToken`] even if a session is optional.
    pub async fn from_token(
        sessions: &Arc<Sessions<S>>,
        clock: &Arc<dyn Clock>,
        access_token: &str,
        anti_csrf: AntiCsrfProof<'_>,
        database: DatabaseCheck,
    ) -> Result<Self, SessionError> {
        let now = clock.now();
        let token = sessions.get(access_token, anti_csrf, now).await?;
        sessions.check_database(&token, database, now).await?;
        let (sessions, clock) = (Arc::clone(sessions), Arc::clone(clock));
        let text = access_token.to_owned();
        Ok(Self::new(sessions, clock, HeaderMap::new(), token, text, None))
    }
}

impl<S> RequestSession<S> {
    fn new(
        sessions: Arc<Sessions<S>>,
        clock: Arc<dyn Clock>,
        request: HeaderMap,
        token: AccessToken,
        text: String,
        method: Option<TransferMethod>,
    ) -> Self {
        let AccessToken { claims, payload } = token;
        let changes = Vec::new();
        let state = State { text, payload, version: 0, method, changes };
        let inner = Inner { sessions, clock, request, claims, state: Mutex::new(state) };
        Self { inner: Arc::new(inner) }
    }

    /// Whom the session signs in.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.inner.claims.subject.user_id
    }

    /// The login method's own id of the user.
    #[must_use]
    pub fn recipe_user_id(&self) -> &UserId {
        &self.inner.claims.subject.recipe_user_id
    }

    /// The session's tenant.
    #[must_use]
    pub fn tenant_id(&self) -> &TenantId {
        &self.inner.claims.subject.tenant_id
    }

    /// The session's name.
    ///
    /// # Errors
    ///
    /// [`SessionError::SessionEnded`] if it is none of ours: a token of another issuer with our keys.
    pub fn handle(&self) -> Result<SessionHandle, SessionError> {
        let handle = self.inner.claims.session_handle.parse();
        handle.map_err(|_| SessionError::SessionEnded(Ended::Unknown))
    }

    /// The complete payload of the access token, changes of this request included.
    #[must_use]
    pub fn access_token_payload(&self) -> Map<String, Value> {
        self.state().payload.clone()
    }

    /// The value of a claim that is stored with its age; null is a value.
    #[must_use]
    pub fn claim_value(&self, key: &str) -> Option<Value> {
        claims::value_of(&self.state().payload, key).cloned()
    }

    /// The access token as text: the newest one. A bearer credential.
    #[must_use]
    pub fn access_token(&self) -> String {
        self.state().text.clone()
    }

    /// Every token, for delivering them by hand.
    #[must_use]
    pub fn tokens(&self) -> SessionTokens {
        let state = self.state();
        let claims = &self.inner.claims;
        SessionTokens {
            access: state.text.clone(),
            front: front_token(&claims.subject.user_id, claims.expires_at, &state.payload),
            anti_csrf: claims.anti_csrf_token.clone(),
            is_updated: state.changes.iter().any(|change| matches!(change, Change::Reissued(_))),
        }
    }

    /// Tells changes by this method from now on.
    pub fn deliver_by(&self, method: TransferMethod) {
        self.state().method = Some(method);
    }

    /// Writes what the client must be told to a response: new tokens, or that there are none any more.
    /// Nothing, if nothing changed. What was written by others before is replaced where it is the same
    /// header or cookie.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let state = self.state();
        let Some(method) = state.method else { return };
        let mut tokens = TokenHeaders::new(self.inner.sessions.config(), &self.inner.request);
        let now = self.inner.clock.now();
        let asked_with_proof = super::extract::anti_csrf(&self.inner.request).is_some();
        for change in &state.changes {
            match change {
                Change::Reissued(reissued) => {
                    tokens.update(method, reissued, asked_with_proof, now);
                }
                Change::Ended => tokens.clear(method),
            }
        }
        tokens.apply(headers);
    }

    /// The answer to a request that failed, with the changes that still matter: claims that were
    /// fetched again reach the client also with the refusal (contract §6.4), and an end of the
    /// session takes everything back.
    #[must_use]
    pub fn error_response(&self, handlers: &dyn ErrorHandlers, error: &SessionError) -> Response {
        let (config, request) = (self.inner.sessions.config(), &self.inner.request);
        let came_by = self.state().method;
        let mut response = refusal(handlers, config, request, error, came_by);
        if !error.ends_session() {
            self.apply(response.headers_mut());
        }
        response
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: SessionReader> RequestSession<S> {
    /// What the table knows of the session: data, creation, end, last use. One read.
    ///
    /// # Errors
    ///
    /// [`SessionError::SessionEnded`] if the session is over; store faults as they are.
    pub async fn information(&self) -> Result<SessionInformation, SessionError> {
        let (handle, now) = (self.handle()?, self.inner.clock.now());
        let found = self.inner.sessions.information(&handle, now).await?;
        found.ok_or(SessionError::SessionEnded(Ended::Unknown))
    }

    /// What the application keeps with the session. One read.
    ///
    /// # Errors
    ///
    /// As [`Self::information`].
    pub async fn session_data(&self) -> Result<Map<String, Value>, SessionError> {
        Ok(self.information().await?.session_data)
    }
}

impl<S: SessionRevoker> RequestSession<S> {
    /// Ends the session, whether or not it was still there, and clears the tokens of the method that
    /// the request came by.
    ///
    /// # Errors
    ///
    /// Store faults as they are; nothing is cleared then.
    pub async fn revoke(&self) -> Result<(), SessionError> {
        let (handle, user_id) = (self.handle()?, Some(self.user_id()));
        self.inner.sessions.end(&handle, user_id, RevocationCause::ByHandle).await?;
        self.state().changes.push(Change::Ended);
        Ok(())
    }
}

impl<S: SessionUpdater> RequestSession<S> {
    /// Replaces what the application keeps with the session. One write, the last writer wins.
    ///
    /// # Errors
    ///
    /// As [`Sessions::update_session_data`]; [`SessionError::SessionEnded`] if the session is over.
    pub async fn update_session_data(&self, data: Map<String, Value>) -> Result<(), SessionError> {
        let (handle, now) = (self.handle()?, self.inner.clock.now());
        let updated = self.inner.sessions.update_session_data(&handle, data, now).await?;
        if updated { Ok(()) } else { Err(SessionError::SessionEnded(Ended::Unknown)) }
    }
}

impl<S: SessionUpdater + PrivateKeyReader> RequestSession<S> {
    /// Changes custom claims, each on its own; null removes one. The client gets a new access token
    /// with the same end; if that has passed meanwhile, its next refresh brings the claims.
    ///
    /// # Errors
    ///
    /// As [`Sessions::merge_into_access_token_payload`]; [`SessionError::SessionEnded`] if the session
    /// is over.
    pub async fn merge_into_access_token_payload(
        &self,
        patch: Map<String, Value>,
    ) -> Result<(), SessionError> {
        let (handle, now) = (self.handle()?, self.inner.clock.now());
        let merged = self.inner.sessions.merge(&handle, patch, now).await?;
        let merged = merged.ok_or(SessionError::SessionEnded(Ended::Unknown))?;
        self.renew(merged, now).await
    }

    /// Sets a claim to a value as of now.
    ///
    /// # Errors
    ///
    /// As [`Self::merge_into_access_token_payload`].
    pub async fn set_claim_value(&self, key: &str, value: Value) -> Result<(), SessionError> {
        let patch = setting(key, value, self.inner.clock.now());
        self.merge_into_access_token_payload(patch).await
    }

    /// Removes a claim.
    ///
    /// # Errors
    ///
    /// As [`Self::merge_into_access_token_payload`].
    pub async fn remove_claim(&self, key: &str) -> Result<(), SessionError> {
        self.merge_into_access_token_payload(removing(key)).await
    }

    /// Fetches a registered claim again and sets it.
    ///
    /// # Errors
    ///
    /// As [`Self::merge_into_access_token_payload`]; [`SessionError::InvalidInput`] if no such claim is
    /// registered, [`SessionError::Internal`] if fetching failed.
    pub async fn fetch_and_set_claim(&self, key: &str) -> Result<(), SessionError> {
        let (sessions, now) = (&self.inner.sessions, self.inner.clock.now());
        let (subject, payload) = (&self.inner.claims.subject, self.access_token_payload());
        let patch = sessions.fetched_patch(key, subject, &payload, now).await?;
        if patch.is_empty() {
            return Ok(());
        }
        self.merge_into_access_token_payload(patch).await
    }

    /// Records that the user has just proved who they are, by these methods: all that count from now
    /// on. See [`ClaimValidator::authenticated`].
    ///
    /// # Errors
    ///
    /// As [`Self::merge_into_access_token_payload`].
    pub async fn reauthenticated<M: Into<String>>(
        &self,
        methods: impl IntoIterator<Item = M>,
    ) -> Result<(), SessionError> {
        let methods = methods.into_iter().map(Into::into).collect();
        let authentication = Authentication { at: self.inner.clock.now(), methods };
        self.merge_into_access_token_payload(authentication.into_claims()).await
    }

    /// Demands what the route asks for (contract §6.4).
    ///
    /// # Errors
    ///
    /// As [`Self::assert_claims`].
    pub async fn validate(&self, options: &RouteOptions) -> Result<(), SessionError> {
        let token =
            AccessToken { claims: self.inner.claims.clone(), payload: self.access_token_payload() };
        let validators = options.validators.of(self.inner.sessions.validators(), &token);
        self.assert_claims(&validators).await
    }

    /// Demands these, after fetching again what is missing or too old. Fresh values are written to the
    /// table, and the client gets them in a new access token whatever the outcome.
    ///
    /// # Errors
    ///
    /// [`SessionError::InvalidClaims`] with every failure; as [`Self::fetch_and_set_claim`].
    pub async fn assert_claims(&self, validators: &[ClaimValidator]) -> Result<(), SessionError> {
        let (sessions, now) = (&self.inner.sessions, self.inner.clock.now());
        let (subject, mut payload) = (&self.inner.claims.subject, self.access_token_payload());
        let patch = sessions.refetch(subject, &mut payload, validators, now).await?;
        if !patch.is_empty() {
            self.merge_into_access_token_payload(patch).await?;
        }
        let failures = failures(&payload, validators, now);
        if failures.is_empty() { Ok(()) } else { Err(SessionError::InvalidClaims(failures)) }
    }

    /// Takes over the claims that are stored now, in a new access token unless the old one has expired.
    async fn renew(&self, merged: Session, now: Timestamp) -> Result<(), SessionError> {
        let (inner, minting) = (&self.inner, Minting::default());
        let reissued = inner.sessions.reissue(&inner.claims, &merged, minting, now).await?;
        let mut state = self.state();
        // Of several merges at once the last one counts, whoever is back first.
        if merged.payload_size.version < state.version {
            return Ok(());
        }
        state.version = merged.payload_size.version;
        if let Some(reissued) = reissued {
            state.text.clone_from(&reissued.access.token);
            state.payload.clone_from(&reissued.access.payload);
            state.changes.push(Change::Reissued(Box::new(reissued)));
        } else {
            keep_those_of_tokens(&mut state.payload);
            state.payload.extend(merged.access_token_payload);
        }
        Ok(())
    }
}
