//! The change feed: records, the objects that they tell of, and waiting for the next.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use osis_core::backend::{Change, Feed, Scope};
use osis_core::object::Id;
use osis_core::schema::TypeId;
use osis_core::store::Reader;

use super::Runner;
use super::guard::bounded;
use crate::answers::{Answer, Current};
use crate::envelope::ReplyId;
use crate::error::WireError;
use crate::reply::Sink;
use crate::requests::Changes;

/// How often is looked whether or not the engine has told of a commit.
const POLL: Duration = Duration::from_secs(1);

/// Reads a page of the feed, and the objects as they are in the same snapshot.
pub(super) async fn changes(
    reader: &mut Reader,
    wanted: &Changes,
) -> Result<(Feed, Option<Current>), WireError> {
    let feed = reader
        .changes(wanted.since, &wanted.types, wanted.limit)
        .await?;
    let current = match wanted.objects {
        true => Some(current(reader, &feed.changes).await?),
        false => None,
    };
    Ok((feed, current))
}

/// The objects that records tell of, in one call of the engine for each type.
async fn current(reader: &mut Reader, changes: &[Change]) -> Result<Current, WireError> {
    let mut ids: BTreeMap<TypeId, Vec<Id>> = BTreeMap::new();
    for change in changes {
        ids.entry(change.type_id)
            .or_default()
            .push(change.id.clone());
    }
    let mut current = Current::new();
    for (type_id, mut ids) in ids {
        ids.sort();
        ids.dedup();
        let rows = reader.find_ids(type_id, &ids).await?;
        let found = ids
            .into_iter()
            .zip(rows)
            .filter_map(|(id, row)| Some(((type_id, id), row?)));
        current.extend(found);
    }
    Ok(current)
}

impl Runner<'_> {
    /// Answers with records as soon as there are some, or with none when the wait is over.
    pub(super) async fn wait(&self, id: Option<ReplyId>, wanted: &Changes, sink: &mut dyn Sink) {
        if id.is_none() {
            return;
        }
        let answer = bounded(self.panics, self.deadline, self.waited(wanted)).await;
        sink.put(id.as_ref(), answer.as_ref().map_err(Clone::clone));
    }

    async fn waited(&self, wanted: &Changes) -> Result<Answer, WireError> {
        // A tenth of the time that is left is for the answer itself.
        let spare = self.deadline.saturating_duration_since(Instant::now()) / 10;
        let latest = self.deadline - spare;
        let until = Instant::now()
            .checked_add(wanted.wait)
            .map_or(latest, |at| at.min(latest));
        let mut wanted = wanted.clone();
        let mut commits = self.store.commits();
        let mut draining = self.gate.watch();
        loop {
            // Seen before it is looked, so that no commit falls in between.
            commits.mark_unchanged();
            let scope = if wanted.objects {
                Scope::Consistent
            } else {
                Scope::Single
            };
            let mut reader = self
                .store
                .read(&self.caller.principal, scope, Some(self.deadline))
                .await?;
            let (feed, current) = changes(&mut reader, &wanted).await?;
            drop(reader);
            let over = Instant::now() >= until || *draining.borrow();
            if over || !feed.changes.is_empty() {
                return Ok(Answer::Changes(feed, current));
            }
            wanted.since = feed.next;
            let pause = until.min(Instant::now() + POLL);
            tokio::select! {
                Ok(()) = commits.changed() => {}
                Ok(()) = draining.changed() => {}
                () = tokio::time::sleep_until(pause.into()) => {}
            }
        }
    }
}
