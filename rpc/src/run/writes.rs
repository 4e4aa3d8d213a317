//! Runs of writes.

use osis_core::batch::{Batch, Commit};

use super::guard::caught;
use super::{Entries, Runner};
use crate::answers::Answer;
use crate::error::WireError;
use crate::reply::Sink;
use crate::requests::{Form, Write};

impl Runner<'_> {
    /// Hands all writes over in one call and answers in the order of the entries.
    pub(super) async fn writes(&self, entries: Entries<Write>, sink: &mut dyn Sink) {
        let mut batches = Vec::with_capacity(entries.len());
        let mut answered = Vec::with_capacity(entries.len());
        for (id, write) in entries {
            let form = write.map(|write| {
                let Write { ops, dry_run, form } = write;
                batches.push(Batch {
                    ops,
                    dry_run,
                    deadline: Some(self.deadline),
                });
                form
            });
            answered.push((id, form));
        }
        let wanted = batches.len();
        let work = async { Ok(self.store.write(&self.caller.principal, batches).await) };
        let (mut commits, fallback) = match caught(self.panics, work).await {
            Ok(commits) if commits.len() == wanted => (commits.into_iter(), WireError::internal()),
            Ok(commits) => {
                tracing::error!(
                    wanted,
                    got = commits.len(),
                    "the engine left writes unanswered"
                );
                (Vec::new().into_iter(), WireError::internal())
            }
            Err(error) => (Vec::new().into_iter(), error),
        };
        for (id, form) in answered {
            let answer = form.and_then(|form| match commits.next() {
                Some(commit) => answer(form, commit),
                None => Err(fallback.clone()),
            });
            sink.put(id.as_ref(), answer.as_ref().map_err(Clone::clone));
        }
    }
}

fn answer(form: Form, commit: osis_core::Result<Commit>) -> Result<Answer, WireError> {
    match form {
        Form::One => {
            let outcome = commit?.outcomes.into_iter().next();
            outcome.map(Answer::Outcome).ok_or_else(WireError::internal)
        }
        Form::Transaction => {
            let Commit { seq, outcomes } = commit.map_err(WireError::of_transaction)?;
            Ok(Answer::Transaction { seq, outcomes })
        }
    }
}
