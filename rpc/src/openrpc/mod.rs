//! The description of the service: an OpenRPC document of every method, made once at start.
//!
//! It comes from the same tables that bind parameters. Parameters are described by name, required
//! ones first, as generators of clients want them; their positions stand in the description.
//!
//! Source: <https://spec.open-rpc.org>, version 1.2.6, which newer readers accept too.

mod errors;
mod inputs;
mod results;
mod types;

use std::sync::Arc;

use osis_core::Schema;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::error::TABLE;
use crate::methods::{Action, Method, Methods, Verb};
use crate::signature::Param;

const VERSION: &str = "1.2.6";

/// Describes the methods of a schema.
pub(crate) fn document(schema: &Schema, methods: &Methods) -> Arc<RawValue> {
    // `rpc.` is reserved for extensions of the protocol itself, and generators make names of their
    // languages from the methods' names, which a dot breaks: discovery is not part of the service.
    let described: Vec<Value> = methods
        .iter()
        .filter(|method| method.action != Action::Discover)
        .map(|method| describe(schema, method))
        .collect();
    let document = json!({
        "openrpc": VERSION,
        "info": {
            "title": format!("OSIS {}", schema.name),
            "description": format!(
                "A typed object store. Schema {}, version {}, hash {}.",
                schema.name, schema.version, schema.hash
            ),
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "methods": described,
        "components": { "schemas": types::schemas(schema), "errors": errors() },
    });
    let text = serde_json::value::to_raw_value(&document);
    // A document of maps, lists and texts is always JSON.
    Arc::from(text.unwrap_or_else(|_| RawValue::NULL.to_owned()))
}

fn describe(schema: &Schema, method: &Method) -> Value {
    let Method { name, action } = method;
    let params = action.params();
    let (required, optional): (Vec<&Param>, Vec<&Param>) =
        params.iter().partition(|param| param.required);
    let descriptors = required.into_iter().chain(optional).map(|param| {
        json!({
            "name": param.name,
            "description": param.doc,
            "required": param.required,
            "schema": inputs::schema(schema, *action, param.takes),
        })
    });
    let errors = errors::of(*action).iter();
    json!({
        "name": name,
        "summary": summary(schema, *action),
        "description": positions(params),
        "paramStructure": "by-name",
        "params": descriptors.collect::<Vec<Value>>(),
        "result": { "name": "result", "schema": results::schema(schema, *action) },
        "errors": errors
            .map(|kind| json!({ "$ref": format!("#/components/errors/{kind}") }))
            .collect::<Vec<Value>>(),
    })
}

fn summary(schema: &Schema, action: Action) -> String {
    let (type_id, verb) = match action {
        Action::Of(type_id, verb) => (type_id, verb),
        Action::Transaction => return "Carries out several writes, all or none.".to_owned(),
        Action::Seed => return "Sees to it that objects are there.".to_owned(),
        Action::Changes => return "Tells what has changed since a position.".to_owned(),
        Action::Info => return "Tells about the store.".to_owned(),
        Action::Discover => return "Describes all methods.".to_owned(),
    };
    let ty = &schema.types[type_id];
    let (one, many) = (&ty.name, &ty.plural);
    let what = match verb {
        Verb::New => format!("Makes a new {one}."),
        Verb::Get => format!("Answers one of the {many}."),
        Verb::Set => format!("Changes one of the {many}."),
        Verb::Delete => format!("Deletes one of the {many}, and what goes with it."),
        Verb::List => format!("Lists {many}, page by page."),
        Verb::Find => format!("Searches the text of {many}."),
        Verb::Count => format!("Counts {many}."),
        Verb::Aggregate => format!("Computes figures of groups of {many}."),
        Verb::Ingest => format!("Appends many {many}; those that are there already count as such."),
    };
    match &ty.doc {
        Some(doc) => format!("{what} {doc}"),
        None => what,
    }
}

/// The order of the positions, in words.
fn positions(params: &[Param]) -> String {
    let mut words: Vec<String> = Vec::new();
    for param in params {
        match words.last_mut() {
            Some(last) if param.shares_position() => {
                last.push_str(" or ");
                last.push_str(param.name);
            }
            _ => words.push(param.name.to_owned()),
        }
    }
    match words.is_empty() {
        true => "Takes no parameters.".to_owned(),
        false => format!("By position: {}.", words.join(", ")),
    }
}

fn errors() -> Value {
    let described = TABLE.iter().map(|(code, kind, message)| {
        let error = json!({ "code": code, "message": message, "data": { "kind": kind } });
        ((*kind).to_owned(), error)
    });
    Value::Object(described.collect::<Map<String, Value>>())
}
