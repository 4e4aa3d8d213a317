//! The keeper's thread: what it knows, and in which order it does things.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use osis_core::object::Id;
use osis_core::schema::{Schema, TypeId};

use super::day::{DaySuspect, LeftDays};
use super::edits;
use super::events::Events;
use super::failure;
use super::held::Held;
use super::inspect::Suspect;
use super::kept::Kept;
use super::marks::{Dirty, Key};
use super::recent::Recent;
use super::sync::Unsynced;
use super::turn::Turn;
use super::unreadable::Unreadable;
use super::unwritten::Unwritten;
use super::{Submit, Tree};
use crate::record::Version;
use crate::shared::Shared;
use crate::state::{Applied, State};

/// How long an object waits for further changes before it is folded.
pub(super) const COALESCE: Duration = Duration::from_millis(30);
/// How long an object that another process changed is left to that process.
pub(super) const FOREIGN: Duration = Duration::from_secs(2);
/// How many objects are folded before messages are looked at.
const BATCH: usize = 256;
/// How often people's edits and orders are looked for, at least.
const TICK: Duration = Duration::from_millis(40);
/// The longest rest between two batches while commits keep coming.
const REST_MAX: Duration = Duration::from_millis(60);
/// How long closing goes on trying.
const CLOSE_MAX: Duration = Duration::from_secs(60);
/// What operators are told of a turn that does not come.
const STUCK: &str = "another process of this host has had the turn to write objects' files for more \
    than ten seconds: if it is stopped, let it go on, or end it; until then commits stay in the log";
/// How long what comes of files that a walk found may take, beyond that they are looked at: one that
/// lay in the wrong folder is looked at again where it belongs.
const FOLLOWS: Duration = Duration::from_secs(1);
const FOLLOWS_NETWORK: Duration = Duration::from_secs(3);

/// What the keeper is asked to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Answer when all is folded and all edits are taken in.
    Settle(Sender<()>),
    /// Look at all files, and answer when the edits in them are taken in or refused.
    TakeIn(Sender<()>),
    /// Fold all, save, and end.
    Close,
    /// Look at this path.
    Look(PathBuf),
    /// Look at this file when it is written: then [`Self::Look`] follows.
    Await(PathBuf),
    /// Look at all files.
    Walk,
}

/// The keeper's thread.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) schema: Arc<Schema>,
    pub(super) submit: SubmitBox,
    pub(super) tree: Tree,
    /// The state up to which [`Self::applied`] was taken in.
    pub(super) state: Arc<State>,
    pub(super) applied: Receiver<Arc<Applied>>,
    orders: Receiver<Order>,
    pub(super) dirty: Dirty,
    pub(super) unsynced: Unsynced,
    pub(super) recent: Recent,
    /// Versions that came from a person's edit, until something else changes the object.
    pub(super) edits: HashMap<Key, Version>,
    /// Files of which it is not yet known what they are.
    pub(super) suspects: HashMap<PathBuf, Suspect>,
    /// Files of days of which it is not yet known what is in them.
    pub(super) day_suspects: HashMap<PathBuf, DaySuspect>,
    /// What is to be written of log types, by type; of others nothing.
    pub(super) events: Vec<Events>,
    /// Who tells of changed files.
    pub(super) watcher: Option<super::watch::Watcher>,
    /// New files that somebody may still be writing.
    pub(super) unwritten: HashMap<PathBuf, Unwritten>,
    /// Files that cannot be taken in as they are.
    pub(super) held: HashMap<PathBuf, Held>,
    /// Whether some of those are to be tried again at once.
    pub(super) has_retries: bool,
    /// Files that were left beside objects' files, by when and as what they were first seen.
    pub(super) orphans: HashMap<PathBuf, (Key, Instant)>,
    /// Files of days that were left while they were swapped.
    pub(super) left_days: LeftDays,
    /// Versions that are kept while people's files are not right.
    pub(super) kept: Kept,
    /// Files that this process has no right to read.
    pub(super) unreadable: Unreadable,
    /// Copies of edits that a person has to look at.
    pub(super) conflicts: HashSet<PathBuf>,
    /// Types in an order in which what is referred to comes first.
    pub(super) rank: Vec<usize>,
    pub(super) turn: Turn,
    /// Makes names of temporary files unique.
    pub(super) temporaries: u64,
    /// The file of the last failure to write.
    pub(super) failing: Option<PathBuf>,
    /// The last commit that this process made.
    pub(super) own_seq: u64,
    /// The seq up to which all was seen in files, on disk, when this process began.
    pub(super) filed: u64,
    /// What is taken in was taken into the state before this process kept files.
    pub(super) is_starting: bool,
    pub(super) settling: Vec<Sender<()>>,
    /// Who waits for the edits that a walk has found, which was at this time.
    taking_in: Vec<(Sender<()>, Instant)>,
    rest_until: Instant,
    pub(super) failures: u32,
    pub(super) changed_at: Instant,
    pub(super) clock: super::sync::Clock,
}

