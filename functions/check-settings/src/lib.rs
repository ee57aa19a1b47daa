//! A custom resource of `CloudFormation` that reads settings exactly as the functions do.
//!
//! What the functions would refuse at start fails the deployment instead, with their own sentences, before
//! any of them has been touched.

use authorizer::AuthorizerConfig;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core_driver::CoreConfig;
use create_session::CreateConfig;
use revoke::LogoutConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session::SessionConfig;
use session::config::ConfigError;

/// Longest reason, in bytes: `CloudFormation` takes 4096 for the whole answer.
const MAX_REASON_LEN: usize = 2048;

/// What `CloudFormation` asks. Has no `Debug`: whoever reads the address could answer in our place.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    request_type: RequestType,
    /// Where the answer goes: an address that signs for itself.
    #[serde(rename = "ResponseURL")]
    pub response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    /// Not there at `Create`.
    physical_resource_id: Option<String>,
    /// `Settings`: the functions' variables by their names, all values being text.
    #[serde(default)]
    resource_properties: Value,
}

#[derive(Deserialize)]
enum RequestType {
    Create,
    Update,
    Delete,
}

/// What `CloudFormation` is told.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
    status: Status,
    /// The functions' own sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Always the same: another one would have the former deleted.
    physical_resource_id: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    data: Data,
}

#[derive(Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Success,
    Failed,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    /// Other settings, other digest: 22 letters, digits, `-` and `_`.
    digest: String,
}

/// Answers one request. There is always an answer: without one `CloudFormation` waits for an hour.
#[must_use]
pub fn answer(event: &Event) -> Answer {
    let settings = event.resource_properties.get("Settings").unwrap_or(&Value::Null);
    // A resource that was never made is deleted, too, and nothing is left to be checked.
    let refusal = match event.request_type {
        RequestType::Create | RequestType::Update => check(settings).err(),
        RequestType::Delete => None,
    };
    let physical_id = event.physical_resource_id.as_ref();
    Answer {
        status: if refusal.is_some() { Status::Failed } else { Status::Success },
        reason: refusal.map(|error| shortened(error.to_string())),
        physical_resource_id: physical_id.unwrap_or(&event.logical_resource_id).clone(),
        stack_id: event.stack_id.clone(),
        request_id: event.request_id.clone(),
        logical_resource_id: event.logical_resource_id.clone(),
        data: Data { digest: digest_of(settings) },
    }
}

fn check(settings: &Value) -> Result<(), ConfigError> {
    let lookup = |name: &str| settings.get(name).and_then(Value::as_str).map(str::to_owned);
    let problems = problems(lookup);
    if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
}

/// Why functions with these settings would refuse to start, each reason once: what all of them read, and
/// what one of them reads alone.
#[must_use]
pub fn problems(lookup: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let errors = [
        SessionConfig::from_lookup(&lookup).err(),
        AuthorizerConfig::from_lookup(&lookup).err(),
        CoreConfig::from_lookup(&lookup).err(),
        CreateConfig::from_lookup(&lookup).err(),
        LogoutConfig::from_lookup(&lookup).err(),
    ];
    let mut problems = Vec::new();
    for problem in errors.into_iter().flatten().flat_map(|error| error.problems) {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    problems
}

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_REASON_LEN));
    text
}

/// Of the JSON text, whose members are sorted.
fn digest_of(settings: &Value) -> String {
    let digest = digest(&SHA256, settings.to_string().as_bytes());
    let start = digest.as_ref().first_chunk::<16>();
    start.map(|start| URL_SAFE_NO_PAD.encode(start)).unwrap_or_default()
}
