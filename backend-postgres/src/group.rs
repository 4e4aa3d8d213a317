//! One group of batches: resolved, written and made durable by one commit.
//!
//! Each batch is resolved before anything of it is written, so one that the rules refuse harms no
//! other. Only where the engine itself refuses something is the group undone and done again, one
//! batch at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::Instant;

use osis_core::batch::{Batch, Commit};
use osis_core::error::{Error, Result};
use osis_core::resolve::{self, Effects, View as _};
use osis_core::rollup::Deltas;
use osis_core::time::Time;
use osis_sql::signed;

use crate::catalog::Catalog;
use crate::changes::{at, now};
use crate::committer::{Hands, Writer};
use crate::effects::{self, Pending};
use crate::error::{Failure, Outcome};
use crate::history;
use crate::names::{META, WRITERS};
use crate::rollups;
use crate::sql::{self, Link};
use crate::view::{Known, WriteView};

/// What a group came to.
#[derive(Debug)]
pub(crate) struct Done {
    /// One answer a batch.
    pub(crate) answers: Vec<Result<Commit>>,
    /// The last seq after the group.
    pub(crate) seq: u64,
}

/// Why a group was not done.
#[derive(Debug)]
pub(crate) enum Abort {
    /// It could not begin, or the transaction failed: true of every batch in it, and nothing of it
    /// is done.
    All(Failure),
    /// One batch could not be carried out, and nothing of the group is done.
    One(Failure),
    /// The connection was lost while the commit was under way: it is done, as told here, or not.
    Unclear(Done),
}

/// This process's turn to write: a transaction is open, and no other process writes until it ends.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The seq of the last commit.
    before: u64,
}

impl Turn {
    /// Waits for it.
    ///
    /// # Errors
    /// Those of PostgreSQL, among them that it took longer than a lock may be waited for.
    pub(crate) fn take(hands: &Hands, catalog: &Catalog) -> Outcome<Self> {
        let link = hands.link()?;
        let before = hands.wait(async {
            link.client.batch_execute(hands.begin_writing()).await?;
            history::lock_in_force(link, catalog).await
        })?;
        Ok(Self { before })
    }
}

/// Carries a group out in a turn; what is told is durable.
pub(crate) fn carry_out(
    hands: &Hands,
    catalog: &Catalog,
    writer: &Writer,
    turn: &Turn,
    batches: &[&Batch],
) -> Result<Done, Abort> {
    let link = hands.link().map_err(Abort::All)?;
    let before = turn.before;
    let mut seq = before;
    let (mut known, mut pending) = (Known::default(), Pending::default());
    prefetch(hands, catalog, &mut known, &mut pending, batches).map_err(one_or_all)?;
    let mut answers = Vec::with_capacity(batches.len());
    let mut deltas = Deltas::new(&catalog.schema);
    for batch in batches {
        let settled = settle(hands, catalog, &mut known, &mut pending, batch);
        let effects = match settled.map_err(one_or_all)? {
            Ok(effects) => effects,
            Err(refused) => {
                answers.push(Err(refused));
                continue;
            }
        };
        if !batch.dry_run && !effects.rows.is_empty() {
            seq += 1;
            known.take_in(catalog, &effects.rows);
            deltas.note(&effects.rows);
            pending.add(catalog, effects.rows, seq);
        }
        answers.push(Ok(Commit {
            seq,
            outcomes: effects.outcomes,
        }));
    }
    let done = Done { answers, seq };
    if seq == before {
        // Nothing to keep: whatever becomes of the transaction, the answers are right.
        hands.wait(roll_back(link)).map_err(Abort::All)?;
        return Ok(done);
    }
    let written = hands.wait(effects::write(link, catalog, pending));
    written.map_err(one_or_all)?;
    rollups::keep(hands, catalog, deltas).map_err(one_or_all)?;
    let noted = hands.wait(note(link, catalog, writer, seq));
    noted.map_err(one_or_all)?;
    match hands.wait(link.client.batch_execute("COMMIT")) {
        Ok(()) => Ok(done),
        Err(error) => {
            let failure = Failure::from(error);
            // A constraint that is looked at last (a reference to nothing) is the fault of one
            // batch, and the commit has certainly not happened.
            if failure.is_constraint() {
                Err(Abort::One(failure))
            } else if failure.is_conflict() {
                Err(Abort::All(failure))
            } else {
                tracing::warn!(place = catalog.place, ?failure, "a commit ended unclear");
                Err(Abort::Unclear(done))
            }
        }
    }
}

