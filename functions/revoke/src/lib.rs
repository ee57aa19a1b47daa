//! Ends sessions from outside: by direct invocation those of a user, of a tenant, of everybody, or those that
//! an identity provider's names lead to; by HTTP those of which a provider says that they are over
//! (docs/revocation.md).
//!
//! IAM decides who may invoke it, a signature whose token is believed. Everything may be repeated: ending what
//! has ended changes nothing.

mod command;
mod config;
mod listen;
mod provider;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::service_fn;
use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use session::error::with_causes;
use session::model::{Clock, SessionsOf, TenantId, Timestamp};
use session::service::Cursor;
use session::store::{SessionScanner, UserRevoker};
use session::{SessionError, Sessions};

pub use self::command::Command;
use self::command::Which;
pub use self::config::LogoutConfig;
use self::listen::listen;
pub use self::provider::{COOLDOWN, MAX_AGE, Provider};

/// Time that a page of a table needs at most; no other is begun when less is left.
const PAGE: Duration = Duration::from_secs(15);

/// What was done.
#[derive(Debug, Serialize)]
pub struct Ended {
    /// How many sessions were ended; of a tenant and of everybody also those that had expired and were still
    /// in the table.
    ended: usize,
    /// Where to go on, in `after` of the same command, if the function's time was over before all was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cursor>,
}

/// Not everything was done; repeating the command is safe.
#[derive(Debug)]
pub enum Refusal {
    /// The event is no command.
    UnrecognisedEvent,
    /// The table cannot answer, or a name is none.
    Failed(SessionError),
}

/// Answers one event, which is a command or a request of `provider`. No command has a `requestContext`, and
/// no front door sends an event without one: so nobody can have a command carried out by HTTP.
///
/// # Errors
///
/// `UnrecognisedEvent` if it is neither, and `RevocationFault` if a command could not be carried out.
pub async fn answer<S: SessionScanner + UserRevoker + Send + Sync + 'static>(
    sessions: &Arc<Sessions<S>>,
    provider: Option<&Arc<Provider>>,
    clock: &impl Clock,
    event: LambdaEvent<Value>,
) -> Result<Value, Diagnostic> {
    if event.payload.get("requestContext").is_some() {
        let (sessions, provider, now) = (Arc::clone(sessions), provider.cloned(), clock.now());
        let service = service_fn(move |request| {
            let (sessions, provider) = (Arc::clone(&sessions), provider.clone());
            async move {
                let response = listen(&sessions, provider.as_deref(), now, request).await;
                Ok::<_, Infallible>(response)
            }
        });
        let (event, context) = event.into_parts();
        let event = to_raw_value(&event).map_err(|_| Refusal::UnrecognisedEvent)?;
        let answer = front_door::invoke(service, LambdaEvent::new(event, context)).await?;
        return Ok(json!(answer));
    }
    let deadline = Timestamp::from_millis(event.context.deadline);
    let ended = handle(sessions, clock, event.payload, deadline).await?;
    Ok(json!(ended))
}

/// Carries out one command, until `deadline` at most.
///
/// # Errors
///
/// [`Refusal`], which makes the invocation fail.
pub async fn handle<S: SessionScanner + UserRevoker>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    event: Value,
    deadline: Timestamp,
) -> Result<Ended, Refusal> {
    let Command { which, after } = Command::read(event).ok_or(Refusal::UnrecognisedEvent)?;
    let ended = match &which {
        Which::User { user_id, tenant_id } => {
            let tenant_id = tenant_id.as_ref();
            let of_user = SessionsOf { tenant_id, ..SessionsOf::user(user_id) };
            sessions.revoke_all(of_user).await.map(|ended| Ended { ended: ended.len(), next: None })
        }
        Which::AtProvider(which) => {
            let ended = sessions.revoke_at_provider(*which).await;
            ended.map(|ended| Ended { ended: ended.len(), next: None })
        }
        Which::Tenant(tenant_id) => {
            page_by_page(sessions, clock, Some(tenant_id), after, deadline).await
        }
        Which::Everybody => page_by_page(sessions, clock, None, after, deadline).await,
    };
    ended.map_err(Refusal::Failed)
}

/// One page at least, so that each invocation gets further.
async fn page_by_page<S: SessionScanner + UserRevoker>(
    sessions: &Sessions<S>,
    clock: &impl Clock,
    tenant_id: Option<&TenantId>,
    after: Option<Cursor>,
    deadline: Timestamp,
) -> Result<Ended, SessionError> {
    let mut ended = 0;
    let mut after = after;
    loop {
        let page = sessions.revoke_page(tenant_id, after).await?;
        ended += page.handles.len();
        if page.next.is_none() || clock.now().plus(PAGE) > deadline {
            return Ok(Ended { ended, next: page.next });
        }
        after = page.next;
    }
}

/// Stable names, because alarms match on them.
impl From<Refusal> for Diagnostic {
    fn from(refusal: Refusal) -> Self {
        let (error_type, error_message) = match refusal {
            Refusal::UnrecognisedEvent => (
                "UnrecognisedEvent",
                "send {\"userId\": \"…\"}, with \"tenantId\" if only that tenant is meant, {\"tenantId\": \"…\"}, \
                 {\"everybody\": true} or {\"provider\": {\"issuer\": \"…\", \"subject\": \"…\", \"sessionId\": \
                 \"…\"}}, of which subject or sessionId may be left out"
                    .to_owned(),
            ),
            Refusal::Failed(error) => ("RevocationFault", with_causes(&error)),
        };
        Self { error_type: error_type.to_owned(), error_message }
    }
}
