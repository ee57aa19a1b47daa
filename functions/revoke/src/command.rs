//! The commands: what the caller says, and nothing that is not understood.

use serde::Deserialize;
use serde_json::Value;
use session::model::{AtProvider, TenantId, UserId};
use session::service::Cursor;

/// Which sessions to end, and where to go on.
#[derive(Debug)]
pub struct Command {
    pub(crate) which: Which,
    /// Only where a table is read page by page.
    pub(crate) after: Option<Cursor>,
}

/// Which sessions to end.
#[derive(Debug)]
pub(crate) enum Which {
    User { user_id: UserId, tenant_id: Option<TenantId> },
    Tenant(TenantId),
    Everybody,
    AtProvider(AtProvider),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Said {
    user_id: Option<String>,
    tenant_id: Option<String>,
    everybody: Option<bool>,
    provider: Option<Provider>,
    after: Option<Cursor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Provider {
    issuer: String,
    subject: Option<String>,
    session_id: Option<String>,
}

impl Command {
    /// Reads an event; `None` if it is no command. Nothing is guessed: an empty name, or two commands in one
    /// event, are none.
    #[must_use]
    pub fn read(event: Value) -> Option<Self> {
        let Said { user_id, tenant_id, everybody, provider, after } =
            serde_json::from_value(event).ok()?;
        let is_name = |name: &Option<String>| name.as_ref().is_none_or(|name| !name.is_empty());
        if !is_name(&user_id) || !is_name(&tenant_id) {
            return None;
        }
        let tenant_id = tenant_id.map(TenantId::new);
        let which = match (user_id, tenant_id, everybody, provider) {
            (Some(user_id), tenant_id, None, None) => {
                Which::User { user_id: UserId::new(user_id), tenant_id }
            }
            (None, Some(tenant_id), None, None) => Which::Tenant(tenant_id),
            (None, None, Some(true), None) => Which::Everybody,
            (None, None, None, Some(Provider { issuer, subject, session_id })) => {
                if issuer.is_empty() || !is_name(&subject) || !is_name(&session_id) {
                    return None;
                }
                let named = AtProvider::named(&issuer, subject.as_deref(), session_id.as_deref());
                Which::AtProvider(named?)
            }
            _ => return None,
        };
        let is_paged = matches!(which, Which::Tenant(_) | Which::Everybody);
        (is_paged || after.is_none()).then_some(Self { which, after })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_is_guessed() {
        for event in [
            json!(null),
            json!([]),
            json!({}),
            json!({ "userId": "" }),
            json!({ "userId": 1 }),
            json!({ "userid": "user-1" }),
            json!({ "userId": "user-1", "tenantId": "" }),
            json!({ "userId": "user-1", "everybody": true }),
            json!({ "userId": "user-1", "after": { "pk": "a", "sk": "b" } }),
            json!({ "tenantId": null }),
            json!({ "everybody": false }),
            json!({ "everybody": "true" }),
            json!({ "everybody": true, "tenantId": "acme" }),
            json!({ "everybody": true, "after": "there" }),
            json!({ "provider": { "issuer": "https://id.example.com" } }),
            json!({ "provider": { "subject": "ada" } }),
            json!({ "provider": { "issuer": "", "subject": "ada" } }),
            json!({ "provider": { "issuer": "https://id.example.com", "subject": "" } }),
            json!({ "provider": { "issuer": "https://id.example.com", "sub": "ada" } }),
        ] {
            assert!(Command::read(event.clone()).is_none(), "{event}");
        }
    }
}
