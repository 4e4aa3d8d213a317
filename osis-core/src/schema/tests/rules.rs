//! What is accepted, and what it means.

use super::{parse, types};
use crate::error::Faults;
use crate::json::Json;
use crate::query::Filter;
use crate::schema::{
    Class, Column, Direction, FieldKind, Format, Item, Merge, Metric, OnDelete, Owner, Referrer,
    RollupUnit, Source, Type, Unique, Who, load,
};
use crate::value::Value;

/// One type with these fields.
fn fields(lines: &str) -> Type {
    let mut schema = types(&format!("[types.app.fields]\n{lines}\n"));
    schema.types.remove(0)
}

#[test]
fn field_types() {
    let ty = fields(
        r#"
        a = { type = "string" }
        b = { type = "text" }
        c = { type = "int" }
        d = { type = "float" }
        e = { type = "bool" }
        f = { type = "time" }
        g = { type = "enum", values = ["x", "y z"] }
        h = { type = "ref", to = "app" }
        i = { type = "list", of = "string" }
        j = { type = "list", of = "int" }
        k = { type = "json" }
        l = { type = "bytes" }
        "#,
    );
    let kinds: Vec<FieldKind> = ty.fields.iter().map(|field| field.kind.clone()).collect();
    let expected = [
        FieldKind::String,
        FieldKind::Text,
        FieldKind::Int,
        FieldKind::Float,
        FieldKind::Bool,
        FieldKind::Time,
        FieldKind::Enum(vec!["x".into(), "y z".into()]),
        FieldKind::Ref {
            to: 0,
            on_delete: OnDelete::Restrict,
        },
        FieldKind::List(Item::String),
        FieldKind::List(Item::Int),
        FieldKind::Json,
        FieldKind::Bytes,
    ];
    assert_eq!(kinds, expected);
    let names: String = ty.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, "abcdefghijkl", "in the order of the file");
}

#[test]
fn flags_and_words() {
    let ty = fields(
        r#"
        a = { type = "string", required = true, immutable = true, index = true, search = 100, doc = "A." }
        b = { type = "string", secret = true, unique = true }
        c = { type = "string", unique = "fold", format = "email", pattern = "^x" }
        d = { type = "text", format = "url", merge = "keep" }
        e = { type = "string", unique = false, required = false, index = false, secret = false }
        f = { type = "json", index = false, unique = false }
        "#,
    );
    let [a, b, c, d, e, f] = ty.fields.as_slice() else {
        panic!()
    };
    assert!(a.required && a.immutable && a.index && !a.secret && !a.composite);
    assert_eq!((a.search, a.doc.as_deref()), (Some(100), Some("A.")));
    assert!(b.secret && b.unique == Some(Unique::Exact));
    assert_eq!(
        (c.unique, c.format),
        (Some(Unique::Fold), Some(Format::Email))
    );
    assert!(c.pattern.as_ref().unwrap().is_match("xy"));
    assert_eq!((d.format, d.merge), (Some(Format::Url), Some(Merge::Keep)));
    for plain in [e, f] {
        assert!(!plain.required && !plain.index && !plain.secret && plain.unique.is_none());
        assert!(plain.search.is_none() && plain.merge.is_none() && plain.default.is_none());
    }
    let keys: Vec<_> = (0..ty.keys.len())
        .map(|k| (ty.key_fields(k), ty.keys[k].fold))
        .collect();
    assert_eq!(keys, [(vec!["b"], false), (vec!["c"], true)]);
}

#[test]
fn bounds() {
    let ty = fields(
        r#"
        a = { type = "int", min = -5, max = 0x10 }
        b = { type = "float", min = 1, max = 2.5 }
        c = { type = "string", min = 0, max = 3 }
        d = { type = "text", max = 9 }
        e = { type = "list", of = "int", min = 2, max = 2000 }
        "#,
    );
    let bounds: Vec<_> = ty
        .fields
        .iter()
        .map(|f| (f.min.clone(), f.max.clone()))
        .collect();
    let expected = [
        (Some(Value::Int(-5)), Some(Value::Int(16))),
        (Some(Value::Float(1.0)), Some(Value::Float(2.5))),
        (Some(Value::Int(0)), Some(Value::Int(3))),
        (None, Some(Value::Int(9))),
        (Some(Value::Int(2)), Some(Value::Int(2000))),
    ];
    assert_eq!(bounds, expected);
}

