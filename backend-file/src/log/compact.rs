//! Making the log small where its objects are in their files: entries lose them, segments become
//! packs.
//!
//! Each step leaves a log that reads the same, whoever stops after it, and may be taken by two
//! processes at once: a pack gets its name only if that is free, and two packs of one segment say
//! the same.

use std::cell::OnceCell;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use osis_core::error::Result;
use osis_core::schema::Schema;
use osis_core::time::Time;

use crate::error::io_error;
use crate::files::Stamp;
use crate::layout::SEGMENT;

use super::pack::{Pack, Slim};
use super::{Content, Entry, Listing, Log, lock};

/// How old an entry is, by the volume's clock, before anything is done to it. Whoever is less far
/// behind reads it as it was, and no claim takes that long unnoticed.
const GRACE: Duration = Duration::from_secs(60);
/// Entries of at most so many bytes are not worth writing anew.
const SMALL_MAX: u64 = 64 * 1024;
/// How many changes of log types a pack lists; where there are more, it lists none, and whoever is
/// that far behind reads the objects' files instead.
const EVENTS_MAX: usize = 200_000;

/// What bounds a round.
struct Round<'a> {
    folded: u64,
    grace: Duration,
    /// The volume's time, once it was asked for.
    now: OnceCell<Duration>,
    schema: &'a Arc<Schema>,
    hash: &'a str,
}

impl Log {
    /// Takes objects out of the log up to `folded`, the seq up to which the caller has verified
    /// them to be durably in their files.
    ///
    /// Segments that are complete become packs; large entries of the others lose their objects.
    /// Entries of the last minute stay. Costs a few looks where there is nothing to do.
    ///
    /// # Errors
    /// `Corrupt`, where an entry or pack is damaged or missing: then it stays as it is, and so does
    /// all behind it. Those of the file system. The log reads the same in each case.
    pub(crate) fn compact(&self, folded: u64, schema: &Arc<Schema>, hash: &str) -> Result<()> {
        self.compact_older(GRACE, folded, schema, hash)
    }

    /// As [`Self::compact`], with another grace.
    ///
    /// # Errors
    /// As there.
    pub(super) fn compact_older(
        &self,
        grace: Duration,
        folded: u64,
        schema: &Arc<Schema>,
        hash: &str,
    ) -> Result<()> {
        if self.is_distrusted.load(Ordering::Acquire) {
            return Ok(());
        }
        self.sweep();
        let round = Round {
            folded,
            grace,
            now: OnceCell::new(),
            schema,
            hash,
        };
        let mut listing = self.list()?;
        let newest = listing.segments.last().copied();
        let mut goes_on = true;
        for segment in std::mem::take(&mut listing.segments) {
            if self.clear_leftover(segment, &listing)? {
                continue;
            }
            // The newest segment is not complete, and what comes behind one that cannot be packed yet
            // is younger.
            goes_on = goes_on
                && Some(segment) != newest
                && self.pack_segment(segment, &listing, &round)?;
            if goes_on {
                listing.packs.insert(segment);
            } else {
                self.slim_segment(segment, &round)?;
            }
        }
        Ok(())
    }

    /// Clears a segment away over which its pack, or `oldest`, has the word; whether it was one.
    fn clear_leftover(&self, segment: u64, listing: &Listing) -> Result<bool> {
        if listing.packs.contains(&segment) {
            // Whoever wrote it may have stopped before its name was durable; and a damaged pack
            // must not cost the segment as well.
            if self.read_pack(segment)?.is_some() {
                self.sync_log()?;
                self.set_aside(segment)?;
                return Ok(true);
            }
        }
        let Some(&newest) = listing.packs.last() else {
            return Ok(false);
        };
        if segment > newest {
            return Ok(false);
        }
        let entries = self.entries(segment)?;
        let oldest = self.oldest_now()?;
        if entries.last().is_none_or(|&last| last <= oldest) {
            self.set_aside(segment)?;
        } else {
            tracing::warn!(
                segment,
                "a segment of the log lies before the newest pack, without its own"
            );
        }
        Ok(true)
    }

    /// Makes a segment a pack; `false` if it cannot be one yet.
    fn pack_segment(&self, segment: u64, listing: &Listing, round: &Round<'_>) -> Result<bool> {
        let entries = self.entries(segment)?;
        let (Some(&first), Some(&newest)) = (entries.first(), entries.last()) else {
            return Ok(false);
        };
        if newest > round.folded || !self.is_old(newest, round)? {
            return Ok(false);
        }
        let before = match listing.packs.last() {
            Some(&number) => self.summary(number)?,
            None => None,
        };
        if let Some(before) = before
            && before.last + 1 != first
        {
            return Err(self.missing(before.last + 1));
        }
        let mut pack = Pack {
            first,
            last: first - 1,
            newest: Time::MIN,
            schema: String::new(),
            schema_since: 0,
            schema_text: String::new(),
            thin: false,
            records: Vec::new(),
            events: Vec::new(),
        };
        for first in entries {
            if first != pack.last + 1 {
                return Err(self.missing(pack.last + 1));
            }
            if !self.is_old(first, round)? {
                return Ok(false);
            }
            // Another process may have packed it just now.
            let Some((entry, schema)) = self.read_wholly(first, round.schema, round.hash)? else {
                return Ok(false);
            };
            if entry.last > round.folded {
                return Ok(false);
            }
            self.add(&mut pack, entry, &schema)?;
        }
        let next = pack.last + 1;
        let is_taken = self.is_taken(next);
        let is_taken = is_taken.map_err(|error| io_error(&self.layout.entry(next), &error))?;
        // A segment with a successor in itself is not complete.
        if next / SEGMENT == segment || !is_taken {
            return Ok(false);
        }
        self.write_pack(segment, &pack)?;
        lock(&self.slim).retain(|&seq| seq > pack.last);
        Ok(true)
    }

