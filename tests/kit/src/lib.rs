//! What tests share: a manual clock, keys that are public and worthless, a wire and an event bus that
//! count and fail, a whole stack to send requests to, and a model of every front door. Never shipped.

pub mod bus;
pub mod clock;
pub mod events;
pub mod front_door;
pub mod harness;
pub mod iam;
pub mod keys;
pub mod kms;
pub mod wire;

pub use bus::{Bus, BusFault};
pub use clock::ManualClock;
pub use front_door::{FrontDoor, IdentitySource, Kind, Outcome};
pub use harness::Harness;
pub use iam::{Asked, Guarded, Iam};
pub use kms::{EmulatedKms, KmsFault};
pub use wire::{Call, Fault, Treatment, Wire};