#[test]
fn defaults() {
    let ty = fields(
        r#"
        a = { type = "string", default = "x" }
        b = { type = "int", default = 1_000, required = true }
        c = { type = "float", default = 1 }
        d = { type = "bool", default = false }
        e = { type = "time", default = 2026-11-21T09:00:00.1239+02:00 }
        f = { type = "time", default = "2026-11-21T09:00:00Z" }
        g = { type = "enum", values = ["x"], default = "x" }
        h = { type = "ref", to = "app", default = "0001" }
        i = { type = "list", of = "int", default = [3, 1] }
        j = { type = "json", default = { b = [1, 2.5, "x"], a = { } } }
        k = { type = "bytes", default = "AAE=" }
        "#,
    );
    let defaults: Vec<Value> = ty
        .fields
        .iter()
        .map(|f| f.default.clone().unwrap())
        .collect();
    let time = |text| Value::Time(crate::Time::parse(text).unwrap());
    let expected = [
        Value::from("x"),
        Value::Int(1000),
        Value::Float(1.0),
        Value::Bool(false),
        time("2026-11-21T07:00:00.123Z"),
        time("2026-11-21T09:00:00Z"),
        Value::from("x"),
        Value::from("0001"),
        Value::List([Value::Int(3), Value::Int(1)].into()),
        Value::Json(r#"{"a":{},"b":[1,2.5,"x"]}"#.into()),
        Value::Bytes([0, 1].into()),
    ];
    assert_eq!(defaults, expected);
}

#[test]
fn rules_of_merge() {
    let ty = fields(
        r#"
        a = { type = "int", merge = "add" }
        b = { type = "float", merge = "max" }
        c = { type = "time", merge = "min" }
        d = { type = "list", of = "int", merge = "union" }
        e = { type = "json", merge = "keep" }
        "#,
    );
    let merges: Vec<_> = ty.fields.iter().map(|field| field.merge.unwrap()).collect();
    assert_eq!(
        merges,
        [
            Merge::Add,
            Merge::Max,
            Merge::Min,
            Merge::Union,
            Merge::Keep
        ]
    );
}

#[test]
fn keys_and_indexes() {
    let schema = types(
        r#"
        [types.app]
        unique = [["b", "a"], ["c"], ["a", "d", "e"]]
        index = [["a", "-created_at"], ["b"], ["-b"], ["id"]]
        [types.app.fields]
        a = { type = "string" }
        b = { type = "int" }
        c = { type = "bool" }
        d = { type = "time", unique = true }
        e = { type = "ref", to = "app" }
        f = { type = "enum", values = ["x"], unique = true }
        "#,
    );
    let app = &schema.types[0];
    let keys: Vec<_> = (0..app.keys.len())
        .map(|key| app.key_fields(key).join(" "))
        .collect();
    assert_eq!(
        keys,
        ["c", "d", "f", "b a", "a d e"],
        "unique fields first, in their order"
    );
    assert!(app.keys.iter().all(|key| !key.fold));
    let down = |column| (column, Direction::Descending);
    let up = |column| (column, Direction::Ascending);
    let expected = [
        vec![up(Column::Field(0)), down(Column::CreatedAt)],
        vec![down(Column::Field(1))],
        vec![up(Column::Id)],
    ];
    assert_eq!(app.indexes, expected);
    assert!(
        app.fields[1].index,
        "a rising index of one field is the field's own"
    );
    assert_eq!(
        app.fields[2].unique,
        Some(Unique::Exact),
        "so is a key of one field"
    );
    let composite: Vec<bool> = app.fields.iter().map(|field| field.composite).collect();
    assert_eq!(composite, [true, true, false, true, true, false]);
}

#[test]
fn refs_and_referrers() {
    let schema = types(
        r#"
        [types.a.fields]
        b = { type = "ref", to = "b", on_delete = "cascade", required = true }
        c = { type = "ref", to = "b", on_delete = "set_null" }
        [types.b.fields]
        up = { type = "ref", to = "b" }
        "#,
    );
    let referrer = |type_id, field, on_delete| Referrer {
        type_id,
        field,
        on_delete,
    };
    let expected = [
        referrer(0, 0, OnDelete::Cascade),
        referrer(0, 1, OnDelete::SetNull),
        referrer(1, 0, OnDelete::Restrict),
    ];
    assert_eq!(schema.types[1].referrers, expected);
    assert!(schema.types[0].referrers.is_empty());
}

#[test]
fn logs() {
    let schema = types(
        r#"
        [types.visit]
        class = "log"
        time = "at"
        retention_days = 90
        rollup = { unit = "hour", by = ["kind", "ok"], metrics = ["count", "sum:n", "min:n", "max:at"] }
        [types.visit.fields]
        kind = { type = "string" }
        ok = { type = "bool" }
        n = { type = "int" }
        at = { type = "time", required = true }
        [types.plain]
        class = "log"
        time = "at"
        rollup = { unit = "day" }
        [types.plain.fields]
        at = { type = "time", required = true, immutable = true }
        [types.bare]
        class = "log"
        time = "at"
        fields.at = { type = "time", required = true }
        [types.object]
        class = "object"
        "#,
    );
    let visit = schema.types[0].log().unwrap();
    assert_eq!((visit.time, visit.retention_days), (3, Some(90)));
    assert!(
        schema.types[0].fields[3].immutable,
        "the time of a log cannot be changed"
    );
    let rollup = visit.rollup.as_ref().unwrap();
    assert_eq!(
        (rollup.unit, rollup.by.as_slice()),
        (RollupUnit::Hour, &[0, 1][..])
    );
    let (n, at) = (Column::Field(2), Column::Field(3));
    let metrics = [
        Metric::Count,
        Metric::Sum(n),
        Metric::Min(n),
        Metric::Max(at),
    ];
    assert_eq!(rollup.metrics, metrics);
    let plain = schema.types[1].log().unwrap().rollup.as_ref().unwrap();
    assert_eq!(
        (plain.by.len(), plain.metrics.as_slice()),
        (0, &[Metric::Count][..])
    );
    let bare = schema.types[2].log().unwrap();
    assert!(bare.rollup.is_none() && bare.retention_days.is_none());
    assert!(matches!(schema.types[3].class, Class::Object));
}

#[test]
fn relations() {
    let schema = types(
        r#"
        [types.app.relations]
        latest = { from = "version", via = "app_id", sort = ["-code", "name"], limit = 1 }
        all = { from = "version", via = "app_id" }
        [types.version.fields]
        code = { type = "int" }
        name = { type = "string" }
        app_id = { type = "ref", to = "app" }
        "#,
    );
    let [latest, all] = schema.types[0].relations.as_slice() else {
        panic!()
    };
    assert_eq!(
        (latest.name.as_str(), latest.from, latest.via, latest.limit),
        ("latest", 1, 2, 1)
    );
    let sort = [
        (Column::Field(0), Direction::Descending),
        (Column::Field(1), Direction::Ascending),
    ];
    assert_eq!(latest.sort, sort);
    assert_eq!((all.sort.len(), all.limit), (0, 50));
}

#[test]
fn owners() {
    let schema = types(
        r#"
        [types.review]
        owner = "version_id"
        fields.version_id = { type = "ref", to = "version" }
        [types.version]
        owner = "app_id"
        fields.app_id = { type = "ref", to = "app" }
        [types.app]
        owner = "dev_id"
        fields.dev_id = { type = "ref", to = "dev" }
        [types.dev]
        owner = "id"
        [types.note]
        owner = "author"
        fields.author = { type = "string" }
        [types.answer]
        owner = "note_id"
        fields.note_id = { type = "ref", to = "note" }
        [types.none]
        "#,
    );
    let owners: Vec<_> = schema.types.iter().map(|ty| ty.owner).collect();
    let expected = [
        Some(Owner::Through(0)),
        Some(Owner::Through(0)),
        // The target is its own owner, so the ref holds the owner's id.
        Some(Owner::Field(0)),
        Some(Owner::Id),
        Some(Owner::Field(0)),
        // The target's owner is in a field of it.
        Some(Owner::Through(0)),
        None,
    ];
    assert_eq!(owners, expected);
}

#[test]
fn access() {
    let schema = types(
        r#"
        [types.a]
        [types.b]
        access = { read = "admin" }
        [types.c]
        owner = "id"
        access = { read = "owner", write = "owner", read_if = { n = { gte = 1, lt = 5 }, at = { lt = 2026-01-01T00:00:00Z }, or = [{ x = "a" }, { not = { eq = 1 } }] } }
        fields.n = { type = "int" }
        fields.x = { type = "string" }
        fields.eq = { type = "int" }
        fields.at = { type = "time" }
        [types.d]
        access = { write = "none" }
        [types.e]
        access = {}
        "#,
    );
    let who: Vec<_> = schema
        .types
        .iter()
        .map(|ty| (ty.access.read, ty.access.write))
        .collect();
    let expected = [
        (Who::Any, Who::Admin),
        (Who::Admin, Who::Admin),
        (Who::Owner, Who::Owner),
        (Who::Any, Who::None),
        (Who::Any, Who::Admin),
    ];
    assert_eq!(who, expected);
    let json = r#"{"n": {"gte": 1, "lt": 5}, "at": {"lt": "2026-01-01T00:00:00Z"},
        "or": [{"x": "a"}, {"not": {"eq": 1}}]}"#;
    let json = Json::parse(json.as_bytes()).unwrap();
    let c = &schema.types[2];
    let filter = Filter::parse(c, &json, "", &mut Faults::default()).unwrap();
    assert_eq!(c.access.read_if.as_ref(), Some(&filter));
}

