//! Ends sessions from outside: by direct invocation those of a user, of a tenant, of everybody, or those that
//! an identity provider's names lead to (docs/revocation.md).
//!
//! IAM decides who may invoke it. Every command may be repeated: ending what has ended changes nothing.

mod command;

use std::time::Duration;

use lambda_runtime::Diagnostic;
use serde::Serialize;
use serde_json::Value;
use session::model::{Clock, SessionsOf, TenantId, Timestamp};
use session::service::Cursor;
use session::store::{SessionScanner, UserRevoker};
use session::{SessionError, Sessions};

pub use self::command::Command;
use self::command::Which;

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
            Refusal::Failed(error) => ("RevocationFault", error.with_causes()),
        };
        Self { error_type: error_type.to_owned(), error_message }
    }
}
