//! Import: lines of an export into a store, a thousand a transaction.

use std::collections::HashMap;
use std::io::BufRead;

use osis_core::backend::Scope;
use osis_core::batch::{Batch, ImportObject, Op, Outcome};
use osis_core::error::Faults;
use osis_core::input;
use osis_core::rollup::{Cell, CellScan, KeyRange, Place, text};
use osis_core::schema::{Schema, TypeId};
use osis_core::store::Principal;
use osis_core::{Error, ErrorKind, Result, Store, Time};

use crate::seedfile::{ExportLine, export_line};
use crate::{PAGE, Progress};

/// How many cells are held against those of the store at once: each of them stands in one query.
const CELLS_MAX: usize = 100;

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Objects that are new.
    pub imported: u64,
    /// Objects that were there with the same content, and rows of roll-ups.
    pub skipped: u64,
}

/// Reads lines `{"type": …, "object": …}` and `{"rollup": …, "row": …}` into a store.
///
/// Each thousand lines are one transaction, so an import that failed can be run again. Where
/// objects refer to others further down, in a circle, a transaction takes in as many lines more as
/// it needs. Roll-ups are made of the objects that are imported: their lines, which stand behind
/// those of their objects, are held against what is there by then.
///
/// # Errors
/// Names the line: `Invalid` if it is none of an export, or a roll-up of which the store lacks objects;
/// `Conflict` if its object is there with other content, or its key is taken; `Reference` if it
/// refers to nothing.
pub async fn import(
    store: &Store,
    who: &Principal,
    lines: &mut (dyn BufRead + Send),
    progress: Progress<'_>,
) -> Result<Imported> {
    let mut lines = Lines {
        schema: store.schema(),
        lines,
        number: 0,
        ahead: None,
    };
    let mut total = Imported::default();
    let mut objects = Vec::new();
    let mut wanted = PAGE;
    loop {
        let next = lines.read(&mut objects, wanted)?;
        match put(store, who, &objects).await {
            // What is missing may come further down.
            Err(error)
                if matches!(error.kind(), ErrorKind::Reference { .. }) && next == Next::Object =>
            {
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
        match next {
            Next::Object => {}
            Next::Cell => {
                let cells = lines.read_cells()?;
                compare(store, who, &cells).await?;
                total.skipped += cells.len() as u64;
                progress(cells.len() as u64);
            }
            Next::End => return Ok(total),
        }
    }
}

/// Puts objects in place in one transaction.
async fn put(store: &Store, who: &Principal, objects: &[ImportObject]) -> Result<Imported> {
    if objects.is_empty() {
        return Ok(Imported::default());
    }
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

/// Holds cells of one type against those of the store, which may count more objects.
async fn compare(store: &Store, who: &Principal, cells: &[CellLine]) -> Result<()> {
    let Some(scan) = scan(cells) else {
        return Ok(());
    };
    let mut reader = store.read(who, Scope::Consistent, None).await?;
    let mut counts: HashMap<Place, u64> = HashMap::new();
    let mut scan = scan;
    loop {
        let page = reader.cells(&scan).await?;
        counts.extend(page.iter().map(|cell| (cell.place(), cell.count)));
        match page.last().filter(|_| page.len() == scan.limit) {
            Some(last) => scan.after = Some(last.place()),
            None => break,
        }
    }
    for CellLine {
        type_id,
        cell,
        origin,
    } in cells
    {
        let found = counts.get(&cell.place()).copied().unwrap_or(0);
        if found < cell.count {
            let (name, wanted) = (&store.schema().types[*type_id].name, cell.count);
            return Err(Error::invalid(
                &**origin,
                format!(
                    "the roll-up of {name} counts {wanted} objects here, and the store has {found} \
                     of them; an export has the objects before it"
                ),
            ));
        }
    }
    Ok(())
}

/// The pages that hold the cells of some lines.
fn scan(cells: &[CellLine]) -> Option<CellScan> {
    let places: Vec<Place> = cells.iter().map(|line| line.cell.place()).collect();
    let from = places.iter().map(|place| place.bucket).min()?;
    let last = places.iter().map(|place| place.bucket).max()?;
    let mut keys: Vec<KeyRange> = places
        .iter()
        .map(|place| KeyRange::of(&place.key))
        .collect();
    keys.sort_unstable_by(|a, b| a.from.cmp(&b.from));
    keys.dedup();
    Some(CellScan {
        keys,
        from,
        until: Time::from_millis(last.as_millis() + 1),
        ..CellScan::all(cells.first()?.type_id)
    })
}

/// A line with a cell of a roll-up.
struct CellLine {
    type_id: TypeId,
    cell: Cell,
    origin: Box<str>,
}

/// What comes behind the lines that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Object,
    Cell,
    End,
}

/// One line of an export.
enum Line {
    Object(ImportObject),
    Cell(CellLine),
}

/// The lines of an export, one after another.
struct Lines<'a> {
    schema: &'a Schema,
    lines: &'a mut (dyn BufRead + Send),
    number: usize,
    /// A line that was read and is not asked for yet.
    ahead: Option<Line>,
}

impl Lines<'_> {
    /// Reads until there are so many objects, or up to a line with something else.
    fn read(&mut self, objects: &mut Vec<ImportObject>, wanted: usize) -> Result<Next> {
        while objects.len() < wanted {
            match self.next()? {
                Some(Line::Object(object)) => objects.push(object),
                cell @ Some(Line::Cell(_)) => {
                    self.ahead = cell;
                    return Ok(Next::Cell);
                }
                None => return Ok(Next::End),
            }
        }
        Ok(Next::Object)
    }

    /// Reads cells of one type, up to a line with something else.
    fn read_cells(&mut self) -> Result<Vec<CellLine>> {
        let mut cells: Vec<CellLine> = Vec::new();
        while cells.len() < CELLS_MAX {
            match self.next()? {
                Some(Line::Cell(cell))
                    if cells.first().is_none_or(|one| one.type_id == cell.type_id) =>
                {
                    cells.push(cell);
                }
                other => {
                    self.ahead = other;
                    break;
                }
            }
        }
        Ok(cells)
    }

    fn next(&mut self) -> Result<Option<Line>> {
        if let Some(line) = self.ahead.take() {
            return Ok(Some(line));
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            self.number += 1;
            let place = format!("line {}", self.number);
            let read = self.lines.read_until(b'\n', &mut line);
            let read =
                read.map_err(|error| Error::invalid(&*place, format!("cannot be read: {error}")))?;
            if read == 0 {
                return Ok(None);
            }
            if !line.trim_ascii().is_empty() {
                return parsed(self.schema, &line, place).map(Some);
            }
        }
    }
}

fn parsed(schema: &Schema, line: &[u8], place: String) -> Result<Line> {
    let text = std::str::from_utf8(line).map_err(|_| Error::invalid(&*place, "is no UTF-8"))?;
    let ExportLine {
        is_rollup,
        type_name,
        content,
    } = export_line(text.trim_end(), &place)?;
    let Some(ty) = schema.find(&type_name) else {
        return Err(Error::invalid(
            place,
            format!("the schema has no type {type_name:?}"),
        ));
    };
    let (type_id, origin) = (ty.id, place.clone().into());
    let path = format!("{place}: {type_name}");
    let mut faults = Faults::default();
    let line = match is_rollup {
        true => text::read(ty, &content, &path, &mut faults).map(|cell| {
            Line::Cell(CellLine {
                type_id,
                cell,
                origin,
            })
        }),
        false => input::row(ty, &content, &path, &mut faults).map(|row| {
            Line::Object(ImportObject {
                type_id,
                row,
                origin,
            })
        }),
    };
    faults.finish()?;
    line.ok_or_else(|| Error::invalid(&*place, "is no line of an export"))
}
