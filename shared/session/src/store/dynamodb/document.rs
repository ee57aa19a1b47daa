//! What the table takes as a document, such as claims and session data, and what it gives back.

use serde_json::{Map, Number, Value};

/// Largest session data, in bytes as `DynamoDB` counts: an item has 400 KB (409,600 bytes), of which
/// everything else needs at most 16 KiB.
pub const MAX_SESSION_DATA_LEN: usize = 384 * 1024;

/// Most claims that one merge may change: an update expression has 4 KB and 300 operators.
pub const MAX_MERGED_CLAIMS: usize = 100;

/// Levels of `DynamoDB`'s documents, the attribute and the innermost value included.
pub(crate) const MAX_LEVELS: usize = 32;

/// The members as the table gives them back; `None` if it would not take them.
pub(crate) fn stored(map: Map<String, Value>) -> Option<Map<String, Value>> {
    members(map, 2)
}

fn members(map: Map<String, Value>, level: usize) -> Option<Map<String, Value>> {
    let stored = |(name, value): (String, Value)| {
        if name.is_empty() {
            return None;
        }
        Some((name, stored_value(value, level)?))
    };
    map.into_iter().map(stored).collect()
}

/// The value as the table gives it back: whole numbers are integers. `None` if it takes no such value.
fn stored_value(value: Value, level: usize) -> Option<Value> {
    if level > MAX_LEVELS {
        return None;
    }
    Some(match value {
        Value::Number(number) => Value::Number(stored_number(number)?),
        Value::Array(values) => {
            let values = values.into_iter().map(|value| stored_value(value, level + 1));
            Value::Array(values.collect::<Option<_>>()?)
        }
        Value::Object(map) => Value::Object(members(map, level + 1)?),
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    })
}

fn stored_number(number: Number) -> Option<Number> {
    if !number.is_f64() {
        return Some(number);
    }
    let float = number.as_f64()?;
    if float == 0.0 {
        return Some(0.into());
    }
    if float.fract() != 0.0 {
        // The smallest that the table takes; there are no large ones.
        return (float.abs() >= 1e-130).then_some(number);
    }
    // The text of a whole number has no fraction, so it is read back as an integer. One that does not fit
    // into 64 bits was rounded already, by whoever read it as a float: down to -2^63 or up to 2^64.
    let text = format!("{float:.0}");
    let unsigned = text.parse::<u64>().map(Number::from).ok();
    unsigned.or_else(|| {
        text.parse::<i64>().ok().filter(|integer| *integer > i64::MIN).map(Number::from)
    })
}

/// Bytes of a map as `DynamoDB` counts them, an upper bound for numbers.
pub(crate) fn size(map: &Map<String, Value>) -> usize {
    3 + map.iter().map(|(name, value)| name.len() + value_size(value) + 1).sum::<usize>()
}

fn value_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        // A byte for two digits on either side of the point, one for the exponent, one for the sign.
        Value::Number(number) => number.to_string().len() / 2 + 4,
        Value::String(text) => text.len(),
        Value::Array(values) => 3 + values.iter().map(|value| value_size(value) + 1).sum::<usize>(),
        Value::Object(map) => size(map),
    }
}
