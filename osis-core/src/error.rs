//! The one error type of the store.
//!
//! A kind is what callers branch on and what the wire shows as `data.kind`; the message is a
//! sentence for a person. Kinds carry their data, so that no caller parses a message.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

use crate::object::Id;

/// The result of whatever the store does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One fault in what a caller gave: where it is, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// Where: `data.tags[1]`, `filter.or[0].name`, the name of a parameter.
    pub path: String,
    /// What was wrong and what was expected.
    pub message: String,
    /// The column in a search query, from 1, in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

/// The place, where there is one, and what was wrong.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// What kind of failure it was, with the data that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub enum ErrorKind {
    /// Parameters, fields, filters or a query were wrong; all faults found, at most
    /// [`Faults::MAX`].
    Invalid(Vec<Fault>),
    /// There is no such object (or the caller may not see it).
    NotFound {
        /// Name of the type.
        type_name: String,
        /// How it was named.
        target: Named,
    },
    /// A key is taken.
    Conflict {
        /// Name of the type.
        type_name: String,
        /// Names of the key's fields.
        key: Vec<String>,
        /// The object that has it; absent where the caller may not learn it.
        existing_id: Option<Id>,
    },
    /// `if_rev` did not hold.
    RevMismatch {
        /// The revision that the caller expected; 0 stands for "must not exist".
        expected: i64,
        /// The revision that the object has.
        actual: i64,
    },
    /// A reference to nothing, or one that restricts a delete.
    Reference {
        /// The type whose field refers.
        type_name: String,
        /// The field that refers.
        field: String,
        /// The id that it holds.
        id: Id,
    },
    /// No key, or a wrong one.
    Unauthorized,
    /// The caller lacks a permission.
    Forbidden {
        /// What it would need.
        needs: String,
    },
    /// Too many calls.
    RateLimited {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The store cannot answer now: it drains, or the time limit is over. A write answered so was
    /// not done.
    Unavailable {
        /// When to try again, if that is known.
        retry_after_ms: Option<u64>,
    },
    /// The disk is full.
    StorageFull,
    /// Stored data are damaged.
    Corrupt {
        /// The file.
        path: String,
        /// The line in it, from 1.
        line: Option<usize>,
    },
    /// The position in the change feed is no longer, or not yet, in the store.
    Gone {
        /// The lowest position still good.
        oldest: u64,
    },
    /// A fault of the program or of its surroundings that has no kind of its own.
    Internal,
}

/// How a caller named an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Named {
    /// By id.
    Id(Id),
    /// By a key: field names with the values as the caller gave them, in JSON.
    Key(Vec<(String, serde_json::Value)>),
}

/// What went wrong. See [`ErrorKind`] for what there is.
#[derive(Debug)]
pub struct Error(Box<Repr>);

#[derive(Debug)]
struct Repr {
    kind: ErrorKind,
    message: String,
    op: Option<usize>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error of a kind with its sentence.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Repr {
            kind,
            message: message.into(),
            op: None,
            source: None,
        }))
    }

    /// Makes an `invalid` error with one fault.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        let mut faults = Faults::default();
        faults.add(path, message);
        faults.into_error()
    }

    /// Makes an error for what should not happen; `source` goes to the log, not to the caller.
    pub fn internal(
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let mut error = Self::new(ErrorKind::Internal, message);
        error.0.source = Some(source.into());
        error
    }

    /// Makes the error for a failure of the file system at a file.
    pub fn of_file(path: &Path, error: &io::Error) -> Self {
        let shown = path.display();
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let message = format!("the disk that holds {shown} is full");
                return Self::new(ErrorKind::StorageFull, message).with_source(error.to_string());
            }
            _ => ErrorKind::Unavailable {
                retry_after_ms: None,
            },
        };
        let message = match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                format!("{shown} cannot be written or read: {error}")
            }
            _ => format!("{shown} cannot be read or written: {error}"),
        };
        Self::new(kind, message)
    }

    /// Makes the error for a call whose time limit is over; of a write, nothing is done.
    pub fn too_late() -> Self {
        let kind = ErrorKind::Unavailable {
            retry_after_ms: None,
        };
        Self::new(kind, "the call did not end within its time limit")
    }

    /// Makes the error for a position of the change feed that is not, or no longer, in the store:
    /// it goes from `oldest` to `last`.
    pub fn gone(since: u64, oldest: u64, last: u64) -> Self {
        Self::new(
            ErrorKind::Gone { oldest },
            format!("the change feed goes from {oldest} to {last}, {since} is not in it"),
        )
    }

    /// Makes the error for a call of a store that is closed or closing.
    pub fn closed() -> Self {
        let kind = ErrorKind::Unavailable {
            retry_after_ms: None,
        };
        Self::new(kind, "the store is closed")
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds which operation of a transaction failed.
    #[must_use]
    pub fn at_op(mut self, op: usize) -> Self {
        self.0.op = Some(op);
        self
    }

    /// Puts a prefix before the path of each fault: `data.name` becomes `ops[2].params.data.name`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        if let ErrorKind::Invalid(faults) = &mut self.0.kind {
            for fault in faults.iter_mut() {
                fault.path = format!("{prefix}{}", fault.path);
            }
            self.0.message = sentence(faults);
        }
        self
    }

    /// Begins the sentence with where it was: `line 12: …`. An `invalid` error has its paths.
    #[must_use]
    pub fn beginning(mut self, origin: &str) -> Self {
        if !matches!(self.0.kind, ErrorKind::Invalid(_)) {
            self.0.message = format!("{origin}: {}", self.0.message);
        }
        self
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The sentence for a person, without the cause.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The index of the operation in its transaction.
    pub fn op(&self) -> Option<usize> {
        self.0.op
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

/// Collects faults, so that a caller learns all of them at once.
#[derive(Debug, Default)]
pub struct Faults {
    list: Vec<Fault>,
}

impl Faults {
    /// No answer lists more faults than this.
    pub const MAX: usize = 100;

    /// Notes a fault; those past [`Self::MAX`] are dropped.
    pub fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(Fault {
            path: path.into(),
            message: message.into(),
            column: None,
        });
    }

    /// Notes a fault in a search query, with its column.
    pub fn add_column(&mut self, path: impl Into<String>, column: usize, message: String) {
        self.push(Fault {
            path: path.into(),
            message,
            column: Some(column),
        });
    }

    fn push(&mut self, fault: Fault) {
        if self.list.len() < Self::MAX {
            self.list.push(fault);
        }
    }

    /// Takes over the faults of an `invalid` error; any other error comes back.
    pub fn absorb(&mut self, error: Error) -> Result<()> {
        match error.0.kind {
            ErrorKind::Invalid(faults) => {
                faults.into_iter().for_each(|fault| self.push(fault));
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// How many were noted.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `Ok` if there are none, else one `invalid` error with all of them.
    pub fn finish(self) -> Result<()> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.into_error())
        }
    }

    /// One `invalid` error with all of them.
    pub fn into_error(self) -> Error {
        let message = sentence(&self.list);
        Error::new(ErrorKind::Invalid(self.list), message)
    }
}

fn sentence(faults: &[Fault]) -> String {
    match faults {
        [] => "invalid parameters".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more faults)", rest.len()),
    }
}
