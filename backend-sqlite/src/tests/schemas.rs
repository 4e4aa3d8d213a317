//! Changes of schema: what loses nothing is applied once, all else is refused, and the way back
//! leads back.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};

use osis_core::backend::{Backend, Scope, Search};
use osis_core::error::ErrorKind;
use osis_core::query::{Filter, Test};
use osis_core::text::Query;
use osis_core::value::Value;
use rusqlite::Connection;

use super::{Disk, PROBE, THING, ids, make, new_op, schema};
use osis_core::schema::diff::SchemaPolicy;

use crate::{SqliteBackend, SqliteConfig, ddl};

/// [`PROBE`] with whatever may change without loss.
fn newer() -> String {
    let mut text = PROBE
        .replace("version = 1", "version = 2")
        .replace(
            r#"word    = { type = "string", required = true, index = true, search = 4 }"#,
            r#"word    = { type = "string", index = true, search = 4 }"#,
        )
        .replace(r#"["-at"]]"#, r#"["-at"], ["flag", "word"]]"#)
        .replace(
            r#"words   = { type = "list", of = "string", search = 2 }"#,
            r#"words   = { type = "list", of = "string", search = 2, index = true }"#,
        )
        .replace(
            r#"maybe   = { type = "string", index = true }"#,
            r#"maybe   = { type = "string", search = 1 }"#,
        )
        .replace(
            r#"values = ["a", "ab", "b"]"#,
            r#"values = ["a", "ab", "b", "c"]"#,
        )
        .replace(
            "[types.note]",
            r#"
nick   = { type = "string", unique = "fold", search = 1 }
mentor = { type = "ref", to = "note" }
marked = { type = "bool" }
lines  = { type = "list", of = "string", index = true }

[types.note]"#,
        );
    text.push_str(
        r#"
[types.extra]
plural = "extras"

[types.extra.fields]
note = { type = "ref", to = "note", required = true }
name = { type = "string", required = true, search = 1 }
tags = { type = "list", of = "string", index = true }
"#,
    );
    text
}

fn serving(disk: &Disk) -> SqliteConfig {
    let mut config = disk.config();
    config.schema = SchemaPolicy::ApplyLossless;
    config
}

/// What there is in a database: each thing by name. Of tables the columns, since their text
/// tells how they came about.
fn things(connection: &Connection) -> BTreeMap<String, String> {
    let sql = "SELECT name, type, coalesce(sql, '') FROM sqlite_schema ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let found: Vec<(String, String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let described = found.into_iter().map(|(name, kind, sql)| {
        let text = match kind.as_str() {
            "table" if !sql.starts_with("CREATE VIRTUAL") => columns(connection, &name),
            _ => sql,
        };
        (name, text)
    });
    described.collect()
}

fn columns(connection: &Connection, table: &str) -> String {
    let mut parts = Vec::new();
    for sql in [
        "SELECT name, type, \"notnull\" FROM pragma_table_info(?) ORDER BY name",
        "SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list(?) ORDER BY 1",
    ] {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([table], |row| {
            let third: rusqlite::types::Value = row.get(2)?;
            Ok(format!(
                "{} {} {third:?}",
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?
            ))
        });
        parts.extend(rows.unwrap().map(Result::unwrap));
    }
    parts.join(", ")
}

fn made(text: &str) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for statement in ddl::create_system()
        .iter()
        .chain(&ddl::create_types(&schema(text)))
    {
        connection.execute_batch(statement).unwrap();
    }
    connection
}

