//! The change feed from disk: what is older than the records that a process holds in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use osis_core::backend::{Change as Record, Feed};
use osis_core::error::{Error, Result};
use osis_core::schema::{Schema, TypeId};

use crate::layout::SEGMENT;

use super::pack::Slim;
use super::{Entry, Log, lock};

/// How many entries or packs are held for those who read on.
const HELD_MAX: usize = 4;
/// How often is looked for a place in the log that is packed at the same moment.
const TRIES: usize = 3;

/// The records of entries and packs that were read last: what they are never changes, whether an
/// entry is slimmed or packed. Without it, a large entry would be read anew for each page.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<VecDeque<Arc<Stretch>>>);

/// The records of consecutive commits.
#[derive(Debug)]
struct Stretch {
    first: u64,
    last: u64,
    records: Vec<Slim>,
}

impl Log {
    /// The records of the change feed after `since` and up to `last`, the seq that the caller has
    /// reached; of these types, or of all where none is named. Those of one commit are never split,
    /// so that there may be more than `limit`.
    ///
    /// # Errors
    /// `Gone` if `since` is below what is kept, or above `last`; `Corrupt`; those of the file
    /// system.
    pub(crate) fn records(
        &self,
        since: u64,
        types: &[TypeId],
        limit: usize,
        last: u64,
        schema: &Arc<Schema>,
        hash: &str,
    ) -> Result<Feed> {
        let oldest = self.oldest_now()?.max(self.feed_begins()?);
        if since < oldest || since > last {
            return Err(Error::gone(since, oldest, last));
        }
        let mut changes: Vec<Record> = Vec::new();
        let mut position = since + 1;
        while position <= last {
            let stretch = self.stretch(position, schema, hash)?;
            let from = stretch.records.partition_point(|slim| slim.seq < position);
            for slim in stretch.records[from..]
                .iter()
                .take_while(|slim| slim.seq <= last)
            {
                if changes.len() >= limit
                    && let Some(before) = changes.last()
                    && before.seq != slim.seq
                {
                    let next = before.seq;
                    return Ok(Feed {
                        changes,
                        next,
                        oldest,
                    });
                }
                // A type that is no more has no records.
                let Some(ty) = schema.find(&slim.type_name) else {
                    continue;
                };
                if types.is_empty() || types.contains(&ty.id) {
                    changes.push(slim.record(ty.id));
                }
            }
            position = stretch.last + 1;
        }
        Ok(Feed {
            changes,
            next: last,
            oldest,
        })
    }

    /// The records round a commit, from memory or from the entry or pack that it is in.
    fn stretch(&self, seq: u64, schema: &Arc<Schema>, hash: &str) -> Result<Arc<Stretch>> {
        {
            let mut held = lock(&self.feed.0);
            let at = held.iter().position(|held| held.holds(seq));
            if let Some(found) = at.and_then(|at| held.remove(at)) {
                held.push_back(Arc::clone(&found));
                return Ok(found);
            }
        }
        for _ in 0..TRIES {
            if let Some(found) = self.find(seq, schema, hash)? {
                let found = Arc::new(found);
                let mut held = lock(&self.feed.0);
                held.push_back(Arc::clone(&found));
                if held.len() > HELD_MAX {
                    held.pop_front();
                }
                return Ok(found);
            }
        }
        match self.oldest_now()? {
            oldest if seq <= oldest => Err(Error::gone(seq - 1, oldest, seq)),
            _ => Err(self.missing(seq)),
        }
    }

    /// Reads the entry or pack that holds a commit; nothing where it was moved meanwhile.
    fn find(&self, seq: u64, schema: &Arc<Schema>, hash: &str) -> Result<Option<Stretch>> {
        if let Some(pack) = self.pack_at(seq)?
            && (pack.first..=pack.last).contains(&seq)
        {
            return Ok(Some(Stretch::of_pack(pack)));
        }
        // Who reads on asks for the first commit of an entry, by whose name it is found.
        if let Some((entry, schema)) = self.read_wholly(seq, schema, hash)? {
            return Ok(Some(Stretch::of_entry(entry, &schema)));
        }
        let listing = self.list()?;
        let mut numbers: Vec<u64> = listing.segments.union(&listing.packs).copied().collect();
        numbers.retain(|&number| number <= seq / SEGMENT);
        for number in numbers.into_iter().rev() {
            if listing.packs.contains(&number) {
                let pack = self.read_pack(number)?;
                let pack = pack.filter(|pack| pack.first <= seq);
                match pack {
                    Some(pack) if seq <= pack.last => return Ok(Some(Stretch::of_pack(pack))),
                    Some(_) => return Ok(None),
                    None => continue,
                }
            }
            let Some(first) = self.entries(number)?.range(..=seq).next_back().copied() else {
                continue;
            };
            let entry = self.read_wholly(first, schema, hash)?;
            return Ok(entry
                .filter(|(entry, _)| seq <= entry.last)
                .map(|(entry, schema)| Stretch::of_entry(entry, &schema)));
        }
        Ok(None)
    }
}

impl Stretch {
    fn holds(&self, seq: u64) -> bool {
        (self.first..=self.last).contains(&seq)
    }

    fn of_pack(pack: super::pack::Pack) -> Self {
        Self {
            first: pack.first,
            last: pack.last,
            records: pack.records,
        }
    }

    /// Log types make no records.
    fn of_entry(entry: Entry, schema: &Schema) -> Self {
        let names: Vec<Option<Arc<str>>> = schema
            .types
            .iter()
            .map(|ty| ty.log().is_none().then(|| ty.name.as_str().into()))
            .collect();
        let records = entry.changes.into_iter().filter_map(|change| {
            Some(Slim {
                seq: change.seq,
                op: change.op,
                type_name: names[change.type_id].clone()?,
                id: change.id,
                rev: change.rev,
                at: change.at,
            })
        });
        Self {
            first: entry.first,
            last: entry.last,
            records: records.collect(),
        }
    }
}

impl Slim {
    fn record(&self, type_id: TypeId) -> Record {
        Record {
            seq: self.seq,
            type_id,
            id: self.id.clone(),
            rev: self.rev,
            op: self.op,
            at: self.at,
        }
    }
}
