//! The large fields of objects, in files of this process's cache.
//!
//! Fields of type text, json and bytes are neither filtered nor sorted by, so they need not be in
//! memory. They are not read from the objects' files either: those may be under a person's editor,
//! broken, or ahead of the snapshot that asks. Each process appends them to files of its own, which
//! are never written in place: who holds a version of an object can read it for as long as it
//! likes. All of it is derived; nothing is synced before a catalogue that names it is saved.
//!
//! What is no longer held leaves holes. Of a file that is mostly holes the rest is moved to the end
//! of the newest ([`Bodies::compact`]), before the catalogue is saved; a file goes after a catalogue
//! is saved that does not name it ([`Bodies::sweep`]). So whenever a process ends, all that the
//! catalogue on disk names is there.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use osis_core::error::Result;
use osis_core::object::Row;
use osis_core::schema::{FieldKind, Type};
use osis_core::value::Value;

use crate::error::{corrupt, io_error};
use crate::record::Held;

/// How long a file grows before the next is begun. Tests should not have to write that much.
const FILE_MAX: u64 = if cfg!(test) { 16 << 10 } else { 64 << 20 };
/// A file this much shorter than the longest is a small one: each process that wrote a little has
/// left one.
const SMALL: u64 = 16;
/// How many small files may be there before they are made one.
const SMALL_MAX: usize = 16;
/// How much is moved at once at most, in files of full length: the rest waits for the next time.
const MOVED_MAX: u64 = 4;
/// The checksum before each body.
const HEAD: usize = 4;

/// The files of bodies of one process.
#[derive(Debug)]
pub(crate) struct Bodies {
    directory: PathBuf,
    writing: Mutex<Writing>,
    /// All that this process has open, by number. Locked after `writing`.
    files: Mutex<BTreeMap<u32, Arc<BodyFile>>>,
}

#[derive(Debug)]
struct Writing {
    /// The number of the next file.
    next: u32,
    /// The file that is appended to; none before the first body.
    file: Option<Arc<BodyFile>>,
}

/// One file of bodies.
#[derive(Debug)]
struct BodyFile {
    number: u32,
    path: PathBuf,
    file: File,
    /// Bytes in it.
    size: AtomicU64,
    /// Bytes that are known to be on disk.
    synced: AtomicU64,
    /// Bytes of bodies that somebody still holds.
    live: AtomicU64,
    /// These, and others that are let go.
    bodies: Mutex<Vec<Weak<Mutex<At>>>>,
    /// No longer appended to.
    sealed: AtomicBool,
}

/// Where the large fields of one version of an object are. That may change, what is there does not.
#[derive(Debug)]
pub(crate) struct Body(Arc<Mutex<At>>);

