//! A stand-in for the file system that fails at a chosen call: for tests.
//!
//! A test first lets a run pass in peace and learns how many calls it makes; then it repeats the
//! run once for each call and each kind of fault. Nothing is random, nothing waits.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Files, Readers, Stamp};

/// What goes wrong at the chosen call. A call that only reads has no effect to take, so that
/// whether it did makes no difference there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and has changed nothing.
    Fail(ErrorKind),
    /// It takes effect, and yet an error is reported: what a network volume does where an answer
    /// is lost.
    Unclear(ErrorKind),
    /// A file is written in half before it fails; any other call fails as with [`Self::Fail`].
    Half(ErrorKind),
    /// The process ends before the call: it and all that follow fail.
    CrashBefore,
    /// The process ends right after the call took effect: it and all that follow report failure,
    /// and those that follow have none.
    CrashAfter,
    /// As [`Self::CrashBefore`], but a file that the call was to write is there in half.
    CrashAmid,
}

/// Passes all calls on to other [`Files`], save the one at which something goes wrong, and counts
/// them. Calls of several threads are counted in the order in which they come.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Files>,
    at: u64,
    fault: Option<Fault>,
    meanwhile: Mutex<Option<Event>>,
    calls: AtomicU64,
    struck: Mutex<Option<String>>,
}

/// Something that happens beside the calls.
struct Event(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Event")
    }
}

/// What becomes of one call.
enum Turn {
    Pass,
    Fail(ErrorKind),
    PassThenFail(ErrorKind),
    Half(ErrorKind),
}

impl Faulty {
    /// Counts calls, and passes them all on.
    pub fn counting(inner: Arc<dyn Files>) -> Self {
        Self::make(inner, 0, None)
    }

    /// Has a fault at the `at`-th call, counted from 1.
    pub fn new(inner: Arc<dyn Files>, at: u64, fault: Fault) -> Self {
        Self::make(inner, at, Some(fault))
    }

    /// Has something happen right before the `at`-th call, counted from 1: what another process does
    /// just then. No call fails.
    pub fn meanwhile(
        inner: Arc<dyn Files>,
        at: u64,
        event: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self {
            meanwhile: Mutex::new(Some(Event(Box::new(event)))),
            ..Self::make(inner, at, None)
        }
    }

    fn make(inner: Arc<dyn Files>, at: u64, fault: Option<Fault>) -> Self {
        Self {
            inner,
            at,
            fault,
            meanwhile: Mutex::new(None),
            calls: AtomicU64::new(0),
            struck: Mutex::new(None),
        }
    }

    /// How many calls came so far, failed ones included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// The call that the fault struck, for messages: `link log/000000000/000000000001.otoml`;
    /// nothing before it came to that.
    pub fn struck(&self) -> Option<String> {
        let struck = self.struck.lock().unwrap_or_else(PoisonError::into_inner);
        struck.clone()
    }

    fn turn(&self, name: &str, path: &Path) -> Turn {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let Some(fault) = self.fault else {
            if call == self.at {
                let mut event = self
                    .meanwhile
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if let Some(Event(happen)) = event.take() {
                    happen();
                }
            }
            return Turn::Pass;
        };
        if call < self.at {
            return Turn::Pass;
        }
        if call == self.at {
            let mut struck = self.struck.lock().unwrap_or_else(PoisonError::into_inner);
            *struck = Some(format!("{name} {}", path.display()));
        }
        let dead = ErrorKind::Other;
        match fault {
            Fault::Fail(kind) if call == self.at => Turn::Fail(kind),
            Fault::Unclear(kind) if call == self.at => Turn::PassThenFail(kind),
            Fault::Half(kind) if call == self.at => Turn::Half(kind),
            Fault::Fail(_) | Fault::Unclear(_) | Fault::Half(_) => Turn::Pass,
            Fault::CrashAfter if call == self.at => Turn::PassThenFail(dead),
            Fault::CrashAmid if call == self.at => Turn::Half(dead),
            Fault::CrashBefore | Fault::CrashAfter | Fault::CrashAmid => Turn::Fail(dead),
        }
    }

