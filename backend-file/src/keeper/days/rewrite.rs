//! Changes and removes events that are in files already.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use osis_core::error::Result;
use osis_core::object::{Id, Row};

use super::name::{self, Day};
use super::put::{self, Put};
use super::{Contents, DayFile, Days, Reading, Tree, splice};
use crate::error::io_error;
use crate::layout::Layout;

/// What [`Days::rewrite`] left to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rewritten {
    /// Files that are not as they were known, so that a person may have edited them. They were left
    /// alone: look into them, then rewrite again.
    pub(crate) inspect: Vec<PathBuf>,
    /// Events that are in no file that is known, and should be.
    pub(crate) missing: Vec<Row>,
}

/// What becomes of a block of a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Edit {
    /// It stays as it is, to the letter.
    Keep,
    /// It becomes this event.
    Put(Row),
    /// It goes.
    Drop,
}

impl Days<'_> {
    /// Brings files up to date with events that were changed (`Some`) or deleted (`None`) after they
    /// were folded. Not durable before the caller syncs.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(crate) fn rewrite(
        &self,
        tree: &mut Tree,
        changed: &HashMap<Id, Option<Row>>,
    ) -> Result<Rewritten> {
        let mut left = Rewritten::default();
        let mut missing: HashMap<&Id, &Row> = HashMap::new();
        for (id, row) in changed {
            missing.extend(row.as_ref().map(|row| (id, row)));
        }
        let mut concerned: Vec<String> = Vec::new();
        for (rel, day) in &tree.days {
            if day.type_id != self.ty.id {
                continue;
            }
            let mut is_behind = false;
            for (id, version) in &day.objects {
                if let Some(row) = changed.get(id) {
                    missing.remove(id);
                    is_behind |= row.as_ref().map(|row| self.version(row)) != Some(*version);
                }
            }
            if is_behind {
                concerned.push(rel.clone());
            }
        }
        concerned.sort_unstable();
        for rel in concerned {
            let path = self.layout.root().join(&rel);
            if !self.rewrite_file(tree, &rel, &path, changed)? {
                left.inspect.push(path);
            }
        }
        left.inspect.extend(self.unknown_near(tree, changed)?);
        left.inspect.sort_unstable();
        left.inspect.dedup();
        left.missing = missing.into_values().cloned().collect();
        left.missing.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(left)
    }

    /// Edits blocks of a file that was read, one edit a block in their order; whether it was still
    /// as it was read. All else in it stays, comments too.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn edit(
        &self,
        tree: &mut Tree,
        path: &Path,
        read: &Contents,
        edits: &[Edit],
    ) -> Result<bool> {
        let Some(rel) = self.rel(path) else {
            return Ok(false);
        };
        let Some((text, objects)) = splice::apply(self.ty, read, edits) else {
            return Ok(false);
        };
        if text.is_empty() {
            let is_gone = put::retire(self.files, path, &read.stamp, || name::aside(path))?;
            if is_gone {
                tree.days.remove(&rel);
            }
            return Ok(is_gone);
        }
        let readers = Layout::readers(self.ty);
        let (text, known) = (text.as_bytes(), Some(&read.stamp));
        match put::put(self.files, path, text, known, readers, false)? {
            Put::Done(stamp) => {
                let type_id = self.ty.id;
                let day = DayFile {
                    stamp,
                    type_id,
                    objects,
                };
                tree.days.insert(rel, day);
                Ok(true)
            }
            Put::Other => Ok(false),
        }
    }

    /// Brings one file up to date; whether it was as it is known.
    fn rewrite_file(
        &self,
        tree: &mut Tree,
        rel: &str,
        path: &Path,
        changed: &HashMap<Id, Option<Row>>,
    ) -> Result<bool> {
        let Reading::Good(read) = self.read_file(path)? else {
            return Ok(false);
        };
        if tree.days.get(rel).map(|known| known.stamp) != Some(read.stamp) {
            return Ok(false);
        }
        let edits =
            read.found.iter().map(
                |found| match found.id.as_ref().and_then(|id| changed.get(id)) {
                    None => Edit::Keep,
                    Some(None) => Edit::Drop,
                    Some(Some(row)) => Edit::Put(row.clone()),
                },
            );
        let edits: Vec<Edit> = edits.collect();
        self.edit(tree, path, &read, &edits)
    }

    /// Files that are not known and name one of the events, of days in which these may be.
    fn unknown_near(
        &self,
        tree: &Tree,
        changed: &HashMap<Id, Option<Row>>,
    ) -> Result<Vec<PathBuf>> {
        let mut days: Vec<Day> = changed.keys().flat_map(name::near).collect();
        days.sort_unstable();
        days.dedup();
        let mut unknown = Vec::new();
        for day in days {
            for name in self.names(&day)? {
                let path = self.path(&day, &name);
                if self
                    .rel(&path)
                    .is_some_and(|rel| tree.days.contains_key(&rel))
                {
                    continue;
                }
                match self.files.read(&path) {
                    Ok(text) if names_one(&text, changed) => unknown.push(path),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(io_error(&path, &error)),
                }
            }
        }
        Ok(unknown)
    }
}

/// Whether one of these ids stands in a text, whatever else may be wrong with it.
fn names_one(text: &[u8], ids: &HashMap<Id, Option<Row>>) -> bool {
    let is_of_id = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let mut words = text.split(|byte| !is_of_id(byte));
    words.any(|word| std::str::from_utf8(word).is_ok_and(|word| ids.contains_key(word)))
}
