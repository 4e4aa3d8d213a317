//! Writes objects of log types into the files of their days.
//!
//! Many come with each commit, and never change as a rule: so not each is marked, but ranges of
//! commits with their ids. A file is written for what came in a range.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osis_core::object::{Id, Row};
use osis_core::schema::TypeId;

use super::days::{Days, Rewritten};
use super::worker::Worker;
use crate::state::{Applied, State};

/// How long events wait for more of them, after some time without.
const COALESCE: Duration = Duration::from_millis(50);
/// How often they are written while they keep coming: each time makes a file.
const EVERY: Duration = Duration::from_secs(1);
/// How long events of another process are left to it: until its files show.
const FOREIGN: Duration = Duration::from_secs(3);
const FOREIGN_NETWORK: Duration = Duration::from_secs(15);
/// How many go into one file, about.
const FILE_MAX: usize = 20_000;
/// How long files that a person may have edited are waited for.
const RETRY: Duration = Duration::from_millis(300);

/// Events of one log type that are not yet in files.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// New ones, by the commits that made them.
    ranges: VecDeque<Range>,
    /// Those that changed, or are gone, after they were new; with the oldest commit of that.
    changed: HashMap<Id, u64>,
    /// Those that changed, and cannot be written before a person has mended a file; with the oldest
    /// commit that only the log has.
    held: HashMap<Id, u64>,
    /// Those that stand in a file already, since a person wrote them there.
    placed: HashSet<Id>,
    /// The oldest commit that is in files but not on disk for sure.
    unsynced: Option<u64>,
    /// The oldest commit of which the disk may have nothing, after a sync failed.
    lost: Option<u64>,
    due: Option<Instant>,
    written: Option<Instant>,
}

/// New events of a range of commits.
#[derive(Debug)]
struct Range {
    first: u64,
    last: u64,
    ids: Vec<Id>,
    /// Another process made them, and is given until then to write them. They may be in files by
    /// then of which this process does not know yet.
    until: Option<Instant>,
}

impl Events {
    /// Whether nothing waits to be written, apart from what waits for a person.
    pub(super) fn is_written(&self) -> bool {
        self.is_written_through(u64::MAX)
    }

    /// Whether no commit up to one waits to be written.
    pub(super) fn is_written_through(&self, last: u64) -> bool {
        self.ranges.iter().all(|range| range.first > last)
            && self.changed.values().all(|seq| *seq > last)
    }

    /// Whether nothing waits to be synced.
    pub(super) fn is_synced(&self) -> bool {
        self.unsynced.is_none()
    }

    /// The oldest commit that is not in files, on disk.
    pub(super) fn oldest(&self) -> Option<u64> {
        let ranges = self.ranges.iter().map(|range| range.first);
        let changed = self.changed.values().chain(self.held.values()).copied();
        ranges
            .chain(changed)
            .chain(self.unsynced)
            .chain(self.lost)
            .min()
    }

    /// Has all that waits written now.
    pub(super) fn hurry(&mut self, now: Instant) {
        for range in &mut self.ranges {
            range.until = range.until.map(|_| now);
        }
        if !self.is_written() {
            self.due = Some(now);
        }
    }

    /// When something is to be written.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due
    }

    /// What was written is on disk, or not.
    pub(super) fn synced(&mut self, works: bool) {
        let unsynced = self.unsynced.take();
        if !works {
            // The log keeps it for the next start, since what the disk has is unknown.
            self.lost = self.lost.into_iter().chain(unsynced).min();
        }
    }

    /// Events that stand in a person's file need no other.
    pub(super) fn place(&mut self, ids: impl Iterator<Item = Id>) {
        self.placed.extend(ids);
    }

    /// Has an event brought up to date in the files that have it.
    pub(super) fn change(&mut self, id: Id, seq: u64, now: Instant) {
        let oldest = self.changed.entry(id).or_insert(seq);
        *oldest = (*oldest).min(seq);
        self.wait(now);
    }

    /// Has an event wait until a person has mended a file.
    fn hold(&mut self, id: Id, seq: u64) {
        let oldest = self.held.entry(id).or_insert(seq);
        *oldest = (*oldest).min(seq);
    }

    /// Tries those again that wait for a person.
    pub(super) fn release(&mut self, now: Instant) {
        for (id, seq) in std::mem::take(&mut self.held) {
            self.change(id, seq, now);
        }
    }

    /// Whether nothing of an event waits, and all that was written is on disk.
    pub(super) fn is_done(&self, id: &Id) -> bool {
        self.is_written() && self.is_synced() && !self.held.contains_key(id)
    }

    /// Whether a change of an event waits to be written.
    pub(super) fn has_changed(&self, id: &Id) -> bool {
        self.changed.contains_key(id)
    }

    fn wait(&mut self, now: Instant) {
        let earliest = self.written.map_or(now, |written| written + EVERY);
        let due = (now + COALESCE).max(earliest);
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }
}

