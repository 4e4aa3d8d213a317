//! Rows made from drafts: defaults, patches, replacements, merges.

use crate::batch::SetMode;
use crate::error::Faults;
use crate::input::{self, Draft};
use crate::schema::{Field, Merge, Type};
use crate::value::Value;

/// The values of a new object: what the draft names, defaults for what it does not.
///
/// Notes a fault for each required field that stays unset.
pub(super) fn made(ty: &Type, draft: &Draft, path: &str, faults: &mut Faults) -> Vec<Value> {
    let pairs = ty.fields.iter().zip(&draft.values);
    let values: Vec<Value> = pairs
        .map(|(field, given)| given.clone().unwrap_or_else(|| default(field)))
        .collect();
    require(ty, &values, path, faults);
    values
}

fn default(field: &Field) -> Value {
    field.default.clone().unwrap_or(Value::Null)
}

fn require(ty: &Type, values: &[Value], path: &str, faults: &mut Faults) {
    for (field, value) in ty.fields.iter().zip(values) {
        if field.required && value.is_null() {
            faults.add(format!("{path}.{}", field.name), "is required");
        }
    }
}

/// The values of an object after a set.
///
/// Notes a fault where an immutable field would change, where a required one would be unset, and
/// where a merge leaves a field's bounds.
pub(super) fn changed(
    ty: &Type,
    current: &[Value],
    draft: &Draft,
    mode: SetMode,
    path: &str,
    faults: &mut Faults,
) -> Vec<Value> {
    let mut values = Vec::with_capacity(current.len());
    for ((field, given), current) in ty.fields.iter().zip(&draft.values).zip(current) {
        let path = format!("{path}.{}", field.name);
        let value = match (mode, given) {
            (SetMode::Replace, None) if field.immutable => current.clone(),
            (SetMode::Replace, None) => default(field),
            (_, None) => current.clone(),
            (SetMode::Merge, Some(given)) => match merged(field, current, given) {
                Ok(value) => value,
                Err(message) => {
                    faults.add(path.as_str(), message);
                    continue;
                }
            },
            (_, Some(given)) => given.clone(),
        };
        if field.immutable && value != *current {
            faults.add(path.as_str(), "cannot be changed");
        } else if field.required && value.is_null() {
            faults.add(path.as_str(), "is required and cannot be null");
        }
        values.push(value);
    }
    values
}

/// A field's value after its merge rule; a field without one is patched.
fn merged(field: &Field, current: &Value, given: &Value) -> Result<Value, String> {
    let Some(rule) = field.merge else {
        return Ok(given.clone());
    };
    if given.is_null() {
        return Ok(current.clone());
    }
    let value = match rule {
        // Unset counts as nothing: zero, no bound, no items.
        _ if current.is_null() && rule != Merge::Union => given.clone(),
        Merge::Keep => current.clone(),
        Merge::Max if given.order(current).is_gt() => given.clone(),
        Merge::Min if given.order(current).is_lt() => given.clone(),
        Merge::Max | Merge::Min => current.clone(),
        Merge::Add => added(current, given)?,
        Merge::Union => {
            let mut items = current.items().to_vec();
            for item in given.items() {
                if !items.contains(item) {
                    items.push(item.clone());
                }
            }
            Value::List(items.into())
        }
    };
    match input::bounds_fault(field, &value) {
        None => Ok(value),
        Some(fault) => Err(format!("{fault} after merging")),
    }
}

fn added(current: &Value, given: &Value) -> Result<Value, String> {
    match (current, given) {
        (Value::Int(a), Value::Int(b)) => a
            .checked_add(*b)
            .map(Value::Int)
            .ok_or_else(|| "leaves the range of 64-bit integers after merging".to_owned()),
        (Value::Float(a), Value::Float(b)) if (a + b).is_finite() => Ok(Value::Float(a + b + 0.0)),
        _ => Err("leaves the range of finite numbers after merging".to_owned()),
    }
}
