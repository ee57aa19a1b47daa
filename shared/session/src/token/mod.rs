//! Claims into bytes and back. Given keys, `now` and input; fetches nothing.

pub mod access;
pub mod dbsc;
pub mod dpop;
pub mod front;
pub mod jwks;
pub mod key;
pub mod refresh;
pub mod registered;
pub mod security_event;
pub mod size;

pub use access::{AccessClaims, AccessToken, NotOurs, TokenError, UnverifiedAccessToken};
pub use front::front_token;
pub use jwks::{PinnedKeys, PublishedKey, VerifyingKeySet};
pub use key::{SigningKey, VerifyingKey};
pub use refresh::{MasterKey, MasterKeys, RefreshToken, UnverifiedRefreshToken};
pub use security_event::{EventIssuer, EventTokenError, UnverifiedEventToken};
