//! JSON Schemas of types: an object as it is answered, the data of a new one, a change of one.

use osis_core::output::plain_json;
use osis_core::schema::{Field, FieldKind, Format, Item, Schema, Type};
use osis_core::value::Value as Stored;
use serde_json::{Map, Value, json};

/// What an id looks like.
const ID: &str = "^[a-z0-9-]{4,64}$";

/// The three schemas of each type.
pub(super) fn schemas(schema: &Schema) -> Value {
    let mut all = Map::new();
    for ty in &schema.types {
        // Names of types hold no `-`, so these cannot clash.
        all.insert(ty.name.clone(), object(schema, ty));
        if ty.writable() {
            all.insert(format!("{}-data", ty.name), data(schema, ty));
            all.insert(format!("{}-changes", ty.name), changes(schema, ty));
        }
    }
    Value::Object(all)
}

/// A reference to an object's schema.
pub(super) fn object_ref(ty: &Type) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", ty.name) })
}

/// A reference to the schema of a new object's data.
pub(super) fn data_ref(ty: &Type) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}-data", ty.name) })
}

/// A reference to the schema of a change.
pub(super) fn changes_ref(ty: &Type) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}-changes", ty.name) })
}

pub(super) fn id() -> Value {
    json!({ "type": "string", "pattern": ID })
}

/// An object as it is answered. Only the id is in every answer, since `fields` may leave out the
/// rest.
fn object(schema: &Schema, ty: &Type) -> Value {
    let time = || json!({ "type": "string", "format": "date-time" });
    let mut properties = Map::new();
    properties.insert("id".to_owned(), id());
    properties.insert("rev".to_owned(), json!({ "type": "integer", "minimum": 1 }));
    properties.insert("created_at".to_owned(), time());
    properties.insert("updated_at".to_owned(), time());
    for field in ty.fields.iter().filter(|field| !field.secret) {
        properties.insert(field.name.clone(), value(schema, field));
    }
    let refs = ty
        .fields
        .iter()
        .filter(|field| matches!(field.kind, FieldKind::Ref { .. }));
    let names = refs
        .map(|field| &field.name)
        .chain(ty.relations.iter().map(|r| &r.name));
    let names: Vec<&str> = names.map(String::as_str).collect();
    if !names.is_empty() {
        let words = format!("What was asked for with expand, of {}.", names.join(", "));
        properties.insert(
            "expand".to_owned(),
            json!({ "type": "object", "description": words }),
        );
    }
    entity(ty, "", properties, &["id"])
}

/// The data of a new object.
fn data(schema: &Schema, ty: &Type) -> Value {
    let mut properties = Map::new();
    properties.insert("id".to_owned(), id());
    for field in &ty.fields {
        let mut described = value(schema, field);
        if let Some(default) = &field.default {
            described["default"] = plain_json(default);
        }
        properties.insert(field.name.clone(), secret(field, described));
    }
    let required = ty
        .fields
        .iter()
        .filter(|field| field.required && field.default.is_none());
    let required: Vec<&str> = required.map(|field| field.name.as_str()).collect();
    entity(ty, "Data", properties, &required)
}

/// The fields that a `_set` names.
fn changes(schema: &Schema, ty: &Type) -> Value {
    let described = ty
        .fields
        .iter()
        .map(|field| (field.name.clone(), secret(field, value(schema, field))));
    entity(ty, "Changes", described.collect(), &[])
}

fn entity(ty: &Type, suffix: &str, properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut entity = json!({
        "title": format!("{}{suffix}", title(&ty.name)),
        "type": "object",
        "additionalProperties": false,
    });
    entity["properties"] = Value::Object(properties);
    // An empty list is not valid in the older drafts.
    if !required.is_empty() {
        entity["required"] = json!(required);
    }
    if let Some(doc) = &ty.doc {
        entity["description"] = json!(doc);
    }
    entity
}

fn secret(field: &Field, mut described: Value) -> Value {
    if field.secret {
        described["writeOnly"] = json!(true);
    }
    described
}

/// `signing_key` as `SigningKey`.
pub(super) fn title(name: &str) -> String {
    let parts = name.split('_').map(|part| {
        let mut chars = part.chars();
        chars
            .next()
            .map(|first| first.to_uppercase().chain(chars).collect::<String>())
    });
    parts.flatten().collect()
}

/// One value of a field; null too where it may be unset.
fn value(schema: &Schema, field: &Field) -> Value {
    let mut described = match &field.kind {
        FieldKind::String | FieldKind::Text => json!({ "type": "string" }),
        FieldKind::Int => json!({ "type": "integer" }),
        FieldKind::Float => json!({ "type": "number" }),
        FieldKind::Bool => json!({ "type": "boolean" }),
        FieldKind::Time => json!({ "type": "string", "format": "date-time" }),
        FieldKind::Enum(values) => json!({ "type": "string", "enum": values }),
        FieldKind::Ref { to, .. } => {
            let words = format!("The id of one of the {}.", schema.types[*to].plural);
            json!({ "type": "string", "pattern": ID, "description": words })
        }
        FieldKind::List(Item::String) => json!({ "type": "array", "items": { "type": "string" } }),
        FieldKind::List(Item::Int) => json!({ "type": "array", "items": { "type": "integer" } }),
        // Anything, null included.
        FieldKind::Json => json!({}),
        FieldKind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
    };
    bounds(field, &mut described);
    if !field.required && field.kind != FieldKind::Json {
        described = nullable(&described);
    }
    if let Some(doc) = &field.doc {
        described["description"] = json!(doc);
    }
    described
}

fn bounds(field: &Field, described: &mut Value) {
    let (least, most) = match field.kind {
        FieldKind::String | FieldKind::Text => ("minLength", "maxLength"),
        FieldKind::List(_) => ("minItems", "maxItems"),
        _ => ("minimum", "maximum"),
    };
    let bounds = [(least, &field.min), (most, &field.max)];
    for (name, bound) in bounds {
        if let Some(bound @ (Stored::Int(_) | Stored::Float(_))) = bound {
            described[name] = plain_json(bound);
        }
    }
    if let Some(pattern) = field
        .pattern
        .as_ref()
        .filter(|pattern| is_common(pattern.as_str()))
    {
        described["pattern"] = json!(pattern.as_str());
    }
    match field.format {
        Some(Format::Email) => described["format"] = json!("email"),
        Some(Format::Url) => described["format"] = json!("uri"),
        None => {}
    }
}

/// Whether a pattern means the same in JSON Schema's dialect as in the store's: no flags and
/// groups of special kinds, no set operations, and no escapes but of punctuation.
fn is_common(pattern: &str) -> bool {
    let mut escaped = false;
    for c in pattern.chars() {
        let is_itself = c.is_ascii_punctuation() && !matches!(c, '<' | '>');
        if escaped && !is_itself {
            return false;
        }
        escaped = c == '\\' && !escaped;
    }
    !["(?", "[[", "&&", "--", "~~"]
        .iter()
        .any(|special| pattern.contains(special))
}

/// The same, or null.
pub(super) fn nullable(described: &Value) -> Value {
    json!({ "oneOf": [described, { "type": "null" }] })
}
