//! Looks at files of days that are not as the store left them, and takes people's edits of events
//! into the store: each block for itself.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use osis_core::batch::{Batch, Commit, Op, Outcome};
use osis_core::error::{ErrorKind, Result};
use osis_core::input::Target;
use osis_core::object::Id;
use osis_core::schema::TypeId;

use super::days::{Contents, Days, Edit, Reading, rel};
use super::inspect::Held;
use super::ops::{self, derived_id};
use super::tree::DayFile;
use super::unreadable::{Of, is_refused};
use super::worker::Worker;
use crate::files::Stamp;
use crate::otoml::Found;
use crate::record::{Hash, Version};

/// How long a file must stand still before it is read.
const STILL: Duration = Duration::from_millis(60);
/// How long a file must be missing before its events count as deleted.
const MISSING: Duration = Duration::from_millis(200);
/// How long a file that never stands still is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a file is left alone after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// How many edits are submitted together.
const BATCH: usize = 1000;

/// A file of a day of which it is not yet known what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct DaySuspect {
    type_id: TypeId,
    stamp: Option<Stamp>,
    due: Instant,
    /// Since when it is suspected.
    pub(super) since: Instant,
}

/// What blocks of a file come to.
struct Plan {
    /// What becomes of each block, if all goes well.
    edits: Vec<Edit>,
    /// What is to be committed, with the block that it is of; of events that are gone, none.
    ops: Vec<(Option<usize>, Op)>,
    /// Events that the store has to write anew.
    refold: Vec<Id>,
}

