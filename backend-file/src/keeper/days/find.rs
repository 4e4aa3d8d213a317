//! Finds events in files of days: where one is of which the log has no content, and where else one
//! stands.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use osis_core::error::Result;
use osis_core::object::{Id, Row};

use super::name::{self, Day, Name};
use super::{Days, rewrite};
use crate::error::{corrupt, io_error};
use crate::keeper::refusal;
use crate::keeper::unreadable::{self, is_refused};
use crate::otoml::{self, Found};

impl Days<'_> {
    /// An event that is in some file of a day near the time in its id, as the file of the highest
    /// revision has it. For events of which the log no longer has the content.
    ///
    /// # Errors
    /// Those of the file system; `Corrupt` where it is not found, and a file that names it is faulty.
    pub(crate) fn find(&self, id: &Id) -> Result<Option<Row>> {
        let mut best: Option<Row> = None;
        let mut faulty = None;
        for day in self.days_near([id])? {
            for name in self.names(&day)? {
                let path = self.path(&day, &name);
                let bytes = match self.files.read(&path) {
                    Ok(bytes) => bytes,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) if is_refused(&error) => {
                        faulty = Some((path, (None, unreadable::why(&error))));
                        continue;
                    }
                    Err(error) => return Err(io_error(&path, &error)),
                };
                // Parsing is a hundred times dearer than looking for the id.
                if !contains(&bytes, id.as_str().as_bytes()) {
                    continue;
                }
                match otoml::read_day(self.ty, &bytes) {
                    Ok(found) => {
                        let own = found
                            .into_iter()
                            .filter(|found| found.id.as_ref() == Some(id));
                        for row in own.filter_map(Found::into_row) {
                            if best.as_ref().is_none_or(|best| best.rev < row.rev) {
                                best = Some(row);
                            }
                        }
                    }
                    Err(faults) => faulty = Some((path, otoml::Fault::joined(&faults))),
                }
            }
        }
        match (best, faulty) {
            (None, Some((path, (line, message)))) => Err(corrupt(&path, line, &message)),
            (best, _) => Ok(best),
        }
    }

    /// Which of some events stand in which files, other than `but`. A file that cannot be read as a
    /// day has those whose ids stand where an id would.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn elsewhere(&self, ids: &HashSet<&Id>, but: &Path) -> Result<HashMap<Id, PathBuf>> {
        let mut there = HashMap::new();
        let by_text: HashMap<&str, &Id> = ids.iter().map(|id| (id.as_str(), *id)).collect();
        for day in self.days_near(ids.iter().copied())? {
            for name in self.names(&day)? {
                let path = self.path(&day, &name);
                if path == but {
                    continue;
                }
                let text = match self.files.read(&path) {
                    Ok(text) => text,
                    Err(error) if is_passed_over(&error) => continue,
                    Err(error) => return Err(io_error(&path, &error)),
                };
                let named = rewrite::named(&text, |id| by_text.get(id).copied());
                if named.is_empty() {
                    continue;
                }
                let found = otoml::read_day(self.ty, &text).ok();
                let has = |id: &Id| match &found {
                    Some(found) => found.iter().any(|found| found.id.as_ref() == Some(id)),
                    None => has_id_line(&text, id),
                };
                let own = named.into_iter().filter(has);
                there.extend(own.map(|id| (id, path.clone())));
            }
        }
        Ok(there)
    }

    /// Whether this process has no right to read a file.
    pub(super) fn is_closed(&self, path: &Path) -> bool {
        let read = self.files.read_start(path, 1);
        read.is_err_and(|error| is_refused(&error))
    }

    /// The days in whose files events may be, going by their ids: all days for an id that has no
    /// time, or one so early that a UUIDv7 could not have an earlier one.
    pub(super) fn days_near<'i>(&self, ids: impl IntoIterator<Item = &'i Id>) -> Result<Vec<Day>> {
        let mut days = Vec::new();
        let mut is_any = false;
        for id in ids {
            match name::near(id) {
                Some(near) => days.extend(near),
                None => is_any = true,
            }
        }
        if is_any {
            days.extend(self.days_there()?);
        }
        days.sort_unstable();
        days.dedup();
        Ok(days)
    }

    /// All days of which there are files.
    fn days_there(&self) -> Result<Vec<Day>> {
        let mut days = Vec::new();
        for mut day in self.months()? {
            for name in self.list(&day)? {
                day.day = Name::parse(&name).map_or(0, |name| name.day);
                days.extend((day.day > 0).then_some(day));
            }
        }
        Ok(days)
    }

    /// All months of which there are folders, as the days before their first.
    pub(super) fn months(&self) -> Result<Vec<Day>> {
        let list = |path: &Path| {
            self.files
                .list(path)
                .map_err(|error| io_error(path, &error))
        };
        let folder = self.layout.folder(self.ty);
        let mut all = Vec::new();
        for name in list(&folder)? {
            let Some(year) = name::number(&name, 4) else {
                continue;
            };
            let months = list(&folder.join(&name))?;
            let months = months.iter().filter_map(|month| name::number(month, 2));
            all.extend(months.map(|month| Day {
                year,
                month: i8::try_from(month).unwrap_or(0),
                day: 0,
            }));
        }
        Ok(all)
    }
}

/// Whether a file is gone, or this process has no right to read it, of which people are told.
pub(super) fn is_passed_over(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || is_refused(error)
}

/// Whether a line of a text gives a block this id.
fn has_id_line(text: &[u8], id: &Id) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().filter(|line| refusal::names(line, "id"));
    lines.any(|line| line.contains(id.as_str()))
}

/// Whether a text contains another.
fn contains(text: &[u8], wanted: &[u8]) -> bool {
    let Some(&first) = wanted.first() else {
        return true;
    };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| byte == first) {
        if rest[at..].starts_with(wanted) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
