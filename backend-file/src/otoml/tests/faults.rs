//! What people write, right and wrong.

use osis_core::value::Value;
use proptest::prelude::*;

use super::{any_row, row, schema, time, ty};
use crate::otoml::{Fault, Source, day, object, read, read_day};

/// The faults of a file, as `line:column message`.
fn faults(type_name: &str, text: &str) -> Vec<String> {
    let schema = schema();
    shown(&read(ty(&schema, type_name), text.as_bytes()).unwrap_err())
}

fn shown(faults: &[Fault]) -> Vec<String> {
    faults
        .iter()
        .map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.message))
        .collect()
}

#[test]
fn all_faults_are_named_with_their_places() {
    let text = r#"O:
# A comment.
body = 7
colour = "red"  # no such field
count = 12
  name = "lower"
price = 0.25
rev = 0
specs = "{"
tags = ["é", 1,
  "x", 2.5]
until = 2026-11-21
updated_at = "yesterday"
id = "No"
"#;
    assert_eq!(
        faults("note", text),
        [
            "3:8 body: expected a string, got an integer",
            "4:1 colour: note has no field of this name",
            "5:9 count: is 12, at most 9 expected",
            "6:10 name: does not match the pattern ^[A-Z]",
            "7:9 price: is 0.25, at least 0.5 expected",
            "9:9 specs: is not JSON: expected a name in double quotes at line 1, column 2",
            "10:14 tags[1]: expected a string, got an integer",
            "11:8 tags[3]: expected a string, got a number with fraction or exponent",
            "12:9 until: expected an RFC 3339 time with an offset, such as 2026-11-21T07:00:00.000Z, got 2026-11-21",
            "14:6 id: expected an id: 4 to 64 characters of a-z, 0-9 and -",
        ]
    );
}

#[test]
fn what_is_no_toml_has_one_fault() {
    for (text, expected) in [
        ("", vec!["1:1 name: is required"]),
        ("O:\n", vec!["2:1 name: is required"]),
        (
            "name = \"A\"\nname = \"B\"\n",
            vec!["2:1 is not valid TOML: duplicate key"],
        ),
        (
            "O:\r\nname = \"A\"\r\nbody = \"é\" x\r\n",
            vec!["3:12 is not valid TOML: unexpected key or value, expected newline, `#`"],
        ),
        (
            "count = 9223372036854775808",
            vec!["1:9 is not valid TOML: integer number overflowed"],
        ),
        (
            "O: x\nname = \"A\"",
            vec!["1:4 is not valid TOML: key with no value, expected `=`"],
        ),
        (
            "name = \"A",
            vec!["1:10 is not valid TOML: invalid basic string, expected `\"`"],
        ),
    ] {
        assert_eq!(faults("note", text), expected, "{text:?}");
    }
    let schema = schema();
    let not_utf8 = read(ty(&schema, "note"), "O:\nname = \"é\u{1}".as_bytes()).unwrap_err();
    assert_eq!(not_utf8.len(), 1);
    let not_utf8 = read(ty(&schema, "note"), b"O:\nname = \"\xc3\xa9\xff\"\n").unwrap_err();
    assert_eq!(shown(&not_utf8), ["2:10 is not UTF-8"]);
}