impl Worker<'_> {
    /// Has the file of a day looked at once it stands still.
    pub(super) fn suspect_day(&mut self, type_id: TypeId, path: &Path, stamp: Option<Stamp>) {
        let now = Instant::now();
        let still = if stamp.is_some() { STILL } else { MISSING };
        self.day_suspects
            .entry(path.to_owned())
            .or_insert(DaySuspect {
                type_id,
                stamp,
                due: now + still,
                since: now,
            });
    }

    /// As [`Self::suspect_day`], of files that a fold found in its way.
    pub(super) fn suspect_days(&mut self, type_id: TypeId, paths: Vec<PathBuf>) {
        for path in paths {
            let stamp = self.shared.files.stamp(&path).ok().flatten();
            self.suspect_day(type_id, &path, stamp);
        }
    }

    /// Finds out what is in those that stood still long enough, and takes edits in.
    pub(super) fn inspect_days(&mut self) {
        let now = Instant::now();
        let due = self
            .day_suspects
            .iter()
            .filter(|(_, suspect)| suspect.due <= now);
        let due: Vec<(PathBuf, DaySuspect)> = due
            .map(|(path, suspect)| (path.clone(), *suspect))
            .collect();
        for (path, mut suspect) in due {
            let Ok(stamp) = self.shared.files.stamp(&path) else {
                suspect.due = now + RETRY;
                self.day_suspects.insert(path, suspect);
                continue;
            };
            if stamp != suspect.stamp && now.duration_since(suspect.since) < PATIENCE {
                suspect.due = now + if stamp.is_some() { STILL } else { MISSING };
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
            Reading::Gone => {
                self.settle(path);
                self.judge_gone_day(type_id, path, &rel);
            }
            Reading::Faulty(stamp, faults) => {
                let fault = faults.into_iter().next();
                let (line, message) = fault.map_or((None, "cannot be read".to_owned()), |fault| {
                    (Some(fault.line), fault.message)
                });
                self.shared.problems.note(path, line, message);
                self.held.insert(path.to_owned(), Held::broken(Some(stamp)));
            }
            Reading::Good(contents) => self.judge_day(type_id, path, &rel, &contents),
        }
        Ok(())
    }

    fn judge_gone_day(&mut self, type_id: TypeId, path: &Path, rel: &str) {
        // A volume that is not mounted must not look like a person who deletes everything.
        let store = self.shared.files.stamp(&self.shared.layout.store_file());
        if !matches!(store, Ok(Some(_))) {
            self.suspect_day(type_id, path, None);
            return;
        }
        let Some(known) = self.tree.days.remove(rel) else {
            return;
        };
        let nothing = HashSet::new();
        let (ops, refold) = self.deletions(type_id, &known.objects, &nothing);
        let ops = ops.into_iter().map(|op| (None, op)).collect();
        self.refold_events(type_id, refold);
        self.submit_blocks(type_id, path, ops);
    }

    /// Deletes of events whose blocks were removed; and those that the store must write again.
    fn deletions(
        &self,
        type_id: TypeId,
        before: &[(Id, Version)],
        there: &HashSet<Id>,
    ) -> (Vec<Op>, Vec<Id>) {
        let mut gone: Vec<&(Id, Version)> = Vec::new();
        gone.extend(before.iter().filter(|(id, _)| !there.contains(id)));
        if gone.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let others = self.tree.days.values().filter(|day| day.type_id == type_id);
        let mut elsewhere: HashSet<&Id> = HashSet::new();
        let wanted: HashSet<&Id> = gone.iter().map(|(id, _)| id).collect();
        for (id, _) in others.flat_map(|day| &day.objects) {
            if wanted.contains(id) && !there.contains(id) {
                elsewhere.insert(id);
            }
        }
        let (mut deletes, mut refold) = (Vec::new(), Vec::new());
        for (id, version) in gone {
            let Some(held) = self.state.get(type_id, id) else {
                continue;
            };
            if elsewhere.contains(id) {
                continue;
            }
            if held.version() != *version {
                // The store changed it meanwhile.
                refold.push(id.clone());
                continue;
            }
            deletes.push(ops::delete(type_id, id.clone(), held.row.rev));
        }
        (deletes, refold)
    }

    fn judge_day(&mut self, type_id: TypeId, path: &Path, rel: &str, read: &Contents) {
        let before = self
            .tree
            .days
            .remove(rel)
            .map_or(Vec::new(), |known| known.objects);
        let mut plan = self.plan(type_id, &read.found);
        let there: HashSet<Id> = read
            .found
            .iter()
            .filter_map(|found| found.id.clone())
            .collect();
        let (deletes, refold) = self.deletions(type_id, &before, &there);
        plan.ops.extend(deletes.into_iter().map(|op| (None, op)));
        plan.refold.extend(refold);
        self.settle(path);
        let answers = self.submit_blocks(type_id, path, plan.ops);
        let mut placed = Vec::new();
        for (block, commit) in answers {
            let Some(block) = block else { continue };
            if let Some(Outcome::Object { row, .. }) = commit.outcomes.into_iter().next() {
                placed.push(row.id.clone());
                plan.edits[block] = Edit::Put(row);
            }
        }
        let is_kept = plan.edits.iter().all(|edit| *edit == Edit::Keep);
        if is_kept {
            let versions = read
                .found
                .iter()
                .filter_map(|found| self.version_of(type_id, found));
            let known = DayFile {
                stamp: read.stamp,
                type_id,
                objects: versions.collect(),
            };
            self.tree.days.insert(rel.to_owned(), known);
            self.refold_events(type_id, plan.refold);
            return;
        }
        let written = Days::of(self.shared, type_id).edit(&mut self.tree, path, read, &plan.edits);
        match written {
            Ok(true) => {
                // They are in this file, and need no other.
                self.events[type_id].place(placed.into_iter());
                self.refold_events(type_id, plan.refold);
            }
            other => {
                if let Err(error) = other {
                    tracing::warn!(path = %path.display(), %error, "cannot be written yet");
                }
                let stamp = self.shared.files.stamp(path).ok().flatten();
                let known = DayFile {
                    stamp: read.stamp,
                    type_id,
                    objects: before,
                };
                self.tree.days.insert(rel.to_owned(), known);
                self.suspect_day(type_id, path, stamp);
            }
        }
    }

    /// What the blocks of a file come to, before anything is committed.
    fn plan(&self, type_id: TypeId, found: &[Found]) -> Plan {
        let schema = Arc::clone(&self.schema);
        let ty = &schema.types[type_id];
        let mut plan = Plan {
            edits: vec![Edit::Keep; found.len()],
            ops: Vec::new(),
            refold: Vec::new(),
        };
        let mut ids: HashSet<Id> = HashSet::new();
        for (block, found) in found.iter().enumerate() {
            let id = match &found.id {
                Some(id) => id.clone(),
                None => derived_id(ty, found, &ids),
            };
            if !ids.insert(id.clone()) {
                continue;
            }
            let key = (type_id, id);
            let version = Version {
                rev: found.rev.unwrap_or(0),
                hash: Hash::of(ty, &found.values),
            };
            let Some(held) = self.state.get(type_id, &key.1) else {
                if self.recent.has(&key, version) {
                    plan.edits[block] = Edit::Drop;
                } else {
                    plan.ops
                        .push((Some(block), ops::new(type_id, key.1, found)));
                }
                continue;
            };
            let is_whole = found.id.is_some()
                && found.created_at == Some(held.row.created_at)
                && found.updated_at == Some(held.row.updated_at);
            if version == held.version() && is_whole {
                continue;
            }
            let is_own = version.hash == held.hash || self.recent.has(&key, version);
            if is_own {
                match self.shared.bodies.join(held) {
                    Ok(row) => plan.edits[block] = Edit::Put(row),
                    Err(_) => plan.refold.push(key.1),
                }
                continue;
            }
            plan.ops
                .push((Some(block), ops::set(type_id, key.1, found, held.row.rev)));
        }
        plan
    }

    /// Commits each edit for itself; those that were taken, with their blocks.
    fn submit_blocks(
        &mut self,
        type_id: TypeId,
        path: &Path,
        ops: Vec<(Option<usize>, Op)>,
    ) -> Vec<(Option<usize>, Commit)> {
        let mut taken = Vec::new();
        let mut refused: Option<String> = None;
        let mut ops = ops.into_iter().peekable();
        while ops.peek().is_some() {
            let some: Vec<(Option<usize>, Op)> = ops.by_ref().take(BATCH).collect();
            let batches = some
                .iter()
                .map(|(_, op)| Batch::of(vec![op.clone()]))
                .collect();
            let answers = (self.submit.0)(batches);
            for ((block, op), answer) in some.into_iter().zip(answers) {
                match answer {
                    Ok(commit) => taken.push((block, commit)),
                    Err(error) => {
                        let is_gone = matches!(error.kind(), ErrorKind::NotFound { .. });
                        if let Op::Delete {
                            target: Target::Id(id),
                            ..
                        } = op
                        {
                            if !is_gone {
                                self.refold_events(type_id, vec![id]);
                            }
                        } else {
                            refused.get_or_insert_with(|| error.message().to_owned());
                        }
                    }
                }
            }
        }
        self.drain();
        if let Some(why) = refused {
            let stamp = self.shared.files.stamp(path).ok().flatten();
            self.shared.problems.note(path, None, why);
            self.held.insert(path.to_owned(), Held::broken(stamp));
        }
        taken
    }

    fn refold_events(&mut self, type_id: TypeId, ids: Vec<Id>) {
        let now = Instant::now();
        let seq = self.state.seq.max(1);
        for id in ids {
            self.events[type_id].change(id, seq, now);
        }
    }

    fn version_of(&self, type_id: TypeId, found: &Found) -> Option<(Id, Version)> {
        let version = Version {
            rev: found.rev.unwrap_or(0),
            hash: Hash::of(&self.schema.types[type_id], &found.values),
        };
        Some((found.id.clone()?, version))
    }
}
