//! Messages carried out: entries in their order, runs of reads and of writes together.
//!
//! A run of consecutive reads is answered from one snapshot, with the `_get`s of one kind gathered
//! into one call of the store; a run of consecutive writes is handed over in one call. So a read
//! sees the writes before it, and a hundred `app_get` cost one query.

mod feed;
mod guard;
mod reads;
mod writes;

use std::time::Instant;

use osis_core::Store;

use crate::envelope::ReplyId;
use crate::error::WireError;
use crate::gate::Gate;
use crate::reply::Sink;
use crate::requests::{Changes, Read, Request, Write};
use crate::service::{Caller, Limits};

pub(crate) use guard::{Panics, caught, caught_now};

/// A request that was read, or why it cannot be carried out.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: Option<ReplyId>,
    pub(crate) request: Result<Request, WireError>,
}

impl Slot {
    /// Whether it changes the store, so that it must be finished whoever goes away.
    pub(crate) fn writes(&self) -> bool {
        matches!(self.request, Ok(Request::Write(_)))
    }
}

/// Entries of one kind, in their order. Those that cannot be carried out stand in any.
type Entries<T> = Vec<(Option<ReplyId>, Result<T, WireError>)>;

/// Consecutive entries that are carried out together.
enum Run {
    Reads(Entries<Read>),
    Writes(Entries<Write>),
    Wait(Option<ReplyId>, Changes),
}

/// Carries messages of a caller out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Runner<'a> {
    pub(crate) store: &'a Store,
    pub(crate) document: &'a std::sync::Arc<serde_json::value::RawValue>,
    pub(crate) limits: &'a Limits,
    pub(crate) gate: &'a Gate,
    pub(crate) panics: &'a Panics,
    pub(crate) caller: &'a Caller,
    /// When reads stop, and after which no write is begun.
    pub(crate) deadline: Instant,
}

impl Runner<'_> {
    /// Carries the entries of a message out and puts their answers into a sink.
    pub(crate) async fn run(&self, slots: Vec<Slot>, sink: &mut dyn Sink) {
        for run in runs(slots) {
            match run {
                Run::Reads(entries) => self.reads(entries, sink).await,
                Run::Writes(entries) => self.writes(entries, sink).await,
                Run::Wait(id, changes) => self.wait(id, &changes, sink).await,
            }
        }
    }
}

fn runs(slots: Vec<Slot>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for Slot { id, request } in slots {
        match (request, runs.last_mut()) {
            (Ok(Request::Read(read)), Some(Run::Reads(entries))) => entries.push((id, Ok(read))),
            (Ok(Request::Read(read)), _) => runs.push(Run::Reads(vec![(id, Ok(read))])),
            (Ok(Request::Write(write)), Some(Run::Writes(entries))) => {
                entries.push((id, Ok(write)));
            }
            (Ok(Request::Write(write)), _) => runs.push(Run::Writes(vec![(id, Ok(write))])),
            (Ok(Request::Wait(changes)), _) => runs.push(Run::Wait(id, changes)),
            (Err(error), Some(Run::Reads(entries))) => entries.push((id, Err(error))),
            (Err(error), Some(Run::Writes(entries))) => entries.push((id, Err(error))),
            (Err(error), _) => runs.push(Run::Reads(vec![(id, Err(error))])),
        }
    }
    runs
}
