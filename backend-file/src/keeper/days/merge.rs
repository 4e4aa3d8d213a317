//! Merges the small files of a day, and sweeps what dead processes left.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use osis_core::error::Result;
use osis_core::object::{Id, Row};

use super::name::{self, Day, Name};
use super::put::{self, Put, UNFINISHED};
use super::{Days, Reading, Tree};
use crate::error::io_error;
use crate::files::Stamp;
use crate::keeper::tree::DayFile;
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
    /// Merges the files of a day if there are many small ones, and sweeps. Returns files that are
    /// not as they are known, for which nothing was merged.
    ///
    /// # Errors
    /// Those of the file system; then an event may stand in two files, which is fine.
    pub(super) fn tidy(&self, tree: &mut Tree, day: &Day) -> Result<Vec<PathBuf>> {
        let names = self.list(day)?;
        let mut small: Vec<(Source, (u64, u64))> = Vec::new();
        for name in &names {
            let path = self.path(day, name);
            if name.starts_with('.') {
                self.sweep(&path, name);
                continue;
            }
            let parsed = Name::parse(name).filter(|name| name.day == day.day);
            let (Some(range), Some(rel)) = (parsed.and_then(|name| name.range), self.rel(&path))
            else {
                continue;
            };
            if let Some(stamp) = put::stamp(self.files, &path)?
                && stamp.is_file
                && stamp.length < SMALL
            {
                small.push((Source { path, rel, stamp }, range));
            }
        }
        if small.len() <= SMALL_FILES_MAX {
            return Ok(Vec::new());
        }
        let is_unknown = |source: &Source| {
            tree.days.get(&source.rel).map(|known| known.stamp) != Some(source.stamp)
        };
        let unknown = small.iter().filter(|(source, _)| is_unknown(source));
        let unknown: Vec<PathBuf> = unknown.map(|(source, _)| source.path.clone()).collect();
        if !unknown.is_empty() {
            return Ok(unknown);
        }
        let first = small.iter().map(|(_, range)| range.0).min().unwrap_or(0);
        let last = small.iter().map(|(_, range)| range.1).max().unwrap_or(0);
        small.sort_unstable_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        let sources = small.into_iter().map(|(source, _)| source).collect();
        self.merge(tree, day, (first, last), sources)
    }

    /// Puts all events of files into one, and removes them.
    fn merge(
        &self,
        tree: &mut Tree,
        day: &Day,
        (first, last): (u64, u64),
        sources: Vec<Source>,
    ) -> Result<Vec<PathBuf>> {
        let mut rows: HashMap<Id, Row> = HashMap::new();
        for source in &sources {
            let other = || Ok(vec![source.path.clone()]);
            let Reading::Good(read) = self.read_file(&source.path)? else {
                return other();
            };
            if read.stamp != source.stamp {
                return other();
            }
            for found in read.found {
                let Some(row) = Found::into_row(found) else {
                    return other();
                };
                match rows.get(&row.id) {
                    Some(there) if there.rev >= row.rev => {}
                    _ => drop(rows.insert(row.id.clone(), row)),
                }
            }
        }
        let mut rows: Vec<&Row> = rows.values().collect();
        rows.sort_unstable_by(|a, b| (self.time(a), &a.id).cmp(&(self.time(b), &b.id)));
        let path = self.path(day, &name::of(day, first, last));
        let Some(rel) = self.rel(&path) else {
            return Ok(Vec::new());
        };
        let known = sources
            .iter()
            .find(|source| source.path == path)
            .map(|source| source.stamp);
        if let Some(changed) = self.changed_one(&sources, None)? {
            return Ok(vec![changed]);
        }
        let text = otoml::day(self.ty, &rows);
        // Durable before the others go.
        let Put::Done(stamp) = put::put(self.files, &path, text.as_bytes(), known.as_ref(), true)?
        else {
            return Ok(vec![path]);
        };
        let directory = self.directory(day);
        self.files
            .sync_directory(&directory)
            .map_err(|error| io_error(&directory, &error))?;
        let type_id = self.ty.id;
        let objects = self.versions(&rows);
        let merged = DayFile {
            stamp,
            type_id,
            objects,
        };
        tree.days.insert(rel.clone(), merged);
        // Another process may have rewritten one, without an event that this file now has again.
        if known.is_none()
            && let Some(changed) = self.changed_one(&sources, Some(&path))?
        {
            if put::retire(self.files, &path, &stamp, || name::aside(&path))? {
                tree.days.remove(&rel);
            }
            return Ok(vec![changed]);
        }
        let mut other = Vec::new();
        for source in sources.iter().filter(|source| source.path != path) {
            match put::retire(self.files, &source.path, &source.stamp, || {
                name::aside(&source.path)
            })? {
                true => drop(tree.days.remove(&source.rel)),
                false => other.push(source.path.clone()),
            }
        }
        Ok(other)
    }

    /// A source that is not as it was, other than `but`.
    fn changed_one(&self, sources: &[Source], but: Option<&PathBuf>) -> Result<Option<PathBuf>> {
        for source in sources.iter().filter(|source| Some(&source.path) != but) {
            if put::stamp(self.files, &source.path)? != Some(source.stamp) {
                return Ok(Some(source.path.clone()));
            }
        }
        Ok(None)
    }

    /// Removes an unfinished file of a process that ended.
    fn sweep(&self, path: &std::path::Path, name: &str) {
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
