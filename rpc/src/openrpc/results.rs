//! JSON Schemas of results.

use osis_core::Schema;
use serde_json::{Map, Value, json};

use super::types::{id, object_ref};
use crate::methods::{Action, Verb};

/// The schema of a method's result.
pub(super) fn schema(schema: &Schema, action: Action) -> Value {
    match action {
        Action::Of(type_id, verb) => {
            let object = || object_ref(&schema.types[type_id]);
            of_type(verb, &object)
        }
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

fn of_type(verb: Verb, object: &dyn Fn() -> Value) -> Value {
    match verb {
        Verb::New | Verb::Get | Verb::Set => object(),
        Verb::Delete => {
            let counts = json!({ "type": "object", "additionalProperties": count() });
            record(&[("deleted", counts)], &[])
        }
        Verb::List => record(
            &[("items", list(object())), ("next_cursor", text_or_null())],
            &[("total", count())],
        ),
        Verb::Find => {
            let score = json!({ "type": "number" });
            let hit = record(&[("object", object()), ("score", score)], &[]);
            record(
                &[
                    ("hits", list(hit)),
                    ("total", count()),
                    ("next_cursor", text_or_null()),
                ],
                &[],
            )
        }
        Verb::Count => record(&[("count", count())], &[]),
        Verb::Aggregate => {
            let source = json!({ "type": "string", "enum": ["raw", "rollup"] });
            record(
                &[
                    ("rows", list(json!({ "type": "object" }))),
                    ("source", source),
                ],
                &[],
            )
        }
        Verb::Ingest => record(&[("accepted", count()), ("duplicates", count())], &[]),
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
    json!({ "type": ["string", "null"] })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
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
