//! Changes and removes events that are in files already.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use osis_core::error::Result;
use osis_core::object::{Id, Row};

use super::find::is_passed_over;
use super::name;
use super::put::{self, Put};
use super::{Contents, DayFile, Days, Reading, Tree, splice};
use crate::error::io_error;
use crate::layout::Layout;
pub(crate) use crate::otoml::BlockEdit as Edit;
use crate::record::Version;

/// What [`Days::rewrite`] left to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rewritten {
    /// Files that are not as they were known, so that a person may have edited them, with those of
    /// the events that they have. They were left alone: look into them, then rewrite again.
    pub(crate) inspect: Vec<(PathBuf, Vec<Id>)>,
    /// Events that are in no file that is known, and should be.
    pub(crate) missing: Vec<Row>,
    /// Events that could not be written, since their blocks are a person's.
    pub(crate) open: Vec<Id>,
    /// Files that were written and of which something is told to people: their lines have moved.
    pub(crate) told: Vec<PathBuf>,
}

/// What came of editing a file.
#[derive(Debug)]
pub(crate) enum Edited {
    /// It is written, and is this now.
    Done(Contents),
    /// Nothing was left in it, so it is gone.
    Gone,
    /// It is no longer as it was read, and stays as it is.
    Other,
}

/// What came of bringing a file up to date.
enum Rewrite {
    /// It is written; of these events it has only blocks that are a person's.
    Done(Vec<Id>),
    /// It is not as it is known.
    Other,
}

