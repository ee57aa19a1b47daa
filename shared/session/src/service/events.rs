//! What others are told of sessions, after the fact.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::{BoxError, RefreshOutcome, Sessions};
use crate::error::{DeviceUnproved, Reuse, TryRefresh, with_causes};
use crate::model::{Assurance, Device, DeviceKey, SessionHandle, TenantId, Timestamp, UserId};

/// How long the answer to a client waits for one listener.
const LISTENER_LIMIT: Duration = Duration::from_secs(1);

/// Something that happened to a session. Never holds a token, a hash of one, session data, or claims but those
/// of an [`Assurance`].
#[derive(Clone, Debug)]
pub enum SessionEvent {
    /// A user signed in.
    Created {
        /// The new session.
        handle: SessionHandle,
        /// Its user.
        user_id: UserId,
        /// Its tenant.
        tenant_id: TenantId,
        /// When it ends unless refreshed.
        expires_at: Timestamp,
        /// Where the request came from.
        device: Device,
        /// How sure one can be of it.
        assurance: Assurance,
    },
    /// A refresh token bought a pair.
    Refreshed {
        /// The session.
        handle: SessionHandle,
        /// Its user.
        user_id: UserId,
        /// Its tenant.
        tenant_id: TenantId,
        /// Which way the refresh took.
        outcome: RefreshOutcome,
        /// When the session ends unless refreshed again.
        expires_at: Timestamp,
        /// Where the request came from.
        device: Device,
        /// Where the newest generation went before: by sign-in, or by a refresh that was no repeat.
        last_used_by: Device,
        /// How sure one can be of the session.
        assurance: Assurance,
        /// How often in a row the session's refreshes were answered with a generation that had been
        /// handed out before, this one included; 0 if this one made a generation.
        repeats: u32,
    },
    /// Sessions were ended on demand.
    Revoked {
        /// Those that there were; at least one.
        handles: Vec<SessionHandle>,
        /// Their user, where the demand says who that is.
        user_id: Option<UserId>,
        /// Who demanded it.
        cause: RevocationCause,
    },
    /// Two parties held tokens of a session, which was ended.
    ReuseDetected(Box<Reuse>),
    /// A session was bound to a key of its browser; told again if the browser repeats itself.
    DeviceBound {
        /// The session.
        handle: SessionHandle,
        /// Its user.
        user_id: UserId,
        /// Its tenant.
        tenant_id: TenantId,
        /// The key.
        key: DeviceKey,
        /// Where the request came from.
        device: Device,
        /// Who refreshed last before.
        last_used_by: Device,
        /// How sure one can be of the session, which has yet to prove the key.
        assurance: Assurance,
    },
    /// A browser has another key than the one that its session is bound to, and forgets the binding.
    DeviceBindingLost {
        /// The session.
        handle: SessionHandle,
        /// The key that it is bound to.
        key: DeviceKey,
        /// Where the request came from.
        device: Device,
    },
    /// An access token that is bound to a key came to a route without the proof of it. There may be one such event
    /// for each request.
    TokenProofMissing {
        /// The session.
        handle: Option<SessionHandle>,
        /// Its user.
        user_id: UserId,
        /// Its tenant.
        tenant_id: TenantId,
        /// What is lacking.
        why: TryRefresh,
        /// Whether it was served all the same, because that is the policy.
        is_served: bool,
    },
    /// A refresh of a bound session came without the proof of its device key.
    DeviceProofMissing {
        /// Whose session, what was lacking, and who asked.
        lack: Box<DeviceUnproved>,
        /// Whether it was served all the same, because that is the policy.
        is_served: bool,
    },
}

/// Why sessions were ended on demand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RevocationCause {
    /// The user signed out.
    SignedOut,
    /// The application named the session.
    ByHandle,
    /// The application named the user.
    ByUser,
    /// The application named the tenant.
    ByTenant,
    /// The application asked for all sessions to end.
    Everybody,
    /// The user's identity provider ended them, or the application named what the provider calls them.
    ByProvider,
    /// A newer session of the user took its place, because their number is limited.
    OverLimit,
}

/// What telling a listener comes to.
pub type Told<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;

/// Is told what happens to sessions.
///
/// It is told once the store has recorded the fact, and before the client is answered, because a
/// Lambda function stands still after that. It cannot change either: an error is logged, and after a
/// second the client is answered anyhow. A listener must not panic.
pub trait Listener: fmt::Debug + Send + Sync {
    /// Takes note of one event.
    ///
    /// # Errors
    ///
    /// Whatever is worth a line in the log.
    fn notify<'a>(&'a self, event: &'a SessionEvent) -> Told<'a>;
}

impl<S> Sessions<S> {
    /// Tells every listener, one after the other; makes the event only if there is one.
    pub(crate) async fn tell(&self, event: impl FnOnce() -> SessionEvent) {
        if self.listeners.is_empty() {
            return;
        }
        let event = event();
        for listener in &self.listeners {
            match tokio::time::timeout(LISTENER_LIMIT, listener.notify(&event)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(error = with_causes(&*error), "an event could not be told");
                }
                Err(_) => tracing::error!("an event could not be told within a second"),
            }
        }
    }

    /// Tells of sessions that were ended, if there were any.
    pub(super) async fn tell_revoked(
        &self,
        ended: &[SessionHandle],
        user_id: Option<&UserId>,
        cause: RevocationCause,
    ) {
        if !ended.is_empty() {
            self.tell(|| SessionEvent::Revoked {
                handles: ended.to_vec(),
                user_id: user_id.cloned(),
                cause,
            })
            .await;
        }
    }
}
