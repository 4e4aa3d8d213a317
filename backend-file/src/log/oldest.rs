//! Up to where the log is no longer kept, and other seqs that are noted beside its entries.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Mutex;

use osis_core::error::Result;

use crate::error::io_error;
use crate::files::Stamp;

use super::{Log, lock};

/// What the file said, and the state that it was in.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Option<(Stamp, u64)>>);

impl Cache {
    /// What was found at the last look.
    pub(super) fn last(&self) -> u64 {
        lock(&self.0).map_or(0, |(_, oldest)| oldest)
    }
}

impl Log {
    /// The seq up to which the log is gone; 0 if it is all there. One look, and reading only if the
    /// file has changed.
    pub(super) fn oldest_seq(&self) -> io::Result<u64> {
        self.noted_seq(&self.layout.log_oldest(), &self.oldest)
    }

    /// The seq that a file notes; 0 if it is not there. One look, and reading only if the file has
    /// changed.
    pub(super) fn noted_seq(&self, path: &Path, cache: &Cache) -> io::Result<u64> {
        let mut known = lock(&cache.0);
        let Some(stamp) = self.files.stamp(path)? else {
            *known = None;
            return Ok(0);
        };
        if let Some((at, oldest)) = *known
            && at == stamp
        {
            return Ok(oldest);
        }
        let bytes = match self.files.read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            read => read?,
        };
        let oldest = parse(&bytes).ok_or_else(|| {
            let what = "expected the lines `O:` and `oldest = <seq>`";
            io::Error::new(ErrorKind::InvalidData, what)
        })?;
        // If the file was replaced between the look and the reading, the stamp is the old one's, and
        // the next look reads again.
        *known = Some((stamp, oldest));
        Ok(oldest)
    }

    /// Notes durably that the log is gone up to a seq, before it goes. Never says less than before.
    pub(super) fn set_oldest(&self, oldest: u64) -> io::Result<()> {
        if self.oldest_seq()? >= oldest {
            return self.sync_parent(&self.layout.log_oldest());
        }
        self.replace(&self.layout.log_oldest(), text(oldest).as_bytes())
    }
}

impl Log {
    /// The seq up to which all was seen in objects' files, on disk; 0 where nobody has noted that.
    /// Whatever is not there any more was removed since.
    pub(crate) fn filed(&self) -> u64 {
        let noted = self.noted_seq(&self.layout.log_filed(), &self.filed);
        noted.unwrap_or_else(|error| {
            tracing::warn!(%error, "what was in files before cannot be told");
            0
        })
    }

    /// Notes that seq, unless a later one is noted.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn set_filed(&self, seq: u64) -> Result<()> {
        if self.filed() >= seq {
            return Ok(());
        }
        let path = self.layout.log_filed();
        let noted = self.replace(&path, text(seq).as_bytes());
        noted.map_err(|error| io_error(&path, &error))
    }
}

pub(super) fn text(oldest: u64) -> String {
    format!("O:\noldest = {oldest}\n")
}

fn parse(bytes: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let number = text.strip_prefix("O:\noldest = ")?.strip_suffix('\n')?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_read_as_written() {
        assert_eq!(super::parse(super::text(12).as_bytes()), Some(12));
        for broken in ["", "O:\noldest = 1", "O:\noldest = x\n", "O:\n"] {
            assert_eq!(super::parse(broken.as_bytes()), None);
        }
    }
}
