//! Duplicates in a source: what is kept, what is dropped, and who refers to what from then on.
//!
//! A store of ours never holds two objects with one key; what an older program or a race left may.
//! All is found before anything is written. Merging two objects points the references to one at the
//! other, which may give two more objects the same key: so it goes on until no duplicate is left.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use osis_core::output::plain_json;
use osis_core::schema::{FieldKind, KeyId, Schema, Type, TypeId};
use osis_core::{Id, Result, Row, Time, Value};
use serde_json::{Map, json};

use crate::Progress;
use crate::view::{Page, View};

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

/// What is known of an object: enough to compare its keys.
struct Known {
    id: Id,
    created_at: Time,
    /// Its fields; null where they are neither part of a key nor a reference.
    values: Box<[Value]>,
    dropped: bool,
}

/// All objects that could clash, be referred to, or refer.
struct Index<'a> {
    schema: &'a Schema,
    types: Vec<Vec<Known>>,
}

impl<'a> Index<'a> {
    async fn read(schema: &'a Schema, view: &mut dyn View, progress: Progress<'_>) -> Result<Self> {
        let mut types = Vec::new();
        for ty in &schema.types {
            types.push(read_type(ty, view, &mut *progress).await?);
        }
        Ok(Self { schema, types })
    }

    /// The objects of a type that share a key, as positions; those with the least ids first.
    fn clashes(&self, ty: &Type, key: KeyId) -> Vec<Vec<usize>> {
        let mut holders: HashMap<Vec<Value>, Vec<usize>> = HashMap::new();
        let there = self.types[ty.id].iter().enumerate();
        for (at, known) in there.filter(|(_, known)| !known.dropped) {
            if let Some(values) = ty.keys[key].of(&known.values) {
                holders.entry(values).or_default().push(at);
            }
        }
        let mut clashes: Vec<Vec<usize>> =
            holders.into_values().filter(|at| at.len() > 1).collect();
        clashes.sort();
        clashes
    }

    fn refuse_duplicates(&self) -> Result<()> {
        let mut lines = Vec::new();
        for ty in &self.schema.types {
            for key in 0..ty.keys.len() {
                for clash in self.clashes(ty, key) {
                    let known = &self.types[ty.id];
                    let ids: Vec<&str> = clash.iter().map(|&at| known[at].id.as_str()).collect();
                    let shown = shown_key(ty, key, &known[clash[0]].values);
                    lines.push((
                        ty.name.clone(),
                        format!("{} have the same {shown}", ids.join(", ")),
                    ));
                }
            }
        }
        let Some((first, _)) = lines.first() else {
            return Ok(());
        };
        let message = format!(
            "the source holds {} duplicates; choose --dedup keep-oldest or keep-newest, or mend them",
            lines.len()
        );
        let mut faults = vec![(first.clone(), message)];
        faults.extend(lines);
        Err(crate::many(faults))
    }

    /// Drops the duplicates that there are now; whether there were any.
    fn drop_some(&mut self, policy: Policy, plan: &mut Plan) -> bool {
        let mut any = false;
        let schema = self.schema;
        for ty in &schema.types {
            for key in 0..ty.keys.len() {
                let clashes = self.clashes(ty, key);
                if clashes.is_empty() {
                    continue;
                }
                any = true;
                for clash in clashes {
                    self.merge(ty, key, clash, policy, plan);
                }
                self.point_anew(ty, plan);
            }
        }
        any
    }

    fn merge(
        &mut self,
        ty: &Type,
        key: KeyId,
        mut clash: Vec<usize>,
        policy: Policy,
        plan: &mut Plan,
    ) {
        let known = &mut self.types[ty.id];
        clash.sort_by(|&a, &b| {
            let age = |at: usize| (known[at].created_at, &known[at].id);
            age(a).cmp(&age(b))
        });
        let kept = match policy {
            Policy::KeepNewest => clash.pop(),
            Policy::KeepOldest | Policy::Fail => Some(clash.remove(0)),
        };
        let Some(kept) = kept.map(|at| known[at].id.clone()) else {
            return;
        };
        for at in clash {
            let loser = &mut known[at];
            loser.dropped = true;
            plan.instead.insert((ty.id, loser.id.clone()), kept.clone());
            plan.dropped.push(Dropped {
                type_name: ty.name.clone(),
                id: loser.id.clone(),
                kept: kept.clone(),
                key: key_json(ty, key, &loser.values),
            });
        }
    }

