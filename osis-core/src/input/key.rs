//! Which object a caller means: ids and keys.

use super::value::value;
use crate::error::Faults;
use crate::json::Json;
use crate::object::Id;
use crate::schema::{KeyId, Type};
use crate::value::Value;

/// Which object is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The one with this id.
    Id(Id),
    /// The one with these values of a key, as the caller gave them (not folded).
    Key {
        /// Which key.
        key: KeyId,
        /// Its values in the order of its fields, none of them null.
        values: Vec<Value>,
    },
}

/// Checks an id.
pub fn id(json: &Json, path: &str, faults: &mut Faults) -> Option<Id> {
    let found = json.as_str().and_then(Id::parse);
    if found.is_none() {
        faults.add(path, format!("expected {}", Id::FORM));
    }
    found
}

/// Checks a key: an object that names all fields of one key, or the id.
pub fn key(ty: &Type, json: &Json, path: &str, faults: &mut Faults) -> Option<Target> {
    let Json::Object(entries) = json else {
        faults.add(
            path,
            format!(
                "expected an object that names a key of {}, got {}",
                ty.name,
                json.kind()
            ),
        );
        return None;
    };
    if let [(name, value)] = entries.as_slice()
        && name == "id"
    {
        return id(value, &format!("{path}.id"), faults).map(Target::Id);
    }
    let found = ty.keys.iter().position(|key| {
        key.fields.len() == entries.len()
            && key
                .fields
                .iter()
                .all(|&f| json.get(&ty.fields[f].name).is_some())
    });
    let Some(key) = found.filter(|&key| !ty.key_is_secret(key)) else {
        faults.add(
            path,
            format!(
                "expected all fields of one key of {}: {}",
                ty.name,
                key_names(ty)
            ),
        );
        return None;
    };
    let mut values = Vec::new();
    for &position in &ty.keys[key].fields {
        let field = &ty.fields[position];
        let path = format!("{path}.{}", field.name);
        match json.get(&field.name) {
            Some(Json::Null) | None => faults.add(path, "is part of a key and cannot be null"),
            Some(json) => values.extend(value(field, json, &path, faults)),
        }
    }
    (values.len() == entries.len()).then_some(Target::Key { key, values })
}

fn key_names(ty: &Type) -> String {
    let visible = (0..ty.keys.len()).filter(|&key| !ty.key_is_secret(key));
    let keys = visible.map(|key| format!("{{{}}}", ty.key_fields(key).join(", ")));
    std::iter::once("{id}".to_owned())
        .chain(keys)
        .collect::<Vec<_>>()
        .join(" or ")
}
