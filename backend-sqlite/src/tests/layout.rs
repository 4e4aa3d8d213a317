//! The tables that schemas become: a changed snapshot is a changed promise.

use osis_core::schema::BUILTIN;

use super::{Disk, PROBE, schema};
use crate::ddl;

#[test]
fn tables_of_the_builtin_schema() {
    let statements = [ddl::create_system(), ddl::create_types(&schema(BUILTIN))].concat();
    insta::assert_snapshot!(statements.join(";\n"));
}

#[test]
fn tables_of_every_kind_of_field() {
    insta::assert_snapshot!(ddl::create_types(&schema(PROBE)).join(";\n"));
}

#[test]
fn names_that_sql_knows_are_no_trouble() {
    let text = r#"
name = "words"
version = 1

[types.order]
plural = "select"
unique = [["group", "oid"]]
index = [["-rowid", "oid"]]

[types.order.fields]
group = { type = "string", required = true, search = 1 }
table = { type = "list", of = "string", index = true }
rank  = { type = "string", unique = "fold", search = 2 }
rowid = { type = "string", search = 1, index = true }
oid   = { type = "int" }
text  = { type = "text", search = 1 }
text_data = { type = "list", of = "int", index = true }

[types.clash]
plural = "select_group"

[types.clash.fields]
text = { type = "string", search = 1 }
"#;
    let disk = Disk::new();
    let backend = disk.open(text);
    drop(backend);
    let tables: i64 = disk
        .tool()
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('select', 'select_group')",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(tables, 2);
}
