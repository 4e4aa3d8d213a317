//! The writer: one thread a process, which takes what is waiting and commits it together.
//!
//! How callers wait for it, and give up, is [`osis_core::queue`]'s affair.
//!
//! When nothing waits, the writer takes noted rows into the text index and keeps it in good shape,
//! in steps so short that a write that comes meanwhile does not wait for long.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, Result};
use osis_core::queue::{self, Job};
use osis_core::schema::TypeId;
use osis_host::turn::{Ticket, Turn};
use osis_host::worker::Worker;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::committer::Committer;
use crate::copying::Step;
use crate::error::{Failure, Outcome};
use crate::text_index;

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
    /// Take a step of a copy.
    Copy(Step, oneshot::Sender<Result<u64>>),
    /// Finish.
    Close,
}

/// The writer's thread, as the rest of the engine sees it.
#[derive(Debug)]
pub(crate) struct Writer {
    inbox: Sender<Message>,
    worker: Worker,
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
            jobs: Vec::new(),
            completions: VecDeque::new(),
            copies: Vec::new(),
            closing: false,
        };
        let closing = inbox.clone();
        let stop = move || {
            // If it is gone already, there is nothing to finish.
            let _ = closing.send(Message::Close);
        };
        let worker = Worker::start("osis-writer", stop, move || own.run())
            .map_err(|error| Error::internal("the writer's thread cannot be started", error))?;
        Ok(Self { inbox, worker })
    }

    /// Has batches carried out, and waits for it.
    pub(crate) async fn apply(&self, batches: Vec<Batch>) -> Vec<Result<Commit>> {
        queue::submit(batches, |job| self.inbox.send(Message::Apply(job)).is_ok()).await
    }

    /// Has the text index of one type, or of all, completed, and waits for it.
    pub(crate) async fn index(
        &self,
        type_id: Option<TypeId>,
        deadline: Option<Instant>,
    ) -> Result<()> {
        let (answer, waiting) = oneshot::channel();
        if self.inbox.send(Message::Index(type_id, answer)).is_err() {
            return Err(Error::closed());
        }
        let answer = match deadline {
            Some(until) => timeout_at(until.into(), waiting)
                .await
                .map_err(|_| Error::too_late())?,
            None => waiting.await,
        };
        answer.unwrap_or_else(|_| Err(Error::closed()))
    }

    /// Has a step of a copy taken, and waits for it.
    pub(crate) async fn copy(&self, step: Step) -> Result<u64> {
        let (answer, waiting) = oneshot::channel();
        if self.inbox.send(Message::Copy(step, answer)).is_err() {
            return Err(Error::closed());
        }
        waiting.await.unwrap_or_else(|_| Err(Error::closed()))
    }

    /// Lets the thread finish what it was sent, and waits for it. Blocks.
    pub(crate) fn close(&self) {
        self.worker.close();
    }
}

/// A search that waits until the text index lacks nothing of what it lacked when it came.
struct Completion {
    /// The types that are left to do.
    types: Vec<TypeId>,
    /// How many steps the last of them may take: writes that come meanwhile add to it without end.
    steps_left: Option<usize>,
    answer: oneshot::Sender<Result<()>>,
}

/// What the thread owns.
struct Thread {
    inbox: Receiver<Message>,
    ticket: Ticket,
    committer: Committer,
    jobs: Vec<Job>,
    completions: VecDeque<Completion>,
    copies: Vec<(Step, oneshot::Sender<Result<u64>>)>,
    closing: bool,
}

impl Thread {
    fn run(mut self) {
        while self.receive() {
            // A fault of the program must not end all writing: those who wait are told by their
            // channels going, and what was open is rolled back.
            if catch_unwind(AssertUnwindSafe(|| self.serve())).is_err() {
                tracing::error!("a write broke off");
                self.completions.clear();
            }
            if self.closing && self.completions.is_empty() {
                break;
            }
        }
        self.committer.finish();
    }

