//! Looks at files of days that are not as the store left them, and takes people's edits of events
//! into the store: each block for itself.
//!
//! - `plan` finds out what the blocks of a file come to;
//! - `judge` has that committed, and the file brought up to date;
//! - `left` looks after files that were being swapped when a process ended.
//!
//! A block that is not taken in stays in the file as it is, is told to people, and is looked at
//! again when it may be fine: after other commits, after the file has changed, at each start. What
//! is served of its event meanwhile is kept by `kept`.

mod judge;
mod left;
mod plan;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osis_core::error::Result;
use osis_core::object::Id;
use osis_core::schema::TypeId;

use super::days::{Days, Reading, is_persons, rel};
use super::held::Held;
use super::inspect::{PATIENCE, RETRY};
use super::marks::Key;
use super::unreadable::{Of, is_refused};
use super::worker::Worker;
use crate::files::Stamp;
use crate::otoml::Fault;
use crate::record::Version;

pub(super) use left::LeftDays;

/// A file of a day of which it is not yet known what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct DaySuspect {
    type_id: TypeId,
    stamp: Option<Stamp>,
    pub(super) due: Instant,
    /// Since when it is suspected.
    pub(super) since: Instant,
}

impl Worker<'_> {
    /// Has the file of a day looked at once it stands still.
    pub(super) fn suspect_day(&mut self, type_id: TypeId, path: &Path, stamp: Option<Stamp>) {
        let still = self.still(path, stamp);
        self.look_at_day_in(still, type_id, path, stamp);
    }

    /// As [`Self::suspect_day`], of files that a fold found in its way.
    pub(super) fn suspect_days(&mut self, type_id: TypeId, paths: Vec<PathBuf>) {
        for path in paths {
            let stamp = self.shared.files.stamp(&path).ok().flatten();
            self.suspect_day(type_id, &path, stamp);
        }
    }

    /// As [`Self::suspect_day`], if a file is known as that of a day; whether it is.
    pub(super) fn suspect_known_day(&mut self, path: &Path, stamp: Option<Stamp>) -> bool {
        let rel = rel(&self.shared.layout, path);
        let known = rel.and_then(|rel| self.tree.days.get(&rel));
        let Some(type_id) = known.map(|known| known.type_id) else {
            return false;
        };
        self.suspect_day(type_id, path, stamp);
        true
    }

    /// Has those files looked at of which the process before told people something, and those of
    /// people in which events stand that other files have, too.
    pub(super) fn suspect_told_days(&mut self) {
        let days = &self.tree.days;
        let of_persons = days.iter().filter(|(rel, _)| is_persons(Path::new(rel)));
        let mut theirs: HashMap<(TypeId, &Id), &String> = HashMap::new();
        for (rel, day) in of_persons {
            let ids = day.objects.iter().map(|(id, _)| (day.type_id, id));
            theirs.extend(ids.map(|id| (id, rel)));
        }
        let mut told: HashSet<&String> = HashSet::new();
        for (rel, day) in days {
            told.extend(day.is_told.then_some(rel));
            if !theirs.is_empty() {
                let ids = day.objects.iter().map(|(id, _)| (day.type_id, id));
                told.extend(
                    ids.filter_map(|id| theirs.get(&id))
                        .filter(|own| **own != rel),
                );
            }
        }
        let told = told.into_iter().map(|rel| {
            let day = &days[rel];
            (day.type_id, self.shared.root().join(rel), Some(day.stamp))
        });
        let told: Vec<(TypeId, PathBuf, Option<Stamp>)> = told.collect();
        for (type_id, path, stamp) in told {
            self.suspect_day(type_id, &path, stamp);
        }
    }

    fn look_at_day_in(
        &mut self,
        wait: Duration,
        type_id: TypeId,
        path: &Path,
        stamp: Option<Stamp>,
    ) {
        let now = Instant::now();
        let suspect = DaySuspect {
            type_id,
            stamp,
            due: now + wait,
            since: now,
        };
        self.day_suspects.entry(path.to_owned()).or_insert(suspect);
    }

    /// Finds out what is in those that stood still long enough, and takes edits in.
    pub(super) fn inspect_days(&mut self) {
        let now = Instant::now();
        let due = self
            .day_suspects
            .iter()
            .filter(|(_, suspect)| suspect.due <= now);
        let mut due: Vec<(PathBuf, DaySuspect)> = due
            .map(|(path, suspect)| (path.clone(), *suspect))
            .collect();
        due.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (path, mut suspect) in due {
            let Ok(stamp) = self.shared.files.stamp(&path) else {
                suspect.due = now + RETRY;
                self.day_suspects.insert(path, suspect);
                continue;
            };
            // What is taken in of it is written back at once.
            let is_unwritten = self.is_unwritten(&path);
            let has_changed = stamp != suspect.stamp
                && (now.duration_since(suspect.since) < PATIENCE || is_unwritten);
            if has_changed || (is_unwritten && self.is_left_open(&path)) {
                suspect.due = now + self.still(&path, stamp);
                suspect.stamp = stamp;
                self.day_suspects.insert(path, suspect);
                continue;
            }
            self.day_suspects.remove(&path);
            if let Err(error) = self.inspect_day(suspect.type_id, &path) {
                if let Some(stamp) = stamp
                    && let Err(error) = self.shared.files.read_start(&path, 1)
                    && is_refused(&error)
                {
                    let of = Of::Day(suspect.type_id);
                    self.note_unreadable(of, &path, stamp, &error);
                    continue;
                }
                tracing::warn!(path = %path.display(), %error, "cannot be looked into");
                suspect.due = now + RETRY;
                self.day_suspects.insert(path, suspect);
            }
        }
    }

    fn inspect_day(&mut self, type_id: TypeId, path: &Path) -> Result<()> {
        let Some(rel) = rel(&self.shared.layout, path) else {
            return Ok(());
        };
        let read = Days::of(self.shared, type_id).read_file(path)?;
        self.catch_up()?;
        match read {
            Reading::Gone => self.judge_gone_day(type_id, path, &rel)?,
            Reading::Faulty(stamp, faults) => {
                let (line, message) = Fault::joined(&faults);
                self.shared.problems.note(path, line, message);
                self.held.insert(path.to_owned(), Held::broken(Some(stamp)));
                return Ok(());
            }
            Reading::Good(contents) => self.judge_day(type_id, path, &rel, contents)?,
        }
        // What waited for a person may have waited for this.
        self.events[type_id].release(Instant::now());
        Ok(())
    }

    /// Looks at files again of which people are told that an event stands in another file too.
    fn suspect_copies(&mut self, type_id: TypeId, but: &str, ids: &HashSet<Id>) {
        if ids.is_empty() {
            return;
        }
        let told = self.tree.days.iter();
        let told =
            told.filter(|(rel, day)| day.type_id == type_id && day.is_told && rel.as_str() != but);
        let told: Vec<PathBuf> = told.map(|(rel, _)| self.shared.root().join(rel)).collect();
        self.suspect_days(type_id, told);
    }

    fn refold_events(&mut self, type_id: TypeId, ids: Vec<Id>) {
        let now = Instant::now();
        let seq = self.state.seq.max(1);
        for id in ids {
            self.events[type_id].change(id, seq, now);
        }
    }

    /// Whether the block of an event is a person's, not taken in.
    pub(super) fn is_in_hand(&self, key: &Key) -> bool {
        let mut days = self.tree.days.values();
        days.any(|day| day.type_id == key.0 && day.open.contains(&key.1))
    }

    /// Whether a file has this version of an event.
    pub(super) fn is_filed(&self, key: &Key, version: Version) -> bool {
        let mut days = self.tree.days.values();
        days.any(|day| {
            day.type_id == key.0
                && !day.open.contains(&key.1)
                && day.objects.contains(&(key.1.clone(), version))
        })
    }
}
