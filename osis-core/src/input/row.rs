//! Whole objects, as another store exported them.

use super::{id, value};
use crate::error::Faults;
use crate::json::Json;
use crate::object::Row;
use crate::schema::{Column, Type};
use crate::time::Time;
use crate::value::Value;

/// No object is changed so often; what is beyond cannot be told apart by clients whose numbers are
/// doubles, and must not overflow.
const REV_MAX: i128 = 1 << 53;

/// Checks a whole object as another store exported it: system fields and secrets included.
pub fn row(ty: &Type, json: &Json, path: &str, faults: &mut Faults) -> Option<Row> {
    let Json::Object(entries) = json else {
        faults.add(
            path,
            format!(
                "expected an object with fields of {}, got {}",
                ty.name,
                json.kind()
            ),
        );
        return None;
    };
    let before = faults.len();
    let mut values = vec![Value::Null; ty.fields.len()];
    for (name, json) in entries {
        let path = format!("{path}.{name}");
        match ty.column(name) {
            Some(Column::Field(position)) => {
                let checked = value(&ty.fields[position], json, &path, faults);
                checked
                    .into_iter()
                    .for_each(|value| values[position] = value);
            }
            Some(_) => {}
            None => faults.add(path, format!("{} has no field of this name", ty.name)),
        }
    }
    for (field, value) in ty.fields.iter().zip(&values) {
        if field.required && value.is_null() && faults.len() == before {
            faults.add(format!("{path}.{}", field.name), "is required");
        }
    }
    let id = id(
        json.get("id").unwrap_or(&Json::Null),
        &format!("{path}.id"),
        faults,
    );
    let rev = match json.get("rev") {
        Some(Json::Int(rev)) if (1..=REV_MAX).contains(rev) => i64::try_from(*rev).ok(),
        _ => None,
    };
    if rev.is_none() {
        faults.add(
            format!("{path}.rev"),
            "expected a revision: an integer from 1 to 2^53",
        );
    }
    let created_at = system_time(json, "created_at", path, faults);
    let updated_at = system_time(json, "updated_at", path, faults);
    if updated_at < created_at {
        faults.add(format!("{path}.updated_at"), "is before created_at");
    }
    if faults.len() > before {
        return None;
    }
    let values = values.into();
    Some(Row {
        id: id?,
        rev: rev?,
        created_at: created_at?,
        updated_at: updated_at?,
        values,
    })
}

fn system_time(json: &Json, name: &str, path: &str, faults: &mut Faults) -> Option<Time> {
    let time = json.get(name).and_then(Json::as_str).and_then(Time::parse);
    if time.is_none() {
        faults.add(format!("{path}.{name}"), format!("expected {}", Time::FORM));
    }
    time
}
