//! `POST {base}/signout` (contract §3.3).

use http::{Request, StatusCode};
use serde_json::json;

use super::respond::{Response, error_response};
use super::{AntiCsrfCheck, TokenHeaders, VerifyOptions, verify};
use crate::error::SessionError;
use crate::model::Timestamp;
use crate::service::Sessions;
use crate::store::{PublicKeyReader, SessionRevoker};

/// Ends the session of the request's access token and clears the tokens of the method it came by.
///
/// Succeeds for a session that is gone already. A store that cannot answer is reported and clears
/// nothing, so that the client tries again.
pub async fn sign_out<S, B>(
    sessions: &Sessions<S>,
    request: &Request<B>,
    now: Timestamp,
) -> (Response, Result<(), SessionError>)
where
    S: SessionRevoker + PublicKeyReader,
    B: Sync,
{
    let config = sessions.config();
    match end(sessions, request, now).await {
        Ok(tokens) => {
            let mut response = super::json(StatusCode::OK, &json!({ "status": "OK" }));
            tokens.apply(response.headers_mut());
            (response, Ok(()))
        }
        Err(error) => (error_response(config, request.headers(), &error), Err(error)),
    }
}

async fn end<'s, S: SessionRevoker + PublicKeyReader, B: Sync>(
    sessions: &'s Sessions<S>,
    request: &Request<B>,
    now: Timestamp,
) -> Result<TokenHeaders<'s>, SessionError> {
    let options = VerifyOptions { session_required: true, anti_csrf_check: AntiCsrfCheck::Always };
    let verified = verify(sessions, request, options, now).await?.ok_or(SessionError::NoToken)?;
    // A verified token of another form of handle names no session of ours: nothing to end.
    if let Some(handle) = verified.token.handle() {
        sessions.sign_out(&handle, &verified.token.claims.subject.user_id).await?;
    }
    let mut tokens = TokenHeaders::new(sessions.config(), request.headers());
    tokens.clear(verified.method);
    Ok(tokens)
}
