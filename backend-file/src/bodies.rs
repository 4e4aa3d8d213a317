//! The large fields of objects, in files of this process's cache.
//!
//! Fields of type text, json and bytes are neither filtered nor sorted by, so they need not be in
//! memory. They are not read from the objects' files either: those may be under a person's editor,
//! broken, or ahead of the snapshot that asks. Each process appends them to files of its own, which
//! are never written in place: who holds a version of an object can read it for as long as it
//! likes. All of it is derived; nothing is synced before a catalogue that names it is saved.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use osis_core::error::Result;
use osis_core::object::Row;
use osis_core::schema::{FieldKind, Type};
use osis_core::value::Value;

use crate::error::{corrupt, io_error};
use crate::record::Held;

/// How long a file grows before the next is begun.
const FILE_MAX: u64 = 64 << 20;
/// The checksum before each body.
const HEAD: usize = 4;

/// The files of bodies of one process.
#[derive(Debug)]
pub(crate) struct Bodies {
    directory: PathBuf,
    writing: Mutex<Writing>,
    /// Whether files that nobody refers to any more go; not while opening and closing, when a
    /// saved catalogue refers to what nobody holds.
    reclaiming: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Writing {
    file: Arc<BodyFile>,
    end: u64,
}

/// One file of bodies.
#[derive(Debug)]
struct BodyFile {
    number: u32,
    path: PathBuf,
    file: File,
    /// Bytes of bodies that somebody still holds.
    live: AtomicU64,
    /// No longer appended to.
    sealed: AtomicBool,
    reclaiming: Arc<AtomicBool>,
}

/// Where the large fields of one version of an object are.
#[derive(Debug)]
pub(crate) struct Body {
    file: Arc<BodyFile>,
    place: Place,
}

/// Where a body is, as a saved catalogue has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Place {
    file: u32,
    offset: u64,
    length: u32,
}

/// Whether values of a field are kept in bodies.
fn is_large(kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Text | FieldKind::Json | FieldKind::Bytes)
}

