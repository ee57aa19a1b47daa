//! How much an application may keep with a session, checked when it is written.
//!
//! Whatever was recorded can be refreshed and read for as long as the session lives: nothing that
//! browsers, gateways or the table would refuse later gets in. What cookies and headers hold is known to
//! [`crate::config::Transfer`].

use serde_json::{Map, Number, Value};

use crate::error::SessionError;
use crate::token::access::RESERVED_CLAIMS;

/// Largest session data, in bytes as `DynamoDB` counts: an item has 400 KB (409,600 bytes), of which
/// everything else needs at most 16 KiB.
pub const MAX_SESSION_DATA_LEN: usize = 384 * 1024;

/// Most claims that one merge may change: an update expression has 4 KB and 300 operators.
pub const MAX_MERGED_CLAIMS: usize = 100;

/// Levels of `DynamoDB`'s documents, the attribute and the innermost value included.
const MAX_LEVELS: usize = 32;

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
    let bytes = map_size(&data);
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
    let map = map.into_iter().map(|(name, value)| Some((stored_name(name)?, stored(value, 2)?)));
    map.collect::<Option<_>>().ok_or_else(|| {
        SessionError::invalid_input(format!(
            "{what} must be nested at most {MAX_LEVELS} levels deep, names must not be empty, and \
             numbers must be 0 or between 1e-130 and 9.9e125 in size"
        ))
    })
}

fn stored_name(name: String) -> Option<String> {
    (!name.is_empty()).then_some(name)
}

/// The value as the table gives it back: whole numbers are integers. `None` if it takes no such value.
fn stored(value: Value, level: usize) -> Option<Value> {
    if level > MAX_LEVELS {
        return None;
    }
    Some(match value {
        Value::Number(number) => Value::Number(stored_number(number)?),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| stored(value, level + 1));
            Value::Array(values.collect::<Option<_>>()?)
        }
        Value::Object(map) => {
            let members = map
                .into_iter()
                .map(|(name, value)| Some((stored_name(name)?, stored(value, level + 1)?)));
            Value::Object(members.collect::<Option<_>>()?)
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    })
}

fn stored_number(number: Number) -> Option<Number> {
    if !number.is_f64() {
        return Some(number);
    }
    let float = number.as_f64()?;
    if float.fract() == 0.0 {
        // The text of a whole number has no fraction, so it is read back as an integer.
        let text = format!("{float:.0}");
        if let Ok(integer) = text.trim_start_matches("-0").parse::<i64>() {
            return Some(integer.into());
        }
        if let Ok(integer) = text.parse::<u64>() {
            return Some(integer.into());
        }
        if float == 0.0 {
            return Some(0.into());
        }
    }
    (1e-130..9.9e125).contains(&float.abs()).then_some(number)
}

/// Bytes of a map's members as `DynamoDB` counts them, an upper bound for numbers.
fn map_size(map: &Map<String, Value>) -> usize {
    3 + map.iter().map(|(name, value)| name.len() + value_size(value) + 1).sum::<usize>()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        // A byte for two digits on either side of the point, one for the exponent, one for the sign.
        Value::Number(number) => number.to_string().len() / 2 + 4,
        Value::String(text) => text.len(),
        Value::Array(values) => 3 + values.iter().map(|value| value_size(value) + 1).sum::<usize>(),
        Value::Object(map) => map_size(map),
    }
}
