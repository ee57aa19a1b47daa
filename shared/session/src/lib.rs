//! Serverless sessions: rotating refresh tokens, stateless access tokens, one `DynamoDB` item each.
//!
//! The crate speaks the wire contract of `SuperTokens`' session recipe and knows nothing of Lambda
//! or of the process environment. Its layers, from the inside out:
//!
//! - [`model`] decides: what a session is and what a presented refresh token buys. Pure.
//! - [`token`] turns claims into bytes and back: access, refresh and front tokens, JWK sets. Pure.
//! - [`store`] records: capability traits and their `DynamoDB` implementation.
//! - [`service`] sequences: create, verify, refresh, revoke.
//! - [`http`] translates: tokens out of cookies and headers, outcomes into status, cookies, headers.
//!
//! [`config`] holds the settings and refuses combinations that cannot work. Time and randomness are
//! always passed in, so one request sees one `now` and every test can choose it.

/// `Debug` for types that hold tokens, their hashes, or what applications keep in them: the name alone, so
/// that no log, error or failed assertion can tell more.
macro_rules! opaque {
    ($($name:ident$(<$lifetime:lifetime>)?),+) => {$(
        impl std::fmt::Debug for $name$(<$lifetime>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    )+};
}

pub mod config;
pub mod error;
pub mod http;
pub mod model;
pub mod service;
pub mod store;
pub mod token;

pub use config::SessionConfig;
pub use error::SessionError;
pub use service::Sessions;
