//! Filter → SQL, with the same answer as [`Filter::matches`] for every row.
//!
//! SQL has three truth values and filters have two, so every test that is written here is 0 or 1
//! and never NULL: `NOT` may stand before any of them. `LIKE` is not used: it folds case and has
//! characters of its own.

use osis_core::query::{Filter, Test};
use osis_core::schema::{Column, FieldKind, Item, Type};
use osis_core::value::Value;

use crate::dialect::Dialect;
use crate::names;
use crate::statement::Sql;

/// Writes the conditions that filters put on the rows of a type's table `t`.
#[derive(Debug, Clone, Copy)]
pub struct Conditions<'a, D> {
    ty: &'a Type,
    dialect: D,
}

impl<'a, D: Dialect> Conditions<'a, D> {
    /// For filters on a type.
    pub fn of(ty: &'a Type) -> Self {
        Self {
            ty,
            dialect: D::default(),
        }
    }

    /// The same, run in the way that a value of the dialect holds.
    #[must_use]
    pub fn with(self, dialect: D) -> Self {
        Self { dialect, ..self }
    }

    /// Adds a `WHERE` with the condition of a filter, unless it means every row.
    pub fn restrict(self, sql: &mut Sql<D>, filter: &Filter) {
        if *filter != Filter::EVERY {
            sql.push(" WHERE ");
            self.write(sql, filter);
        }
    }

    /// Adds the condition of a filter.
    pub fn write(self, sql: &mut Sql<D>, filter: &Filter) {
        match filter {
            Filter::All(parts) => self.join(sql, parts, " AND ", D::TRUE),
            Filter::Any(parts) => self.join(sql, parts, " OR ", D::FALSE),
            Filter::Not(part) => {
                sql.push("NOT (");
                self.write(sql, part);
                sql.push(")");
            }
            Filter::Column(column, Test::Has(item)) => self.has(sql, *column, item),
            Filter::Column(column, test) => {
                Tested::new::<D>(self.ty, *column).write(sql, test);
                self.help_by_fold(sql, *column, test);
            }
        }
    }

    fn join(self, sql: &mut Sql<D>, parts: &[Filter], operator: &str, empty: &str) {
        match parts {
            [] => _ = sql.push(empty),
            [one] => self.write(sql, one),
            _ => {
                for (n, part) in parts.iter().enumerate() {
                    sql.push(if n == 0 { "(" } else { operator });
                    self.write(sql, part);
                }
                sql.push(")");
            }
        }
    }

    /// A field that is unique regardless of case has an index over its folded form alone. What is
    /// equal is equal folded too, so saying both changes nothing but the way to it.
    fn help_by_fold(self, sql: &mut Sql<D>, column: Column, test: &Test) {
        let (Column::Field(field), Test::Eq(value @ Value::Str(_))) = (column, test) else {
            return;
        };
        let mut keys = self.ty.keys.iter();
        if let Some(key) = keys.find(|key| key.fold && key.fields.contains(&field)) {
            let folded = key.normalise(std::slice::from_ref(value));
            let column = format!("t.{}", names::fold_column::<D>(self.ty, field));
            sql.push(" AND ");
            D::same(sql, &column, &FieldKind::String, &folded[0]);
        }
    }

    fn has(self, sql: &mut Sql<D>, column: Column, item: &Value) {
        match (self.ty.column_kind(column), item, column) {
            (FieldKind::List(Item::String), Value::Str(_), Column::Field(field))
            | (FieldKind::List(Item::Int), Value::Int(_), Column::Field(field)) => {
                self.dialect.has(sql, self.ty, field, item);
            }
            _ => _ = sql.push(D::FALSE),
        }
    }
}

/// A column under test.
struct Tested<'a> {
    name: String,
    kind: &'a FieldKind,
    never_null: bool,
}

impl<'a> Tested<'a> {
    fn new<D: Dialect>(ty: &'a Type, column: Column) -> Self {
        Self {
            name: D::comparable(
                format!("t.{}", names::column(ty, column)),
                ty.column_kind(column),
            ),
            kind: ty.column_kind(column),
            never_null: ty.never_null(column),
        }
    }

    fn write<D: Dialect>(&self, sql: &mut Sql<D>, test: &Test) {
        match test {
            Test::Eq(value) => self.equal(sql, value),
            Test::In(values) => self.one_of(sql, values),
            Test::Exists(true) => _ = sql.push(&self.name).push(" IS NOT NULL"),
            Test::Exists(false) => _ = sql.push(&self.name).push(" IS NULL"),
            Test::Gt(bound) => self.ordered(sql, " > ", bound),
            Test::Gte(bound) => self.ordered(sql, " >= ", bound),
            Test::Lt(bound) => self.ordered(sql, " < ", bound),
            Test::Lte(bound) => self.ordered(sql, " <= ", bound),
            Test::Prefix(start) => self.prefix(sql, start),
            // Not a matter of the column alone: see `Conditions`.
            Test::Has(_) => _ = sql.push(D::FALSE),
        }
    }

    fn equal<D: Dialect>(&self, sql: &mut Sql<D>, value: &Value) {
        if !fits(self.kind, value) || (self.never_null && value.is_null()) {
            sql.push(D::FALSE);
        } else if self.never_null {
            sql.push(&self.name).push(" = ").value(value, self.kind);
        } else {
            D::same(sql, &self.name, self.kind, value);
        }
    }

    fn one_of<D: Dialect>(&self, sql: &mut Sql<D>, values: &[Value]) {
        if let [value] = values {
            return self.equal(sql, value);
        }
        let known = values
            .iter()
            .filter(|value| !value.is_null() && fits(self.kind, value));
        let known: Vec<&Value> = known.collect();
        if self.never_null {
            D::one_of(sql, &self.name, self.kind, &known);
            return;
        }
        let null_fits = values.iter().any(Value::is_null);
        sql.push("(").push(&self.name).push(if null_fits {
            " IS NULL OR "
        } else {
            " IS NOT NULL AND "
        });
        D::one_of(sql, &self.name, self.kind, &known);
        sql.push(")");
    }

    fn ordered<D: Dialect>(&self, sql: &mut Sql<D>, operator: &str, bound: &Value) {
        if bound.is_null() || !fits(self.kind, bound) {
            sql.push(D::FALSE);
            return;
        }
        self.open(sql);
        sql.push(&self.name)
            .push(operator)
            .value(bound, self.kind)
            .push(")");
    }

    /// Texts that begin with `start` are those from `start` up to its successor, which an index on
    /// the column can serve.
    fn prefix<D: Dialect>(&self, sql: &mut Sql<D>, start: &str) {
        if !is_text(self.kind) {
            sql.push(D::FALSE);
            return;
        }
        self.open(sql);
        sql.push(&self.name).push(" >= ").text(start);
        if let Some(end) = successor(start) {
            sql.push(" AND ").push(&self.name).push(" < ").text(end);
        }
        sql.push(")");
    }

    /// Begins a condition that null does not meet: the first half makes it 0 where the second
    /// would be NULL.
    fn open<D: Dialect>(&self, sql: &mut Sql<D>) {
        sql.push("(");
        if !self.never_null {
            sql.push(&self.name).push(" IS NOT NULL AND ");
        }
    }
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

fn is_text(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::String | FieldKind::Text | FieldKind::Enum(_) | FieldKind::Ref { .. }
    )
}

/// Whether a value has the form that the kind prescribes. Filters of callers have; a value of
/// another form is never equal, and the database must not convert it.
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
