//! Files of days that processes left which ended while they swapped them with others.
//!
//! Such a file is the store's own, or what was in its place: a person's, if that was quicker. Then it
//! gets a name under which it is read as any other file of the day, and people are told what stands
//! in both.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use osis_core::schema::TypeId;
use osis_core::time::Time;

use super::super::days::{Days, conflict};
use super::super::leftovers::ORPHAN_AGE;
use super::super::worker::Worker;
use crate::otoml::{self, Found};

/// How many such files of a day may be kept in one second.
const COPIES_MAX: u32 = 10_000;

/// Files that were left, with when they are looked into.
pub(in super::super) type LeftDays = HashMap<PathBuf, (TypeId, Instant)>;

impl Worker<'_> {
    /// Looks for what other processes, or this one's forerunners, left.
    pub(in super::super) fn find_left_days(&mut self) {
        let due = Instant::now() + ORPHAN_AGE;
        for ty in self.schema.types.iter().filter(|ty| ty.log().is_some()) {
            let days = Days::of(self.shared, ty.id);
            if let Err(error) = days.put_back(None) {
                tracing::warn!(%error, "files that were moved aside cannot be put back");
            }
            match days.swapped() {
                Ok(left) => {
                    for path in left {
                        self.left_days.entry(path).or_insert((ty.id, due));
                    }
                }
                Err(error) => tracing::warn!(%error, "leftovers of events cannot be looked for"),
            }
        }
    }

    /// Does away with those that hold nothing but the store's own; keeps all others for people.
    pub(in super::super) fn look_at_left_days(&mut self, now: Instant) {
        let due = self.left_days.iter().filter(|(_, (_, due))| *due <= now);
        let due: Vec<(PathBuf, TypeId)> = due.map(|(path, of)| (path.clone(), of.0)).collect();
        for (path, type_id) in due {
            let done = match self.shared.files.read(&path) {
                Ok(bytes) if self.has_only_own(type_id, &bytes) => self.shared.files.remove(&path),
                Ok(_) => self.keep_day(type_id, &path),
                Err(error) => Err(error),
            };
            match done {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a leftover stays for now");
                    self.left_days.insert(path, (type_id, now + ORPHAN_AGE));
                }
                _ => drop(self.left_days.remove(&path)),
            }
        }
    }

    /// Whether the store has, or had, all that is in a file.
    fn has_only_own(&self, type_id: TypeId, bytes: &[u8]) -> bool {
        let found = otoml::read_day(&self.schema.types[type_id], bytes);
        found.is_ok_and(|found| found.iter().all(|found| self.is_own_block(type_id, found)))
    }

    fn is_own_block(&self, type_id: TypeId, found: &Found) -> bool {
        let Some(id) = &found.id else {
            return false;
        };
        let version = Days::of(self.shared, type_id).version_in(found);
        match self.state.get(type_id, id) {
            Some(held) if held.hash == version.hash => true,
            Some(_) => self.recent.has(&(type_id, id.clone()), version),
            // With all that the store gives an event, it is one that was deleted since.
            None => found.rev.is_some() && found.created_at.is_some() && found.updated_at.is_some(),
        }
    }

    /// Gives a file a name under which it is read.
    fn keep_day(&mut self, type_id: TypeId, left: &Path) -> io::Result<()> {
        let now = Time::now();
        for n in 1..=COPIES_MAX {
            let Some(path) = conflict(left, now, n) else {
                break;
            };
            match self.shared.files.rename_new(left, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    tracing::warn!(
                        path = %path.display(),
                        "an edit of events came when a process ended, and is kept under this name"
                    );
                    self.suspect_days(type_id, vec![path]);
                    return Ok(());
                }
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "no name is free",
        ))
    }
}
