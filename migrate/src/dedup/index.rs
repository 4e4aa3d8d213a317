//! What is known of all objects of a source while duplicates are looked for: their keys, and what
//! they refer to.

use std::collections::{HashMap, HashSet};

use osis_core::output::plain_json;
use osis_core::schema::{FieldKind, KeyId, Schema, Type, TypeId};
use osis_core::{Id, Result, Row, Time, Value};
use serde_json::{Map, json};

use super::{Dangling, Dropped, Plan, Policy, last};
use crate::Progress;
use crate::view::View;

/// What is known of an object: enough to compare its keys.
struct Known {
    id: Id,
    created_at: Time,
    /// Its fields; null where they are neither part of a key nor a reference.
    values: Box<[Value]>,
    dropped: bool,
}

/// All objects that could clash, be referred to, or refer.
pub(super) struct Index<'a> {
    schema: &'a Schema,
    types: Vec<Vec<Known>>,
}

impl<'a> Index<'a> {
    pub(super) async fn read(
        schema: &'a Schema,
        view: &mut dyn View,
        progress: Progress<'_>,
    ) -> Result<Self> {
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

    pub(super) fn refuse_duplicates(&self) -> Result<()> {
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
        if lines.is_empty() {
            return Ok(());
        }
        let message = format!(
            "holds {} duplicates; choose --dedup keep-oldest or keep-newest, or mend them",
            lines.len()
        );
        let mut faults = vec![("source".to_owned(), message)];
        faults.extend(lines);
        Err(crate::many(faults))
    }

    /// Drops the duplicates that there are now; whether there were any.
    pub(super) fn drop_some(&mut self, policy: Policy, plan: &mut Plan) -> bool {
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

    pub(super) fn dangling(&self) -> Vec<Dangling> {
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
pub(super) fn point(value: &mut Value, to: TypeId, instead: &HashMap<(TypeId, Id), Id>) {
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
