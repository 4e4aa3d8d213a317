//! Words as PostgreSQL holds them say of a term what core says.

use bytes::BytesMut;
use osis_core::object::{Id, Row};
use osis_core::schema::Type as ObjectType;
use osis_core::text::{Document, Query};
use osis_core::time::Time;
use osis_core::value::Value;
use tokio_postgres::types::{FromSql as _, ToSql as _, Type};

use super::{PROBE, schema};
use crate::fts::{self, Words};

fn row(ty: &ObjectType, word: &str, words: &[&str], text: &str) -> Row {
    let mut row = Row {
        id: Id::parse("id-0001").unwrap(),
        rev: 1,
        created_at: Time::MIN,
        updated_at: Time::MIN,
        values: vec![Value::Null; ty.fields.len()].into(),
    };
    row.values[ty.field("word").unwrap()] = Value::from(word);
    let words = words.iter().map(|word| Value::from(*word));
    row.values[ty.field("words").unwrap()] = Value::List(words.collect());
    row.values[ty.field("text").unwrap()] = Value::from(text);
    row
}

#[test]
fn occurrences_are_those_that_core_counts() {
    let schema = schema(PROBE);
    let ty = &schema.types[0];
    let rows = [
        row(ty, "ab abc", &["ab", "abc ab"], "ab ab abc b a ab abc"),
        row(ty, "", &[], ""),
        row(ty, "ab", &[], &"ab abc ".repeat(300)),
        row(
            ty,
            "\u{6f22}\u{5b57}",
            &["\u{6f22}", "\u{5b57}"],
            "\u{6f22}\u{5b57}\u{6f22}",
        ),
    ];
    for row in &rows {
        let document = Document::of(ty, row);
        let words = Words::of(&document).unwrap();
        let mut bytes = BytesMut::new();
        words.to_sql(&Type::TS_VECTOR, &mut bytes).unwrap();
        let words = Words::from_sql(&Type::TS_VECTOR, &bytes).unwrap();
        for text in [
            "ab",
            "abc",
            "b",
            "zz",
            "ab*",
            "\"ab abc\"",
            "\"ab ab abc\"",
            "\"abc ab\"",
            "ab-a*",
            "word:ab",
            "words:\"ab abc\"",
            "text:\"ab b\"",
            "\u{6f22}",
            "\u{6f22}\u{5b57}",
        ] {
            let query = Query::parse(ty, text, false).unwrap();
            for (place, field) in document.fields().iter().enumerate() {
                let term = query.wanted()[0];
                let looks = fts::places(&osis_core::text::searchable(ty), term).any(|p| p == place);
                let counted = match looks {
                    true => words.occurrences(place, term),
                    false => 0,
                };
                assert_eq!(
                    counted,
                    term.occurrences(field).count(),
                    "{text} in {place}"
                );
            }
        }
    }
}

#[test]
fn words_that_do_not_fit_are_none() {
    let schema = schema(PROBE);
    let ty = &schema.types[0];
    let long: String = (0..16_000).map(|n| format!("{n:064} ")).collect();
    assert!(Words::of(&Document::of(ty, &row(ty, "", &[], &long))).is_none());
    let gaps: Vec<&str> = vec!["a b c d e f g h i j k l m n o p q"; 950];
    assert!(Words::of(&Document::of(ty, &row(ty, "", &gaps, ""))).is_none());
    let short: String = (0..16_000).map(|n| format!("{n} ")).collect();
    assert!(Words::of(&Document::of(ty, &row(ty, "", &[], &short))).is_some());
}

#[test]
fn queries_keep_their_meaning() {
    let schema = schema(PROBE);
    let ty = &schema.types[0];
    for (text, wanted) in [
        ("word:ab", "('\u{100}ab')"),
        ("ab", "('\u{100}ab') | ('\u{101}ab') | ('\u{102}ab')"),
        ("word:\"ab c*\"", "('\u{100}ab' <-> '\u{100}c')"),
        ("word:ab-c*", "('\u{100}ab' <-> '\u{100}c':*)"),
        ("word:ab -word:c", "(('\u{100}ab')) & !(('\u{100}c'))"),
        ("word:ab OR word:c", "(('\u{100}ab')) | (('\u{100}c'))"),
    ] {
        let query = Query::parse(ty, text, false).unwrap();
        assert_eq!(
            fts::expression(ty, &query).as_deref(),
            Some(wanted),
            "{text}"
        );
    }
}
