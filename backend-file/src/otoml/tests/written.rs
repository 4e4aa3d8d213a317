//! What the store writes, and reads again; also by the original's reader.

use osis_core::time::Time;
use osis_core::value::Value;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{any_row, row, schema, text, ty};
use crate::otoml::{Found, day, fields, object, read, read_day};
use crate::record::Hash;

/// A file as people see it.
const CANONICAL: &str = r#"O:
alias = "C:\\temp \"x\""
body = """
# Notes

Trailing blank:\u0020
	"quoted", and \r\\ and ""\"
end"""
count = -7
created_at = 2026-11-20T07:00:00.000Z
data = "AAH/"
extra = '{"a":[1,2.5,"x\n"],"b":null}'
flag = true
id = "0192d4e0-7b1c-7000-8000-00000000002c"
kind = "dark blue"
name = "Größe\u2028\uFEFF"
parent = "0001"
rev = 2
size = 1e300
sizes = []
tags = ["a", "b\nc"]
updated_at = 2026-11-21T07:00:00.500Z
when = 0001-01-01T00:00:00.000Z
"#;

const CANONICAL_FIELDS: &[(&str, &str)] = &[
    ("alias", r#""C:\\temp \"x\"""#),
    (
        "body",
        r##""# Notes\n\nTrailing blank: \n\t\"quoted\", and \r\\ and \"\"\"\nend""##,
    ),
    ("count", "-7"),
    ("data", r#""AAH/""#),
    ("extra", r#"{"b": null, "a": [1, 2.5, "x\n"]}"#),
    ("flag", "true"),
    ("kind", r#""dark blue""#),
    ("name", r#""Größe\u2028\ufeff""#),
    ("parent", r#""0001""#),
    ("size", "1e300"),
    ("sizes", "[]"),
    ("tags", r#"["a", "b\nc"]"#),
    ("when", r#""0001-01-01T00:00:00Z""#),
];

#[test]
fn a_file_reads_well() {
    let schema = schema();
    let ty = ty(&schema, "thing");
    let row = row(ty, 2, CANONICAL_FIELDS);
    assert_eq!(object(ty, &row), CANONICAL);
    let found = read(ty, CANONICAL.as_bytes()).unwrap();
    assert_eq!(found.line, 1);
    assert_eq!(found.into_row().unwrap(), row);
}

#[test]
fn the_log_has_a_line_a_field() {
    let schema = schema();
    let ty = ty(&schema, "thing");
    let given = [
        ("body", r#""a\nb""#),
        ("extra", r#"{"it's": 1}"#),
        ("name", "\"x\""),
    ];
    let row = row(ty, 1, &given);
    let text = fields(ty, &row.values);
    assert_eq!(
        text,
        "body = \"a\\nb\"\nextra = \"{\\\"it's\\\":1}\"\nname = \"x\"\n"
    );
    let hash = Hash::of(ty, &row.values);
    assert_eq!(hash.to_string(), "33521f1d77e5e291958928fd5977b284");
    assert_eq!(Hash::parse(&hash.to_string()), Some(hash));
    for wrong in [
        "",
        "0",
        "60303AE22B998861BCE3B28F33EEC1BE",
        "+0303ae22b998861bce3b28f33eec1be",
    ] {
        assert_eq!(Hash::parse(wrong), None);
    }
}

#[test]
fn long_lists_have_a_line_an_item() {
    let schema = schema();
    let ty = ty(&schema, "thing");
    // 100 columns, and one more.
    let tags = |last: usize| {
        let last = "é".repeat(last);
        format!("[\"{}\", \"{last}\"]", "x".repeat(40))
    };
    let text = object(ty, &row(ty, 1, &[("tags", &tags(45))]));
    let line = text.lines().find(|line| line.starts_with("tags")).unwrap();
    assert_eq!(line.chars().count(), 100);
    let text = object(ty, &row(ty, 1, &[("tags", &tags(46))]));
    let expected = format!(
        "tags = [\n    \"{}\",\n    \"{}\",\n]\n",
        "x".repeat(40),
        "é".repeat(46)
    );
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn a_day_has_a_block_an_event() {
    let schema = schema();
    let ty = ty(&schema, "event");
    let one = row(
        ty,
        1,
        &[
            ("at", "\"2026-11-21T00:00:00Z\""),
            ("kind", "\"open\""),
            ("message", "\"a\\nb\""),
        ],
    );
    let text = day(ty, &[&one, &one]);
    let block = r#"[[event]]
at = 2026-11-21T00:00:00.000Z
created_at = 2026-11-20T07:00:00.000Z
id = "0192d4e0-7b1c-7000-8000-00000000002c"
kind = "open"
message = "a\nb"
rev = 1
updated_at = 2026-11-21T07:00:00.500Z
"#;
    assert_eq!(text, format!("O:\n{block}\n{block}"));
    let found = read_day(ty, text.as_bytes()).unwrap();
    assert_eq!(found.iter().map(|f| f.line).collect::<Vec<_>>(), [2, 11]);
    let rows: Vec<_> = found.into_iter().filter_map(Found::into_row).collect();
    assert_eq!(rows, [one.clone(), one]);
    assert_eq!(day(ty, &[]), "O:\n");
    assert_eq!(read_day(ty, b"O:\n").unwrap(), []);
    assert_eq!(read_day(ty, b"").unwrap(), []);
}

/// What the original writes: fields that both formats can express.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Legacy {
    alias: Option<String>,
    body: Option<String>,
    count: i64,
    flag: bool,
    name: String,
    size: f64,
    sizes: Vec<i64>,
    tags: Vec<String>,
}

proptest! {
    #[test]
    fn objects_come_back(row in any_row(ty(&schema(), "thing"))) {
        let schema = schema();
        let ty = ty(&schema, "thing");
        let text = object(ty, &row);
        prop_assert!(text.starts_with("O:\n") && text.ends_with('\n') && !text.ends_with("\n\n"));
        prop_assert!(!text.contains('\r'));
        // Fast and slow read the same, and either gives the object.
        let source = crate::otoml::Source::new(&text);
        let fast = crate::otoml::read::canonical(ty, &source.body).expect("canonical");
        let slow = crate::otoml::read::object(ty, &source).expect("TOML");
        prop_assert_eq!(&fast, &slow);
        prop_assert!(crate::otoml::read::fits(ty, &fast));
        let again = read(ty, text.as_bytes()).unwrap().into_row().unwrap();
        prop_assert_eq!(&again, &row);
        prop_assert_eq!(object(ty, &again), text.as_str());
        // No editor's habit of cutting blanks off changes it.
        let cut: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        prop_assert_eq!(read(ty, cut.as_bytes()).unwrap().into_row().unwrap(), row);
        // Nor one that saves CR LF and a byte order mark.
        let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        let found = read(ty, windows.as_bytes()).unwrap();
        prop_assert_eq!(found.into_row().unwrap(), again);
    }

    #[test]
    fn the_original_reads_objects_as_tables(row in any_row(ty(&schema(), "thing"))) {
        let schema = schema();
        let ty = ty(&schema, "thing");
        let text = object(ty, &row);
        let table: toml::Table = herolib_otoml::load_otoml(&text).unwrap();
        let set = row.values.iter().filter(|value| !value.is_null()).count();
        prop_assert_eq!(table.len(), set + 4);
        prop_assert_eq!(table["id"].as_str(), Some(row.id.as_str()));
        prop_assert_eq!(table["rev"].as_integer(), Some(row.rev));
        let created_at = table["created_at"].as_datetime().unwrap().to_string();
        prop_assert_eq!(Time::parse(&created_at), Some(row.created_at));
        for (field, value) in ty.fields.iter().zip(&row.values) {
            let read = table.get(&field.name);
            if let Value::Str(text) | Value::Json(text) = value {
                prop_assert_eq!(read.and_then(toml::Value::as_str), Some(&**text));
            }
            if let Value::Float(x) = value {
                prop_assert_eq!(read.and_then(toml::Value::as_float), Some(*x));
            }
        }
        // The log's lines and the days' blocks are TOML to it as well.
        let log = format!("O:\n{}", fields(ty, &row.values));
        prop_assert_eq!(log.lines().count(), set + 1);
        let table: toml::Table = herolib_otoml::load_otoml(&log).unwrap();
        prop_assert_eq!(table.len(), set);
    }

    #[test]
    fn what_the_original_writes_is_read(
        alias in proptest::option::of(text()), name in text(), body in "[a-z #\"'=\t\n漢]{0,20}[a-z]",
        tags in proptest::collection::vec(text(), 0..4), sizes in proptest::collection::vec(any::<i64>(), 0..4),
        count in any::<i64>(), flag in any::<bool>(),
        size in any::<f64>().prop_filter("finite", |x| x.is_finite() && *x != 0.0),
    ) {
        // It breaks texts with a line break in them, if they hold more than plain characters.
        let plain = |text: String| text.replace('\n', "");
        let legacy = Legacy {
            alias: alias.map(plain),
            body: Some(body.trim_start_matches('\n').replace("\"\"\"", "")),
            count,
            flag,
            name: plain(name),
            size,
            sizes,
            tags: tags.into_iter().map(plain).collect(),
        };
        let text = herolib_otoml::dump_otoml(&legacy).unwrap();
        let schema = schema();
        let ty = ty(&schema, "thing");
        let found = read(ty, text.as_bytes()).unwrap();
        prop_assert!(found.id.is_none() && found.rev.is_none() && found.created_at.is_none());
        let row = osis_core::object::Row { values: found.values, ..row(ty, 1, &[]) };
        // And the original reads it again from what we make of it.
        let mut table: toml::Table = herolib_otoml::load_otoml(&object(ty, &row)).unwrap();
        table.retain(|name, _| !matches!(name, "id" | "rev" | "created_at" | "updated_at"));
        prop_assert_eq!(table.try_into::<Legacy>().unwrap(), legacy);
    }

    #[test]
    fn days_come_back(rows in proptest::collection::vec(any_row(ty(&schema(), "event")), 0..4)) {
        let schema = schema();
        let ty = ty(&schema, "event");
        let all: Vec<_> = rows.iter().collect();
        let text = day(ty, &all);
        let source = crate::otoml::Source::new(&text);
        let fast = crate::otoml::read::canonical_day(ty, &source).expect("canonical");
        let slow = crate::otoml::read::day(ty, &source).expect("TOML");
        prop_assert_eq!(&fast, &slow);
        let back: Vec<_> = fast.into_iter().filter_map(Found::into_row).collect();
        prop_assert_eq!(back, rows);
        let _: toml::Table = herolib_otoml::load_otoml(&text).unwrap();
    }
}
