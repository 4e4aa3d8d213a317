//! What goes wrong within the index, before anybody is told.

use osis_core::error::Error;
use tantivy::TantivyError;
use tantivy::directory::error::LockError;

use crate::error::unavailable;

/// Why something could not be done with the index.
#[derive(Debug)]
pub(super) enum Failure {
    /// The index is damaged or cannot be read or written: making it anew may help.
    Index(String),
    /// What would come up again with a new index: time is over, or an object cannot be read.
    Told(Error),
}

/// What may fail with the index.
pub(super) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// As callers are told of it.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Index(what) => {
                unavailable(None, "the text index cannot be written or read".to_owned())
                    .with_source(what)
            }
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
            error => Self::Index(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Index(error.to_string())
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
