//! How much an application may keep with a session, checked when it is written.
//!
//! Whatever was recorded can be refreshed and read for as long as the session lives: nothing that
//! browsers, gateways or the table would refuse later gets in. What cookies and headers hold is known to
//! [`crate::config::Transfer`].

use serde_json::{Map, Value};

use crate::error::SessionError;
use crate::store::document::{self, MAX_LEVELS, MAX_MERGED_CLAIMS, MAX_SESSION_DATA_LEN};
use crate::token::registered;

/// Refuses claims whose front token's JSON has so many bytes and may have fewer.
pub(super) fn check_front_json(bytes: usize, limit: usize) -> Result<(), SessionError> {
    if bytes <= limit {
        return Ok(());
    }
    Err(SessionError::invalid_input(format!(
        "the claims make tokens of {bytes} bytes of JSON, {limit} fit into cookies and headers; keep \
         large data in the session data"
    )))
}

/// What a patch adds to the front token's JSON at most, in bytes.
pub(super) fn added_by(patch: &Map<String, Value>) -> usize {
    let kept = patch.iter().filter(|(_, value)| !value.is_null());
    // `"name":value,`
    kept.map(|(name, value)| json_len(&Value::from(name.as_str())) + json_len(value) + 2).sum()
}

fn json_len(value: &Value) -> usize {
    // A value always serialises.
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

/// Session data in the form in which the table gives it back.
///
/// # Errors
///
/// [`SessionError::InvalidInput`] if the table would not take it.
pub(super) fn session_data(data: Map<String, Value>) -> Result<Map<String, Value>, SessionError> {
    let data = storable(data, "the session data")?;
    let bytes = document::size(&data);
    if bytes <= MAX_SESSION_DATA_LEN {
        return Ok(data);
    }
    Err(SessionError::invalid_input(format!(
        "the session data takes {bytes} bytes in the table, {MAX_SESSION_DATA_LEN} are possible"
    )))
}

/// Claims in the form in which the table gives them back; whether they fit is another question.
///
/// # Errors
///
/// [`SessionError::InvalidInput`] if the table would not take them, or one has not the form that its name
/// asks for.
pub(super) fn claims(claims: Map<String, Value>) -> Result<Map<String, Value>, SessionError> {
    let claims = storable(claims, "the claims")?;
    match registered::without_form(&claims) {
        None => Ok(claims),
        Some((name, form)) => {
            Err(SessionError::invalid_input(format!("the claim {name} must be {form}")))
        }
    }
}

/// Claims to merge, in the form in which the table gives them back.
///
/// # Errors
///
/// As [`claims`], and if they are too many, or one of them is not the application's.
pub(super) fn patch(patch: Map<String, Value>) -> Result<Map<String, Value>, SessionError> {
    if let Some(name) = registered::unchangeable(&patch) {
        return Err(SessionError::invalid_input(format!(
            "the claim {name} belongs to the session itself and cannot be changed"
        )));
    }
    difference(patch)
}

/// As [`patch`], of claims that are replaced as a whole: the issuer may be among them.
pub(super) fn difference(patch: Map<String, Value>) -> Result<Map<String, Value>, SessionError> {
    if patch.len() > MAX_MERGED_CLAIMS {
        return Err(SessionError::invalid_input(format!(
            "{} claims are to change, at most {MAX_MERGED_CLAIMS} can at once",
            patch.len()
        )));
    }
    if let Some(name) = registered::of_tokens(&patch) {
        return Err(SessionError::invalid_input(format!(
            "every token has a claim {name} of its own, which cannot be changed"
        )));
    }
    let (removed, kept): (Map<_, _>, Map<_, _>) =
        patch.into_iter().partition(|(_, value)| value.is_null());
    let mut patch = claims(kept)?;
    patch.extend(storable(removed, "the claims")?);
    Ok(patch)
}

fn storable(map: Map<String, Value>, what: &str) -> Result<Map<String, Value>, SessionError> {
    document::stored(map).ok_or_else(|| {
        SessionError::invalid_input(format!(
            "{what} must be nested at most {MAX_LEVELS} levels deep, names must not be empty, and \
             numbers must be whole numbers of 64 bits, or fractions of at least 1e-130 in size; send \
             other numbers as text"
        ))
    })
}
