//! What tests share: a manual clock, keys that are public and worthless, a wire that counts and
//! fails, a whole stack to send requests to, and hostile tokens. Never shipped.

pub mod clock;
pub mod events;
pub mod harness;
pub mod hostile;
pub mod keys;
pub mod wire;

pub use clock::ManualClock;
pub use harness::Harness;
pub use wire::{Call, Fault, Treatment, Wire};
