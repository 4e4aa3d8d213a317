//! Words and queries as PostgreSQL's text search holds them.
//!
//! PostgreSQL never splits a text and never reads what a user typed: it gets the words that core has
//! made, as lexemes with their positions, and a query of such lexemes. A lexeme is a word behind a
//! mark of its field, for the weights that PostgreSQL has are only four; so positions are counted in
//! each field for itself.
//!
//! Source: <https://www.postgresql.org/docs/current/datatype-textsearch.html>, and the limits in
//! <https://www.postgresql.org/docs/current/textsearch-limitations.html>.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as StdError;

use bytes::{Buf as _, BufMut as _, BytesMut};
use osis_core::schema::Type as ObjectType;
use osis_core::text::{self, Document, Query, Term};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

type Fault = Box<dyn StdError + Sync + Send>;

/// The most bytes of lexemes and positions: PostgreSQL has room for 2^20 - 1.
const BYTES_MAX: usize = 1_000_000;
/// The greatest position.
const POSITION_MAX: usize = 16_383;
/// The longest query that PostgreSQL is given, in bytes of text: it has room for 2^20 of words.
const QUERY_BYTES_MAX: usize = 400_000;

/// The words of a row, as a `tsvector`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// Positions from 1, by lexeme.
    lexemes: BTreeMap<String, Vec<u16>>,
}

impl Words {
    /// The words of a document; nothing if they do not fit, so that searches must look at the row
    /// itself.
    pub(crate) fn of(document: &Document) -> Option<Self> {
        let mut lexemes: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        let mut bytes = 0;
        for (place, field) in document.fields().iter().enumerate() {
            if field.slots().len() > POSITION_MAX {
                return None;
            }
            for (at, word) in field.words() {
                let positions = lexemes.entry(lexeme(place, word)).or_insert_with(|| {
                    // A lexeme, filled up, with the number of its positions.
                    bytes += word.len() + 6;
                    Vec::new()
                });
                positions.push(u16::try_from(at + 1).ok()?);
                bytes += 2;
            }
        }
        (bytes <= BYTES_MAX).then_some(Self { lexemes })
    }

    /// How often a term begins in a field, by the field's place among the searchable ones.
    pub(crate) fn occurrences(&self, place: usize, term: &Term) -> usize {
        let Some((last, first)) = term.words.split_last() else {
            return 0;
        };
        let ends = self.positions(place, last, term.prefix);
        let starts = first.iter().map(|word| self.positions(place, word, false));
        let starts: Vec<Vec<u16>> = starts.collect();
        let is_whole = |end: &&u16| {
            starts.iter().enumerate().all(|(n, positions)| {
                let back = u16::try_from(starts.len() - n).unwrap_or(u16::MAX);
                let wanted = end.checked_sub(back);
                wanted.is_some_and(|wanted| positions.contains(&wanted))
            })
        };
        ends.iter().filter(is_whole).count()
    }

    fn positions(&self, place: usize, word: &str, prefix: bool) -> Vec<u16> {
        let start = lexeme(place, word);
        if !prefix {
            return self.lexemes.get(&start).cloned().unwrap_or_default();
        }
        let found = self.lexemes.range(start.clone()..);
        let found = found.take_while(|(lexeme, _)| lexeme.starts_with(&start));
        found
            .flat_map(|(_, positions)| positions)
            .copied()
            .collect()
    }
}

/// How many slots each searchable field of a document has.
pub(crate) fn slots(document: &Document) -> Vec<i64> {
    let fields = document.fields().iter();
    fields
        .map(|field| i64::try_from(field.slots().len()).unwrap_or(i64::MAX))
        .collect()
}

/// The words of a document, each once.
pub(crate) fn vocabulary(document: &Document) -> BTreeSet<&str> {
    let fields = document.fields().iter();
    fields
        .flat_map(|field| field.words().map(|(_, word)| word))
        .collect()
}

