//! Entries, written and read.

use osis_core::backend::ChangeOp;
use osis_core::object::{Id, Row};
use osis_core::schema::Schema;
use osis_core::time::Time;
use osis_core::value::Value;
use proptest::prelude::*;

use super::{Change, Content, Entry};
use crate::otoml::tests::{any_row, schema};
use crate::record::{Hash, Version};

const HASH: &str = "60303ae22b998861bce3b28f33eec1be60303ae22b998861bce3b28f33eec1be";

/// What an entry looks like.
const SAMPLE: &str = r#"O:
first = 12
format = 1
last = 13
schema = "60303ae22b998861bce3b28f33eec1be60303ae22b998861bce3b28f33eec1be"
writer = "host \"a\"-4711"
[[change]]
at = 2026-11-21T07:00:00.000Z
id = "0001"
op = "new"
rev = 1
seq = 12
type = "thing"
[change.object]
created_at = 2026-11-20T07:00:00.000Z
updated_at = 2026-11-21T07:00:00.000Z
body = "two\n[[change]]\nlines"
extra = '{"a":[1]}'
tags = ["é", "b"]
[[change]]
at = 2026-11-21T07:00:00.000Z
folded = true
id = "0002"
op = "set"
rev = 3
seq = 13
type = "note"
was = { hash = "000102030405060708090a0b0c0d0e0f", rev = 2 }
[[change]]
at = 2026-11-21T07:00:00.000Z
id = "0003"
op = "delete"
rev = 7
seq = 13
type = "thing"
was = { hash = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f", rev = 7 }
# end: 727 bytes, crc32 c745c31e
"#;

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn sample(schema: &Schema) -> Entry {
    let thing = schema.find("thing").unwrap();
    let mut values = vec![Value::Null; thing.fields.len()];
    values[thing.field("body").unwrap()] = Value::from("two\n[[change]]\nlines");
    values[thing.field("extra").unwrap()] = Value::Json("{\"a\":[1]}".into());
    values[thing.field("tags").unwrap()] = Value::List([Value::from("é"), Value::from("b")].into());
    let at = time("2026-11-21T07:00:00Z");
    let new = Change {
        seq: 12,
        type_id: thing.id,
        id: id("0001"),
        at,
        op: ChangeOp::New,
        rev: 1,
        was: None,
        content: Content::Full(Row {
            id: id("0001"),
            rev: 1,
            created_at: time("2026-11-20T07:00:00Z"),
            updated_at: at,
            values: values.into(),
        }),
    };
    let set = Change {
        seq: 13,
        type_id: schema.find("note").unwrap().id,
        id: id("0002"),
        op: ChangeOp::Set,
        rev: 3,
        was: Some(Version {
            rev: 2,
            hash: Hash(std::array::from_fn(|n| u8::try_from(n).unwrap())),
        }),
        content: Content::Folded,
        ..new.clone()
    };
    let delete = Change {
        seq: 13,
        id: id("0003"),
        op: ChangeOp::Delete,
        rev: 7,
        was: Some(Version {
            rev: 7,
            hash: Hash([15; 16]),
        }),
        content: Content::Gone,
        ..new.clone()
    };
    Entry {
        first: 12,
        last: 13,
        writer: "host \"a\"-4711".to_owned(),
        schema: HASH.to_owned(),
        new_schema: None,
        changes: vec![new, set, delete],
    }
}

/// A text with a last line that bears it out.
fn sealed(text: &str) -> String {
    format!("{text}{}", super::trailer(text.as_bytes()))
}

#[test]
fn an_entry_looks_like_this() {
    let schema = schema();
    let entry = sample(&schema);
    let text = entry.encode(&schema);
    assert_eq!(text, SAMPLE);
    assert_eq!(Entry::decode(&schema, HASH, text.as_bytes()), Ok(entry));
    let table: toml::Table = herolib_otoml::load_otoml(&text).unwrap();
    assert_eq!(table["change"].as_array().map(Vec::len), Some(3));
}

#[test]
fn a_schema_comes_on_its_own() {
    let schema = schema();
    let entry = Entry {
        first: 1,
        last: 1,
        new_schema: Some("name = \"shop\"\n[[change]]\n".to_owned()),
        changes: Vec::new(),
        ..sample(&schema)
    };
    let text = entry.encode(&schema);
    assert!(text.contains("\nnew_schema = \"name = \\\"shop\\\"\\n[[change]]\\n\"\n"));
    assert_eq!(Entry::decode(&schema, HASH, text.as_bytes()), Ok(entry));
}

#[test]
fn of_another_schema_only_the_head_is_read() {
    let schema = schema();
    let entry = sample(&schema);
    let text = entry.encode(&schema);
    let other = Entry::decode(&schema, "other", text.as_bytes()).unwrap();
    assert_eq!(
        other,
        Entry {
            changes: Vec::new(),
            ..entry
        }
    );
    let changed = sealed(
        &SAMPLE
            .replace("type = \"note\"", "type = \"gone\"")
            .replace(end(), ""),
    );
    assert!(Entry::decode(&schema, "other", changed.as_bytes()).is_ok());
}

/// The last line of the sample.
fn end() -> &'static str {
    &SAMPLE[SAMPLE.find("# end").unwrap()..]
}

