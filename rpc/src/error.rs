//! Errors as the wire shows them: a code, a sentence, and `data` that begins with the kind.
//!
//! This is the only place that knows codes. What went wrong inside, and why, goes to the log; a
//! caller gets what it can act on.

use std::error::Error as _;
use std::fmt;

use osis_core::error::Named;
use osis_core::{Error, ErrorKind};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// An answer that is an error.
#[derive(Debug, Clone, PartialEq)]
pub struct WireError {
    reason: Reason,
    message: String,
    op: Option<usize>,
}

/// Why a call was not answered with a result.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// The text was not JSON, or not JSON as the contract reads it.
    ParseError,
    /// The JSON was no request.
    InvalidRequest,
    /// There is no such method.
    MethodNotFound,
    /// The store refused or failed.
    Store(ErrorKind),
}

impl WireError {
    /// Makes an error of a reason with its sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            op: None,
        }
    }

    /// The JSON was no request, for this reason.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(Reason::InvalidRequest, message)
    }

    /// The store cannot answer now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            Reason::Store(ErrorKind::Unavailable {
                retry_after_ms: None,
            }),
            message,
        )
    }

    /// What should not happen; the log has the cause.
    pub fn internal() -> Self {
        Self::new(
            Reason::Store(ErrorKind::Internal),
            "the server met a fault of its own, which its log describes",
        )
    }

    /// Turns a failure of a transaction into what its caller sees: with the index of the
    /// operation, whose faults stand below it.
    pub fn of_transaction(error: Error) -> Self {
        let Some(op) = error.op() else {
            return error.into();
        };
        let error = error.under(&format!("ops[{op}].params."));
        Self {
            op: Some(op),
            ..error.into()
        }
    }

    /// Adds which operation of a transaction it was.
    #[must_use]
    pub fn at_op(mut self, op: Option<usize>) -> Self {
        self.op = op;
        self
    }

    /// The number that stands for the kind.
    pub fn code(&self) -> i32 {
        match &self.reason {
            Reason::ParseError => -32700,
            Reason::InvalidRequest => -32600,
            Reason::MethodNotFound => -32601,
            Reason::Store(kind) => store_code(kind).0,
        }
    }

    /// The name of the kind.
    pub fn kind(&self) -> &'static str {
        match &self.reason {
            Reason::ParseError => "parse_error",
            Reason::InvalidRequest => "invalid_request",
            Reason::MethodNotFound => "method_not_found",
            Reason::Store(kind) => store_code(kind).1,
        }
    }

    /// Why it came to it, with the data that belongs to it.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The sentence for a person.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Code and kind of what the store says.
fn store_code(kind: &ErrorKind) -> (i32, &'static str) {
    match kind {
        ErrorKind::Invalid(_) => (-32602, "invalid"),
        ErrorKind::Internal => (-32603, "internal"),
        ErrorKind::NotFound { .. } => (-32020, "not_found"),
        ErrorKind::Conflict { .. } => (-32021, "conflict"),
        ErrorKind::RevMismatch { .. } => (-32022, "rev_mismatch"),
        ErrorKind::Reference { .. } => (-32023, "reference"),
        ErrorKind::Unauthorized => (-32024, "unauthorized"),
        ErrorKind::Forbidden { .. } => (-32025, "forbidden"),
        ErrorKind::RateLimited { .. } => (-32026, "rate_limited"),
        ErrorKind::Unavailable { .. } => (-32027, "unavailable"),
        ErrorKind::StorageFull => (-32028, "storage_full"),
        ErrorKind::Corrupt { .. } => (-32029, "corrupt"),
        ErrorKind::Gone { .. } => (-32030, "gone"),
    }
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Internal => {
                tracing::error!(cause = causes(&error), "{error}");
                Self::internal()
            }
            kind @ (ErrorKind::Corrupt { .. } | ErrorKind::StorageFull) => {
                tracing::error!(cause = causes(&error), "{error}");
                Self::new(Reason::Store(kind.clone()), error.message())
            }
            kind => Self::new(Reason::Store(kind.clone()), error.message()),
        }
    }
}

/// The chain of causes behind an error, outermost first.
fn causes(error: &Error) -> String {
    let mut words = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.join(": ")
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for WireError {}

impl Serialize for WireError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("code", &self.code())?;
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("data", &Data(self))?;
        map.end()
    }
}

struct Data<'a>(&'a WireError);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.0.kind())?;
        if let Some(op) = self.0.op {
            map.serialize_entry("op", &op)?;
        }
        if let Reason::Store(kind) = &self.0.reason {
            detail(kind, &mut map)?;
        }
        map.end()
    }
}

