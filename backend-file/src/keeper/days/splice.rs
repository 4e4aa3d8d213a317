//! Changes blocks of the file of a day, and leaves alone what stands around and in them.

use osis_core::object::Row;
use osis_core::schema::Type;

use super::{Contents, Edit};
use crate::otoml::{self, Found};

/// The text after edits, with its blocks. An empty text: nothing is left that anybody wants. Nothing
/// at all if the file cannot be edited so.
pub(super) fn apply(ty: &Type, read: &Contents, edits: &[Edit]) -> Option<(String, Vec<Found>)> {
    let text = std::str::from_utf8(&read.text).ok()?;
    if edits.len() != read.found.len() {
        return None;
    }
    let edited = edited(ty, text, &read.found, edits)?;
    let found = otoml::read_day(ty, edited.as_bytes()).ok()?;
    if found.is_empty() && !edited.lines().any(is_comment) {
        return Some((String::new(), Vec::new()));
    }
    Some((edited, found))
}

fn edited(ty: &Type, text: &str, found: &[Found], edits: &[Edit]) -> Option<String> {
    let left = || {
        let blocks = found.iter().zip(edits);
        blocks.filter(|(_, edit)| **edit != Edit::Drop)
    };
    // Blocks that a person has not finished are no rows, and the text cannot be made anew.
    let rows = left().map(|(found, edit)| match edit {
        Edit::Put(row) => Some(row.clone()),
        Edit::Keep | Edit::Drop => found.clone().into_row(),
    });
    let rows: Option<Vec<Row>> = rows.collect();
    let anew = || {
        let rows = rows.as_ref()?;
        Some(otoml::day(ty, &rows.iter().collect::<Vec<_>>()))
    };
    if is_canonical(ty, text, found) {
        return anew();
    }
    let updated = otoml::update_day(text, ty, edits);
    let updated = updated.filter(|text| {
        let found = otoml::read_day(ty, text.as_bytes()).unwrap_or_default();
        found.len() == left().count() && left().zip(&found).all(|(block, now)| says(block, now))
    });
    updated.or_else(anew)
}

/// Whether a block says what it should.
fn says((before, edit): (&Found, &Edit), now: &Found) -> bool {
    match edit {
        Edit::Put(row) => now.clone().into_row().as_ref() == Some(row),
        Edit::Keep | Edit::Drop => {
            let line = before.line;
            Found {
                line,
                ..now.clone()
            } == *before
        }
    }
}

/// Whether a text is as the store writes it.
pub(super) fn is_canonical(ty: &Type, text: &str, found: &[Found]) -> bool {
    let rows: Option<Vec<Row>> = found.iter().cloned().map(Found::into_row).collect();
    rows.is_some_and(|rows| otoml::day(ty, &rows.iter().collect::<Vec<_>>()) == text)
}

/// Whether a line is a comment.
fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}
