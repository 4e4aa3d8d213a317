//! Objects into a store that is made a copy: a thousand a commit, referents first.
//!
//! What is there already stays, so a copy that was cut off goes on where it was.

use async_trait::async_trait;
use osis_core::backend::Scope;
use osis_core::batch::{Batch, MirrorObject, Op};
use osis_core::query::Filter;
use osis_core::schema::{Schema, TypeId};
use osis_core::store::{Principal, Reader};
use osis_core::{ErrorKind, Id, Result, Row, Store};

use crate::order::{Sink, in_order};
use crate::view::{View, weight};
use crate::{PAGE, Progress};

/// How many bytes of objects are written at once at most, but for one object that is larger.
const BYTES: usize = 8 << 20;

/// The target of a copy.
pub(crate) struct Copy<'a> {
    target: &'a Store,
    /// What is not written yet.
    waiting: Vec<MirrorObject>,
    /// How much of it there is, in bytes.
    weight: usize,
    /// How many objects are written at once, and how many bytes: more where they refer to one
    /// another in a circle.
    wanted: (usize, usize),
    progress: Progress<'a>,
}

impl<'a> Copy<'a> {
    pub(crate) fn new(target: &'a Store, progress: Progress<'a>) -> Self {
        Self {
            target,
            waiting: Vec::new(),
            weight: 0,
            wanted: (PAGE, BYTES),
            progress,
        }
    }

    /// Writes all that a view shows.
    pub(crate) async fn all(&mut self, schema: &Schema, view: &mut dyn View) -> Result<()> {
        in_order(schema, &[], view, self).await?;
        self.finish().await
    }

    /// Writes all of some types that a view shows.
    pub(crate) async fn types(
        &mut self,
        schema: &Schema,
        types: &[TypeId],
        view: &mut dyn View,
    ) -> Result<()> {
        if types.is_empty() {
            return Ok(());
        }
        in_order(schema, types, view, self).await?;
        self.finish().await
    }

    /// Takes rows as they should be; writes them as soon as there are enough.
    pub(crate) async fn take_rows(&mut self, type_id: TypeId, rows: Vec<Row>) -> Result<()> {
        let objects = rows.into_iter().map(|row| MirrorObject {
            type_id,
            id: row.id.clone(),
            row: Some(row),
        });
        self.take_all(objects.collect()).await
    }

    /// Takes objects as they should be; writes them as soon as there are enough.
    pub(crate) async fn take_all(&mut self, objects: Vec<MirrorObject>) -> Result<()> {
        for object in objects {
            self.weight += object.row.as_ref().map_or(0, weight);
            self.waiting.push(object);
            if self.waiting.len() >= self.wanted.0 || self.weight >= self.wanted.1 {
                self.write(false).await?;
            }
        }
        Ok(())
    }

    /// Writes what is left.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        self.write(true).await
    }

    async fn write(&mut self, at_end: bool) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let op = Op::Mirror {
            objects: self.waiting.clone(),
        };
        let written = self
            .target
            .write_one(&Principal::Operator, Batch::of(vec![op]));
        match written.await {
            // What is missing, or still in the way, may be seen to by what comes next.
            Err(error) if !at_end && waits_for_more(error.kind()) => {
                self.wanted = (self.waiting.len() * 2, (self.weight * 2).max(BYTES));
                return Ok(());
            }
            written => drop(written?),
        }
        (self.progress)(self.waiting.len() as u64);
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        self.waiting.clear();
        self.weight = 0;
        self.wanted = (PAGE, BYTES);
    }

    /// Removes what the target has and the view does not: what has gone from the source since a run
    /// that was cut off. The types stand in an order in which referents come first.
    pub(crate) async fn remove_gone(
        &mut self,
        types: &[TypeId],
        view: &mut dyn View,
        all: Removal,
    ) -> Result<()> {
        let mut gone: Vec<MirrorObject> = Vec::new();
        for &type_id in types.iter().rev() {
            self.find_gone(type_id, view, &mut gone).await?;
            match self.take_all(std::mem::take(&mut gone)).await {
                Ok(()) => {}
                Err(error) if all == Removal::AsFarAsPossible && waits_for_more(error.kind()) => {
                    self.forget();
                }
                Err(error) => return Err(error),
            }
        }
        match self.finish().await {
            Err(error) if all == Removal::AsFarAsPossible && waits_for_more(error.kind()) => {
                self.forget();
                Ok(())
            }
            done => done,
        }
    }

    async fn find_gone(
        &mut self,
        type_id: TypeId,
        view: &mut dyn View,
        gone: &mut Vec<MirrorObject>,
    ) -> Result<()> {
        let mut reader = self.reader().await?;
        let mut after: Option<Id> = None;
        loop {
            let page = reader.page(type_id, after.as_ref()).await?;
            let ids: Vec<Id> = page.rows.into_iter().map(|row| row.id).collect();
            let found = view.get(type_id, &ids).await?;
            let missing = ids
                .into_iter()
                .zip(found)
                .filter(|(_, found)| found.is_none());
            gone.extend(missing.map(|(id, _)| MirrorObject {
                type_id,
                id,
                row: None,
            }));
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn reader(&self) -> Result<Reader> {
        let who = Principal::Operator;
        self.target.read(&who, Scope::Consistent, None).await
    }
}

/// How much of what is gone must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// All.
    All,
    /// What nothing refers to.
    AsFarAsPossible,
}

#[async_trait]
impl Sink for Copy<'_> {
    async fn take(&mut self, type_id: TypeId, rows: Vec<Row>) -> Result<()> {
        self.take_rows(type_id, rows).await
    }
}

fn waits_for_more(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Reference { .. } | ErrorKind::Conflict { .. }
    )
}

/// The types of which a store holds anything.
///
/// # Errors
/// Those of the engine.
pub async fn filled(store: &Store) -> Result<Vec<String>> {
    let who = Principal::Operator;
    let mut reader = store.read(&who, Scope::Consistent, None).await?;
    let mut filled = Vec::new();
    for ty in &store.schema().types {
        if reader.count(ty.id, &Filter::EVERY).await? > 0 {
            filled.push(ty.name.clone());
        }
    }
    Ok(filled)
}

/// The log types of a schema, whose objects leave no records in the feed.
pub(crate) fn log_types(schema: &Schema) -> Vec<TypeId> {
    let logs = schema.types.iter().filter(|ty| ty.log().is_some());
    logs.map(|ty| ty.id).collect()
}
