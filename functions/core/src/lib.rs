//! `SuperTokens`' Core Driver Interface for sessions and JWTs: what their back-end SDKs call.
//!
//! A request is checked for its API key and the version of the interface that it speaks, then one of
//! the endpoints answers. Paths, texts and statuses are those of docs/core.md.

mod access;
mod answer;
mod call;
mod data;
mod input;
mod jwt;
mod lifecycle;
mod other;
mod refresh;
mod route;
mod verify;
mod version;

use lambda_http::{Request, Response};
use session::Sessions;
use session::model::{Clock, TenantId, Timestamp};
use session::store::{
    KeyRotator, PrivateKeyReader, PublicKeyReader, SessionCreator, SessionLister, SessionReader,
    SessionRefresher, SessionRevoker, SessionUpdater, UserRevoker,
};

pub use self::access::{Access, ApiKeys, CoreConfig, Secret};
use self::answer::{Answered, Refusal};
use self::call::Call;
use self::route::Endpoint;
use self::version::CdiVersion;

/// What the interface asks of a store: everything that can be done with sessions, and signing.
pub trait CoreStore:
    KeyRotator
    + PrivateKeyReader
    + PublicKeyReader
    + SessionCreator
    + SessionLister
    + SessionReader
    + SessionRefresher
    + SessionRevoker
    + SessionUpdater
    + UserRevoker
{
}

impl<S> CoreStore for S where
    S: KeyRotator
        + PrivateKeyReader
        + PublicKeyReader
        + SessionCreator
        + SessionLister
        + SessionReader
        + SessionRefresher
        + SessionRevoker
        + SessionUpdater
        + UserRevoker
{
}

/// A core: the session service of one application, and who may call it.
#[derive(Debug)]
pub struct Core<S> {
    /// The sessions.
    pub sessions: Sessions<S>,
    /// Who may call.
    pub access: Access,
    /// The tenants that there are; any, if this says nothing.
    pub tenants: Option<Vec<TenantId>>,
}

/// Answers one request; what can go wrong is a response too.
pub async fn handle<S: CoreStore>(
    core: &Core<S>,
    clock: &impl Clock,
    request: Request,
) -> Response<String> {
    answer(core, clock.now(), &request).await.unwrap_or_else(Refusal::into_response)
}

/// In the order of core §3: key, version, application and tenant, then the endpoint.
async fn answer<S: CoreStore>(core: &Core<S>, now: Timestamp, request: &Request) -> Answered {
    let found = route::find(request.method(), request.uri().path());
    if !found.as_ref().is_ok_and(|found| found.endpoint.is_open()) {
        core.access.check(request, now).await?;
    }
    let asked = version::asked(request.headers())?;
    let found = found?;
    let endpoint = found.endpoint;
    let version = if endpoint.needs_version() { asked.known()? } else { CdiVersion::NEWEST };
    found.check(core, version)?;
    let call = Call { sessions: &core.sessions, request, version, tenant: found.tenant, now };
    match endpoint {
        Endpoint::Hello => other::hello(&call).await,
        Endpoint::ApiVersion => Ok(other::api_version()),
        Endpoint::Telemetry => Ok(other::telemetry()),
        Endpoint::Config => Ok(other::config()),
        Endpoint::UserId => other::user(&call),
        Endpoint::Jwks => Ok(jwt::public_key_set(&call).await),
        Endpoint::KeySet => jwt::key_set(&call).await,
        Endpoint::CreateJwt => jwt::create(&call).await,
        Endpoint::Create => lifecycle::create(&call).await,
        Endpoint::Read => lifecycle::read(&call).await,
        Endpoint::List => lifecycle::list(&call).await,
        Endpoint::Remove => lifecycle::remove(&call).await,
        Endpoint::Verify => verify::verify(&call).await,
        Endpoint::Refresh => refresh::refresh(&call).await,
        Endpoint::Regenerate => data::regenerate(&call).await,
        Endpoint::ReadData => data::read(&call).await,
        Endpoint::ReplaceData => data::replace(&call).await,
        Endpoint::ReadClaims => data::read_claims(&call).await,
        Endpoint::ReplaceClaims => data::replace_claims(&call).await,
    }
}
