//! The schema language of the original OSIS, turned into ours.
//!
//! ```text
//! Status = "draft" | "published"
//!
//! # An application.
//! App = {
//!     sid: sid
//!     name: str @index       # what it is called
//!     status: Status = "draft"
//!     tags: [str]
//! }
//! ```
//!
//! `lex` cuts a text into tokens, `parse` reads definitions from them, `kind` says what a definition
//! is in our language, `write` makes the TOML. What comes out is read as a schema before anybody
//! gets it, so it is always one.

mod kind;
mod lex;
mod parse;
mod write;

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use osis_core::schema::{Source, load};
use osis_core::{Error, Result};

use crate::many;

/// A place in a file, as messages name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    file: Rc<str>,
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What is wrong with a file, and where.
type Fault = (Place, String);

/// Reads files of the original's schema language, with those that they include, and writes their
/// types in ours: TOML with a comment wherever something is not what it was.
///
/// The schema is called `name`, or as the first file is.
///
/// # Errors
/// `Invalid` with what is wrong, each with file, line and column.
pub fn import(files: &[PathBuf], name: Option<&str>) -> Result<String> {
    let mut read = Read::default();
    for file in files {
        read.file(file, None);
    }
    read.faults.extend(parse::doubled(&read.definitions));
    if !read.faults.is_empty() {
        return Err(refused(read.faults));
    }
    let name = name.map_or_else(|| name_of(files), str::to_owned);
    let text = write::schema(&name, files, &read.definitions, &read.services).map_err(refused)?;
    load(&[Source::new("the schema made of it", text.as_str())])?;
    Ok(text)
}

fn refused(faults: Vec<Fault>) -> Error {
    let faults = faults.into_iter();
    many(
        faults
            .map(|(place, message)| (place.to_string(), message))
            .collect(),
    )
}

/// A schema's name made of a file's.
fn name_of(files: &[PathBuf]) -> String {
    let stem = files.first().and_then(|file| file.file_stem());
    let stem = stem.unwrap_or_default().to_string_lossy();
    let name = write::snake_case(&stem);
    match name.trim_start_matches(|c: char| !c.is_ascii_lowercase()) {
        "" => "imported".to_owned(),
        name => name.to_owned(),
    }
}

/// What was read so far.
#[derive(Default)]
struct Read {
    done: HashSet<PathBuf>,
    definitions: Vec<parse::Definition>,
    services: Vec<String>,
    faults: Vec<Fault>,
}

impl Read {
    /// Reads a file and what it includes, each once; `included` says where it is named.
    fn file(&mut self, path: &Path, included: Option<Place>) {
        let shown: Rc<str> = path.display().to_string().into();
        let place = included.unwrap_or(Place {
            file: Rc::clone(&shown),
            line: 1,
            column: 1,
        });
        if !self.done.insert(path.canonicalize().unwrap_or_default()) && path.exists() {
            return;
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let told = format!("{shown} cannot be read: {error}");
                return self.faults.push((place, told));
            }
        };
        let parsed = lex::tokens(&shown, &text).and_then(parse::file);
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(fault) => return self.faults.push(fault),
        };
        self.definitions.extend(parsed.definitions);
        self.services.extend(parsed.services);
        for (other, place) in parsed.includes {
            let beside = path.parent().unwrap_or(Path::new(""));
            self.file(&beside.join(other), Some(place));
        }
    }
}
