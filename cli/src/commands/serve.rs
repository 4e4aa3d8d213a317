//! `osis serve`

use std::time::Duration;

use osis_core::Store;
use osis_core::batch::{SeedMode, SeedReport};
use osis_core::store::Principal;
use osis_rpc::{Limits, Server, Service};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{print, seed};
use crate::args::{Common, Serve};
use crate::failure::Failure;
use crate::stores::{self, Purpose};

/// How long running calls may take to finish after SIGTERM.
const DRAIN: Duration = Duration::from_secs(30);

pub(super) async fn run(common: &Common, options: &Serve) -> Result<(), Failure> {
    refuse_keys()?;
    let store = stores::open(common, Purpose::Serve)?;
    refuse_half(&store).await?;
    if !options.seeds.is_empty() {
        let report = seed::seed(&store, &options.seeds, SeedMode::Insert, false).await?;
        let SeedReport {
            created,
            updated,
            unchanged,
        } = report;
        tracing::info!(created, updated, unchanged, "seeded");
    }
    let limits = Limits {
        max_request: options.max_request,
        max_batch: options.max_batch,
        max_connections: options.max_connections,
        timeout: options.timeout,
        drain: DRAIN,
        ..Limits::default()
    };
    let mut stop = Stop::new()?;
    let service = Service::new(store.clone(), limits);
    let server = Server::bind(service, &options.listen)
        .await
        .map_err(|error| Failure::new(format!("error: {error}")))?;
    print(format_args!("listening on http://{}", server.local_addr()));
    let finished = server.serve(stop.asked()).await;
    store.close().await?;
    match finished {
        true => Ok(()),
        false => Err(Failure::new(
            "error: some calls did not finish in time and were cut off",
        )),
    }
}

/// A key that is set but not asked for would leave open what the operator meant to close.
fn refuse_keys() -> Result<(), Failure> {
    match std::env::var_os("OSIS_ADMIN_KEY") {
        None => Ok(()),
        Some(_) => Err(Failure::new(
            "error: OSIS_ADMIN_KEY is set, but this version has no access keys yet: \
             it serves loopback only, without keys. Unset it to go on.",
        )),
    }
}

/// A store that is half of another one must not be taken for the whole.
async fn refuse_half(store: &Store) -> Result<(), Failure> {
    match store.copying(&Principal::Operator).await? {
        None => Ok(()),
        Some(of) => Err(Failure::new(format!(
            "error: the store is an unfinished copy of {of}; run the same osis migrate again to \
             finish it"
        ))),
    }
}

/// Waits for SIGTERM and SIGINT.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::new(format!("error: no signals: {error}")))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        tracing::info!("draining");
    }
}
