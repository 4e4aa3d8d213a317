//! What a process learns of those that have the same store open: what they commit, and that one of
//! them has put another schema in force.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// What was learned of them, and of this process itself.
#[derive(Debug)]
pub struct Peers {
    /// Under which hash the schema that this process serves stands in the database.
    schema_hash: String,
    /// Another one was there when the database was last looked at.
    outdated: AtomicBool,
    /// The seq of the last commit that was seen.
    commits: watch::Sender<u64>,
}

impl Peers {
    /// For a process that serves the schema with this hash and has seen the store at `seq`.
    pub fn new(schema_hash: String, seq: u64) -> Self {
        Self {
            schema_hash,
            outdated: AtomicBool::new(false),
            commits: watch::Sender::new(seq),
        }
    }

    /// Wakes those who wait for commits, if this one is new to them.
    pub fn announce(&self, seq: u64) {
        self.commits.send_if_modified(|last| {
            let newer = seq > *last;
            *last = seq.max(*last);
            newer
        });
    }

    /// Tells of commits.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Takes in under which hash a schema stands in the database that is at `place`.
    pub fn see_schema(&self, hash: &str, place: &str) {
        let outdated = hash != self.schema_hash;
        if outdated != self.outdated.swap(outdated, Ordering::Relaxed) && outdated {
            tracing::error!(
                place,
                "another process has changed the schema; restart this one"
            );
        }
    }

    /// Whether another schema was in force when the database was last looked at.
    pub fn have_other_schema(&self) -> bool {
        self.outdated.load(Ordering::Relaxed)
    }
}
