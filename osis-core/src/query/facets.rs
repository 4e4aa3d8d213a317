//! Facets: how many of the objects that a search finds have each value of a field.

use std::collections::HashMap;

use crate::object::Row;
use crate::schema::{Column, FieldKind, Type};
use crate::value::Value;

/// So many values of a facet are told.
const VALUES_MAX: usize = 100;

/// Values of a field, and how many objects have each.
pub type Facet = Vec<(Value, u64)>;

/// Counts the values of some columns, object by object.
///
/// An unset field is a value of its own, as in groups of an aggregate. Of a list each different
/// item counts once for an object; a list without items counts for nothing.
#[derive(Debug)]
pub struct Tally {
    /// The columns, and whether each holds lists.
    columns: Vec<(Column, bool)>,
    counts: Vec<HashMap<Value, u64>>,
}

impl Tally {
    /// Of some columns of a type.
    pub fn new(ty: &Type, columns: &[Column]) -> Self {
        let columns_of = columns.iter().map(|column| {
            let is_list = matches!(ty.column_kind(*column), FieldKind::List(_));
            (*column, is_list)
        });
        Self {
            columns: columns_of.collect(),
            counts: vec![HashMap::new(); columns.len()],
        }
    }

    /// Whether there is nothing to count.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Counts an object.
    pub fn add(&mut self, row: &Row) {
        for place in 0..self.columns.len() {
            let value = row.seen(self.columns[place].0);
            self.add_value(place, &value);
        }
    }

    /// Counts what an object has in the column at a place.
    pub fn add_value(&mut self, place: usize, value: &Value) {
        let counts = &mut self.counts[place];
        let mut add = |value: &Value| match counts.get_mut(value) {
            Some(count) => *count += 1,
            None => _ = counts.insert(value.clone(), 1),
        };
        match value {
            Value::List(items) => {
                let mut items: Vec<&Value> = items.iter().collect();
                items.sort_unstable_by(|a, b| a.order(b));
                items.dedup();
                items.into_iter().for_each(add);
            }
            Value::Null if self.columns[place].1 => {}
            value => add(value),
        }
    }

    /// For each column its values, the most frequent first, then in their own order; at most 100.
    pub fn finish(self) -> Vec<Facet> {
        let facets = self.counts.into_iter().map(|counts| {
            let mut facet: Facet = counts.into_iter().collect();
            facet.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.order(&b.0)));
            facet.truncate(VALUES_MAX);
            facet
        });
        facets.collect()
    }
}
