//! One value held against its field.

use base64::Engine as _;

use super::bounds::{INDEXED_STRING_MAX, ITEMS_MAX, STRING_MAX, TEXT_MAX, bounds_fault, string};
use super::id;
use super::json::{canonical, check_json};
use crate::error::Faults;
use crate::json::Json;
use crate::schema::{Field, FieldKind, Format, Item};
use crate::time::Time;
use crate::value::Value;

/// Checks that a value has the form of its field, whatever its size; null is [`Value::Null`].
pub(super) fn unbounded(
    field: &Field,
    json: &Json,
    path: &str,
    faults: &mut Faults,
) -> Option<Value> {
    match json {
        Json::Null => Some(Value::Null),
        _ => typed(field, json, path, faults),
    }
}

/// Checks one value against its field; null is [`Value::Null`].
pub fn value(field: &Field, json: &Json, path: &str, faults: &mut Faults) -> Option<Value> {
    let checked = unbounded(field, json, path, faults)?;
    match bounds_fault(field, &checked) {
        None => Some(checked),
        Some(message) => {
            faults.add(path, message);
            None
        }
    }
}

fn typed(field: &Field, json: &Json, path: &str, faults: &mut Faults) -> Option<Value> {
    let wrong = |faults: &mut Faults, wanted: &str| {
        faults.add(path, format!("expected {wanted}, got {}", json.kind()));
        None
    };
    match (&field.kind, json) {
        (FieldKind::String, Json::Str(text)) => {
            string(text, string_max(field), path, faults)?;
            form_fault(field, text).map_or_else(
                || Some(Value::from(text.as_str())),
                |message| {
                    faults.add(path, message);
                    None
                },
            )
        }
        (FieldKind::Text, Json::Str(text)) => {
            string(text, TEXT_MAX, path, faults)?;
            match form_fault(field, text) {
                None => Some(Value::from(text.as_str())),
                Some(message) => {
                    faults.add(path, message);
                    None
                }
            }
        }
        (FieldKind::String | FieldKind::Text, _) => wrong(faults, "a string"),
        (FieldKind::Int, _) => int(json, path, faults).map(Value::Int),
        (FieldKind::Float, _) => match double(json) {
            Some(x) => Some(Value::Float(x)),
            None => wrong(faults, "a finite number"),
        },
        (FieldKind::Bool, Json::Bool(b)) => Some(Value::Bool(*b)),
        (FieldKind::Bool, _) => wrong(faults, "true or false"),
        (FieldKind::Time, _) => match json.as_str().and_then(Time::parse) {
            Some(time) => Some(Value::Time(time)),
            None => wrong(faults, Time::FORM),
        },
        (FieldKind::Enum(values), _) => {
            match json.as_str().filter(|t| values.iter().any(|v| v == t)) {
                Some(text) => Some(Value::from(text)),
                None => {
                    faults.add(path, format!("expected one of {}", values.join(", ")));
                    None
                }
            }
        }
        (FieldKind::Ref { .. }, _) => id(json, path, faults).map(|id| Value::from(id.as_str())),
        (FieldKind::List(item), Json::Array(items)) => {
            list(field, *item, items, path, faults).map(|items| Value::List(items.into()))
        }
        (FieldKind::List(_), _) => wrong(faults, "a list"),
        (FieldKind::Json, _) => {
            let before = faults.len();
            check_json(json, 0, path, faults);
            (faults.len() == before).then(|| Value::Json(canonical(json).into()))
        }
        (FieldKind::Bytes, Json::Str(text)) => bytes(text, path, faults),
        (FieldKind::Bytes, _) => wrong(faults, "bytes as base64"),
    }
}

fn string_max(field: &Field) -> usize {
    if field.is_indexed() {
        INDEXED_STRING_MAX
    } else {
        STRING_MAX
    }
}

/// What pattern or format a string breaks.
fn form_fault(field: &Field, text: &str) -> Option<String> {
    if let Some(pattern) = &field.pattern
        && !pattern.is_match(text)
    {
        return Some(format!("does not match the pattern {}", pattern.as_str()));
    }
    match field.format? {
        Format::Email if !is_email(text) => {
            Some("expected an email address: one @ with something on both sides, no spaces, at most 254 bytes".to_owned())
        }
        Format::Url if !is_http_url(text) => Some("expected an absolute http or https URL".to_owned()),
        _ => None,
    }
}

fn is_email(text: &str) -> bool {
    let sides = text.split_once('@');
    sides.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        && text.len() <= 254
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_http_url(text: &str) -> bool {
    !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && url::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        && text.contains("://")
}

fn int(json: &Json, path: &str, faults: &mut Faults) -> Option<i64> {
    if let Json::Int(n) = json
        && let Ok(n) = i64::try_from(*n)
    {
        return Some(n);
    }
    let got = if matches!(json, Json::Int(_)) {
        "a number out of range"
    } else {
        json.kind()
    };
    faults.add(path, format!("expected a 64-bit signed integer, got {got}"));
    None
}

/// The finite double of a JSON number; -0.0 becomes 0.0.
pub(crate) fn double(json: &Json) -> Option<f64> {
    let x = match json {
        // Not rounded away silently: a double holds what a double holds, as with 0.1.
        #[expect(clippy::cast_precision_loss)]
        Json::Int(n) => *n as f64,
        Json::Float(x) => *x,
        Json::Huge(text) => text.parse().ok()?,
        _ => return None,
    };
    x.is_finite().then_some(x + 0.0)
}

fn list(
    field: &Field,
    item: Item,
    items: &[Json],
    path: &str,
    faults: &mut Faults,
) -> Option<Vec<Value>> {
    if field.max.is_none() && items.len() > ITEMS_MAX {
        faults.add(
            path,
            format!("has {} items, at most {ITEMS_MAX} fit", items.len()),
        );
        return None;
    }
    let checked = items.iter().enumerate().filter_map(|(n, json)| {
        let path = format!("{path}[{n}]");
        match (item, json) {
            (Item::Int, _) => int(json, &path, faults).map(Value::Int),
            (Item::String, Json::Str(text)) => {
                string(text, string_max(field), &path, faults).map(|()| Value::from(text.as_str()))
            }
            (Item::String, _) => {
                faults.add(path, format!("expected a string, got {}", json.kind()));
                None
            }
        }
    });
    let checked: Vec<Value> = checked.collect();
    (checked.len() == items.len()).then_some(checked)
}

fn bytes(text: &str, path: &str, faults: &mut Faults) -> Option<Value> {
    match base64::engine::general_purpose::STANDARD.decode(text) {
        Ok(bytes) if bytes.len() <= TEXT_MAX => Some(Value::Bytes(bytes.into())),
        Ok(bytes) => {
            faults.add(
                path,
                format!("has {} bytes, at most {TEXT_MAX} fit", bytes.len()),
            );
            None
        }
        Err(_) => {
            faults.add(path, "expected standard base64 with padding");
            None
        }
    }
}
