//! Versions of objects that the store itself wrote lately, so that a file which holds one of them
//! is not taken for a person's edit.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::marks::Key;
use crate::record::Version;

/// How long a version is remembered after it came: longer than a fold of another host may be late,
/// and than a temporary file is left alone.
const KEPT: Duration = Duration::from_secs(120);
/// Of how many objects at most.
const OBJECTS_MAX: usize = 200_000;
/// How many versions of one object at most.
const VERSIONS_MAX: usize = 256;

/// Versions of objects that the store itself wrote lately.
#[derive(Debug, Default)]
pub(super) struct Recent {
    versions: HashMap<Key, Vec<Version>>,
    /// Objects in the order in which they came, with the time until which they are kept.
    order: VecDeque<(Instant, Key)>,
}

impl Recent {
    /// Notes a version.
    pub(super) fn note(&mut self, key: &Key, version: Version) {
        if let Some(versions) = self.versions.get_mut(key) {
            if versions.last() != Some(&version) {
                if versions.len() >= VERSIONS_MAX {
                    versions.drain(..VERSIONS_MAX / 2);
                }
                versions.push(version);
            }
            return;
        }
        self.versions.insert(key.clone(), vec![version]);
        self.order.push_back((Instant::now() + KEPT, key.clone()));
    }

    /// Whether the store wrote a version lately.
    pub(super) fn has(&self, key: &Key, version: Version) -> bool {
        let versions = self.versions.get(key);
        versions.is_some_and(|versions| versions.contains(&version))
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
