//! Counts the calls that run, and lets no new one in once the service drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// Lets calls in and waits until they are out.
#[derive(Debug)]
pub(crate) struct Gate {
    draining: watch::Sender<bool>,
    running: AtomicUsize,
    idle: Notify,
}

/// A call that runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass(Arc<Gate>);

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        let (draining, _) = watch::channel(false);
        Arc::new(Self {
            draining,
            running: AtomicUsize::new(0),
            idle: Notify::new(),
        })
    }

    /// Lets a call in, unless the service drains.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Pass> {
        // Counted before looking: a drain that does not see this call is seen by it.
        self.running.fetch_add(1, Ordering::SeqCst);
        let pass = Pass(Arc::clone(self));
        (!self.is_draining()).then_some(pass)
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Tells when draining begins.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Closes the gate and waits for the running calls; whether all were out in time.
    pub(crate) async fn drain(&self, within: Duration) -> bool {
        self.draining.send_replace(true);
        tokio::time::timeout(within, self.emptied()).await.is_ok()
    }

    async fn emptied(&self) {
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            idle.as_mut().enable();
            if self.running.load(Ordering::SeqCst) == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::SeqCst) == 1 && self.0.is_draining() {
            self.0.idle.notify_waiters();
        }
    }
}
