//! What a commit is in the log, and how it is written.
//!
//! ```toml
//! O:
//! first = 12
//! format = 1
//! last = 12
//! schema = "9f86…"
//! writer = "host-1-4711"
//! [[change]]
//! at = 2026-11-21T07:00:00.000Z
//! id = "0192…"
//! op = "set"
//! rev = 2
//! seq = 12
//! type = "app"
//! was = { hash = "60303ae22b998861bce3b28f33eec1be", rev = 1 }
//! [change.object]
//! created_at = 2026-11-20T07:00:00.000Z
//! updated_at = 2026-11-21T07:00:00.000Z
//! name = "Notes"
//! # end: 512 bytes, crc32 1c291ca3
//! ```
//!
//! No value is longer than its line, so a line `[[change]]` is one wherever it stands. The comment
//! at the end tells how many bytes come before it and what their checksum is: an entry that was cut
//! off or has changed by a bit is told from a whole one. It stands for every format to come.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use osis_core::backend::ChangeOp;
use osis_core::object::{Id, Row};
use osis_core::schema::{Schema, TypeId};
use osis_core::time::Time;

use crate::record::Version;

/// The format that this program writes, and the only one that it reads.
const FORMAT: i64 = 1;

/// One file of the log: commits that became durable together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The seq of its first commit, which names the file.
    pub(crate) first: u64,
    /// The seq of its last commit; the next entry begins behind it.
    pub(crate) last: u64,
    /// The process that wrote it.
    pub(crate) writer: String,
    /// The hash of the schema under which its objects are written.
    pub(crate) schema: String,
    /// The text of the schema that comes into force with this entry, which then has no changes.
    pub(crate) new_schema: Option<String>,
    /// What changed, in the order in which it happened.
    pub(crate) changes: Vec<Change>,
}

/// One object that a commit changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// The commit.
    pub(crate) seq: u64,
    /// The object's type.
    pub(crate) type_id: TypeId,
    /// The object.
    pub(crate) id: Id,
    /// When.
    pub(crate) at: Time,
    /// What was done.
    pub(crate) op: ChangeOp,
    /// Its revision then; of a deleted one, the last it had.
    pub(crate) rev: i64,
    /// The version that it takes the place of.
    pub(crate) was: Option<Version>,
    /// The object as it is from then on.
    pub(crate) content: Content,
}

/// What an entry still knows of an object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// All of it. Its id and revision are those of the change.
    Full(Row),
    /// Nothing, for it is deleted.
    Gone,
    /// Nothing any more: its file has it, or something newer.
    Folded,
}

impl Entry {
    /// Its text: OTOML, with the length and checksum of all before them in a comment at the end.
    ///
    /// `schema` is the one whose hash the entry carries.
    pub(crate) fn encode(&self, schema: &Schema) -> String {
        encode::entry(self, schema)
    }

    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it, in words: torn, damaged, of a newer format. The hash of another schema
    /// is no error here: then `changes` is empty, and `schema` tells.
    pub(crate) fn decode(schema: &Schema, hash: &str, bytes: &[u8]) -> Result<Self, String> {
        decode::entry(schema, hash, bytes)
    }

    /// Reads what stands before the changes, from the beginning of an entry.
    ///
    /// # Errors
    /// As [`Self::decode`], apart from damage, which is not looked for.
    pub(crate) fn decode_head(start: &[u8]) -> Result<Self, String> {
        decode::start(start)
    }
}

/// The last line of an entry, or of another file of the log, for what comes before it.
pub(super) fn trailer(before: &[u8]) -> String {
    let (len, crc) = (before.len(), crc32fast::hash(before));
    format!("{TRAILER}{len} bytes, crc32 {crc:08x}\n")
}

/// What the last line begins with.
const TRAILER: &str = "# end: ";
