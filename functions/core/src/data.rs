//! What an application keeps with a session: its data, and the claims of its tokens.

use lambda_http::Response;
use serde_json::{Map, Value, json};
use session::SessionError;
use session::model::SessionHandle;
use session::store::{PrivateKeyReader, PublicKeyReader, SessionReader, SessionUpdater};
use session::token::UnverifiedAccessToken;

use crate::answer::{Answered, Refusal, no_session, ok};
use crate::call::Call;
use crate::input::Input;

/// `POST /recipe/session/regenerate`: replaces the claims through an access token, which gets a successor
/// with the same end.
pub(crate) async fn regenerate<S>(call: &Call<'_, S>) -> Answered
where
    S: PublicKeyReader + PrivateKeyReader + SessionReader + SessionUpdater,
{
    let input = Input::of(call.request)?;
    let text = input.required("accessToken", Value::as_str)?;
    let claims = input.optional_claims()?;
    let Some(token) = UnverifiedAccessToken::parse(text) else {
        return Err(Refusal::bad("the access token is not a session's"));
    };
    let regenerated = match call.sessions.regenerate(token, claims, call.now).await {
        Ok(Some(regenerated)) => regenerated,
        Ok(None) => return Ok(no_session()),
        // The reference believes the token. SDKs verify it before, so nothing clears the client's here.
        Err(SessionError::TryRefresh(cause)) => {
            return Err(Refusal::bad(format!("the access token is not authentic: {cause}")));
        }
        Err(error) => return Err(error.into()),
    };
    let claims = &regenerated.session.access_token_payload;
    let session = call.session(&regenerated.token, claims);
    let mut body = json!({ "status": "OK", "session": session });
    if let (Some(successor), Some(body)) = (&regenerated.successor, body.as_object_mut()) {
        body.insert("accessToken".to_owned(), call.access_token(&successor.access));
    }
    Ok(ok(body))
}

/// `GET /recipe/session/data`, for older SDKs.
pub(crate) async fn read<S: SessionReader>(call: &Call<'_, S>) -> Answered {
    let found = call.information().await?;
    Ok(found.map_or_else(no_session, |found| {
        ok(json!({ "status": "OK", "userDataInDatabase": found.session_data }))
    }))
}

/// `GET /recipe/jwt/data`, for older SDKs.
pub(crate) async fn read_claims<S: SessionReader>(call: &Call<'_, S>) -> Answered {
    let found = call.information().await?;
    Ok(found.map_or_else(no_session, |found| {
        ok(json!({ "status": "OK", "userDataInJWT": found.access_token_payload }))
    }))
}

/// `PUT /recipe/session/data`: one write, the last writer wins.
pub(crate) async fn replace<S: SessionUpdater>(call: &Call<'_, S>) -> Answered {
    let input = Input::of(call.request)?;
    let handle = input.required("sessionHandle", Value::as_str)?;
    let data = input.required("userDataInDatabase", Value::as_object)?.clone();
    let Ok(handle) = handle.parse::<SessionHandle>() else {
        return Ok(no_session());
    };
    let was_there = call.sessions.update_session_data(&handle, data, call.now).await?;
    Ok(if was_there { done() } else { no_session() })
}

/// `PUT /recipe/jwt/data`: a read and a write.
pub(crate) async fn replace_claims<S: SessionReader + SessionUpdater>(
    call: &Call<'_, S>,
) -> Answered {
    let input = Input::of(call.request)?;
    let handle = input.required("sessionHandle", Value::as_str)?;
    let claims: &Map<String, Value> = input.claims()?;
    let Ok(handle) = handle.parse::<SessionHandle>() else {
        return Ok(no_session());
    };
    let replaced = call.sessions.replace_access_token_payload(&handle, claims, call.now).await?;
    Ok(replaced.map_or_else(no_session, |_| done()))
}

fn done() -> Response<String> {
    ok(json!({ "status": "OK" }))
}
