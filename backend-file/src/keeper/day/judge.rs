//! Has what a day's file comes to committed, and the file brought up to date.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use osis_core::batch::{Batch, Commit, Op, Outcome};
use osis_core::error::{Error, ErrorKind, Result};
use osis_core::object::Id;
use osis_core::schema::TypeId;

use super::super::days::{Contents, Days, Edit, Edited};
use super::super::inspect::{RETRY, STILL};
use super::super::refusal;
use super::super::tree::DayFile;
use super::super::worker::Worker;
use super::plan::{Fate, Plan};
use crate::error::io_error;
use crate::otoml::Fault;
use crate::record::{Hash, Version};

/// How many edits are submitted together.
const BATCH: usize = 1000;
/// Of how many faults of a file the lines are looked for: at least as many as are named.
const NAMED_MAX: usize = 100;

/// What came of committing a plan.
#[derive(Debug, Default)]
struct Taken {
    /// New events, which stand in the file already.
    placed: Vec<Id>,
    /// What is wrong with blocks, each with a field.
    faults: Vec<(usize, String, String)>,
    /// Events that are still to be deleted.
    undeleted: Vec<(Id, Version)>,
    /// When the file has to be looked at again, if it does not change.
    again: Option<Duration>,
    /// Whether what is wrong may be fine after other commits.
    retries: bool,
}

impl Taken {
    fn look_again_in(&mut self, wait: Duration) {
        self.again = Some(self.again.map_or(wait, |before| before.min(wait)));
    }
}