#[test]
fn damage_is_seen() {
    let schema = schema();
    let whole = SAMPLE.as_bytes();
    for len in 0..whole.len() {
        let error = Entry::decode(&schema, HASH, &whole[..len]).unwrap_err();
        assert!(
            error.contains("torn") || error.contains("damaged"),
            "{error}"
        );
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 1 << bit;
            let error = Entry::decode(&schema, HASH, &bytes).unwrap_err();
            assert!(error.contains("damaged"), "{error}");
        }
    }
    for more in ["\n", "x", "O:\n", SAMPLE] {
        let text = format!("{SAMPLE}{more}");
        assert!(Entry::decode(&schema, HASH, text.as_bytes()).is_err());
    }
    let hole = [&whole[..400], &whole[420..]].concat();
    assert!(Entry::decode(&schema, HASH, &hole).is_err());
    let zeros = [&whole[..400], &[0; 4096][..]].concat();
    assert!(Entry::decode(&schema, HASH, &zeros).is_err());
}

#[test]
fn errors_say_what_and_where() {
    let schema = schema();
    let decode = |text: &str| Entry::decode(&schema, HASH, text.as_bytes()).unwrap_err();
    assert_eq!(
        decode(&SAMPLE[..300]),
        "is torn or damaged: it ends at byte 300, line 16, without the line `# end: …` that ends an entry"
    );
    assert!(
        decode(&SAMPLE.replace("rev = 3", "rev ? 3")).starts_with("is damaged, as in line 25: "),
        "{}",
        decode(&SAMPLE.replace("rev = 3", "rev ? 3"))
    );
    let with = |old: &str, new: &str| decode(&sealed(&SAMPLE.replace(end(), "").replace(old, new)));
    assert_eq!(
        with("format = 1", "format = 2"),
        "is of format 2, and this program knows format 1 alone: a newer osis wrote it"
    );
    for (old, new, expected) in [
        (
            "\"note\"",
            "\"gone\"",
            "line 27: the schema has no type of this name",
        ),
        (
            "body = ",
            "bodies = ",
            "line 17: no field of this name is expected here",
        ),
        (
            "tags = ",
            "alias = ",
            "line 19: no field of this name is expected here",
        ),
        ("rev = 3", "rev = x", "line 25: expected a whole number"),
        (
            "last = 13",
            "last = 11",
            "line 5: expected a last seq that is not below the first",
        ),
        ("O:\n", "", "line 1: expected `O:`"),
        (
            "op = \"set\"",
            "op = \"get\"",
            "line 24: expected new, set or delete",
        ),
    ] {
        assert_eq!(with(old, new), expected);
    }
}

proptest! {
    #[test]
    fn entries_come_back(
        rows in proptest::collection::vec(any_row(schema().find("thing").unwrap()), 0..5),
        seq in 1u64..1 << 60, writer in "[ -~\n]{0,9}",
    ) {
        let schema = schema();
        let ty = schema.find("thing").unwrap();
        let changes: Vec<Change> = rows.into_iter().map(|row| Change {
            seq,
            type_id: ty.id,
            id: row.id.clone(),
            at: row.updated_at,
            op: ChangeOp::Set,
            rev: row.rev,
            was: Some(Version { rev: row.rev, hash: Hash::of(ty, &row.values) }),
            content: Content::Full(row),
        }).collect();
        let entry = Entry {
            first: seq,
            last: seq,
            writer,
            schema: HASH.to_owned(),
            new_schema: None,
            changes,
        };
        let text = entry.encode(&schema);
        let _: toml::Table = herolib_otoml::load_otoml(&text).unwrap();
        prop_assert_eq!(Entry::decode(&schema, HASH, text.as_bytes()), Ok(entry));
    }

    #[test]
    fn bytes_never_panic(text in "(\\[\\[change\\]\\]\n|at = |O:\n|first = 1\n|[ -~\n]|\\\\u|é|\"){0,40}") {
        let schema = schema();
        prop_assert!(Entry::decode(&schema, HASH, text.as_bytes()).is_err());
        // Nor with the right checksum, wherever it goes wrong.
        let _ = Entry::decode(&schema, HASH, sealed(&text).as_bytes());
        for at in (0..SAMPLE.len()).filter(|at| SAMPLE.is_char_boundary(*at)) {
            let text = sealed(&format!("{}{text}", &SAMPLE[..at]));
            let _ = Entry::decode(&schema, HASH, text.as_bytes());
        }
    }
}

/// `cargo test --release -p osis-backend-file speed -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn speed_of_a_large_entry() {
    let schema = schema();
    let mut entry = sample(&schema);
    let mut one = entry.changes.swap_remove(0);
    if let Content::Full(row) = &mut one.content {
        let body = "Some words of a text that a person wrote.\n".repeat(14);
        row.values[schema.types[one.type_id].field("body").unwrap()] = Value::from(&*body);
    }
    entry.changes = vec![one; 100_000];
    let start = std::time::Instant::now();
    let text = entry.encode(&schema);
    let encoded = start.elapsed();
    let start = std::time::Instant::now();
    let decoded = Entry::decode(&schema, HASH, text.as_bytes()).unwrap();
    let took = start.elapsed();
    let rate = |took: std::time::Duration| text.len() as f64 / took.as_secs_f64() / 1e6;
    println!(
        "{} bytes a change; encode {:.0} MB/s, decode {:.0} MB/s",
        text.len() / 100_000,
        rate(encoded),
        rate(took)
    );
    assert_eq!(decoded.changes.len(), 100_000);
}
