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
use osis_core::resolve::{Effects, resolve};
use osis_core::rollup::Deltas;
use osis_core::time::Time;
use osis_sql::signed;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::effects;
use crate::error::{Failure, Outcome};
use crate::history;
use crate::names::META;
use crate::rollups;
use crate::transaction::WriteTransaction;
use crate::view::WriteView;

/// What a group came to.
pub(crate) struct Done {
    /// One answer a batch.
    pub(crate) answers: Vec<Result<Commit>>,
    /// The last seq before the group and after it, unless nothing of it was done.
    pub(crate) seqs: Option<(u64, u64)>,
    /// Whether the text index lacks something now.
    pub(crate) noted: bool,
}

/// Why nothing of a group was done.
#[derive(Debug)]
enum Abort {
    /// It could not begin, or could not be made durable: true of every batch in it.
    All(Failure),
    /// One batch could not be carried out.
    One(Failure),
}

/// Carries a group out; answers only what is durable.
pub(crate) fn carry_out(connection: &Connection, catalog: &Catalog, batches: &[&Batch]) -> Done {
    let failure = match try_all(connection, catalog, batches) {
        Ok(done) => return done,
        Err(Abort::One(failure)) if batches.len() > 1 => {
            tracing::warn!(
                file = catalog.file,
                ?failure,
                "a group of {} writes failed and is done again one by one",
                batches.len()
            );
            return one_by_one(connection, catalog, batches);
        }
        Err(Abort::One(failure) | Abort::All(failure)) => failure,
    };
    let answers = batches
        .iter()
        .map(|_| Err(catalog.explain(&failure)))
        .collect();
    Done {
        answers,
        seqs: None,
        noted: false,
    }
}

fn one_by_one(connection: &Connection, catalog: &Catalog, batches: &[&Batch]) -> Done {
    let mut all = Done {
        answers: Vec::new(),
        seqs: None,
        noted: false,
    };
    for batch in batches {
        let one = carry_out(connection, catalog, std::slice::from_ref(batch));
        all.answers.extend(one.answers);
        if let Some((before, after)) = one.seqs {
            all.seqs = Some((all.seqs.map_or(before, |(first, _)| first), after));
        }
        all.noted |= one.noted;
    }
    all
}

fn try_all(connection: &Connection, catalog: &Catalog, batches: &[&Batch]) -> Result<Done, Abort> {
    let transaction = WriteTransaction::begin(connection).map_err(Abort::All)?;
    let before = history::check_in_force(connection, catalog).map_err(Abort::All)?;
    let (mut seq, mut noted) = (before, false);
    let mut deltas = Deltas::new(&catalog.schema);
    let mut answers = Vec::with_capacity(batches.len());
    for batch in batches {
        let effects = match settle(connection, catalog, batch).map_err(Abort::One)? {
            Ok(effects) => effects,
            Err(refused) => {
                answers.push(Err(refused));
                continue;
            }
        };
        if !batch.dry_run && !effects.rows.is_empty() {
            seq += 1;
            let written = effects::write(connection, catalog, &effects.rows, seq);
            noted |= written.map_err(Abort::One)?;
            deltas.note(&effects.rows);
        }
        answers.push(Ok(Commit {
            seq,
            outcomes: effects.outcomes,
        }));
    }
    rollups::keep(connection, catalog, deltas).map_err(Abort::One)?;
    if seq > before {
        set_seq(connection, seq).map_err(Abort::All)?;
    }
    transaction.commit().map_err(|failure| {
        // A constraint that is looked at last (a reference to nothing) is the fault of one batch,
        // and the commit has certainly not happened.
        if failure.is_constraint() {
            Abort::One(failure)
        } else {
            Abort::All(failure)
        }
    })?;
    Ok(Done {
        answers,
        seqs: Some((before, seq)),
        noted,
    })
}

/// The rules' word on one batch, or the engine's failure beneath them.
fn settle(connection: &Connection, catalog: &Catalog, batch: &Batch) -> Outcome<Result<Effects>> {
    if batch
        .deadline
        .is_some_and(|deadline| Instant::now() >= deadline)
    {
        return Ok(Err(Error::too_late()));
    }
    let mut view = WriteView::new(connection, catalog);
    let resolved = catch_unwind(AssertUnwindSafe(|| {
        resolve(&catalog.schema, batch, &mut view, Time::now())
    }));
    match (resolved, view.into_failure()) {
        (_, Some(failure)) => Err(failure),
        (Ok(answer), None) => Ok(answer),
        (Err(_), None) => Err(Failure::Fault("the rules of a write broke off".to_owned())),
    }
}

fn set_seq(connection: &Connection, seq: u64) -> Outcome<()> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("UPDATE {META} SET seq = ?"));
    connection.prepare_cached(&SQL)?.execute([signed(seq)])?;
    Ok(())
}
