//! What the blocks of a day's file come to, before anything is committed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use osis_core::batch::Op;
use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::schema::TypeId;
use osis_core::time::Time;

use super::super::days::{Contents, Days, is_persons};
use super::super::ops::{self, derived_id};
use super::super::worker::Worker;
use crate::otoml::Found;
use crate::record::{Held, Version};

/// What becomes of a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fate {
    /// It is as the store has the event.
    Own,
    /// It becomes this event: what a person wrote was taken in, or was the store's to write.
    Put(Row),
    /// It goes, for its event is deleted.
    Drop,
    /// It is a person's, and stays as it is.
    Open,
}

/// Something that is told to people of a block: the field in whose line it stands, and what it is.
pub(super) type Remark = (&'static str, String);

/// What becomes of a block, what is committed for it, and what is told of it.
type Verdict = (Fate, Option<Op>, Option<Remark>);

/// A block, and what it comes to.
#[derive(Debug)]
pub(super) struct Block {
    /// The event; of a block without an id, the one that it gets.
    pub(super) id: Id,
    /// What becomes of it.
    pub(super) fate: Fate,
    /// What is to be committed for it.
    pub(super) op: Option<Op>,
    /// What is told of it.
    pub(super) remark: Option<Remark>,
}

/// What a file comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Its blocks, in their order.
    pub(super) blocks: Vec<Block>,
    /// Events whose blocks were removed, with the version that the file had.
    pub(super) deletes: Vec<(Id, Version, Op)>,
    /// Events that the store has to write anew.
    pub(super) refold: Vec<Id>,
    /// Events that are no longer in it.
    pub(super) gone: HashSet<Id>,
    /// When it is to be looked at again: whose a block is cannot be told before.
    pub(super) again: Option<Duration>,
}

/// What is known of a file, and of others, when its blocks are looked at.
struct Ground<'a> {
    type_id: TypeId,
    /// What the file held when it was last looked at.
    known: HashMap<&'a Id, Version>,
    /// The lines on which an event stands in it.
    lines: HashMap<&'a Id, Vec<usize>>,
    /// Events of it that stand in other files, too.
    elsewhere: HashMap<Id, String>,
    /// Whether a person has named it.
    is_persons: bool,
}

