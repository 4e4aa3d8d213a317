//! The files of log types: `events/2026/11/21-000000000012-000000000034.otoml`.
//!
//! A fold writes the events of its commits, one file for each day (of the time field, in UTC), named
//! by the day and the range of commits. So whoever folds the same range writes the same file, and
//! writing it twice changes nothing. A file is only ever replaced whole; nothing is appended in
//! place, so no torn end can be left by a crash.
//!
//! Where two processes fold ranges that overlap, or one ends in the midst of a merge, an event
//! stands in two files. Readers take the one of the higher revision, and the next merge removes the
//! other. Names that people give, such as `21.otoml` and `21-import.otoml`, are read as well, and
//! such files are never merged.

mod copy_out;
mod find;
mod merge;
mod name;
mod put;
mod rewrite;
mod splice;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::schema::{Type, TypeId};

pub(crate) use self::name::conflict;
use self::name::{Day, Name};
use self::put::Put;
pub(crate) use self::rewrite::{Edit, Edited, Rewritten};
use super::tree::{DayFile, Tree};
use crate::error::io_error;
use crate::files::{Files, Stamp};
use crate::layout::Layout;
use crate::otoml::{self, Found};
use crate::record::{Hash, Version};
use crate::shared::Shared;

/// The files of one log type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Days<'a> {
    layout: &'a Layout,
    files: &'a dyn Files,
    ty: &'a Type,
}

/// The file of a day, as it was read.
#[derive(Debug)]
pub(crate) enum Reading {
    /// It is not there.
    Gone,
    /// It cannot be read as a day of its type.
    Faulty(Stamp, Vec<otoml::Fault>),
    /// What it says.
    Good(Contents),
}

/// What the file of a day says.
#[derive(Debug)]
pub(crate) struct Contents {
    /// The file.
    pub(crate) stamp: Stamp,
    /// Its text.
    pub(crate) text: Vec<u8>,
    /// Its blocks.
    pub(crate) found: Vec<Found>,
}

impl<'a> Days<'a> {
    /// Those of a log type of an open store.
    pub(crate) fn of(shared: &'a Shared, type_id: TypeId) -> Self {
        Self::new(
            &shared.layout,
            &*shared.files,
            &shared.schema.types[type_id],
        )
    }

    /// Those of a log type.
    pub(crate) fn new(layout: &'a Layout, files: &'a dyn Files, ty: &'a Type) -> Self {
        Self { layout, files, ty }
    }

    /// Writes the events of a fold of the commits `first..=last`, and merges the files of days that
    /// have too many. Not durable before the caller syncs.
    ///
    /// Returns files that a person may have edited; see [`self::rewrite::Rewritten::inspect`]. Where
    /// there are any, call again with the same events when they were looked into. Files that are
    /// `held` cannot be used as they are: others are written beside them.
    ///
    /// # Errors
    /// Those of the file system; then some of the files may be written, and calling again is fine.
    pub(crate) fn add(
        &self,
        tree: &mut Tree,
        first: u64,
        last: u64,
        rows: &[Row],
        held: &dyn Fn(&Path) -> bool,
    ) -> Result<Vec<PathBuf>> {
        let mut inspect = Vec::new();
        for (day, rows) in self.by_day(rows) {
            let mut path = self.path(&day, &name::of(&day, first, last));
            if held(&path) || self.has_others(tree, &path, &rows)? {
                path = name::aside(&path);
            }
            self.write_whole(tree, &path, &rows, &mut inspect)?;
            self.tidy(tree, &day)?;
        }
        Ok(inspect)
    }

    /// Whether a file is as it is known, and holds other events than these: a person's, or those of
    /// an earlier fold.
    fn has_others(&self, tree: &Tree, path: &Path, rows: &[&Row]) -> Result<bool> {
        let known = self.rel(path).and_then(|rel| tree.days.get(&rel));
        Ok(match known {
            Some(known) if put::stamp(self.files, path)? == Some(known.stamp) => {
                known.is_told || known.objects != self.versions(rows)
            }
            _ => false,
        })
    }