/// A lost connection, and a conflict with another transaction, are nobody's fault.
fn one_or_all(failure: Failure) -> Abort {
    if failure.is_lost() || failure.is_conflict() {
        Abort::All(failure)
    } else {
        Abort::One(failure)
    }
}

/// Ends the transaction, whatever state it is in.
pub(crate) async fn roll_back(link: Link<'_>) -> Outcome<()> {
    Ok(link.client.batch_execute("ROLLBACK").await?)
}

/// Asks at once for what all batches are sure to look at.
fn prefetch(
    hands: &Hands,
    catalog: &Catalog,
    known: &mut Known,
    pending: &mut Pending,
    batches: &[&Batch],
) -> Outcome<()> {
    let batches = batches.iter();
    let lookups: Vec<_> = batches
        .flat_map(|batch| resolve::lookups(&catalog.schema, batch))
        .collect();
    let mut view = WriteView::new(hands, catalog, known, pending);
    let fetched = view.prefetch(&lookups);
    match (fetched, view.into_failure()) {
        (_, Some(failure)) => Err(failure),
        (Ok(()), None) => Ok(()),
        (Err(error), None) => Err(Failure::Fault(error.to_string())),
    }
}

/// The rules' word on one batch, or the engine's failure beneath them.
fn settle(
    hands: &Hands,
    catalog: &Catalog,
    known: &mut Known,
    pending: &mut Pending,
    batch: &Batch,
) -> Outcome<Result<Effects>> {
    if batch
        .deadline
        .is_some_and(|deadline| Instant::now() >= deadline)
    {
        return Ok(Err(Error::too_late()));
    }
    let mut view = WriteView::new(hands, catalog, known, pending);
    let resolved = catch_unwind(AssertUnwindSafe(|| {
        resolve::resolve(&catalog.schema, batch, &mut view, Time::now())
    }));
    match (resolved, view.into_failure()) {
        (_, Some(failure)) => Err(failure),
        (Ok(answer), None) => Ok(answer),
        (Err(_), None) => Err(Failure::Fault("the rules of a write broke off".to_owned())),
    }
}

/// Notes what is committed: the seq, that it was this process's group of that number, and a word to
/// those who listen.
async fn note(link: Link<'_>, catalog: &Catalog, writer: &Writer, seq: u64) -> Outcome<()> {
    static SEQ: LazyLock<String> = LazyLock::new(|| format!("UPDATE {META} SET seq = $1"));
    static TOKEN: LazyLock<String> = LazyLock::new(|| {
        format!(
            "INSERT INTO {WRITERS} (writer, token, at) VALUES ($1, $2, $3) \
             ON CONFLICT (writer) DO UPDATE SET token = excluded.token, at = excluded.at"
        )
    });
    let (now, channel, told) = (now(), catalog.channel(), seq.to_string());
    let token = vec![sql::text(&writer.id), sql::int(writer.token), at(&now)];
    let tell = vec![sql::text(&channel), sql::text(&told)];
    tokio::try_join!(
        link.all_of(&SEQ, vec![sql::int(signed(seq))]),
        link.all_of(&TOKEN, token),
        link.all_of("SELECT pg_notify($1, $2)", tell),
    )?;
    Ok(())
}

/// Whether a group of this process is committed. Waits for the transaction that may still be open:
/// it has the row that is locked here.
pub(crate) async fn is_committed(link: Link<'_>, begin: &str, writer: &Writer) -> Outcome<bool> {
    let (lock, select) = (
        format!("SELECT seq FROM {META} FOR UPDATE"),
        format!("SELECT token FROM {WRITERS} WHERE writer = $1"),
    );
    link.client.batch_execute(begin).await?;
    link.all_of(&lock, Vec::new()).await?;
    let rows = link.all_of(&select, vec![sql::text(&writer.id)]).await?;
    let token: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?;
    roll_back(link).await?;
    Ok(token == Some(writer.token))
}
