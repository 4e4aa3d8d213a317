//! Merges the small files of a day, and sweeps what dead processes left.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use osis_core::error::Result;
use osis_core::object::{Id, Row};

use super::name::{self, Day, Name};
use super::put::{self, Put, SWAPPED, UNFINISHED};
use super::{Days, Reading, Tree, splice};
use crate::error::io_error;
use crate::files::Stamp;
use crate::keeper::tree::DayFile;
use crate::layout::Layout;
use crate::otoml::{self, Found};

/// A day that has more small files than this has them merged.
const SMALL_FILES_MAX: usize = 8;
/// Files of this length are not small.
const SMALL: u64 = 4 << 20;
/// How old an unfinished file is before whoever wrote it is taken for dead.
const DEAD_AFTER_NS: i64 = 3600 * 1_000_000_000;

/// A file that is merged into another.
struct Source {
    path: PathBuf,
    rel: String,
    stamp: Stamp,
}

impl Days<'_> {
    /// Merges the files of a day if there are many small ones, and sweeps. Files that are not as
    /// they are known are left out: they may be a person's, or another process's.
    ///
    /// # Errors
    /// Those of the file system; then an event may stand in two files, which is fine.
    pub(super) fn tidy(&self, tree: &mut Tree, day: &Day) -> Result<()> {
        let mut small: Vec<Source> = Vec::new();
        let (mut first, mut last) = (u64::MAX, 0);
        for name in self.list(day)? {
            let path = self.path(day, &name);
            if name.starts_with('.') {
                self.sweep(&path, &name);
                continue;
            }
            let parsed = Name::parse(&name).filter(|name| name.day == day.day);
            let (Some(range), Some(rel)) = (parsed.and_then(|name| name.range), self.rel(&path))
            else {
                continue;
            };
            // What is told of a file would be lost with it.
            let known = tree.days.get(&rel).filter(|known| !known.is_told);
            let Some(stamp) = known.map(|known| known.stamp) else {
                continue;
            };
            if stamp.length < SMALL && put::stamp(self.files, &path)? == Some(stamp) {
                small.push(Source { path, rel, stamp });
                (first, last) = (first.min(range.0), last.max(range.1));
            }
        }
        if small.len() > SMALL_FILES_MAX {
            small.sort_unstable_by(|a, b| a.path.cmp(&b.path));
            self.merge(tree, day, &name::of(day, first, last), small)?;
        }
        Ok(())
    }

    /// Puts all events of files into one, and removes them. Gives up where one changes meanwhile.
    /// Files in which a person has left comments or a layout stay as they are.
    fn merge(&self, tree: &mut Tree, day: &Day, name: &str, small: Vec<Source>) -> Result<()> {
        let mut rows: HashMap<Id, Row> = HashMap::new();
        let mut sources = Vec::with_capacity(small.len());
        for source in small {
            let read = match self.read_file(&source.path)? {
                Reading::Good(read) if read.stamp == source.stamp => read,
                _ => return Ok(()),
            };
            let text = std::str::from_utf8(&read.text).unwrap_or_default();
            if !splice::is_canonical(self.ty, text, &read.found) {
                continue;
            }
            sources.push(source);
            for found in read.found {
                let Some(row) = Found::into_row(found) else {
                    return Ok(());
                };
                match rows.get(&row.id) {
                    Some(there) if there.rev >= row.rev => {}
                    _ => drop(rows.insert(row.id.clone(), row)),
                }
            }
        }
        if sources.len() <= SMALL_FILES_MAX {
            return Ok(());
        }
        let sources = &sources;
        let mut rows: Vec<&Row> = rows.values().collect();
        rows.sort_unstable_by(|a, b| (self.time(a), &a.id).cmp(&(self.time(b), &b.id)));
        let path = self.path(day, name);
        let Some(rel) = self.rel(&path) else {
            return Ok(());
        };
        let replaced = sources.iter().find(|source| source.path == path);
        let known = replaced.map(|source| source.stamp);
        if self.is_any_changed(sources, None)? {
            return Ok(());
        }
        let text = otoml::day(self.ty, &rows);
        // Durable before the others go.
        let readers = Layout::readers(self.ty);
        let (text, known) = (text.as_bytes(), known.as_ref());
        let Put::Done(stamp) = put::put(self.files, &path, text, known, readers, true)? else {
            return Ok(());
        };
        let directory = self.directory(day);
        self.files
            .sync(&directory)
            .map_err(|error| io_error(&directory, &error))?;
        // Another process may have rewritten one, without an event that this file now has again.
        if known.is_none() && self.is_any_changed(sources, Some(&path))? {
            put::retire(self.files, &path, &stamp, || name::aside(&path))?;
            return Ok(());
        }
        let merged = DayFile::settled(stamp, self.ty.id, self.versions(&rows));
        tree.days.insert(rel, merged);
        for source in sources.iter().filter(|source| source.path != path) {
            let aside = || name::aside(&source.path);
            if put::retire(self.files, &source.path, &source.stamp, aside)? {
                tree.days.remove(&source.rel);
            }
        }
        Ok(())
    }

    /// Whether a source is not as it was, other than `but`.
    fn is_any_changed(&self, sources: &[Source], but: Option<&PathBuf>) -> Result<bool> {
        for source in sources.iter().filter(|source| Some(&source.path) != but) {
            if put::stamp(self.files, &source.path)? != Some(source.stamp) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Puts files back that a process has moved aside and left there, of this name or of any; whether
    /// there were such. Where their place is taken, they are only what that took the place of.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn put_back(&self, only: Option<&Path>) -> io::Result<bool> {
        let mut is_any = false;
        for month in self.months().map_err(io::Error::other)? {
            let directory = self.directory(&month);
            if only.is_some_and(|only| only.parent() != Some(&*directory)) {
                continue;
            }
            for name in self.list(&month).map_err(io::Error::other)? {
                let Some(before) = name::before_aside(&name) else {
                    continue;
                };
                let (aside, path) = (self.path(&month, &name), self.path(&month, &before));
                if only.is_some_and(|only| only != path) {
                    continue;
                }
                is_any = true;
                match self.files.rename_new(&aside, &path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        self.files.remove(&aside)?;
                    }
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(is_any)
    }

    /// The files that processes swapped, or were about to, and which they left.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn swapped(&self) -> Result<Vec<PathBuf>> {
        let mut left = Vec::new();
        for month in self.months()? {
            let names = self.list(&month)?.into_iter();
            let names = names.filter(|name| name.starts_with('.') && name.ends_with(SWAPPED));
            left.extend(names.map(|name| self.path(&month, &name)));
        }
        Ok(left)
    }

    /// Removes an unfinished file of a process that ended.
    fn sweep(&self, path: &Path, name: &str) {
        if !name.ends_with(UNFINISHED) {
            return;
        }
        let Ok(Some(stamp)) = self.files.stamp(path) else {
            return;
        };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
        if stamp.is_file && now.saturating_sub(stamp.modified) > DEAD_AFTER_NS {
            // What stays only takes room.
            let _ = self.files.remove(path);
        }
    }
}
