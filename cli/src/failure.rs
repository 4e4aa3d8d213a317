//! How a command fails: what a person reads, and the exit status.

use std::process::ExitCode;

use osis_core::ErrorKind;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage: clap's own words, exit status as it says (0 for `--help`).
    Usage(Box<clap::Error>),
    /// Wrong usage that clap does not see: exit status 2.
    Misused(String),
    /// Anything else: exit status 1.
    Failed(String),
}

impl Failure {
    /// A failure with its sentence.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// Wrong usage, with its sentence.
    pub(crate) fn misused(message: impl Into<String>) -> Self {
        Self::Misused(message.into())
    }

    /// Tells the person, and gives the exit status.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Usage(error) => {
                // Nothing is left to do where the terminal is gone.
                let _ = error.print();
                ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
            }
            Self::Misused(message) => {
                eprintln!("error: {message}");
                ExitCode::from(2)
            }
            Self::Failed(message) => {
                eprintln!("{message}");
                ExitCode::FAILURE
            }
        }
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        Self::Usage(Box::new(error))
    }
}

impl From<osis_core::Error> for Failure {
    /// One line a fault for what was invalid; else the sentence, with the cause where the program
    /// did not expect it.
    fn from(error: osis_core::Error) -> Self {
        if let ErrorKind::Invalid(faults) = error.kind()
            && !faults.is_empty()
        {
            let lines = faults.iter().map(|fault| format!("error: {fault}"));
            return Self::Failed(lines.collect::<Vec<_>>().join("\n"));
        }
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        // Many sentences have it already.
        let cause = cause.filter(|cause| !error.message().contains(cause));
        let cause = cause.map_or_else(String::new, |cause| format!("\ncause: {cause}"));
        Self::Failed(format!("error: {error}{cause}"))
    }
}
