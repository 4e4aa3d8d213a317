//! Connections: how each is made and set up.

use std::fmt;

use deadpool_postgres::ClientWrapper;
use osis_core::error::Result;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{Pooler, PostgresConfig};
use crate::error::{Outcome, cannot_connect};
use crate::tls;

/// A connection that its owner polls.
pub(crate) type Polled = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    place: String,
    pooler: Pooler,
    /// What each transaction begins with where a session's settings do not last.
    settings: String,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Connector {
    /// For a store.
    ///
    /// # Errors
    /// `Invalid` if certificates that are named cannot be read.
    pub(crate) fn new(config: &PostgresConfig) -> Result<Self> {
        // Names come first that the store uses, and PostgreSQL's own before them all. Times are read
        // in binary, so no time zone matters.
        let settings = [
            ("search_path", config.schema_name.clone()),
            ("lock_timeout", config.lock_timeout.as_millis().to_string()),
            (
                "statement_timeout",
                config.statement_timeout.as_millis().to_string(),
            ),
            ("client_min_messages", "warning".to_owned()),
        ];
        let mut client = config.client.clone();
        if config.pooler == Pooler::None {
            let options = settings
                .iter()
                .map(|(name, value)| format!("-c {name}={value}"));
            let given = client.get_options().map(str::to_owned);
            let options: Vec<String> = given.into_iter().chain(options).collect();
            client.options(options.join(" "));
        }
        let local = settings
            .iter()
            .map(|(name, value)| format!("SET LOCAL {name} = {value}"));
        Ok(Self {
            config: client,
            tls: tls::connector(&config.trust)?,
            place: config.place(),
            pooler: config.pooler,
            settings: local.collect::<Vec<_>>().join("; "),
        })
    }

    /// Where it leads, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// What stands between.
    pub(crate) fn pooler(&self) -> Pooler {
        self.pooler
    }

    /// What the client is configured with.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// What makes connections encrypted.
    pub(crate) fn tls(&self) -> &MakeRustlsConnect {
        &self.tls
    }

    /// The statements that begin a transaction of some kind, with what must be set in it.
    pub(crate) fn begin(&self, kind: &str) -> String {
        match self.pooler {
            Pooler::None => format!("BEGIN {kind}"),
            Pooler::Transaction => format!("BEGIN {kind}; {}", self.settings),
        }
    }

    /// The statements that begin a transaction that writes. Each of its statements may take long (an
    /// index is made, many rows are copied); what is acknowledged is on disk, whatever the default of
    /// the server says. A statement's plan outlives the moment in which it was made: rows are looked up
    /// by index also where the table was empty then, for a scan would cost more with each row.
    pub(crate) fn begin_writing(&self) -> String {
        let begin = self.begin("");
        format!(
            "{begin}; SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = off; \
             SELECT set_config('synchronous_commit', 'on', true) \
             WHERE current_setting('synchronous_commit') = 'off'"
        )
    }

    /// Makes a connection, which a task of the present runtime polls.
    pub(crate) async fn connect(&self) -> Outcome<ClientWrapper> {
        let (client, connection) = self.connect_polled().await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
        Ok(ClientWrapper::new(client, task))
    }

    /// Makes a connection that the caller polls.
    pub(crate) async fn connect_polled(&self) -> Outcome<(Client, Polled)> {
        let connected = self.config.connect(self.tls.clone()).await;
        connected.map_err(|error| cannot_connect(&error, &self.place))
    }
}
