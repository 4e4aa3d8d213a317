//! The files of a log type in a copy of the store.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use osis_core::error::Result;
use osis_core::object::{Id, Row};

use super::{Contents, Days, Reading, name, rel};
use crate::error::io_error;
use crate::keeper::content::is_up_to_date;
use crate::keeper::copy_out::Target;
use crate::layout::Layout;
use crate::otoml;
use crate::shared::Shared;
use crate::state::State;

impl Days<'_> {
    /// Writes files of all events of a state: those that hold nothing else as they are, the other
    /// events in files of their own.
    ///
    /// # Errors
    /// Those of the file system and of the cache.
    pub(crate) fn copy_out(
        &self,
        shared: &Shared,
        state: &State,
        to: &Layout,
        target: &mut Target<'_>,
    ) -> Result<()> {
        let readers = Layout::readers(self.ty);
        let mut copied: HashSet<Id> = HashSet::new();
        let mut paths = Vec::new();
        self.collect(&self.layout.folder(self.ty), &mut paths)?;
        paths.sort_unstable();
        for path in paths {
            let Reading::Good(contents) = self.read_file(&path)? else {
                continue;
            };
            let Some(ids) = self.all_served(shared, state, &contents)? else {
                continue;
            };
            if ids.iter().any(|id| copied.contains(id)) {
                continue;
            }
            let Some(rel) = rel(self.layout, &path) else {
                continue;
            };
            target.write(&to.root().join(rel), &contents.text, readers)?;
            copied.extend(ids);
        }
        let events = state.types[self.ty.id].ordinals.values();
        let left = events.filter(|held| !copied.contains(&held.row.id));
        let left: Vec<Row> = left
            .map(|held| shared.bodies.join(held))
            .collect::<Result<_>>()?;
        for (day, rows) in self.by_day(&left) {
            let own = self.path(&day, &name::of(&day, 1, state.seq.max(1)));
            let Some(rel) = rel(self.layout, &own) else {
                continue;
            };
            let mut path = to.root().join(rel);
            let taken = self.files.stamp(&path);
            if taken.map_err(|error| io_error(&path, &error))?.is_some() {
                path = name::aside(&path);
            }
            target.write(&path, otoml::day(self.ty, &rows).as_bytes(), readers)?;
        }
        Ok(())
    }

    /// The events of a file, if all of them are the state's, each once.
    fn all_served(
        &self,
        shared: &Shared,
        state: &State,
        contents: &Contents,
    ) -> Result<Option<HashSet<Id>>> {
        let mut ids = HashSet::new();
        for found in &contents.found {
            let held = found.id.as_ref().and_then(|id| state.get(self.ty.id, id));
            let Some(held) = held else {
                return Ok(None);
            };
            let row = shared.bodies.join(held)?;
            if !is_up_to_date(found, &row, held.version()) || !ids.insert(row.id) {
                return Ok(None);
            }
        }
        Ok(Some(ids))
    }

    /// All files of days below a directory.
    fn collect(&self, directory: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
        let failed = |error| io_error(directory, &error);
        for name in self.files.list(directory).map_err(failed)? {
            let path = directory.join(&name);
            let stamp = self.files.stamp(&path).map_err(failed)?;
            match stamp {
                Some(stamp) if stamp.is_directory => self.collect(&path, paths)?,
                Some(stamp) if stamp.is_file && name::Name::parse(&name).is_some() => {
                    paths.push(path);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
