//! Turns between processes of one host: who goes next.
//!
//! A lock on a file, which the kernel gives to those who wait one after another and takes from
//! whoever ends. It is for fairness and thrift; where safety depends on it, all who take part must
//! be on one host and take it before each step.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long [`Ticket::take_for`] sleeps at most before it looks again.
const NAP_MAX: Duration = Duration::from_millis(2);
/// How long it sleeps at first.
const NAP_MIN: Duration = Duration::from_micros(50);

/// A place in the queue.
#[derive(Debug)]
pub struct Ticket {
    file: File,
}

/// The turn; it ends when this goes.
#[derive(Debug)]
pub struct Turn<'a> {
    file: &'a File,
    waited: bool,
}

impl Ticket {
    /// Opens the lock file, which is made if it is missing.
    ///
    /// It must never be deleted while a process may have it open: whoever waits for a lock on a
    /// deleted file waits for nobody.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        Ok(Self { file })
    }

    /// Waits for the turn, however long others have it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn take(&self) -> io::Result<Turn<'_>> {
        if let Some(turn) = self.try_take()? {
            return Ok(turn);
        }
        self.file.lock()?;
        Ok(Turn {
            file: &self.file,
            waited: true,
        })
    }

    /// Takes the turn if nobody has it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn try_take(&self) -> io::Result<Option<Turn<'_>>> {
        match self.file.try_lock() {
            Ok(()) => Ok(Some(Turn {
                file: &self.file,
                waited: false,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Waits for the turn up to a time; nothing if it did not come. For those to whom it is only
    /// an advantage: one who waits so has no place in the queue, but a process that was stopped in
    /// its turn does not hold it up.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn take_for(&self, patience: Duration) -> io::Result<Option<Turn<'_>>> {
        let began = Instant::now();
        let mut nap = NAP_MIN;
        let mut waited = false;
        loop {
            if let Some(mut turn) = self.try_take()? {
                turn.waited = waited;
                return Ok(Some(turn));
            }
            let left = patience.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            sleep(nap.min(left));
            nap = NAP_MAX.min(nap * 2);
            waited = true;
        }
    }
}

impl Turn<'_> {
    /// Whether somebody else had the turn when we came.
    pub fn waited(&self) -> bool {
        self.waited
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::error!(%error, "a lock cannot be given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn one_has_the_turn_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (one, other) = (Ticket::open(&path).unwrap(), Ticket::open(&path).unwrap());
        let turn = one.take().unwrap();
        assert!(!turn.waited());
        assert!(other.try_take().unwrap().is_none());
        assert!(other.take_for(Duration::from_millis(5)).unwrap().is_none());
        drop(turn);
        let turn = other.take_for(Duration::ZERO).unwrap();
        assert!(turn.is_some_and(|turn| !turn.waited()));
        assert!(one.try_take().unwrap().is_some());
    }

    #[test]
    fn who_waits_gets_the_turn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let own = Ticket::open(&path).unwrap();
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            let turn = own.take().unwrap();
            for patience in [None, Some(Duration::from_secs(600))] {
                let (tell, path) = (tell.clone(), &path);
                scope.spawn(move || {
                    let other = Ticket::open(path).unwrap();
                    let turn = match patience {
                        None => Some(other.take().unwrap()),
                        Some(patience) => other.take_for(patience).unwrap(),
                    };
                    tell.send(turn.is_some()).unwrap();
                });
            }
            assert!(told.try_recv().is_err());
            drop(turn);
        });
        drop(tell);
        assert_eq!(told.iter().collect::<Vec<_>>(), [true, true]);
    }
}