#[derive(Debug, Clone)]
struct At {
    file: Arc<BodyFile>,
    offset: u64,
    length: u32,
    /// Whether it counts as live there.
    is_held: bool,
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
        Ok(Self {
            directory: directory.to_owned(),
            writing: Mutex::new(Writing {
                next: last.map_or(0, |last| last + 1),
                file: None,
            }),
            files: Mutex::default(),
        })
    }

    /// Opens the files that a saved catalogue refers to.
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
                let size = file.metadata().ok()?.len();
                let file = Arc::new(BodyFile::new(place.file, path, file, size));
                file.sealed.store(true, Ordering::Release);
                lock(&self.files).insert(place.file, Arc::clone(&file));
                Some(file)
            });
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
        let files: Vec<Arc<BodyFile>> = lock(&self.files).values().cloned().collect();
        for file in files {
            let size = file.size.load(Ordering::Acquire);
            if file.synced.load(Ordering::Acquire) < size {
                let synced = file.file.sync_data();
                synced.map_err(|error| io_error(&file.path, &error))?;
                file.synced.store(size, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Moves what is held out of files of which less than half is, and out of small files where there
    /// are many. Before a catalogue is saved, that is: what it is moved from stays until
    /// [`Self::sweep`].
    ///
    /// # Errors
    /// Those of the file system; then some is moved.
    pub(crate) fn compact(&self) -> Result<()> {
        for file in self.sparse() {
            let bodies = std::mem::take(&mut *lock(&file.bodies));
            let mut bodies = bodies.into_iter();
            while let Some(body) = bodies.next() {
                let moved = match body.upgrade() {
                    Some(held) => self.relocate(&held),
                    None => Ok(true),
                };
                if !matches!(moved, Ok(true)) {
                    lock(&file.bodies).push(body);
                }
                if let Err(error) = moved {
                    lock(&file.bodies).extend(bodies);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Moves a body to the newest file; `false` if it is damaged, and stays: whoever reads it is told.
    fn relocate(&self, body: &Arc<Mutex<At>>) -> Result<bool> {
        let mut at = lock(body);
        if !at.is_held {
            return Ok(true);
        }
        let Ok(bytes) = at.read() else {
            return Ok(false);
        };
        let moved = self.append(&bytes)?;
        lock(&moved.file.bodies).push(Arc::downgrade(body));
        std::mem::replace(&mut *at, moved).let_go();
        Ok(true)
    }

    /// The files to move bodies out of.
    fn sparse(&self) -> Vec<Arc<BodyFile>> {
        let files = lock(&self.files);
        let sealed = files.values().filter(|file| file.is_sealed());
        let mut sealed: Vec<(u64, u64, &Arc<BodyFile>)> = sealed
            .map(|file| {
                let live = file.live.load(Ordering::Acquire);
                (live, file.size.load(Ordering::Acquire), file)
            })
            .filter(|(live, _, _)| *live > 0)
            .collect();
        sealed.sort_unstable_by_key(|(live, _, file)| (*live, file.number));
        let is_small = |size: u64| size < FILE_MAX / SMALL;
        let small = sealed.iter().filter(|(_, size, _)| is_small(*size)).count();
        let mut left = FILE_MAX * MOVED_MAX;
        let mut sparse = Vec::new();
        for (live, size, file) in sealed {
            let is_sparse = live < size / 2 || (small > SMALL_MAX && is_small(size));
            if is_sparse && live <= left {
                left -= live;
                sparse.push(Arc::clone(file));
            }
        }
        sparse
    }

    /// Removes what neither the catalogue that was saved just now, whose places these are, nor this
    /// process refers to.
    pub(crate) fn sweep(&self, named: &BTreeSet<u32>) {
        let mut files = lock(&self.files);
        files.retain(|number, file| {
            named.contains(number) || !file.is_sealed() || file.live.load(Ordering::Acquire) > 0
        });
        for number in numbers(&self.directory).unwrap_or_default() {
            if !files.contains_key(&number) && !named.contains(&number) {
                // What stays only takes room; the next time tries again.
                let _ = std::fs::remove_file(path_of(&self.directory, number));
            }
        }
    }

    fn store(&self, large: &[(usize, Value)]) -> Result<Body> {
        let encoded = postcard::to_stdvec(large)
            .map_err(|error| osis_core::Error::internal("a body cannot be written", error))?;
        let mut bytes = Vec::with_capacity(HEAD + encoded.len());
        bytes.extend_from_slice(&crc32fast::hash(&encoded).to_le_bytes());
        bytes.extend_from_slice(&encoded);
        Ok(Body::new(self.append(&bytes)?))
    }

    /// Writes to the end of the newest file; what is returned counts as held there.
    fn append(&self, bytes: &[u8]) -> Result<At> {
        let mut writing = lock(&self.writing);
        let file = match &writing.file {
            Some(file) if file.size.load(Ordering::Acquire) < FILE_MAX => Arc::clone(file),
            _ => self.begin(&mut writing)?,
        };
        let offset = file.size.load(Ordering::Acquire);
        file.file
            .write_all_at(bytes, offset)
            .map_err(|error| io_error(&file.path, &error))?;
        let length = bytes.len() as u64;
        file.size.store(offset + length, Ordering::Release);
        file.live.fetch_add(length, Ordering::AcqRel);
        Ok(At {
            file,
            offset,
            length: u32::try_from(length).unwrap_or(u32::MAX),
            is_held: true,
        })
    }

    /// Begins a file, and no longer appends to the one before.
    fn begin(&self, writing: &mut Writing) -> Result<Arc<BodyFile>> {
        let number = writing.next;
        let path = path_of(&self.directory, number);
        let mut files = lock(&self.files);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            // Secret fields may be among them.
            .mode(0o600)
            .open(&path)
            .map_err(|error| io_error(&path, &error))?;
        let file = Arc::new(BodyFile::new(number, path, file, 0));
        files.insert(number, Arc::clone(&file));
        writing.next += 1;
        if let Some(full) = writing.file.replace(Arc::clone(&file)) {
            full.sealed.store(true, Ordering::Release);
        }
        Ok(file)
    }
}

/// The files that a saved catalogue refers to.
#[derive(Debug)]
pub(crate) struct Adopted {
    files: HashMap<u32, Option<Arc<BodyFile>>>,
}

impl Adopted {
    /// A body of the saved catalogue; nothing if its file is gone, or too short to have it.
    pub(crate) fn body(&self, place: Place) -> Option<Body> {
        let file = self.files.get(&place.file)?.as_ref()?;
        let length = u64::from(place.length);
        let end = place.offset.checked_add(length)?;
        if end > file.size.load(Ordering::Acquire) {
            return None;
        }
        file.live.fetch_add(length, Ordering::AcqRel);
        Some(Body::new(At {
            file: Arc::clone(file),
            offset: place.offset,
            length: place.length,
            is_held: true,
        }))
    }
}

impl BodyFile {
    fn new(number: u32, path: PathBuf, file: File, size: u64) -> Self {
        Self {
            number,
            path,
            file,
            size: AtomicU64::new(size),
            synced: AtomicU64::new(size),
            live: AtomicU64::new(0),
            bodies: Mutex::default(),
            sealed: AtomicBool::new(false),
        }
    }

    fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }
}

impl Place {
    /// The number of its file.
    pub(crate) fn file(self) -> u32 {
        self.file
    }
}

impl Body {
    /// One that is known to the file that it is in.
    fn new(at: At) -> Self {
        let file = Arc::clone(&at.file);
        let at = Arc::new(Mutex::new(at));
        lock(&file.bodies).push(Arc::downgrade(&at));
        Self(at)
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        let at = self.at();
        Place {
            file: at.file.number,
            offset: at.offset,
            length: at.length,
        }
    }

    fn at(&self) -> MutexGuard<'_, At> {
        lock(&self.0)
    }

    fn load(&self) -> Result<Vec<(usize, Value)>> {
        // It may be moved meanwhile; the file stays open as long as this.
        let at = self.at().clone();
        let bytes = at.read()?;
        postcard::from_bytes(&bytes[HEAD..]).map_err(|_| at.damaged())
    }
}

impl At {
    /// The bytes there, checksum and all, which is right.
    fn read(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.length as usize];
        self.file
            .file
            .read_exact_at(&mut bytes, self.offset)
            .map_err(|error| io_error(&self.file.path, &error))?;
        let (head, encoded) = bytes.split_at_checked(HEAD).ok_or_else(|| self.damaged())?;
        match head == crc32fast::hash(encoded).to_le_bytes() {
            true => Ok(bytes),
            false => Err(self.damaged()),
        }
    }

    fn damaged(&self) -> osis_core::Error {
        let what = "the cache is damaged; stop all processes of the store and delete it";
        corrupt(&self.file.path, None, what)
    }

    fn let_go(&mut self) {
        self.is_held = false;
        let length = u64::from(self.length);
        self.file.live.fetch_sub(length, Ordering::AcqRel);
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.at().let_go();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
