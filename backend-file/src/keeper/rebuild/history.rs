//! What the entries of the log say that are not packed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use osis_core::backend::{Change as FeedRecord, ChangeOp};
use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::schema::{Schema, Source, Type, TypeId, load};
use osis_core::value::Value;

use super::read::Base;
use super::{Ground, version_of};
use crate::error::{corrupt, io_error};
use crate::layout::{Layout, Numbered, SEGMENT};
use crate::log::{Change, Content, Entry, Tip};
use crate::record::Version;

/// What the log says of each object that its entries name.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) stories: HashMap<(TypeId, Id), Story>,
    /// The records of the feed after [`Self::records_since`].
    pub(super) records: Vec<FeedRecord>,
    /// From where on none of them is missing.
    pub(super) records_since: u64,
    /// The last commit.
    pub(super) last: u64,
    /// The entry that it is in, where that is read.
    pub(super) tip: Option<Tip>,
}

/// What the log says of an object.
#[derive(Debug)]
pub(super) struct Story {
    /// What it is in the end.
    pub(super) last: Last,
    /// Its revision in the end.
    pub(super) rev: i64,
    /// The commit of its last change.
    pub(super) seq: u64,
    /// Versions that it had before.
    before: Vec<Version>,
}

/// What an object is in the end.
#[derive(Debug)]
pub(super) enum Last {
    /// This.
    Full(Row),
    /// Deleted.
    Gone,
    /// What its file says.
    Folded,
}

impl Story {
    /// Its version in the end, if the log has its content.
    pub(super) fn final_version(&self, ty: &Type) -> Option<Version> {
        match &self.last {
            Last::Full(row) => Some(version_of(ty, row)),
            Last::Gone | Last::Folded => None,
        }
    }

    /// The version that the last change took the place of, if the log says that.
    pub(super) fn version_before(&self) -> Option<Version> {
        self.before.last().copied()
    }

    /// Whether a version in a file is one that the store has put there.
    pub(super) fn has(&self, version: Version, final_version: Option<Version>) -> bool {
        let is_last = match self.last {
            Last::Full(_) => final_version == Some(version),
            // Which content it had is no longer known.
            Last::Folded => version.rev == self.rev,
            Last::Gone => false,
        };
        is_last || self.before.contains(&version)
    }
}

/// The seq of the first entry that is not packed, or of the next one if all are.
pub(super) fn begin(ground: &Ground<'_>) -> Result<u64> {
    let (files, layout) = (ground.files, ground.layout);
    // Before the look at the folders: an entry that is claimed meanwhile must not be passed over.
    let head = ground.log.head(ground.schema, &ground.schema.hash)?;
    let oldest = ground.log.oldest();
    let names = |directory: std::path::PathBuf| {
        let names = files.list(&directory);
        names.map_err(|error| io_error(&directory, &error))
    };
    let (mut segments, mut packs) = (BTreeSet::new(), BTreeSet::new());
    for name in names(layout.log())? {
        match Layout::numbered(&name) {
            Some(Numbered::Segment(number)) => drop(segments.insert(number)),
            Some(Numbered::Pack(number)) => drop(packs.insert(number)),
            None => {}
        }
    }
    for segment in segments.difference(&packs) {
        let entries = names(layout.segment(segment * SEGMENT))?;
        let seqs = entries.iter().filter_map(|name| Layout::entry_seq(name));
        if let Some(first) = seqs.filter(|&seq| seq > oldest).min() {
            return Ok(first);
        }
    }
    Ok(head + 1)
}

/// The entry with a seq, or, where that is missing or damaged, the next one that is not; and whether
/// something was passed over.
///
/// What is passed over is told. This process has what is in files.
fn next(ground: &Ground<'_>, seq: u64) -> Result<Option<(Entry, bool)>> {
    let hash = &ground.schema.hash;
    let found = ground.log.next_whole(seq, ground.schema, hash)?;
    Ok(found.map(|(entry, passed)| {
        let has_passed = !passed.is_empty();
        for damage in passed {
            let message = damage.message;
            ground.problems.note(&damage.path, damage.line, message);
        }
        (entry, has_passed)
    }))
}

