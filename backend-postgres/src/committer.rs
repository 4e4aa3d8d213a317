//! The one connection of a process that writes, and what is done when it is lost.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use deadpool_postgres::ClientWrapper;
use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, Result};
use osis_core::object::Id;
use osis_core::time::Time;
use tokio::runtime::Runtime;

use crate::catalog::Catalog;
use crate::connection::Connector;
use crate::copying::{self, Step};
use crate::error::{Failure, Outcome};
use crate::group::{self, Abort, Done, Turn};
use crate::partitions;
use crate::sql::Link;

/// How often a group is begun again after a conflict or a lost connection, before anything of it
/// was committed.
const TRIES: u32 = 8;
/// How long a group waits for a server that is not there.
const RECONNECT_WAIT: Duration = Duration::from_secs(10);
/// How long a turn is waited for: a process that seeds a whole archive takes long.
const TURN_WAIT: Duration = Duration::from_secs(600);
/// How long what became of a commit is looked for.
const CLEAR_UP_WAIT: Duration = Duration::from_secs(60);
/// The pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);
/// How often partitions are looked after.
const PARTITIONS_EVERY: Duration = Duration::from_secs(3600);

/// A connection with a runtime of its own, for a thread that may block: the rules of a write ask
/// and wait.
#[derive(Debug)]
pub(crate) struct Hands {
    runtime: Runtime,
    connector: Connector,
    client: Option<ClientWrapper>,
    begin_writing: String,
}

impl Hands {
    /// Without a connection yet.
    ///
    /// # Errors
    /// If the system gives no runtime.
    pub(crate) fn new(connector: Connector) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::internal("the writer has no runtime", error))?;
        Ok(Self {
            runtime,
            begin_writing: connector.begin_writing(),
            connector,
            client: None,
        })
    }

    /// Waits for something, which may use the connection.
    pub(crate) fn wait<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }

    /// The connection.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn link(&self) -> Outcome<Link<'_>> {
        let client = self.client.as_ref().filter(|client| !client.is_closed());
        let gone = || Failure::Unreachable(format!("no connection to {}", self.connector.place()));
        Ok(Link {
            client: client.ok_or_else(gone)?,
            pooler: self.connector.pooler(),
        })
    }

    /// How a transaction that writes begins.
    pub(crate) fn begin_writing(&self) -> &str {
        &self.begin_writing
    }

    /// Connects, unless there is a connection.
    ///
    /// # Errors
    /// Why there is none to be had.
    pub(crate) fn connect(&mut self) -> Outcome<()> {
        if self.link().is_ok() {
            return Ok(());
        }
        self.client = None;
        let connector = self.connector.clone();
        self.client = Some(self.runtime.block_on(connector.connect())?);
        Ok(())
    }

    /// Lets go of the connection; whatever transaction is open on it ends with it.
    pub(crate) fn drop_connection(&mut self) {
        self.client = None;
    }

    /// Ends the transaction that is open, or lets go of a connection that cannot do so.
    pub(crate) fn roll_back(&mut self) {
        let ended = match self.link() {
            Ok(link) => self.wait(group::roll_back(link)),
            Err(failure) => Err(failure),
        };
        if ended.is_err() {
            self.drop_connection();
        }
    }
}

/// Who writes, and the number of its group: what stands in the store once that is committed.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Another one for each opening.
    pub(crate) id: String,
    /// The number of the group, from 1.
    pub(crate) token: i64,
}

/// What writes.
#[derive(Debug)]
pub(crate) struct Committer {
    catalog: Arc<Catalog>,
    hands: Hands,
    writer: Writer,
    partitions_due: Instant,
}

impl Committer {
    /// Writes to a store that was set up.
    pub(crate) fn new(catalog: Arc<Catalog>, hands: Hands) -> Self {
        Self {
            catalog,
            hands,
            writer: Writer {
                id: Id::generate(Time::now()).to_string(),
                token: 0,
            },
            partitions_due: Instant::now() + PARTITIONS_EVERY,
        }
    }

    /// Waits for something on the writer's runtime.
    pub(crate) fn wait<F: Future>(&self, work: F) -> F::Output {
        self.hands.wait(work)
    }

    /// Waits for this process's turn.
    ///
    /// # Errors
    /// Why it cannot write.
    pub(crate) fn take_turn(&mut self) -> Outcome<Turn> {
        let until = Instant::now() + TURN_WAIT;
        let mut tries = 0;
        loop {
            self.connect(RECONNECT_WAIT)?;
            let failure = match Turn::take(&self.hands, &self.catalog) {
                Ok(turn) => return Ok(turn),
                Err(failure) => failure,
            };
            self.hands.roll_back();
            tries += 1;
            let may_go_well = failure.is_locked_out()
                || (tries < TRIES && (failure.is_conflict() || failure.is_lost()));
            if !may_go_well || Instant::now() >= until {
                return Err(failure);
            }
            tracing::info!(
                place = self.catalog.place,
                ?failure,
                "waiting for a turn to write"
            );
            if failure.is_lost() {
                self.hands.drop_connection();
                thread::sleep(pause(tries));
            }
        }
    }

    /// Gives a turn back of which no use is made.
    pub(crate) fn give_back(&mut self, _: Turn) {
        self.hands.roll_back();
    }

