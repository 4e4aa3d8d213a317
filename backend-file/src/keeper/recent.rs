//! Versions of objects that the store itself wrote lately, so that a file which holds one of them
//! is not taken for a person's edit.
//!
//! But a person may put an older text back, too. Where a file is known to have held what the store
//! has now, or its delete was done, an older version in it is another process's late write for
//! [`LATE`] only, and then a person's.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::marks::Key;
use crate::record::Version;

/// How long a version is remembered after it came: longer than a fold of another host may be late,
/// and than a temporary file is left alone.
const KEPT: Duration = Duration::from_secs(120);
/// How long after a version was replaced another host may still write it: it catches up with the log
/// before each file, and when it finds that it was late, it writes anew.
pub(super) const LATE: Duration = Duration::from_secs(6);
/// Of how many objects at most.
const OBJECTS_MAX: usize = 200_000;
/// How many versions of one object at most.
const VERSIONS_MAX: usize = 256;

/// Versions of objects that the store itself wrote lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// With the time at which each was last said to be, or to have been, the object's.
    versions: HashMap<Key, Vec<(Version, Instant)>>,
    /// Objects in the order in which they came, with the time until which they are kept.
    order: VecDeque<(Instant, Key)>,
}

impl Recent {
    /// Notes a version that an object has, or had until now.
    pub(super) fn note(&mut self, key: &Key, version: Version) {
        let now = Instant::now();
        let Some(versions) = self.versions.get_mut(key) else {
            self.versions.insert(key.clone(), vec![(version, now)]);
            self.order.push_back((now + KEPT, key.clone()));
            return;
        };
        match versions.last_mut() {
            Some((last, at)) if *last == version => *at = now,
            _ => {
                if versions.len() >= VERSIONS_MAX {
                    versions.drain(..VERSIONS_MAX / 2);
                }
                versions.push((version, now));
            }
        }
    }

    /// Whether the store wrote a version lately.
    pub(super) fn has(&self, key: &Key, version: Version) -> bool {
        self.noted(key, version).is_some()
    }

    /// How long another host may still write a version that was replaced; nothing if not any more,
    /// or if the store did not write it.
    pub(super) fn late_for(&self, key: &Key, version: Version) -> Option<Duration> {
        let left = LATE.checked_sub(self.noted(key, version)?.elapsed());
        left.filter(|left| !left.is_zero())
    }

    fn noted(&self, key: &Key, version: Version) -> Option<Instant> {
        let versions = self.versions.get(key)?.iter().rev();
        let mut own = versions.filter(|(own, _)| *own == version);
        own.next().map(|(_, at)| *at)
    }

    /// Has all versions be of some time ago, for tests.
    #[cfg(test)]
    pub(super) fn age(&mut self, by: Duration) {
        let noted = self.versions.values_mut().flatten();
        for (_, at) in noted {
            *at = at.checked_sub(by).unwrap_or(*at);
        }
    }

    /// Forgets what is old, of objects that are not in use.
    pub(super) fn trim(&mut self, now: Instant, in_use: impl Fn(&Key) -> bool) {
        // Each is looked at once: those in use go to the back again.
        for _ in 0..self.order.len() {
            let Some((until, _)) = self.order.front() else {
                return;
            };
            if *until > now && self.order.len() <= OBJECTS_MAX {
                return;
            }
            let Some((_, key)) = self.order.pop_front() else {
                return;
            };
            if in_use(&key) {
                self.order.push_back((now + KEPT, key));
            } else {
                self.versions.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use osis_core::object::Id;

    use super::*;
    use crate::record::Hash;

    #[test]
    fn what_was_replaced_is_late_for_a_while_and_known_for_longer() {
        let key: Key = (0, Id::trusted("some"));
        let version = |rev| Version {
            rev,
            hash: Hash([0; 16]),
        };
        let mut recent = Recent::default();
        recent.note(&key, version(1));
        recent.age(LATE);
        // From the time on at which it is replaced, not from that at which it came.
        for rev in [1, 2] {
            recent.note(&key, version(rev));
        }
        assert!(recent.late_for(&key, version(1)).is_some());
        assert_eq!(recent.late_for(&key, version(3)), None);
        recent.age(LATE);
        assert_eq!(recent.late_for(&key, version(1)), None);
        assert!(recent.has(&key, version(1)) && recent.has(&key, version(2)));
    }
}
