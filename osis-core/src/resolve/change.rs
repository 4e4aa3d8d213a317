//! Rows made from drafts: defaults, patches, replacements, merges.

use crate::batch::SetMode;
use crate::error::Faults;
use crate::input::{self, Draft};
use crate::schema::{Field, Merge, Type};
use crate::value::Value;

/// The values of a new object: what the draft names, defaults for what it does not.
///
/// Notes a fault for each required field that stays unset, and where the id of a log object is not
/// of its time: drafts are also made by engines that take objects from people's files.
pub(super) fn made(ty: &Type, draft: &Draft, path: &str, faults: &mut Faults) -> Vec<Value> {
    let pairs = ty.fields.iter().zip(&draft.values);
    let values: Vec<Value> = pairs
        .map(|(field, given)| given.clone().unwrap_or_else(|| default(field)))
        .collect();
    require(ty, &values, path, faults);
    if let (Some(log), Some(id)) = (ty.log(), &draft.id)
        && let Some(time) = values[log.time].as_time()
        && let Some(message) = input::log_id_fault(ty, log, id, time)
    {
        faults.add(format!("{path}.id"), message);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Id;
    use crate::schema::{Source, load};
    use crate::time::Time;

    const VISITS: &str = "
        name = 's'
        version = 1
        [types.visit]
        plural = 'visits'
        class = 'log'
        time = 'at'
        [types.visit.fields]
        at = { type = 'time', required = true, default = '2026-11-21T07:00:00Z' }
    ";

    /// What is wrong with a visit of an id and a time that is there by default.
    fn faults(id: Id) -> Vec<(String, String)> {
        let schema = load(&[Source::new("s.toml", VISITS)]).unwrap();
        let draft = Draft {
            id: Some(id),
            values: vec![None],
            links: Vec::new(),
        };
        let mut faults = Faults::default();
        made(&schema.types[0], &draft, "items[3]", &mut faults);
        match faults.into_error().kind() {
            crate::error::ErrorKind::Invalid(faults) => faults
                .iter()
                .map(|fault| (fault.path.clone(), fault.message.clone()))
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_id_of_a_log_object_is_of_its_time_however_the_draft_was_made() {
        let of = |time: &str| Id::generate(Time::parse(time).unwrap());
        assert_eq!(faults(of("2026-11-22T07:00:00.000Z")), []);
        let message = "expected a UUIDv7 whose own time is within a day of at".to_owned();
        let told = [("items[3].id".to_owned(), message)];
        assert_eq!(faults(of("2026-11-22T07:00:00.001Z")), told);
        assert_eq!(faults(Id::trusted("visit-1")), told);
    }
}