    /// What callers are told of a failure.
    pub(crate) fn explain(&self, failure: &Failure) -> Error {
        self.catalog.explain(failure)
    }

    /// Carries batches out, each for itself all or none, and makes them durable together.
    pub(crate) fn commit(&mut self, turn: Turn, batches: &[&Batch]) -> Vec<Result<Commit>> {
        let failure = match self.try_all(turn, batches) {
            Ok(done) => {
                self.catalog.peers.announce(done.seq);
                return done.answers;
            }
            Err(Abort::One(failure)) if batches.len() > 1 => {
                tracing::warn!(
                    place = self.catalog.place,
                    ?failure,
                    "a group of {} writes failed and is done again one by one",
                    batches.len()
                );
                let one_by_one = batches.chunks(1);
                return one_by_one.flat_map(|one| self.commit_one(one)).collect();
            }
            Err(Abort::One(failure) | Abort::All(failure)) => failure,
            Err(Abort::Unclear(_)) => Failure::Unclear,
        };
        let answers = batches.iter();
        answers.map(|_| Err(self.explain(&failure))).collect()
    }

    /// Takes a step of a copy, durably; answers the last seq behind it.
    ///
    /// # Errors
    /// Those of PostgreSQL. A step whose commit ended unclear may be done; taken again it comes to
    /// the same.
    pub(crate) fn copy(&mut self, step: &Step) -> Outcome<u64> {
        let _turn = self.take_turn()?;
        let taken = self.hands.link().and_then(|link| {
            self.hands.wait(async {
                let seq = copying::take(link, step).await?;
                link.client.batch_execute("COMMIT").await?;
                Ok(seq)
            })
        });
        match taken {
            Ok(seq) => {
                self.catalog.peers.announce(seq);
                Ok(seq)
            }
            Err(failure) => {
                self.hands.roll_back();
                Err(failure)
            }
        }
    }

    fn commit_one(&mut self, batch: &[&Batch]) -> Vec<Result<Commit>> {
        match self.take_turn() {
            Ok(turn) => self.commit(turn, batch),
            Err(failure) => vec![Err(self.explain(&failure))],
        }
    }

    /// Does what is to be done now and then, when nobody waits.
    pub(crate) fn upkeep(&mut self) {
        if Instant::now() < self.partitions_due {
            return;
        }
        self.partitions_due = Instant::now() + PARTITIONS_EVERY;
        let made = self
            .hands
            .connect()
            .and_then(|()| partitions::make(&self.hands, &self.catalog.schema));
        if let Err(failure) = made {
            tracing::warn!(
                place = self.catalog.place,
                ?failure,
                "partitions for the months to come could not be made"
            );
            self.hands.roll_back();
        }
    }

    fn try_all(&mut self, mut turn: Turn, batches: &[&Batch]) -> Result<Done, Abort> {
        let mut tries = 0;
        loop {
            tries += 1;
            self.writer.token += 1;
            let (hands, writer) = (&self.hands, &self.writer);
            let failure = match group::carry_out(hands, &self.catalog, writer, &turn, batches) {
                Ok(done) => return Ok(done),
                Err(Abort::Unclear(done)) => match self.clear_up() {
                    Some(true) => return Ok(done),
                    // Known not to be done: it may be begun again.
                    Some(false) => Failure::Unreachable("a commit was lost".to_owned()),
                    None => return Err(Abort::Unclear(done)),
                },
                Err(abort) => {
                    self.hands.roll_back();
                    match abort {
                        Abort::All(failure) => failure,
                        abort => return Err(abort),
                    }
                }
            };
            let may_go_well = failure.is_conflict() || failure.is_lost();
            if !may_go_well || tries == TRIES {
                return Err(Abort::All(failure));
            }
            tracing::debug!(?failure, "a group of writes is done again");
            if failure.is_lost() {
                self.hands.drop_connection();
            }
            thread::sleep(pause(tries));
            turn = self.take_turn().map_err(Abort::All)?;
        }
    }

    /// Sees to it that there is a connection.
    fn connect(&mut self, wait: Duration) -> Outcome<()> {
        let until = Instant::now() + wait;
        loop {
            match self.hands.connect() {
                Ok(()) => return Ok(()),
                Err(failure) if Instant::now() >= until => return Err(failure),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Finds out whether the last group is committed; nothing if that cannot be known in time.
    fn clear_up(&mut self) -> Option<bool> {
        let until = Instant::now() + CLEAR_UP_WAIT;
        while Instant::now() < until {
            self.hands.drop_connection();
            let known = self.connect(PAUSE).and_then(|()| {
                let link = self.hands.link()?;
                let begin = self.hands.begin_writing();
                self.hands
                    .wait(group::is_committed(link, begin, &self.writer))
            });
            match known {
                Ok(known) => {
                    tracing::info!(
                        place = self.catalog.place,
                        committed = known,
                        "what became of a commit is known"
                    );
                    return Some(known);
                }
                Err(failure) => tracing::debug!(?failure, "a commit is still unclear"),
            }
            thread::sleep(PAUSE);
        }
        None
    }
}

/// The pause before a group is begun again; another for each process, so that two that are in each
/// other's way do not meet again.
fn pause(tries: u32) -> Duration {
    let own = u64::from(std::process::id() % 7);
    Duration::from_millis(u64::from(tries) * 5 + own)
}
