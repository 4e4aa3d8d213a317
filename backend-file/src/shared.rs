//! What every part of an open store shares: where it lies, its schema, its log, and the state that
//! this process has reached in it.
//!
//! The state moves along the log only, one entry after another, under one lock; whoever finds a
//! next entry may move it: the writer before it resolves, a read before it answers, the follower in
//! between. Readers take the state as it is published and wait for nobody.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use osis_core::backend::Problem;
use osis_core::error::{Error, ErrorKind, Result};
use osis_core::object::{Id, Row};
use osis_core::schema::{Schema, Source, TypeId, load};
use tokio::sync::watch;

use crate::bodies::Bodies;
use crate::error::{io_error, unavailable};
use crate::files::Files;
use crate::keeper;
use crate::layout::Layout;
use crate::log::{Change, Entry, Log, Tip};
use crate::problems::Problems;
use crate::save::Lineage;
use crate::slot::Slot;
use crate::state::{Applied, State, Step};

/// How long a network volume is trusted to have no new commit of another host.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// How often the log's folders are listed on a network volume.
const LIST_EVERY: Duration = Duration::from_millis(500);

/// What every part of an open store shares.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Where everything lies.
    pub(crate) layout: Layout,
    /// The schema in force.
    pub(crate) schema: Arc<Schema>,
    /// The hash of its text, which entries of the log carry.
    pub(crate) schema_hash: String,
    /// The file system.
    pub(crate) files: Arc<dyn Files>,
    /// Whether other hosts may write the store, so that looking costs a round trip.
    pub(crate) is_network: bool,
    /// The log.
    pub(crate) log: Log,
    /// The large fields.
    pub(crate) bodies: Arc<Bodies>,
    /// Where this process keeps what it derives.
    pub(crate) slot: Slot,
    /// What the cache belongs to.
    pub(crate) lineage: Lineage,
    /// What is wrong with people's files.
    pub(crate) problems: Problems,
    /// Tells the seq that was reached.
    pub(crate) commits: watch::Sender<u64>,
    state: RwLock<Arc<State>>,
    advance: Mutex<Followers>,
    looked: Mutex<Option<Instant>>,
    listed: Mutex<Option<Instant>>,
    /// The number that the writer claims just now; 0 if none.
    claiming: AtomicU64,
    outdated: AtomicBool,
    lost: AtomicBool,
}

/// The right to move the state, with those who are told of it.
#[derive(Debug, Default)]
pub(crate) struct Followers(Vec<Sender<Arc<Applied>>>);

/// A claim that is under way.
#[derive(Debug)]
pub(crate) struct Claiming<'a>(&'a AtomicU64);

impl Drop for Claiming<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

/// What [`Shared::new`] needs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) layout: Layout,
    pub(crate) schema: Arc<Schema>,
    pub(crate) schema_hash: String,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) is_network: bool,
    pub(crate) log: Log,
    pub(crate) bodies: Arc<Bodies>,
    pub(crate) slot: Slot,
    pub(crate) lineage: Lineage,
    pub(crate) problems: Problems,
    pub(crate) state: State,
}

