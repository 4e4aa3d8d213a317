//! A migration from its beginning to its end.
//!
//! 1. Duplicates in the source are found ([`look`]) before a target is so much as made.
//! 2. The target must be empty, or hold an unfinished run of the same migration, which goes on.
//! 3. The target is noted to be a copy; objects are copied, referents first.
//! 4. Count and digest of each type are compared.
//! 5. The target's change feed begins above the source's, and the note goes.
//!
//! A run may be cut off at any point. The next one looks at all objects again and writes what is
//! missing, so nothing of what the first did must be trusted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use osis_core::backend::Scope;
use osis_core::schema::TypeId;
use osis_core::store::Principal;
use osis_core::{Error, ErrorKind, Result, Store};

use crate::copy::{Copy, Removal, filled};
use crate::dedup::{self, Clean, Dropped, Plan, Policy};
use crate::digest::{self, Digests, TypeDigest};
use crate::order::groups;
use crate::source::{Opened, Source};
use crate::view::View;

/// What a migration is told by whoever waits for it.
pub trait Watch: Send {
    /// A part of the work begins, over about so many objects.
    fn begin(&mut self, what: Part, objects: Option<u64>);
    /// So many objects more are done.
    fn done(&mut self, objects: u64);
    /// The target holds all that the source does.
    fn caught_up(&mut self);
    /// A source that was followed was left, after so long a time in which nothing was copied.
    fn cut_over(&mut self, pause: Duration);
}

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Looking for duplicates.
    Looking,
    /// Copying.
    Copying,
    /// Comparing.
    Comparing,
}

/// What a migration came to.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Report {
    /// What the target holds of each type.
    pub types: BTreeMap<String, TypeDigest>,
    /// What it holds of each roll-up.
    pub rollups: BTreeMap<String, TypeDigest>,
    /// What was dropped for another object with the same key.
    pub dropped: Vec<Dropped>,
}

/// Looks for duplicates in a source, and for references to nothing.
///
/// # Errors
/// `Invalid` that lists them; those of the source.
pub async fn look(source: &dyn Source, policy: Policy, watch: &mut dyn Watch) -> Result<Plan> {
    if !source.may_be_faulty() {
        return Ok(Plan::of(policy));
    }
    watch.begin(Part::Looking, source.about());
    let mut opened = source.open().await?;
    let mut progress = |objects| watch.done(objects);
    let plan = dedup::plan(source.schema(), &mut *opened.view, policy, &mut progress).await?;
    plan.refuse_dangling()?;
    Ok(plan)
}

/// Copies a source into a store, with its duplicates as they were planned.
///
/// # Errors
/// `Invalid` where the target holds something else or has another schema; `Internal` where the target is not what it should be afterwards; those of the
/// source and the target. In each case the same call goes on with what was done.
pub async fn migrate(
    source: &dyn Source,
    plan: Plan,
    target: &Store,
    watch: &mut dyn Watch,
) -> Result<Report> {
    let mut run = Run::begin(source, plan, target, watch).await?;
    let mut opened = run.open().await?;
    run.copy(&mut *opened.view).await?;
    let found = run.compare(&mut *opened.view).await?;
    run.end(opened.seq).await?;
    Ok(run.report(found))
}

/// A migration under way.
pub(crate) struct Run<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) target: &'a Store,
    pub(crate) watch: &'a mut dyn Watch,
    plan: Arc<Plan>,
    /// Whether the target holds what another moment of the source was.
    pub(crate) goes_on: bool,
}

const WHO: Principal = Principal::Operator;

impl<'a> Run<'a> {
    /// Sees whether it may begin, and notes that it has.
    pub(crate) async fn begin(
        source: &'a dyn Source,
        plan: Plan,
        target: &'a Store,
        watch: &'a mut dyn Watch,
    ) -> Result<Self> {
        if source.schema().hash != target.schema().hash {
            return Err(Error::invalid(
                "target",
                "has another schema than the source; name a store that is not there yet",
            ));
        }
        let name = format!("{} (--dedup {})", source.name(), plan.policy.name());
        let goes_on = match target.copying(&WHO).await? {
            Some(other) if other == name => true,
            Some(other) => return Err(foreign(&format!("an unfinished copy of {other}"))),
            None => match filled(target).await?.as_slice() {
                [] => false,
                types => return Err(foreign(&format!("objects of {}", types.join(", ")))),
            },
        };
        if !goes_on {
            target.begin_copy(&WHO, &name).await?;
        }
        Ok(Self {
            source,
            target,
            watch,
            plan: Arc::new(plan),
            goes_on,
        })
    }

