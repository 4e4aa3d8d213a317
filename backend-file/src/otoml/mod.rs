//! OTOML: an object as a text that people read and edit.
//!
//! A first line `O:`, then TOML 1.0 with keys in alphabetical order. `write` makes the canonical
//! text, of which there is one for each object; `scan` reads that text fast; `read` reads whatever
//! TOML a person made of it and names all that is wrong; `update` brings a person's text up to date
//! and leaves alone what has not changed.

mod item;
mod list;
mod read;
mod scan;
mod source;
#[cfg(test)]
pub(crate) mod tests;
mod update;
mod write;

use std::fmt::Write as _;

use osis_core::object::{Id, Row};
use osis_core::schema::Type;
use osis_core::time::Time;
use osis_core::value::Value;

pub(crate) use scan::{Cursor, Scan};
use source::Source;
use write::{Columns, Form};

/// The line that tells OTOML from other TOML.
pub(crate) const HEAD: &str = "O:\n";
/// How many faults of a file are told beside the first.
const OTHERS_SHOWN: usize = 9;

/// What a file says of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// Its id; a new file may leave it to its name.
    pub(crate) id: Option<Id>,
    /// Its revision, unless a person left it out.
    pub(crate) rev: Option<i64>,
    /// When it was made, unless a person left it out.
    pub(crate) created_at: Option<Time>,
    /// When it was last changed, unless a person left it out.
    pub(crate) updated_at: Option<Time>,
    /// One value a field, null where there is none.
    pub(crate) values: Box<[Value]>,
    /// The line on which it begins, from 1.
    pub(crate) line: usize,
}

/// What becomes of a block of the file of a day.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BlockEdit {
    /// It stays as it is, to the letter.
    Keep,
    /// It becomes this object.
    Put(Row),
    /// It goes.
    Drop,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// What was expected.
    pub(crate) message: String,
}

impl Fault {
    /// Several as one: the line of the first, and all messages, of the later ones with their lines.
    pub(crate) fn joined(faults: &[Self]) -> (Option<usize>, String) {
        let Some((first, others)) = faults.split_first() else {
            return (None, "cannot be read".to_owned());
        };
        let mut message = first.message.clone();
        for fault in others.iter().take(OTHERS_SHOWN) {
            let _ = write!(message, "; line {}: {}", fault.line, fault.message);
        }
        if others.len() > OTHERS_SHOWN {
            let _ = write!(message, "; and {} more", others.len() - OTHERS_SHOWN);
        }
        (Some(first.line), message)
    }
}

/// The fields of a type in the order in which they are written, for whoever writes or reads many
/// objects of it.
#[derive(Debug)]
pub(crate) struct Fields<'a>(Columns<'a>);

impl<'a> Fields<'a> {
    /// Those of a type.
    pub(crate) fn of(ty: &'a Type) -> Self {
        Self(Columns::fields(ty))
    }

    /// As [`fields`], behind what a text has already.
    pub(crate) fn put(&self, out: &mut String, values: &[Value]) {
        self.0.put_fields(out, values);
    }
}

/// The fields of an object that are set, a line each, in alphabetical order, no value longer than
/// its line: what the log holds, and what a [`crate::record::Hash`] is made of.
pub(crate) fn fields(ty: &Type, values: &[Value]) -> String {
    let mut out = String::new();
    Fields::of(ty).put(&mut out, values);
    out
}

/// Writes a text in double quotes, on one line.
pub(crate) fn put_string(out: &mut String, text: &str) {
    write::put_string(out, text);
}

/// The file of an object: canonical, the same for the same object.
pub(crate) fn object(ty: &Type, row: &Row) -> String {
    let mut out = HEAD.to_owned();
    Columns::all(ty).put_row(&mut out, row, Form::File);
    out
}

/// Brings a file that a person may have edited up to date: what has not changed keeps its comments,
/// order and layout.
///
/// The new text reads as the object, whatever the old one said. A new key stands at its alphabetical
/// place if the others are in order, else behind the last of them; a key that is unset goes with the
/// comment on its line, while comments on lines of their own stay.
///
/// # Errors
/// If the text is no OTOML; then there is nothing to keep.
pub(crate) fn update(text: &str, ty: &Type, row: &Row) -> Result<String, Fault> {
    // Mostly nobody has touched it.
    let before = text
        .strip_prefix(HEAD)
        .and_then(|body| read::canonical(ty, body));
    if let Some(before) = before.and_then(Found::into_row)
        && object(ty, &before) == text
    {
        return Ok(object(ty, row));
    }
    update::update(&Source::new(text), ty, row)
}

impl Found {
    /// The object, if the file has all of the system's fields.
    pub(crate) fn into_row(self) -> Option<Row> {
        Some(Row {
            id: self.id?,
            rev: self.rev?,
            created_at: self.created_at?,
            updated_at: self.updated_at?,
            values: self.values,
        })
    }
}

/// Reads the file of an object, and holds it against its type.
///
/// What a field's default says is taken for a required field that is missing, as in `_new`; other
/// fields that are missing are null.
///
/// # Errors
/// All that is wrong with it, in the order of the file; the first alone where it is no TOML; at most
/// [`osis_core::error::Faults::MAX`].
pub(crate) fn read(ty: &Type, text: &[u8]) -> Result<Found, Vec<Fault>> {
    let source = Source::of_bytes(text).map_err(|fault| vec![fault])?;
    match read::canonical(ty, &source.body) {
        Some(found) if read::fits(ty, &found) => Ok(found),
        _ => read::object(ty, &source),
    }
}

/// The file of a day of a log type: one `[[type]]` block an object, in the order given, with a blank
/// line between them.
pub(crate) fn day(ty: &Type, rows: &[&Row]) -> String {
    let columns = Columns::all(ty);
    let mut out = HEAD.to_owned();
    for (n, row) in rows.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        write::put_block(&mut out, ty, &columns, row);
    }
    out
}

/// Changes blocks of the file of a day, one edit a block in their order; nothing if they are not as
/// many. As [`update()`], what has not changed keeps its comments, order and layout; a block that goes
/// takes along the comments in it, not those above its head and below its last value.
pub(crate) fn update_day(text: &str, ty: &Type, blocks: &[BlockEdit]) -> Option<String> {
    update::update_day(&Source::new(text), ty, blocks)
}

/// Reads the file of a day.
///
/// # Errors
/// As [`read()`].
pub(crate) fn read_day(ty: &Type, text: &[u8]) -> Result<Vec<Found>, Vec<Fault>> {
    let source = Source::of_bytes(text).map_err(|fault| vec![fault])?;
    read::canonical_day(ty, &source).map_or_else(|| read::day(ty, &source), Ok)
}
