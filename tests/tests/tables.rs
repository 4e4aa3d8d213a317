//! The SQLite file as any SQLite tool sees it, while a server writes it (§6).

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use osis_tests::binary::Served;
use osis_tests::fixture::{SHOP_FILE, sku};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use tempfile::TempDir;

/// A served store with an object of every kind of value, and another process's look into its file.
fn store() -> (Served, Connection, TempDir) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("osis.db");
    let url = format!("sqlite:{}", path.display());
    let server = Served::start(["--store", &url, "--schema", SHOP_FILE]);
    server.call(
        "customer_new",
        &json!({ "data": { "id": "ada-1", "name": "Ada", "email": "ada@x", "number": 7, "vip": true } }),
    );
    let data = json!({
        "id": "chair-1", "sku": sku(1), "title": "Chair", "body": "long", "price": 2,
        "stock": i64::MIN, "discontinued": false, "released": "2026-11-21T08:00:00+01:00",
        "color": "green", "supplier_id": "ada-1", "tags": ["x", "é"], "sizes": [2, 1],
        "specs": { "b": 1, "a": [1.5, null] },
    });
    server.call("product_new", &json!({ "data": data }));
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    (server, file, directory)
}

fn text(file: &Connection, query: &str) -> String {
    file.query_row(query, [], |row| row.get::<_, String>(0))
        .unwrap_or_else(|error| panic!("{query}: {error}"))
}

#[test]
fn each_field_is_a_column_with_a_value_of_its_own_type() {
    let (_server, file, _directory) = store();
    for (column, kind, value) in [
        ("id", "text", "chair-1"),
        ("rev", "integer", "1"),
        ("title", "text", "Chair"),
        ("body", "text", "long"),
        ("price", "real", "2.0"),
        ("stock", "integer", "-9223372036854775808"),
        ("discontinued", "integer", "0"),
        ("released", "text", "2026-11-21T07:00:00.000Z"),
        ("color", "text", "green"),
        ("supplier_id", "text", "ada-1"),
        ("tags", "text", r#"["x","é"]"#),
        ("sizes", "text", "[2,1]"),
        ("specs", "text", r#"{"a":[1.5,null],"b":1}"#),
        ("unit", "text", "piece"),
    ] {
        let query = format!("SELECT typeof({column}) || ' ' || {column} FROM products");
        assert_eq!(text(&file, &query), format!("{kind} {value}"), "{column}");
    }
    let unset = "SELECT typeof(url) || typeof(grams) || typeof(photo) FROM products";
    assert_eq!(text(&file, unset), "nullnullnull");
    assert_eq!(text(&file, "SELECT CAST(vip AS TEXT) FROM customers"), "1");
}

#[test]
fn tables_are_strict_and_named_by_their_plurals() {
    let (_server, file, _directory) = store();
    for ty in &osis_tests::fixture::schema().types {
        let query = format!(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '{}'",
            ty.plural
        );
        let found = file.query_row(&query, [], |row| row.get::<_, String>(0));
        // Events may live in files of their own.
        match found {
            Ok(sql) => assert!(sql.contains("STRICT"), "{}: {sql}", ty.plural),
            Err(error) => assert!(ty.log().is_some(), "{}: {error}", ty.plural),
        }
    }
    let others = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'index', 'trigger', 'view')
                  AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_osis\\_%' ESCAPE '\\'";
    let mut statement = file.prepare(others).unwrap();
    let names = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let schema = osis_tests::fixture::schema();
    for name in names.map(Result::unwrap) {
        assert!(
            schema.types.iter().any(|ty| ty.plural == name),
            "{name} is not marked as the store's own"
        );
    }
}

#[test]
fn references_and_keys_are_held_by_sqlite_too() {
    let (server, file, directory) = store();
    let target = "SELECT \"table\" || ' ' || on_delete FROM pragma_foreign_key_list('products')";
    assert!(
        text(&file, target).starts_with("customers "),
        "a real foreign key"
    );
    assert!(server.terminate().success());
    let file = Connection::open(directory.path().join("osis.db")).unwrap();
    file.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    let insert = |columns: &str, values: &str| {
        let head = "INSERT INTO customers (id, rev, created_at, updated_at, name";
        let at = "'2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z'";
        file.execute_batch(&format!(
            "{head}, {columns}) VALUES ('bob-1', 1, {at}, 'Bob', {values})"
        ))
    };
    let dangling = insert("email, invited_by", "'bob@x', 'nobody'")
        .unwrap_err()
        .to_string();
    assert!(dangling.contains("constraint failed"), "{dangling}");
    let clash = insert("email, number", "'bob@x', 7")
        .unwrap_err()
        .to_string();
    assert!(clash.contains("constraint failed"), "{clash}");
    let wrong_type = insert("email, number", "'bob@x', 'seven'")
        .unwrap_err()
        .to_string();
    assert!(wrong_type.contains("cannot store TEXT"), "{wrong_type}");
}

#[test]
fn it_is_wal_and_readable_while_the_server_runs() {
    let (server, file, _directory) = store();
    assert_eq!(text(&file, "PRAGMA journal_mode"), "wal");
    let count = |file: &Connection| -> i64 {
        file.query_row("SELECT count(*) FROM memos", [], |row| row.get(0))
            .unwrap()
    };
    for n in 1..=5 {
        server.call("memo_new", &json!({ "data": { "body": n.to_string() } }));
        assert_eq!(
            count(&file),
            n,
            "what was acknowledged is to be seen at once"
        );
    }
}
