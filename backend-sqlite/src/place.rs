//! Where a database may lie: only where all its users share one kernel.
//!
//! SQLite's write-ahead log keeps its index in shared memory and its order by POSIX locks. On a
//! file system that several hosts share, or that passes through one (NFS, GlusterFS, virtiofs),
//! acknowledged rows are lost, and SQLite does not look. So we do, before anything is opened.
//!
//! Source: <https://www.sqlite.org/wal.html>, section 2.2.

use std::path::Path;

use osis_core::error::{Error, Result};
use osis_host::volume::Volume;

use crate::config::PlacePolicy;

/// Looks where a directory lies.
///
/// # Errors
/// `Invalid` if SQLite is not safe there, with what to use instead.
pub(crate) fn check(directory: &Path, policy: PlacePolicy) -> Result<()> {
    let here = directory.display();
    match Volume::of(directory) {
        Volume::Local => Ok(()),
        Volume::Layered => {
            tracing::warn!(
                directory = %here,
                "the database lies in a container's own layer: other containers get a copy each, \
                 and it goes with the container; put it on a volume"
            );
            Ok(())
        }
        Volume::Shared(name) => Err(Error::invalid(
            "store",
            format!(
                "{here} is on {name}, where SQLite loses data; use a file store (file:DIR) on a \
                 shared volume, postgres://… for several hosts, or put the database on a local disk"
            ),
        )),
        Volume::Unknown(_) if policy == PlacePolicy::AllowUnknown => Ok(()),
        Volume::Unknown(name) => Err(Error::invalid(
            "store",
            format!(
                "{here} is on a file system ({name}) that is not known to be local, and SQLite \
                 loses data on others; put the database on a local disk, use a file store \
                 (file:DIR) or postgres://…, or allow unknown file systems if this one is local"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_use_instead() {
        assert!(check(Path::new("/proc"), PlacePolicy::AllowUnknown).is_ok());
        let message = check(Path::new("/proc"), PlacePolicy::KnownOnly)
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("file:DIR") && message.contains("postgres://"),
            "{message}"
        );
    }
}
