//! A session: one signed-in device or browser of one user.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ids::{SessionHandle, TenantId, UserId};
use super::refresh::RefreshState;
use super::time::Timestamp;

/// One session as the store knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// Its public name.
    pub handle: SessionHandle,
    /// Whom it signs in.
    pub user_id: UserId,
    /// The login method's own id of the user; equals `user_id` without account linking.
    pub recipe_user_id: UserId,
    /// The tenant it belongs to.
    pub tenant_id: TenantId,
    /// When it was created.
    pub created_at: Timestamp,
    /// Generations, windows and ends: what the refresh rule decides by.
    pub refresh: RefreshState,
    /// Custom claims, copied into every access token.
    pub access_token_payload: Map<String, Value>,
    /// Data the application keeps with the session; never leaves the server.
    pub session_data: Map<String, Value>,
    /// Who refreshed last.
    pub last_used_by: DeviceContext,
    /// Why it was ended; set exactly when `refresh.revoked_at` is.
    pub revocation: Option<Revocation>,
}

/// What an application says when it signs a user in.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whom to sign in.
    pub user_id: UserId,
    /// The login method's own id of the user; `user_id` if none.
    pub recipe_user_id: Option<UserId>,
    /// The tenant.
    pub tenant_id: TenantId,
    /// Custom claims; reserved names are dropped (contract §5.2).
    pub access_token_payload: Map<String, Value>,
    /// Data to keep with the session.
    pub session_data: Map<String, Value>,
}

impl NewSession {
    /// A session of `user_id` in the default tenant, without claims or data.
    #[must_use]
    pub fn for_user(user_id: impl Into<String>) -> Self {
        Self {
            user_id: UserId::new(user_id),
            recipe_user_id: None,
            tenant_id: TenantId::public(),
            access_token_payload: Map::new(),
            session_data: Map::new(),
        }
    }
}

/// Where a request came from, as far as the gateway tells; each at most 192 bytes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeviceContext {
    /// The `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The source address, as the gateway reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl DeviceContext {
    /// Longest text kept of agent and network, in bytes; keeps a session within one write unit.
    pub const MAX_LEN: usize = 192;

    /// Cuts both texts to [`Self::MAX_LEN`] bytes at a character border.
    #[must_use]
    pub fn new(agent: Option<&str>, network: Option<&str>) -> Self {
        let cut = |text: &str| {
            let mut end = text.len().min(Self::MAX_LEN);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.get(..end).unwrap_or_default().to_owned()
        };
        Self { agent: agent.map(cut), network: network.map(cut) }
    }
}

/// Why a session was ended and kept as a tombstone, with the evidence.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum Revocation {
    /// A spent refresh token was presented again.
    Reuse {
        /// The number of the generation that was presented.
        presented: u32,
        /// Who presented it; the other party is the session's `last_used_by`.
        presented_by: DeviceContext,
    },
}
