//! Export: every object of a store as a line of JSON, referents before those that refer to them.

use std::collections::HashSet;
use std::io::Write;

use osis_core::backend::Scope;
use osis_core::output::Whole;
use osis_core::schema::{FieldKind, Schema, Type, TypeId};
use osis_core::store::{Principal, Reader};
use osis_core::{Error, Id, Result, Row, Store};

use crate::{PAGE, Progress};

/// What is exported.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only these types; all if empty.
    pub types: Vec<TypeId>,
    /// Whether secrets are left out.
    pub without_secrets: bool,
}

/// Writes the objects of a store, as of one moment, as lines `{"type": …, "object": …}`; answers
/// how many.
///
/// # Errors
/// Those of the engine; an `Internal` error if `out` does not take a line.
pub async fn export(
    store: &Store,
    who: &Principal,
    selection: &Selection,
    out: &mut (dyn Write + Send),
    progress: Progress<'_>,
) -> Result<u64> {
    let schema = store.schema();
    let reader = store.read(who, Scope::Consistent, None).await?;
    let mut lines = Lines {
        schema,
        selection,
        reader,
        out,
        count: 0,
    };
    for group in groups(schema) {
        let wanted: Vec<TypeId> = group
            .into_iter()
            .filter(|ty| selection.types.is_empty() || selection.types.contains(ty))
            .collect();
        match wanted.as_slice() {
            [one] if !refers_to(&schema.types[*one], *one) => lines.plain(*one, progress).await?,
            types => lines.knotted(types, progress).await?,
        }
    }
    lines.out.flush().map_err(not_written)?;
    Ok(lines.count)
}

fn not_written(error: std::io::Error) -> Error {
    Error::internal(format!("the export cannot be written: {error}"), error)
}

struct Lines<'a> {
    schema: &'a Schema,
    selection: &'a Selection,
    reader: Reader,
    out: &'a mut (dyn Write + Send),
    count: u64,
}

impl Lines<'_> {
    fn write(&mut self, type_id: TypeId, row: &Row) -> Result<()> {
        let ty = &self.schema.types[type_id];
        let object = Whole {
            ty,
            row,
            secrets: !self.selection.without_secrets,
        };
        let write = || -> std::io::Result<()> {
            write!(self.out, "{{\"type\":\"{}\",\"object\":", ty.name)?;
            serde_json::to_writer(&mut *self.out, &object)?;
            self.out.write_all(b"}\n")
        };
        let mut write = write;
        write().map_err(not_written)?;
        self.count += 1;
        Ok(())
    }

    /// Objects of a type that does not refer to itself, in the order of their ids.
    async fn plain(
        &mut self,
        type_id: TypeId,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<()> {
        let mut after: Option<Id> = None;
        loop {
            let rows = self.reader.walk(type_id, after.as_ref(), PAGE).await?;
            rows.iter().try_for_each(|row| self.write(type_id, row))?;
            progress(rows.len() as u64);
            match rows.last() {
                Some(row) if rows.len() == PAGE => after = Some(row.id.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// Objects of types that refer to themselves or to one another in a circle: each after those
    /// that it refers to, as far as the objects themselves form no circle.
    async fn knotted(
        &mut self,
        types: &[TypeId],
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<()> {
        let mut done: HashSet<(TypeId, Id)> = HashSet::new();
        for &type_id in types {
            let mut after: Option<Id> = None;
            loop {
                let rows = self.reader.walk(type_id, after.as_ref(), PAGE).await?;
                let last = rows
                    .last()
                    .filter(|_| rows.len() == PAGE)
                    .map(|row| row.id.clone());
                progress(rows.len() as u64);
                for row in rows {
                    self.with_referents(types, type_id, row, &mut done).await?;
                }
                match last {
                    Some(id) => after = Some(id),
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
                    let found = self.reader.find_ids(to, &[id]).await?;
                    waiting = found.into_iter().flatten().next().map(|row| (to, row));
                    break;
                }
            }
            match waiting {
                Some(next) => stack.push(next),
                None => {
                    self.write(type_id, &row)?;
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
fn groups(schema: &Schema) -> Vec<Vec<TypeId>> {
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