    /// Takes what is waiting, and waits for something if there is nothing to do. False when nobody
    /// can send anything any more.
    fn receive(&mut self) -> bool {
        if self.completions.is_empty() {
            match self.next() {
                Some(message) => self.take(message),
                None => return false,
            }
        }
        while self.batches() < GROUP_MAX && !self.closing {
            let Ok(message) = self.inbox.try_recv() else {
                break;
            };
            self.take(message);
        }
        true
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Apply(job) => self.jobs.push(job),
            Message::Index(type_id, answer) => self.completions.push_back(Completion {
                types: match type_id {
                    Some(type_id) => vec![type_id],
                    None => text_index::indexed_types(self.committer.catalog()),
                },
                steps_left: None,
                answer,
            }),
            Message::Copy(step, answer) => self.copies.push((step, answer)),
            Message::Close => self.closing = true,
        }
    }

    fn batches(&self) -> usize {
        self.jobs.iter().map(|job| job.batches().len()).sum()
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

    /// Carries out the writes that wait, then takes one step for the first search that waits: so
    /// neither keeps the other waiting for long.
    fn serve(&mut self) {
        let jobs = std::mem::take(&mut self.jobs);
        if !jobs.is_empty() {
            self.carry_out(jobs);
        }
        for (step, answer) in std::mem::take(&mut self.copies) {
            let done = take(&self.ticket).and_then(|turn| self.committer.copy(&turn, &step));
            let told = done.map_err(|failure| self.committer.catalog().explain(&failure));
            // Whoever asked is gone: the note stands all the same.
            let _ = answer.send(told);
        }
        let Some(mut completion) = self.completions.pop_front() else {
            return;
        };
        match self.step(&mut completion) {
            Ok(()) if !completion.types.is_empty() => self.completions.push_front(completion),
            done => {
                let told = done.map_err(|failure| self.committer.catalog().explain(&failure));
                // A search that is gone needs no answer.
                let _ = completion.answer.send(told);
            }
        }
    }

    /// Takes a step towards a complete text index, in a turn of its own, so that other processes
    /// get in between.
    fn step(&mut self, completion: &mut Completion) -> Outcome<()> {
        let Some(&type_id) = completion.types.last() else {
            return Ok(());
        };
        if completion.answer.is_closed() {
            completion.types.clear();
            return Ok(());
        }
        let left = match completion.steps_left {
            Some(left) => left,
            None => self.committer.steps_left(type_id)?,
        };
        let turn = take(&self.ticket)?;
        let more = self.committer.take_in(&turn, type_id)?;
        if more && left > 1 {
            completion.steps_left = Some(left - 1);
        } else {
            completion.types.pop();
            completion.steps_left = None;
        }
        Ok(())
    }

    fn carry_out(&mut self, jobs: Vec<Job>) {
        let turn = match take(&self.ticket) {
            Ok(turn) => turn,
            Err(failure) => {
                for job in jobs {
                    let error = |_: &Batch| Err(self.committer.catalog().explain(&failure));
                    let answers = job.batches().iter().map(error).collect();
                    job.answer(answers);
                }
                return;
            }
        };
        let jobs: Vec<Job> = jobs.into_iter().filter(Job::begin).collect();
        if jobs.is_empty() {
            return;
        }
        let batches: Vec<&Batch> = jobs.iter().flat_map(Job::batches).collect();
        let mut answers = self.committer.commit(&turn, &batches).into_iter();
        for job in jobs {
            let own = answers.by_ref().take(job.batches().len()).collect();
            job.answer(own);
        }
        if let Err(failure) = self.committer.catch_up(&turn) {
            tracing::warn!(?failure, "the text index could not be filled");
        }
        drop(turn);
        self.committer.make_room();
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

fn take(ticket: &Ticket) -> Outcome<Turn<'_>> {
    ticket
        .take()
        .map_err(|error| Failure::Fault(format!("the writers' lock failed: {error}")))
}
