//! Reads many files at once.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::schema::{Type, TypeId};

use super::{Ground, version_of};
use crate::error::io_error;
use crate::keeper::content::{Fault, content};
use crate::keeper::days::rel;
use crate::keeper::marks::Key;
use crate::keeper::tree::{DayFile, Known, Tree};
use crate::keeper::unreadable::{is_refused, why};
use crate::keeper::walk::{Kind, Place};
use crate::otoml::{self, Found};
use crate::record::Version;

/// How many files a thread takes at a time.
const BATCH: usize = 256;
/// More threads than these do not read a disk faster.
const THREADS_MAX: usize = 8;

/// What all files say.
#[derive(Debug, Default)]
pub(super) struct Base {
    /// The objects of each type; of an event in several files the one of the highest revision.
    pub(super) rows: Vec<HashMap<Id, Row>>,
    /// The files in which these are.
    pub(super) known: Tree,
    /// What is wrong with other files, and of which objects they are.
    faults: HashMap<PathBuf, (Option<Key>, Fault)>,
}

/// What a file says.
enum Content {
    /// Nothing that could be used: it is gone, or a person has not finished it.
    Nothing,
    /// It is faulty.
    Faulty(Fault),
    /// An object.
    Object(Row, Known),
    /// Events; where they are not all that is in it, the file is to be looked at again.
    Day(Vec<Row>, DayFile),
}

impl Base {
    /// Reads files.
    pub(super) fn read(&mut self, ground: &Ground<'_>, places: Vec<Place>) -> Result<()> {
        self.rows
            .resize_with(ground.schema.types.len(), HashMap::new);
        let contents = in_parallel(&places, |place| read(ground, place))?;
        for (place, content) in places.into_iter().zip(contents) {
            self.faults.remove(&place.path);
            match content {
                Content::Nothing => {}
                Content::Faulty(fault) => {
                    let key = match place.kind {
                        Kind::Object(id) => Some((place.type_id, id)),
                        _ => None,
                    };
                    self.faults.insert(place.path, (key, fault));
                }
                Content::Object(row, known) => {
                    let key = (place.type_id, row.id.clone());
                    self.rows[place.type_id].insert(row.id.clone(), row);
                    self.known.objects.insert(key, known);
                }
                Content::Day(rows, day) => {
                    for row in rows {
                        self.add_event(place.type_id, row);
                    }
                    if let Some(rel) = rel(ground.layout, &place.path) {
                        self.known.days.insert(rel, day);
                    }
                }
            }
        }
        Ok(())
    }

    fn add_event(&mut self, type_id: TypeId, row: Row) {
        let rows = &mut self.rows[type_id];
        if rows.get(&row.id).is_none_or(|there| there.rev < row.rev) {
            rows.insert(row.id.clone(), row);
        }
    }

    /// Forgets files that are gone. Events stay: whoever removes a file has put them into another,
    /// or the log says that they are gone.
    pub(super) fn forget(&mut self, gone: &[(TypeId, Id)], gone_days: &[String]) {
        for key in gone {
            self.rows[key.0].remove(&key.1);
            self.known.objects.remove(key);
        }
        for rel in gone_days {
            self.known.days.remove(rel);
        }
    }

    /// The objects whose files are broken.
    pub(super) fn broken(&self) -> impl Iterator<Item = &Key> {
        self.faults.values().filter_map(|(key, _)| key.as_ref())
    }

    /// Notes what is wrong.
    pub(super) fn report(&mut self, ground: &Ground<'_>) {
        for (path, (_, fault)) in self.faults.drain() {
            ground.problems.note(&path, fault.0, fault.1);
        }
    }
}

/// Reads one file.
fn read(ground: &Ground<'_>, place: &Place) -> Result<Content> {
    let ty = &ground.schema.types[place.type_id];
    if !matches!(place.kind, Kind::Object(_) | Kind::Day) {
        return Ok(Content::Nothing);
    }
    let text = match ground.files.read(&place.path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Nothing),
        Err(error) if is_refused(&error) => return Ok(Content::Faulty((None, why(&error)))),
        Err(error) => return Err(io_error(&place.path, &error)),
    };
    Ok(match &place.kind {
        Kind::Object(id) => match content(ty, id, &text) {
            Ok(content) => object(ty, place, id, &text, content.found),
            Err(fault) => Content::Faulty(fault),
        },
        _ => match otoml::read_day(ty, &text) {
            Ok(found) => day(ty, place, found),
            Err(faults) => Content::Faulty(otoml::Fault::joined(&faults)),
        },
    })
}

fn object(ty: &Type, place: &Place, id: &Id, text: &[u8], found: Found) -> Content {
    let found = Found {
        id: Some(id.clone()),
        ..found
    };
    // One that lacks what the store gives is new, and nobody has committed it.
    let Some(row) = found.into_row() else {
        return Content::Nothing;
    };
    let known = Known {
        stamp: place.stamp,
        version: version_of(ty, &row),
        is_canonical: otoml::object(ty, &row).as_bytes() == text,
    };
    Content::Object(row, known)
}

fn day(ty: &Type, place: &Place, found: Vec<Found>) -> Content {
    let count = found.len();
    let mut seen: HashSet<Id> = HashSet::with_capacity(count);
    let mut objects: Vec<(Id, Version)> = Vec::with_capacity(count);
    let mut rows: Vec<Row> = Vec::with_capacity(count);
    for row in found.into_iter().filter_map(Found::into_row) {
        if seen.insert(row.id.clone()) {
            objects.push((row.id.clone(), version_of(ty, &row)));
            rows.push(row);
        }
    }
    let day = DayFile {
        is_told: rows.len() < count,
        ..DayFile::settled(place.stamp, place.type_id, objects)
    };
    Content::Day(rows, day)
}

/// Does the same for each item, several at a time; the answers in the items' order, or the first
/// error that came.
fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let batches: Vec<&[T]> = items.chunks(BATCH).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Vec<R>)>> {
        let mut done = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = batches.get(n) else {
                return Ok(done);
            };
            done.push((n, batch.iter().map(&work).collect::<Result<Vec<R>>>()?));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(THREADS_MAX).min(batches.len());
    let done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = vec![work()];
        for other in others {
            done.push(
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        done
    });
    let mut batches = Vec::new();
    for done in done {
        batches.extend(done?);
    }
    batches.sort_unstable_by_key(|(n, _)| *n);
    Ok(batches.into_iter().flat_map(|(_, done)| done).collect())
}