    fn add(&self, pack: &mut Pack, entry: Entry, schema: &Arc<Schema>) -> Result<()> {
        if let Some(text) = &entry.new_schema {
            let path = self.layout.entry(entry.first);
            pack.schema.clone_from(&self.learn(text, &path)?.hash);
            pack.schema_since = entry.first;
            pack.schema_text.clone_from(text);
        } else if pack.schema != entry.schema {
            pack.schema.clone_from(&entry.schema);
            pack.schema_text.clone_from(&schema.text);
        }
        let mut names: Vec<Option<Arc<str>>> = vec![None; schema.types.len()];
        for change in entry.changes {
            pack.newest = pack.newest.max(change.at);
            let ty = &schema.types[change.type_id];
            let list = match ty.log() {
                None => &mut pack.records,
                Some(_) if pack.thin => continue,
                Some(_) => &mut pack.events,
            };
            let name = names[change.type_id].get_or_insert_with(|| ty.name.as_str().into());
            list.push(Slim {
                seq: change.seq,
                op: change.op,
                type_name: Arc::clone(name),
                id: change.id,
                rev: change.rev,
                at: change.at,
            });
            if pack.events.len() > EVENTS_MAX {
                pack.thin = true;
                pack.events = Vec::new();
            }
        }
        pack.last = entry.last;
        Ok(())
    }

    /// Writes a pack, and lets its segment go.
    fn write_pack(&self, segment: u64, pack: &Pack) -> Result<()> {
        let path = self.layout.pack(segment * SEGMENT);
        let failed = |error| io_error(&path, &error);
        let draft = self.draft(pack.encode().as_bytes()).map_err(failed)?;
        if let Err(error) = self.files.rename_new(&draft, &path) {
            let _ = self.discard_draft(&draft);
            // Whether another process was quicker, or this one succeeded in spite of the error.
            if self.files.stamp(&path).map_err(failed)?.is_none() {
                return Err(failed(error));
            }
        }
        // Reads it back: nothing goes for a pack that cannot be read.
        let written = self.read_pack(segment)?;
        if written.is_none_or(|written| (written.first, written.last) != (pack.first, pack.last)) {
            let what = "the pack that was written is not there, or another one is";
            return Err(crate::error::corrupt(&path, None, what));
        }
        self.sync_log()?;
        self.set_aside(segment)
    }

    /// Makes the names in `log` durable. After a failure, a later success would mean nothing: then
    /// this process removes no more from the log.
    pub(super) fn sync_log(&self) -> Result<()> {
        let log = self.layout.log();
        self.files.sync(&log).map_err(|error| {
            self.is_distrusted.store(true, Ordering::Release);
            io_error(&log, &error)
        })
    }

    /// Lets a segment go. In one step it is out of the way of whoever would still claim in it; its
    /// files go afterwards, by this process or the next that sweeps.
    fn set_aside(&self, segment: u64) -> Result<()> {
        let from = self.layout.segment(segment * SEGMENT);
        let aside = self.draft_name().with_extension("");
        let moved = self.files.rename(&from, &aside);
        match moved.and_then(|()| self.remove_aside(&aside)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(&from, &error)),
            _ => Ok(()),
        }
    }

    /// Takes the objects out of a segment's large entries.
    fn slim_segment(&self, segment: u64, round: &Round<'_>) -> Result<()> {
        for first in self.entries(segment)?.range(..=round.folded).copied() {
            if lock(&self.slim).contains(&first) {
                continue;
            }
            let path = self.layout.entry(first);
            let failed = |error| io_error(&path, &error);
            let Some(stamp) = self.files.stamp(&path).map_err(failed)? else {
                continue;
            };
            if stamp.length > SMALL_MAX {
                if !self.is_old(first, round)? {
                    continue;
                }
                let Some((mut entry, schema)) =
                    self.read_wholly(first, round.schema, round.hash)?
                else {
                    continue;
                };
                if entry.last > round.folded {
                    continue;
                }
                if empty(&mut entry) {
                    let text = entry.encode(&schema);
                    self.replace(&path, text.as_bytes()).map_err(failed)?;
                }
            }
            lock(&self.slim).insert(first);
        }
        Ok(())
    }

    /// Whether an entry was written longer ago than the grace.
    fn is_old(&self, first: u64, round: &Round<'_>) -> Result<bool> {
        let path = self.layout.entry(first);
        let failed = |error| io_error(&path, &error);
        let Some(stamp) = self.files.stamp(&path).map_err(failed)? else {
            return Ok(false);
        };
        let now = match round.now.get() {
            Some(now) => *now,
            None => {
                let now = self.volume_time().map_err(failed)?;
                *round.now.get_or_init(|| now)
            }
        };
        Ok(now.saturating_sub(written(stamp)) >= round.grace)
    }

    /// What time the volume writes on files now: its host's clock, not this one's.
    fn volume_time(&self) -> io::Result<Duration> {
        let probe = self.draft(b"")?;
        let stamp = self.files.stamp(&probe);
        self.discard_draft(&probe)?;
        Ok(stamp?.map_or(Duration::ZERO, written))
    }
}

/// When a file was written, since 1970.
fn written(stamp: Stamp) -> Duration {
    Duration::from_nanos(u64::try_from(stamp.modified).unwrap_or(0))
}

/// Takes the objects out of an entry; whether there were any.
fn empty(entry: &mut Entry) -> bool {
    let mut had_any = false;
    for change in &mut entry.changes {
        if matches!(change.content, Content::Full(_)) {
            change.content = Content::Folded;
            had_any = true;
        }
    }
    had_any
}