impl Worker<'_> {
    /// What a file comes to that held `before`, and now holds `read`.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn plan(
        &self,
        type_id: TypeId,
        path: &Path,
        rel: &str,
        read: &Contents,
        before: &[(Id, Version)],
    ) -> Result<Plan> {
        let mut lines: HashMap<&Id, Vec<usize>> = HashMap::with_capacity(read.found.len());
        for found in &read.found {
            if let Some(id) = &found.id {
                lines.entry(id).or_default().push(found.line);
            }
        }
        let known: HashMap<&Id, Version> = before.iter().map(|(id, v)| (id, *v)).collect();
        let is_persons = is_persons(path);
        // Two files of the store's own may have an event until they are merged.
        let new = lines
            .keys()
            .filter(|id| is_persons || !known.contains_key(*id));
        let new: HashSet<&Id> = new.copied().collect();
        let ground = Ground {
            type_id,
            elsewhere: self.in_other_files(type_id, rel, &new),
            known,
            lines,
            is_persons,
        };
        let mut plan = Plan::default();
        let mut taken: HashSet<Id> = ground.lines.keys().map(|id| (*id).clone()).collect();
        for found in &read.found {
            let id = match &found.id {
                Some(id) => id.clone(),
                None => derived_id(&self.schema.types[type_id], found, &taken),
            };
            taken.insert(id.clone());
            let block = self.plan_block(&ground, found, id, &mut plan)?;
            plan.blocks.push(block);
        }
        let there: HashSet<&Id> = read.found.iter().filter_map(|f| f.id.as_ref()).collect();
        self.plan_deletes(type_id, path, rel, before, &there, &mut plan)?;
        Ok(plan)
    }

    /// What a block comes to.
    fn plan_block(
        &self,
        ground: &Ground<'_>,
        found: &Found,
        id: Id,
        plan: &mut Plan,
    ) -> Result<Block> {
        let version = Days::of(self.shared, ground.type_id).version_in(found);
        let known = ground.known.get(&id).copied();
        let held = self.state.get(ground.type_id, &id).cloned();
        let has_current = known == held.as_ref().map(|held| held.version());
        let is_same = held.as_ref().map(|held| held.hash) == Some(version.hash);
        let late = match has_current && !is_same {
            true => self.late_for(&(ground.type_id, id.clone()), version),
            false => None,
        };
        plan.again = plan.again.into_iter().chain(late).min();
        let (fate, op, remark) = match &held {
            _ if late.is_some() => (Fate::Open, None, None),
            Some(held) => self.plan_held(ground, found, &id, version, known, held)?,
            None => self.plan_new(ground, found, &id, version, known),
        };
        let mut block = Block {
            id,
            fate,
            op,
            remark,
        };
        if found.id.is_some() && block.remark.is_none() {
            remark_copies(ground, found, &mut block);
        }
        Ok(block)
    }

    /// Of an event that there is.
    fn plan_held(
        &self,
        ground: &Ground<'_>,
        found: &Found,
        id: &Id,
        version: Version,
        known: Option<Version>,
        held: &Held,
    ) -> Result<Verdict> {
        let is_whole = found.id.is_some()
            && found.created_at == Some(held.row.created_at)
            && found.updated_at == Some(held.row.updated_at);
        if version == held.version() && is_whole {
            return Ok((Fate::Own, None, None));
        }
        let key = (ground.type_id, id.clone());
        // Where the file had what the store has, a person has put an older text back.
        let has_current = known == Some(held.version());
        let is_own = version.hash == held.hash
            || known == Some(version)
            || (!has_current && self.recent.has(&key, version));
        if is_own {
            return Ok((Fate::Put(self.shared.bodies.join(held)?), None, None));
        }
        let rev = held.row.rev;
        let is_on_top =
            has_current || found.rev == Some(rev) || (known.is_none() && found.rev.is_none());
        if !is_on_top {
            let why = format!(
                "the store has changed this event meanwhile, to revision {rev}; with rev = {rev} \
                 what stands here takes its place"
            );
            return Ok((Fate::Open, None, Some(("rev", why))));
        }
        let op = ops::set(ground.type_id, id.clone(), found, rev);
        Ok((Fate::Open, Some(op), None))
    }

    /// Of an event that there is not, or not any more.
    fn plan_new(
        &self,
        ground: &Ground<'_>,
        found: &Found,
        id: &Id,
        version: Version,
        known: Option<Version>,
    ) -> Verdict {
        let key = (ground.type_id, id.clone());
        // A file that was written before the event was deleted, and is not brought up to date yet.
        let is_late = self.events[ground.type_id].has_changed(id);
        if known == Some(version) || (is_late && self.recent.has(&key, version)) {
            return (Fate::Drop, None, None);
        }
        if known.is_some() {
            let why = "the store has deleted this event meanwhile; remove the block, or its id to \
                       have what stands here as another event";
            return (Fate::Open, None, Some(("id", why.to_owned())));
        }
        let mut op = ops::new(ground.type_id, id.clone(), found);
        if let Op::New { draft, .. } = &mut op
            && found.id.is_none()
            && is_before_ids(self.schema.types[ground.type_id].log(), found)
        {
            draft.id = None;
        }
        (Fate::Open, Some(op), None)
    }

    /// Which of some events other files have, as far as they are known.
    fn in_other_files(
        &self,
        type_id: TypeId,
        but: &str,
        ids: &HashSet<&Id>,
    ) -> HashMap<Id, String> {
        let mut there = HashMap::new();
        if ids.is_empty() {
            return there;
        }
        let others = self.tree.days.iter();
        let others = others.filter(|(rel, day)| day.type_id == type_id && rel.as_str() != but);
        for (rel, day) in others {
            let own = day.objects.iter().filter(|(id, _)| ids.contains(id));
            there.extend(own.map(|(id, _)| (id.clone(), rel.clone())));
        }
        there
    }

    /// Deletes of events whose blocks were removed, unless they stand in another file; and those
    /// that the store must write again.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn plan_deletes(
        &self,
        type_id: TypeId,
        path: &Path,
        rel: &str,
        before: &[(Id, Version)],
        there: &HashSet<&Id>,
        plan: &mut Plan,
    ) -> Result<()> {
        let gone: Vec<&(Id, Version)> = before
            .iter()
            .filter(|(id, _)| !there.contains(id))
            .collect();
        plan.gone = gone.iter().map(|(id, _)| id.clone()).collect();
        let ids: HashSet<&Id> = gone.iter().map(|(id, _)| id).collect();
        let known = self.in_other_files(type_id, rel, &ids);
        let left: HashSet<&Id> = ids
            .into_iter()
            .filter(|id| !known.contains_key(*id))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        // A person may have moved them there just now.
        let moved: HashMap<Id, PathBuf> = Days::of(self.shared, type_id).elsewhere(&left, path)?;
        for (id, version) in gone.into_iter().filter(|(id, _)| left.contains(id)) {
            let Some(held) = self.state.get(type_id, id) else {
                continue;
            };
            if moved.contains_key(id) {
                continue;
            }
            if held.version() == *version {
                let op = ops::delete(type_id, id.clone(), held.row.rev);
                plan.deletes.push((id.clone(), *version, op));
            } else {
                // The store changed it meanwhile.
                plan.refold.push(id.clone());
            }
        }
        Ok(())
    }
}

/// Tells of an event that stands in a file twice, or in two files. What differs from the event is
/// not taken for an edit of it, for it may be either.
fn remark_copies(ground: &Ground<'_>, found: &Found, block: &mut Block) {
    let is_edit = block.op.is_some();
    let lines = ground.lines.get(&block.id).map_or(&[][..], Vec::as_slice);
    let is_first = lines.first() == Some(&found.line);
    if let [first, second, ..] = lines
        && (is_edit || !is_first)
    {
        let other = if is_first { second } else { first };
        block.remark = Some((
            "id",
            format!(
                "event {} stands in this file twice, on line {other} too; remove one of the blocks, \
                 or the id of one to have two events",
                block.id
            ),
        ));
        block.op = None;
        return;
    }
    let is_new_here = !ground.known.contains_key(&block.id);
    if let Some(other) = ground.elsewhere.get(&block.id)
        && ((is_edit && is_new_here) || ground.is_persons)
    {
        block.remark = Some((
            "id",
            format!(
                "event {} stands in {other} too; remove one of the blocks, or the id of one to have \
                 two events",
                block.id
            ),
        ));
        if is_new_here {
            block.op = None;
        }
    }
}

/// Whether an event is so old that no UUIDv7 is of its time.
fn is_before_ids(log: Option<&osis_core::schema::LogOptions>, found: &Found) -> bool {
    let time = log.and_then(|log| found.values.get(log.time)?.as_time());
    time.is_some_and(|time: Time| time.as_millis() < 0)
}
