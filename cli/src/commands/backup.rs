//! `osis backup`

use std::path::Path;

use indicatif::ProgressBar;
use osis_migrate::backup::{Manifest, Part, Watch, back_up};
use serde_json::{Map, json};

use super::{litestream, print};
use crate::args::{Backup, Common};
use crate::failure::Failure;
use crate::progress;
use crate::stores::{self, Purpose};

pub(super) async fn run(common: &Common, options: &Backup) -> Result<(), Failure> {
    if let Some(version) = options.litestream_config {
        return litestream::run(common, options.dest.as_deref(), version);
    }
    let Some(dest) = options.dest.as_deref() else {
        return Err(Failure::misused("name the directory to make"));
    };
    let store = stores::open(common, Purpose::Use)?;
    let mut bars = Bars::new();
    let manifest = back_up(&store, Path::new(dest), &mut bars).await?;
    bars.clear();
    tell(common, &manifest);
    Ok(store.close().await?)
}

/// Prints what a backup holds.
pub(super) fn tell(common: &Common, manifest: &Manifest) {
    if common.json {
        let types: Map<_, _> = manifest
            .types
            .iter()
            .map(|(name, of)| {
                let of = json!({"count": of.count, "digest": of.digest});
                (name.clone(), of)
            })
            .collect();
        print(json!({"seq": manifest.seq, "made_at": manifest.made_at, "types": types}));
        return;
    }
    for (name, of) in &manifest.types {
        print(format_args!("{} {:>9} {name}", of.digest, of.count));
    }
    print(format_args!("as of commit {}", manifest.seq));
}

/// A bar for each part of the work.
pub(super) struct Bars {
    bar: ProgressBar,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Bars {
    fn begin(&mut self, what: Part, things: Option<u64>) {
        self.clear();
        self.bar = match what {
            Part::Copying => progress::spinner("copying"),
            Part::Digesting => progress::bar("comparing", things),
            Part::Summing => progress::bar("summing up files", things),
            Part::Verifying => progress::bar("looking at the files", things),
        };
    }

    fn done(&mut self, things: u64) {
        self.bar.inc(things);
    }
}
