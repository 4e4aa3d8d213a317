//! Files that a person has edited, brought up to date.

use osis_core::object::Row;
use osis_core::schema::Type;
use osis_core::value::Value;
use proptest::prelude::*;

use super::{any_row, row, schema, time, ty};
use crate::otoml::{BlockEdit, Found, Source, object, read, read_day, update, update_day};

/// The rows of a file, with some fields changed; its rev goes up by one.
fn changed(ty: &Type, text: &str, fields: &[(&str, &str)]) -> Row {
    let found = read(ty, text.as_bytes()).unwrap_or_else(|f| panic!("{f:?}"));
    let mut changed = row(ty, found.rev.unwrap_or(0) + 1, fields);
    for (field, value) in ty.fields.iter().zip(&mut changed.values) {
        if !fields.iter().any(|(name, _)| *name == field.name) {
            *value = found.values[ty.field(&field.name).unwrap()].clone();
        }
    }
    if let Some(created_at) = found.created_at {
        changed.created_at = created_at;
    }
    changed.updated_at = time("2026-11-22T00:00:00.000Z");
    changed
}

/// Updates a file of a `thing`, and sees that it then reads as the object.
fn updated(text: &str, fields: &[(&str, &str)]) -> String {
    let schema = schema();
    let ty = ty(&schema, "thing");
    let row = changed(ty, text, fields);
    let text = update(text, ty, &row).unwrap();
    assert_eq!(read(ty, text.as_bytes()).unwrap().into_row().unwrap(), row);
    text
}

const EDITED: &str = r#"O:
# The best of apps.
#   By Ada.

name  = 'Notes'   # as in the shop
alias = "notes"

# How many.
count = 0x2A # forty-two
rev = 1
tags = ["a",
        "b"]
id = "0192d4e0-7b1c-7000-8000-00000000002c"
created_at = 2026-11-20 08:00:00+01:00
updated_at = "2026-11-21T07:00:00Z" # never mind

[extra] # more
a = 1
# inside
b = { c = 2 }

[extra.d]
e = 3
# The end.
"#;

#[test]
fn what_has_not_changed_stays() {
    assert_eq!(
        updated(EDITED, &[("alias", "\"memo\"")]),
        EDITED
            .replace("\"notes\"", "\"memo\"")
            .replace("rev = 1", "rev = 2")
            .replace("\"2026-11-21T07:00:00Z\" #", "2026-11-22T00:00:00.000Z #")
    );
}

#[test]
fn keys_come_and_go() {
    // Not in order: new keys go behind the others.
    assert_eq!(
        updated(
            EDITED,
            &[("count", "null"), ("flag", "true"), ("body", "\"a\\nb\"")]
        ),
        EDITED
            .replace("count = 0x2A # forty-two\n", "")
            .replace("rev = 1", "rev = 2")
            .replace(
                "\"2026-11-21T07:00:00Z\" # never mind\n",
                "2026-11-22T00:00:00.000Z # never mind\nbody = \"\"\"\na\nb\"\"\"\nflag = true\n"
            )
    );
    // In order: at their places.
    let text = "O:\n# Notes, and more.\n\n# The name.\nname = \"x\" # short\n\n# Last.\nsize = 1\n";
    assert_eq!(
        updated(
            text,
            &[
                ("alias", "\"y\""),
                ("zone", "\"z\""),
                ("parent", "\"0001\"")
            ]
        ),
        r#"O:
# Notes, and more.

alias = "y"
created_at = 2026-11-20T07:00:00.000Z
id = "0192d4e0-7b1c-7000-8000-00000000002c"
# The name.
name = "x" # short
parent = "0001"
rev = 1

# Last.
size = 1
updated_at = 2026-11-22T00:00:00.000Z
zone = "z"
"#
    );
}

