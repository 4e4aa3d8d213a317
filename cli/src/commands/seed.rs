//! `osis seed`, and what `osis serve --seed` does at start.

use std::path::PathBuf;

use osis_core::batch::{Batch, Op, Outcome, SeedMode, SeedReport};
use osis_core::store::Principal;
use osis_core::{Error, ErrorKind, Store};

use super::print;
use crate::args::{Common, Mode, Seed};
use crate::failure::Failure;
use crate::progress;
use crate::stores::{self, Purpose};

pub(super) async fn run(common: &Common, options: &Seed) -> Result<(), Failure> {
    let purpose = match options.dry_run {
        true => Purpose::Try,
        false => Purpose::Fill,
    };
    let store = stores::open(common, purpose)?;
    let mode = match options.mode {
        Mode::Insert => SeedMode::Insert,
        Mode::Update => SeedMode::Update,
    };
    let report = seed(&store, &options.files, mode, options.dry_run).await?;
    if common.json {
        print(serde_json::to_string(&report).unwrap_or_default());
    } else {
        let SeedReport {
            created,
            updated,
            unchanged,
        } = report;
        let would = if options.dry_run {
            " (dry run: nothing was kept)"
        } else {
            ""
        };
        print(format_args!(
            "{created} created, {updated} updated, {unchanged} unchanged{would}"
        ));
    }
    Ok(store.close().await?)
}

/// Puts the objects of seed files in place, in one transaction.
pub(super) async fn seed(
    store: &Store,
    files: &[PathBuf],
    mode: SeedMode,
    dry_run: bool,
) -> Result<SeedReport, Failure> {
    let bar = progress::counter("seeding");
    let objects = osis_migrate::seedfile::read_all(store.schema(), files, mode)?;
    bar.set_position(objects.len() as u64);
    let batch = Batch {
        dry_run,
        ..Batch::of(vec![Op::Seed { objects, mode }])
    };
    let commit = store.write_one(&Principal::Operator, batch).await?;
    bar.finish_and_clear();
    match commit.outcomes.as_slice() {
        [Outcome::Seeded(report)] => Ok(*report),
        _ => Err(Error::new(
            ErrorKind::Internal,
            "a seed was answered with something else",
        )
        .into()),
    }
}
