//! What tells one log's history from another that has come as far.
//!
//! A state that was saved goes on from a seq. That the log has that seq says little: a store that
//! was put back from a copy may have other commits under the same numbers since. So with the state
//! the entry is remembered by which it came to its seq. An entry is named by the process that wrote
//! it, which gives a number once. In a pack its writer is no longer known, but its last change is.

use std::sync::Arc;

use osis_core::backend::ChangeOp;
use osis_core::error::Result;
use osis_core::object::Id;
use osis_core::schema::Schema;
use osis_core::time::Time;

use super::pack::{Pack, Slim};
use super::{Entry, Log, is_damage};

/// The last entry that was taken into a state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tip {
    /// The seq that names it.
    first: u64,
    /// The process that wrote it.
    writer: String,
    /// The last change of its last commit, in words: of what has records in the feed, else of log
    /// types. Nothing where it has none.
    change: Option<String>,
}

impl Tip {
    /// Of an entry, and its schema.
    pub(crate) fn of(entry: &Entry, schema: &Schema) -> Self {
        let last = |is_log: bool| {
            let changes = entry.changes.iter().rev();
            let mut own = changes
                .take_while(|change| change.seq == entry.last)
                .map(|change| (&schema.types[change.type_id], change))
                .filter(|(ty, _)| ty.log().is_some() == is_log);
            let (ty, change) = own.next()?;
            let (id, rev, at) = (&change.id, change.rev, change.at);
            Some(words(change.op, &ty.name, id, rev, at))
        };
        Self {
            first: entry.first,
            writer: entry.writer.clone(),
            change: last(false).or_else(|| last(true)),
        }
    }

    /// Whether a pack has the same under a seq, as far as it tells.
    fn is_in(&self, pack: &Pack, seq: u64) -> bool {
        let last = |list: &[Slim]| {
            let behind = list.partition_point(|slim| slim.seq <= seq);
            let slim = list[..behind].last().filter(|slim| slim.seq == seq)?;
            let (id, rev, at) = (&slim.id, slim.rev, slim.at);
            Some(words(slim.op, &slim.type_name, id, rev, at))
        };
        let found = last(&pack.records).or_else(|| last(&pack.events));
        let is_left_out = pack.thin && found.is_none();
        (pack.first..=pack.last).contains(&seq) && (is_left_out || found == self.change)
    }
}

fn words(op: ChangeOp, ty: &str, id: &Id, rev: i64, at: Time) -> String {
    format!("{} {ty} {id} {rev} {at}", op.name())
}

impl Log {
    /// Whether the log came to a seq by this entry. What can no longer be told, since a pack has left
    /// it out, is taken for so; an entry that is damaged is another.
    ///
    /// # Errors
    /// `Corrupt` where a pack is damaged; those of the file system.
    pub(crate) fn has_tip(
        &self,
        seq: u64,
        tip: &Tip,
        schema: &Arc<Schema>,
        hash: &str,
    ) -> Result<bool> {
        let entry = match self.read_head(tip.first, schema, hash) {
            Err(error) if is_damage(&error) => None,
            read => read?,
        };
        // In this order: a pack has the word, and is there before its entries go.
        if let Some(pack) = self.pack_at(tip.first)? {
            return Ok(tip.is_in(&pack, seq));
        }
        Ok(entry.is_some_and(|entry| entry.writer == tip.writer && entry.last == seq))
    }
}