impl Worker<'_> {
    /// Notes what is not in files of days, or not as it should be.
    pub(super) fn mark_events(&mut self, now: Instant) {
        let schema = Arc::clone(&self.schema);
        let state = Arc::clone(&self.state);
        for ty in schema.types.iter().filter(|ty| ty.log().is_some()) {
            let mut filed = HashMap::new();
            let files = || self.tree.days.values().filter(|day| day.type_id == ty.id);
            let open: HashSet<&Id> = files().flat_map(|day| &day.open).collect();
            for (id, version) in files().flat_map(|day| &day.objects) {
                // Where two files have one, the later version counts.
                let kept = filed.entry(id).or_insert(*version);
                if kept.rev < version.rev {
                    *kept = *version;
                }
            }
            let mut ids = Vec::new();
            let mut changed = Vec::new();
            for held in state.types[ty.id].ordinals.values() {
                match filed.remove(&held.row.id) {
                    None if open.contains(&held.row.id) => {}
                    None => ids.push(held.row.id.clone()),
                    Some(version) if version != held.version() => changed.push(held.row.id.clone()),
                    Some(_) => {}
                }
            }
            changed.extend(filed.into_keys().cloned());
            let events = &mut self.events[ty.id];
            for id in changed {
                events.change(id, 1, now);
            }
            if !ids.is_empty() {
                let (first, last) = (1, state.seq);
                // The process before may have written them, and not have saved that.
                let until = Some(now);
                events.ranges.push_back(Range {
                    first,
                    last,
                    ids,
                    until,
                });
                events.wait(now);
            }
        }
    }

    /// Notes the events of an entry of the log.
    pub(super) fn take_events(&mut self, applied: &Applied, first: u64, now: Instant) {
        let last = applied.state.seq;
        let patience = if self.shared.is_network {
            FOREIGN_NETWORK
        } else {
            FOREIGN
        };
        let until = (!applied.is_own).then_some(now + patience);
        for step in &applied.steps {
            if self.schema.types[step.type_id].log().is_none() {
                continue;
            }
            let events = &mut self.events[step.type_id];
            match (&step.before, &step.after) {
                (None, Some(after)) => {
                    let id = after.row.id.clone();
                    match events.ranges.back_mut() {
                        Some(range) if range.last == last => range.ids.push(id),
                        _ => events.ranges.push_back(Range {
                            first,
                            last,
                            ids: vec![id],
                            until,
                        }),
                    }
                    events.wait(now);
                }
                (Some(before), _) => events.change(before.row.id.clone(), first, now),
                (None, None) => {}
            }
        }
    }

    /// Writes events that are due.
    ///
    /// # Errors
    /// Those of the file system; then they wait on.
    pub(super) fn fold_events(&mut self, now: Instant) -> Result<(), (PathBuf, io::Error)> {
        for type_id in 0..self.events.len() {
            if self.events[type_id].due.is_some_and(|due| due <= now) {
                self.fold_events_of(type_id, now)?;
            }
        }
        Ok(())
    }

    fn fold_events_of(
        &mut self,
        type_id: TypeId,
        now: Instant,
    ) -> Result<(), (PathBuf, io::Error)> {
        let state = Arc::clone(&self.state);
        self.events[type_id].due = None;
        self.events[type_id].written = Some(now);
        while let Some(range) = self.next_range(type_id, now) {
            let rows = self.rows(type_id, &state, &range.ids)?;
            let folder = self.shared.layout.folder(&self.schema.types[type_id]);
            let days = Days::of(self.shared, type_id);
            let held = &self.held;
            let is_held = |path: &Path| held.contains_key(path);
            let added = match range.until.is_some() {
                true => days.unknown_with(&self.tree, &rows, &is_held),
                false => Ok(Vec::new()),
            };
            let added = match added {
                Ok(unknown) if unknown.is_empty() => {
                    days.add(&mut self.tree, range.first, range.last, &rows, &is_held)
                }
                found => found,
            };
            let events = &mut self.events[type_id];
            match added {
                Ok(inspect) if inspect.is_empty() => {
                    let unsynced = events.unsynced.into_iter().chain([range.first]);
                    events.unsynced = unsynced.min();
                }
                Ok(inspect) => {
                    events.ranges.push_front(range);
                    events.due = Some(now + RETRY);
                    self.suspect_days(type_id, inspect);
                    return Ok(());
                }
                Err(error) => {
                    events.ranges.push_front(range);
                    events.due = Some(now + RETRY);
                    return Err((folder, io::Error::other(error)));
                }
            }
        }
        self.rewrite_events(type_id, &state, now)
    }

    /// The next range to be written: as many as make one file.
    fn next_range(&mut self, type_id: TypeId, now: Instant) -> Option<Range> {
        let events = &mut self.events[type_id];
        let at = events
            .ranges
            .iter()
            .position(|range| range.until.is_none_or(|until| until <= now));
        let Some(mut range) = at.and_then(|at| events.ranges.remove(at)) else {
            // Those of other processes wait on.
            let next = events.ranges.iter().filter_map(|range| range.until).min();
            events.due = next;
            return None;
        };
        if range.until.is_some() {
            self.drop_filed(type_id, &mut range);
            return Some(range);
        }
        while range.ids.len() < FILE_MAX
            && events
                .ranges
                .front()
                .is_some_and(|next| next.until.is_none())
            && let Some(next) = events.ranges.pop_front()
        {
            range.last = range.last.max(next.last);
            range.ids.extend(next.ids);
        }
        if !events.placed.is_empty() {
            range.ids.retain(|id| !events.placed.remove(id));
        }
        Some(range)
    }

    /// Takes out of a range of another process what that has written meanwhile.
    fn drop_filed(&self, type_id: TypeId, range: &mut Range) {
        let overlaps = |rel: &str| {
            let stem = rel
                .rsplit('/')
                .next()
                .and_then(|name| name.strip_suffix(".otoml"));
            let mut parts = stem.unwrap_or_default().split('-').skip(1);
            let mut seq = || parts.next()?.parse::<u64>().ok();
            match (seq(), seq()) {
                (Some(first), Some(last)) => first <= range.last && range.first <= last,
                // One that a person named may have anything.
                _ => true,
            }
        };
        let files = self.tree.days.iter();
        let files = files.filter(|(rel, day)| day.type_id == type_id && overlaps(rel));
        let filed: HashSet<&Id> = files
            .flat_map(|(_, day)| &day.objects)
            .map(|(id, _)| id)
            .collect();
        range.ids.retain(|id| !filed.contains(id));
    }

    fn rewrite_events(
        &mut self,
        type_id: TypeId,
        state: &State,
        now: Instant,
    ) -> Result<(), (PathBuf, io::Error)> {
        let changed = std::mem::take(&mut self.events[type_id].changed);
        if changed.is_empty() {
            return Ok(());
        }
        let folder = self.shared.layout.folder(&self.schema.types[type_id]);
        let mut rows: HashMap<Id, Option<Row>> = HashMap::with_capacity(changed.len());
        let mut failed = None;
        for id in changed.keys() {
            match self.shared.row(state, type_id, id) {
                Ok(row) => drop(rows.insert(id.clone(), row)),
                Err(error) => failed = Some(error),
            }
        }
        let rewritten = match failed {
            Some(error) => Err(error),
            None => Days::of(self.shared, type_id).rewrite(&mut self.tree, &rows),
        };
        match rewritten {
            Ok(left) => {
                self.take_rewritten(type_id, &changed, left, now);
                Ok(())
            }
            Err(error) => {
                let events = &mut self.events[type_id];
                events.changed.extend(changed);
                events.due = Some(now + RETRY);
                Err((folder, io::Error::other(error)))
            }
        }
    }

    /// Sees to what could not be written.
    fn take_rewritten(
        &mut self,
        type_id: TypeId,
        changed: &HashMap<Id, u64>,
        left: Rewritten,
        now: Instant,
    ) {
        let last = self.state.seq;
        let seq_of = |id: &Id| changed.get(id).copied().unwrap_or(last);
        let first = changed.values().copied().min();
        let events = &mut self.events[type_id];
        events.unsynced = events.unsynced.into_iter().chain(first).min();
        if !left.missing.is_empty() {
            events.ranges.push_back(Range {
                first: first.unwrap_or(last).min(last),
                last,
                ids: left.missing.into_iter().map(|row| row.id).collect(),
                until: None,
            });
            events.due = Some(now + RETRY);
        }
        for (path, ids) in left.inspect {
            let stamp = self.shared.files.stamp(&path).ok().flatten();
            let is_held = self.is_held(&path, stamp);
            let events = &mut self.events[type_id];
            for id in ids {
                let seq = seq_of(&id);
                if is_held {
                    events.hold(id, seq);
                } else {
                    events.changed.insert(id, seq);
                }
            }
            if !is_held {
                events.due = Some(now + RETRY);
                self.suspect_day(type_id, &path, stamp);
            }
        }
        for id in left.open {
            let key = (type_id, id);
            // What is kept elsewhere need not stay in the log; that one is deleted is only there.
            let is_kept = self.state.get(type_id, &key.1).is_some() && self.keep(&key);
            let seq = if is_kept { u64::MAX } else { seq_of(&key.1) };
            self.events[type_id].hold(key.1, seq);
        }
        self.suspect_days(type_id, left.told);
    }

    fn rows(
        &self,
        type_id: TypeId,
        state: &State,
        ids: &[Id],
    ) -> Result<Vec<Row>, (PathBuf, io::Error)> {
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            match self.shared.row(state, type_id, id) {
                // One that is gone again never needs a file.
                Ok(row) => rows.extend(row),
                Err(error) => {
                    let folder = self.shared.layout.folder(&self.schema.types[type_id]);
                    return Err((folder, io::Error::other(error)));
                }
            }
        }
        Ok(rows)
    }
}
