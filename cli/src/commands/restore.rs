//! `osis restore`

use osis_core::store::Principal;
use osis_migrate::backup::{Backup, filled};

use super::backup::{Bars, tell};
use crate::args::{Common, Restore};
use crate::failure::Failure;
use crate::progress;
use crate::stores::{self, Purpose};

pub(super) async fn run(common: &Common, options: &Restore) -> Result<(), Failure> {
    let kind = stores::kind(&common.store)?;
    let mut bars = Bars::new();
    let backup = Backup::open(&options.src, kind, &mut bars)?;
    bars.clear();
    if !options.force {
        refuse_filled(common).await?;
    }
    let bar = progress::spinner("copying");
    let laid = stores::lay(common, &backup, options.force).await?;
    bar.finish_and_clear();
    backup.restore(laid, &mut bars).await?;
    bars.clear();
    tell(common, backup.manifest());
    Ok(())
}

/// Refuses where a store is in the place that is not empty.
async fn refuse_filled(common: &Common) -> Result<(), Failure> {
    let force = "restore with --force to replace it, or name another place with --store";
    let store = stores::open(common, Purpose::Try).map_err(|failure| match failure {
        Failure::Failed(message) => Failure::new(format!(
            "{message}\nThe store that is there cannot be looked at; {force}."
        )),
        other => other,
    })?;
    let half = store.copying(&Principal::Operator).await?;
    let filled = filled(&store).await?;
    store.close().await?;
    let place = stores::shown(&common.store);
    match (half, filled.as_slice()) {
        (Some(of), _) => Err(Failure::new(format!(
            "error: {place} is an unfinished copy of {of}; {force}"
        ))),
        (None, []) => Ok(()),
        (None, types) => Err(Failure::new(format!(
            "error: {place} is not empty, it holds objects of {}; {force}",
            types.join(", ")
        ))),
    }
}
