//! Sessions from sign-in to end: create, read, list, remove.

use serde_json::{Value, json};
use session::model::{
    Device, NewSession, SessionHandle, SessionInformation, SessionsOf, TenantId, UserId,
};
use session::store::{
    KeyRotator, PrivateKeyReader, SessionCreator, SessionLister, SessionReader, SessionRevoker,
    UserRevoker,
};

use crate::answer::{Answered, Refusal, no_session, ok};
use crate::call::Call;
use crate::input::{Input, is_on, parameter};
use crate::route::public_only;
use crate::version::CdiVersion;

/// `POST /recipe/session`: one put. The user need not be known.
pub(crate) async fn create<S>(call: &Call<'_, S>) -> Answered
where
    S: SessionCreator + SessionLister + SessionRevoker + PrivateKeyReader + KeyRotator,
{
    let input = Input::of(call.request)?;
    let mut new = NewSession::for_user(input.required("userId", Value::as_str)?);
    new.subject.tenant_id = call.tenant.clone();
    new.access_token_payload = input.claims()?.clone();
    new.session_data = input.required("userDataInDatabase", Value::as_object)?.clone();
    let with_anti_csrf = input.required("enableAntiCsrf", Value::as_bool)?;
    let minting = call.minting(&input)?;
    // The caller is a server: nothing is known of the user's device.
    let device = Device::default();
    let (sessions, now, rng) = (call.sessions, call.now, &mut bootstrap::system_rng());
    let issued = sessions.create_as_given(new, device, with_anti_csrf, minting, now, rng).await?;
    call.issued(&issued)
}

/// `GET /recipe/session`: one read.
pub(crate) async fn read<S: SessionReader>(call: &Call<'_, S>) -> Answered {
    let Some(found) = call.information().await? else {
        return Ok(no_session());
    };
    let session = &found.summary;
    let mut body = json!({
        "status": "OK",
        "sessionHandle": session.handle,
        "userId": session.subject.user_id,
        "userDataInDatabase": found.session_data,
        "userDataInJWT": found.access_token_payload,
        "expiry": session.expires_at,
        "timeCreated": session.created_at,
        "tenantId": session.subject.tenant_id,
    });
    call.add_recipe_user(&mut body, &session.subject.recipe_user_id);
    Ok(ok(body))
}

/// `GET /recipe/session/user`: the handles of a user's sessions that are alive.
pub(crate) async fn list<S: SessionLister>(call: &Call<'_, S>) -> Answered {
    let user_id = UserId::new(parameter(call.request, "userId")?);
    let in_all_tenants = is_on(call.request, "fetchAcrossAllTenants");
    let which = call.sessions_of(&user_id, in_all_tenants)?;
    let handles = call.sessions.handles_of(which, call.now).await?;
    Ok(ok(json!({ "status": "OK", "sessionHandles": handles })))
}

/// `POST /recipe/session/remove`: ends sessions by their handles or their user.
pub(crate) async fn remove<S: SessionRevoker + UserRevoker>(call: &Call<'_, S>) -> Answered {
    let input = Input::of(call.request)?;
    let handles = input.optional("sessionHandles", texts)?;
    let user_id = input.optional("userId", Value::as_str)?;
    let in_all_tenants = input.optional("revokeAcrossAllTenants", Value::as_bool)?;
    input.optional("revokeSessionsForLinkedAccounts", Value::as_bool)?;
    let ended = match (handles, user_id) {
        (Some(handles), None) => {
            for name in ["revokeAcrossAllTenants", "revokeSessionsForLinkedAccounts"] {
                if input.has(name) {
                    return Err(Refusal::bad(format!(
                        "Invalid JSON input - {name} can only be set if userId is set"
                    )));
                }
            }
            // What is no handle of ours names no session.
            let handles: Vec<SessionHandle> =
                handles.into_iter().filter_map(|handle| handle.parse().ok()).collect();
            call.sessions.revoke_many(&handles).await?
        }
        (None, Some(user_id)) => {
            let user_id = UserId::new(user_id);
            let which = call.sessions_of(&user_id, in_all_tenants.unwrap_or(true))?;
            call.sessions.revoke_all(which).await?
        }
        _ => {
            let text = "Invalid JSON input - use one of userId or sessionHandles array";
            return Err(Refusal::bad(text));
        }
    };
    Ok(ok(json!({ "status": "OK", "sessionHandlesRevoked": ended })))
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

impl<S> Call<'_, S> {
    /// The session that the query names; `None` if there is none, or the text is no handle.
    pub(crate) async fn information(&self) -> Result<Option<SessionInformation>, Refusal>
    where
        S: SessionReader,
    {
        let Ok(handle) = parameter(self.request, "sessionHandle")?.parse() else {
            return Ok(None);
        };
        Ok(self.sessions.information(&handle, self.now).await?)
    }

    /// The sessions of a user that are meant: in the path's tenant, or in all if the path may ask that.
    fn sessions_of<'u>(
        &'u self,
        user_id: &'u UserId,
        in_all_tenants: bool,
    ) -> Result<SessionsOf<'u>, Refusal> {
        let which = SessionsOf::user(user_id);
        if !in_all_tenants {
            return Ok(which.in_tenant(&self.tenant));
        }
        if self.version >= CdiVersion::V5_0 && self.tenant.as_str() != TenantId::PUBLIC {
            return Err(public_only());
        }
        Ok(which)
    }
}
