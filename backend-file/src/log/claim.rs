//! Claiming a number: the one act by which processes are kept apart.
//!
//! A finished, durable draft is linked to the entry's name; the file system lets one link win. What
//! makes the rest of this file necessary: an error may be reported for a link that was made, and a
//! process may sleep for any time between two steps, while others go on, pack the segment that it
//! is writing to, and drop the pack.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use osis_core::error::{Error, Result};
use osis_core::schema::Schema;

use crate::error::{io_error, unavailable};
use crate::layout::SEGMENT;

use super::{Entry, Log};

/// How often a step is tried whose failure says nothing about its effect.
const TRIES: u32 = 5;
/// How long to wait before the second try; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// How long a claim may take for its findings to be beyond doubt. Entries are neither slimmed nor
/// packed before they are twice as old (`GRACE` in [`super::compact`]).
const SURE_FOR: Duration = Duration::from_secs(30);

/// Who has the number that was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The entry is in the log, durably.
    Won,
    /// Another entry has the number, and this one is not in the log.
    Taken,
}

/// What contending came to, before anything was made durable.
enum Contest {
    Linked,
    Taken,
    /// Not linked, for this reason.
    Refused(io::Error),
    /// No answer, at the last try for this reason.
    Unanswered(io::Error),
}

/// When a claim began, by two clocks: one stands still while the machine sleeps, the other may be
/// set.
struct Begun(Instant, SystemTime);

impl Log {
    /// Tries to make an entry the next one of the log, behind the last one that the caller has read.
    ///
    /// After [`Claim::Taken`], [`Log::next`] has something to read.
    ///
    /// # Errors
    /// `StorageFull`; `Unavailable` where the file system fails, or after a claim that was unclear;
    /// `Corrupt` where there is nothing under the number, but under later ones. In all of these the
    /// entry is not in the log. `Internal` where that is unclear: it may be there, now or after a
    /// loss of power, or not. Then nobody may be told that it is done, nor that it is not, and this
    /// log refuses all further claims until it is opened anew; reading goes on.
    pub(crate) fn claim(&self, entry: &Entry, schema: &Schema) -> Result<Claim> {
        if entry.new_schema.is_some() {
            // Later, nothing else would tell how to read what came before.
            self.keep_schema(schema, &entry.schema)?;
        }
        self.claim_bytes(entry.first, entry.encode(schema).as_bytes())
    }