#[test]
fn a_table_becomes_a_string_where_it_changes() {
    let text = updated(EDITED, &[("extra", r#"{"a": 2}"#)]);
    let expected = EDITED.split_once("[extra]").unwrap().0;
    let expected = expected
        .replace("rev = 1", "rev = 2")
        .replace("\"2026-11-21T07:00:00Z\" #", "2026-11-22T00:00:00.000Z #")
        .replace("# never mind\n", "# never mind\nextra = '{\"a\":2}'\n");
    assert_eq!(text, format!("{expected}\n# The end.\n"));
    let dotted = "alias = 'x'\nextra.a = 1\nflag = true\nextra.b = 2\n";
    let text = updated(dotted, &[("extra", "3")]);
    assert!(text.starts_with("alias = 'x'\ncreated_at = "), "{text}");
    assert!(
        text.contains("Z\nextra = '3'\nflag = true\nid = "),
        "{text}"
    );
    assert!(!text.contains("extra."), "{text}");
    let inline = "extra = { a = 1, } # more\nname = 'x'\n";
    let text = updated(inline, &[("extra", "3")]);
    assert!(text.contains("extra = '3' # more\n"), "{text}");
}

#[test]
fn lists_with_comments_change_by_item() {
    let text = "tags = [ # words\n  'a', # first\n  # second\n  \"b\",\n  'c' # third\n]\n";
    let list = |fields: &str| {
        let text = updated(text, &[("tags", fields)]);
        let (start, end) = (text.find("tags").unwrap(), text.find("updated_at").unwrap());
        text[start..end].to_owned()
    };
    assert_eq!(list(r#"["a", "b", "c"]"#), text);
    assert_eq!(list(r#"["a", "c"]"#), text.replace("  \"b\",\n", ""));
    assert_eq!(
        list(r#"["a", "b", "c", "d"]"#),
        text.replace("'c' #", "'c', #")
            .replace("third\n", "third\n  \"d\",\n")
    );
    assert_eq!(
        list(r#"["x", "a", "b", "c"]"#),
        text.replace("  'a'", "  \"x\",\n  'a'")
    );
    assert_eq!(
        list(r#"["a", "b", "x"]"#),
        text.replace("'c' # third", "\"x\",")
    );
    assert_eq!(list("[]"), "tags = [ # words\n  # second\n]\n");
    // Without comments there is nothing to keep.
    let plain = text
        .replace(" # words", "")
        .replace(" # first", "")
        .replace("  # second\n", "");
    let plain = plain.replace(" # third", "");
    assert!(updated(&plain, &[("tags", r#"["a", "c"]"#)]).contains("tags = [\"a\", \"c\"]\n"));
}

#[test]
fn line_ends_and_the_first_line_stay() {
    let text = "\u{feff}O:\r\nname = 'x'\r\nbody = \"\"\"\r\na\r\nb\"\"\"\r\nzone = 'z'";
    let all = updated(text, &[("zone", "\"y\"")]);
    assert!(all.starts_with(
        "\u{feff}O:\r\nname = 'x'\r\nbody = \"\"\"\r\na\r\nb\"\"\"\r\nzone = \"y\"\r\ncreated_at"
    ));
    assert_eq!(all.matches('\n').count(), all.matches("\r\n").count());
    let all = updated(text, &[("body", "\"c\\nd\"")]);
    assert!(
        all.contains("body = \"\"\"\r\nc\r\nd\"\"\"\r\nzone = 'z'\r\ncreated_at"),
        "{all}"
    );
    assert!(updated("name = 'x'", &[]).starts_with("created_at"));
    assert!(updated("", &[("name", "\"x\"")]).starts_with("created_at"));
    assert!(updated("O:", &[("name", "\"x\"")]).starts_with("O:\ncreated_at"));
    assert!(updated("\u{feff}", &[]).starts_with("\u{feff}created_at"));
    assert!(updated("# Only words.", &[]).starts_with("# Only words.\ncreated_at"));
    let table = updated("# Top.\n\n# More.\n[extra]\na = 1\n", &[("name", "\"x\"")]);
    assert!(table.starts_with("# Top.\n\ncreated_at"), "{table}");
    assert!(table.ends_with("Z\n# More.\n[extra]\na = 1\n"), "{table}");
}

#[test]
fn what_the_type_does_not_know_goes() {
    let schema = schema();
    let ty = ty(&schema, "thing");
    let row = row(ty, 1, &[("name", "\"x\"")]);
    let text = "name = 7 # a number?\nold = true\nsizes.x = 1\n[gone]\na = 1\n\n# Words.\n";
    let text = update(text, ty, &row).unwrap();
    assert!(text.contains("name = \"x\" # a number?\n"), "{text}");
    assert!(
        !text.contains("old") && !text.contains("sizes") && !text.contains("gone"),
        "{text}"
    );
    assert!(text.ends_with("\n# Words.\n"), "{text}");
    assert!(update("name = ", ty, &row).is_err());
}

#[test]
fn a_text_that_looks_like_a_comment_is_none() {
    let text = "body = \"\"\"\n# x\"\"\"\n# About zone.\nzone = 'z'\n";
    let text = updated(text, &[("body", "null")]);
    assert!(text.starts_with("created_at = "), "{text}");
    assert!(text.ends_with("Z\n# About zone.\nzone = 'z'\n"), "{text}");
}

fn spliced(text: &str, ty: &Type, row: &Row) -> String {
    crate::otoml::update::update(&Source::new(text), ty, row).unwrap()
}

/// A file as some person might have written the object: other spellings, comments, blank lines.
fn by_hand(text: &str, turns: &[u8]) -> String {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines().skip(1) {
        let new = line
            .split_once(" = ")
            .is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        let open = blocks.last().is_some_and(|block| {
            let value = block.split_once(" = ").map_or("", |(_, value)| value);
            let text = value.starts_with("\"\"\"") && !value[3..].ends_with("\"\"\"\n");
            text || value.starts_with("[\n") && !value.ends_with("\n]\n")
        });
        match blocks.last_mut() {
            Some(block) if open || !new => block.push_str(&format!("{line}\n")),
            _ => blocks.push(format!("{line}\n")),
        }
    }
    for (block, turn) in blocks.iter_mut().zip(turns) {
        match turn % 6 {
            0 => *block = format!("# About it.\n{block}"),
            1 => *block = format!("{} # behind\n\n", block.trim_end_matches('\n')),
            2 => *block = block.replacen(" = ", "=", 1),
            3 => *block = format!("  {block}"),
            _ => {}
        }
    }
    if let Some(turn) = turns.first() {
        let len = blocks.len();
        blocks.rotate_left(usize::from(*turn / 6) % len);
        if turn % 2 == 0 {
            blocks.insert(0, "O:\n".to_owned());
        }
    }
    let text = blocks.concat();
    match turns.last() {
        Some(turn) if turn % 5 == 0 => text.replace('\n', "\r\n"),
        Some(turn) if turn % 5 == 1 => text.trim_end().to_owned(),
        _ => text,
    }
}

proptest! {
    #[test]
    fn canonical_stays_canonical(
        old in any_row(ty(&schema(), "thing")), new in any_row(ty(&schema(), "thing")),
        same in proptest::collection::vec(any::<bool>(), 14),
    ) {
        let schema = schema();
        let ty = ty(&schema, "thing");
        let text = object(ty, &old);
        let mut new = new;
        for (position, same) in same.iter().enumerate() {
            if *same {
                new.values[position] = old.values[position].clone();
            }
        }
        prop_assert_eq!(spliced(&text, ty, &new), object(ty, &new));
        prop_assert_eq!(update(&text, ty, &new).unwrap(), object(ty, &new));
        prop_assert_eq!(spliced(&text, ty, &old), text);
    }

    #[test]
    fn a_hand_written_file_becomes_the_object(
        old in any_row(ty(&schema(), "thing")), new in any_row(ty(&schema(), "thing")),
        same in proptest::collection::vec(any::<bool>(), 14),
        turns in proptest::collection::vec(any::<u8>(), 18),
    ) {
        let schema = schema();
        let ty = ty(&schema, "thing");
        let text = by_hand(&object(ty, &old), &turns);
        let read_old = read(ty, text.as_bytes());
        prop_assume!(read_old.is_ok());
        prop_assert_eq!(read_old.unwrap().into_row().unwrap(), old.clone());
        prop_assert_eq!(update(&text, ty, &old).unwrap(), text.as_str());
        let mut new = new;
        for (position, same) in same.iter().enumerate() {
            if *same {
                new.values[position] = old.values[position].clone();
            }
        }
        let updated = update(&text, ty, &new).unwrap();
        prop_assert_eq!(read(ty, updated.as_bytes()).unwrap().into_row().unwrap(), new.clone());
        prop_assert_eq!(update(&updated, ty, &new).unwrap(), updated.as_str());
        prop_assert_eq!(updated.matches("# About it.").count(), text.matches("# About it.").count());
        // A change of one field is one of one value, and of the system's.
        let mut one = old.clone();
        let count = ty.field("count").unwrap();
        one.values[count] = Value::Int(77);
        let updated = update(&text, ty, &one).unwrap();
        let is_new = old.values[count].is_null();
        let before: Vec<_> = text.lines().collect();
        let after: Vec<_> = updated.lines().collect();
        prop_assert_eq!(after.len(), before.len() + usize::from(is_new));
        let kept = before.iter().filter(|line| after.contains(line)).count();
        prop_assert!(kept + 1 >= before.len());
    }

    #[test]
    fn blocks_of_a_hand_written_day_become_the_objects(
        rows in proptest::collection::vec(any_row(ty(&schema(), "event")), 1..4),
        new in any_row(ty(&schema(), "event")),
        turns in proptest::collection::vec(any::<u8>(), 8),
        fates in proptest::collection::vec(0..3_u8, 3),
    ) {
        let schema = schema();
        let ty = ty(&schema, "event");
        // Neither a head nor other line ends for each block.
        let mut turns = turns;
        turns[0] |= 1;
        turns[7] = 2;
        let blocks = rows.iter().map(|row| {
            format!("# Above.\n[[event]] # head\n{}", by_hand(&object(ty, row), &turns))
        });
        let blocks: Vec<String> = blocks.collect();
        let text = format!("O:\n{}# The end.\n", blocks.concat());
        let found = read_day(ty, text.as_bytes());
        prop_assume!(found.is_ok());
        let mut wanted = Vec::new();
        let edits: Vec<BlockEdit> = rows.iter().zip(&fates).map(|(row, fate)| match fate {
            0 => {
                wanted.push(row.clone());
                BlockEdit::Keep
            }
            1 => {
                wanted.push(new.clone());
                BlockEdit::Put(new.clone())
            }
            _ => BlockEdit::Drop,
        }).collect();
        let updated = update_day(&text, ty, &edits).unwrap();
        let now = read_day(ty, updated.as_bytes()).unwrap();
        let now: Vec<Row> = now.into_iter().filter_map(Found::into_row).collect();
        prop_assert_eq!(now, wanted);
        prop_assert_eq!(updated.matches("# Above.\n").count(), rows.len());
        prop_assert!(updated.ends_with("# The end.\n"));
        let about = |text: &str| text.matches("# About it.\n").count();
        let stay = blocks.iter().zip(&edits).filter(|(_, edit)| **edit != BlockEdit::Drop);
        prop_assert_eq!(about(&updated), stay.map(|(block, _)| about(block)).sum::<usize>());
        let same = vec![BlockEdit::Keep; rows.len()];
        prop_assert_eq!(update_day(&text, ty, &same).unwrap(), text);
    }
}

#[test]
fn a_day_of_another_number_of_blocks_is_not_touched() {
    let schema = schema();
    let ty = ty(&schema, "event");
    let text = "O:\n[[event]]\nat = 2026-11-21T07:00:00Z\nkind = \"a\"\n";
    assert_eq!(update_day(text, ty, &[]), None);
    assert_eq!(update_day("[[event", ty, &[]), None);
    assert_eq!(update_day(text, ty, &[BlockEdit::Drop]).unwrap(), "O:\n");
}
