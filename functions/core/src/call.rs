//! One call of an endpoint, after everything that all endpoints check, and what answers share.

use std::time::Duration;

use http::StatusCode;
use lambda_http::Request;
use serde_json::{Map, Value, json};
use session::Sessions;
use session::model::{TenantId, Timestamp, UserId};
use session::service::{IssuedTokens, Minting};
use session::token::AccessToken;
use session::token::access::MintedAccessToken;

use crate::answer::{Answered, Refusal, ok};
use crate::input::{Input, whole};
use crate::version::CdiVersion;

/// A call.
pub(crate) struct Call<'c, S> {
    pub(crate) sessions: &'c Sessions<S>,
    pub(crate) request: &'c Request,
    pub(crate) version: CdiVersion,
    /// The tenant in the path.
    pub(crate) tenant: TenantId,
    pub(crate) now: Timestamp,
}

impl<S> Call<'_, S> {
    /// What the caller chooses of the access token.
    pub(crate) fn minting(&self, input: &Input) -> Result<Minting, Refusal> {
        let use_dynamic_key = input.optional("useDynamicSigningKey", Value::as_bool)?;
        let chosen = if self.version >= CdiVersion::V5_6 {
            input.optional("accessTokenValidity", whole)?
        } else {
            None
        };
        let access_token_ttl = chosen.map(|millis| self.shorter(millis)).transpose()?;
        Ok(Minting { use_dynamic_key, access_token_ttl })
    }

    /// A life of an access token that is not longer than the usual one.
    fn shorter(&self, millis: i64) -> Result<Duration, Refusal> {
        let usual = self.sessions.config().lifetimes.access_token;
        let chosen = u64::try_from(millis).ok().map(Duration::from_millis);
        let chosen = chosen.filter(|chosen| !chosen.is_zero() && *chosen <= usual);
        chosen.ok_or_else(|| {
            Refusal::bad(format!(
                "accessTokenValidity must be greater than 0 and at most the configured \
                 access_token_validity ({} ms)",
                usual.as_millis()
            ))
        })
    }

    /// A session with the tokens that were issued for it.
    pub(crate) fn issued(&self, issued: &IssuedTokens) -> Answered {
        let Some(token) = AccessToken::of_minted(&issued.access) else {
            tracing::error!("a minted token is not read as one");
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal server error"));
        };
        let mut body = json!({
            "status": "OK",
            "session": self.session(&token, &token.custom_claims()),
            "accessToken": self.access_token(&issued.access),
            "refreshToken": {
                "token": issued.refresh.expose(),
                "expiry": issued.refresh_expires_at,
                "createdTime": self.now,
            },
        });
        if let (Some(token), Some(body)) = (&issued.anti_csrf, body.as_object_mut()) {
            body.insert("antiCsrfToken".to_owned(), token.as_str().into());
        }
        Ok(ok(body))
    }

    /// The session that a token belongs to, with these claims.
    pub(crate) fn session(&self, token: &AccessToken, claims: &Map<String, Value>) -> Value {
        let subject = &token.claims.subject;
        let mut session = json!({
            "handle": token.claims.session_handle,
            "userId": subject.user_id,
            "userDataInJWT": claims,
            "tenantId": subject.tenant_id,
        });
        self.add_recipe_user(&mut session, &subject.recipe_user_id);
        session
    }

    /// Adds the login method's own id of the user, in versions that have it.
    pub(crate) fn add_recipe_user(&self, body: &mut Value, recipe_user_id: &UserId) {
        if let (true, Some(body)) = (self.version >= CdiVersion::V4_0, body.as_object_mut()) {
            body.insert("recipeUserId".to_owned(), recipe_user_id.as_str().into());
        }
    }

    /// An access token, its instants as whole seconds in milliseconds, as in the token itself.
    pub(crate) fn access_token(&self, minted: &MintedAccessToken) -> Value {
        json!({
            "token": minted.token,
            "expiry": minted.expires_at,
            "createdTime": Timestamp::from_secs(self.now.as_secs()),
        })
    }
}
