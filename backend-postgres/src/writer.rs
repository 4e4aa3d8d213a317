//! The writer: one thread a process, which takes what is waiting and commits it together.
//!
//! How callers wait for it, and give up, is [`osis_core::queue`]'s affair.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, Result};
use osis_core::queue::{self, Job};
use osis_host::worker::Worker;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::catalog::Catalog;
use crate::committer::{Committer, Hands};
use crate::config::PostgresConfig;
use crate::connection::Connector;
use crate::copying::Step;
use crate::setup::{self, Wanted};

/// The most batches of one group; a single message may hold more.
const GROUP_MAX: usize = 256;
/// How often the writer looks for upkeep while nothing comes.
const IDLE: Duration = Duration::from_secs(60);

/// What the writer is asked to do.
enum Message {
    /// Carry batches out.
    Apply(Job),
    /// Take a step of a copy.
    Copy(Step, oneshot::Sender<Result<u64>>),
    /// Finish.
    Close,
}

/// The writer's thread, as the rest of the engine sees it.
#[derive(Debug)]
pub(crate) struct Writer {
    inbox: UnboundedSender<Message>,
    worker: Worker,
}

impl Writer {
    /// Starts the thread, which opens the store; blocks until it has. Nothing where there is no store
    /// and none is to be made.
    ///
    /// # Errors
    /// Those of opening; if the system gives no thread.
    pub(crate) fn start(
        config: PostgresConfig,
        connector: Connector,
        wanted: Wanted,
    ) -> Result<Option<(Self, Arc<Catalog>)>> {
        let (inbox, messages) = unbounded_channel();
        let (tell, told) = mpsc::channel();
        let closing = inbox.clone();
        let stop = move || {
            // If it is gone already, there is nothing to finish.
            let _ = closing.send(Message::Close);
        };
        let work = move || {
            let opened = Hands::new(connector).and_then(|mut hands| {
                let catalog = setup::open(&mut hands, config, wanted)?;
                Ok(catalog.map(|catalog| (hands, Arc::new(catalog))))
            });
            match opened {
                Ok(Some((hands, catalog))) => {
                    // Who opened waits for this.
                    let _ = tell.send(Ok(Some(Arc::clone(&catalog))));
                    let committer = Committer::new(catalog, hands);
                    Thread {
                        inbox: messages,
                        committer,
                        closing: false,
                    }
                    .run();
                }
                Ok(None) => _ = tell.send(Ok(None)),
                Err(error) => _ = tell.send(Err(error)),
            }
        };
        let no_thread = |error| Error::internal("the writer's thread cannot be started", error);
        let worker = Worker::start("osis-writer", stop, work).map_err(no_thread)?;
        let catalog = told.recv().map_err(|_| Error::closed())??;
        Ok(catalog.map(|catalog| (Self { inbox, worker }, catalog)))
    }

    /// Has batches carried out, and waits for it.
    pub(crate) async fn apply(&self, batches: Vec<Batch>) -> Vec<Result<Commit>> {
        queue::submit(batches, |job| self.inbox.send(Message::Apply(job)).is_ok()).await
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

/// What the thread owns.
struct Thread {
    inbox: UnboundedReceiver<Message>,
    committer: Committer,
    closing: bool,
}

impl Thread {
    fn run(mut self) {
        while let Some(jobs) = self.receive() {
            // A fault of the program must not end all writing: those who wait are told by their
            // channels going, and what was open is rolled back.
            let served = catch_unwind(AssertUnwindSafe(|| match jobs.is_empty() {
                true => self.committer.upkeep(),
                false => self.carry_out(jobs),
            }));
            if served.is_err() {
                tracing::error!("a write broke off");
            }
            if self.closing {
                break;
            }
        }
    }

    /// Takes what is waiting, and waits for something; no jobs if nothing came for a while, and
    /// nothing when nobody can send any more. The connection is looked after meanwhile.
    fn receive(&mut self) -> Option<Vec<Job>> {
        let mut jobs = Vec::new();
        let first = self.committer.wait(async {
            // Without a connection that is polled, one that is lost would not be noticed.
            timeout(IDLE, self.inbox.recv()).await
        });
        match first {
            Ok(None) => return None,
            Ok(Some(message)) => self.take(message, &mut jobs),
            Err(_) => return Some(jobs),
        }
        let batches = |jobs: &[Job]| jobs.iter().map(|job| job.batches().len()).sum::<usize>();
        while batches(&jobs) < GROUP_MAX && !self.closing {
            let Ok(message) = self.inbox.try_recv() else {
                break;
            };
            self.take(message, &mut jobs);
        }
        Some(jobs)
    }

    fn take(&mut self, message: Message, jobs: &mut Vec<Job>) {
        match message {
            Message::Apply(job) => jobs.push(job),
            Message::Copy(step, answer) => {
                let taken = self.committer.copy(&step);
                // Who is gone needs no answer.
                let _ = answer.send(taken.map_err(|failure| self.committer.explain(&failure)));
            }
            Message::Close => self.closing = true,
        }
    }

    /// Who gives up before the turn has come is not done.
    fn carry_out(&mut self, jobs: Vec<Job>) {
        let turn = match self.committer.take_turn() {
            Ok(turn) => turn,
            Err(failure) => {
                for job in jobs {
                    let error = |_: &Batch| Err(self.committer.explain(&failure));
                    let answers = job.batches().iter().map(error).collect();
                    job.answer(answers);
                }
                return;
            }
        };
        let jobs: Vec<Job> = jobs.into_iter().filter(Job::begin).collect();
        if jobs.is_empty() {
            self.committer.give_back(turn);
            return;
        }
        let batches: Vec<&Batch> = jobs.iter().flat_map(Job::batches).collect();
        let mut answers = self.committer.commit(turn, &batches).into_iter();
        for job in jobs {
            let own = answers.by_ref().take(job.batches().len()).collect();
            job.answer(own);
        }
    }
}
