//! Filter → SQL, with the same answer as [`Filter::matches`] for every row.
//!
//! SQL has three truth values and filters have two, so every test that is written here is 0 or 1
//! and never NULL: `NOT` may stand before any of them. `LIKE` is not used: it folds case and has
//! characters of its own.

use osis_core::query::{Filter, Test};
use osis_core::schema::{Column, FieldKind, Item, Type};
use osis_core::value::Value;

use crate::names;
use crate::sql::Sql;

/// Adds the condition that a filter puts on the rows of the type's table `t`.
pub(crate) fn condition(sql: &mut Sql, ty: &Type, filter: &Filter) {
    match filter {
        Filter::All(parts) => join(sql, ty, parts, " AND ", "1"),
        Filter::Any(parts) => join(sql, ty, parts, " OR ", "0"),
        Filter::Not(part) => {
            sql.push("NOT (");
            condition(sql, ty, part);
            sql.push(")");
        }
        Filter::Column(column, test) => column_test(sql, ty, *column, test),
    }
}

/// Adds a `WHERE` with the condition of a filter, unless it means every row.
pub(crate) fn restrict(sql: &mut Sql, ty: &Type, filter: &Filter) {
    if *filter != Filter::EVERY {
        sql.push(" WHERE ");
        condition(sql, ty, filter);
    }
}

fn join(sql: &mut Sql, ty: &Type, parts: &[Filter], operator: &str, empty: &str) {
    match parts {
        [] => {
            sql.push(empty);
        }
        [one] => condition(sql, ty, one),
        _ => {
            for (n, part) in parts.iter().enumerate() {
                sql.push(if n == 0 { "(" } else { operator });
                condition(sql, ty, part);
            }
            sql.push(")");
        }
    }
}

fn column_test(sql: &mut Sql, ty: &Type, column: Column, test: &Test) {
    let name = format!("t.{}", names::column(ty, column));
    let kind = ty.column_kind(column);
    let never_null = ty.never_null(column);
    match test {
        Test::Eq(value) => equal(sql, &name, kind, never_null, value),
        Test::In(values) => one_of(sql, &name, kind, never_null, values),
        Test::Exists(true) => _ = sql.push(&name).push(" IS NOT NULL"),
        Test::Exists(false) => _ = sql.push(&name).push(" IS NULL"),
        Test::Gt(bound) => ordered(sql, &name, kind, never_null, " > ", bound),
        Test::Gte(bound) => ordered(sql, &name, kind, never_null, " >= ", bound),
        Test::Lt(bound) => ordered(sql, &name, kind, never_null, " < ", bound),
        Test::Lte(bound) => ordered(sql, &name, kind, never_null, " <= ", bound),
        Test::Prefix(start) => prefix(sql, &name, kind, never_null, start),
        Test::Has(item) => has(sql, ty, column, item),
    }
}

fn equal(sql: &mut Sql, name: &str, kind: &FieldKind, never_null: bool, value: &Value) {
    if !fits(kind, value) || (never_null && value.is_null()) {
        sql.push("0");
    } else {
        // Both use an index; `=` lets the planner see too that a key has one row at most.
        sql.push(name)
            .push(if never_null { " = " } else { " IS " })
            .value(value);
    }
}

fn one_of(sql: &mut Sql, name: &str, kind: &FieldKind, never_null: bool, values: &[Value]) {
    if let [value] = values {
        return equal(sql, name, kind, never_null, value);
    }
    let known = values
        .iter()
        .filter(|value| !value.is_null() && fits(kind, value));
    if never_null {
        sql.push(name).push(" IN ").array(known);
    } else if values.iter().any(Value::is_null) {
        sql.push("(")
            .push(name)
            .push(" IS NULL OR ")
            .push(name)
            .push(" IN ")
            .array(known)
            .push(")");
    } else {
        sql.push("(").push(name).push(" IS NOT NULL AND ");
        sql.push(name).push(" IN ").array(known).push(")");
    }
}

fn ordered(
    sql: &mut Sql,
    name: &str,
    kind: &FieldKind,
    never_null: bool,
    operator: &str,
    bound: &Value,
) {
    if bound.is_null() || !fits(kind, bound) {
        sql.push("0");
    } else if never_null {
        sql.push(name).push(operator).value(bound);
    } else {
        sql.push("(").push(name).push(" IS NOT NULL AND ");
        sql.push(name).push(operator).value(bound).push(")");
    }
}

/// Texts that begin with `start` are those from `start` up to its successor, which an index on
/// the column can serve.
fn prefix(sql: &mut Sql, name: &str, kind: &FieldKind, never_null: bool, start: &str) {
    if !is_text(kind) {
        sql.push("0");
        return;
    }
    sql.push("(");
    if !never_null {
        sql.push(name).push(" IS NOT NULL AND ");
    }
    sql.push(name).push(" >= ").text(start);
    if let Some(end) = successor(start) {
        sql.push(" AND ").push(name).push(" < ").text(end);
    }
    sql.push(")");
}

/// The least text that is greater than all that begin with `start`; nothing if there is none.
///
/// The order of UTF-8 is that of the code points, so the last one that has a successor is raised;
/// surrogates are no characters and are skipped.
fn successor(start: &str) -> Option<String> {
    let mut characters: Vec<char> = start.chars().collect();
    while let Some(last) = characters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

fn has(sql: &mut Sql, ty: &Type, column: Column, item: &Value) {
    let (Column::Field(field), FieldKind::List(kind)) = (column, ty.column_kind(column)) else {
        sql.push("0");
        return;
    };
    let fits = match kind {
        Item::String => matches!(item, Value::Str(_)),
        Item::Int => matches!(item, Value::Int(_)),
    };
    if !fits {
        sql.push("0");
    } else if ty.fields[field].index {
        let table = names::quote(&names::list_table(ty, field));
        sql.push("t.\"_n\" IN (SELECT n FROM ")
            .push(&table)
            .push(" WHERE value = ");
        sql.value(item).push(")");
    } else {
        sql.push("EXISTS (SELECT 1 FROM json_each(t.")
            .push(&names::column(ty, column));
        sql.push(") WHERE value = ").value(item).push(")");
    }
}

fn is_text(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::String | FieldKind::Text | FieldKind::Enum(_) | FieldKind::Ref { .. }
    )
}

/// Whether a value has the form that the kind prescribes. Filters of callers have; a value of
/// another form is never equal, and SQLite must not convert it.
fn fits(kind: &FieldKind, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(_) => *kind == FieldKind::Bool,
        Value::Int(_) => *kind == FieldKind::Int,
        Value::Float(_) => *kind == FieldKind::Float,
        Value::Str(_) => is_text(kind),
        Value::Time(_) => *kind == FieldKind::Time,
        Value::List(_) => matches!(kind, FieldKind::List(_)),
        Value::Json(_) => *kind == FieldKind::Json,
        Value::Bytes(_) => *kind == FieldKind::Bytes,
    }
}
