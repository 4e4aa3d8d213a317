//! A migration that goes on while the source is written to: what changes is copied as well, until
//! somebody says stop.
//!
//! The change feed names the objects that changed; they are taken as they are at the moment of the
//! look, so a round leaves the target as the source was then. Objects of log types leave no records:
//! each round takes those that were made or changed since the one before, all of them where the
//! numbers do not agree, and at the end their digests have the word.

use std::collections::{BTreeMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use osis_core::backend::{Change, Scope};
use osis_core::batch::MirrorObject;
use osis_core::query::{Filter, Sort, Test};
use osis_core::schema::{Column, Schema, TypeId};
use osis_core::store::{List, Principal, Reader};
use osis_core::{Error, ErrorKind, Id, Result, Row, Store, Time, Value};

use crate::PAGE;
use crate::copy::{Copy, Removal, log_types};
use crate::dedup::{Plan, Policy};
use crate::run::{Report, Run, Watch};
use crate::source::{Source as _, StoreSource};

/// How far before the last look a round looks for objects of log types: as far as clocks of hosts
/// may differ, and commits be under way, without anybody having to look at all.
const SLACK_MS: i64 = 10_000;
/// How long a round may take for the target to count as caught up with a source that is written to
/// without a break.
const QUICK: Duration = Duration::from_secs(1);
/// How many quick rounds in a row are enough.
const ENOUGH: usize = 2;
/// How long is waited for a wake-up before the source is looked at without one.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The shortest break between two rounds, which lets commits gather.
const BREAK: Duration = Duration::from_millis(50);

const WHO: Principal = Principal::Operator;

/// When to stop.
pub enum Until<'a> {
    /// When this is done.
    Stopped(Pin<&'a mut (dyn Future<Output = ()> + Send)>),
    /// When the target has caught up.
    CaughtUp,
}

/// Copies a store into another, and what changes in it meanwhile.
///
/// The target then is what the source was at the last look. Whoever wants nothing to be left behind
/// stops writing to the source before.
///
/// # Errors
/// As [`crate::run::migrate`]; `Invalid` where the source holds duplicates, which cannot be followed.
pub async fn follow(
    source: &StoreSource,
    target: &Store,
    watch: &mut dyn Watch,
    mut until: Until<'_>,
) -> Result<Report> {
    if source.may_be_faulty() {
        let message = "holds objects that it does not serve; osis check names them. Mend them first, \
                       or migrate without --follow";
        return Err(Error::invalid("source", message));
    }
    let mut run = Run::begin(source, Plan::of(Policy::Fail), target, watch).await?;
    let looked = a_while_ago();
    let mut opened = run.open().await?;
    run.copy(&mut *opened.view).await?;
    let mut follower = Follower {
        source,
        run,
        position: opened.seq,
        logs: log_types(source.schema()),
        looked,
    };
    drop(opened);
    follower.go_on(&mut until).await?;
    follower.cut_over().await
}

struct Follower<'a> {
    source: &'a StoreSource,
    run: Run<'a>,
    /// The source's seq that the target has reached.
    position: u64,
    logs: Vec<TypeId>,
    /// Since when changed objects of log types may be missing.
    looked: Time,
}

