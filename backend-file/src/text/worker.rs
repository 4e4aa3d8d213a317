//! The thread that indexes: it follows the commits, in steps of some thousand documents or of a
//! second, or at once when a search waits.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::error::{Failure, Outcome, caught};
use super::link::{Link, Told};
use super::pair::Searchable;
use super::writing::{Source, Writing};
use crate::state::{Applied, State};

/// With so many changes the index is committed.
const CHANGES_MAX: usize = 5000;
/// So long after the first change it is committed in any case.
const WAIT: Duration = Duration::from_secs(1);
/// So many messages are taken together.
const MESSAGES_MAX: usize = 1024;
/// When an index that could not be made is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// The thread that indexes.
pub(super) struct Worker {
    link: Arc<Link>,
    inbox: Receiver<Arc<Applied>>,
    directory: PathBuf,
    lineage: String,
    source: Arc<Source>,
    /// The newest state it was told of.
    newest: Arc<State>,
    /// The index, unless it could not be made.
    writing: Option<Writing>,
    /// The generation of the index that is there, or is to come.
    generation: u64,
    /// The seq of the newest pair.
    reached: Option<u64>,
    /// When the next pair is due.
    due: Option<Instant>,
    /// Not before this an index that could not be made is tried again.
    retry: Instant,
}

/// The generation of the first index; damage is reported by it, 0 standing for none.
pub(super) const FIRST: u64 = 1;

impl Worker {
    /// Of an index that was just opened, at the state in which the store was.
    pub(super) fn new(
        link: Arc<Link>,
        inbox: Receiver<Arc<Applied>>,
        (directory, lineage): (PathBuf, String),
        source: Arc<Source>,
        newest: Arc<State>,
        writing: Writing,
    ) -> Self {
        Self {
            link,
            inbox,
            directory,
            lineage,
            source,
            newest,
            writing: Some(writing),
            generation: FIRST,
            reached: None,
            due: None,
            retry: Instant::now(),
        }
    }

    /// Runs until it is told to close.
    pub(super) fn run(mut self) {
        self.guard(|worker| {
            worker.verify()?;
            worker.align()
        });
        while !self.link.is_closing() {
            let messages = self.wait();
            self.guard(|worker| worker.take(&messages));
            self.guard(Self::settle);
        }
        self.end();
    }

    /// Waits for messages, or until something is due.
    fn wait(&self) -> Vec<Arc<Applied>> {
        let first = match self.due {
            Some(due) => self
                .inbox
                .recv_timeout(due.saturating_duration_since(Instant::now())),
            None => self.inbox.recv().map_err(RecvTimeoutError::from),
        };
        let mut messages: Vec<_> = first.into_iter().collect();
        messages.extend(self.inbox.try_iter().take(MESSAGES_MAX));
        messages.retain(|message| !self.link.is_nudge(message));
        messages
    }

    fn take(&mut self, messages: &[Arc<Applied>]) -> Outcome<()> {
        let Some(last) = messages.last() else {
            return Ok(());
        };
        self.newest = Arc::clone(&last.state);
        self.due.get_or_insert_with(|| Instant::now() + WAIT);
        let Some(writing) = &mut self.writing else {
            return Ok(());
        };
        for step in messages.iter().flat_map(|message| &message.steps) {
            writing.apply(step, &self.newest)?;
        }
        Ok(())
    }

    /// Does what is due or asked for.
    fn settle(&mut self) -> Outcome<()> {
        if self.link.is_closing() {
            return Ok(());
        }
        if self.link.is_damaged(self.generation) {
            self.give_up();
            self.open(true)?;
            return self.align();
        }
        if self.writing.is_none() {
            if self.retry > Instant::now() {
                self.due = Some(self.retry);
                return Ok(());
            }
            self.open(false)?;
            return self.align();
        }
        // Who asks for more than was sent so far may wait for nothing, others wait for this much.
        let is_asked = self
            .reached
            .is_none_or(|reached| reached < self.link.asked().min(self.newest.seq));
        let changes = self.writing.as_ref().map_or(0, Writing::changes);
        let is_due = self.due.is_some_and(|due| due <= Instant::now());
        if is_asked || is_due || changes >= CHANGES_MAX {
            self.publish()?;
        }
        Ok(())
    }

    /// Holds what lies on the disk against its checksums: Tantivy reads it without, and a flipped bit
    /// may do no more than hide some hits.
    fn verify(&mut self) -> Outcome<()> {
        self.writing.as_ref().map_or(Ok(()), Writing::verify)
    }

    /// Brings the index into line with the newest state.
    fn align(&mut self) -> Outcome<()> {
        let (link, newest) = (&self.link, &self.newest);
        let Some(writing) = &mut self.writing else {
            return Ok(());
        };
        if writing.align(newest, || link.is_closing())? {
            self.publish()?;
        }
        Ok(())
    }

    /// Makes the newest pair.
    fn publish(&mut self) -> Outcome<()> {
        let Some(writing) = &mut self.writing else {
            return Ok(());
        };
        let committed = writing.commit(&self.newest)?;
        let state = Arc::clone(&self.newest);
        let pair = Searchable::new(state, committed, Arc::clone(&self.link));
        self.reached = Some(self.newest.seq);
        self.due = None;
        self.link.told.send_replace(Told {
            pair: Some(Arc::new(pair)),
            ..Told::default()
        });
        Ok(())
    }

    fn open(&mut self, anew: bool) -> Outcome<()> {
        let (directory, lineage) = (&self.directory, &self.lineage);
        let writing = if anew {
            Writing::make(directory, &self.source, lineage, self.generation)
        } else {
            Writing::open(directory, &self.source, lineage, self.generation)
        };
        self.writing = Some(writing?);
        Ok(())
    }

    /// Lets go of the index: there will be another one.
    fn give_up(&mut self) {
        self.writing = None;
        self.reached = None;
        self.generation += 1;
        self.link.told.send_replace(Told::default());
    }

    /// Runs something; makes the index anew, once, if it is damaged.
    fn guard(&mut self, run: impl FnOnce(&mut Self) -> Outcome<()>) {
        let mut done = caught(|| run(self));
        if let Err(Failure::Index(why)) = &done {
            tracing::warn!(why, path = %self.directory.display(), "the text index is made anew");
            done = caught(|| {
                self.give_up();
                self.open(true)?;
                self.align()
            });
        }
        if let Err(failure) = done {
            let error = failure.into_error();
            tracing::error!(%error, path = %self.directory.display(), "there is no text index");
            self.give_up();
            self.retry = Instant::now() + RETRY;
            self.due = Some(self.retry);
            self.link.told.send_replace(Told {
                failed: Some(error),
                ..Told::default()
            });
        }
    }

    /// Takes in what was sent before it was told to close, and closes.
    fn end(&mut self) {
        let done = caught(|| {
            let messages: Vec<_> = self.inbox.try_iter().collect();
            let messages = messages.into_iter();
            let messages = messages.filter(|message| !self.link.is_nudge(message));
            let messages: Vec<_> = messages.collect();
            // Without a pair the index was not complete; the next start completes it.
            if self.reached.is_some() {
                self.take(&messages)?;
            }
            let seq = self.newest.seq;
            self.writing
                .take()
                .map_or(Ok(()), |writing| writing.close(seq))
        });
        if let Err(failure) = done {
            let error = failure.into_error();
            tracing::warn!(%error, path = %self.directory.display(), "the text index was not closed");
        }
        self.link.told.send_replace(Told {
            is_closed: true,
            ..Told::default()
        });
    }
}
