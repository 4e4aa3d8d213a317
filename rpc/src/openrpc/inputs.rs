//! JSON Schemas of parameters.

use osis_core::Schema;
use serde_json::{Map, Value, json};

use super::types::{changes_ref, data_ref, id, title};
use crate::methods::Action;
use crate::signature::{ITEMS_MAX, Takes};

/// The schema of what a parameter of a method takes.
pub(super) fn schema(schema: &Schema, action: Action, takes: Takes) -> Value {
    let ty = match action {
        Action::Of(type_id, _) => Some(&schema.types[type_id]),
        _ => None,
    };
    let names = || json!({ "type": "array", "items": { "type": "string" } });
    match takes {
        Takes::Id => id(),
        Takes::Key | Takes::Filter => json!({ "type": "object" }),
        Takes::Data => ty.map_or_else(|| json!({ "type": "object" }), data_ref),
        Takes::Changes => ty.map_or_else(|| json!({ "type": "object" }), changes_ref),
        Takes::Items => json!({
            // Generators make a type of it, and need a name that is its own.
            "title": ty.map_or_else(|| "Items".to_owned(), |ty| format!("{}Items", title(&ty.name))),
            "type": "array",
            "items": ty.map_or_else(|| json!({ "type": "object" }), data_ref),
            "maxItems": ITEMS_MAX,
        }),
        Takes::Sort => json!({ "anyOf": [{ "type": "string" }, names()] }),
        Takes::Number { min, max, default } => number(min, max, default),
        Takes::Text => json!({ "type": "string" }),
        Takes::Expand | Takes::Fields | Takes::Metrics => names(),
        Takes::Types => {
            let types: Vec<&str> = schema.types.iter().map(|ty| ty.name.as_str()).collect();
            json!({ "type": "array", "items": { "type": "string", "enum": types }, "minItems": 1 })
        }
        Takes::Flag(default) => json!({ "type": "boolean", "default": default }),
        Takes::Choice(words) => json!({ "type": "string", "enum": words, "default": words[0] }),
        Takes::Bucket => json!({
            "type": "object",
            "properties": {
                "field": { "type": "string" },
                "unit": { "type": "string", "enum": ["hour", "day", "week", "month"] },
            },
            "required": ["field", "unit"],
            "additionalProperties": false,
        }),
        Takes::Ops => json!({
            "type": "array",
            "items": {
                "type": "object",
                "properties": { "method": { "type": "string" }, "params": { "type": "object" } },
                "required": ["method", "params"],
                "additionalProperties": false,
            },
            "minItems": 1,
            "maxItems": ITEMS_MAX,
        }),
        Takes::Objects => {
            let lists = schema.types.iter().filter(|ty| ty.writable());
            let lists = lists.map(|ty| {
                // References may be keys of their targets here, and an update names what it likes.
                let list = json!({ "type": "array", "items": { "type": "object" } });
                (ty.name.clone(), list)
            });
            json!({
                "type": "object",
                "properties": lists.collect::<Map<String, Value>>(),
                "additionalProperties": false,
            })
        }
    }
}

fn number(min: u64, max: Option<u64>, default: Option<u64>) -> Value {
    let mut described = json!({ "type": "integer", "minimum": min });
    if let Some(max) = max {
        described["maximum"] = json!(max);
    }
    if let Some(default) = default {
        described["default"] = json!(default);
    }
    described
}
