//! What a newer schema changes, in words, and whether that loses anything.

use super::types;
use crate::schema::diff::{Change, ChangeKind, diff};

/// What changes between two type tables, each line marked `+` where nothing is lost, else `!`.
fn lines(old: &str, new: &str) -> Vec<String> {
    let sign = |change: &Change| if change.lossless { '+' } else { '!' };
    let changes = diff(&types(old), &types(new));
    changes
        .iter()
        .map(|change| format!("{} {change}", sign(change)))
        .collect()
}

/// What changes between two fields `a` of a type `app`.
fn field(old: &str, new: &str) -> Vec<String> {
    let table = |field: &str| format!("[types.app.fields]\na = {{ {field} }}\n");
    lines(&table(old), &table(new))
}

/// What changes between the attributes of a type with some fields.
fn ty(old: &str, new: &str) -> Vec<String> {
    let table = |attributes: &str| {
        format!(
            "[types.app]\n{attributes}\n[types.app.fields]\na = {{ type = \"string\" }}\n\
            n = {{ type = \"int\" }}\nat = {{ type = \"time\", required = true }}\n\
            [types.sub.fields]\nup = {{ type = \"ref\", to = \"sub\" }}\n"
        )
    };
    lines(&table(old), &table(new))
}

#[test]
fn attributes_of_fields() {
    let cases = [
        (r#"type = "string""#, r#"type = "string""#, ""),
        (
            r#"type = "int""#,
            r#"type = "float""#,
            r#"! app.a: `type` changes from "int" to "float""#,
        ),
        (
            r#"type = "int""#,
            r#"type = "int", required = true"#,
            "! app.a: `required` is new: true",
        ),
        (
            r#"type = "int", required = true"#,
            r#"type = "int""#,
            "+ app.a: `required` is removed, was true",
        ),
        (
            r#"type = "int""#,
            r#"type = "int", default = 3"#,
            "+ app.a: `default` is new: 3",
        ),
        (
            r#"type = "int""#,
            r#"type = "int", doc = "A.""#,
            r#"+ app.a: `doc` is new: "A.""#,
        ),
        (
            r#"type = "int""#,
            r#"type = "int", merge = "add""#,
            r#"+ app.a: `merge` is new: "add""#,
        ),
        (
            r#"type = "int""#,
            r#"type = "int", immutable = true"#,
            "+ app.a: `immutable` is new: true",
        ),
        (
            r#"type = "int""#,
            r#"type = "int", secret = true"#,
            "! app.a: `secret` is new: true",
        ),
        (
            r#"type = "int", secret = true"#,
            r#"type = "int""#,
            "! app.a: `secret` is removed, was true",
        ),
        (
            r#"type = "int""#,
            r#"type = "int", min = 0"#,
            "! app.a: `min` is new: 0",
        ),
        (
            r#"type = "int", min = 1"#,
            r#"type = "int", min = 0"#,
            "+ app.a: `min` changes from 1 to 0",
        ),
        (
            r#"type = "int", min = 1"#,
            r#"type = "int", min = 2"#,
            "! app.a: `min` changes from 1 to 2",
        ),
        (
            r#"type = "int", max = 1"#,
            r#"type = "int""#,
            "+ app.a: `max` is removed, was 1",
        ),
        (
            r#"type = "int", max = 1"#,
            r#"type = "int", max = 2"#,
            "+ app.a: `max` changes from 1 to 2",
        ),
        (
            r#"type = "int", max = 2"#,
            r#"type = "int", max = 1"#,
            "! app.a: `max` changes from 2 to 1",
        ),
        // Without max, a list has at most 1000 items.
        (
            r#"type = "list", of = "int", max = 1001"#,
            r#"type = "list", of = "int""#,
            "! app.a: `max` is removed, was 1001",
        ),
        (
            r#"type = "list", of = "int", max = 10"#,
            r#"type = "list", of = "int""#,
            "+ app.a: `max` is removed, was 10",
        ),
        (
            r#"type = "list", of = "int""#,
            r#"type = "list", of = "int", max = 1000"#,
            "+ app.a: `max` is new: 1000",
        ),
        (
            r#"type = "list", of = "int""#,
            r#"type = "list", of = "int", max = 999"#,
            "! app.a: `max` is new: 999",
        ),
        (
            r#"type = "list", of = "int""#,
            r#"type = "list", of = "string""#,
            r#"! app.a: `of` changes from "int" to "string""#,
        ),
        (
            r#"type = "string""#,
            r#"type = "string", pattern = "x""#,
            r#"! app.a: `pattern` is new: "x""#,
        ),
        (
            r#"type = "string", pattern = "x""#,
            r#"type = "string""#,
            r#"+ app.a: `pattern` is removed, was "x""#,
        ),
        (
            r#"type = "string", format = "url""#,
            r#"type = "string""#,
            r#"+ app.a: `format` is removed, was "url""#,
        ),
        (
            r#"type = "string", format = "url""#,
            r#"type = "string", format = "email""#,
            r#"! app.a: `format` changes from "url" to "email""#,
        ),
        (
            r#"type = "enum", values = ["x"]"#,
            r#"type = "enum", values = ["y", "x"]"#,
            r#"+ app.a: `values` changes from ["x"] to ["y", "x"]"#,
        ),
        (
            r#"type = "enum", values = ["y", "x"]"#,
            r#"type = "enum", values = ["x"]"#,
            r#"! app.a: `values` changes from ["y", "x"] to ["x"]"#,
        ),
        (
            r#"type = "ref", to = "app""#,
            r#"type = "ref", to = "app", on_delete = "cascade""#,
            r#"! app.a: `on_delete` is new: "cascade""#,
        ),
        (
            r#"type = "ref", to = "app", on_delete = "set_null""#,
            r#"type = "ref", to = "app""#,
            r#"+ app.a: `on_delete` is removed, was "set_null""#,
        ),
        (
            r#"type = "int""#,
            r#"type = "int", index = true"#,
            "+ app: new index (a)",
        ),
        (
            r#"type = "int", index = true"#,
            r#"type = "int""#,
            "+ app: index (a) removed",
        ),
        (
            r#"type = "int""#,
            r#"type = "int", unique = true"#,
            "! app: new key (a)",
        ),
        (
            r#"type = "int", unique = true"#,
            r#"type = "int""#,
            "! app: key (a) removed",
        ),
        (
            r#"type = "string""#,
            r#"type = "string", search = 3"#,
            "+ app: searchable fields change from none to a 3",
        ),
        (
            r#"type = "string", search = 3"#,
            r#"type = "string", search = 4"#,
            "+ app: searchable fields change from a 3 to a 4",
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(field(old, new).join("\n"), expected, "{old} to {new}");
    }
    assert_eq!(
        field(
            r#"type = "string", unique = true"#,
            r#"type = "string", unique = "fold""#
        ),
        ["! app: new key (a) in any case", "! app: key (a) removed"]
    );
}

#[test]
fn attributes_of_types() {
    let log = "class = \"log\"\ntime = \"at\"\n";
    let cases = [
        ("", "doc = \"D.\"", "+ app: `doc` is new: \"D.\""),
        (
            "",
            "plural = \"apples\"",
            "! app: `plural` is new: \"apples\"",
        ),
        ("", "owner = \"id\"", "+ app: `owner` is new: \"id\""),
        (
            "owner = \"id\"",
            "owner = \"a\"",
            "! app: `owner` changes from \"id\" to \"a\"",
        ),
        (
            "owner = \"id\"",
            "",
            "! app: `owner` is removed, was \"id\"",
        ),
        ("", "unique = [[\"n\", \"a\"]]", "! app: new key (n, a)"),
        ("unique = [[\"n\", \"a\"]]", "", "! app: key (n, a) removed"),
        ("", "index = [[\"n\", \"-a\"]]", "+ app: new index (n, -a)"),
        (
            "index = [[\"n\", \"-a\"]]",
            "",
            "+ app: index (n, -a) removed",
        ),
        (
            "index = [[\"n\", \"a\"], [\"a\", \"n\"]]",
            "index = [[\"a\", \"n\"], [\"n\", \"a\"]]",
            "+ app: indexes come in another order",
        ),
        (
            "",
            "access = { read = \"admin\" }",
            "+ app: `access` is new: { read = \"admin\" }",
        ),
        (
            "access = { read = \"admin\" }",
            "",
            "! app: `access` is removed, was { read = \"admin\" }",
        ),
        (
            "",
            "access = { write = \"any\" }",
            "! app: `access` is new: { write = \"any\" }",
        ),
        (
            "",
            "access = { write = \"none\" }",
            "+ app: `access` is new: { write = \"none\" }",
        ),
        (
            "access = { read = \"admin\" }",
            "access = { read = \"admin\", read_if = { n = 1 } }",
            "! app: `access` changes from { read = \"admin\" } to \
             { read = \"admin\", read_if = { n = 1 } }",
        ),
        (
            "access = { read = \"admin\", read_if = { n = 1 } }",
            "access = { read = \"admin\" }",
            "+ app: `access` changes from { read = \"admin\", read_if = { n = 1 } } to \
             { read = \"admin\" }",
        ),
        (
            "",
            "access = { read_if = { n = 1 } }",
            "+ app: `access` is new: { read_if = { n = 1 } }",
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(ty(old, new).join("\n"), expected, "{old} to {new}");
    }
    let logs = [
        (
            "",
            "retention_days = 9",
            "! app: `retention_days` is new: 9",
        ),
        (
            "retention_days = 9",
            "",
            "+ app: `retention_days` is removed, was 9",
        ),
        (
            "retention_days = 9",
            "retention_days = 10",
            "+ app: `retention_days` changes from 9 to 10",
        ),
        (
            "retention_days = 9",
            "retention_days = 8",
            "! app: `retention_days` changes from 9 to 8",
        ),
        (
            "",
            "rollup = { unit = \"day\" }",
            "+ app: `rollup` is new: { unit = \"day\" }",
        ),
        (
            "rollup = { unit = \"day\" }",
            "rollup = { unit = \"hour\" }",
            "! app: `rollup` changes from { unit = \"day\" } to { unit = \"hour\" }",
        ),
        (
            "rollup = { unit = \"day\" }",
            "",
            "! app: `rollup` is removed, was { unit = \"day\" }",
        ),
    ];
    for (old, new, expected) in logs {
        let (old, new) = (format!("{log}{old}"), format!("{log}{new}"));
        assert_eq!(ty(&old, &new).join("\n"), expected, "{old} to {new}");
    }
    let expected = [
        "! app: `class` is new: \"log\"",
        "! app: `time` is new: \"at\"",
    ];
    assert_eq!(ty("", log), expected);
}

#[test]
fn types_and_fields_come_go_and_move() {
    let expected = ["+ b: new type", "! a: type removed"];
    assert_eq!(lines("[types.a]", "[types.b]"), expected);
    assert_eq!(
        lines("[types.a]\n[types.b]", "[types.b]\n[types.a]"),
        ["+ types come in another order"]
    );
    let old = "[types.app.fields]\na = { type = \"int\" }\nb = { type = \"int\" }\n";
    let new = r#"[types.app.fields]
        b = { type = "int" }
        fresh = { type = "string", unique = true, index = true, search = 2 }
        must = { type = "int", required = true, default = 1 }
        a = { type = "int" }
        "#;
    let expected = [
        "+ app.fresh: new field",
        "! app.must: new field",
        "+ app: fields come in another order",
        // All stored objects have null there, and nulls never clash.
        "+ app: new key (fresh)",
        "+ app: new index (fresh)",
        "+ app: searchable fields change from none to fresh 2",
    ];
    assert_eq!(lines(old, new), expected);
    let gone = [
        "! app.fresh: field removed",
        "! app.must: field removed",
        "+ app: fields come in another order",
        "! app: key (fresh) removed",
        "+ app: index (fresh) removed",
        "+ app: searchable fields change from fresh 2 to none",
    ];
    assert_eq!(lines(new, old), gone);
}

#[test]
fn a_key_with_a_new_unset_field_cannot_clash() {
    let table = |fields: &str, key: &str| {
        format!("[types.app]\n{key}\n[types.app.fields]\na = {{ type = \"int\" }}\n{fields}\n")
    };
    let old = table("", "");
    let optional = table("b = { type = \"int\" }", "unique = [[\"a\", \"b\"]]");
    assert_eq!(
        lines(&old, &optional),
        ["+ app.b: new field", "+ app: new key (a, b)"]
    );
    let required = table(
        "b = { type = \"int\", required = true }",
        "unique = [[\"a\", \"b\"]]",
    );
    assert_eq!(
        lines(&old, &required),
        ["! app.b: new field", "! app: new key (a, b)"]
    );
}

#[test]
fn relations_are_derived() {
    let table = |relations: &str| {
        format!(
            "[types.app.relations]\n{relations}\n\
             [types.sub.fields]\nup = {{ type = \"ref\", to = \"app\" }}\n"
        )
    };
    let one = table("subs = { from = \"sub\", via = \"up\" }");
    let few = table("subs = { from = \"sub\", via = \"up\", limit = 3 }");
    let all = "{ from = \"sub\", via = \"up\" }";
    assert_eq!(
        lines(&table(""), &one),
        [format!("+ app: relation `subs` is new: {all}")]
    );
    assert_eq!(
        lines(&one, &few),
        [format!(
            "+ app: relation `subs` changes from {all} to {{ from = \"sub\", via = \"up\", limit = 3 }}"
        )]
    );
    assert_eq!(
        lines(&one, &table("")),
        [format!("+ app: relation `subs` is removed, was {all}")]
    );
}

#[test]
fn a_ref_is_compared_by_the_name_of_its_target() {
    let old = "[types.a]\n[types.c.fields]\nx = { type = \"ref\", to = \"a\" }\n";
    let moved = "[types.new]\n[types.a]\n[types.c.fields]\nx = { type = \"ref\", to = \"a\" }\n";
    assert_eq!(lines(old, moved), ["+ new: new type"]);
    let other = "[types.new]\n[types.a]\n[types.c.fields]\nx = { type = \"ref\", to = \"new\" }\n";
    let expected = [
        "+ new: new type",
        "! c.x: `to` changes from \"a\" to \"new\"",
    ];
    assert_eq!(lines(old, other), expected);
}

#[test]
fn name_and_version_of_the_schema() {
    let schema = |head: &str| super::parse(&format!("{head}\n[types.app]\n")).unwrap();
    let old = schema("name = \"shop\"\nversion = 1");
    let new = schema("name = \"shop+more\"\nversion = 2");
    let words: Vec<_> = diff(&old, &new).iter().map(ToString::to_string).collect();
    let expected = [
        "schema: `name` changes from \"shop\" to \"shop+more\"",
        "schema: `version` changes from 1 to 2",
    ];
    assert_eq!(words, expected);
    assert!(diff(&old, &new).iter().all(|change| change.lossless));
}

#[test]
fn changes_serialise_with_their_kind() {
    let what = ChangeKind::FieldAdded {
        type_name: "app".into(),
        field: "a".into(),
    };
    let json = serde_json::to_value(Change {
        what,
        lossless: true,
    })
    .unwrap();
    let expected = serde_json::json!({
        "kind": "field_added", "type_name": "app", "field": "a", "lossless": true,
    });
    assert_eq!(json, expected);
}
