//! How much an application may keep with a session, checked when it is written.
//!
//! Whatever was recorded can be refreshed and read for as long as the session lives: nothing that
//! browsers, gateways or the table would refuse later gets in. What cookies and headers hold is known to
//! [`crate::config::Transfer`].

use serde_json::{Map, Value};

use crate::error::SessionError;
use crate::store::document::{self, MAX_LEVELS, MAX_MERGED_CLAIMS, MAX_SESSION_DATA_LEN};
use crate::token::access::RESERVED_CLAIMS;

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
/// [`SessionError::InvalidInput`] if the table would not take them.
pub(super) fn claims(claims: Map<String, Value>) -> Result<Map<String, Value>, SessionError> {
    storable(claims, "the claims")
}

/// Claims to merge, in the form in which the table gives them back.
///
/// # Errors
///
/// [`SessionError::InvalidInput`] if they are too many, reserved, or the table would not take them.
pub(super) fn patch(patch: Map<String, Value>) -> Result<Map<String, Value>, SessionError> {
    if patch.len() > MAX_MERGED_CLAIMS {
        return Err(SessionError::invalid_input(format!(
            "{} claims are to change, at most {MAX_MERGED_CLAIMS} can at once",
            patch.len()
        )));
    }
    if let Some(name) = RESERVED_CLAIMS.into_iter().find(|name| patch.contains_key(*name)) {
        return Err(SessionError::invalid_input(format!(
            "the claim {name} belongs to the session itself and cannot be changed"
        )));
    }
    claims(patch)
}

fn storable(map: Map<String, Value>, what: &str) -> Result<Map<String, Value>, SessionError> {
    document::stored(map).ok_or_else(|| {
        SessionError::invalid_input(format!(
            "{what} must be nested at most {MAX_LEVELS} levels deep, names must not be empty, and \
             numbers must be 0 or between 1e-130 and 9.9e125 in size"
        ))
    })
}
