//! Import: lines of an export into a store, a thousand a transaction.

use std::io::BufRead;

use osis_core::batch::{Batch, ImportObject, Op, Outcome};
use osis_core::error::Faults;
use osis_core::input;
use osis_core::schema::Schema;
use osis_core::store::Principal;
use osis_core::{Error, Result, Store};

use crate::seedfile::line_object;
use crate::{PAGE, Progress};

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Objects that are new.
    pub imported: u64,
    /// Objects that were there with the same content.
    pub skipped: u64,
}

/// Reads lines `{"type": …, "object": …}` into a store.
///
/// Each thousand lines are one transaction, so an import that failed can be run again.
///
/// # Errors
/// Names the line: `Invalid` if it is none of an export; `Conflict` if its object is there with
/// other content, or its key is taken; `Reference` if it refers to nothing.
pub async fn import(
    store: &Store,
    who: &Principal,
    lines: &mut (dyn BufRead + Send),
    progress: Progress<'_>,
) -> Result<Imported> {
    let mut total = Imported::default();
    let mut objects = Vec::with_capacity(PAGE);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        number += 1;
        let place = format!("line {number}");
        let read =
            read.map_err(|error| Error::invalid(&*place, format!("cannot be read: {error}")))?;
        if !line.trim_ascii().is_empty() {
            objects.push(object(store.schema(), &line, place)?);
        }
        if objects.len() == PAGE || (read == 0 && !objects.is_empty()) {
            let count = objects.len() as u64;
            let op = Op::Import {
                objects: std::mem::take(&mut objects),
            };
            let commit = store.write_one(who, Batch::of(vec![op])).await?;
            for outcome in commit.outcomes {
                if let Outcome::Imported { imported, skipped } = outcome {
                    total.imported += imported;
                    total.skipped += skipped;
                }
            }
            progress(count);
        }
        if read == 0 {
            return Ok(total);
        }
    }
}

fn object(schema: &Schema, line: &[u8], place: String) -> Result<ImportObject> {
    let text = std::str::from_utf8(line).map_err(|_| Error::invalid(&*place, "is no UTF-8"))?;
    let (type_name, object) = line_object(text.trim_end(), &place)?;
    let Some(ty) = schema.find(&type_name) else {
        return Err(Error::invalid(
            place,
            format!("the schema has no type {type_name:?}"),
        ));
    };
    let mut faults = Faults::default();
    let row = input::row(ty, &object, &format!("{place}: {type_name}"), &mut faults);
    faults.finish()?;
    let row = row.ok_or_else(|| Error::invalid(&*place, "is no object of an export"))?;
    Ok(ImportObject {
        type_id: ty.id,
        row,
        origin: place.into(),
    })
}
