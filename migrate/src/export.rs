//! Export: every object of a store as a line of JSON, referents before those that refer to them, and
//! every cell of its roll-ups.

use std::io::Write;

use async_trait::async_trait;
use osis_core::backend::Scope;
use osis_core::output::Whole;
use osis_core::rollup::{Cell, text};
use osis_core::schema::{Schema, Type, TypeId};
use osis_core::store::Principal;
use osis_core::{Error, Result, Row, Store};

use crate::Progress;
use crate::order::{Sink, in_order};
use crate::view::{each_cell, is_rolled_up};

/// What is exported.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only these types; all if empty.
    pub types: Vec<TypeId>,
    /// Whether secrets are left out.
    pub without_secrets: bool,
}

/// Writes the objects of a store, as of one moment, as lines `{"type": …, "object": …}`, and behind
/// them the cells of its roll-ups, `{"rollup": …, "row": …}`; answers how many objects there are.
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
    let mut reader = store.read(who, Scope::Consistent, None).await?;
    let mut lines = Lines {
        schema: store.schema(),
        selection,
        out,
        count: 0,
        progress,
    };
    in_order(store.schema(), &selection.types, &mut reader, &mut lines).await?;
    for ty in &store.schema().types {
        let is_wanted = selection.types.is_empty() || selection.types.contains(&ty.id);
        if is_wanted && is_rolled_up(ty) {
            let mut write = |cell: &Cell| lines.write_cell(ty, cell);
            each_cell(&mut reader, ty, &mut write).await?;
        }
    }
    lines.out.flush().map_err(|error| not_written(&error))?;
    Ok(lines.count)
}

fn not_written(error: &std::io::Error) -> Error {
    Error::internal(
        format!("the export cannot be written: {error}"),
        error.to_string(),
    )
}

struct Lines<'a> {
    schema: &'a Schema,
    selection: &'a Selection,
    out: &'a mut (dyn Write + Send),
    count: u64,
    progress: Progress<'a>,
}

#[async_trait]
impl Sink for Lines<'_> {
    async fn take(&mut self, type_id: TypeId, rows: Vec<Row>) -> Result<()> {
        for row in &rows {
            self.write(type_id, row)
                .map_err(|error| not_written(&error))?;
        }
        self.count += rows.len() as u64;
        (self.progress)(rows.len() as u64);
        Ok(())
    }
}

impl Lines<'_> {
    fn write_cell(&mut self, ty: &Type, cell: &Cell) -> Result<()> {
        let row = text::Shown { ty, cell }.text()?;
        let name = &ty.name;
        writeln!(self.out, "{{\"rollup\":\"{name}\",\"row\":{row}}}")
            .map_err(|error| not_written(&error))?;
        (self.progress)(1);
        Ok(())
    }

    fn write(&mut self, type_id: TypeId, row: &Row) -> std::io::Result<()> {
        let ty = &self.schema.types[type_id];
        let object = Whole {
            ty,
            row,
            secrets: !self.selection.without_secrets,
        };
        write!(self.out, "{{\"type\":\"{}\",\"object\":", ty.name)?;
        serde_json::to_writer(&mut *self.out, &object)?;
        self.out.write_all(b"}\n")
    }
}
