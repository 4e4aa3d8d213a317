//! Writes that wait for an engine's writer, from the side of those who wait.
//!
//! A call's batches travel to the writer as one [`Job`]. One who goes away takes nothing back: what
//! was sent is done. One whose time is over before its turn came is told so at once, and then
//! nothing is done, for a job is claimed either by the writer or by the caller who gives up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::batch::{Batch, Commit};
use crate::error::{Error, Result};

/// Batches of one call, with who waits for them.
///
/// One that is dropped tells its caller that the store is closed.
#[derive(Debug)]
pub struct Job {
    batches: Vec<Batch>,
    claim: Arc<AtomicBool>,
    answer: oneshot::Sender<Vec<Result<Commit>>>,
}

impl Job {
    /// What is to be done; at least one batch.
    pub fn batches(&self) -> &[Batch] {
        &self.batches
    }

    /// Claims it. False if its caller has given up: then nothing of it may be done. To be called
    /// once, when its turn has come.
    pub fn begin(&self) -> bool {
        !self.claim.swap(true, Ordering::AcqRel)
    }

    /// Tells its caller what it came to, one answer a batch; nobody listens if that one is gone.
    pub fn answer(self, answers: Vec<Result<Commit>>) {
        debug_assert_eq!(answers.len(), self.batches.len());
        // One who went away does not undo what was done.
        let _ = self.answer.send(answers);
    }
}

/// Sends batches to a writer and waits for the answers, in the order of the batches.
///
/// `send` hands the job over; false if nobody takes it any more. The answers are `Unavailable` if
/// the writer is gone, or if the deadlines of all batches pass before it claims the job.
///
/// Must run where tokio's timers do, if a batch has a deadline.
pub async fn submit(batches: Vec<Batch>, send: impl FnOnce(Job) -> bool) -> Vec<Result<Commit>> {
    let mut sent = match post(batches, send) {
        Ok(sent) => sent,
        Err(answers) => return answers,
    };
    if let Some(until) = sent.until {
        match timeout_at(until.into(), &mut sent.waiting).await {
            Ok(answers) => return answers.unwrap_or_else(|_| refused(sent.count, Error::closed)),
            Err(_) if !sent.claim.swap(true, Ordering::AcqRel) => {
                return refused(sent.count, Error::too_late);
            }
            // The writer has begun: the answer will come.
            Err(_) => {}
        }
    }
    let answers = sent.waiting.await;
    answers.unwrap_or_else(|_| refused(sent.count, Error::closed))
}

/// As [`submit`], for threads that may block; does not give up before the writer does.
///
/// # Panics
/// Within an asynchronous task, which must not block.
pub fn submit_blocking(batches: Vec<Batch>, send: impl FnOnce(Job) -> bool) -> Vec<Result<Commit>> {
    let sent = match post(batches, send) {
        Ok(sent) => sent,
        Err(answers) => return answers,
    };
    let answers = sent.waiting.blocking_recv();
    answers.unwrap_or_else(|_| refused(sent.count, Error::closed))
}

/// What a caller keeps of a job.
struct Sent {
    count: usize,
    /// Until then at least one of the batches may still be done; for ever if absent.
    until: Option<Instant>,
    claim: Arc<AtomicBool>,
    waiting: oneshot::Receiver<Vec<Result<Commit>>>,
}

/// Sends a job off, or says what is to be answered at once.
fn post(batches: Vec<Batch>, send: impl FnOnce(Job) -> bool) -> Result<Sent, Vec<Result<Commit>>> {
    if batches.is_empty() {
        return Err(Vec::new());
    }
    let (answer, waiting) = oneshot::channel();
    let claim = Arc::new(AtomicBool::new(false));
    let deadlines = batches.iter().map(|batch| batch.deadline);
    let deadlines: Option<Vec<Instant>> = deadlines.collect();
    let sent = Sent {
        count: batches.len(),
        until: deadlines.and_then(|all| all.into_iter().max()),
        claim: Arc::clone(&claim),
        waiting,
    };
    let job = Job {
        batches,
        claim,
        answer,
    };
    match send(job) {
        true => Ok(sent),
        false => Err(refused(sent.count, Error::closed)),
    }
}

fn refused(count: usize, error: fn() -> Error) -> Vec<Result<Commit>> {
    (0..count).map(|_| Err(error())).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn batch(deadline: Option<Instant>) -> Batch {
        Batch {
            deadline,
            ..Batch::of(Vec::new())
        }
    }

    fn done(seq: u64) -> Result<Commit> {
        Ok(Commit {
            seq,
            outcomes: Vec::new(),
        })
    }

    fn seqs(answers: Vec<Result<Commit>>) -> Vec<Result<u64, String>> {
        let told = answers.into_iter();
        told.map(|answer| match answer {
            Ok(commit) => Ok(commit.seq),
            Err(error) => Err(error.to_string()),
        })
        .collect()
    }

    fn past() -> Option<Instant> {
        Instant::now().checked_sub(Duration::from_secs(1))
    }

    #[tokio::test]
    async fn answers_come_in_order() {
        let (inbox, jobs) = channel::<Job>();
        let writer = std::thread::spawn(move || {
            for job in jobs {
                assert!(job.begin());
                let count = job.batches().len() as u64;
                job.answer((1..=count).map(done).collect());
            }
        });
        let send = |job| inbox.send(job).is_ok();
        let answers = submit(vec![batch(None), batch(None)], send).await;
        assert_eq!(seqs(answers), [Ok(1), Ok(2)]);
        assert!(submit(Vec::new(), send).await.is_empty());
        drop(inbox);
        writer.join().unwrap();
    }

    #[tokio::test]
    async fn who_gives_up_before_its_turn_is_not_done() {
        let (inbox, jobs) = channel::<Job>();
        let batches = vec![batch(past()), batch(past())];
        let answers = submit(batches, |job| inbox.send(job).is_ok()).await;
        let late = Error::too_late().to_string();
        assert_eq!(seqs(answers), [Err(late.clone()), Err(late)]);
        assert!(!jobs.recv().unwrap().begin());
    }

    #[tokio::test]
    async fn who_is_late_in_its_turn_gets_the_answer() {
        let (inbox, jobs) = channel::<Job>();
        let writer = std::thread::spawn(move || {
            let job = jobs.recv().unwrap();
            job.answer(vec![done(7)]);
        });
        let send = |job: Job| {
            assert!(job.begin());
            inbox.send(job).is_ok()
        };
        assert_eq!(seqs(submit(vec![batch(past())], send).await), [Ok(7)]);
        writer.join().unwrap();
    }

    #[tokio::test]
    async fn a_writer_that_is_gone_is_told() {
        let closed = Err(Error::closed().to_string());
        let answers = submit(vec![batch(None)], |_| false).await;
        assert_eq!(seqs(answers), [closed]);
    }

    #[test]
    fn threads_wait_too() {
        let (inbox, jobs) = channel::<Job>();
        let writer = std::thread::spawn(move || {
            let job = jobs.recv().unwrap();
            job.answer(vec![done(3)]);
        });
        let answers = submit_blocking(vec![batch(None)], |job| inbox.send(job).is_ok());
        assert_eq!(seqs(answers), [Ok(3)]);
        writer.join().unwrap();
    }
}
