//! `osis import`

use std::fs::File;
use std::io::{BufRead, BufReader};

use osis_core::store::Principal;
use osis_migrate::import::{Imported, import};
use serde_json::json;

use super::print;
use crate::args::{Common, Import};
use crate::failure::Failure;
use crate::progress;
use crate::stores::{self, Purpose};

pub(super) async fn run(common: &Common, options: &Import) -> Result<(), Failure> {
    let mut lines: Box<dyn BufRead + Send> = match &options.file {
        None => Box::new(BufReader::new(std::io::stdin())),
        Some(path) => Box::new(BufReader::new(File::open(path).map_err(|error| {
            Failure::new(format!("error: cannot read {}: {error}", path.display()))
        })?)),
    };
    let store = stores::open(common, Purpose::Fill)?;
    let bar = progress::counter("imported");
    let done = import(&store, &Principal::Operator, &mut lines, &mut |n| {
        bar.inc(n);
    })
    .await?;
    bar.finish_and_clear();
    let Imported { imported, skipped } = done;
    if common.json {
        print(json!({"imported": imported, "skipped": skipped}));
    } else {
        print(format_args!("{imported} imported, {skipped} skipped"));
    }
    Ok(store.close().await?)
}
