//! Where words occur, read from FTS5's index through its `fts5vocab` tables.
//!
//! Matching and relevance are core's, and need of each match how often a term occurs in which
//! field. FTS5's own ranking functions do not tell, and go through every match at greater cost than
//! reading the occurrences themselves.
//!
//! Source: <https://www.sqlite.org/fts5.html>, "The fts5vocab Virtual Table Module".

use osis_core::schema::{Schema, Type};
use osis_core::text;
use rusqlite::Connection;

use crate::connection::Limit;
use crate::error::{Failure, Outcome};
use crate::names;
use crate::sql::{Run, Sql};

/// After so many occurrences the time limit is looked at.
const STRIDE: usize = 1 << 14;

/// The occurrences of something, by row and then by place.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    /// The numbers of the rows, rising.
    rows: Vec<i64>,
    /// Where the places of each row end.
    ends: Vec<u32>,
    places: Vec<Place>,
}

/// A place in the text of a row; the order is that of the fields, then that in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The field, by its place among the searchable ones.
    pub(crate) field: u16,
    /// The position in the field.
    pub(crate) position: u32,
}

impl Postings {
    /// Adds an occurrence behind all others.
    pub(crate) fn push(&mut self, row: i64, place: Place) {
        self.places.push(place);
        let end = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        match (self.rows.last(), self.ends.last_mut()) {
            (Some(last), Some(last_end)) if *last == row => *last_end = end,
            _ => {
                self.rows.push(row);
                self.ends.push(end);
            }
        }
    }

    /// The rows, rising.
    pub(crate) fn rows(&self) -> &[i64] {
        &self.rows
    }

    /// The places in the row that stands at `at` among the rows.
    pub(crate) fn places(&self, at: usize) -> &[Place] {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.places[from as usize..self.ends[at] as usize]
    }

    /// How many occurrences there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The occurrences in one field alone.
    pub(crate) fn in_field(&self, field: u16) -> Self {
        let mut some = Self::default();
        for (at, row) in self.rows.iter().enumerate() {
            let places = self.places(at).iter();
            for place in places.filter(|place| place.field == field) {
                some.push(*row, *place);
            }
        }
        some
    }

    /// The occurrences in rows that are not among these, which rise.
    pub(crate) fn without(&self, rows: &[i64]) -> Self {
        let mut some = Self::default();
        let (mut from, mut at) = (0, 0);
        // Between two of the rows everything is kept as it is.
        for row in rows {
            at = seek(&self.rows, at, *row);
            some.extend(self, from..at);
            at += usize::from(self.rows.get(at) == Some(row));
            from = at;
        }
        some.extend(self, from..self.rows.len());
        some
    }

    /// Adds those of some rows, by where they stand among the others'; they are behind all here.
    fn extend(&mut self, others: &Self, rows: std::ops::Range<usize>) {
        let Some(last) = rows.end.checked_sub(1).filter(|last| rows.start <= *last) else {
            return;
        };
        let first = rows
            .start
            .checked_sub(1)
            .map_or(0, |before| others.ends[before]);
        let here = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let places = first as usize..others.ends[last] as usize;
        self.rows.extend(&others.rows[rows.clone()]);
        let ends = others.ends[rows].iter();
        self.ends.extend(ends.map(|end| end - first + here));
        self.places.extend(&others.places[places]);
    }
}

/// The first place from `from` on, in rows that rise, whose row is not below one.
pub(crate) fn seek(rows: &[i64], from: usize, row: i64) -> usize {
    // Steps that double, then a search between the last two: quick for near and far alike.
    let mut step = 1;
    let mut low = from;
    while rows.get(low + step - 1).is_some_and(|found| *found < row) {
        low += step;
        step *= 2;
    }
    let high = (low + step - 1).min(rows.len());
    low + rows[low..high].partition_point(|found| *found < row)
}

/// Makes the tables of occurrences known to a connection, for as long as it is open.
pub(crate) fn attach(connection: &Connection, schema: &Schema) -> Outcome<()> {
    for ty in &schema.types {
        if text::searchable(ty).is_empty() {
            continue;
        }
        let index = names::quote(&names::text_table(ty));
        for (table, kind) in [(occurrences(ty), "instance"), (vocabulary(ty), "row")] {
            connection.execute_batch(&format!(
                "CREATE VIRTUAL TABLE IF NOT EXISTS {table} USING fts5vocab(main, {index}, {kind})"
            ))?;
        }
    }
    Ok(())
}

/// The table with a row for each occurrence of a word.
fn occurrences(ty: &Type) -> String {
    format!(
        "temp.{}",
        names::quote(&format!("{}$occurrences", names::text_table(ty)))
    )
}

/// The table with a row for each word.
pub(crate) fn vocabulary(ty: &Type) -> String {
    format!(
        "temp.{}",
        names::quote(&format!("{}$words", names::text_table(ty)))
    )
}

/// The occurrences of a word, or of all words that begin so.
pub(crate) fn read(
    connection: &Connection,
    ty: &Type,
    word: &str,
    is_prefix: bool,
    limit: &Limit,
) -> Outcome<Postings> {
    let columns: Vec<String> = text::searchable(ty)
        .into_iter()
        .map(|field| format!("_{}", ty.fields[field].name))
        .collect();
    let table = occurrences(ty);
    let mut sql = Sql::new(format!(
        "SELECT doc, col, \"offset\" FROM {table} WHERE term "
    ));
    if is_prefix {
        sql.push(">= ").text(word);
        if let Some(end) = behind(word) {
            sql.push(" AND term < ").text(end);
        }
    } else {
        sql.push("= ").text(word);
    }
    let mut found: Vec<(i64, Place)> = Vec::new();
    let mut last = 0;
    sql.each(connection, |row| {
        if found.len().is_multiple_of(STRIDE) && limit.is_over() {
            return Err(Failure::TooLate);
        }
        let name = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
        if columns[last].as_bytes() != name {
            let at = columns.iter().position(|column| column.as_bytes() == name);
            last =
                at.ok_or_else(|| Failure::Damaged("the text index has a strange column".into()))?;
        }
        let place = Place {
            field: u16::try_from(last).unwrap_or(u16::MAX),
            position: row.get(2)?,
        };
        found.push((row.get(0)?, place));
        Ok(())
    })?;
    if is_prefix {
        // They came word by word.
        found.sort_unstable();
    }
    let mut postings = Postings::default();
    found
        .into_iter()
        .for_each(|(row, place)| postings.push(row, place));
    Ok(postings)
}

/// The first text behind all that begin with a text, in the order of their bytes; nothing if none
/// is.
fn behind(text: &str) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    while let Some(last) = chars.pop() {
        // The range leaves out what is no character.
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sought() {
        let rows = [1, 3, 5, 7, 9, 11, 13];
        for from in 0..=rows.len() {
            for row in 0..15 {
                let expected = rows.partition_point(|found| *found < row).max(from);
                assert_eq!(seek(&rows, from, row), expected, "{from} {row}");
            }
        }
    }

    #[test]
    fn texts_that_begin_so_end_where_the_next_begins() {
        assert_eq!(behind("ab").as_deref(), Some("ac"));
        assert_eq!(behind("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(behind("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind("\u{10ffff}"), None);
    }
}
