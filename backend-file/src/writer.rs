//! The writer: one thread a process, which takes what is waiting and claims one entry of the log
//! for all of it.
//!
//! It catches up with the log, resolves each batch against a copy of the state, writes the entry,
//! and claims the next number. If another process has that number, the copy is thrown away, the
//! other's entry is taken in, and the batches are resolved again: they see what won. Nothing is
//! answered before the claim is durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use osis_core::backend::ChangeOp;
use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, Result};
use osis_core::object::{Id, Row};
use osis_core::query::{Filter, Test};
use osis_core::queue::{self, Job};
use osis_core::resolve::{Effects, RowChange, Transition, View, resolve};
use osis_core::schema::{Column, KeyId, TypeId};
use osis_core::time::Time;
use osis_core::value::Value;
use osis_host::turn::Ticket;

use crate::log::{Change, Claim, Content, Entry, Tip};
use crate::record::Held;
use crate::shared::Shared;
use crate::state::{State, Step};

/// The most batches of one group; a single message may hold more.
const GROUP_MAX: usize = 256;
/// How long a process waits for its turn on this host before it claims without one: the turn only
/// spares others lost claims, so whoever was stopped while having it must not hold them up.
const PATIENCE: Duration = Duration::from_millis(20);

/// How long a lost claim waits on a network volume before it looks for who won.
const SHOWS_AFTER: Duration = Duration::from_millis(1);

/// The writer's thread, as the rest of the engine sees it.
#[derive(Debug)]
pub(crate) struct Writer {
    inbox: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Apply(Job),
    Close,
}

impl Writer {
    /// Starts the thread. `ticket` orders the processes of this host.
    ///
    /// # Errors
    /// If the system gives none.
    pub(crate) fn start(shared: Arc<Shared>, ticket: Ticket) -> Result<Self> {
        let (inbox, messages) = channel();
        let own = Thread {
            inbox: messages,
            shared,
            ticket,
        };
        let thread = std::thread::Builder::new()
            .name("osis-writer".to_owned())
            .spawn(move || own.run())
            .map_err(|error| Error::internal("the writer's thread cannot be started", error))?;
        Ok(Self {
            inbox,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Has batches carried out, and waits for it.
    pub(crate) async fn apply(&self, batches: Vec<Batch>) -> Vec<Result<Commit>> {
        queue::submit(batches, |job| self.inbox.send(Message::Apply(job)).is_ok()).await
    }

    /// Who sends batches from a thread.
    pub(crate) fn submit(&self) -> crate::keeper::Submit {
        let inbox = self.inbox.clone();
        Arc::new(move |batches| {
            queue::submit_blocking(batches, |job| inbox.send(Message::Apply(job)).is_ok())
        })
    }

    /// Lets the thread finish what it was sent, and waits for it. Blocks.
    pub(crate) fn close(&self) {
        // If it is gone already, there is nothing to finish.
        let _ = self.inbox.send(Message::Close);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer's thread broke off");
        }
    }
}

struct Thread {
    inbox: Receiver<Message>,
    shared: Arc<Shared>,
    ticket: Ticket,
}

impl Thread {
    fn run(self) {
        while let Ok(message) = self.inbox.recv() {
            let mut jobs = Vec::new();
            let mut waiting = 0;
            let mut is_closing = false;
            let mut next = Some(message);
            while let Some(message) = next {
                match message {
                    Message::Apply(job) => {
                        waiting += job.batches().len();
                        jobs.push(job);
                    }
                    Message::Close => is_closing = true,
                }
                next = match waiting < GROUP_MAX && !is_closing {
                    true => self.inbox.try_recv().ok(),
                    false => None,
                };
            }
            // A fault of the program must not end all writing: those who wait are told by their
            // channels going.
            if catch_unwind(AssertUnwindSafe(|| self.carry_out(jobs))).is_err() {
                tracing::error!("a write broke off");
            }
            if is_closing {
                break;
            }
        }
    }

    fn carry_out(&self, jobs: Vec<Job>) {
        let _turn = self.ticket.take_for(PATIENCE);
        let jobs: Vec<Job> = jobs.into_iter().filter(Job::begin).collect();
        let batches: Vec<&Batch> = jobs.iter().flat_map(Job::batches).collect();
        if batches.is_empty() {
            return;
        }
        let mut answers = match self.commit(&batches) {
            Ok(answers) => answers,
            Err(error) => batches.iter().map(|_| Err(again(&error))).collect(),
        }
        .into_iter();
        for job in jobs {
            let own = answers.by_ref().take(job.batches().len()).collect();
            job.answer(own);
        }
    }

    /// Carries a group out; answers only what is durable.
    fn commit(&self, batches: &[&Batch]) -> Result<Vec<Result<Commit>>> {
        let shared = &*self.shared;
        let followers = shared.moving();
        loop {
            let state = shared.catch_up_under(&followers)?;
            let mut group = Group::new(shared, &state);
            let answers = batches.iter().map(|batch| group.carry_out(batch)).collect();
            if group.changes.is_empty() {
                return Ok(answers);
            }
            let entry = Entry {
                first: state.seq + 1,
                last: group.state.seq,
                writer: shared.log.writer().to_owned(),
                schema: shared.schema_hash.clone(),
                new_schema: None,
                changes: group.changes,
            };
            let _claiming = shared.claiming(entry.first);
            match shared.log.claim(&entry, &shared.schema)? {
                Claim::Won => {
                    group.state.tip = Some(Arc::new(Tip::of(&entry, &shared.schema)));
                    group.state.trim_recent();
                    shared.publish(&followers, group.state, group.steps, true);
                    return Ok(answers);
                }
                // On a network volume the winner's entry may show a moment later.
                Claim::Taken if shared.is_network => {
                    std::thread::sleep(SHOWS_AFTER);
                    shared.log.look_anew(state.seq + 1);
                }
                Claim::Taken => {}
            }
        }
    }
}

/// The same error for each of several who wait.
fn again(error: &Error) -> Error {
    Error::new(error.kind().clone(), error.message())
}

/// Batches that become durable together, resolved one after another.
struct Group<'a> {
    shared: &'a Shared,
    state: State,
    changes: Vec<Change>,
    steps: Vec<Step>,
}

impl<'a> Group<'a> {
    fn new(shared: &'a Shared, state: &State) -> Self {
        Self {
            shared,
            state: state.clone(),
            changes: Vec::new(),
            steps: Vec::new(),
        }
    }

