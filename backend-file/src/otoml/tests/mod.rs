//! OTOML, written and read.

mod edited;
mod faults;
mod speed;
mod written;

use osis_core::input;
use osis_core::json::Json;
use osis_core::object::{Id, Row};
use osis_core::schema::{Field, FieldKind, Item, Schema, Source, Type, load};
use osis_core::time::Time;
use osis_core::value::Value;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A type with a field of every kind, some of them before the system's in the alphabet, and a log
/// type.
const ALL: &str = r#"
name = "all"
version = 1

[types.thing]
plural = "things"

[types.thing.fields]
alias  = { type = "string" }
body   = { type = "text" }
count  = { type = "int" }
data   = { type = "bytes" }
extra  = { type = "json" }
flag   = { type = "bool" }
kind   = { type = "enum", values = ["red", "dark blue"] }
name   = { type = "string" }
parent = { type = "ref", to = "thing" }
size   = { type = "float" }
sizes  = { type = "list", of = "int" }
tags   = { type = "list", of = "string" }
when   = { type = "time" }
zone   = { type = "string", index = true }

[types.note]
plural = "notes"

[types.note.fields]
body  = { type = "text" }
count = { type = "int", required = true, default = 3, max = 9 }
name  = { type = "string", required = true, pattern = "^[A-Z]" }
price = { type = "float", min = 0.5 }
specs = { type = "json" }
tags  = { type = "list", of = "string", max = 4 }
until = { type = "time" }

[types.event]
plural = "events"
class = "log"
time = "at"

[types.event.fields]
at      = { type = "time", required = true }
message = { type = "text" }
facts   = { type = "json" }
kind    = { type = "string", required = true }
"#;

/// The schema of these tests.
pub(crate) fn schema() -> Schema {
    load(&[Source::new("all.toml", ALL)]).unwrap()
}

fn ty<'a>(schema: &'a Schema, name: &str) -> &'a Type {
    schema.find(name).unwrap()
}

fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

/// A row of a type, its fields from JSON.
fn row(ty: &Type, rev: i64, fields: &[(&str, &str)]) -> Row {
    let mut values = vec![Value::Null; ty.fields.len()];
    for (name, text) in fields {
        let position = ty.field(name).unwrap();
        let mut faults = osis_core::error::Faults::default();
        let json = Json::parse(text.as_bytes()).unwrap();
        let value = input::value(&ty.fields[position], &json, name, &mut faults);
        values[position] = value.unwrap_or_else(|| panic!("{}", faults.into_error()));
    }
    Row {
        id: Id::parse("0192d4e0-7b1c-7000-8000-00000000002c").unwrap(),
        rev,
        created_at: time("2026-11-20T07:00:00.000Z"),
        updated_at: time("2026-11-21T07:00:00.500Z"),
        values: values.into(),
    }
}

/// Texts of all that is hard to write, and some that is not.
fn text() -> impl Strategy<Value = String> {
    let hard = select(vec![
        "\n",
        "\r",
        "\r\n",
        "\t",
        " ",
        "  \n",
        "\t\n",
        "\"",
        "\"\"",
        "\"\"\"",
        "'",
        "'''",
        "\\",
        "\\n",
        "\\\n",
        "#",
        " # x",
        "=",
        "[[event]]",
        "[[change]]",
        "O:",
        "\u{1}",
        "\u{7f}",
        "\u{1b}[1m",
        "\u{85}",
        "\u{9f}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "\u{200d}",
        "é",
        "漢",
        "🎉",
        "{",
        "}",
        "[",
        "]",
        ",",
        "name = 1\n",
        "word",
        "C:\\temp",
        "\u{8}\u{c}",
        "\u{a0}",
        "\u{10ffff}",
    ]);
    let any = any::<char>().prop_map(|c| if c == '\0' { 'x' } else { c }.to_string());
    let piece = prop_oneof![4 => hard.prop_map(str::to_owned), 1 => any];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn json(depth: u32) -> BoxedStrategy<Json> {
    let leaf = prop_oneof![
        Just(Json::Bool(true)),
        any::<i64>().prop_map(|n| Json::Int(n.into())),
        Just(Json::Int(u64::MAX.into())),
        any::<f64>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(|x| Json::Float(x + 0.0)),
        text().prop_map(Json::Str),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let entries = vec((text(), json(depth - 1)), 0..4).prop_map(|mut entries| {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        entries.dedup_by(|a, b| a.0 == b.0);
        Json::Object(entries)
    });
    let items = vec(prop_oneof![Just(Json::Null), json(depth - 1)], 0..4).prop_map(Json::Array);
    prop_oneof![2 => leaf, 1 => items, 2 => entries].boxed()
}

fn any_time() -> impl Strategy<Value = Time> {
    let all = Time::MIN.as_millis()..=Time::MAX.as_millis();
    all.prop_map(|ms| Time::from_millis(ms).unwrap())
}

fn any_id() -> impl Strategy<Value = Id> {
    "[a-z0-9-]{4,64}".prop_map(|text| Id::parse(&text).unwrap())
}

fn value(field: &Field) -> BoxedStrategy<Value> {
    let set = match &field.kind {
        FieldKind::String | FieldKind::Text => text().prop_map(|t| Value::Str(t.into())).boxed(),
        FieldKind::Int => prop_oneof![any::<i64>(), -3i64..3, Just(i64::MIN), Just(i64::MAX)]
            .prop_map(Value::Int)
            .boxed(),
        FieldKind::Float => prop_oneof![
            any::<f64>(),
            select(vec![
                0.0,
                1.0,
                -1.5,
                1e15,
                1e16,
                1e300,
                5e-324,
                f64::MAX,
                1e-7,
                0.1
            ]),
        ]
        .prop_filter("finite", |x| x.is_finite())
        .prop_map(|x| Value::Float(x + 0.0))
        .boxed(),
        FieldKind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldKind::Time => any_time().prop_map(Value::Time).boxed(),
        FieldKind::Enum(values) => select(values.clone())
            .prop_map(|v| Value::Str(v.into()))
            .boxed(),
        FieldKind::Ref { .. } => any_id().prop_map(|id| Value::from(id.as_str())).boxed(),
        FieldKind::List(Item::Int) => vec(any::<i64>().prop_map(Value::Int), 0..9)
            .prop_map(|items| Value::List(items.into()))
            .boxed(),
        FieldKind::List(Item::String) => vec(text().prop_map(|t| Value::Str(t.into())), 0..5)
            .prop_map(|items| Value::List(items.into()))
            .boxed(),
        FieldKind::Json => json(3)
            .prop_map(|json| Value::Json(input::canonical(&json).into()))
            .boxed(),
        FieldKind::Bytes => vec(any::<u8>(), 0..40)
            .prop_map(|bytes| Value::Bytes(bytes.into()))
            .boxed(),
    };
    prop_oneof![1 => Just(Value::Null), 3 => set].boxed()
}

/// Rows of a type whose fields have no rules; what is required is set.
pub(crate) fn any_row(ty: &Type) -> impl Strategy<Value = Row> + use<> {
    let values: Vec<_> = ty
        .fields
        .iter()
        .map(|field| match field.required {
            true => value(field).prop_filter("set", |v| !v.is_null()).boxed(),
            false => value(field),
        })
        .collect();
    (any_id(), 1i64..=1 << 53, any_time(), any_time(), values).prop_map(
        |(id, rev, created_at, updated_at, values)| Row {
            id,
            rev,
            created_at,
            updated_at,
            values: values.into(),
        },
    )
}
