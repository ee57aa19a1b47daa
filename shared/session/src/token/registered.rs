//! Claim names that mean something already, in our tokens or in every JWT: one rule for each.

use serde_json::{Map, Value};

/// What becomes of a claim that an application gives such a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// Each token has its own: dropped at sign-in, as the reference does, and refused in a merge.
    Token,
    /// The session has its own, given at sign-in: replaced there, and refused in a merge.
    Session,
    /// An application's own, a text.
    Text,
    /// An application's own, a list of texts.
    Texts,
    /// An application's own, a text or a list of texts.
    TextOrTexts,
    /// An application's own, whole seconds since the epoch, up to the year 9999.
    Date,
    /// An application's own, an object.
    Object,
}

/// Every name with a rule: those of contract §5.2, `nbf`, which would make tokens that nobody accepts,
/// and those that RFC 7519 §4.1, RFC 7800 §3.1, RFC 8693 §4.1 and `OpenID` Connect Core §2 give a form.
pub const CLAIMS: [(&str, Rule); 19] = [
    ("sub", Rule::Token),
    ("iat", Rule::Token),
    ("exp", Rule::Token),
    ("nbf", Rule::Token),
    ("sessionHandle", Rule::Token),
    ("parentRefreshTokenHash1", Rule::Token),
    ("refreshTokenHash1", Rule::Token),
    ("antiCsrfToken", Rule::Token),
    ("rsub", Rule::Token),
    ("tId", Rule::Token),
    ("stt", Rule::Token),
    ("iss", Rule::Session),
    ("aud", Rule::TextOrTexts),
    ("jti", Rule::Text),
    ("auth_time", Rule::Date),
    ("amr", Rule::Texts),
    ("acr", Rule::Text),
    ("cnf", Rule::Object),
    ("act", Rule::Object),
];

/// Removes what each token has of its own.
pub fn drop_those_of_tokens(claims: &mut Map<String, Value>) {
    claims.retain(|name, _| rule(name) != Some(Rule::Token));
}

/// Removes everything but what each token has of its own.
pub(crate) fn keep_those_of_tokens(claims: &mut Map<String, Value>) {
    claims.retain(|name, _| rule(name) == Some(Rule::Token));
}

/// The first claim of a session that has not the form of its name, and what it must be.
pub(crate) fn without_form(claims: &Map<String, Value>) -> Option<(&'static str, &'static str)> {
    let broken =
        |(name, rule): &(&str, Rule)| claims.get(*name).is_some_and(|value| !rule.holds(value));
    CLAIMS.into_iter().find(broken).map(|(name, rule)| (name, rule.must_be()))
}

/// The first claim that is ours alone: an application cannot give or change it.
#[must_use]
pub fn unchangeable(patch: &Map<String, Value>) -> Option<&'static str> {
    let is_ours = |(_, rule): &(&str, Rule)| matches!(rule, Rule::Token | Rule::Session);
    CLAIMS.into_iter().filter(is_ours).map(|(name, _)| name).find(|name| patch.contains_key(*name))
}

/// The first claim that every token has of its own.
#[must_use]
pub fn of_tokens(claims: &Map<String, Value>) -> Option<&'static str> {
    let is_theirs =
        |(name, rule): &(&str, Rule)| *rule == Rule::Token && claims.contains_key(*name);
    CLAIMS.into_iter().find(is_theirs).map(|(name, _)| name)
}

fn rule(name: &str) -> Option<Rule> {
    CLAIMS.into_iter().find(|(known, _)| *known == name).map(|(_, rule)| rule)
}

impl Rule {
    fn holds(self, value: &Value) -> bool {
        /// The last second of the year 9999.
        const LAST_DATE: u64 = 253_402_300_799;
        let is_list = value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        match self {
            Self::Token => false,
            Self::Session | Self::Text => value.is_string(),
            Self::Texts => is_list,
            Self::TextOrTexts => value.is_string() || is_list,
            Self::Date => value.as_u64().is_some_and(|seconds| seconds <= LAST_DATE),
            Self::Object => value.is_object(),
        }
    }

    const fn must_be(self) -> &'static str {
        match self {
            Self::Token => "left out: every token has its own",
            Self::Session | Self::Text => "a text",
            Self::Texts => "a list of texts",
            Self::TextOrTexts => "a text or a list of texts",
            Self::Date => "a date in whole seconds since 1970",
            Self::Object => "an object",
        }
    }
}