    fn carry_out(&mut self, batch: &Batch) -> Result<Commit> {
        if batch
            .deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
        {
            return Err(Error::too_late());
        }
        let mut view = StateView {
            shared: self.shared,
            state: &self.state,
        };
        let resolved = catch_unwind(AssertUnwindSafe(|| {
            resolve(&self.shared.schema, batch, &mut view, Time::now())
        }));
        let Ok(effects) = resolved else {
            return Err(Error::internal(
                "the write",
                "the rules of a write broke off",
            ));
        };
        let Effects { rows, outcomes } = effects?;
        if !batch.dry_run && !rows.is_empty() {
            self.write(rows)?;
        }
        Ok(Commit {
            seq: self.state.seq,
            outcomes,
        })
    }

    /// Takes the effects of a batch in: all or, where the cache fails, none.
    fn write(&mut self, rows: Vec<RowChange>) -> Result<()> {
        let seq = self.state.seq + 1;
        let mut state = self.state.clone();
        let (mut changes, mut steps) = (Vec::new(), Vec::new());
        for row in rows {
            let change = change_of(&state, seq, row);
            // The content of a change of our own is always there.
            let step = state.take_in(&self.shared.schema, &self.shared.bodies, &change, &|_| {
                Ok(None)
            })?;
            changes.push(change);
            steps.push(step);
        }
        self.state = state;
        self.changes.append(&mut changes);
        self.steps.append(&mut steps);
        Ok(())
    }
}

/// What the log says of a change.
fn change_of(state: &State, seq: u64, row: RowChange) -> Change {
    let (op, last, content) = match row.change {
        Transition::Insert(row) => (ChangeOp::New, row.clone(), Content::Full(row)),
        Transition::Update { after, .. } => (ChangeOp::Set, after.clone(), Content::Full(after)),
        Transition::Remove(row) => (ChangeOp::Delete, row, Content::Gone),
    };
    let was = state.get(row.type_id, &last.id).map(|held| held.version());
    Change {
        seq,
        type_id: row.type_id,
        at: row.at,
        op,
        rev: last.rev,
        id: last.id,
        was,
        content,
    }
}

/// What `resolve` sees.
struct StateView<'a> {
    shared: &'a Shared,
    state: &'a State,
}

impl StateView<'_> {
    fn whole(&self, held: Option<&Arc<Held>>) -> Result<Option<Row>> {
        held.map(|held| self.shared.bodies.join(held)).transpose()
    }
}

impl View for StateView<'_> {
    fn get(&mut self, type_id: TypeId, id: &Id) -> Result<Option<Row>> {
        self.whole(self.state.get(type_id, id))
    }

    fn get_by_key(&mut self, type_id: TypeId, key: KeyId, values: &[Value]) -> Result<Option<Row>> {
        self.whole(self.state.types[type_id].table.by_key(key, values))
    }

    fn referrers(&mut self, type_id: TypeId, field: usize, id: &Id) -> Result<Vec<Row>> {
        let holders = self.state.types[type_id].table.holders(field, id.as_str());
        holders.map(|held| self.shared.bodies.join(held)).collect()
    }

    fn get_by_content(&mut self, type_id: TypeId, values: &[Value]) -> Result<Vec<Row>> {
        let ty = &self.shared.schema.types[type_id];
        // What is in memory narrows it down; the rest is compared.
        let tests = ty.fields.iter().zip(values).enumerate();
        let tests = tests.filter(|(_, (field, _))| field.filterable());
        let filter = Filter::All(
            tests
                .map(|(at, (_, value))| Filter::Column(Column::Field(at), Test::Eq(value.clone())))
                .collect(),
        );
        let table = &self.state.types[type_id].table;
        let mut alike: Vec<&Arc<Held>> = table.matching(&filter).collect();
        alike.sort_by(|a, b| a.row.id.cmp(&b.row.id));
        let mut rows = Vec::new();
        for held in alike {
            let row = self.shared.bodies.join(held)?;
            if *row.values == *values {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}
