//! Duplicates in a source: what is kept, what is dropped, and who refers to what from then on.
//!
//! A store of ours never holds two objects with one key; what an older program or a race left may.
//! All is found before anything is written. Merging two objects points the references to one at the
//! other, which may give two more objects the same key: so it goes on until no duplicate is left.

mod index;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use osis_core::schema::{FieldKind, Schema, TypeId};
use osis_core::{Id, Result, Row};

use crate::Progress;
use crate::view::{Page, View};
use index::{Index, point};

/// What becomes of objects that have a key together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// They are listed, and nothing is done.
    Fail,
    /// The oldest stays: the least by time of making, then id.
    KeepOldest,
    /// The newest stays: the greatest by time of making, then id.
    KeepNewest,
}

/// An object that was dropped for another.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Dropped {
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its id.
    pub id: Id,
    /// The object that takes its place.
    pub kept: Id,
    /// The key that both have; a secret is null.
    pub key: serde_json::Value,
}

/// What is done about the duplicates of a source.
#[derive(Debug)]
pub struct Plan {
    /// What became of them.
    pub policy: Policy,
    /// What is dropped, in the order in which it was found.
    pub dropped: Vec<Dropped>,
    /// References to nothing.
    pub dangling: Vec<Dangling>,
    /// What takes the place of what is dropped.
    instead: HashMap<(TypeId, Id), Id>,
}

impl Policy {
    /// As options name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::KeepOldest => "keep-oldest",
            Self::KeepNewest => "keep-newest",
        }
    }
}

impl Plan {
    /// Of a source without duplicates.
    pub fn of(policy: Policy) -> Self {
        Self {
            policy,
            dropped: Vec::new(),
            dangling: Vec::new(),
            instead: HashMap::new(),
        }
    }

    /// Refuses references to nothing.
    ///
    /// # Errors
    /// `Invalid` that lists them.
    pub(crate) fn refuse_dangling(&self) -> Result<()> {
        if self.dangling.is_empty() {
            return Ok(());
        }
        let faults = self.dangling.iter().map(|dangling| {
            let place = format!("{} {}", dangling.type_name, dangling.id);
            (place, dangling.message.clone())
        });
        Err(crate::many(faults.collect()))
    }

    /// Whether an object is dropped.
    pub(crate) fn drops(&self, type_id: TypeId, id: &Id) -> bool {
        self.instead.contains_key(&(type_id, id.clone()))
    }

    /// An object as it is to be; nothing of one that is dropped.
    pub(crate) fn row(&self, schema: &Schema, type_id: TypeId, mut row: Row) -> Option<Row> {
        if self.drops(type_id, &row.id) {
            return None;
        }
        for (at, field) in schema.types[type_id].fields.iter().enumerate() {
            if let FieldKind::Ref { to, .. } = field.kind {
                point(&mut row.values[at], to, &self.instead);
            }
        }
        Some(row)
    }
}

/// A reference to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    /// The type that refers.
    pub type_name: String,
    /// The object that refers.
    pub id: Id,
    /// Which field refers to what.
    pub message: String,
}

/// Looks for duplicates and for references to nothing.
///
/// # Errors
/// `Invalid` that lists the duplicates, where they are not to be dropped; those of the view.
pub async fn plan(
    schema: &Schema,
    view: &mut dyn View,
    policy: Policy,
    progress: Progress<'_>,
) -> Result<Plan> {
    let mut index = Index::read(schema, view, progress).await?;
    if policy == Policy::Fail {
        index.refuse_duplicates()?;
    }
    let mut plan = Plan::of(policy);
    while index.drop_some(policy, &mut plan) {}
    for dropped in &mut plan.dropped {
        let type_id = schema.find(&dropped.type_name).map_or(0, |ty| ty.id);
        dropped.kept = last(&plan.instead, type_id, &dropped.kept);
    }
    let keys: Vec<(TypeId, Id)> = plan.instead.keys().cloned().collect();
    for (type_id, id) in keys {
        let kept = last(&plan.instead, type_id, &id);
        plan.instead.insert((type_id, id), kept);
    }
    plan.dangling = index.dangling();
    Ok(plan)
}

/// What stands for an object in the end: what was kept may have been dropped for a third.
fn last(instead: &HashMap<(TypeId, Id), Id>, type_id: TypeId, id: &Id) -> Id {
    let mut id = id.clone();
    while let Some(next) = instead.get(&(type_id, id.clone())) {
        id = next.clone();
    }
    id
}

/// A source without its duplicates.
pub(crate) struct Clean {
    pub(crate) inner: Box<dyn View>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) plan: Arc<Plan>,
}

#[async_trait]
impl View for Clean {
    async fn page(&mut self, type_id: TypeId, after: Option<&Id>) -> Result<Page> {
        let page = self.inner.page(type_id, after).await?;
        let rows = page.rows.into_iter();
        Ok(Page {
            rows: rows
                .filter_map(|row| self.plan.row(&self.schema, type_id, row))
                .collect(),
            next: page.next,
        })
    }

    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        let found = self.inner.get(type_id, ids).await?.into_iter();
        Ok(found
            .map(|row| self.plan.row(&self.schema, type_id, row?))
            .collect())
    }
}
