//! JSON Schemas of results.

use osis_core::Schema;
use osis_core::schema::Type;
use serde_json::{Map, Value, json};

use super::types::{id, nullable, object_ref, title};
use crate::methods::{Action, Verb};

/// The schema of a method's result.
pub(super) fn schema(schema: &Schema, action: Action) -> Value {
    match action {
        Action::Of(type_id, verb) => of_type(&schema.types[type_id], verb),
        Action::Transaction => record(
            &[
                ("seq", count()),
                ("results", list(json!({ "type": "object" }))),
            ],
            &[],
        ),
        Action::Seed => record(
            &[
                ("created", count()),
                ("updated", count()),
                ("unchanged", count()),
            ],
            &[],
        ),
        Action::Changes => record(
            &[
                ("changes", list(change(schema))),
                ("next", count()),
                ("oldest", count()),
            ],
            &[],
        ),
        Action::Info => info(),
        Action::Discover => json!({ "type": "object", "description": "An OpenRPC document." }),
    }
}

fn of_type(ty: &Type, verb: Verb) -> Value {
    let object = || object_ref(ty);
    let described = match verb {
        Verb::New | Verb::Get | Verb::Set => return object(),
        Verb::Delete => {
            let counts = json!({ "type": "object", "additionalProperties": count() });
            record(&[("deleted", counts)], &[])
        }
        Verb::List => {
            let items = list(object());
            let total = [("total", count())];
            record(&[("items", items), ("next_cursor", text_or_null())], &total)
        }
        Verb::Find => {
            let score = json!({ "type": "number" });
            let text = || json!({ "type": "string" });
            let texts = json!({ "type": "object", "additionalProperties": text() });
            let hit = record(
                &[("object", object()), ("score", score)],
                &[("highlight", texts)],
            );
            let counted = record(&[("value", json!({})), ("count", count())], &[]);
            let facets = json!({ "type": "object", "additionalProperties": list(counted) });
            let words = json!({ "type": "object", "additionalProperties": list(text()) });
            let hits = list(titled(ty, "Hit", hit));
            let always = [
                ("hits", hits),
                ("total", count()),
                ("next_cursor", text_or_null()),
            ];
            record(&always, &[("facets", facets), ("corrected", words)])
        }
        Verb::Count => record(&[("count", count())], &[]),
        Verb::Aggregate => {
            let rows = list(json!({ "type": "object" }));
            let source = json!({ "type": "string", "enum": ["raw", "rollup"] });
            record(&[("rows", rows), ("source", source)], &[])
        }
        Verb::Ingest => record(&[("accepted", count()), ("duplicates", count())], &[]),
    };
    titled(ty, suffix(verb), described)
}

/// What the result of a method is called, behind the name of its type: never like the method
/// itself, after which generators name a type too.
fn suffix(verb: Verb) -> &'static str {
    match verb {
        Verb::New | Verb::Get | Verb::Set => "",
        Verb::Delete => "Deleted",
        Verb::List => "Page",
        Verb::Find => "Hits",
        Verb::Count => "Total",
        Verb::Aggregate => "Figures",
        Verb::Ingest => "Ingested",
    }
}

fn change(schema: &Schema) -> Value {
    let types: Vec<&str> = schema.types.iter().map(|ty| ty.name.as_str()).collect();
    let required = [
        ("seq", count()),
        ("type", json!({ "type": "string", "enum": types })),
        ("id", id()),
        ("rev", count()),
        (
            "op",
            json!({ "type": "string", "enum": ["new", "set", "delete"] }),
        ),
        ("at", json!({ "type": "string", "format": "date-time" })),
    ];
    record(&required, &[("object", json!({ "type": "object" }))])
}

fn info() -> Value {
    let text = || json!({ "type": "string" });
    let in_force = record(
        &[("name", text()), ("version", count()), ("hash", text())],
        &[],
    );
    let problem = record(
        &[("path", text()), ("message", text())],
        &[("line", count())],
    );
    let kinds = json!({ "type": "string", "enum": ["file", "sqlite", "postgres", "memory"] });
    let counts = json!({ "type": "object", "additionalProperties": count() });
    let told = [
        ("version", text()),
        ("store", kinds),
        ("schema", in_force),
        ("counts", counts),
        ("seq", count()),
        ("replica", text()),
        ("uptime_s", count()),
        ("problems", list(problem)),
    ];
    record(&told, &[])
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn text_or_null() -> Value {
    nullable(&json!({ "type": "string" }))
}

/// Gives a name to what generators make a type of.
fn titled(ty: &Type, suffix: &str, mut described: Value) -> Value {
    described["title"] = json!(format!("{}{suffix}", title(&ty.name)));
    described
}

fn list(items: Value) -> Value {
    let entries = [
        ("type".to_owned(), json!("array")),
        ("items".to_owned(), items),
    ];
    Value::Object(entries.into_iter().collect())
}

fn record(required: &[(&str, Value)], optional: &[(&str, Value)]) -> Value {
    let properties = required.iter().chain(optional);
    let properties: Map<String, Value> = properties
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let names: Vec<&str> = required.iter().map(|(name, _)| *name).collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    })
}
