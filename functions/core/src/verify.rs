//! `POST /recipe/session/verify`: no I/O once the keys are loaded, one read if the caller asks for it.

use serde_json::{Value, json};
use session::SessionError;
use session::error::TryRefresh;
use session::service::Minting;
use session::store::{PrivateKeyReader, PublicKeyReader, SessionReader};
use session::token::refresh::is_equal;
use session::token::{AccessToken, TokenError, UnverifiedAccessToken};

use crate::answer::{Answered, ok, try_refresh, unauthorised};
use crate::call::Call;
use crate::input::Input;
use crate::version::CdiVersion;

const OTHER_FORM: &str =
    "Access token does not contain all the information. Maybe the structure has changed?";

/// Verifies an access token. SDKs do it by themselves and call this to have the table asked.
pub(crate) async fn verify<S>(call: &Call<'_, S>) -> Answered
where
    S: PublicKeyReader + PrivateKeyReader + SessionReader,
{
    let input = Input::of(call.request)?;
    let text = input.required("accessToken", Value::as_str)?;
    let proof = input.optional("antiCsrfToken", Value::as_str)?;
    let is_asked_for_proof = input.required("doAntiCsrfCheck", Value::as_bool)?;
    let has_proofs = input.required("enableAntiCsrf", Value::as_bool)?;
    let check_database = input.required("checkDatabase", Value::as_bool)?;

    let Some(token) = UnverifiedAccessToken::parse(text) else {
        return Ok(try_refresh(OTHER_FORM));
    };
    let is_dynamic = token.unverified_key_id().is_dynamic();
    let token = match call.sessions.verify_by_any_key(token, call.now).await {
        Ok(token) => token,
        Err(SessionError::TryRefresh(cause)) => return Ok(try_refresh(&said_of(&cause))),
        Err(error) => return Err(error.into()),
    };
    if is_asked_for_proof && has_proofs {
        match &token.claims.anti_csrf_token {
            None => return Ok(try_refresh(OTHER_FORM)),
            Some(expected) if !proof.is_some_and(|proof| is_equal(proof, expected)) => {
                return Ok(try_refresh("anti-csrf check failed"));
            }
            Some(_) => {}
        }
    }
    if check_database {
        return with_database(call, &token, is_dynamic).await;
    }
    Ok(ok(json!({ "status": "OK", "session": call.session(&token, &token.custom_claims()) })))
}

/// The session must be alive. Where its claims have changed, older versions get a new access token, newer
/// ones are told.
async fn with_database<S: PrivateKeyReader + SessionReader>(
    call: &Call<'_, S>,
    token: &AccessToken,
    is_dynamic: bool,
) -> Answered {
    let session = match call.sessions.check_alive(token, call.now).await {
        Ok(session) => session,
        Err(SessionError::SessionEnded(_)) => {
            return Ok(unauthorised("Either the session has ended or has been blacklisted"));
        }
        Err(SessionError::TryRefresh(cause)) => return Ok(try_refresh(&said_of(&cause))),
        Err(error) => return Err(error.into()),
    };
    let claims = token.custom_claims();
    let has_changed = claims != session.access_token_payload;
    if call.version >= CdiVersion::V5_6 {
        return match call.sessions.check_lineage(token, &session, call.now).await {
            Ok(()) => Ok(ok(json!({
                "status": "OK",
                "session": call.session(token, &claims),
                "payloadUpdateAvailable": has_changed,
            }))),
            Err(SessionError::TryRefresh(_)) => {
                Ok(try_refresh("rotated-out token branch; refresh required"))
            }
            Err(error) => Err(error.into()),
        };
    }
    let successor = if has_changed {
        let minting = Minting { use_dynamic_key: Some(is_dynamic), ..Minting::default() };
        call.sessions.reissue(&token.claims, &session, minting, call.now).await?
    } else {
        None
    };
    Ok(ok(match successor {
        None => json!({ "status": "OK", "session": call.session(token, &claims) }),
        Some(successor) => json!({
            "status": "OK",
            "session": call.session(token, &session.access_token_payload),
            "accessToken": call.access_token(&successor.access),
        }),
    }))
}

/// In the reference's words where callers may look for them.
fn said_of(cause: &TryRefresh) -> String {
    match cause {
        TryRefresh::Token(TokenError::Expired(_)) => "Access token expired".to_owned(),
        TryRefresh::Token(TokenError::UnknownKey) => "Key not found".to_owned(),
        TryRefresh::Token(_)
        | TryRefresh::AntiCsrf
        | TryRefresh::Superseded
        | TryRefresh::WrongScheme
        | TryRefresh::NoProof
        | TryRefresh::Proof(_) => cause.to_string(),
    }
}
