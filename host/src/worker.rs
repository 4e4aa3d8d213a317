//! Threads that work on their own while something is open: with a name, and an end that is waited
//! for.

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread that works until it is told to stop.
pub struct Worker {
    name: String,
    stop: Box<dyn Fn() + Send + Sync>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Starts a thread that does `work` and ends on its own account soon after `stop` was called.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        name: &str,
        stop: impl Fn() + Send + Sync + 'static,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)?;
        Ok(Self {
            name: name.to_owned(),
            stop: Box::new(stop),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Starts a thread that does `step` again and again, with a pause before each.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn every(
        pause: Duration,
        name: &str,
        mut step: impl FnMut() + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped): (Sender<()>, Receiver<()>) = channel();
        let stop = move || {
            // If it is gone already, there is nothing to stop.
            let _ = stop.send(());
        };
        Self::start(name, stop, move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
                step();
            }
        })
    }

    /// Has the thread stop and waits for its end; a panic in it is logged. A second call does
    /// nothing. Blocks.
    pub fn close(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = thread.take() else {
            return;
        };
        (self.stop)();
        if thread.join().is_err() {
            tracing::error!(thread = self.name, "a thread broke off");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn steps_until_it_is_closed() {
        let (tell, told) = channel();
        let worker = Worker::every(Duration::from_millis(1), "stepper", move || {
            // Nobody listens any more at the end.
            let _ = tell.send(std::thread::current().name().map(str::to_owned));
        });
        let worker = worker.unwrap();
        for _ in 0..3 {
            assert_eq!(told.recv().unwrap().as_deref(), Some("stepper"));
        }
        worker.close();
        worker.close();
        // Its end of the channel is gone with it.
        assert!(told.iter().count() < usize::MAX);
    }

    #[test]
    fn finishes_what_it_was_sent() {
        let (inbox, messages) = channel::<Option<u32>>();
        let closing = inbox.clone();
        let done = Arc::new(AtomicBool::new(false));
        let own = Arc::clone(&done);
        let stop = move || closing.send(None).unwrap();
        let worker = Worker::start("writer", stop, move || {
            let sum: u32 = messages.iter().map_while(|message| message).sum();
            own.store(sum == 3, Ordering::Release);
        });
        let worker = worker.unwrap();
        inbox.send(Some(1)).unwrap();
        inbox.send(Some(2)).unwrap();
        drop(worker);
        assert!(done.load(Ordering::Acquire));
    }

    #[test]
    fn a_panic_does_not_spread() {
        let worker = Worker::start("faulty", || (), || panic!("as the test wants")).unwrap();
        worker.close();
    }
}
