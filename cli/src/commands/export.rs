//! `osis export`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use osis_core::Store;
use osis_core::store::Principal;
use osis_migrate::export::{Selection, export};
use osis_migrate::parquet;

use super::print;
use crate::args::{Common, Export};
use crate::failure::Failure;
use crate::progress;
use crate::stores::{self, Purpose};

pub(super) async fn run(common: &Common, options: &Export) -> Result<(), Failure> {
    let store = stores::open(common, Purpose::Use)?;
    let selection = selection(&store, options)?;
    match &options.parquet {
        Some(directory) => to_parquet(common, &store, &selection, directory).await?,
        None => to_lines(&store, &selection, options).await?,
    }
    Ok(store.close().await?)
}

async fn to_parquet(
    common: &Common,
    store: &Store,
    selection: &Selection,
    directory: &Path,
) -> Result<(), Failure> {
    let bar = progress::counter("exported");
    let written = parquet::export(store, selection, directory, &mut |n| bar.inc(n)).await?;
    bar.finish_and_clear();
    match common.json {
        true => print(serde_json::to_string(&written).unwrap_or_default()),
        false => print(format_args!(
            "{} objects in {} files",
            written.rows, written.files
        )),
    }
    Ok(())
}

async fn to_lines(store: &Store, selection: &Selection, options: &Export) -> Result<(), Failure> {
    let mut out: Box<dyn Write + Send> = match &options.file {
        None => Box::new(BufWriter::new(std::io::stdout())),
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(|error| {
            Failure::new(format!("error: cannot write {}: {error}", path.display()))
        })?)),
    };
    let bar = progress::counter("exported");
    export(store, &Principal::Operator, selection, &mut out, &mut |n| {
        bar.inc(n);
    })
    .await?;
    bar.finish_and_clear();
    Ok(())
}

fn selection(store: &Store, options: &Export) -> Result<Selection, Failure> {
    let mut types = Vec::new();
    for name in &options.types {
        let found = store.schema().find(name);
        let ty = found.ok_or_else(|| {
            let known: Vec<&str> = store
                .schema()
                .types
                .iter()
                .map(|ty| ty.name.as_str())
                .collect();
            Failure::misused(format!(
                "the schema has no type {name:?}; it has {}",
                known.join(", ")
            ))
        })?;
        types.push(ty.id);
    }
    Ok(Selection {
        types,
        without_secrets: options.no_secrets,
    })
}
