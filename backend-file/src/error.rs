//! What goes wrong inside the engine, as callers are told of it.

use std::io;
use std::path::Path;

use osis_core::error::{Error, ErrorKind};

/// A failure of the file system at a file.
pub(crate) fn io_error(path: &Path, error: &io::Error) -> Error {
    Error::of_file(path, error)
}

/// A file that is not as the store writes it.
pub(crate) fn corrupt(path: &Path, line: Option<usize>, what: &str) -> Error {
    let shown = path.display().to_string();
    let message = match line {
        Some(line) => format!("{shown}, line {line}: {what}"),
        None => format!("{shown}: {what}"),
    };
    Error::new(ErrorKind::Corrupt { path: shown, line }, message)
}

/// An answer that asks to try again later.
pub(crate) fn unavailable(retry_after_ms: Option<u64>, message: String) -> Error {
    Error::new(ErrorKind::Unavailable { retry_after_ms }, message)
}
