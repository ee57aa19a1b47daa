//! What a session is and what may happen to it. No I/O, no clock, no randomness, no JWT, no HTTP.

pub mod ids;
pub mod refresh;
pub mod session;
pub mod time;

pub use ids::{Generation, KeyId, SessionHandle, TenantId, UserId};
pub use refresh::{Decision, RefreshPolicy, RefreshState, decide};
pub use session::{DeviceContext, NewSession, Revocation, Session};
pub use time::{Clock, Timestamp};