    /// The source as of now, without its duplicates.
    pub(crate) async fn open(&self) -> Result<Opened> {
        let opened = self.source.open().await?;
        if self.plan.dropped.is_empty() {
            return Ok(opened);
        }
        let clean = Clean {
            inner: opened.view,
            schema: Arc::clone(self.source.schema()),
            plan: Arc::clone(&self.plan),
        };
        Ok(Opened {
            view: Box::new(clean),
            seq: opened.seq,
        })
    }

    /// Makes the target hold all that a view shows, and nothing else.
    pub(crate) async fn copy(&mut self, view: &mut dyn View) -> Result<()> {
        let schema = Arc::clone(self.source.schema());
        let types: Vec<TypeId> = groups(&schema).into_iter().flatten().collect();
        self.watch.begin(Part::Copying, self.source.about());
        let (target, watch) = (self.target, &mut *self.watch);
        let mut progress = |objects| watch.done(objects);
        let mut copy = Copy::new(target, &mut progress);
        if self.goes_on {
            // What has gone from the source since then may have a key that is needed.
            let some = Removal::AsFarAsPossible;
            copy.remove_gone(&types, view, some).await?;
        }
        copy.all(&schema, view).await?;
        if self.goes_on {
            copy.remove_gone(&types, view, Removal::All).await?;
        }
        Ok(())
    }

    /// Holds the target against a view, type by type.
    pub(crate) async fn compare(&mut self, view: &mut dyn View) -> Result<Digests> {
        let (wanted, found) = self.digests(view).await?;
        self.agree(&wanted, found)
    }

    /// What the target holds, if that is what the source does.
    pub(crate) fn agree(&self, wanted: &Digests, found: Digests) -> Result<Digests> {
        let types = differences("", &wanted.types, &found.types);
        let rollups = differences("the roll-up of ", &wanted.rollups, &found.rollups);
        let wrong = [types, rollups].concat();
        if wrong.is_empty() {
            return Ok(found);
        }
        Err(Error::new(
            ErrorKind::Internal,
            format!(
                "the target is not what the source is: {}. Nothing may use it. Did something else \
                 write to one of them? Run the same again to mend it",
                wrong.join(", ")
            ),
        ))
    }

    /// The digests of a view and of the target.
    pub(crate) async fn digests(&mut self, view: &mut dyn View) -> Result<(Digests, Digests)> {
        let schema = self.source.schema();
        let about = self.source.about().map(|objects| objects * 2);
        self.watch.begin(Part::Comparing, about);
        let watch = &mut *self.watch;
        let mut progress = |objects| watch.done(objects);
        let wanted = digest::of_view(schema, view, &mut progress).await?;
        let mut reader = self.target.read(&WHO, Scope::Consistent, None).await?;
        let found = digest::of_view(schema, &mut reader, &mut progress).await?;
        Ok((wanted, found))
    }

    /// Lets the target's own life begin, above the source's last commit.
    pub(crate) async fn end(&self, seq: u64) -> Result<()> {
        self.target.end_copy(&WHO, seq).await.map(|_| ())
    }

    pub(crate) fn report(&self, found: Digests) -> Report {
        Report {
            types: found.types,
            rollups: found.rollups,
            dropped: [self.source.dropped(), &self.plan.dropped].concat(),
        }
    }
}

/// In which types a target differs from what is wanted, in words.
fn differences(
    what: &str,
    wanted: &BTreeMap<String, TypeDigest>,
    found: &BTreeMap<String, TypeDigest>,
) -> Vec<String> {
    let differ = wanted
        .iter()
        .filter(|(name, digest)| found.get(*name) != Some(*digest));
    differ
        .map(|(name, digest)| {
            let found = found.get(name).map_or(0, |found| found.count);
            let wanted = digest.count;
            format!("{what}{name} ({wanted} in the source, {found} in the target)")
        })
        .collect()
}

fn foreign(what: &str) -> Error {
    Error::invalid(
        "target",
        format!("holds {what}; name a store that is empty or not there yet"),
    )
}
