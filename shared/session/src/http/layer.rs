//! A tower layer that finds the session of each request (contract §2.3), for any `http` service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, header};
use tower_layer::Layer;
use tower_service::Service;

use super::device::{prove_device, register_device};
use super::names::FRONT_HEADER;
use super::refresh::refresh_by;
use super::respond::{Response, error_response_by, refusal};
use super::session::{RequestSession, RouteOptions};
use super::{DefaultErrorHandlers, Endpoint, ErrorHandlers};
use crate::config::SessionConfig;
use crate::error::SessionError;
use crate::model::{Clock, Device};
use crate::service::{BoxError, Sessions};
use crate::store::{
    PrivateKeyReader, PublicKeyReader, SessionBinder, SessionReader, SessionRefresher,
    SessionUpdater,
};

/// What the layer can ask of a store. What a function must be allowed to do depends on its routes:
///
/// | Its routes | Actions |
/// |---|---|
/// | verify | `GetItem` on the public key set |
/// | check the database | also `GetItem` on Sessions |
/// | check the lineage | also `GetItem` on all keys |
/// | change claims, or fetch them again | `UpdateItem` on Sessions, `GetItem` on all keys |
/// | refresh, and bind sessions to browsers | as those |
/// | change data, read information, revoke | `UpdateItem`, `GetItem`, `DeleteItem` on Sessions |
pub trait RouteStore:
    PublicKeyReader
    + PrivateKeyReader
    + SessionReader
    + SessionUpdater
    + SessionRefresher
    + SessionBinder
{
}

impl<S> RouteStore for S where
    S: PublicKeyReader
        + PrivateKeyReader
        + SessionReader
        + SessionUpdater
        + SessionRefresher
        + SessionBinder
{
}

/// Protects a service: requests reach it with a [`RequestSession`] in their extensions, or not at all.
///
/// - A CORS preflight passes through without a session.
/// - A `POST` to the refresh path is answered as by [`super::refresh()`], and does not reach the service; nor
///   do those by which browsers prove a device key ([`super::register_device`], [`super::prove_device`]).
/// - Refused requests are answered as contract §3.6 says, by [`ErrorHandlers`].
/// - A handler that returns a [`SessionError`] as its error is answered in the same way; with
///   [`SessionError::unauthorised`] it logs the client out. Other errors pass on.
/// - What a handler changed in its session is written to the answer at the end, unless the handler has
///   written tokens of another session there.
///
/// ```
/// # use std::sync::Arc;
/// use http::{Request, Response};
/// use session::Sessions;
/// use session::http::{RequestSession, VerifySession};
/// use session::model::Clock;
/// use session::service::BoxError;
/// use session::store::DynamoDb;
/// use tower::{Layer, Service, service_fn};
///
/// async fn me(request: Request<String>) -> Result<Response<String>, BoxError> {
///     let session: RequestSession = RequestSession::of(&request)?;
///     session.merge_into_access_token_payload([("seen".to_owned(), true.into())].into_iter().collect()).await?;
///     Ok(Response::new(format!("hello {}", session.user_id())))
/// }
///
/// // On Lambda, hand the result to `front_door::run`, with requests of `lambda_http`.
/// fn protected(
///     sessions: Arc<Sessions<DynamoDb>>,
///     clock: impl Clock + 'static,
/// ) -> impl Service<Request<String>, Response = Response<String>> {
///     VerifySession::new(sessions, clock).layer(service_fn(me))
/// }
/// ```
///
/// A route for administrators that notices a revoked session at once:
///
/// ```
/// use session::http::RouteOptions;
/// use session::model::ArrayClaim;
/// use session::service::DatabaseCheck;
///
/// let options = RouteOptions::default()
///     .check_database(DatabaseCheck::Alive)
///     .require(ArrayClaim::new("st-role").includes("admin"));
/// // VerifySession::new(sessions, clock).with(options)
/// ```
pub struct VerifySession<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    sessions: Arc<Sessions<S>>,
    clock: Arc<dyn Clock>,
    options: RouteOptions,
    handlers: Arc<dyn ErrorHandlers>,
    device: Arc<ReadDevice>,
}

/// Where a request came from.
type ReadDevice = dyn Fn(&SessionConfig, &Request<()>) -> Device + Send + Sync;

impl<S> VerifySession<S> {
    /// Requires a session, with anti-CSRF proofs by method and the validators of the service.
    pub fn new(sessions: Arc<Sessions<S>>, clock: impl Clock + 'static) -> Self {
        let shared = Shared {
            sessions,
            clock: Arc::new(clock),
            options: RouteOptions::default(),
            handlers: Arc::new(DefaultErrorHandlers),
            device: Arc::new(|config, head| Device::of(config, head.headers(), None)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The same for another route: with these options.
    #[must_use]
    pub fn with(&self, options: RouteOptions) -> Self {
        self.changed(|shared| Shared { options, ..shared })
    }

    /// The same, with other answers.
    #[must_use]
    pub fn with_error_handlers(&self, handlers: impl ErrorHandlers + 'static) -> Self {
        self.changed(|shared| Shared { handlers: Arc::new(handlers), ..shared })
    }

    /// The same, with another way to tell who refreshes; by default the `User-Agent`. The network is
    /// in the event that the gateway sends, which the request's extensions may hold.
    #[must_use]
    pub fn with_device(
        &self,
        device: impl Fn(&Request<()>) -> Device + Send + Sync + 'static,
    ) -> Self {
        self.changed(|shared| Shared { device: Arc::new(move |_, head| device(head)), ..shared })
    }

    fn changed(&self, change: impl FnOnce(Shared<S>) -> Shared<S>) -> Self {
        let Shared { sessions, clock, options, handlers, device } = &*self.shared;
        let copy = Shared {
            sessions: Arc::clone(sessions),
            clock: Arc::clone(clock),
            options: options.clone(),
            handlers: Arc::clone(handlers),
            device: Arc::clone(device),
        };
        Self { shared: Arc::new(change(copy)) }
    }
}

impl<S> Clone for VerifySession<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S> fmt::Debug for VerifySession<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.shared.options;
        f.debug_struct("VerifySession").field("options", options).finish_non_exhaustive()
    }
}

impl<S, I> Layer<I> for VerifySession<S> {
    type Service = Protected<S, I>;