    /// Reads the file of a day.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn read_file(&self, path: &Path) -> Result<Reading> {
        let failed = |error: io::Error| io_error(path, &error);
        loop {
            let Some(stamp) = self.files.stamp(path).map_err(failed)? else {
                return Ok(Reading::Gone);
            };
            let text = match self.files.read(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Reading::Gone),
                Err(error) => return Err(failed(error)),
            };
            // Else it was replaced in between, and the stamp is not that of the text.
            if self.files.stamp(path).map_err(failed)? == Some(stamp) {
                return Ok(match otoml::read_day(self.ty, &text) {
                    Ok(found) => Reading::Good(Contents { stamp, text, found }),
                    Err(faults) => Reading::Faulty(stamp, faults),
                });
            }
        }
    }

    /// The events of each day, in the order of their times, then ids. Of an event that comes twice
    /// the later one.
    fn by_day<'r>(&self, rows: &'r [Row]) -> BTreeMap<Day, Vec<&'r Row>> {
        let mut latest: HashMap<&Id, &Row> = HashMap::with_capacity(rows.len());
        for row in rows {
            latest.insert(&row.id, row);
        }
        let mut days: BTreeMap<Day, Vec<&Row>> = BTreeMap::new();
        for row in latest.into_values() {
            days.entry(Day::of(self.time(row))).or_default().push(row);
        }
        for rows in days.values_mut() {
            rows.sort_unstable_by(|a, b| (self.time(a), &a.id).cmp(&(self.time(b), &b.id)));
        }
        days
    }

    fn time(&self, row: &Row) -> osis_core::time::Time {
        let field = self.ty.log().map(|log| log.time);
        let time = field
            .and_then(|field| row.values.get(field))
            .and_then(osis_core::value::Value::as_time);
        time.unwrap_or(row.created_at)
    }

    fn version(&self, row: &Row) -> Version {
        Version {
            rev: row.rev,
            hash: Hash::of(self.ty, &row.values),
        }
    }

    /// The version that a block claims to be; revision 0 where it names none.
    pub(crate) fn version_in(&self, found: &Found) -> Version {
        Version {
            rev: found.rev.unwrap_or(0),
            hash: Hash::of(self.ty, &found.values),
        }
    }

    fn versions(&self, rows: &[&Row]) -> Vec<(Id, Version)> {
        rows.iter()
            .map(|row| (row.id.clone(), self.version(row)))
            .collect()
    }

    /// Writes a file of exactly these events.
    fn write_whole(
        &self,
        tree: &mut Tree,
        path: &Path,
        rows: &[&Row],
        inspect: &mut Vec<PathBuf>,
    ) -> Result<()> {
        let Some(rel) = self.rel(path) else {
            return Ok(());
        };
        let objects = self.versions(rows);
        let known = tree.days.get(&rel);
        if let Some(known) = known
            && known.objects == objects
            && put::stamp(self.files, path)? == Some(known.stamp)
        {
            return Ok(());
        }
        let text = otoml::day(self.ty, rows);
        let known = known.map(|known| known.stamp);
        let readers = Layout::readers(self.ty);
        let (text, known) = (text.as_bytes(), known.as_ref());
        match put::put(self.files, path, text, known, readers, false)? {
            Put::Done(stamp) => {
                let day = DayFile::settled(stamp, self.ty.id, objects);
                tree.days.insert(rel, day);
            }
            Put::Other => inspect.push(path.to_owned()),
        }
        Ok(())
    }

    /// The names of the files of a day, in order.
    fn names(&self, day: &Day) -> Result<Vec<String>> {
        let mut names = self.list(day)?;
        names.retain(|name| Name::parse(name).is_some_and(|name| name.day == day.day));
        names.sort_unstable();
        Ok(names)
    }

    /// All names in the directory of a day.
    fn list(&self, day: &Day) -> Result<Vec<String>> {
        let directory = self.directory(day);
        let names = self.files.list(&directory);
        names.map_err(|error| io_error(&directory, &error))
    }

    fn directory(&self, day: &Day) -> PathBuf {
        let folder = self.layout.folder(self.ty);
        folder
            .join(format!("{:04}", day.year))
            .join(format!("{:02}", day.month))
    }

    fn path(&self, day: &Day, name: &str) -> PathBuf {
        self.directory(day).join(name)
    }

    /// A path as [`Tree::days`] has it.
    fn rel(&self, path: &Path) -> Option<String> {
        rel(self.layout, path)
    }
}

/// A path as [`Tree::days`] has it; nothing if it does not lie in the store.
pub(crate) fn rel(layout: &Layout, path: &Path) -> Option<String> {
    let rel = path.strip_prefix(layout.root()).ok()?;
    rel.to_str().map(str::to_owned)
}

/// Whether a file is one that a person has named, and so is nobody's to merge.
pub(crate) fn is_persons(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(Name::parse)
        .is_none_or(|name| name.range.is_none())
}
