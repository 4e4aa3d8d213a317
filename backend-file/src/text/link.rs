//! What searches and the thread that indexes tell each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use osis_core::error::Error;
use tokio::sync::watch;

use super::pair::Searchable;
use crate::state::Applied;

/// What searches and the thread that indexes tell each other.
#[derive(Debug)]
pub(super) struct Link {
    /// What the thread has reached.
    pub(super) told: watch::Sender<Told>,
    /// The seq through which somebody waits for the index.
    asked: AtomicU64,
    /// The newest generation of the index that was found damaged.
    damaged: AtomicU64,
    closing: AtomicBool,
    inbox: Sender<Arc<Applied>>,
    /// What wakes the thread without telling it of a commit.
    nudge: Arc<Applied>,
}

/// What the thread has reached.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The newest pair, unless it is being made.
    pub(super) pair: Option<Arc<Searchable>>,
    /// Why there is none, where it could not be made.
    pub(super) failed: Option<Error>,
    /// Nothing comes any more.
    pub(super) is_closed: bool,
}

impl Link {
    /// To the thread that reads from `inbox`; `nudge` is of no commit.
    pub(super) fn new(inbox: Sender<Arc<Applied>>, nudge: Applied) -> Self {
        Self {
            told: watch::Sender::new(Told::default()),
            asked: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            inbox,
            nudge: Arc::new(nudge),
        }
    }

    /// Asks the thread to complete the index through a seq.
    pub(super) fn ask(&self, seq: u64) {
        self.asked.fetch_max(seq, Ordering::AcqRel);
        self.wake();
    }

    /// The seq through which somebody asked.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }

    /// Tells that an index is damaged.
    pub(super) fn report(&self, generation: u64) {
        self.damaged.fetch_max(generation, Ordering::AcqRel);
        self.wake();
    }

    /// Whether an index was found damaged.
    pub(super) fn is_damaged(&self, generation: u64) -> bool {
        self.damaged.load(Ordering::Acquire) >= generation
    }

    /// Asks the thread to finish.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether the thread is to finish.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether a message is only there to wake the thread.
    pub(super) fn is_nudge(&self, message: &Arc<Applied>) -> bool {
        Arc::ptr_eq(message, &self.nudge)
    }

    /// Has the thread look at what it was asked for.
    pub(super) fn wake(&self) {
        // One that has ended needs nothing.
        let _ = self.inbox.send(Arc::clone(&self.nudge));
    }
}
