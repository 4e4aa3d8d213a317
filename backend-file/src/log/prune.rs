//! Dropping packs past their time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use osis_core::error::Result;
use osis_core::time::Time;

use crate::error::io_error;
use crate::layout::SEGMENT;

use super::pack::Summary;
use super::{Log, lock};

impl Log {
    /// Drops packs whose newest change is more than `keep` ago and behind which the other packs
    /// still have `keep_records` records of the change feed; never the newest pack. Those past
    /// `keep` that stay for their records lose their changes of log types, which would fill the
    /// disk: whoever is that far behind reads the objects' files.
    ///
    /// Returns the seq behind which the log is whole, as [`Self::oldest`] has it then.
    ///
    /// # Errors
    /// `Corrupt`; those of the file system. What is said to be kept is kept in each case.
    pub(crate) fn prune(&self, keep: Duration, keep_records: usize, now: Time) -> Result<u64> {
        if self.is_distrusted.load(Ordering::Acquire) {
            return self.oldest_now();
        }
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let past = Time::from_millis(now.as_millis().saturating_sub(keep_ms)).unwrap_or(Time::MIN);
        let mut packs: Vec<(u64, Summary)> = Vec::new();
        let mut oldest = self.oldest_now()?;
        for number in self.list()?.packs {
            if let Some(summary) = self.summary(number)? {
                packs.push((number, summary));
            }
        }
        // Another process that dropped packs at the same time may have said less than it should.
        let lowest = packs.iter().find(|(_, pack)| pack.last > oldest);
        oldest = lowest.map_or(oldest, |(_, pack)| oldest.max(pack.first - 1));
        let mut behind: usize = packs.iter().map(|(_, pack)| pack.records).sum();
        for (_, pack) in packs.iter().take(packs.len().saturating_sub(1)) {
            behind -= pack.records;
            if pack.newest >= past || behind < keep_records {
                break;
            }
            oldest = oldest.max(pack.last);
        }
        if let Err(error) = self.set_oldest(oldest) {
            // Said, but not durably: a later success would mean nothing.
            let is_said = self.oldest_seq().is_ok_and(|said| said >= oldest);
            self.is_distrusted.fetch_or(is_said, Ordering::AcqRel);
            return Err(io_error(&self.layout.log_oldest(), &error));
        }
        let newest = packs.last().map(|&(number, _)| number);
        for (number, pack) in packs {
            if pack.last <= oldest && Some(number) != newest {
                let path = self.layout.pack(number * SEGMENT);
                self.discard_draft(&path)
                    .map_err(|error| io_error(&path, &error))?;
                lock(&self.summaries).remove(&number);
            } else if pack.newest < past && pack.events > 0 {
                self.thin(number)?;
            }
        }
        self.oldest_now()
    }

    /// Takes the changes of log types out of a pack.
    fn thin(&self, number: u64) -> Result<()> {
        let Some(mut pack) = self.read_pack(number)? else {
            return Ok(());
        };
        pack.events = Vec::new();
        pack.thin = true;
        let path = self.layout.pack(number * SEGMENT);
        let replaced = self.replace(&path, pack.encode().as_bytes());
        replaced.map_err(|error| io_error(&path, &error))?;
        lock(&self.summaries).insert(number, pack.summary());
        Ok(())
    }
}
