//! What it means for a person's edit that the store did not take it.

use osis_core::error::{Error, ErrorKind};

/// Whether an edit was not taken for reasons that pass: nothing is wrong with it, and it is tried
/// again.
pub(super) fn is_for_now(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable { .. }
            | ErrorKind::StorageFull
            | ErrorKind::RateLimited { .. }
            | ErrorKind::Internal
            | ErrorKind::Corrupt { .. }
    )
}

/// Whether somebody was quicker, so that it has to be looked at again what the edit comes to.
pub(super) fn is_outrun(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::RevMismatch { .. } | ErrorKind::NotFound { .. }
    )
}

/// Whether an edit may be fine once others are taken in.
pub(super) fn waits_for_others(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Reference { .. } | ErrorKind::Conflict { .. }
    )
}

/// The fields that an error is about.
pub(super) fn fields(error: &Error) -> impl Iterator<Item = &str> {
    let (one, many) = match error.kind() {
        ErrorKind::Reference { field, .. } => (Some(field.as_str()), [].as_slice()),
        ErrorKind::Conflict { key, .. } => (key.first().map(String::as_str), [].as_slice()),
        ErrorKind::Invalid(faults) => (None, faults.as_slice()),
        _ => (None, [].as_slice()),
    };
    one.into_iter()
        .chain(many.iter().map(|fault| field(&fault.path)))
}

/// The field in the path of a fault: of `data.tags[1]`, `tags`.
pub(super) fn field(path: &str) -> &str {
    let path = path.trim_start_matches("data.");
    path.split(['[', '.']).next().unwrap_or(path)
}

/// Whether a line of a file gives a field its value.
pub(super) fn names(line: &str, field: &str) -> bool {
    let rest = line.trim_start().strip_prefix(field);
    rest.is_some_and(|rest| rest.trim_start().starts_with('='))
}
