//! What stands between a call and the rest of the program: its time limit, and its panics.
//!
//! There should be no panic. If there is one, its caller gets an answer, the log has it, and no
//! other call is harmed.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::FutureExt;

use crate::error::WireError;

/// How many calls have panicked.
#[derive(Debug, Default)]
pub(crate) struct Panics(AtomicU64);

impl Panics {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn note(&self, panic: &(dyn Any + Send)) -> WireError {
        self.0.fetch_add(1, Ordering::Relaxed);
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        tracing::error!(panic = text, "a call panicked");
        WireError::internal()
    }
}

/// Waits for work that reads; stops it when its time is over.
pub(super) async fn bounded<T>(
    panics: &Panics,
    deadline: Instant,
    work: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    // The engine stops by itself; this is for whatever it waits for on the way.
    match tokio::time::timeout_at(deadline.into(), caught(panics, work)).await {
        Ok(answer) => answer,
        Err(_) => Err(over_time()),
    }
}

/// Waits for work to its end.
pub(crate) async fn caught<T>(
    panics: &Panics,
    work: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => Err(panics.note(&*panic)),
    }
}

/// Does work that does not wait.
pub(crate) fn caught_now<T>(
    panics: &Panics,
    work: impl FnOnce() -> Result<T, WireError>,
) -> Result<T, WireError> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(panics.note(&*panic)))
}

fn over_time() -> WireError {
    WireError::unavailable("the time limit for a call is over")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Panics, bounded, caught, caught_now};
    use crate::error::WireError;

    #[tokio::test]
    async fn panics_are_answered_and_counted() {
        let panics = Panics::default();
        let now = caught_now(&panics, || -> Result<(), _> { panic!("on purpose") });
        let later = caught(&panics, async {
            if true {
                panic!("on purpose")
            }
            Ok(())
        });
        assert_eq!(now.unwrap_err(), WireError::internal());
        assert_eq!(later.await.unwrap_err(), WireError::internal());
        assert_eq!(panics.count(), 2);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_stopped() {
        let work = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        };
        let deadline = Instant::now() + Duration::from_millis(10);
        let error = bounded(&Panics::default(), deadline, work)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), "unavailable");
    }
}
