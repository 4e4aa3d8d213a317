//! Import: lines of an export into a store, a thousand a transaction.

use std::io::BufRead;

use osis_core::batch::{Batch, ImportObject, Op, Outcome};
use osis_core::error::Faults;
use osis_core::input;
use osis_core::schema::Schema;
use osis_core::store::Principal;
use osis_core::{Error, ErrorKind, Result, Store};

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
/// Each thousand lines are one transaction, so an import that failed can be run again. Where
/// objects refer to others further down, in a circle, a transaction takes in as many lines more as
/// it needs.
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
    let mut lines = Lines {
        schema: store.schema(),
        lines,
        number: 0,
    };
    let mut objects = Vec::new();
    let mut wanted = PAGE;
    loop {
        let at_end = lines.read(&mut objects, wanted)?;
        match put(store, who, &objects).await {
            // What is missing may come further down.
            Err(error) if matches!(error.kind(), ErrorKind::Reference { .. }) && !at_end => {
                wanted = objects.len() * 2;
                continue;
            }
            done => {
                let done = done?;
                total.imported += done.imported;
                total.skipped += done.skipped;
            }
        }
        progress(objects.len() as u64);
        objects.clear();
        wanted = PAGE;
        if at_end {
            return Ok(total);
        }
    }
}

/// Puts objects in place in one transaction.
async fn put(store: &Store, who: &Principal, objects: &[ImportObject]) -> Result<Imported> {
    let op = Op::Import {
        objects: objects.to_vec(),
    };
    let commit = store.write_one(who, Batch::of(vec![op])).await?;
    match commit.outcomes.as_slice() {
        [Outcome::Imported { imported, skipped }] => Ok(Imported {
            imported: *imported,
            skipped: *skipped,
        }),
        _ => Err(Error::new(
            ErrorKind::Internal,
            "an import was answered with something else",
        )),
    }
}

/// The lines of an export, one after another.
struct Lines<'a> {
    schema: &'a Schema,
    lines: &'a mut (dyn BufRead + Send),
    number: usize,
}

impl Lines<'_> {
    /// Reads until there are so many objects; tells whether the lines are at their end.
    fn read(&mut self, objects: &mut Vec<ImportObject>, wanted: usize) -> Result<bool> {
        let mut line = Vec::new();
        while objects.len() < wanted {
            line.clear();
            self.number += 1;
            let place = format!("line {}", self.number);
            let read = self.lines.read_until(b'\n', &mut line);
            let read =
                read.map_err(|error| Error::invalid(&*place, format!("cannot be read: {error}")))?;
            if read == 0 {
                return Ok(true);
            }
            if !line.trim_ascii().is_empty() {
                objects.push(object(self.schema, &line, place)?);
            }
        }
        Ok(false)
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