impl Follower<'_> {
    /// Takes in what changes, round by round.
    async fn go_on(&mut self, until: &mut Until<'_>) -> Result<()> {
        let mut commits = self.source.store().commits();
        let mut quick = 0;
        loop {
            let begun = Instant::now();
            let mut reader = self.source.reader().await?;
            let had_lag = self.round(&mut reader).await?;
            drop(reader);
            let is_quick = begun.elapsed() < QUICK;
            quick = if is_quick { quick + 1 } else { 0 };
            let lag = self.source.reader().await?.seq().await? - self.position;
            if lag == 0 && (had_lag || quick == 1) {
                self.run.watch.caught_up();
            }
            let wake = async {
                if lag == 0 {
                    // Whoever is gone wakes nobody; then the time does.
                    let _ = tokio::time::timeout(LOOK_EVERY, commits.changed()).await;
                }
                tokio::time::sleep(BREAK).await;
            };
            match until {
                Until::CaughtUp if lag == 0 || quick >= ENOUGH => return Ok(()),
                Until::CaughtUp => wake.await,
                Until::Stopped(stopped) => tokio::select! {
                    () = stopped.as_mut() => return Ok(()),
                    () = wake => {}
                },
            }
        }
    }

    /// Makes the target what a reader shows; whether there was anything to do.
    async fn round(&mut self, reader: &mut Reader) -> Result<bool> {
        let begun = a_while_ago();
        let seq = reader.seq().await?;
        if seq == self.position {
            return Ok(false);
        }
        match self.changes(reader, seq).await {
            // The feed is no longer kept that far back: then all is looked at.
            Err(error) if matches!(error.kind(), ErrorKind::Gone { .. }) => {
                self.run.goes_on = true;
                self.run.copy(reader).await?;
            }
            done => {
                done?;
                self.changed_logs(reader).await?;
            }
        }
        self.position = seq;
        self.looked = begun;
        Ok(true)
    }

    /// Copies the objects that the feed names.
    async fn changes(&mut self, reader: &mut Reader, seq: u64) -> Result<()> {
        let watch = &mut *self.run.watch;
        let mut progress = |objects| watch.done(objects);
        let mut copy = Copy::new(self.run.target, &mut progress);
        let mut seen: HashSet<(TypeId, Id)> = HashSet::new();
        let mut since = self.position;
        while since < seq {
            let feed = reader.changes(since, &[], PAGE).await?;
            let mut changed: BTreeMap<TypeId, Vec<Id>> = BTreeMap::new();
            for Change { type_id, id, .. } in feed.changes {
                if seen.insert((type_id, id.clone())) {
                    changed.entry(type_id).or_default().push(id);
                }
            }
            for (type_id, ids) in changed {
                let rows = reader.find_ids(type_id, &ids).await?;
                let objects = ids.into_iter().zip(rows);
                let objects = objects.map(|(id, row)| MirrorObject { type_id, id, row });
                copy.take_all(objects.collect()).await?;
            }
            since = feed.next;
        }
        copy.finish().await
    }

    /// Copies the objects of log types that have changed; all, where that does not do.
    async fn changed_logs(&mut self, reader: &mut Reader) -> Result<()> {
        let schema = Arc::clone(self.source.schema());
        for &type_id in &self.logs {
            let target = self.run.target;
            let watch = &mut *self.run.watch;
            let mut progress = |objects| watch.done(objects);
            let mut copy = Copy::new(target, &mut progress);
            let mut after = None;
            loop {
                let (rows, next) = changed_since(reader, type_id, self.looked, after).await?;
                copy.take_rows(type_id, rows).await?;
                match next {
                    Some(_) => after = next,
                    None => break,
                }
            }
            copy.finish().await?;
            let mut theirs = target.read(&WHO, Scope::Consistent, None).await?;
            let wanted = reader.count(type_id, &Filter::EVERY).await?;
            if theirs.count(type_id, &Filter::EVERY).await? != wanted {
                make_same(&mut copy, &schema, &[type_id], reader).await?;
            }
        }
        Ok(())
    }

    /// The last round, and the comparison with what it saw.
    async fn cut_over(mut self) -> Result<Report> {
        let begun = Instant::now();
        let mut reader = self.source.reader().await?;
        self.round(&mut reader).await?;
        let (wanted, found) = self.run.digests(&mut reader).await?;
        let schema = Arc::clone(self.source.schema());
        let differ = |ty: &TypeId| {
            let name = &schema.types[*ty].name;
            wanted.types.get(name) != found.types.get(name)
        };
        let unlike: Vec<TypeId> = self.logs.iter().copied().filter(differ).collect();
        let found = if unlike.is_empty() {
            self.run.agree(&wanted, found)?
        } else {
            let watch = &mut *self.run.watch;
            let mut progress = |objects| watch.done(objects);
            let mut copy = Copy::new(self.run.target, &mut progress);
            make_same(&mut copy, &schema, &unlike, &mut reader).await?;
            self.run.compare(&mut reader).await?
        };
        self.run.end(self.position).await?;
        self.run.watch.cut_over(begun.elapsed());
        Ok(self.run.report(found))
    }
}

/// Now, but for what clocks may differ.
fn a_while_ago() -> Time {
    let ms = Time::now().as_millis().saturating_sub(SLACK_MS);
    Time::from_millis(ms).unwrap_or(Time::MIN)
}

/// Makes types of the target what a reader shows.
async fn make_same(
    copy: &mut Copy<'_>,
    schema: &Schema,
    types: &[TypeId],
    reader: &mut Reader,
) -> Result<()> {
    copy.types(schema, types, reader).await?;
    copy.remove_gone(types, reader, Removal::All).await
}

/// The next objects of a type that were changed since a moment, in the order of their ids.
async fn changed_since(
    reader: &mut Reader,
    type_id: TypeId,
    since: Time,
    after: Option<Vec<Value>>,
) -> Result<(Vec<Row>, Option<Vec<Value>>)> {
    let list = List {
        type_id,
        filter: Filter::Column(Column::UpdatedAt, Test::Gte(Value::Time(since))),
        sort: Sort::default(),
        after,
        limit: PAGE,
        count: false,
        expand: Vec::new(),
    };
    let page = reader.list(&list).await?;
    let rows = page.items.into_iter().map(|object| object.row);
    Ok((rows.collect(), page.next))
}
