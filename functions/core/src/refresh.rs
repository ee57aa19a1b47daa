//! `POST /recipe/session/refresh`: rotates at once under every version of the interface.

use serde_json::{Value, json};
use session::SessionError;
use session::error::{Reuse, Unproved};
use session::model::Device;
use session::service::{AntiCsrfProof, DeviceProof};
use session::store::{PrivateKeyReader, SessionRefresher};
use session::token::UnverifiedRefreshToken;

use crate::answer::{Answered, ok, unauthorised};
use crate::call::Call;
use crate::input::Input;
use crate::version::CdiVersion;

const NOT_OURS: &str = "not a refresh token of this core";

/// Exchanges a refresh token by the rule of `session::model::refresh`: one conditional write.
pub(crate) async fn refresh<S>(call: &Call<'_, S>) -> Answered
where
    S: SessionRefresher + PrivateKeyReader,
{
    let input = Input::of(call.request)?;
    let text = input.required("refreshToken", Value::as_str)?;
    let proof = input.optional("antiCsrfToken", Value::as_str)?;
    let has_proofs = input.required("enableAntiCsrf", Value::as_bool)?;
    if call.version >= CdiVersion::V5_0 {
        input.required("useDynamicSigningKey", Value::as_bool)?;
    }
    let minting = call.minting(&input)?;

    let Some(presented) = UnverifiedRefreshToken::parse(text) else {
        return Ok(unauthorised(NOT_OURS));
    };
    let proof = if has_proofs { AntiCsrfProof::Token(proof) } else { AntiCsrfProof::NotUsed };
    // The caller is a server: neither the user's device is known nor how the token travelled.
    let device = Device::default();
    // It speaks for devices that it does not know either.
    let keys = DeviceProof::default();
    let refreshed =
        call.sessions.refresh_with(&presented, proof, keys, &device, minting, call.now).await;
    match refreshed {
        Ok(refreshed) => call.issued(&refreshed.tokens),
        Err(SessionError::Unproved(Unproved::AntiCsrf)) => {
            Ok(unauthorised("Anti CSRF token missing, or not matching"))
        }
        Err(SessionError::Unproved(Unproved::NoRefreshToken | Unproved::NotAuthentic)) => {
            Ok(unauthorised(NOT_OURS))
        }
        Err(SessionError::DeviceUnproved(_)) => {
            Ok(unauthorised("The session is bound to a device, which has to refresh it itself"))
        }
        Err(SessionError::SessionEnded(_)) => {
            Ok(unauthorised("Session missing in db or has expired"))
        }
        Err(SessionError::Reuse(reuse)) => {
            tracing::warn!(
                session.handle = %reuse.handle,
                presented = reuse.presented.number(),
                current = reuse.current.number(),
                "refresh token reuse: the session was ended"
            );
            Ok(ok(theft(call, &reuse)))
        }
        Err(error) => Err(error.into()),
    }
}

/// The write that noticed has ended the session already; SDKs remove it once more, which does nothing.
fn theft<S>(call: &Call<'_, S>, reuse: &Reuse) -> Value {
    let session = json!({
        "handle": reuse.handle,
        "userId": reuse.user_id,
        "recipeUserId": reuse.recipe_user_id,
    });
    let mut body = json!({ "status": "TOKEN_THEFT_DETECTED", "session": session });
    if let (true, Some(body)) = (call.version >= CdiVersion::V5_6, body.as_object_mut()) {
        let is_strict = call.sessions.config().refresh.is_single_use();
        body.insert("recentTokenReuseSubtype".to_owned(), subtype(reuse, is_strict).into());
    }
    body
}

/// What the token was to the current one. Its parent buys a token at any time, unless each is for single
/// use; so if the number before the current one is refused, that token was burnt.
fn subtype(reuse: &Reuse, is_strict: bool) -> &'static str {
    match (reuse.presented.next() == reuse.current, is_strict) {
        (true, true) => "RECENT_PREV",
        (true, false) => "ORPHANED_BRANCH",
        (false, _) => "STALE_LINEAGE",
    }
}
