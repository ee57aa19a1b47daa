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
