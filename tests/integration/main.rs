//! Tests of the whole stack, a module per concern.

mod authorizer_rows;
mod bad_input;
mod budgets;
mod create_rows;
mod effects;
mod events;
mod examples;
mod hostile;
mod jwt_authorizers;
mod keys;
mod mint;
mod properties;
mod refresh_rows;
mod reuse;
mod revoke_all;
mod session_events;
mod settings;
mod sign_out_rows;
mod signatures;
mod store_matches_model;
mod template;
mod templates;
mod verify_rows;
