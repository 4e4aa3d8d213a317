//! How long and how large values may be.

use crate::error::Faults;
use crate::schema::Field;
use crate::value::Value;

/// Longest string in bytes, where no key or index holds it.
pub const STRING_MAX: usize = 4096;
/// Longest string in bytes in a key or an index.
pub const INDEXED_STRING_MAX: usize = 1024;
/// Longest text, and most bytes, in bytes.
pub const TEXT_MAX: usize = 1 << 20;
/// Most items of a list whose field has no `max`.
pub const ITEMS_MAX: usize = 1000;
/// Deepest nesting of a `json` value.
pub const JSON_DEPTH_MAX: usize = 64;

/// What bound of its field a value breaks, in words.
///
/// Also asked of values that a merge has made.
pub fn bounds_fault(field: &Field, value: &Value) -> Option<String> {
    let (measured, what) = match value {
        Value::Str(text) => (
            Value::Int(i64::try_from(text.chars().count()).ok()?),
            " characters",
        ),
        Value::List(items) => (Value::Int(i64::try_from(items.len()).ok()?), " items"),
        Value::Int(_) | Value::Float(_) => (value.clone(), ""),
        _ => return None,
    };
    let words = |bound: &Value| match bound {
        Value::Float(x) => x.to_string(),
        Value::Int(n) => n.to_string(),
        _ => String::new(),
    };
    if let Some(min) = &field.min
        && measured.order(min).is_lt()
    {
        return Some(format!(
            "is {}{what}, at least {} expected",
            words(&measured),
            words(min)
        ));
    }
    if let Some(max) = &field.max
        && measured.order(max).is_gt()
    {
        return Some(format!(
            "is {}{what}, at most {} expected",
            words(&measured),
            words(max)
        ));
    }
    if field.max.is_none() && value.items().len() > ITEMS_MAX {
        return Some(format!(
            "has {} items, at most {ITEMS_MAX} fit",
            value.items().len()
        ));
    }
    None
}

/// Notes what is wrong with a string of any kind: its length, or a character that no string holds.
pub(super) fn string(text: &str, bytes_max: usize, path: &str, faults: &mut Faults) -> Option<()> {
    if text.contains('\0') {
        faults.add(path, "holds U+0000 or an unpaired surrogate");
    } else if text.len() > bytes_max {
        faults.add(
            path,
            format!("has {} bytes of UTF-8, at most {bytes_max} fit", text.len()),
        );
    } else {
        return Some(());
    }
    None
}
