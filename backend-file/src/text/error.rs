//! What goes wrong within the index, before anybody is told.

use std::io;

use osis_core::error::{Error, ErrorKind};
use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenWriteError};

use crate::error::unavailable;

/// Why something could not be done with the index.
#[derive(Debug)]
pub(super) enum Failure {
    /// The index is damaged or cannot be read or written: making it anew may help.
    Index(String),
    /// There is no room on the disk.
    Full(String),
    /// What would come up again with a new index: time is over, or an object cannot be read.
    Told(Error),
}

/// What may fail with the index.
pub(super) type Outcome<T> = Result<T, Failure>;

impl Failure {
    fn of_io(error: &io::Error) -> Self {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        match full.contains(&error.kind()) {
            true => Self::Full(error.to_string()),
            false => Self::Index(error.to_string()),
        }
    }

    /// As callers are told of it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Index(what) => unavailable(
                None,
                format!(
                    "the text index, among the caches, cannot be written or read ({what}); it is \
                     tried again, and a restart makes what is missing anew"
                ),
            ),
            Self::Full(what) => Error::new(
                ErrorKind::StorageFull,
                "the disk that holds the text index is full",
            )
            .with_source(what),
            Self::Told(error) => error,
        }
    }
}

impl From<TantivyError> for Failure {
    fn from(error: TantivyError) -> Self {
        match error {
            TantivyError::LockFailure(LockError::LockBusy, _) => {
                let message = "the text index of this cache is used by another process";
                Self::Told(unavailable(None, message.to_owned()))
            }
            TantivyError::IoError(error) => Self::of_io(&error),
            TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. }) => {
                Self::of_io(&io_error)
            }
            error => Self::Index(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of_io(&error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

/// Has a panic count as damage: Tantivy panics on some of what a damaged file can hold.
pub(super) fn caught<T>(run: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    // What a panic leaves half done is thrown away with the index, or was the caller's own.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure::Index(said.unwrap_or("panic").to_owned()))
    })
}
