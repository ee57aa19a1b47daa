//! What the caller says, member by member. What is not understood is refused by name, never ignored, and
//! no value comes back in an error: it may be a secret.

use serde_json::{Map, Value};
use session::model::{
    Authentication, NewSession, ProviderSession, SessionLifetimes, Subject, TenantId, Timestamp,
    UserId,
};
use session::token::registered::unchangeable;

use crate::refusal::Refusal;

/// What is said of the session.
pub(crate) struct Input {
    pub(crate) new: NewSession,
    /// Whether a page of another site may have sent the request: a redirect whose `state` was checked.
    pub(crate) allow_cross_site: bool,
}

/// The members that are left to be read; null is as good as absent.
#[derive(Clone)]
pub(crate) struct Members(Map<String, Value>);

impl Input {
    pub(crate) fn read(mut read: Members) -> Result<Self, Refusal> {
        let user_id = read.text("userId")?;
        let user_id = user_id.ok_or_else(|| Refusal::input("userId is missing"))?;
        let mut new = NewSession::for_user(user_id);
        let Subject { recipe_user_id, tenant_id, .. } = &mut new.subject;
        if let Some(id) = read.text("recipeUserId")? {
            *recipe_user_id = UserId::new(id);
        }
        if let Some(id) = read.text("tenantId")? {
            *tenant_id = TenantId::new(id);
        }
        new.access_token_payload = read.object("claims")?.unwrap_or_default();
        new.session_data = read.object("sessionData")?.unwrap_or_default();
        new.authentication = read.authentication()?;
        new.anti_csrf = read.flag("antiCsrf")?;
        new.idempotency_key = read.text("idempotencyKey")?;
        new.lifetimes = read.lifetimes()?;
        let allow_cross_site = read.flag("allowCrossSite")?.unwrap_or_default();
        new.provider = read.provider()?;
        read.end("")?;

        let claims = &new.access_token_payload;
        if let Some(name) = unchangeable(claims) {
            return Err(Refusal::ReservedClaim(name));
        }
        let given = [Authentication::AT_CLAIM, Authentication::METHODS_CLAIM];
        let twice = given.into_iter().find(|name| claims.contains_key(*name));
        if let (Some(_), Some(name)) = (&new.authentication, twice) {
            return Err(Refusal::ReservedClaim(name));
        }
        Ok(Self { new, allow_cross_site })
    }
}

impl Members {
    pub(crate) fn of(event: Value) -> Result<Self, Refusal> {
        let Value::Object(members) = event else {
            return Err(Refusal::input("send an object such as {\"userId\": \"alice\"}"));
        };
        Ok(Self(members))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::input(format!("{name} must be a text"))),
        }
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Option<Map<String, Value>>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(Refusal::input(format!("{name} must be an object"))),
        }
    }

    fn flag(&mut self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(Refusal::input(format!("{name} must be true or false"))),
        }
    }

    fn authentication(&mut self) -> Result<Option<Authentication>, Refusal> {
        let Some(members) = self.object("authentication")? else {
            return Ok(None);
        };
        let mut read = Self(members);
        let at = read.take("authTime").and_then(|at| at.as_u64());
        let at = at.ok_or_else(|| {
            Refusal::input("authentication.authTime must be a date in whole seconds since 1970")
        })?;
        let methods = match read.take("amr") {
            None => Some(Vec::new()),
            Some(Value::Array(methods)) => {
                methods.iter().map(|method| method.as_str().map(str::to_owned)).collect()
            }
            Some(_) => None,
        };
        let methods =
            methods.ok_or_else(|| Refusal::input("authentication.amr must be a list of texts"))?;
        read.end("authentication.")?;
        Ok(Some(Authentication { at: Timestamp::from_secs(at), methods }))
    }

    fn lifetimes(&mut self) -> Result<SessionLifetimes, Refusal> {
        let members = self.object("lifetimes")?.unwrap_or_default();
        serde_json::from_value(members.into()).map_err(|_| {
            Refusal::input(
                "lifetimes may have accessTokenTtlSeconds, refreshTokenTtlSeconds and \
                 absoluteTtlSeconds, each a whole number",
            )
        })
    }

    fn provider(&mut self) -> Result<Option<ProviderSession>, Refusal> {
        let Some(members) = self.object("provider")? else {
            return Ok(None);
        };
        let mut read = Self(members);
        let mut required = |name: &str| {
            let text = read.text(name).ok().flatten();
            text.ok_or_else(|| Refusal::input(format!("provider.{name} must be a text")))
        };
        let (issuer, subject) = (required("issuer")?, required("subject")?);
        let session_id = read.text("sessionId");
        let session_id =
            session_id.map_err(|_| Refusal::input("provider.sessionId must be a text"))?;
        read.end("provider.")?;
        Ok(Some(ProviderSession { issuer, subject, session_id }))
    }

    fn end(self, within: &str) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Refusal::input(format!("there is no member {within}{name}"))),
        }
    }
}