    fn call<T>(
        &self,
        name: &str,
        path: &Path,
        call: impl FnOnce(&dyn Files) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.turn(name, path) {
            Turn::Pass => call(&*self.inner),
            Turn::Fail(kind) | Turn::Half(kind) => Err(broken(kind)),
            Turn::PassThenFail(kind) => {
                call(&*self.inner)?;
                Err(broken(kind))
            }
        }
    }
}

impl Files for Faulty {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.call("read", path, |inner| inner.read(path))
    }

    fn read_start(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.call("read_start", path, |inner| inner.read_start(path, limit))
    }

    fn create(&self, path: &Path, bytes: &[u8], readers: Readers, durable: bool) -> io::Result<()> {
        match self.turn("create", path) {
            Turn::Pass => self.inner.create(path, bytes, readers, durable),
            Turn::Fail(kind) => Err(broken(kind)),
            Turn::PassThenFail(kind) => {
                self.inner.create(path, bytes, readers, durable)?;
                Err(broken(kind))
            }
            Turn::Half(kind) => {
                self.inner
                    .create(path, &bytes[..bytes.len() / 2], readers, durable)?;
                Err(broken(kind))
            }
        }
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("link", to, |inner| inner.link(from, to))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", to, |inner| inner.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename_new", to, |inner| inner.rename_new(from, to))
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        self.call("exchange", a, |inner| inner.exchange(a, b))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove", path, |inner| inner.remove(path))
    }

    fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>> {
        self.call("stamp", path, |inner| inner.stamp(path))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.call("list", directory, |inner| inner.list(directory))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.call("create_directory", path, |inner| {
            inner.create_directory(path)
        })
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.call("remove_directory", path, |inner| {
            inner.remove_directory(path)
        })
    }

    fn sync(&self, directory: &Path) -> io::Result<()> {
        self.call("sync", directory, |inner| inner.sync(directory))
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        self.call("sync_all", path, |inner| inner.sync_all(path))
    }
}

fn broken(kind: ErrorKind) -> io::Error {
    io::Error::new(kind, "a fault that a test wants")
}

#[cfg(test)]
mod tests {
    use super::super::Disk;
    use super::*;

    #[test]
    fn strikes_once_or_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let inner: Arc<dyn Files> = Arc::new(Disk);
        let there = |name: &str| Disk.read(&at(name)).ok().map(|bytes| bytes.len());
        let all = [
            (Fault::Fail(ErrorKind::StorageFull), None, true),
            (Fault::Unclear(ErrorKind::TimedOut), Some(4), true),
            (Fault::Half(ErrorKind::StorageFull), Some(2), true),
            (Fault::CrashBefore, None, false),
            (Fault::CrashAfter, Some(4), false),
            (Fault::CrashAmid, Some(2), false),
        ];
        for (n, (fault, left, lives)) in all.into_iter().enumerate() {
            let files = Faulty::new(Arc::clone(&inner), 2, fault);
            let name = format!("{n}");
            assert_eq!(files.stamp(&at(&name)).unwrap(), None);
            assert_eq!(files.struck(), None);
            assert!(
                files
                    .create(&at(&name), b"four", Readers::Usual, true)
                    .is_err()
            );
            assert_eq!(there(&name), left, "{fault:?}");
            assert_eq!(files.list(dir.path()).is_ok(), lives, "{fault:?}");
            assert!(files.struck().unwrap().starts_with("create "));
            assert_eq!(files.calls(), 3);
        }
        let files = Faulty::counting(inner);
        assert!(files.read(&at("none")).is_err());
        assert!(files.sync_all(dir.path()).is_ok());
        assert_eq!((files.calls(), files.struck()), (2, None));
    }
}