#[test]
fn up_leads_to_the_new_tables_and_down_back() {
    let steps = osis_sql::plan(&schema(PROBE), &schema(&newer()), ddl::layout).unwrap();
    let connection = made(PROBE);
    let before = things(&connection);
    for statement in &steps.up {
        connection
            .execute_batch(statement)
            .unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    assert_eq!(things(&connection), things(&made(&newer())));
    for statement in &steps.down {
        connection
            .execute_batch(statement)
            .unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
    assert_eq!(things(&connection), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_loses_nothing_is_applied() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    make(&backend, "abcd", "Hello").await.unwrap();
    let data =
        r#"{"id": "efgh", "word": "x", "count": 0, "words": ["one", "two"], "maybe": "perhaps"}"#;
    super::apply(&backend, vec![new_op(backend.schema(), "thing", data)])
        .await
        .unwrap();
    backend.close().await.unwrap();

    let backend = SqliteBackend::open(serving(&disk), Some(schema(&newer()))).unwrap();
    assert_eq!(backend.schema().version, 2);
    assert_eq!(ids(&backend).await, ["abcd", "efgh"]);
    let ty = &backend.schema().types[THING];
    let mut snapshot = backend.snapshot(Scope::Single, None).await.unwrap();
    let has = Filter::Column(ty.column("words").unwrap(), Test::Has(Value::from("two")));
    assert_eq!(snapshot.count(THING, &has).await.unwrap(), 1);
    let search = Search {
        type_id: THING,
        query: Query::parse(ty, "maybe:perhaps", false).unwrap(),
        filter: Filter::EVERY,
        sort: None,
        after: None,
        limit: 10,
        facets: Vec::new(),
    };
    assert_eq!(snapshot.search(&search).await.unwrap().total, 1);
    drop(snapshot);
    let data = r#"{"id": "ijkl", "count": 0, "nick": "Bo"}"#;
    super::apply(&backend, vec![new_op(backend.schema(), "thing", data)])
        .await
        .unwrap();
    drop(backend);

    let rows: i64 = disk
        .tool()
        .query_row(
            "SELECT count(*) FROM _osis_schema_history WHERE down <> '[]'",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(rows, 1);
    // Once applied, it is what is stored.
    let backend = SqliteBackend::open(disk.config(), Some(schema(PROBE))).unwrap();
    assert_eq!(backend.schema().version, 2);
}

#[test]
fn eight_at_once_apply_it_once() {
    let disk = Disk::new();
    drop(disk.open(PROBE));
    let barrier = Arc::new(Barrier::new(8));
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let (config, barrier) = (serving(&disk), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                SqliteBackend::open(config, Some(schema(&newer()))).map(drop)
            })
        })
        .collect();
    openers
        .into_iter()
        .for_each(|opener| opener.join().unwrap().unwrap());
    let sql = "SELECT count(*) FROM _osis_schema_history";
    let rows: i64 = disk.tool().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
}

#[test]
fn what_loses_something_is_refused() {
    let disk = Disk::new();
    drop(disk.open(PROBE));
    let before = things(&disk.tool());
    for (from, to) in [
        ("raw     = { type = \"bytes\" }\n", ""),
        (
            "flag    = { type = \"bool\" }",
            "flag    = { type = \"int\" }",
        ),
        (
            "number  = { type = \"int\", index = true }",
            "number  = { type = \"int\", unique = true }",
        ),
        ("plural = \"notes\"", "plural = \"papers\""),
        (
            "ratio   = { type = \"float\" }",
            "ratio   = { type = \"float\", required = true }",
        ),
    ] {
        let other = PROBE.replace(from, to);
        assert_ne!(other, PROBE);
        let error = SqliteBackend::open(serving(&disk), Some(schema(&other)))
            .map(drop)
            .unwrap_err();
        assert!(error.to_string().contains("osis schema show"), "{error}");
        assert_eq!(things(&disk.tool()), before);
        // Who does not serve keeps what is stored.
        let backend = SqliteBackend::open(disk.config(), Some(schema(&other))).unwrap();
        assert_eq!(backend.schema().text, schema(PROBE).text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_notices_a_newer_schema() {
    let disk = Disk::new();
    let old = disk.open(PROBE);
    make(&old, "abcd", "Hello").await.unwrap();
    let new = SqliteBackend::open(serving(&disk), Some(schema(&newer()))).unwrap();
    let error = make(&old, "efgh", "Hello").await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("restart"), "{error}");
    let mut snapshot = old.snapshot(Scope::Single, None).await.unwrap();
    assert!(snapshot.seq().await.is_err());
    assert_eq!(ids(&new).await, ["abcd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_process_does_not_fill_a_newer_text_index() {
    let disk = Disk::new();
    let old = disk.open(PROBE);
    let ops = (0..2000).map(|n| {
        let data = format!(r#"{{"id": "id-{n}", "word": "w", "count": 0, "maybe": "perhaps"}}"#);
        new_op(old.schema(), "thing", &data)
    });
    super::apply(&old, ops.collect()).await.unwrap();
    // The old one is busy taking rows in when the new schema comes.
    let new = SqliteBackend::open(serving(&disk), Some(schema(&newer()))).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let search = Search {
        type_id: THING,
        query: Query::parse(&new.schema().types[THING], "maybe:perhaps", false).unwrap(),
        filter: Filter::EVERY,
        sort: None,
        after: None,
        limit: 10,
        facets: Vec::new(),
    };
    let mut snapshot = new.snapshot(Scope::Single, None).await.unwrap();
    assert_eq!(snapshot.search(&search).await.unwrap().total, 2000);
    drop(old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_process_notices_a_newer_schema_too() {
    let disk = Disk::new();
    let old = disk.open(PROBE);
    drop(SqliteBackend::open(serving(&disk), Some(schema(&newer()))).unwrap());
    for _ in 0..100 {
        let mut snapshot = old.snapshot(Scope::Single, None).await.unwrap();
        if snapshot.seq().await.is_err() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it did not notice");
}
