//! What callers send: a JSON object, or parameters of a query.

use lambda_http::Request;
use serde_json::{Map, Value};
use session::token::registered;
use url::form_urlencoded;

use crate::answer::Refusal;

/// The members of a request's body. Those that nobody asks for are ignored.
pub(crate) struct Input(Map<String, Value>);

impl Input {
    /// Reads a body.
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        let body = serde_json::from_slice(request.body());
        body.map(Self).map_err(|_| Refusal::bad("Invalid Json Input"))
    }

    /// Whether a member was sent.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A member that must be there; `read` is `None` for a value of another kind.
    pub(crate) fn required<'i, T>(
        &'i self,
        name: &str,
        read: impl Fn(&'i Value) -> Option<T>,
    ) -> Result<T, Refusal> {
        self.optional(name, read)?.ok_or_else(|| invalid(name))
    }

    /// A member that may be absent; null is a value of another kind.
    pub(crate) fn optional<'i, T>(
        &'i self,
        name: &str,
        read: impl Fn(&'i Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let value = self.0.get(name);
        value.map(|value| read(value).ok_or_else(|| invalid(name))).transpose()
    }

    /// An application's claims, which must leave those of tokens alone.
    pub(crate) fn optional_claims(&self) -> Result<Option<&Map<String, Value>>, Refusal> {
        let claims = self.optional("userDataInJWT", Value::as_object)?;
        match claims.and_then(registered::of_tokens) {
            None => Ok(claims),
            Some(_) => Err(Refusal::bad("The user payload contains protected field")),
        }
    }

    /// As [`Self::optional_claims`], where they must be there.
    pub(crate) fn claims(&self) -> Result<&Map<String, Value>, Refusal> {
        self.optional_claims()?.ok_or_else(|| invalid("userDataInJWT"))
    }
}

fn invalid(name: &str) -> Refusal {
    Refusal::bad(format!("Field name '{name}' is invalid in JSON input"))
}

/// A whole number; what is behind the point is dropped.
#[expect(
    clippy::cast_possible_truncation,
    reason = "casting saturates, and such numbers are refused"
)]
pub(crate) fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}

/// A parameter of the query that must be there.
pub(crate) fn parameter(request: &Request, name: &str) -> Result<String, Refusal> {
    let value = query(request, name);
    value.ok_or_else(|| Refusal::bad(format!("Field name '{name}' is missing in GET request")))
}

/// A switch in the query: on unless it says something else than `true`.
pub(crate) fn is_on(request: &Request, name: &str) -> bool {
    query(request, name).is_none_or(|value| value.eq_ignore_ascii_case("true"))
}

fn query(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
}
