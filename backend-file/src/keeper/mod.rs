//! Keeps the objects' files and the store the same: folds commits into files, takes people's edits
//! into the store.
//!
//! One thread does both, so that it knows each file as it left it:
//!
//! - `intake` marks what commits changed; `fold` writes it into files, by the swaps of `swap`, and
//!   `events` that of log types;
//! - `inspect` and `verdict` find out what a file is that is not as it was left, `day` the same of
//!   days' files; `edits` takes what people wrote into the store, `refusal` says what it means that
//!   it is not taken, and `held` has those that have to stay as they are for now;
//! - `sync` has files on disk before the log lets go of what is in them; `leftovers` looks after
//!   what lies beside them, `asides` after what was taken out of its place;
//! - `unwritten` is for new files that somebody is still writing, `unreadable` for those that this
//!   process has no right to read;
//! - `watch` and `walk` tell which files to look at; `rebuild` reads all of them; `unserved` finds
//!   those that come to nothing.

mod asides;
mod content;
mod copy_out;
mod day;
mod days;
mod edits;
mod events;
mod failure;
mod fold;
mod held;
mod inspect;
mod intake;
mod kept;
mod leftovers;
mod marks;
mod names;
mod ops;
mod poll;
mod rebuild;
mod recent;
mod refusal;
mod scan;
mod swap;
mod sync;
#[cfg(test)]
mod tests;
mod tree;
mod turn;
mod unreadable;
mod unserved;
mod unwritten;
mod verdict;
mod walk;
mod watch;
mod worker;

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, Result};
use osis_core::object::Row;
use osis_core::time::Time;

use self::days::Days;
use self::watch::{Seen, Watcher};
use self::worker::{Order, Worker};
use crate::error::{corrupt, io_error};
use crate::log::Change;
use crate::shared::Shared;
use crate::state::Applied;

pub(crate) use copy_out::copy_out;
pub(crate) use rebuild::{Ground, rebuild};
pub(crate) use tree::Tree;
pub(crate) use unserved::{set_aside, unserved};

/// The way by which edits become commits: as clients' writes, in order, each batch for itself.
/// Blocks until they are durable and taken into the state.
pub(crate) type Submit = Arc<dyn Fn(Vec<Batch>) -> Vec<Result<Commit>> + Send + Sync>;

/// Keeps the objects' files and the store the same, while it is open.
#[derive(Debug)]
pub(crate) struct Keeper {
    orders: Sender<Order>,
    /// Told when the edits are taken in that the first walk finds.
    first: Mutex<Option<Receiver<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Starts, with the tree and the seq up to which the caches have what is known, if they do.
    /// `applied` has all that was taken into the state since the tree was true, and tells of
    /// all that will be.
    ///
    /// # Errors
    /// If the process can have no further thread.
    pub(crate) fn start(
        shared: Arc<Shared>,
        known: (Tree, Option<u64>),
        applied: Receiver<Arc<Applied>>,
        submit: Submit,
    ) -> Result<Self> {
        let (orders, receiver) = channel();
        let (layout, schema) = (&shared.layout, &shared.schema);
        let watcher = Watcher::start(layout, schema, shared.is_network, orders.clone())?;
        // What changed before it was watched is found by looking.
        let (sender, first) = channel();
        let _ = orders.send(Order::TakeIn(sender));
        let work = move || {
            let mut worker = Worker::new(&shared, known, applied, receiver, submit);
            worker.watcher = Some(watcher);
            worker.run();
        };
        let thread = std::thread::Builder::new()
            .name("osis-keeper".to_owned())
            .spawn(work)
            .map_err(|error| Error::internal("no thread for keeping files", error))?;
        Ok(Self {
            orders,
            first: Mutex::new(Some(first)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Waits until all that was committed is in files, on disk, and what people changed in files
    /// until now is taken in or refused.
    pub(crate) fn settle(&self) {
        let (sender, receiver) = channel();
        if self.orders.send(Order::Settle(sender)).is_ok() {
            // It ends early where the keeper does.
            let _ = receiver.recv();
        }
    }

    /// Waits until what people changed in files is taken in or refused, but not longer than that;
    /// whether it came to it. The first time that is what the walk at the start finds, later all
    /// that was changed before the call.
    pub(crate) fn take_in(&self, longest: Duration) -> bool {
        let first = self
            .first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let taken = first.or_else(|| {
            let (sender, receiver) = channel();
            self.orders
                .send(Order::TakeIn(sender))
                .is_ok()
                .then_some(receiver)
        });
        taken.is_some_and(|taken| taken.recv_timeout(longest).is_ok())
    }

    /// Folds what is left, saves what is known, and ends. Again: nothing.
    pub(crate) fn close(&self) {
        // It may have ended by itself.
        let _ = self.orders.send(Order::Close);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the keeper of objects' files has panicked; the log has all data");
        }
    }
}

impl From<Seen> for Order {
    fn from(seen: Seen) -> Self {
        match seen {
            Seen::Path(path) => Self::Look(path),
            Seen::Begun(path) => Self::Await(path),
            Seen::Rescan => Self::Walk,
        }
    }
}

/// Reads an object whose content the log no longer has from its file; nothing where there is none.
///
/// # Errors
/// Those of the file system; `Corrupt` where the file is broken.
pub(crate) fn load(shared: &Shared, change: &Change) -> Result<Option<Row>> {
    let (ty, id) = (&shared.schema.types[change.type_id], &change.id);
    // Where a person has the file in hand, it is not what the log means.
    let kept = kept::read(&*shared.files, &shared.layout, ty, id)?;
    if let Some(row) = kept.filter(|row| row.rev == change.rev) {
        return Ok(Some(row));
    }
    if ty.log().is_some() {
        return Days::of(shared, change.type_id).find(id);
    }
    let path = shared.layout.object(ty, id);
    let mut read = shared.files.read(&path);
    if matches!(&read, Err(error) if error.kind() == io::ErrorKind::NotFound)
        && asides::put_back(&*shared.files, &path, id).is_ok_and(|is_back| is_back)
    {
        read = shared.files.read(&path);
    }
    let bytes = match read {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if unreadable::is_refused(&error) => {
            return Err(corrupt(&path, None, &unreadable::why(&error)));
        }
        Err(error) => return Err(io_error(&path, &error)),
    };
    let content = content::content(ty, id, &bytes)
        .map_err(|(line, message)| corrupt(&path, line, &message))?;
    let found = content.found;
    // What a person has taken out of the file is not known any more.
    let created_at = found
        .created_at
        .or_else(|| id.uuid_v7_time())
        .unwrap_or_else(Time::now);
    Ok(Some(Row {
        id: id.clone(),
        rev: found.rev.unwrap_or(1),
        created_at,
        updated_at: found.updated_at.unwrap_or(created_at).max(created_at),
        values: found.values,
    }))
}
