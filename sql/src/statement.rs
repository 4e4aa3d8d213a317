//! A statement in the making: its text, and the values for its placeholders in their order.
//!
//! Values never become part of the text, so one shape of query is one statement.

use std::marker::PhantomData;

use osis_core::schema::FieldKind;
use osis_core::value::Value;

use crate::dialect::Dialect;

/// A statement with its values.
#[derive(Debug)]
pub struct Sql<D> {
    text: String,
    params: Vec<Param>,
    dialect: PhantomData<D>,
}

/// What stands at one placeholder.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// One value, null or of a kind. Enums, refs and texts are strings here.
    One(Value, FieldKind),
    /// Any number of values of a kind.
    Many(Vec<Value>, FieldKind),
}

impl<D: Dialect> Sql<D> {
    /// A statement that begins so.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            params: Vec::new(),
            dialect: PhantomData,
        }
    }

    /// Its text.
    pub fn text_so_far(&self) -> &str {
        &self.text
    }

    /// Its values.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// Adds text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a placeholder for a value of a column of a kind.
    pub fn value(&mut self, value: &Value, kind: &FieldKind) -> &mut Self {
        self.bind(value.clone(), form(kind))
    }

    /// Adds a placeholder for an item of a list.
    pub fn item(&mut self, item: &Value) -> &mut Self {
        let kind = match item {
            Value::Int(_) => FieldKind::Int,
            _ => FieldKind::String,
        };
        self.bind(item.clone(), kind)
    }

    /// Adds a placeholder for a text.
    pub fn text(&mut self, text: impl Into<String>) -> &mut Self {
        let text: String = text.into();
        self.bind(Value::Str(text.into()), FieldKind::String)
    }

    /// Adds a placeholder for a whole number.
    pub fn int(&mut self, number: i64) -> &mut Self {
        self.bind(Value::Int(number), FieldKind::Int)
    }

    /// Adds a placeholder for a number of rows.
    pub fn limit(&mut self, limit: usize) -> &mut Self {
        self.int(i64::try_from(limit).unwrap_or(i64::MAX))
    }

    /// Adds, behind a column, that it is one of these values of its kind: the text is the same for
    /// any number of them.
    pub fn among<'a>(
        &mut self,
        values: impl Iterator<Item = &'a Value>,
        kind: &FieldKind,
    ) -> &mut Self {
        let mark = D::placeholder(self.params.len() + 1);
        self.params
            .push(Param::Many(values.cloned().collect(), form(kind)));
        self.push(&D::among(&mark))
    }

    /// Adds a placeholder for any number of values of a kind.
    pub fn many(&mut self, values: Vec<Value>, kind: &FieldKind) -> &mut Self {
        let mark = D::placeholder(self.params.len() + 1);
        self.params.push(Param::Many(values, form(kind)));
        self.push(&mark)
    }

    fn bind(&mut self, value: Value, kind: FieldKind) -> &mut Self {
        let mark = D::placeholder(self.params.len() + 1);
        self.params.push(Param::One(value, kind));
        self.push(&mark)
    }
}

/// A kind without what the database does not know of it.
fn form(kind: &FieldKind) -> FieldKind {
    match kind {
        FieldKind::Text | FieldKind::Enum(_) | FieldKind::Ref { .. } => FieldKind::String,
        other => other.clone(),
    }
}