    /// Claims a number for the text of an entry, which names the process that wrote it, so that no
    /// two claims are of the same.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub(super) fn claim_bytes(&self, first: u64, bytes: &[u8]) -> Result<Claim> {
        if self.is_unclear() {
            let message = "the outcome of an earlier write is unknown; open the store again";
            return Err(unavailable(None, message.to_owned()));
        }
        self.check_home()?;
        let path = self.layout.entry(first);
        let failed = |error: io::Error| io_error(&path, &error);
        // Saves a draft and its sync where the race is lost already.
        if self.files.stamp(&path).map_err(failed)?.is_some() {
            return Ok(Claim::Taken);
        }
        if !self.enter(first)? {
            return Ok(Claim::Taken);
        }
        let begun = Begun(Instant::now(), SystemTime::now());
        let draft = self.draft(bytes).map_err(failed)?;
        let contest = self.contend(first, &draft, &begun);
        let removed = self.discard_draft(&draft);
        let contest = match contest {
            Err(error) => return Err(error),
            Ok(Contest::Unanswered(error)) => {
                // With the draft gone, no link can be made any more, however late the call arrives.
                match removed {
                    Ok(()) => self.settle(&path, bytes, &begun, error),
                    Err(_) => Contest::Unanswered(error),
                }
            }
            Ok(contest) => contest,
        };
        match contest {
            Contest::Linked => self.confirm(first, &begun),
            Contest::Taken => Ok(Claim::Taken),
            Contest::Refused(error) => Err(failed(error)),
            Contest::Unanswered(error) => Err(self.unclear(&path, &error)),
        }
    }

    /// Whether a claim of this process ended without its outcome being known.
    pub(crate) fn is_unclear(&self) -> bool {
        self.is_unclear.load(Ordering::Acquire)
    }

    /// Links the draft to the entry's name, and learns whose the name is.
    ///
    /// # Errors
    /// Where the entry is surely not linked.
    fn contend(&self, first: u64, draft: &Path, begun: &Begun) -> Result<Contest> {
        let path = self.layout.entry(first);
        let inode = match self.files.stamp(draft) {
            Ok(Some(stamp)) => stamp.inode,
            Ok(None) => return Ok(Contest::Refused(ErrorKind::NotFound.into())),
            Err(error) => return Ok(Contest::Refused(error)),
        };
        let mut pause = FIRST_PAUSE;
        let mut tried = 0;
        loop {
            let Err(error) = self.files.link(draft, &path) else {
                return Ok(Contest::Linked);
            };
            match self.files.stamp(&path) {
                Ok(Some(stamp)) if stamp.inode == inode => return Ok(Contest::Linked),
                // In so long a time the own entry may have been slimmed, which gives it a new inode.
                Ok(Some(_)) if begun.is_long_ago() => return Ok(Contest::Unanswered(error)),
                Ok(Some(_)) => return Ok(Contest::Taken),
                Ok(None) if is_final(error.kind()) => return Ok(Contest::Refused(error)),
                Ok(None) if error.kind() == ErrorKind::NotFound && tried == 0 => {
                    // The segment is not there yet, or no longer.
                    self.entered.store(0, Ordering::Release);
                    if !self.enter(first)? {
                        return Ok(Contest::Taken);
                    }
                }
                _ => {}
            }
            tried += 1;
            if tried == TRIES {
                return Ok(Contest::Unanswered(error));
            }
            std::thread::sleep(pause);
            pause *= 2;
        }
    }

    /// After a contest without answer, with the draft gone: looks whose the entry is.
    fn settle(&self, path: &Path, bytes: &[u8], begun: &Begun, why: io::Error) -> Contest {
        match self.read_optional(path) {
            Ok(Some(found)) if found == bytes => Contest::Linked,
            _ if begun.is_long_ago() => Contest::Unanswered(why),
            Ok(Some(_)) => Contest::Taken,
            Ok(None) => Contest::Refused(why),
            Err(_) => Contest::Unanswered(why),
        }
    }

    /// After a link was made: holds it against what others may have done meanwhile, and makes it
    /// durable.
    fn confirm(&self, first: u64, begun: &Begun) -> Result<Claim> {
        let path = self.layout.entry(first);
        match retried(|| self.is_past(first), |_| true) {
            Ok(false) => {}
            // Packed since, perhaps with this entry in it.
            Ok(true) if begun.is_long_ago() => {
                return Err(self.unclear(&path, &ErrorKind::TimedOut.into()));
            }
            Ok(true) => {
                // The folder was made anew by one who slept as well. Nobody reads the entry: the
                // pack, or `oldest`, has the word. So it does no harm where it cannot be removed.
                let _ = self.files.remove(&path);
                let _ = self.files.remove_directory(&self.layout.segment(first));
                return Ok(Claim::Taken);
            }
            Err(error) => return Err(self.unclear(&path, &error)),
        }
        // A sync that failed for a fault of the disk may succeed when it is repeated, without
        // anything being on disk. Only where the sync was not carried out a second one means
        // something.
        let not_carried_out = |kind| {
            matches!(
                kind,
                ErrorKind::Interrupted
                    | ErrorKind::WouldBlock
                    | ErrorKind::TimedOut
                    | ErrorKind::StaleNetworkFileHandle
            )
        };
        let segment = self.layout.segment(first);
        match retried(|| self.files.sync(&segment), not_carried_out) {
            Ok(()) => Ok(Claim::Won),
            // The segment was packed in between, which needs each of its entries, and their
            // successor, to be there: this one is in the pack, and so durable.
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && matches!(self.files.stamp(&self.layout.pack(first)), Ok(Some(_))) =>
            {
                Ok(Claim::Won)
            }
            Err(error) => Err(self.unclear(&path, &error)),
        }
    }

    fn unclear(&self, path: &Path, error: &io::Error) -> Error {
        self.is_unclear.store(true, Ordering::Release);
        let shown = path.display();
        Error::internal(
            format!("it is unknown whether the write is kept as {shown}: {error}"),
            error.to_string(),
        )
    }

    /// Whether a number belongs to a segment that was packed, or to a pack that was dropped.
    fn is_past(&self, first: u64) -> io::Result<bool> {
        // In this order: `oldest` is durable before the pack goes.
        Ok(self.files.stamp(&self.layout.pack(first))?.is_some() || self.oldest_seq()? >= first)
    }

    /// Before the first claim of this process in a segment: makes the segment's folder if it is
    /// missing, and durable what the entry will stand on. `false`: the number is taken.
    ///
    /// The entry before this one may lie in another folder, linked by a process that has not synced
    /// it yet. Were this one durable and that one lost with the power, the log would have a hole.
    /// Within one folder a single sync makes both durable.
    fn enter(&self, first: u64) -> Result<bool> {
        let segment = first / SEGMENT;
        if self.entered.load(Ordering::Acquire) == segment + 1 {
            return Ok(true);
        }
        let at = |path: &Path, error: &io::Error| io_error(path, error);
        let path = self.layout.entry(first);
        if self.is_past(first).map_err(|error| at(&path, &error))? {
            return Ok(false);
        }
        let (log, folder) = (self.layout.log(), self.layout.segment(first));
        let listing = self.list()?;
        let later = (segment + 1)..;
        let mut has_later = listing.packs.range(later.clone()).next().is_some()
            || self.entries(segment)?.range(first + 1..).next().is_some();
        for &later in listing.segments.range(later) {
            has_later = has_later || !self.entries(later)?.is_empty();
        }
        if has_later {
            // Either others have come that far since the caller looked, or nobody can go on here.
            return match self.is_taken(first) {
                Ok(true) => Ok(false),
                Ok(false) => Err(self.missing(first)),
                Err(error) => Err(at(&path, &error)),
            };
        }
        if let Some(&before) = listing.segments.range(..segment).next_back() {
            let before = self.layout.segment(before * SEGMENT);
            match self.files.sync(&before) {
                // Packed by now.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                synced => synced.map_err(|error| at(&before, &error))?,
            }
        }
        self.check_home()?;
        let made = self.files.create_directory(&folder);
        made.map_err(|error| at(&folder, &error))?;
        let synced = self.files.sync(&log);
        synced.map_err(|error| at(&log, &error))?;
        self.entered.store(segment + 1, Ordering::Release);
        Ok(true)
    }
}

impl Begun {
    fn is_long_ago(&self) -> bool {
        // A clock that was set back tells nothing, and the other one has the word.
        let by_clock = self.1.elapsed().unwrap_or_default();
        self.0.elapsed().max(by_clock) > SURE_FOR
    }
}

/// Whether an error of a link, whose name is still free, says that further tries are in vain.
fn is_final(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::PermissionDenied
            | ErrorKind::Unsupported
            | ErrorKind::TooManyLinks
            | ErrorKind::CrossesDevices
    )
}

/// Tries up to [`TRIES`] times, as long as the error is of a kind to try again after.
fn retried<T>(
    mut call: impl FnMut() -> io::Result<T>,
    again: impl Fn(ErrorKind) -> bool,
) -> io::Result<T> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match call() {
            Err(error) if again(error.kind()) => std::thread::sleep(pause),
            answer => return answer,
        }
        pause *= 2;
    }
    call()
}
