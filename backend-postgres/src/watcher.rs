//! Notices what other processes commit.
//!
//! A commit tells those who listen; that is a wake-up only, and lost while there is no connection,
//! so the seq is looked at now and then as well. Behind a pooler nobody can listen, and it is looked
//! at more often. Reads need no notice, since they see every commit anyway.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use osis_core::error::{Error, Result};
use osis_host::worker::Worker;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_postgres::AsyncMessage;

use crate::catalog::Catalog;
use crate::config::Pooler;
use crate::connection::{Connector, Polled};
use crate::error::{Failure, Outcome};
use crate::history;
use crate::names::quote;
use crate::sql::Link;

/// How long after it a foreign commit is noticed at the latest, where listening fails.
const POLL: Duration = Duration::from_secs(1);
/// The same where nobody can listen.
const POLL_POOLED: Duration = Duration::from_millis(100);
/// The pause before the next connection is made.
const RECONNECT: Duration = Duration::from_millis(500);

/// Starts the thread that notices.
///
/// # Errors
/// If the system gives no thread.
pub(crate) fn start(catalog: &Arc<Catalog>, connector: Connector) -> Result<Worker> {
    let (stop, stopped) = watch::channel(());
    let watcher = Watcher {
        catalog: Arc::clone(catalog),
        connector,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("the watcher has no runtime", error))?;
    let work = move || runtime.block_on(watcher.run(stopped));
    let stop = move || {
        // If it is gone already, there is nothing to stop.
        let _ = stop.send(());
    };
    Worker::start("osis-watcher", stop, work)
        .map_err(|error| Error::internal("the watcher's thread cannot be started", error))
}

struct Watcher {
    catalog: Arc<Catalog>,
    connector: Connector,
}

impl Watcher {
    async fn run(self, mut stopped: watch::Receiver<()>) {
        let watching = async {
            loop {
                if let Err(failure) = self.watch().await {
                    tracing::debug!(
                        ?failure,
                        "commits of other processes could not be looked for"
                    );
                }
                sleep(RECONNECT).await;
            }
        };
        let watching = pin!(watching);
        tokio::select! {
            () = watching => {}
            _ = stopped.changed() => {}
        }
    }

    /// Looks until the connection is lost.
    async fn watch(&self) -> Outcome<()> {
        let (client, connection) = self.connector.connect_polled().await?;
        let (told, task) = listen(connection);
        let client = ClientWrapper::new(client, task);
        let link = Link {
            client: &client,
            pooler: self.connector.pooler(),
        };
        let pause = match self.connector.pooler() {
            Pooler::None => {
                let channel = quote(&self.catalog.channel());
                client.batch_execute(&format!("LISTEN {channel}")).await?;
                POLL
            }
            Pooler::Transaction => POLL_POOLED,
        };
        let mut told = told;
        loop {
            self.look(link).await?;
            // Whatever was told while we looked is one reason to look again.
            match timeout(pause, told.recv()).await {
                Ok(None) => return Ok(()),
                Ok(Some(())) => while told.try_recv().is_ok() {},
                Err(_) => {}
            }
        }
    }

    async fn look(&self, link: Link<'_>) -> Outcome<()> {
        let seq = match self.connector.pooler() {
            Pooler::None => history::check_in_force(link, &self.catalog).await,
            Pooler::Transaction => {
                link.client
                    .batch_execute(&self.connector.begin("READ ONLY"))
                    .await?;
                let seq = history::check_in_force(link, &self.catalog).await;
                link.client.batch_execute("ROLLBACK").await?;
                seq
            }
        };
        match seq {
            Ok(seq) => self.catalog.peers.announce(seq),
            // Kept by the catalog; there is nobody to tell here.
            Err(Failure::SchemaChanged) => {}
            Err(failure) => return Err(failure),
        }
        Ok(())
    }
}

/// Polls a connection and tells of what it is told; ends with the connection.
fn listen(mut connection: Polled) -> (UnboundedReceiver<()>, tokio::task::JoinHandle<()>) {
    let (tell, told) = unbounded_channel();
    let task = tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notification(_))) => {
                    // The watcher may be about to end.
                    let _ = tell.send(());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break,
            }
        }
    });
    (told, task)
}