/// The way into the store, made printable.
pub(super) struct SubmitBox(pub(super) Submit);

impl std::fmt::Debug for SubmitBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Submit")
    }
}

/// What a round of folding came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// All that was due is done.
    Done,
    /// There is more.
    More,
    /// It did not work out for now.
    Failed,
}

impl<'a> Worker<'a> {
    /// Knows the tree, and the seq up to which that is saved, if it is; marks all objects whose
    /// files are not what the state has.
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        (tree, saved): (Tree, Option<u64>),
        applied: Receiver<Arc<Applied>>,
        orders: Receiver<Order>,
        submit: Submit,
    ) -> Self {
        let now = Instant::now();
        let state = shared.state();
        let schema = Arc::clone(&shared.schema);
        let events = schema.types.iter().map(|_| Events::default()).collect();
        let mut worker = Self {
            rank: edits::ranks(&schema),
            turn: Turn::of(shared),
            clock: super::sync::Clock::new(now, saved),
            shared,
            submit: SubmitBox(submit),
            tree,
            schema,
            state,
            applied,
            orders,
            dirty: Dirty::default(),
            unsynced: Unsynced::default(),
            recent: Recent::default(),
            edits: HashMap::new(),
            suspects: HashMap::new(),
            day_suspects: HashMap::new(),
            events,
            watcher: None,
            unwritten: HashMap::new(),
            held: HashMap::new(),
            has_retries: false,
            orphans: HashMap::new(),
            left_days: LeftDays::new(),
            kept: Kept::default(),
            unreadable: Unreadable::new(),
            conflicts: HashSet::new(),
            temporaries: 0,
            failing: None,
            own_seq: 0,
            filed: shared.log.filed(),
            is_starting: false,
            settling: Vec::new(),
            taking_in: Vec::new(),
            rest_until: now,
            failures: 0,
            changed_at: now,
        };
        // What was taken in since the tree was true shows in the state as a whole; its steps only
        // tell which versions there were.
        worker.is_starting = true;
        worker.drain();
        worker.is_starting = false;
        worker.mark_differences(now);
        worker.mark_events(now);
        worker
    }

    /// Works until it is told to close.
    pub(super) fn run(mut self) {
        self.find_leftovers();
        self.find_left_days();
        self.find_kept();
        self.suspect_told_days();
        let mut is_first = true;
        loop {
            // What is ordered from the start need not wait.
            let came = if is_first { 0 } else { self.wait() };
            is_first = false;
            if self.obey() {
                self.close();
                return;
            }
            if !self.settling.is_empty() {
                self.hurry();
            }
            let began = Instant::now();
            if self.rest_until <= began {
                let round = self.fold_due();
                let took = began.elapsed();
                self.rest_until = match round {
                    // Clients come first on few processors: while they write, half is left to them.
                    Round::More if came > 0 => Instant::now() + took.min(REST_MAX),
                    Round::More | Round::Done => began,
                    Round::Failed => Instant::now() + self.backoff(),
                };
            }
            self.try_unreadable(Instant::now());
            self.inspect_due();
            self.inspect_days();
            self.look_after(Instant::now());
            if !self.settling.is_empty() && self.is_settled() {
                for sender in std::mem::take(&mut self.settling) {
                    // Who no longer waits needs no answer.
                    let _ = sender.send(());
                }
            }
            self.answer_taken_in();
        }
    }

    /// Does what was asked for; says whether that is to close.
    fn obey(&mut self) -> bool {
        let mut paths = Vec::new();
        let mut walks = false;
        let mut closes = false;
        let mut taking_in = Vec::new();
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Settle(sender) => {
                    self.settling.push(sender);
                    walks = true;
                }
                Order::TakeIn(sender) => {
                    taking_in.push(sender);
                    walks = true;
                }
                Order::Close => closes = true,
                Order::Look(path) => {
                    self.is_written(&path);
                    paths.push(path);
                }
                Order::Await(path) => {
                    self.is_begun(&path);
                    paths.push(path);
                }
                Order::Walk => walks = true,
            }
        }
        if walks && !closes {
            self.walk();
        } else if !paths.is_empty() && !closes {
            self.look(&paths);
        }
        let walked = Instant::now();
        let taking_in = taking_in.into_iter().map(|sender| (sender, walked));
        self.taking_in.extend(taking_in);
        closes
    }

    /// Answers those who wait for edits that are taken in by now. What another process writes all the
    /// time may be found anew again and again: nobody waits for that.
    fn answer_taken_in(&mut self) {
        if self.taking_in.is_empty() || self.has_retries {
            return;
        }
        let objects = self.suspects.values().map(|suspect| suspect.since);
        let days = self.day_suspects.values().map(|suspect| suspect.since);
        let oldest = objects.chain(days).min();
        let follows = match self.shared.is_network {
            true => FOLLOWS_NETWORK,
            false => FOLLOWS,
        };
        self.taking_in.retain(|(sender, walked)| {
            let is_done = oldest.is_none_or(|oldest| oldest > *walked)
                && (oldest.is_none() || walked.elapsed() > follows);
            if is_done {
                // Who no longer waits needs no answer.
                let _ = sender.send(());
            }
            !is_done
        });
    }

    /// Makes all that waits due now.
    fn hurry(&mut self) {
        self.hurry_through(u64::MAX);
    }

    /// Makes due now what waits for commits up to one.
    fn hurry_through(&mut self, last: u64) {
        let now = Instant::now();
        self.dirty.hurry_through(last, now);
        for events in &mut self.events {
            if !events.is_written_through(last) {
                events.hurry(now);
            }
        }
    }

    /// When the next thing is to be folded.
    fn next_due(&self) -> Option<Instant> {
        let events = self.events.iter().filter_map(Events::next_due);
        events.chain(self.dirty.next_due()).min()
    }

    /// Waits for a commit, but not past what is due; says how many came.
    fn wait(&mut self) -> usize {
        let now = Instant::now();
        let due = self.next_due().map(|due| due.max(self.rest_until));
        let due = due.map_or(TICK, |due| due.saturating_duration_since(now));
        match self.applied.recv_timeout(due.min(TICK)) {
            Ok(applied) => {
                self.take(&applied);
                1 + self.drain()
            }
            Err(RecvTimeoutError::Timeout) => 0,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(due.min(TICK));
                0
            }
        }
    }

    /// Folds a batch of what is due.
    fn fold_due(&mut self) -> Round {
        let now = Instant::now();
        if self.next_due().is_none_or(|due| due > now) {
            return Round::Done;
        }
        if let Err(error) = self.shared.log.check_home() {
            let path = self.shared.layout.store_file();
            self.note_failure(&path, &std::io::Error::other(error));
            return Round::Failed;
        }
        let held = match self.turn.take() {
            Ok(Some(held)) => {
                self.shared.problems.clear(self.turn.path());
                held
            }
            // Another process folds, perhaps the same objects.
            Ok(None) => {
                if self.turn.is_stuck() {
                    self.shared.problems.note(self.turn.path(), None, STUCK);
                }
                self.rest_until = now + COALESCE;
                return Round::Done;
            }
            Err(error) => {
                let path = self.turn.path().to_owned();
                self.note_failure(&path, &error);
                return Round::Failed;
            }
        };
        // What others folded before they let go of the turn is known from here on.
        if let Err(error) = self.catch_up() {
            tracing::debug!(%error, "nothing is folded: the log cannot be read");
            return Round::Failed;
        }
        let mut round = self.fold_batch(now);
        if let Err((path, error)) = self.fold_events(now) {
            self.note_failure(&path, &error);
            round = Round::Failed;
        }
        drop(held);
        round
    }

    fn fold_batch(&mut self, now: Instant) -> Round {
        let mut in_a_row = 0;
        for _ in 0..BATCH {
            // Another host may fold a later version at any time, and nobody's turn keeps it from that.
            if self.shared.is_network
                && let Err(error) = self.catch_up()
            {
                tracing::debug!(%error, "nothing more is folded: the log cannot be read");
                return Round::Failed;
            }
            let Some((key, mark)) = self.dirty.pop(now) else {
                return Round::Done;
            };
            match self.fold(&key, mark) {
                Ok(()) => {
                    in_a_row = 0;
                    self.failures = 0;
                    self.clear_failure();
                }
                Err((path, error)) => {
                    in_a_row += 1;
                    self.note_failure(&path, &error);
                    let due = Instant::now() + FOREIGN;
                    self.dirty.mark(key, mark.seq, mark.force, due);
                    // One file may be at fault, or all: then trying each is no use.
                    if failure::is_global(&error) || in_a_row >= 8 {
                        return Round::Failed;
                    }
                }
            }
        }
        Round::More
    }

    /// Whether nothing is left to do, apart from what waits for a person.
    fn is_settled(&mut self) -> bool {
        self.drain() == 0
            && self.shared.state().seq == self.state.seq
            && !self.has_retries
            && self.suspects.is_empty()
            && self.day_suspects.is_empty()
            && self.is_folded()
            && self.settle_files()
    }

    /// Whether nothing waits to be written, apart from what waits for a person.
    pub(super) fn is_folded(&self) -> bool {
        self.is_folded_through(u64::MAX)
    }

    /// The same of commits up to one.
    fn is_folded_through(&self, last: u64) -> bool {
        let events = &mut self.events.iter();
        !self.dirty.queues_any_through(last) && events.all(|e| e.is_written_through(last))
    }

    /// Folds what is due, and has it on disk: once, whatever comes of it.
    #[cfg(test)]
    pub(super) fn fold_once(&mut self) {
        self.drain();
        for _ in 0..4 {
            self.hurry();
            self.fold_due();
        }
        self.settle_files();
    }

    /// Folds all that is left, as far as that works, and saves what is known.
    fn close(&mut self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.close();
        }
        self.drain();
        // What others commit from now on, or committed after this process did, is theirs to fold.
        let last = match self.shared.slot.has_others() {
            true => self.own_seq,
            false => self.state.seq,
        };
        let until = Instant::now() + CLOSE_MAX;
        let mut failed = 0;
        while failed < 3 && Instant::now() < until && !self.turn.is_stuck() {
            self.hurry_through(last);
            if self.is_folded_through(last) && self.settle_files() {
                break;
            }
            match self.fold_due() {
                Round::More => failed = 0,
                Round::Done => {
                    // What is left may wait for a look at a file that a person has edited.
                    self.inspect_due();
                    self.inspect_days();
                    std::thread::sleep(TICK);
                }
                Round::Failed => {
                    failed += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
        if !self.is_folded_through(last) {
            tracing::warn!(
                objects = self.dirty.queued(),
                store = %self.shared.root().display(),
                "not all objects' files are up to date; the log has the rest, which the next \
                 process writes"
            );
        }
        self.tidy(true);
        self.save();
        for sender in std::mem::take(&mut self.settling) {
            // Who no longer waits needs no answer.
            let _ = sender.send(());
        }
    }

    /// The path of an object's file.
    pub(super) fn path_of(&self, type_id: TypeId, id: &Id) -> PathBuf {
        self.shared.layout.object(&self.schema.types[type_id], id)
    }
}
