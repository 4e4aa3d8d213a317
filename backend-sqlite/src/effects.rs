//! Writes what a batch comes to: rows, items of indexed lists, change records, and a note of what
//! the text index lacks.

use std::sync::LazyLock;

use osis_core::backend::Change;
use osis_core::object::Row;
use osis_core::resolve::{RowChange, Transition};
use osis_core::schema::{Column, FieldKind, Type};
use osis_core::text;
use osis_core::value::Value;
use osis_sql::{fold_fields, folded};
use rusqlite::{Connection, OptionalExtension, ToSql};

use crate::catalog::Catalog;
use crate::changes;
use crate::dialect::Sqlite;
use crate::error::{Failure, Outcome};
use crate::names;
use crate::rows::Bind;
use crate::sql::{Run, Sql};
use crate::statements::{ListStatements, TypeStatements};

static NOTE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT OR IGNORE INTO {} (type, n) VALUES (?, ?)",
        names::PENDING
    )
});

/// Writes the rows of one batch as the commit `seq`; tells whether the text index lacks something
/// now.
///
/// # Errors
/// Those of SQLite; then the transaction must not be committed.
pub(crate) fn write(
    connection: &Connection,
    catalog: &Catalog,
    rows: &[RowChange],
    seq: u64,
) -> Outcome<bool> {
    let mut ordinal = 0;
    let mut noted = false;
    for row in rows {
        let (ty, statements) = catalog.of(row.type_id);
        let writer = RowWriter {
            connection,
            ty,
            statements,
        };
        noted |= writer.write(&row.change)?;
        // Log types make no records.
        if let Some((id, rev, op)) = row.record(&catalog.schema) {
            let (type_id, id) = (row.type_id, id.clone());
            let record = Change {
                seq,
                type_id,
                id,
                rev,
                op,
                at: row.at,
            };
            changes::append(connection, &record, &ty.name, ordinal)?;
            ordinal += 1;
        }
    }
    Ok(noted)
}

struct RowWriter<'a> {
    connection: &'a Connection,
    ty: &'a Type,
    statements: &'a TypeStatements,
}

impl RowWriter<'_> {
    /// Tells whether the text index lacks something now.
    fn write(&self, change: &Transition) -> Outcome<bool> {
        let (number, before, after) = match change {
            Transition::Insert(row) => (self.insert(row)?, None, Some(row)),
            Transition::Update { before, after } => {
                (self.update(before, after)?, Some(before), Some(after))
            }
            Transition::Remove(row) => (self.remove(row)?, Some(row), None),
        };
        for list in &self.statements.lists {
            self.list(list, number, before, after)?;
        }
        self.note_text(number, before, after)
    }

    fn insert(&self, row: &Row) -> Outcome<i64> {
        let mut statement = self.connection.prepare_cached(&self.statements.insert)?;
        let mut next = 1;
        let mut bind = |value: &dyn ToSql| {
            let bound = statement.raw_bind_parameter(next, value);
            next += 1;
            bound
        };
        bind(&row.id.as_str())?;
        bind(&row.rev)?;
        bind(&Bind(&Value::Time(row.created_at)))?;
        bind(&Bind(&Value::Time(row.updated_at)))?;
        for value in &row.values {
            bind(&Bind(value))?;
        }
        for field in fold_fields(self.ty) {
            bind(&Bind(&folded(self.ty, field, row)))?;
        }
        statement.raw_execute()?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Sets the columns that change and no others: an index is written wherever one of its columns
    /// is set, even to what it was.
    fn update(&self, before: &Row, after: &Row) -> Outcome<i64> {
        let mut sql = Sql::new(&*self.statements.update);
        sql.int(after.rev)
            .push(", \"updated_at\" = ")
            .value(&Value::Time(after.updated_at), &FieldKind::Time);
        if before.created_at != after.created_at {
            sql.push(", \"created_at\" = ")
                .value(&Value::Time(after.created_at), &FieldKind::Time);
        }
        let changed = |field: &usize| before.values[*field] != after.values[*field];
        for field in (0..self.ty.fields.len()).filter(changed) {
            let column = names::column(self.ty, Column::Field(field));
            sql.push(", ")
                .push(&column)
                .push(" = ")
                .value(&after.values[field], &self.ty.fields[field].kind);
        }
        for field in fold_fields(self.ty).filter(changed) {
            let column = osis_sql::names::fold_column::<Sqlite>(self.ty, field);
            sql.push(", ")
                .push(&column)
                .push(" = ")
                .value(&folded(self.ty, field, after), &FieldKind::String);
        }
        sql.push(" WHERE \"id\" = ")
            .text(after.id.as_str())
            .push(" RETURNING \"_n\"");
        let numbers = sql.all(self.connection, |row| Ok(row.get(0)?))?;
        numbers.first().copied().ok_or_else(|| self.gone(after))
    }

    fn remove(&self, row: &Row) -> Outcome<i64> {
        let mut statement = self.connection.prepare_cached(&self.statements.remove)?;
        let number = statement
            .query_row([row.id.as_str()], |row| row.get(0))
            .optional()?;
        number.ok_or_else(|| self.gone(row))
    }

    /// What the rules have just seen must be there.
    fn gone(&self, row: &Row) -> Failure {
        Failure::Fault(format!("{} {} is gone", self.ty.name, row.id))
    }

    /// Keeps the side table of an indexed list in step.
    fn list(
        &self,
        list: &ListStatements,
        number: i64,
        before: Option<&Row>,
        after: Option<&Row>,
    ) -> Outcome<()> {
        let items = |row: Option<&Row>| row.map(|row| row.values[list.field].clone());
        let (before, after) = (items(before), items(after));
        if before == after {
            return Ok(());
        }
        for (value, sql) in [(before, &list.remove), (after, &list.add)] {
            let Some(value) = value else { continue };
            let mut statement = self.connection.prepare_cached(sql)?;
            for item in value.items() {
                statement.execute((Bind(item), number))?;
            }
        }
        Ok(())
    }

    /// Notes a row whose words are not those that the text index has.
    fn note_text(&self, number: i64, before: Option<&Row>, after: Option<&Row>) -> Outcome<bool> {
        if self.statements.text.is_none() {
            return Ok(false);
        }
        if let (Some(before), Some(after)) = (before, after) {
            let mut fields = text::searchable(self.ty).into_iter();
            if fields.all(|field| before.values[field] == after.values[field]) {
                return Ok(false);
            }
        }
        self.connection
            .prepare_cached(&NOTE)?
            .execute((&self.ty.name, number))?;
        Ok(true)
    }
}