/// A word behind the mark of its field: one character, the same for no two fields, so that neither
/// a word nor the beginning of one is another field's.
fn lexeme(place: usize, word: &str) -> String {
    let mark = u32::try_from(place)
        .ok()
        .and_then(|n| char::from_u32(0x100 + n));
    format!("{}{word}", mark.unwrap_or(text::FILLER))
}

impl ToSql for Words {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        out.put_i32(i32::try_from(self.lexemes.len())?);
        for (lexeme, positions) in &self.lexemes {
            out.put_slice(lexeme.as_bytes());
            out.put_u8(0);
            out.put_u16(u16::try_from(positions.len())?);
            positions.iter().for_each(|at| out.put_u16(*at));
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TS_VECTOR
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Words {
    fn from_sql(_: &Type, mut raw: &'a [u8]) -> Result<Self, Fault> {
        let ends = || Fault::from("a tsvector ends in its middle");
        let mut lexemes = BTreeMap::new();
        for _ in 0..raw.try_get_i32()? {
            let end = raw.iter().position(|byte| *byte == 0).ok_or_else(ends)?;
            let lexeme = std::str::from_utf8(&raw[..end])?.to_owned();
            raw.advance(end + 1);
            let mut positions = Vec::new();
            for _ in 0..raw.try_get_u16()? {
                // The two highest bits are a weight.
                positions.push(raw.try_get_u16()? & 0x3fff);
            }
            lexemes.insert(lexeme, positions);
        }
        Ok(Self { lexemes })
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TS_VECTOR
    }
}

/// A query as PostgreSQL reads it; nothing if it is too long for that.
pub(crate) fn expression(ty: &ObjectType, query: &Query) -> Option<String> {
    let expression = whole(&text::searchable(ty), query);
    (expression.len() <= QUERY_BYTES_MAX).then_some(expression)
}

/// One term of a query that is not too long, as PostgreSQL reads it.
pub(crate) fn term_expression(ty: &ObjectType, term: &Term) -> String {
    any_field(&text::searchable(ty), term)
}

/// All lexemes that terms are made of; nothing where one is a beginning, which stands for any
/// number of them.
pub(crate) fn lexemes(ty: &ObjectType, terms: &[&Term]) -> Option<Vec<String>> {
    let fields = text::searchable(ty);
    let mut all = Vec::new();
    for term in terms {
        if term.prefix {
            return None;
        }
        for place in places(&fields, term) {
            all.extend(term.words.iter().map(|word| lexeme(place, word)));
        }
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// The places of the searchable fields that a term looks into.
pub(crate) fn places(fields: &[usize], term: &Term) -> impl Iterator<Item = usize> {
    let only = term.field;
    let places = fields.iter().enumerate();
    places.filter_map(move |(place, field)| only.is_none_or(|only| only == *field).then_some(place))
}

fn whole(fields: &[usize], query: &Query) -> String {
    match query {
        Query::And { must, not } => {
            let must = must.iter().map(|part| format!("({})", whole(fields, part)));
            let not = not.iter().map(|part| format!("!({})", whole(fields, part)));
            must.chain(not).collect::<Vec<_>>().join(" & ")
        }
        Query::Or(sides) => {
            let sides = sides
                .iter()
                .map(|side| format!("({})", whole(fields, side)));
            sides.collect::<Vec<_>>().join(" | ")
        }
        Query::Term(term) => any_field(fields, term),
    }
}

fn any_field(fields: &[usize], term: &Term) -> String {
    let phrases = places(fields, term).map(|place| {
        let words = term.words.iter().map(|word| quoted(&lexeme(place, word)));
        let phrase = words.collect::<Vec<_>>().join(" <-> ");
        format!("({phrase}{})", if term.prefix { ":*" } else { "" })
    });
    phrases.collect::<Vec<_>>().join(" | ")
}

/// A lexeme in quotes.
fn quoted(lexeme: &str) -> String {
    format!("'{}'", lexeme.replace('\\', "\\\\").replace('\'', "''"))
}
