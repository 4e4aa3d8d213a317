//! `osis digest`

use osis_core::store::Principal;
use serde_json::json;

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
        print(json!(digests));
    } else {
        for (name, of) in digests.types {
            print(format_args!("{} {:>9} {name}", of.digest, of.count));
        }
        for (name, of) in digests.rollups {
            print(format_args!(
                "{} {:>9} {name}, rolled up",
                of.digest, of.count
            ));
        }
    }
    Ok(store.close().await?)
}
