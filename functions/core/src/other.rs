//! What SDKs ask besides: whether anybody is there, which versions are spoken, who a user is.

use http::StatusCode;
use lambda_http::Response;
use serde_json::json;
use session::store::PublicKeyReader;

use crate::answer::{Answered, ok, text};
use crate::call::Call;
use crate::input::parameter;
use crate::version::CdiVersion;

/// `/` and `/hello`: the core answers, and has read the table within the last minutes.
pub(crate) async fn hello<S: PublicKeyReader>(call: &Call<'_, S>) -> Answered {
    call.sessions.published_keys(call.now).await?;
    Ok(text(StatusCode::OK, "Hello"))
}

/// `GET /apiversion`: the first that an SDK asks. What it says of its domains is of no use here.
pub(crate) fn api_version() -> Response<String> {
    let versions = CdiVersion::ALL.map(|version| version.to_string());
    ok(json!({ "versions": versions }))
}

/// `GET /telemetry`: nobody is counted.
pub(crate) fn telemetry() -> Response<String> {
    ok(json!({ "exists": false }))
}

/// `GET /config`: the file of a server's process, of which there is none.
pub(crate) fn config() -> Response<String> {
    ok(json!({ "status": "NOT_ALLOWED" }))
}

/// `GET /user/id`: SDKs ask before they create a session. There are no users here, and a session needs
/// none.
pub(crate) fn user<S>(call: &Call<'_, S>) -> Answered {
    parameter(call.request, "userId")?;
    Ok(ok(json!({ "status": "UNKNOWN_USER_ID_ERROR" })))
}
