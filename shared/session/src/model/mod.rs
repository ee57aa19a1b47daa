//! What a session is and what may happen to it. No I/O, no clock, no randomness, no JWT, no HTTP.

pub mod claims;
pub mod device;
pub mod ids;
pub mod keys;
pub mod provider;
pub mod refresh;
pub mod session;
pub mod time;

pub use claims::{
    ArrayClaim, Authentication, BooleanClaim, ClaimValidator, InvalidClaim, PrimitiveClaim,
};
pub use device::{DeviceKey, DeviceKeyKind, KeyDemand};
pub use ids::{Generation, KeyId, SessionHandle, Subject, TenantId, UserId};
pub use keys::{Demand, KeyLife, KeyState, RotationPolicy};
pub use provider::{AtProvider, ProviderKey, ProviderKeys, ProviderSession};
pub use refresh::{Decision, Presented, RefreshPolicy, RefreshState, decide};
pub use session::{
    Assurance, Device, DeviceChange, Keeper, NewSession, PayloadSize, Repeats, Revocation, Session,
    SessionInformation, SessionLifetimes, SessionSummary, SessionsOf,
};
pub use time::{Clock, Timestamp};
