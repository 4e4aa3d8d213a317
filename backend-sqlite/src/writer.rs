//! The writer: one thread a process, which takes what is waiting and commits it together.
//!
//! Callers send a message and wait for the answer. One who goes away takes nothing back: what was
//! sent is done. One whose time is over before its turn came is told so at once, and then nothing
//! is done, for a batch is claimed either by the writer or by the caller who gives up.
//!
//! When nothing waits, the writer takes noted rows into the text index and keeps it in good shape,
//! in steps so short that a write that comes meanwhile does not wait for long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, Result};
use osis_core::schema::TypeId;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::committer::Committer;
use crate::error::{Failure, Outcome, closed, too_late};
use crate::text_index;
use crate::ticket::Ticket;

/// The most batches of one group; a single message may hold more.
const GROUP_MAX: usize = 256;
/// How long nothing must come before the text index is looked after: each step syncs the disk, and
/// a caller who writes again at once should not wait for that.
const IDLE: Duration = Duration::from_millis(20);

/// What the writer is asked to do.
enum Message {
    /// Carry batches out.
    Apply(Job),
    /// Complete the text index of one type, or of all.
    Index(Option<TypeId>, oneshot::Sender<Result<()>>),
    /// Finish.
    Close,
}

/// Batches of one call, with who waits for them.
struct Job {
    batches: Vec<Batch>,
    claim: Arc<AtomicBool>,
    answer: oneshot::Sender<Vec<Result<Commit>>>,
}

