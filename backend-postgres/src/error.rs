//! What goes wrong inside the engine, and what callers are told of it.
//!
//! Inside, a [`Failure`] keeps PostgreSQL's own error, for the writer must know what is left of its
//! transaction. It becomes an [`Error`] where it leaves the engine, with the place that it is about.

use std::error::Error as StdError;
use std::io;

use osis_core::error::{Error, ErrorKind};
use tokio_postgres::error::SqlState;

/// The result of whatever the engine does inside.
pub(crate) type Outcome<T, E = Failure> = std::result::Result<T, E>;

/// When to try again where the server is not there or too busy.
const RETRY_MS: u64 = 500;

/// What went wrong inside the engine.
#[derive(Debug)]
pub(crate) enum Failure {
    /// PostgreSQL refused, or the connection is gone.
    Engine(tokio_postgres::Error),
    /// There is no connection to be had.
    Unreachable(String),
    /// Something in the database is not as the store writes it.
    Damaged(String),
    /// Another process has put a newer schema in force.
    SchemaChanged,
    /// The connection was lost while a commit was under way, and nothing says what became of it.
    Unclear,
    /// The program itself failed.
    Fault(String),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Engine(error)
    }
}

impl Failure {
    fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Engine(error) => error.code(),
            _ => None,
        }
    }

    /// Whether PostgreSQL refused because of a constraint: the transaction is certainly not done.
    pub(crate) fn is_constraint(&self) -> bool {
        self.state()
            .is_some_and(|state| state.code().starts_with("23"))
    }

    /// Whether the transaction fell victim to another one, is certainly not done, and may be done
    /// again.
    pub(crate) fn is_conflict(&self) -> bool {
        self.state()
            .is_some_and(|state| state.code().starts_with("40"))
    }

    /// Whether a lock was waited for as long as may be: nothing is done, and it may be waited for
    /// again.
    pub(crate) fn is_locked_out(&self) -> bool {
        self.state() == Some(&SqlState::LOCK_NOT_AVAILABLE)
    }

    /// Whether the connection is of no use any more: it is gone, or leads to a server that is going
    /// or takes no writes.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Engine(error) => match error.code() {
                None => error.is_closed() || is_io(error),
                Some(state) => {
                    state.code().starts_with("57P")
                        || state.code().starts_with("08")
                        || *state == SqlState::READ_ONLY_SQL_TRANSACTION
                }
            },
            _ => false,
        }
    }

    /// What callers are told of it, who used the database at `place`.
    pub(crate) fn explain(&self, place: &str) -> Error {
        match self {
            Self::Engine(error) => explain(error, place),
            Self::Unreachable(why) => unavailable(Some(RETRY_MS), why.clone()),
            Self::Damaged(what) => corrupt(place, format!("{place} is damaged: {what}")),
            Self::SchemaChanged => unavailable(
                None,
                format!("another process has changed the schema of {place}; restart this one"),
            ),
            Self::Unclear => Error::new(
                ErrorKind::Internal,
                format!(
                    "the connection to {place} was lost during a commit and does not come back: it \
                     is unknown whether the write was done"
                ),
            ),
            Self::Fault(what) => {
                Error::internal(format!("the engine of {place} failed"), what.clone())
            }
        }
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(<dyn StdError>::is::<io::Error>)
}

fn explain(error: &tokio_postgres::Error, place: &str) -> Error {
    let Some(database) = error.as_db_error() else {
        let told = if error.is_closed() || is_io(error) {
            unavailable(
                Some(RETRY_MS),
                format!("the connection to {place} was lost"),
            )
        } else {
            Error::new(
                ErrorKind::Internal,
                format!("{place} gave an unexpected answer"),
            )
        };
        return told.with_source(error.to_string());
    };
    let said = database.message();
    let told = match database.code().code() {
        "53100" => Error::new(
            ErrorKind::StorageFull,
            format!("the disk of {place} is full"),
        ),
        "57014" => Error::too_late(),
        "55P03" => unavailable(
            Some(RETRY_MS),
            format!("{place} is locked by another program for too long"),
        ),
        "25006" => unavailable(
            Some(RETRY_MS),
            format!("{place} takes no writes: it is a standby, or set read-only"),
        ),
        "42501" => unavailable(
            None,
            format!(
                "{place}: the user lacks rights ({said}); let the owner of the database grant \
                 them, or make the schema for that user: CREATE SCHEMA … AUTHORIZATION …"
            ),
        ),
        // Pages that cannot be read; tables and columns that somebody has removed.
        "XX001" | "XX002" | "42P01" | "42703" => {
            corrupt(place, format!("{place} is damaged: {said}"))
        }
        code if is_passing(code) => {
            unavailable(Some(RETRY_MS), format!("{place} cannot answer now: {said}"))
        }
        _ => Error::new(ErrorKind::Internal, format!("{place} refused a statement")),
    };
    told.with_source(format!("{error}: {said}"))
}

/// Whether a state says that the same call may go well later: lost connections, too few resources,
/// a server that starts or stops, conflicts with other transactions.
fn is_passing(code: &str) -> bool {
    ["08", "40", "53", "57P"]
        .iter()
        .any(|class| code.starts_with(class))
}

/// What a person is told who cannot connect.
pub(crate) fn cannot_connect(error: &tokio_postgres::Error, place: &str) -> Failure {
    let Some(database) = error.as_db_error() else {
        let cause =
            std::iter::successors(error.source(), |error| <dyn StdError>::source(*error)).last();
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        let advice = match cause.as_str() {
            "password missing" => "the server wants one: set it in PGPASSWORD or in the URL",
            _ => "see that the server runs and that host, port and sslmode are right",
        };
        return Failure::Unreachable(format!("no connection to {place}: {cause}; {advice}"));
    };
    let said = database.message();
    let advice = match database.code().code() {
        "28P01" => "set the right password in the URL or in PGPASSWORD",
        "28000" => "see that the user exists and that pg_hba.conf of the server lets it in",
        "3D000" => "make the database first, with createdb",
        "53300" => "raise max_connections of the server, or lower pool in the URL",
        "42501" => "grant the user CONNECT on the database",
        _ => "see the server's log",
    };
    Failure::Unreachable(format!("{place} refuses the connection: {said}; {advice}"))
}

/// An answer that asks to try again later.
pub(crate) fn unavailable(retry_after_ms: Option<u64>, message: String) -> Error {
    Error::new(ErrorKind::Unavailable { retry_after_ms }, message)
}

fn corrupt(place: &str, message: String) -> Error {
    Error::new(
        ErrorKind::Corrupt {
            path: place.to_owned(),
            line: None,
        },
        message,
    )
}