    fn layer(&self, inner: I) -> Self::Service {
        Protected { layer: self.clone(), inner }
    }
}

/// A service behind [`VerifySession`].
#[derive(Debug)]
pub struct Protected<S, I> {
    layer: VerifySession<S>,
    inner: I,
}

impl<S, I: Clone> Clone for Protected<S, I> {
    fn clone(&self) -> Self {
        Self { layer: self.layer.clone(), inner: self.inner.clone() }
    }
}

impl<S, I, B, R> Service<Request<B>> for Protected<S, I>
where
    S: RouteStore + Send + Sync + 'static,
    I: Service<Request<B>, Response = http::Response<R>> + Clone + Send + 'static,
    I::Future: Send,
    I::Error: Into<BoxError>,
    B: Send + 'static,
    R: From<String> + 'static,
{
    type Response = http::Response<R>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is the one to call.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let shared = Arc::clone(&self.layer.shared);
        Box::pin(async move { shared.handle(request, inner).await })
    }
}

impl<S: RouteStore + Send + Sync + 'static> Shared<S> {
    async fn handle<I, B, R>(
        &self,
        request: Request<B>,
        mut inner: I,
    ) -> Result<http::Response<R>, BoxError>
    where
        I: Service<Request<B>, Response = http::Response<R>>,
        I::Error: Into<BoxError>,
        B: Send,
        R: From<String>,
    {
        if is_preflight(&request) {
            return inner.call(request).await.map_err(Into::into);
        }
        let config = self.sessions.config();
        // The body waits apart, because it need not be shareable.
        let (parts, body) = request.into_parts();
        let head = Request::from_parts(parts, ());
        if let Some(response) = self.answer(&head).await {
            return Ok(response.map(R::from));
        }
        let session = match self.session(&head).await {
            Ok(session) => session,
            Err(response) => return Ok(response.map(R::from)),
        };
        let (mut parts, ()) = head.into_parts();
        let headers = parts.headers.clone();
        if let Some(session) = &session {
            parts.extensions.insert(session.clone());
        }
        let mut response = match inner.call(Request::from_parts(parts, body)).await {
            Ok(response) => response,
            Err(error) => {
                let error = error.into().downcast::<SessionError>()?;
                let response = match &session {
                    Some(session) => session.error_response(&*self.handlers, &error),
                    None => error_response_by(&*self.handlers, config, &headers, &error),
                };
                return Ok(response.map(R::from));
            }
        };
        // A handler that wrote tokens itself has signed somebody in, after whatever happened before.
        if let Some(session) = &session
            && !response.headers().contains_key(FRONT_HEADER)
        {
            session.apply(response.headers_mut());
        }
        Ok(response)
    }

    /// The answer to a request that is for us.
    async fn answer(&self, head: &Request<()>) -> Option<Response> {
        let (sessions, config, now) = (&self.sessions, self.sessions.config(), self.clock.now());
        let device = || (self.device)(config, head);
        Some(match Endpoint::of(config, head)? {
            Endpoint::Refresh => {
                refresh_by(&*self.handlers, sessions, head.headers(), &device(), now).await.0
            }
            Endpoint::Device => prove_device(sessions, head, &device(), now).await,
            Endpoint::DeviceRegistration => register_device(sessions, head, &device(), now).await,
            Endpoint::SignOut
            | Endpoint::Sessions
            | Endpoint::OtherSessions
            | Endpoint::OneSession
            | Endpoint::BackchannelLogout
            | Endpoint::SecurityEvents
            | Endpoint::Jwks
            | Endpoint::Discovery => return None,
        })
    }

    /// The session of a request, or the refusal.
    async fn session(&self, head: &Request<()>) -> Result<Option<RequestSession<S>>, Response> {
        let handlers = &*self.handlers;
        let found = RequestSession::find(&self.sessions, &self.clock, head, &self.options).await;
        let found = found.map_err(|(came_by, error)| {
            refusal(handlers, self.sessions.config(), head.headers(), &error, came_by)
        });
        let Some(session) = found? else { return Ok(None) };
        match session.validate(&self.options).await {
            Ok(()) => Ok(Some(session)),
            Err(error) => Err(session.error_response(handlers, &error)),
        }
    }
}

/// Whether a browser asks, as it does without credentials, if a page may send a request (Fetch §3.3.2).
fn is_preflight<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