impl History {
    /// Reads all entries from one on.
    ///
    /// Entries under older schemas are read as the wanted one has their objects. Where the log ends
    /// under another schema, it ends here before that came into force.
    pub(super) fn read(ground: &Ground<'_>, begin: u64) -> Result<Self> {
        let hash = &ground.schema.hash;
        let in_force = ground.log.schema_in_force(ground.schema, hash)?;
        let is_ours = in_force.is_none_or(|schema| schema.hash == *hash);
        let mut end = None;
        if !is_ours {
            let mut seq = begin;
            while let Some((entry, _)) = next(ground, seq)? {
                end = entry.new_schema.is_some().then_some(entry.first).or(end);
                seq = entry.last + 1;
            }
        }
        let mut history = Self {
            last: begin.saturating_sub(1),
            records_since: begin.saturating_sub(1),
            ..Self::default()
        };
        while end != Some(history.last + 1) {
            let Some((entry, has_passed)) = next(ground, history.last + 1)? else {
                break;
            };
            let seq = entry.first;
            if has_passed {
                history.records.clear();
                // One without changes may stand for what is damaged.
                history.records_since = match entry.changes.is_empty() {
                    true => entry.last,
                    false => seq - 1,
                };
            }
            history.last = entry.last;
            history.tip = (entry.schema == *hash).then(|| Tip::of(&entry, ground.schema));
            if entry.schema == *hash {
                history.take(ground.schema, entry.changes);
            } else if entry.new_schema.is_none() || !entry.changes.is_empty() {
                history.take_old(ground, seq, &entry)?;
            }
        }
        Ok(history)
    }

    /// Takes in an entry that was written under an older schema.
    fn take_old(&mut self, ground: &Ground<'_>, seq: u64, entry: &Entry) -> Result<()> {
        let path = ground.layout.log_schema(&entry.schema);
        let text = ground
            .files
            .read(&path)
            .map_err(|error| io_error(&path, &error))?;
        let text = String::from_utf8(text).map_err(|_| corrupt(&path, None, "is not UTF-8"))?;
        let old = Arc::new(load(&[Source::new(path.display().to_string(), text)])?);
        let Some(entry) = ground.log.next(seq, &old, &entry.schema)? else {
            return Ok(());
        };
        let changes = entry.changes.into_iter();
        let changes = changes.filter_map(|change| translated(&old, ground.schema, change));
        self.take(ground.schema, changes.collect());
        Ok(())
    }

    fn take(&mut self, schema: &Schema, changes: Vec<Change>) {
        for change in changes {
            if schema.types[change.type_id].log().is_none() {
                self.records.push(FeedRecord {
                    seq: change.seq,
                    type_id: change.type_id,
                    id: change.id.clone(),
                    rev: change.rev,
                    op: change.op,
                    at: change.at,
                });
            }
            let last = match change.content {
                Content::Full(row) => Last::Full(row),
                Content::Gone => Last::Gone,
                Content::Folded if change.op == ChangeOp::Delete => Last::Gone,
                Content::Folded => Last::Folded,
            };
            let story = self
                .stories
                .entry((change.type_id, change.id))
                .or_insert(Story {
                    last: Last::Gone,
                    rev: 0,
                    seq: 0,
                    before: Vec::new(),
                });
            story.last = last;
            story.rev = change.rev;
            story.seq = change.seq;
            // Of all but the last, the next one's `was` is the version.
            story.before.extend(change.was);
        }
    }

    /// Whether files are broken of which nobody has told yet what they held.
    pub(super) fn misses_any(&self, base: &Base, kept: &HashMap<(TypeId, Id), Row>) -> bool {
        base.broken().any(
            |key| match self.stories.get(key).map(|story| (&story.last, story.rev)) {
                Some((Last::Full(_) | Last::Gone, _)) => false,
                Some((Last::Folded, rev)) => kept.get(key).is_none_or(|row| row.rev != rev),
                None => !kept.contains_key(key),
            },
        )
    }

    /// Whether something is in no file of `base`, or in an older one, of which the log says that its
    /// file has it.
    pub(super) fn is_ahead_of(&self, base: &Base) -> bool {
        self.stories.iter().any(|((type_id, id), story)| {
            let there = base.rows.get(*type_id).and_then(|rows| rows.get(id));
            matches!(story.last, Last::Folded) && there.is_none_or(|row| row.rev < story.rev)
        })
    }
}

/// A change as another schema has it; nothing if that has no such type.
fn translated(old: &Schema, new: &Schema, mut change: Change) -> Option<Change> {
    let from = &old.types[change.type_id];
    let to = new.find(&from.name)?;
    change.type_id = to.id;
    if let Content::Full(row) = &mut change.content {
        let value = |field: &osis_core::schema::Field| {
            let at = from.field(&field.name)?;
            let is_same = from.fields[at].kind.name() == field.kind.name();
            is_same.then(|| row.values[at].clone())
        };
        let values = to
            .fields
            .iter()
            .map(|field| value(field).unwrap_or(Value::Null));
        row.values = values.collect();
    }
    Some(change)
}
