//! `osis digest`

use osis_core::store::Principal;
use serde_json::{Map, json};

use super::print;
use crate::args::Common;
use crate::failure::Failure;
use crate::progress;
use crate::stores::{self, Purpose};

pub(super) async fn run(common: &Common) -> Result<(), Failure> {
    let store = stores::open(common, Purpose::Use)?;
    let bar = progress::counter("digested");
    let digests =
        osis_migrate::digest::digest(&store, &Principal::Operator, &mut |n| bar.inc(n)).await?;
    bar.finish_and_clear();
    if common.json {
        let types: Map<_, _> = digests
            .into_iter()
            .map(|(name, of)| (name, json!({"count": of.count, "digest": of.digest})))
            .collect();
        print(json!({"types": types, "rollups": {}}));
    } else {
        for (name, of) in digests {
            print(format_args!("{} {:>9} {name}", of.digest, of.count));
        }
    }
    Ok(store.close().await?)
}