    /// Points the references to dropped objects of a type at what took their place.
    fn point_anew(&mut self, ty: &Type, plan: &Plan) {
        for referrer in &ty.referrers {
            for known in &mut self.types[referrer.type_id] {
                point(&mut known.values[referrer.field], ty.id, &plan.instead);
            }
        }
    }

    fn dangling(&self) -> Vec<Dangling> {
        let mut dangling = Vec::new();
        for to in self
            .schema
            .types
            .iter()
            .filter(|ty| !ty.referrers.is_empty())
        {
            let there: HashSet<&str> = self.types[to.id]
                .iter()
                .filter(|known| !known.dropped)
                .map(|known| known.id.as_str())
                .collect();
            for referrer in &to.referrers {
                let ty = &self.schema.types[referrer.type_id];
                for known in self.types[ty.id].iter().filter(|known| !known.dropped) {
                    let held = known.values[referrer.field].as_str();
                    if let Some(held) = held.filter(|held| !there.contains(held)) {
                        let name = &ty.fields[referrer.field].name;
                        let message =
                            format!("{name} refers to {} {held}, which does not exist", to.name);
                        dangling.push(Dangling {
                            type_name: ty.name.clone(),
                            id: known.id.clone(),
                            message,
                        });
                    }
                }
            }
        }
        dangling
    }
}

async fn read_type(ty: &Type, view: &mut dyn View, progress: Progress<'_>) -> Result<Vec<Known>> {
    let mut all = Vec::new();
    if ty.keys.is_empty() && ty.referrers.is_empty() && !refers(ty) {
        return Ok(all);
    }
    let mut after: Option<Id> = None;
    loop {
        let page = view.page(ty.id, after.as_ref()).await?;
        progress(page.rows.len() as u64);
        all.extend(page.rows.into_iter().map(|row| known(ty, row)));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(all),
        }
    }
}

fn refers(ty: &Type) -> bool {
    let mut fields = ty.fields.iter();
    fields.any(|field| matches!(field.kind, FieldKind::Ref { .. }))
}

fn known(ty: &Type, mut row: Row) -> Known {
    for (at, field) in ty.fields.iter().enumerate() {
        let in_key = ty.keys.iter().any(|key| key.fields.contains(&at));
        if !in_key && !matches!(field.kind, FieldKind::Ref { .. }) {
            row.values[at] = Value::Null;
        }
    }
    Known {
        id: row.id,
        created_at: row.created_at,
        values: row.values,
        dropped: false,
    }
}

/// Points a reference at what took the place of its target.
fn point(value: &mut Value, to: TypeId, instead: &HashMap<(TypeId, Id), Id>) {
    let Some(held) = value.as_str().map(Id::trusted) else {
        return;
    };
    if instead.contains_key(&(to, held.clone())) {
        *value = Value::from(last(instead, to, &held).as_str());
    }
}

/// A key with its values, as callers name it.
fn key_json(ty: &Type, key: KeyId, values: &[Value]) -> serde_json::Value {
    let fields = ty.keys[key].fields.iter().map(|&at| {
        let field = &ty.fields[at];
        let value = match field.secret {
            true => json!(null),
            false => plain_json(&values[at]),
        };
        (field.name.clone(), value)
    });
    serde_json::Value::Object(fields.collect::<Map<_, _>>())
}

fn shown_key(ty: &Type, key: KeyId, values: &[Value]) -> String {
    match ty.key_is_secret(key) {
        true => ty.key_fields(key).join(", "),
        false => key_json(ty, key, values).to_string(),
    }
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
