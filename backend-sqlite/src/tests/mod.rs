//! Tests of the engine that need its inside: what every engine must do stands in the conformance
//! suite of the `tests` crate.

mod commits;
mod filters;
mod layout;
mod limits;
mod opening;
mod plans;
mod schemas;
mod searches;

use std::sync::Arc;

use osis_core::backend::{Backend, Scan, Scope};
use osis_core::batch::{Batch, Commit, Op, SetMode};
use osis_core::error::{Faults, Result};
use osis_core::input::{Purpose, Target, draft};
use osis_core::json::Json;
use osis_core::object::{Id, Row};
use osis_core::query::{Filter, Sort};
use osis_core::resolve::{RowChange, Transition};
use osis_core::schema::{Schema, Source, TypeId, load};
use osis_core::time::Time;
use osis_core::value::Value;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::catalog::Catalog;
use crate::{SqliteBackend, SqliteConfig, ddl, effects};

/// A schema with every kind of field, most of them optional.
const PROBE: &str = r#"
name = "probe"
version = 1

[types.thing]
plural = "things"
index = [["word", "-number"], ["-at"]]

[types.thing.fields]
word    = { type = "string", required = true, index = true, search = 4 }
maybe   = { type = "string", index = true }
folded  = { type = "string", unique = "fold" }
text    = { type = "text", search = 1 }
number  = { type = "int", index = true }
count   = { type = "int", required = true }
ratio   = { type = "float" }
flag    = { type = "bool" }
at      = { type = "time" }
state   = { type = "enum", values = ["a", "ab", "b"] }
parent  = { type = "ref", to = "thing", on_delete = "cascade" }
words   = { type = "list", of = "string", search = 2 }
numbers = { type = "list", of = "int" }
tags    = { type = "list", of = "string", index = true }
marks   = { type = "list", of = "int", index = true }
extra   = { type = "json" }
raw     = { type = "bytes" }
hidden  = { type = "string", secret = true }

[types.note]
plural = "notes"

[types.note.fields]
thing = { type = "ref", to = "thing" }
rank  = { type = "string", search = 3 }
"#;

const THING: TypeId = 0;

fn schema(text: &str) -> Schema {
    load(&[Source::new("test.toml", text)]).unwrap()
}

/// A store's inside over a database in memory.
struct Inside {
    connection: Connection,
    catalog: Catalog,
    seq: u64,
}

impl Inside {
    fn new(text: &str) -> Self {
        let schema = schema(text);
        let connection = Connection::open_in_memory().unwrap();
        rusqlite::vtab::array::load_module(&connection).unwrap();
        for statement in ddl::create_system()
            .iter()
            .chain(&ddl::create_types(&schema))
        {
            connection.execute_batch(statement).unwrap();
        }
        crate::postings::attach(&connection, &schema).unwrap();
        let hash = schema.hash.clone();
        let config = SqliteConfig::new("memory");
        let catalog = Catalog::new(config, "/memory".into(), schema, hash, 0);
        Self {
            connection,
            catalog,
            seq: 0,
        }
    }

    fn write(&mut self, change: Transition) {
        self.seq += 1;
        let change = RowChange {
            type_id: THING,
            at: Time::MIN,
            change,
        };
        effects::write(&self.connection, &self.catalog, &[change], self.seq).unwrap();
    }
}

/// A row of type `thing` with a number as its id, and values by the names of their fields.
fn thing(schema: &Schema, n: usize, values: &[(&str, Value)]) -> Row {
    let ty = &schema.types[THING];
    let mut row = Row {
        id: Id::parse(&format!("id-{n:04}")).unwrap(),
        rev: 1,
        created_at: Time::MIN,
        updated_at: Time::MIN,
        values: vec![Value::Null; ty.fields.len()].into(),
    };
    row.values[ty.field("word").unwrap()] = Value::from("word");
    row.values[ty.field("count").unwrap()] = Value::Int(0);
    for (name, value) in values {
        row.values[ty.field(name).unwrap()] = value.clone();
    }
    row
}

/// A store on disk in a directory of its own.
struct Disk {
    directory: TempDir,
}

impl Disk {
    fn new() -> Self {
        Self {
            directory: TempDir::new().unwrap(),
        }
    }

    fn config(&self) -> SqliteConfig {
        SqliteConfig::new(self.directory.path().join("osis.db"))
    }

    fn open(&self, text: &str) -> SqliteBackend {
        SqliteBackend::open(self.config(), Some(schema(text))).unwrap()
    }

    /// A connection of "any SQLite tool".
    fn tool(&self) -> Connection {
        Connection::open(self.config().path).unwrap()
    }
}

fn new_op(schema: &Schema, type_name: &str, data: &str) -> Op {
    let ty = schema.find(type_name).unwrap();
    let json = Json::parse(data.as_bytes()).unwrap();
    let mut faults = Faults::default();
    let draft = draft(&schema.types, ty, &json, "data", Purpose::New, &mut faults);
    faults.finish().unwrap();
    Op::New {
        type_id: ty.id,
        draft: draft.unwrap(),
    }
}

fn set_op(schema: &Schema, type_name: &str, id: &str, data: &str) -> Op {
    let ty = schema.find(type_name).unwrap();
    let json = Json::parse(data.as_bytes()).unwrap();
    let mut faults = Faults::default();
    let draft = draft(
        &schema.types,
        ty,
        &json,
        "data",
        Purpose::Change,
        &mut faults,
    );
    faults.finish().unwrap();
    Op::Set {
        type_id: ty.id,
        target: Target::Id(Id::parse(id).unwrap()),
        draft: draft.unwrap(),
        mode: SetMode::Patch,
        if_rev: None,
        upsert: false,
    }
}

fn delete_op(schema: &Schema, type_name: &str, id: &str) -> Op {
    let type_id = schema.find(type_name).unwrap().id;
    Op::Delete {
        type_id,
        target: Target::Id(Id::parse(id).unwrap()),
        if_rev: None,
    }
}

async fn apply(backend: &SqliteBackend, ops: Vec<Op>) -> Result<Commit> {
    backend.apply(vec![Batch::of(ops)]).await.pop().unwrap()
}

/// Makes a thing with an id and a word.
async fn make(backend: &SqliteBackend, id: &str, word: &str) -> Result<Commit> {
    let data = format!(r#"{{"id": "{id}", "word": "{word}", "count": 0}}"#);
    apply(
        backend,
        vec![new_op(&Arc::clone(backend.schema()), "thing", &data)],
    )
    .await
}

async fn ids(backend: &SqliteBackend) -> Vec<String> {
    let mut snapshot = backend.snapshot(Scope::Single, None).await.unwrap();
    let scan = Scan {
        type_id: THING,
        filter: Filter::EVERY,
        sort: Sort::default(),
        after: None,
        limit: 10_000,
    };
    let rows = snapshot.scan(&scan).await.unwrap();
    rows.iter().map(|row| row.id.to_string()).collect()
}