impl Bodies {
    /// Those of a directory, which is made if it is missing; goes on behind all files that are
    /// there.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory).map_err(|error| io_error(directory, &error))?;
        let last = numbers(directory)
            .map_err(|error| io_error(directory, &error))?
            .into_iter()
            .max();
        let reclaiming = Arc::new(AtomicBool::new(false));
        let number = last.map_or(0, |last| last + 1);
        let file = create(directory, number, &reclaiming)?;
        Ok(Self {
            directory: directory.to_owned(),
            writing: Mutex::new(Writing { file, end: 0 }),
            reclaiming,
        })
    }

    /// Opens the files that a saved catalogue refers to, and removes all others but the newest.
    ///
    /// # Errors
    /// Those of the file system; a file that is missing is no error before it is read.
    pub(crate) fn adopt(&self, places: impl Iterator<Item = Place>) -> Adopted {
        let mut adopted = Adopted {
            files: HashMap::new(),
        };
        for place in places {
            adopted.files.entry(place.file).or_insert_with(|| {
                let path = path_of(&self.directory, place.file);
                let file = File::open(&path).ok()?;
                Some(Arc::new(BodyFile {
                    number: place.file,
                    path,
                    file,
                    live: AtomicU64::new(0),
                    sealed: AtomicBool::new(true),
                    reclaiming: Arc::clone(&self.reclaiming),
                }))
            });
        }
        let own = self.writing().file.number;
        for number in numbers(&self.directory).unwrap_or_default() {
            if number != own && !adopted.files.contains_key(&number) {
                // What stays only takes room; the next start tries again.
                let _ = std::fs::remove_file(path_of(&self.directory, number));
            }
        }
        adopted
    }

    /// Splits an object into what stays in memory and its body, which is written.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn split(&self, ty: &Type, mut row: Row) -> Result<(Row, Option<Body>)> {
        let mut large: Vec<(usize, Value)> = Vec::new();
        for (position, field) in ty.fields.iter().enumerate() {
            if is_large(&field.kind) && !row.values[position].is_null() {
                let value = std::mem::replace(&mut row.values[position], Value::Null);
                large.push((position, value));
            }
        }
        if large.is_empty() {
            return Ok((row, None));
        }
        let body = self.store(&large)?;
        Ok((row, Some(body)))
    }

    /// The whole object.
    ///
    /// # Errors
    /// `Corrupt` if the cache is damaged; those of the file system.
    pub(crate) fn join(&self, held: &Held) -> Result<Row> {
        let mut row = held.row.clone();
        if let Some(body) = &held.body {
            for (position, value) in body.load()? {
                if let Some(place) = row.values.get_mut(position) {
                    *place = value;
                }
            }
        }
        Ok(row)
    }

    /// Makes all that was written so far durable.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn sync(&self) -> Result<()> {
        let file = Arc::clone(&self.writing().file);
        file.file
            .sync_data()
            .map_err(|error| io_error(&file.path, &error))
    }

    /// Removes files that nobody refers to any more from now on.
    pub(crate) fn reclaim(&self) {
        self.reclaiming.store(true, Ordering::Release);
    }

    /// Keeps what is there from now on, whatever is let go: for closing.
    pub(crate) fn keep(&self) {
        self.reclaiming.store(false, Ordering::Release);
    }

    fn store(&self, large: &[(usize, Value)]) -> Result<Body> {
        let encoded = postcard::to_stdvec(large)
            .map_err(|error| osis_core::Error::internal("a body cannot be written", error))?;
        let mut bytes = Vec::with_capacity(HEAD + encoded.len());
        bytes.extend_from_slice(&crc32fast::hash(&encoded).to_le_bytes());
        bytes.extend_from_slice(&encoded);
        let mut writing = self.writing();
        if writing.end >= FILE_MAX {
            let next = create(&self.directory, writing.file.number + 1, &self.reclaiming)?;
            // What it holds was promised to be durable once a catalogue names it.
            let full = std::mem::replace(&mut *writing, Writing { file: next, end: 0 });
            full.file
                .file
                .sync_data()
                .map_err(|error| io_error(&full.file.path, &error))?;
            full.file.sealed.store(true, Ordering::Release);
        }
        let file = Arc::clone(&writing.file);
        file.file
            .write_all_at(&bytes, writing.end)
            .map_err(|error| io_error(&file.path, &error))?;
        let place = Place {
            file: file.number,
            offset: writing.end,
            length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        };
        writing.end += bytes.len() as u64;
        Ok(Body::of(file, place))
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files that a saved catalogue refers to.
#[derive(Debug)]
pub(crate) struct Adopted {
    files: HashMap<u32, Option<Arc<BodyFile>>>,
}

impl Adopted {
    /// A body of the saved catalogue; nothing if its file is gone.
    pub(crate) fn body(&self, place: Place) -> Option<Body> {
        let file = self.files.get(&place.file)?.as_ref()?;
        Some(Body::of(Arc::clone(file), place))
    }
}

impl Body {
    fn of(file: Arc<BodyFile>, place: Place) -> Self {
        file.live
            .fetch_add(u64::from(place.length), Ordering::AcqRel);
        Self { file, place }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        self.place
    }

    fn load(&self) -> Result<Vec<(usize, Value)>> {
        let path = &self.file.path;
        let mut bytes = vec![0; self.place.length as usize];
        self.file
            .file
            .read_exact_at(&mut bytes, self.place.offset)
            .map_err(|error| io_error(path, &error))?;
        let damaged = || {
            corrupt(
                path,
                None,
                "the cache is damaged; stop all processes of the store and delete it",
            )
        };
        let (head, encoded) = bytes.split_at_checked(HEAD).ok_or_else(damaged)?;
        if head != crc32fast::hash(encoded).to_le_bytes() {
            return Err(damaged());
        }
        postcard::from_bytes(encoded).map_err(|_| damaged())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let length = u64::from(self.place.length);
        let before = self.file.live.fetch_sub(length, Ordering::AcqRel);
        let is_last = before == length && self.file.sealed.load(Ordering::Acquire);
        if is_last && self.file.reclaiming.load(Ordering::Acquire) {
            // What stays only takes room; the next start removes it.
            let _ = std::fs::remove_file(&self.file.path);
        }
    }
}

fn path_of(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("{number:06}.bodies"))
}

fn numbers(directory: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".bodies"));
        numbers.extend(number.and_then(|number| number.parse::<u32>().ok()));
    }
    Ok(numbers)
}

fn create(directory: &Path, number: u32, reclaiming: &Arc<AtomicBool>) -> Result<Arc<BodyFile>> {
    let path = path_of(directory, number);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(|error| io_error(&path, &error))?;
    Ok(Arc::new(BodyFile {
        number,
        path,
        file,
        live: AtomicU64::new(0),
        sealed: AtomicBool::new(false),
        reclaiming: Arc::clone(reclaiming),
    }))
}
