//! The whole stack in one process: gateway model, embedded `DynamoDB`, every function, an example
//! application with a demo page.
//!
//! A request goes the way it goes on AWS: HTTP → payload 2.0 event → authorizer → function → HTTP. The
//! functions are the real ones behind real Lambda events, and everything they say to `DynamoDB` goes
//! through the AWS SDK. Only the gateway is a model, and only as far as front ends and the authorizer can
//! tell (docs/authorizer.md §1).

// The futures of the functions nest deeper than the compiler's default of 128 types.
#![recursion_limit = "256"]

pub mod dynamodb;
pub mod event;
mod example;
pub mod function;
mod function_url;
pub mod functions;
pub mod gateway;
pub mod invoke;
mod page;
pub mod stack;

pub use self::stack::Stack;
