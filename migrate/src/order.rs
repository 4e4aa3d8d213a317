//! Objects in an order in which each comes after those that it refers to.

use std::collections::HashSet;

use async_trait::async_trait;
use osis_core::schema::{FieldKind, Schema, Type, TypeId};
use osis_core::{Id, Result, Row};

use crate::view::View;

/// Takes rows, one lot after another.
#[async_trait]
pub(crate) trait Sink: Send {
    /// Takes rows of a type.
    async fn take(&mut self, type_id: TypeId, rows: Vec<Row>) -> Result<()>;
}

/// Gives all objects of some types (of all, where none is named) to a sink, referents first.
///
/// # Errors
/// Those of the view and of the sink.
pub(crate) async fn in_order(
    schema: &Schema,
    only: &[TypeId],
    view: &mut dyn View,
    sink: &mut dyn Sink,
) -> Result<()> {
    let mut walk = Walk { schema, view, sink };
    for group in groups(schema) {
        let wanted: Vec<TypeId> = group
            .into_iter()
            .filter(|ty| only.is_empty() || only.contains(ty))
            .collect();
        match wanted.as_slice() {
            [one] if !refers_to(&schema.types[*one], *one) => walk.plain(*one).await?,
            types => walk.knotted(types).await?,
        }
    }
    Ok(())
}

struct Walk<'a> {
    schema: &'a Schema,
    view: &'a mut dyn View,
    sink: &'a mut dyn Sink,
}

impl Walk<'_> {
    /// Objects of a type that does not refer to itself, in the order of their ids.
    async fn plain(&mut self, type_id: TypeId) -> Result<()> {
        let mut after: Option<Id> = None;
        loop {
            let page = self.view.page(type_id, after.as_ref()).await?;
            self.sink.take(type_id, page.rows).await?;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Objects of types that refer to themselves or to one another in a circle: each after those
    /// that it refers to, as far as the objects themselves form no circle.
    async fn knotted(&mut self, types: &[TypeId]) -> Result<()> {
        let mut done: HashSet<(TypeId, Id)> = HashSet::new();
        for &type_id in types {
            let mut after: Option<Id> = None;
            loop {
                let page = self.view.page(type_id, after.as_ref()).await?;
                for row in page.rows {
                    self.with_referents(types, type_id, row, &mut done).await?;
                }
                match page.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(())
    }

    async fn with_referents(
        &mut self,
        types: &[TypeId],
        type_id: TypeId,
        row: Row,
        done: &mut HashSet<(TypeId, Id)>,
    ) -> Result<()> {
        if !done.insert((type_id, row.id.clone())) {
            return Ok(());
        }
        // A stack of our own: chains of references may be long.
        let mut stack = vec![(type_id, row)];
        while let Some((type_id, row)) = stack.last().cloned() {
            let mut waiting = None;
            for (to, id) in referents(&self.schema.types[type_id], &row) {
                if types.contains(&to) && done.insert((to, id.clone())) {
                    let found = self.view.get(to, &[id]).await?;
                    waiting = found.into_iter().flatten().next().map(|row| (to, row));
                    break;
                }
            }
            match waiting {
                Some(next) => stack.push(next),
                None => {
                    self.sink.take(type_id, vec![row]).await?;
                    stack.pop();
                }
            }
        }
        Ok(())
    }
}

fn referents<'a>(ty: &'a Type, row: &'a Row) -> impl Iterator<Item = (TypeId, Id)> + 'a {
    ty.fields
        .iter()
        .zip(&row.values)
        .filter_map(|(field, value)| match field.kind {
            FieldKind::Ref { to, .. } => value.as_str().map(|id| (to, Id::trusted(id))),
            _ => None,
        })
}

fn refers_to(ty: &Type, to: TypeId) -> bool {
    ty.fields
        .iter()
        .any(|field| matches!(field.kind, FieldKind::Ref { to: own, .. } if own == to))
}

/// The types in groups, referents first; a group of several refers to itself in a circle.
pub(crate) fn groups(schema: &Schema) -> Vec<Vec<TypeId>> {
    let reachable: Vec<HashSet<TypeId>> = schema
        .types
        .iter()
        .map(|ty| reachable(schema, ty.id))
        .collect();
    let mut left: Vec<TypeId> = (0..schema.types.len()).collect();
    let mut groups = Vec::new();
    while let Some(&first) = left.iter().find(|&&ty| {
        // Everything that it reaches is written already, or reaches it in turn.
        let mut open = reachable[ty].iter().filter(|other| left.contains(other));
        open.all(|&other| other == ty || reachable[other].contains(&ty))
    }) {
        let group: Vec<TypeId> = left
            .iter()
            .copied()
            .filter(|&ty| {
                ty == first || (reachable[first].contains(&ty) && reachable[ty].contains(&first))
            })
            .collect();
        left.retain(|ty| !group.contains(ty));
        groups.push(group);
    }
    groups
}

fn reachable(schema: &Schema, from: TypeId) -> HashSet<TypeId> {
    let mut found = HashSet::new();
    let mut next = vec![from];
    while let Some(type_id) = next.pop() {
        for field in &schema.types[type_id].fields {
            if let FieldKind::Ref { to, .. } = field.kind
                && found.insert(to)
            {
                next.push(to);
            }
        }
    }
    found
}