/// The writer's thread, as the rest of the engine sees it.
#[derive(Debug)]
pub(crate) struct Writer {
    inbox: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub(crate) fn start(committer: Committer, ticket: Ticket) -> Result<Self> {
        let (inbox, messages) = channel();
        let own = Thread {
            inbox: messages,
            ticket,
            committer,
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
        if batches.is_empty() {
            return Vec::new();
        }
        let count = batches.len();
        let all = |error: fn() -> Error| (0..count).map(|_| Err(error())).collect::<Vec<_>>();
        // Until then at least one of them may still be done.
        let deadlines = batches.iter().map(|batch| batch.deadline);
        let until = deadlines
            .collect::<Option<Vec<Instant>>>()
            .and_then(|all| all.into_iter().max());
        let claim = Arc::new(AtomicBool::new(false));
        let (answer, mut waiting) = oneshot::channel();
        let job = Job {
            batches,
            claim: Arc::clone(&claim),
            answer,
        };
        if self.inbox.send(Message::Apply(job)).is_err() {
            return all(closed);
        }
        if let Some(until) = until {
            match timeout_at(until.into(), &mut waiting).await {
                Ok(answers) => return answers.unwrap_or_else(|_| all(closed)),
                Err(_) if !claim.swap(true, Ordering::AcqRel) => return all(too_late),
                // The writer has begun: the answer will come.
                Err(_) => {}
            }
        }
        waiting.await.unwrap_or_else(|_| all(closed))
    }

    /// Has the text index of one type, or of all, completed, and waits for it.
    pub(crate) async fn index(
        &self,
        type_id: Option<TypeId>,
        deadline: Option<Instant>,
    ) -> Result<()> {
        let (answer, waiting) = oneshot::channel();
        if self.inbox.send(Message::Index(type_id, answer)).is_err() {
            return Err(closed());
        }
        let answer = match deadline {
            Some(until) => timeout_at(until.into(), waiting)
                .await
                .map_err(|_| too_late())?,
            None => waiting.await,
        };
        answer.unwrap_or_else(|_| Err(closed()))
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

/// What the writer has taken out of its inbox at one go.
#[derive(Default)]
struct Taken {
    jobs: Vec<Job>,
    searches: Vec<(Option<TypeId>, oneshot::Sender<Result<()>>)>,
    close: bool,
}

impl Taken {
    fn take(&mut self, message: Message) {
        match message {
            Message::Apply(job) => self.jobs.push(job),
            Message::Index(type_id, answer) => self.searches.push((type_id, answer)),
            Message::Close => self.close = true,
        }
    }

    fn batches(&self) -> usize {
        self.jobs.iter().map(|job| job.batches.len()).sum()
    }
}

/// What the thread owns.
struct Thread {
    inbox: Receiver<Message>,
    ticket: Ticket,
    committer: Committer,
}

impl Thread {
    fn run(mut self) {
        while let Some(first) = self.next() {
            let mut taken = Taken::default();
            taken.take(first);
            while taken.batches() < GROUP_MAX && !taken.close {
                let Ok(message) = self.inbox.try_recv() else {
                    break;
                };
                taken.take(message);
            }
            // A fault of the program must not end all writing: those who wait are told by their
            // channels going, and what was open is rolled back.
            let close = taken.close;
            if catch_unwind(AssertUnwindSafe(|| self.serve(taken))).is_err() {
                tracing::error!("a write broke off");
            }
            if close {
                break;
            }
        }
        self.committer.finish();
    }

    /// The next message; looks after the text index while there is none. Nothing when nobody can
    /// send one any more.
    fn next(&mut self) -> Option<Message> {
        let mut wait = IDLE;
        while self.committer.has_upkeep() {
            match self.inbox.recv_timeout(wait) {
                Ok(message) => return Some(message),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.upkeep(),
            }
            wait = Duration::ZERO;
        }
        self.inbox.recv().ok()
    }

    fn serve(&mut self, taken: Taken) {
        if !taken.jobs.is_empty() {
            self.carry_out(taken.jobs);
        }
        for (type_id, answer) in taken.searches {
            let told = self.complete(type_id);
            // A search that is gone needs no answer.
            let _ = answer.send(told.map_err(|failure| self.committer.catalog().explain(&failure)));
        }
    }

    fn carry_out(&mut self, jobs: Vec<Job>) {
        let turn = match take(&self.ticket) {
            Ok(turn) => turn,
            Err(failure) => {
                for job in jobs {
                    let error = |_: &Batch| Err(self.committer.catalog().explain(&failure));
                    let _ = job.answer.send(job.batches.iter().map(error).collect());
                }
                return;
            }
        };
        let jobs: Vec<Job> = jobs
            .into_iter()
            .filter(|job| !job.claim.swap(true, Ordering::AcqRel))
            .collect();
        if jobs.is_empty() {
            return;
        }
        let batches: Vec<&Batch> = jobs.iter().flat_map(|job| &job.batches).collect();
        let mut answers = self.committer.commit(&turn, &batches).into_iter();
        drop(turn);
        for job in jobs {
            let own = answers.by_ref().take(job.batches.len()).collect();
            // One who went away does not undo what was done.
            let _ = job.answer.send(own);
        }
        self.committer.make_room();
    }

    /// Completes the text index, in turns of their own, so that other processes get in between.
    fn complete(&mut self, type_id: Option<TypeId>) -> Outcome<()> {
        let types = match type_id {
            Some(type_id) => vec![type_id],
            None => text_index::indexed_types(self.committer.catalog()),
        };
        for type_id in types {
            let mut more = true;
            while more {
                let turn = take(&self.ticket)?;
                more = self.committer.take_in(&turn, type_id)?;
            }
        }
        Ok(())
    }

    fn upkeep(&mut self) {
        let step = catch_unwind(AssertUnwindSafe(|| {
            let turn = take(&self.ticket)?;
            self.committer.upkeep(&turn)
        }));
        self.committer.make_room();
        let failure = match step {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => format!("{failure:?}"),
            Err(_) => "it broke off".to_owned(),
        };
        // What is noted stays noted: a search or the next start takes it in.
        tracing::warn!(failure, "the text index could not be looked after");
        self.committer.abandon_upkeep();
    }
}

fn take(ticket: &Ticket) -> Outcome<crate::ticket::Turn<'_>> {
    ticket
        .take()
        .map_err(|error| Failure::Fault(format!("the writers' lock failed: {error}")))
}