impl Worker<'_> {
    /// What a file comes to that is not there any more.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn judge_gone_day(&mut self, type_id: TypeId, path: &Path, rel: &str) -> Result<()> {
        // A volume that is not mounted must not look like a person who deletes everything.
        let store = self.shared.files.stamp(&self.shared.layout.store_file());
        if !matches!(store, Ok(Some(_))) {
            self.suspect_day(type_id, path, None);
            return Ok(());
        }
        let Some(known) = self.tree.days.get(rel).cloned() else {
            self.mended(path);
            return Ok(());
        };
        let back = Days::of(self.shared, type_id).put_back(Some(path));
        if back.map_err(|error| io_error(path, &error))? {
            self.suspect_days(type_id, vec![path.to_owned()]);
            return Ok(());
        }
        let mut plan = Plan::default();
        let there = HashSet::new();
        self.plan_deletes(type_id, path, rel, &known.objects, &there, &mut plan)?;
        self.tree.days.remove(rel);
        self.mended(path);
        let taken = self.commit(&mut plan);
        if !taken.undeleted.is_empty() {
            let objects = taken.undeleted;
            let left = DayFile { objects, ..known };
            self.tree.days.insert(rel.to_owned(), left);
        }
        if let Some(wait) = taken.again {
            self.look_at_day_in(wait, type_id, path, None);
        }
        self.refold_events(type_id, plan.refold);
        self.suspect_copies(type_id, rel, &plan.gone);
        Ok(())
    }

    /// What a file comes to that is there.
    ///
    /// # Errors
    /// Those of the file system, before anything is committed.
    pub(super) fn judge_day(
        &mut self,
        type_id: TypeId,
        path: &Path,
        rel: &str,
        read: Contents,
    ) -> Result<()> {
        let before = self.tree.days.get(rel).cloned();
        let before = before.map_or_else(Vec::new, |known| known.objects);
        let mut plan = self.plan(type_id, path, rel, &read, &before)?;
        let mut taken = self.commit(&mut plan);
        if let Some(wait) = plan.again {
            taken.look_again_in(wait);
        }
        let edits: Vec<Edit> = plan
            .blocks
            .iter()
            .map(|block| edit_of(&block.fate))
            .collect();
        let written = match edits.iter().all(|edit| *edit == Edit::Keep) {
            true => Ok(Edited::Done(read)),
            false => Days::of(self.shared, type_id).edit(path, &read, &edits),
        };
        // They are in this file, and need no other.
        self.events[type_id].place(taken.placed.iter().cloned());
        match written {
            Ok(Edited::Done(now)) => {
                let stamp = now.stamp;
                self.know(type_id, rel, &now, &plan, &before, &taken);
                self.tell(path, &now, &plan, &taken);
                if let Some(wait) = taken.again {
                    self.look_at_day_in(wait, type_id, path, Some(stamp));
                }
            }
            Ok(Edited::Gone) => {
                self.tree.days.remove(rel);
                self.mended(path);
            }
            other => {
                // It has changed since it was read, or cannot be written: it is looked at again.
                if let Err(error) = &other {
                    tracing::warn!(path = %path.display(), %error, "cannot be written yet");
                }
                let wait = if other.is_err() { RETRY } else { STILL };
                let stamp = self.shared.files.stamp(path).ok().flatten();
                self.know_unwritten(type_id, rel, &plan, before, stamp);
                self.look_at_day_in(wait, type_id, path, stamp);
            }
        }
        self.refold_events(type_id, plan.refold);
        self.suspect_copies(type_id, rel, &plan.gone);
        Ok(())
    }

    /// Commits each edit for itself, and notes in the plan what was taken.
    fn commit(&mut self, plan: &mut Plan) -> Taken {
        let mut taken = Taken::default();
        let blocks = plan.blocks.iter_mut().enumerate();
        let mut ops: Vec<(Option<usize>, Op)> = blocks
            .filter_map(|(n, block)| Some((Some(n), block.op.take()?)))
            .collect();
        let deletes = plan.deletes.iter();
        ops.extend(deletes.map(|(_, _, op)| (None, op.clone())));
        let mut deletes = std::mem::take(&mut plan.deletes).into_iter();
        for some in ops.chunks(BATCH) {
            let batches = some.iter().map(|(_, op)| Batch::of(vec![op.clone()]));
            let answers = (self.submit.0)(batches.collect());
            for ((block, op), answer) in some.iter().zip(answers) {
                match (block, answer) {
                    (Some(block), answer) => take_block(plan, &mut taken, *block, op, answer),
                    (None, answer) => {
                        let Some((id, version, _)) = deletes.next() else {
                            continue;
                        };
                        take_delete(plan, &mut taken, (id, version), answer);
                    }
                }
            }
        }
        // What came of them is known before anything is said about the file.
        self.drain();
        taken
    }

    /// Notes what a file holds now.
    fn know(
        &mut self,
        type_id: TypeId,
        rel: &str,
        now: &Contents,
        plan: &Plan,
        before: &[(Id, Version)],
        taken: &Taken,
    ) {
        let ty = &self.schema.types[type_id];
        let mut seen: HashSet<&Id> = HashSet::new();
        let mut objects = Vec::with_capacity(plan.blocks.len());
        let mut open = Vec::new();
        let before: HashMap<&Id, Version> = before.iter().map(|(id, v)| (id, *v)).collect();
        let blocks = || plan.blocks.iter().filter(|block| block.fate != Fate::Drop);
        // Where an event stands twice, the block counts that is as the store has it.
        for (block, found) in blocks().zip(&now.found) {
            if block.fate != Fate::Open && seen.insert(&block.id) {
                let rev = found.rev.unwrap_or(0);
                let hash = Hash::of(ty, &found.values);
                objects.push((block.id.clone(), Version { rev, hash }));
            }
        }
        for block in blocks() {
            let last = before.get(&block.id).map(|last| (block.id.clone(), *last));
            if block.fate == Fate::Open && seen.insert(&block.id) {
                open.extend(self.state.get(type_id, &block.id).map(|_| block.id.clone()));
                objects.extend(last);
            }
        }
        objects.extend(taken.undeleted.iter().cloned());
        let is_open = plan.blocks.iter().any(|block| block.fate == Fate::Open);
        let is_told = is_open || !taken.undeleted.is_empty() || has_remarks(plan);
        let in_hand = open.clone();
        let day = DayFile {
            stamp: now.stamp,
            type_id,
            objects,
            open,
            is_told,
        };
        self.tree.days.insert(rel.to_owned(), day);
        for id in in_hand {
            self.keep(&(type_id, id));
        }
    }

    /// Notes what is known of a file that could not be brought up to date: of what was taken in, the
    /// version that came of it.
    fn know_unwritten(
        &mut self,
        type_id: TypeId,
        rel: &str,
        plan: &Plan,
        before: Vec<(Id, Version)>,
        stamp: Option<crate::files::Stamp>,
    ) {
        let Some(stamp) = stamp else {
            return;
        };
        let ty = &self.schema.types[type_id];
        let mut objects = before;
        for block in &plan.blocks {
            let Fate::Put(row) = &block.fate else {
                continue;
            };
            let (rev, hash) = (row.rev, Hash::of(ty, &row.values));
            objects.retain(|(id, _)| *id != block.id);
            objects.push((block.id.clone(), Version { rev, hash }));
        }
        let day = DayFile {
            is_told: true,
            ..DayFile::settled(stamp, type_id, objects)
        };
        self.tree.days.insert(rel.to_owned(), day);
    }

    /// Tells people what is wrong with a file, or that nothing is any more.
    fn tell(&mut self, path: &Path, now: &Contents, plan: &Plan, taken: &Taken) {
        let mut faults: Vec<Fault> = Vec::new();
        let mut own = taken.faults.iter().peekable();
        let left = plan.blocks.iter().enumerate();
        let left = left.filter(|(_, block)| block.fate != Fate::Drop);
        for (at, (n, block)) in left.enumerate() {
            let begin = faults.len();
            let mut add = |field: &str, message: &str| {
                // Where the others are, nobody is told.
                let is_named = faults.len() < NAMED_MAX;
                faults.push(Fault {
                    line: if is_named { line_in(now, at, field) } else { 0 },
                    column: 1,
                    message: message.to_owned(),
                });
            };
            while let Some((_, field, message)) = own.next_if(|(of, ..)| *of == n) {
                add(field, message);
            }
            if let Some((field, message)) = &block.remark {
                add(field, message);
            }
            faults[begin..].sort_by_key(|fault| fault.line);
        }
        if faults.is_empty() {
            self.mended(path);
            return;
        }
        let (line, message) = Fault::joined(&faults);
        let retries = taken.retries || has_remarks(plan);
        self.note_refused(path, now.stamp, (line, &message), retries);
    }

    /// Nothing is wrong with a file any more, whoever has noted it.
    fn mended(&mut self, path: &Path) {
        self.held.remove(path);
        self.shared.problems.clear(path);
    }
}