#[test]
fn tables_are_for_json_alone() {
    let given = |specs: &str| {
        let schema = schema();
        let text = format!("name = \"A\"\n{specs}\n");
        let found = read(ty(&schema, "note"), text.as_bytes());
        found
            .map(|found| found.values[4].clone())
            .map_err(|f| shown(&f))
    };
    let json = |text: &str| Ok(Value::Json(text.into()));
    assert_eq!(
        given("specs = '{\"b\": 1, \"a\": 2}'"),
        json(r#"{"a":2,"b":1}"#)
    );
    assert_eq!(
        given("specs = { b = 1, a.c = [true, 2.5] }"),
        json(r#"{"a":{"c":[true,2.5]},"b":1}"#)
    );
    assert_eq!(
        given("specs.b = 1\nspecs.a = 'x'"),
        json(r#"{"a":"x","b":1}"#)
    );
    assert_eq!(
        given(
            "[specs]\nat = 2026-11-21 07:00:00Z\n[specs.in]\nx = 1\n[[specs.many]]\n[[specs.many]]"
        ),
        json(r#"{"at":"2026-11-21T07:00:00Z","in":{"x":1},"many":[{},{}]}"#)
    );
    assert_eq!(
        given("[[specs]]\na = 1\n[[specs]]"),
        json(r#"[{"a":1},{}]"#)
    );
    assert_eq!(given("specs = 7"), json("7"));
    assert_eq!(given("specs = '\"text\"'"), json("\"text\""));
    assert_eq!(given("specs = 'null'"), Ok(Value::Null));
    assert_eq!(
        given("specs = [1, nan]"),
        Err(vec![
            "2:13 specs[1]: expected a 64-bit integer or a finite number, got a number out of range".to_owned()
        ])
    );
    assert_eq!(
        given("[body]\nx = 1"),
        Err(vec!["2:2 body: is a text, got a table".to_owned()])
    );
    assert_eq!(
        given("body.x = 1\ntags = [2026-11-21]\ncount = 1979-05-27T07:32:00Z"),
        Err(vec![
            "2:1 body: is a text, got a table".to_owned(),
            "3:9 tags: did not expect a date or time here; a text goes between quotes".to_owned(),
            "4:9 count: did not expect a date or time here; a text goes between quotes".to_owned(),
        ])
    );
}

#[test]
fn times_are_read_as_the_contract_says() {
    let given = |until: &str| {
        let schema = schema();
        let text = format!("name = \"A\"\nuntil = {until}\n");
        let found = read(ty(&schema, "note"), text.as_bytes());
        found.ok().map(|found| found.values[6].clone())
    };
    let is = |text: &str| Some(Value::Time(time(text)));
    for (text, kept) in [
        ("2026-11-21T07:00:00Z", is("2026-11-21T07:00:00.000Z")),
        (
            "2026-11-21 09:30:00.1239999+02:30",
            is("2026-11-21T07:00:00.123Z"),
        ),
        (
            "2026-11-21t07:00:00.123456789z",
            is("2026-11-21T07:00:00.123Z"),
        ),
        ("\"2026-11-21T07:00:00Z\"", is("2026-11-21T07:00:00.000Z")),
        ("2026-11-21T07:00:00.1234567891Z", None),
        ("2026-11-21T07:00:60Z", None),
        ("2026-11-21T07:00Z", None),
        ("2026-11-21T07:00:00", None),
        ("2026-11-21", None),
        ("07:00:00", None),
        ("1795244400", None),
        ("\"2026-11-21 07:00:00\"", None),
    ] {
        assert_eq!(given(text), kept, "{text}");
    }
}

#[test]
fn editors_leave_their_marks() {
    let schema = schema();
    let ty = ty(&schema, "note");
    for text in [
        "O:\nname = \"A\"\nbody = \"\"\"\na\nb\\r\\n\"\"\"",
        "\u{feff}O:\r\nname = 'A'\r\nbody = \"\"\"\r\na\r\nb\\r\\n\"\"\"\r\n",
        "O: \nbody = \"\"\"a\\n\\\r\n   b\\r\\n\"\"\" # x\r\n\r\nname = \"\\u0041\"",
        "\u{feff}# none\n\"name\" = \"A\"\nbody = \"a\\nb\\r\\n\"\ncount = 0x3",
    ] {
        let found = read(ty, text.as_bytes()).unwrap_or_else(|f| panic!("{f:?} {text}"));
        assert_eq!(found.values[0], Value::from("a\nb\r\n"), "{text}");
        assert_eq!(found.values[2], Value::from("A"), "{text}");
        // A required field that is missing takes its default.
        assert_eq!(found.values[1], Value::Int(3), "{text}");
        assert_eq!(found.rev, None);
    }
}

#[test]
fn a_day_may_be_edited() {
    let schema = schema();
    let ty = ty(&schema, "event");
    let text = r#"O:
# What happened.

[[event]]
at = 2026-11-21T00:00:00Z
kind = "one"
message = """
[[event]]
kind = 7
"""

  [[event]] # Another.
  kind = "two"
  at = 2026-11-21T01:00:00Z
  facts = { a = 1 }
[event.facts.b]
"#;
    let text = text.replace(
        "facts = { a = 1 }\n[event.facts.b]",
        "[event.facts]\nb = {}",
    );
    let found = read_day(ty, text.as_bytes()).unwrap();
    let lines: Vec<_> = found.iter().map(|found| found.line).collect();
    assert_eq!(lines, [4, 12]);
    assert_eq!(found[0].values[1], Value::from("[[event]]\nkind = 7\n"));
    assert_eq!(found[1].values[2], Value::Json("{\"b\":{}}".into()));
    let wrong = "event = []\nother = 1\n";
    assert_eq!(
        shown(&read_day(ty, wrong.as_bytes()).unwrap_err()),
        [
            "1:9 event: expected nothing but [[event]] here",
            "2:9 other: expected nothing but [[event]] here"
        ]
    );
    let wrong =
        "O:\n[[event]]\nat = 2026-11-21T00:00:00.000Z\nkind = \"x\"\n\n[[event]]\nrev = 0\n";
    assert_eq!(
        shown(&read_day(ty, wrong.as_bytes()).unwrap_err()),
        ["6:1 at: is required", "6:1 kind: is required"]
    );
}

#[test]
fn no_answer_is_endless() {
    let many: String = (0..300).map(|n| format!("x{n} = 1\n")).collect();
    assert_eq!(faults("note", &many).len(), 100);
    for deep in [
        "[".repeat(100_000),
        format!("specs{} = 1", ".a".repeat(100_000)),
        format!("specs = {}", "{a=".repeat(100_000)),
        format!("[specs{}]", ".a".repeat(100_000)),
    ] {
        assert_eq!(faults("note", &deep).len(), 1);
    }
}

proptest! {
    #[test]
    fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let schema = schema();
        let _ = read(ty(&schema, "thing"), &bytes);
        let _ = read_day(ty(&schema, "event"), &bytes);
    }

    #[test]
    fn a_scan_accepts_nothing_that_toml_reads_otherwise(
        row in any_row(ty(&schema(), "thing")), event in any_row(ty(&schema(), "event")),
        at in any::<proptest::sample::Index>(), len in 0usize..4,
        piece in "[ -~\n\t\r\0é\u{7f}]{0,3}|\"\"\"|'|\\\\|= |, |0|-|\\[\\[event\\]\\]\n",
    ) {
        let schema = schema();
        let (thing, log) = (ty(&schema, "thing"), ty(&schema, "event"));
        for (text, is_day) in [(object(thing, &row), false), (day(log, &[&event, &event]), true)] {
            let mut chars: Vec<char> = text.chars().collect();
            let from = at.index(chars.len());
            let to = (from + len).min(chars.len());
            chars.splice(from..to, piece.chars());
            let text: String = chars.into_iter().collect();
            let source = Source::new(&text);
            if is_day {
                if let Some(fast) = crate::otoml::read::canonical_day(log, &source) {
                    let slow = crate::otoml::read::day(log, &source);
                    prop_assert_eq!(Ok(fast), slow, "{}", text);
                }
            } else if let Some(fast) = crate::otoml::read::canonical(thing, &source.body)
                && crate::otoml::read::fits(thing, &fast)
            {
                let slow = crate::otoml::read::object(thing, &source);
                prop_assert_eq!(Ok(fast), slow, "{}", text);
            }
        }
    }
}

#[test]
fn the_rules_hold_for_canonical_text_as_well() {
    let schema = schema();
    let note = ty(&schema, "note");
    let text = object(note, &row(note, 1, &[("count", "9"), ("name", "\"A\"")]));
    assert!(read(note, text.as_bytes()).is_ok());
    for (old, new, expected) in [
        (
            "count = 9",
            "count = 10",
            "2:9 count: is 10, at most 9 expected",
        ),
        (
            "name = \"A\"",
            "name = \"a\"",
            "5:8 name: does not match the pattern ^[A-Z]",
        ),
        ("name = \"A\"\n", "", "2:1 name: is required"),
        (
            "rev = 1",
            "rev = 1\nspecs = '{]'",
            "7:9 specs: is not JSON: expected a name in double quotes at line 1, column 2",
        ),
    ] {
        let wrong = text.replace(old, new);
        assert_eq!(
            shown(&read(note, wrong.as_bytes()).unwrap_err()),
            [expected]
        );
    }
}

#[test]
fn what_people_write_into_system_fields_is_no_fault() {
    let schema = schema();
    let note = ty(&schema, "note");
    let text = "created_at = \"then\"\nname = \"A\"\nrev = -1\nupdated_at = 7\n";
    let found = read(note, text.as_bytes()).unwrap();
    assert_eq!(found.rev, None);
    assert_eq!((found.created_at, found.updated_at), (None, None));
}
