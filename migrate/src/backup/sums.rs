//! The checksums of a backup's files: `SHA256SUMS`, as `sha256sum` writes and checks them.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use osis_core::{Error, ErrorKind, Result};
use sha2::{Digest as _, Sha256};

use super::manifest::Files;
use super::{Part, Watch};

/// The name of the file.
pub(super) const NAME: &str = "SHA256SUMS";
/// How much of a file is read at a time.
const CHUNK: usize = 256 << 10;

/// Sums up all files below a directory, and writes it down there, durably.
///
/// # Errors
/// Those of the file system.
pub(super) fn write(directory: &Path, watch: &mut dyn Watch) -> Result<Files> {
    let mut names = Vec::new();
    collect(directory, Path::new(""), &mut names)?;
    names.sort_unstable();
    watch.begin(Part::Summing, Some(names.len() as u64));
    let path = directory.join(NAME);
    let failed = |error: io::Error| Error::of_file(&path, &error);
    let mut out = BufWriter::new(File::create_new(&path).map_err(failed)?);
    let mut bytes = 0;
    for name in &names {
        let (sum, length) = sum_of(&directory.join(name))?;
        bytes += length;
        writeln!(out, "{sum}  {name}").map_err(failed)?;
        watch.done(1);
    }
    let file = out
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(Files {
        count: names.len() as u64,
        bytes,
        sha256: sum_of(&path)?.0,
    })
}

/// The names of all files below a directory, as `a/b/c`.
fn collect(root: &Path, below: &Path, names: &mut Vec<String>) -> Result<()> {
    let directory = root.join(below);
    let failed = |error: io::Error| Error::of_file(&directory, &error);
    for found in fs::read_dir(&directory).map_err(failed)? {
        let found = found.map_err(failed)?;
        let name = below.join(found.file_name());
        if found.file_type().map_err(failed)?.is_dir() {
            collect(root, &name, names)?;
            continue;
        }
        // A line names one file.
        let text = name.to_str().filter(|text| !text.contains(['\n', '\\']));
        let text = text.ok_or_else(|| {
            let message = format!(
                "{} has a name that no list of sums can hold",
                name.display()
            );
            Error::invalid("backup", message)
        })?;
        names.push(text.to_owned());
    }
    Ok(())
}

/// Looks whether all files of a backup are as they were written.
///
/// # Errors
/// `Corrupt`, naming the first that is not; those of the file system.
pub(super) fn verify(directory: &Path, wanted: &Files, watch: &mut dyn Watch) -> Result<()> {
    watch.begin(Part::Verifying, Some(wanted.count));
    let path = directory.join(NAME);
    verify_one(&path, &wanted.sha256)?;
    let failed = |error: io::Error| Error::of_file(&path, &error);
    let list = BufReader::new(File::open(&path).map_err(failed)?);
    let mut count = 0;
    for line in list.lines() {
        let line = line.map_err(failed)?;
        let (sum, name) = line
            .split_once("  ")
            .ok_or_else(|| damaged(&path, "has a line that is none of a list of sums"))?;
        verify_one(&directory.join(name), sum)?;
        count += 1;
        watch.done(1);
    }
    match count == wanted.count {
        true => Ok(()),
        false => Err(damaged(
            &path,
            "lists more or fewer files than the manifest says",
        )),
    }
}

fn verify_one(path: &Path, wanted: &str) -> Result<()> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged(path, "is missing"));
        }
        _ => {}
    }
    match sum_of(path)?.0 == wanted {
        true => Ok(()),
        false => Err(damaged(
            path,
            "is not as it was written: its SHA-256 is another",
        )),
    }
}

fn damaged(path: &Path, what: &str) -> Error {
    let path = path.display().to_string();
    let message = format!("{path} {what}; the backup is damaged, use another one");
    Error::new(ErrorKind::Corrupt { path, line: None }, message)
}

/// The SHA-256 of a file, and how long it is.
fn sum_of(path: &Path) -> Result<(String, u64)> {
    let failed = |error: io::Error| Error::of_file(path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut sum = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut length = 0;
    loop {
        let read = file.read(&mut chunk).map_err(failed)?;
        if read == 0 {
            break;
        }
        sum.update(&chunk[..read]);
        length += read as u64;
    }
    let sum = sum.finalize();
    Ok((
        sum.iter().map(|byte| format!("{byte:02x}")).collect(),
        length,
    ))
}