/// Notes what became of a block's edit.
fn take_block(plan: &mut Plan, taken: &mut Taken, n: usize, op: &Op, answer: Result<Commit>) {
    let block = &mut plan.blocks[n];
    let error = match answer {
        Ok(commit) => {
            if let Some(Outcome::Object { row, .. }) = commit.outcomes.into_iter().next() {
                let is_new = matches!(op, Op::New { .. });
                taken.placed.extend(is_new.then(|| row.id.clone()));
                block.id = row.id.clone();
                block.fate = Fate::Put(row);
            }
            return;
        }
        Err(error) => error,
    };
    if refusal::is_for_now(&error) {
        tracing::warn!(id = %block.id, %error, "an edit waits");
        taken.look_again_in(RETRY);
    } else if refusal::is_outrun(&error) {
        taken.look_again_in(STILL);
    } else {
        taken.retries |= refusal::waits_for_others(&error);
        let faults = faults_of(&error).into_iter();
        taken
            .faults
            .extend(faults.map(|(field, message)| (n, field, message)));
    }
}

/// Notes what became of the delete of an event whose block was removed.
fn take_delete(plan: &mut Plan, taken: &mut Taken, event: (Id, Version), answer: Result<Commit>) {
    let Err(error) = answer else {
        return;
    };
    if refusal::is_for_now(&error) {
        tracing::warn!(id = %event.0, %error, "the delete of an event waits");
        taken.undeleted.push(event);
        taken.look_again_in(RETRY);
    } else if !matches!(error.kind(), ErrorKind::NotFound { .. }) {
        tracing::warn!(id = %event.0, %error, "the block of an event is put back");
        plan.refold.push(event.0);
    }
}

/// What an error says of which fields.
fn faults_of(error: &Error) -> Vec<(String, String)> {
    if let ErrorKind::Invalid(faults) = error.kind() {
        let faults = faults.iter().map(|fault| {
            let field = refusal::field(&fault.path);
            (field.to_owned(), format!("{field}: {}", fault.message))
        });
        return faults.collect();
    }
    let field = refusal::fields(error).next().unwrap_or_default();
    vec![(field.to_owned(), error.message().to_owned())]
}

/// The line of a field of a block; that of its head where it does not stand in a line of its own.
fn line_in(now: &Contents, n: usize, field: &str) -> usize {
    let Some(found) = now.found.get(n) else {
        return 1;
    };
    let end = now.found.get(n + 1).map_or(usize::MAX, |next| next.line);
    let text = String::from_utf8_lossy(&now.text);
    let own = text.lines().enumerate().skip(found.line - 1);
    let mut own = own.take_while(|(before, _)| before + 1 < end);
    let line = own.find(|(_, line)| refusal::names(line, field));
    line.map_or(found.line, |(before, _)| before + 1)
}

/// Whether anything is told of a file's blocks.
fn has_remarks(plan: &Plan) -> bool {
    plan.blocks.iter().any(|block| block.remark.is_some())
}

fn edit_of(fate: &Fate) -> Edit {
    match fate {
        Fate::Own | Fate::Open => Edit::Keep,
        Fate::Put(row) => Edit::Put(row.clone()),
        Fate::Drop => Edit::Drop,
    }
}