impl Days<'_> {
    /// Brings files up to date with events that were changed (`Some`) or deleted (`None`) after they
    /// were folded. Not durable before the caller syncs.
    ///
    /// A block is the store's to change only while it says what the file is known to hold of its
    /// event; any other is a person's.
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
        let mut open = HashSet::new();
        for (rel, ids) in self.behind(tree, changed) {
            let path = self.layout.root().join(&rel);
            let is_told = tree.days.get(&rel).is_some_and(|known| known.is_told);
            match self.rewrite_file(tree, &rel, &path, changed)? {
                Rewrite::Done(still) => {
                    if is_told && still.len() < ids.len() {
                        left.told.push(path);
                    }
                    open.extend(still);
                }
                Rewrite::Other => left.inspect.push((path, ids)),
            }
        }
        for day in tree.days.values().filter(|day| day.type_id == self.ty.id) {
            for (id, version) in &day.objects {
                missing.remove(id);
                let is_written = !day.open.contains(id)
                    && changed
                        .get(id)
                        .and_then(|row| row.as_ref())
                        .map(|row| self.version(row))
                        == Some(*version);
                if is_written {
                    open.remove(id);
                }
            }
        }
        for (path, ids) in self.unknown_near(tree, changed.keys())? {
            missing.retain(|id, _| !ids.contains(id));
            left.inspect.push((path, ids));
        }
        left.inspect.sort_unstable();
        left.open = open.into_iter().collect();
        left.open.sort_unstable();
        left.missing = missing.into_values().cloned().collect();
        left.missing.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Ok(left)
    }

    /// The known files that have older versions of events, with these, in order.
    fn behind(&self, tree: &Tree, changed: &HashMap<Id, Option<Row>>) -> Vec<(String, Vec<Id>)> {
        let days = tree
            .days
            .iter()
            .filter(|(_, day)| day.type_id == self.ty.id);
        let behind = days.map(|(rel, day)| {
            let older = day.objects.iter().filter(|(id, version)| {
                let row = changed.get(id);
                row.is_some_and(|row| row.as_ref().map(|row| self.version(row)) != Some(*version))
            });
            let ids: Vec<Id> = older.map(|(id, _)| id.clone()).collect();
            (rel.clone(), ids)
        });
        let mut behind: Vec<(String, Vec<Id>)> =
            behind.filter(|(_, ids)| !ids.is_empty()).collect();
        behind.sort_unstable();
        behind
    }

    /// Edits blocks of a file that was read, one edit a block in their order. All else in it stays,
    /// comments too.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn edit(&self, path: &Path, read: &Contents, edits: &[Edit]) -> Result<Edited> {
        let Some((text, found)) = splice::apply(self.ty, read, edits) else {
            return Ok(Edited::Other);
        };
        if text.is_empty() {
            let is_gone = put::retire(self.files, path, &read.stamp, || name::aside(path))?;
            return Ok(if is_gone { Edited::Gone } else { Edited::Other });
        }
        let text = text.into_bytes();
        let readers = Layout::readers(self.ty);
        match put::put(self.files, path, &text, Some(&read.stamp), readers, false)? {
            Put::Done(stamp) => Ok(Edited::Done(Contents { stamp, text, found })),
            Put::Other => Ok(Edited::Other),
        }
    }

    /// Brings one file up to date.
    fn rewrite_file(
        &self,
        tree: &mut Tree,
        rel: &str,
        path: &Path,
        changed: &HashMap<Id, Option<Row>>,
    ) -> Result<Rewrite> {
        if self.is_closed(path) {
            return Ok(Rewrite::Other);
        }
        let Reading::Good(read) = self.read_file(path)? else {
            return Ok(Rewrite::Other);
        };
        let Some(known) = tree.days.get(rel).filter(|known| known.stamp == read.stamp) else {
            return Ok(Rewrite::Other);
        };
        let mut objects: HashMap<Id, Version> = known.objects.iter().cloned().collect();
        let (open, is_told) = (known.open.clone(), known.is_told);
        let mut edits = Vec::with_capacity(read.found.len());
        for found in &read.found {
            let own = found.id.as_ref().filter(|id| {
                !open.contains(id) && objects.get(*id) == Some(&self.version_in(found))
            });
            edits.push(match own.and_then(|id| changed.get(id)) {
                None => Edit::Keep,
                Some(None) => Edit::Drop,
                Some(Some(row)) => Edit::Put(row.clone()),
            });
        }
        if edits.iter().any(|edit| *edit != Edit::Keep) {
            let now = match self.edit(path, &read, &edits)? {
                Edited::Done(now) => Some(now.stamp),
                Edited::Gone => None,
                Edited::Other => return Ok(Rewrite::Other),
            };
            for (found, edit) in read.found.iter().zip(&edits) {
                match (edit, &found.id) {
                    (Edit::Put(row), Some(id)) => {
                        objects.insert(id.clone(), self.version(row));
                    }
                    (Edit::Drop, Some(id)) => {
                        objects.remove(id);
                    }
                    _ => {}
                }
            }
            let Some(stamp) = now else {
                tree.days.remove(rel);
                return Ok(Rewrite::Done(Vec::new()));
            };
            let order = known_order(&read, &edits, &objects);
            let day = DayFile {
                stamp,
                type_id: self.ty.id,
                objects: order,
                open,
                is_told,
            };
            tree.days.insert(rel.to_owned(), day);
        }
        let is_behind = |(id, version): &(&Id, &Version)| {
            let row = changed.get(*id);
            row.is_some_and(|row| row.as_ref().map(|row| self.version(row)) != Some(**version))
        };
        let still = objects.iter().filter(is_behind);
        Ok(Rewrite::Done(still.map(|(id, _)| id.clone()).collect()))
    }

    /// Files that are not known, and may have some of these events; those apart that are `held`.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn unknown_with(
        &self,
        tree: &Tree,
        rows: &[Row],
        held: &dyn Fn(&Path) -> bool,
    ) -> Result<Vec<PathBuf>> {
        let unknown = self.unknown_near(tree, rows.iter().map(|row| &row.id))?;
        let paths = unknown.into_iter().map(|(path, _)| path);
        Ok(paths.filter(|path| !held(path)).collect())
    }

    /// Files that are not known and name one of the events, of days in which these may be.
    fn unknown_near<'i>(
        &self,
        tree: &Tree,
        ids: impl Iterator<Item = &'i Id>,
    ) -> Result<Vec<(PathBuf, Vec<Id>)>> {
        let mut unknown = Vec::new();
        let wanted: HashMap<&str, &Id> = ids.map(|id| (id.as_str(), id)).collect();
        for day in self.days_near(wanted.values().copied())? {
            for name in self.names(&day)? {
                let path = self.path(&day, &name);
                if self
                    .rel(&path)
                    .is_some_and(|rel| tree.days.contains_key(&rel))
                {
                    continue;
                }
                match self.files.read(&path) {
                    Ok(text) => {
                        let ids: Vec<Id> = named(&text, |id| wanted.get(id).copied());
                        unknown.extend((!ids.is_empty()).then_some((path, ids)));
                    }
                    Err(error) if is_passed_over(&error) => {}
                    Err(error) => return Err(io_error(&path, &error)),
                }
            }
        }
        Ok(unknown)
    }
}

/// The events of a file in the order of its blocks, then those that no block says.
fn known_order(
    read: &Contents,
    edits: &[Edit],
    objects: &HashMap<Id, Version>,
) -> Vec<(Id, Version)> {
    let mut left = objects.clone();
    let blocks = read.found.iter().zip(edits);
    let ids = blocks.filter(|(_, edit)| **edit != Edit::Drop);
    let ids = ids.filter_map(|(found, _)| found.id.as_ref());
    let mut order: Vec<(Id, Version)> = ids.filter_map(|id| left.remove_entry(id)).collect();
    let mut rest: Vec<(Id, Version)> = left.into_iter().collect();
    rest.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    order.extend(rest);
    order
}

/// Those of some ids that stand in a text, whatever else may be wrong with it.
pub(super) fn named<'i>(text: &[u8], wanted: impl Fn(&str) -> Option<&'i Id>) -> Vec<Id> {
    let is_of_id = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let words = text.split(|byte| !is_of_id(byte));
    let words = words.filter_map(|word| std::str::from_utf8(word).ok());
    let ids: HashSet<&Id> = words.filter_map(wanted).collect();
    let mut ids: Vec<Id> = ids.into_iter().cloned().collect();
    ids.sort_unstable();
    ids
}