#[test]
fn names_and_plurals() {
    let schema = types(
        "[types.app]\n[types.category]\nplural = \"categories\"\n[types.sheep]\nplural = \"sheep\"\n",
    );
    let plurals: Vec<_> = schema.types.iter().map(|ty| ty.plural.as_str()).collect();
    assert_eq!(plurals, ["apps", "categories", "sheep"]);
    assert_eq!(schema.find("category").unwrap().id, 1);
    assert!(schema.find("categories").is_none());
}

#[test]
fn several_files_are_one_schema() {
    let shop = r#"
        name = "shop"
        version = 7
        [types.order]
        fields.app_id = { type = "ref", to = "app" }
        [types.order.relations]
        versions = { from = "item", via = "order_id" }
        "#;
    let items = r#"
        name = "items"
        version = 3
        [types.item]
        fields.order_id = { type = "ref", to = "order" }
        "#;
    let sources = [
        Source::builtin(),
        Source::new("shop.toml", shop),
        Source::new("items.toml", items),
    ];
    let schema = load(&sources).unwrap();
    assert_eq!(
        (schema.name.as_str(), schema.version),
        ("appstore+shop+items", 7)
    );
    let names: Vec<_> = schema.types.iter().map(|ty| ty.name.as_str()).collect();
    assert_eq!(names[7..], ["order", "item"]);
    let app = schema.find("app").unwrap();
    assert!(app.referrers.iter().any(|referrer| referrer.type_id == 7));
    assert_eq!(schema.find("order").unwrap().relations[0].from, 8);
    let again = parse(&schema.text).unwrap();
    assert_eq!((again.name, again.hash), (schema.name, schema.hash));
}

#[test]
fn a_mark_at_the_head_of_the_file_is_no_fault() {
    assert!(parse("\u{feff}name = \"shop\"\r\nversion = 1\r\n[types.app]\r\n").is_ok());
    let error = parse("\u{feff}nam = 1\n").unwrap_err();
    assert!(error.to_string().starts_with("shop.toml:1:1: "), "{error}");
}
