//! The log of a copy of the store: up to the commit as of which the copy is, with the records of the
//! change feed and nothing else, since the copy has all objects in their files.

use osis_core::backend::{ChangeOp, Feed};
use osis_core::error::Result;
use osis_core::schema::Schema;

use super::{Change, Content, Entry, oldest};
use crate::error::io_error;
use crate::files::{Files, Readers};
use crate::layout::Layout;

/// Begins the log of a copy, whose feed begins behind a seq.
///
/// # Errors
/// Those of the file system.
pub(crate) fn begin(files: &dyn Files, to: &Layout, schema: &Schema, since: u64) -> Result<()> {
    let kept = to.log_schema(&schema.hash);
    let folder = kept.parent().unwrap_or(to.root()).to_owned();
    for directory in [to.log_drafts(), folder] {
        files
            .create_directory(&directory)
            .map_err(|error| io_error(&directory, &error))?;
    }
    let write = |path: std::path::PathBuf, text: &str| {
        let written = files.create(&path, text.as_bytes(), Readers::Usual, false);
        written.map_err(|error| io_error(&path, &error))
    };
    write(to.log().join(".gitignore"), "*\n")?;
    write(kept, &schema.text)?;
    match since {
        0 => Ok(()),
        since => write(to.log_oldest(), &oldest::text(since)),
    }
}

/// Writes a page of the change feed, which begins behind a seq, as an entry of the log of a copy.
///
/// # Errors
/// Those of the file system.
pub(crate) fn add(
    files: &dyn Files,
    to: &Layout,
    schema: &Schema,
    writer: &str,
    since: u64,
    page: Feed,
) -> Result<()> {
    let records = page.changes.into_iter();
    let changes = records.map(|record| Change {
        seq: record.seq,
        type_id: record.type_id,
        id: record.id,
        at: record.at,
        op: record.op,
        rev: record.rev,
        was: None,
        content: match record.op {
            ChangeOp::Delete => Content::Gone,
            ChangeOp::New | ChangeOp::Set => Content::Folded,
        },
    });
    let entry = Entry {
        first: since + 1,
        last: page.next,
        writer: writer.to_owned(),
        schema: schema.hash.clone(),
        new_schema: None,
        changes: changes.collect(),
    };
    let folder = to.segment(entry.first);
    let path = to.entry(entry.first);
    let text = entry.encode(schema);
    let written = files
        .create_directory(&folder)
        .and_then(|()| files.create(&path, text.as_bytes(), Readers::Owner, false));
    written.map_err(|error| io_error(&path, &error))
}
