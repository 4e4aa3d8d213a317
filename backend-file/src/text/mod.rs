//! Full-text search: an index that only this process has, beside the state.
//!
//! A thread of its own follows the commits and writes the words of each version of an object into
//! Tantivy; no write waits for it. What a search reads is a pair: a state, and an index of exactly
//! its objects. Words, matching and relevance are core's; Tantivy keeps postings.
//!
//! The index is derived and disposable: one that is damaged, of another cache or of another schema
//! is made anew, in the background.

mod bits;
mod error;
mod evaluate;
mod link;
mod overlay;
mod page;
mod pair;
mod segments;
mod shape;
mod similar;
mod terms;
mod worker;
mod writing;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use osis_core::error::{Error, Result};
use osis_core::schema::{Schema, TypeId};
use tokio::time::timeout_at;

use self::error::Failure;
use self::link::Link;
use self::shape::Shape;
use self::worker::{FIRST, Worker};
use self::writing::{Source, Writing};
use crate::bodies::Bodies;
use crate::error::io_error;
use crate::state::{Applied, State};

pub(crate) use self::pair::Searchable;

/// The text index of a process.
#[derive(Debug)]
pub(crate) struct TextIndex {
    link: Arc<Link>,
    directory: PathBuf,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl TextIndex {
    /// Opens the index in a directory, or begins to make it, for a store at a state; what is sent
    /// to the sender, in order and without a gap, is taken in.
    ///
    /// `lineage` tells the cache that has given the ordinals from any other. Does not wait until
    /// the index is complete: [`Self::complete`] does.
    ///
    /// # Errors
    /// `Unavailable` if another process has the index, or if none can be made.
    pub(crate) fn open(
        directory: &Path,
        schema: &Arc<Schema>,
        bodies: Arc<Bodies>,
        lineage: &str,
        state: Arc<State>,
    ) -> Result<(Self, Sender<Arc<Applied>>)> {
        let source = Arc::new(Source {
            schema: Arc::clone(schema),
            shape: Arc::new(Shape::of(schema)),
            bodies,
        });
        let writing =
            Writing::open(directory, &source, lineage, FIRST).map_err(Failure::into_error)?;
        let (sender, inbox) = mpsc::channel();
        let nudge = Applied {
            state: Arc::new(State::empty(schema, 0)),
            steps: Vec::new(),
            is_own: false,
        };
        let link = Arc::new(Link::new(sender.clone(), nudge));
        let place = (directory.to_owned(), lineage.to_owned());
        let worker = Worker::new(Arc::clone(&link), inbox, place, source, state, writing);
        let thread = std::thread::Builder::new()
            .name("osis-text".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| io_error(directory, &error))?;
        let index = Self {
            link,
            directory: directory.to_owned(),
            thread: Mutex::new(Some(thread)),
        };
        Ok((index, sender))
    }

    /// A state of seq `at_least` or newer, with its index. What was committed through that seq has
    /// been sent to the index, or is about to be.
    ///
    /// Many who wait share one commit.
    ///
    /// # Errors
    /// `Unavailable` if the deadline comes first, the index is closed, or none can be made; those
    /// of the cache if an object cannot be read.
    pub(crate) async fn complete(
        &self,
        at_least: u64,
        deadline: Option<Instant>,
    ) -> Result<Arc<Searchable>> {
        let mut told = self.link.told.subscribe();
        let waiting = async {
            loop {
                {
                    let now = told.borrow_and_update();
                    match &now.pair {
                        Some(pair) if pair.state().seq >= at_least => return Ok(Arc::clone(pair)),
                        _ if now.is_closed => return Err(Error::closed()),
                        _ => {}
                    }
                    if let Some(failed) = &now.failed {
                        // Another try may be due.
                        self.link.wake();
                        let kind = failed.kind().clone();
                        return Err(Error::new(kind, failed.message()));
                    }
                }
                self.link.ask(at_least);
                told.changed().await.map_err(|_| Error::closed())?;
            }
        };
        match deadline {
            Some(deadline) => timeout_at(deadline.into(), waiting)
                .await
                .map_err(|_| Error::too_late())?,
            None => waiting.await,
        }
    }

    /// A pair with which a type is searched quickly as `state` has it, by
    /// [`Searchable::search_in`]: the newest one if it is near enough, else one that is complete.
    ///
    /// # Errors
    /// As [`Self::complete`].
    pub(crate) async fn near(
        &self,
        state: &State,
        type_id: TypeId,
        deadline: Option<Instant>,
    ) -> Result<Arc<Searchable>> {
        let newest = self.link.told.borrow().pair.as_ref().map(Arc::clone);
        match newest {
            Some(pair) if pair.is_near(state, type_id) => Ok(pair),
            _ => self.complete(state.seq, deadline).await,
        }
    }

    /// The files of the index whose content is not what was written, after reading them all.
    /// Blocks.
    ///
    /// # Errors
    /// `Unavailable` if the index cannot be read at all.
    pub(crate) fn damaged_files(&self) -> Result<Vec<PathBuf>> {
        writing::damaged(&self.directory).map_err(Failure::into_error)
    }

    /// Takes in what was sent, and lets go of files and thread. Blocks.
    pub(crate) fn close(&self) {
        self.link.close();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // It catches panics itself.
            let _ = thread.join();
        }
    }
}

// An opening that fails further on lets go of the index too.
impl Drop for TextIndex {
    fn drop(&mut self) {
        self.close();
    }
}
