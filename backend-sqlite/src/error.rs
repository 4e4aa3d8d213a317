//! What goes wrong inside the engine, and what callers are told of it.
//!
//! Inside, a [`Failure`] keeps SQLite's own error, for the writer must know what is left of its
//! transaction. It becomes an [`Error`] where it leaves the engine, with the file that it is about.

use osis_core::error::{Error, ErrorKind};
use rusqlite::ErrorCode;
use rusqlite::ffi;

/// The result of whatever the engine does inside.
pub(crate) type Outcome<T, E = Failure> = std::result::Result<T, E>;

/// When to try again where another program holds the database.
const RETRY_MS: u64 = 100;

/// What went wrong inside the engine.
#[derive(Debug)]
pub(crate) enum Failure {
    /// SQLite refused.
    Engine(rusqlite::Error),
    /// Something in the database is not as the store writes it.
    Damaged(String),
    /// Another process has put a newer schema in force.
    SchemaChanged,
    /// The time limit of a call is over.
    TooLate,
    /// The program itself failed.
    Fault(String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl Failure {
    /// Whether SQLite refused because of a constraint: the transaction is certainly not done.
    pub(crate) fn is_constraint(&self) -> bool {
        matches!(self, Self::Engine(error)
            if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation))
    }

    /// Whether somebody else holds a lock.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Engine(error) if matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        ))
    }

    /// What callers are told of it, who used the database in `file`.
    pub(crate) fn explain(&self, file: &str) -> Error {
        match self {
            Self::Engine(error) => explain(error, file),
            Self::Damaged(what) => corrupt(file, format!("{file} is damaged: {what}")),
            Self::SchemaChanged => unavailable(
                None,
                format!("another process has changed the schema of {file}; restart this one"),
            ),
            Self::TooLate => Error::too_late(),
            Self::Fault(what) => {
                Error::internal(format!("the engine of {file} failed"), what.clone())
            }
        }
    }
}

fn explain(error: &rusqlite::Error, file: &str) -> Error {
    let Some(code) = error.sqlite_error_code() else {
        return Error::internal(
            format!("{file} gave an unexpected answer"),
            error.to_string(),
        );
    };
    let extended = error.sqlite_error().map_or(0, |e| e.extended_code);
    let told = match code {
        ErrorCode::DiskFull => Error::new(
            ErrorKind::StorageFull,
            format!("the disk that holds {file} is full"),
        ),
        ErrorCode::DatabaseCorrupt => corrupt(file, format!("{file} is damaged")),
        ErrorCode::NotADatabase => corrupt(file, format!("{file} is no SQLite database")),
        ErrorCode::SystemIoFailure if extended == ffi::SQLITE_IOERR_CORRUPTFS => corrupt(
            file,
            format!("the file system that holds {file} is damaged"),
        ),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => unavailable(
            Some(RETRY_MS),
            format!("{file} is locked by another program for too long"),
        ),
        ErrorCode::OperationInterrupted => Error::too_late(),
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            unavailable(None, format!("{file} cannot be written: it is read-only"))
        }
        ErrorCode::CannotOpen => unavailable(None, format!("{file} cannot be opened")),
        ErrorCode::SystemIoFailure => {
            unavailable(None, format!("{file} cannot be read or written"))
        }
        ErrorCode::OutOfMemory => unavailable(Some(RETRY_MS), "out of memory".to_owned()),
        _ => Error::new(ErrorKind::Internal, format!("{file} refused a statement")),
    };
    told.with_source(error.to_string())
}

/// An answer that asks to try again later.
pub(crate) fn unavailable(retry_after_ms: Option<u64>, message: String) -> Error {
    Error::new(ErrorKind::Unavailable { retry_after_ms }, message)
}

fn corrupt(file: &str, message: String) -> Error {
    Error::new(
        ErrorKind::Corrupt {
            path: file.to_owned(),
            line: None,
        },
        message,
    )
}