impl Shared {
    /// Of a store that was set up, at a state.
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            layout: parts.layout,
            schema: parts.schema,
            schema_hash: parts.schema_hash,
            files: parts.files,
            is_network: parts.is_network,
            log: parts.log,
            bodies: parts.bodies,
            slot: parts.slot,
            lineage: parts.lineage,
            problems: parts.problems,
            commits: watch::Sender::new(parts.state.seq),
            state: RwLock::new(Arc::new(parts.state)),
            advance: Mutex::default(),
            looked: Mutex::new(None),
            listed: Mutex::new(None),
            claiming: AtomicU64::new(0),
            outdated: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        }
    }

    /// Has somebody told of all that is taken in from now on.
    pub(crate) fn follow(&self, follower: Sender<Arc<Applied>>) {
        self.moving().0.push(follower);
    }

    /// Lets go of those who are told.
    pub(crate) fn forget_followers(&self) {
        self.moving().0.clear();
    }

    /// The state that this process has reached.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The whole of an object as the state has it.
    ///
    /// # Errors
    /// Those of the cache.
    pub(crate) fn row(&self, state: &State, type_id: TypeId, id: &Id) -> Result<Option<Row>> {
        let held = state.get(type_id, id);
        held.map(|held| self.bodies.join(held)).transpose()
    }

    /// Whether a look at the log is due, which on a network volume is not at each read.
    pub(crate) fn is_look_due(&self) -> bool {
        let looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY)
    }

    /// Whether the log has an entry that this process has not taken in and that somebody may have
    /// been told of. Costs one look at the file system, on a network volume at most every few
    /// milliseconds.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn is_behind(&self) -> Result<bool> {
        self.check_usable()?;
        if self.is_network {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
                return Ok(false);
            }
            *looked = Some(Instant::now());
        }
        let next = self.state().seq + 1;
        let taken = self.log.is_taken(next).and_then(|is_taken| {
            // What this process is about to publish, nobody was told of.
            let is_claiming = self.claiming.load(Ordering::Acquire) == next;
            Ok(is_taken && !(is_claiming && self.log.is_own(next)?))
        });
        taken.map_err(|error| io_error(&self.layout.entry(next), &error))
    }

    /// Looks at the log as [`Self::is_behind`] does, past what a network volume remembers, and takes
    /// in what is there. Blocks.
    ///
    /// # Errors
    /// As [`Self::catch_up`].
    pub(crate) fn follow_log(&self) -> Result<()> {
        if self.is_network {
            let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
            if listed.is_none_or(|at| at.elapsed() >= LIST_EVERY) {
                self.log.look_anew(self.state().seq + 1);
                *listed = Some(Instant::now());
            }
        }
        if self.is_behind()? {
            self.catch_up()?;
        }
        Ok(())
    }

    /// Takes in what the log has beyond the state. Blocks.
    ///
    /// # Errors
    /// `Corrupt` where an entry is damaged; those of the file system.
    pub(crate) fn catch_up(&self) -> Result<Arc<State>> {
        let followers = self.moving();
        self.catch_up_under(&followers)
    }

    /// The lock under which the state moves.
    pub(crate) fn moving(&self) -> MutexGuard<'_, Followers> {
        self.advance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`Self::catch_up`], for who has the lock.
    ///
    /// # Errors
    /// As [`Self::catch_up`].
    pub(crate) fn catch_up_under(&self, followers: &Followers) -> Result<Arc<State>> {
        loop {
            self.check_usable()?;
            let state = self.state();
            let next = self
                .log
                .next(state.seq + 1, &self.schema, &self.schema_hash);
            let entry = match next {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(state),
                Err(error) => return Err(self.lost(error)),
            };
            if !self.is_in_force(&entry)? {
                self.outdated.store(true, Ordering::Release);
                tracing::error!(
                    store = %self.layout.root().display(),
                    "another process has changed the schema; restart this one"
                );
                continue;
            }
            let mut next = (*state).clone();
            let steps = self.take_in(&mut next, &entry)?;
            self.publish(followers, next, steps, false);
        }
    }

    /// Says that the writer claims a number, until what is returned goes.
    pub(crate) fn claiming(&self, first: u64) -> Claiming<'_> {
        self.claiming.store(first, Ordering::Release);
        Claiming(&self.claiming)
    }

    /// Takes an entry into a state.
    ///
    /// # Errors
    /// Those of the cache and of objects' files.
    pub(crate) fn take_in(&self, state: &mut State, entry: &Entry) -> Result<Vec<Step>> {
        let before = self.state();
        let load = |change: &Change| match keeper::load(self, change) {
            // A person's file that is broken must not hold up the log: the last version that this
            // process had stays, and the keeper names the file.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt { .. }) => {
                tracing::warn!(%error, "the last good version stays");
                self.row(&before, change.type_id, &change.id)
            }
            loaded => loaded,
        };
        let mut steps = Vec::with_capacity(entry.changes.len());
        for change in &entry.changes {
            steps.push(state.take_in(&self.schema, &self.bodies, change, &load)?);
        }
        state.seq = entry.last;
        state.tip = Some(Arc::new(Tip::of(entry, &self.schema)));
        state.trim_recent();
        Ok(steps)
    }

    /// Makes a state the one that reads see, and tells those who follow.
    pub(crate) fn publish(
        &self,
        followers: &Followers,
        state: State,
        steps: Vec<Step>,
        is_own: bool,
    ) {
        let state = Arc::new(state);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&state);
        let seq = state.seq;
        let applied = Arc::new(Applied {
            state,
            steps,
            is_own,
        });
        for follower in &followers.0 {
            // One who is gone needs nothing.
            let _ = follower.send(Arc::clone(&applied));
        }
        self.commits.send_replace(seq);
    }

    /// Whether an entry is written under the schema of this process, or puts just that in force.
    fn is_in_force(&self, entry: &Entry) -> Result<bool> {
        match &entry.new_schema {
            Some(text) => Ok(load(&[Source::new("log", text.as_str())])?.hash == self.schema_hash),
            None => Ok(entry.schema == self.schema_hash),
        }
    }

    /// What it means that the log cannot be read on. Where it is gone, this process has slept for
    /// longer than the log is kept, and can only begin anew.
    fn lost(&self, error: Error) -> Error {
        if !matches!(error.kind(), ErrorKind::Gone { .. }) {
            return error;
        }
        let why = "the log no longer has what it has missed";
        tracing::error!(%error, store = %self.layout.root().display(), "{why}; restart it");
        self.lost.store(true, Ordering::Release);
        self.check_usable().err().unwrap_or(error)
    }

    /// Refuses where this process can no longer follow the log.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(crate) fn check_usable(&self) -> Result<()> {
        let why = if self.outdated.load(Ordering::Acquire) {
            "another process has changed its schema"
        } else if self.lost.load(Ordering::Acquire) {
            "the log no longer has what this process has missed"
        } else {
            return Ok(());
        };
        let root = self.layout.root().display();
        Err(unavailable(
            None,
            format!("{root} cannot be used: {why}; restart this process"),
        ))
    }

    /// What operators are told of a file.
    pub(crate) fn problem(&self, path: &Path, line: Option<usize>, message: String) -> Problem {
        let rel = path.strip_prefix(self.root()).unwrap_or(path);
        Problem {
            path: rel.display().to_string(),
            line,
            message,
        }
    }

    /// The store's directory, for messages.
    pub(crate) fn root(&self) -> &Path {
        self.layout.root()
    }
}