/// What stands beside the kind, as the contract's table has it.
fn detail<M: SerializeMap>(kind: &ErrorKind, map: &mut M) -> Result<(), M::Error> {
    match kind {
        ErrorKind::Invalid(faults) => map.serialize_entry("errors", faults),
        ErrorKind::NotFound { type_name, target } => {
            map.serialize_entry("type", type_name)?;
            match target {
                Named::Id(id) => map.serialize_entry("id", id),
                Named::Key(pairs) => map.serialize_entry("key", &Pairs(pairs)),
            }
        }
        ErrorKind::Conflict {
            type_name,
            key,
            existing_id,
        } => {
            map.serialize_entry("type", type_name)?;
            map.serialize_entry("key", key)?;
            existing_id
                .iter()
                .try_for_each(|id| map.serialize_entry("existing_id", id))
        }
        ErrorKind::RevMismatch { expected, actual } => {
            map.serialize_entry("expected", expected)?;
            map.serialize_entry("actual", actual)
        }
        ErrorKind::Reference {
            type_name,
            field,
            id,
        } => {
            map.serialize_entry("type", type_name)?;
            map.serialize_entry("field", field)?;
            map.serialize_entry("id", id)
        }
        ErrorKind::Forbidden { needs } => map.serialize_entry("needs", needs),
        ErrorKind::RateLimited { retry_after_ms } => {
            map.serialize_entry("retry_after_ms", retry_after_ms)
        }
        ErrorKind::Unavailable { retry_after_ms } => retry_after_ms
            .iter()
            .try_for_each(|ms| map.serialize_entry("retry_after_ms", ms)),
        ErrorKind::Corrupt { path, line } => {
            map.serialize_entry("path", path)?;
            line.iter()
                .try_for_each(|line| map.serialize_entry("line", line))
        }
        ErrorKind::Gone { oldest } => map.serialize_entry("oldest", oldest),
        ErrorKind::Unauthorized | ErrorKind::StorageFull | ErrorKind::Internal => Ok(()),
    }
}

struct Pairs<'a>(&'a [(String, serde_json::Value)]);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Every code with its kind and what it means, for the description of the service.
pub(crate) const TABLE: &[(i32, &str, &str)] = &[
    (
        -32602,
        "invalid",
        "Parameters are wrong; data.errors names each fault with its path.",
    ),
    (-32603, "internal", "The server met a fault of its own."),
    (-32020, "not_found", "There is no such object."),
    (-32021, "conflict", "A key is taken."),
    (
        -32022,
        "rev_mismatch",
        "The object is not at the revision that was expected.",
    ),
    (
        -32023,
        "reference",
        "A reference to nothing, or one that restricts a delete.",
    ),
    (-32024, "unauthorized", "No key, or a wrong one."),
    (-32025, "forbidden", "The caller lacks a permission."),
    (-32026, "rate_limited", "Too many calls."),
    (
        -32027,
        "unavailable",
        "The store cannot answer now; a write so answered is not done.",
    ),
    (-32028, "storage_full", "The disk is full."),
    (-32029, "corrupt", "Stored data are damaged."),
    (
        -32030,
        "gone",
        "The position in the change feed is no longer, or not yet, in the store.",
    ),
];

#[cfg(test)]
mod tests {
    use osis_core::error::{Fault, Named};
    use osis_core::{Error, ErrorKind, Id};

    use super::{TABLE, WireError};

    fn kinds() -> Vec<ErrorKind> {
        let id = || Id::trusted("abcd");
        let ty = || "app".to_owned();
        let fault = Fault {
            path: "query".to_owned(),
            message: "an unclosed quote".to_owned(),
            column: Some(3),
        };
        let key = vec![
            ("name".to_owned(), "x".into()),
            ("code".to_owned(), 3.into()),
        ];
        vec![
            ErrorKind::Invalid(vec![fault]),
            ErrorKind::NotFound {
                type_name: ty(),
                target: Named::Id(id()),
            },
            ErrorKind::NotFound {
                type_name: ty(),
                target: Named::Key(key),
            },
            ErrorKind::Conflict {
                type_name: ty(),
                key: vec!["name".to_owned()],
                existing_id: Some(id()),
            },
            ErrorKind::Conflict {
                type_name: ty(),
                key: vec![],
                existing_id: None,
            },
            ErrorKind::RevMismatch {
                expected: 0,
                actual: 4,
            },
            ErrorKind::Reference {
                type_name: ty(),
                field: "owner".to_owned(),
                id: id(),
            },
            ErrorKind::Unauthorized,
            ErrorKind::Forbidden {
                needs: "app:write".to_owned(),
            },
            ErrorKind::RateLimited {
                retry_after_ms: 250,
            },
            ErrorKind::Unavailable {
                retry_after_ms: Some(10),
            },
            ErrorKind::Unavailable {
                retry_after_ms: None,
            },
            ErrorKind::StorageFull,
            ErrorKind::Corrupt {
                path: "a.otoml".to_owned(),
                line: Some(7),
            },
            ErrorKind::Gone { oldest: 12 },
            ErrorKind::Internal,
        ]
    }

    #[test]
    fn every_kind_has_its_code_and_data() {
        let told = kinds().into_iter().map(|kind| {
            let error = WireError::from(Error::new(kind, "What was wrong."));
            let known = TABLE
                .iter()
                .any(|(code, kind, _)| (*code, *kind) == (error.code(), error.kind()));
            assert!(known, "{error:?} is not in the table");
            serde_json::to_string(&error).unwrap()
        });
        insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_cause_is_for_the_log() {
        let error = Error::internal("cannot read", "password in /etc/secret");
        let told = serde_json::to_string(&WireError::from(error)).unwrap();
        assert!(
            !told.contains("secret") && !told.contains("cannot read"),
            "{told}"
        );
    }
}
