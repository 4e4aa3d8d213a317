//! From one schema to another: the statements that change the tables, and those that change them
//! back.
//!
//! The tables themselves are compared, as [`Layout`] describes them, not the words of the schema:
//! so whatever the schema language has, what differs in the database is what is changed. Whether a
//! change may be made without asking is not decided here but by [`osis_core::schema::diff`].

use std::collections::BTreeMap;

use osis_core::schema::{Schema, Type};

use crate::layout::{Layout, Parts};
use crate::names::quote;

/// The statements of one change of schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// From the schema before to this one.
    pub up: Vec<String>,
    /// Back again.
    pub down: Vec<String>,
}

impl Steps {
    /// Statements as the history of schemas keeps them: a JSON list.
    pub fn json(statements: &[String]) -> String {
        serde_json::Value::from(statements).to_string()
    }
}

/// Plans the change, or says what of it cannot be done without loss; `layout` says what a type of a
/// schema is in the database.
///
/// # Errors
/// What would lose something, in words.
pub fn plan<P: Parts>(
    old: &Schema,
    new: &Schema,
    layout: impl Fn(&Schema, &Type) -> Layout<P>,
) -> Result<Steps, Vec<String>> {
    let mut plan = Plan::default();
    for ty in &new.types {
        let wanted = layout(new, ty);
        match old.find(&ty.name) {
            None => plan.create(&wanted, &ty.name),
            Some(before) => plan.change(&layout(old, before), &wanted, &ty.name),
        }
    }
    for ty in old.types.iter().filter(|ty| new.find(&ty.name).is_none()) {
        plan.refuse(format!("type {} is removed", ty.name));
    }
    plan.finish()
}

/// A change in the making.
#[derive(Debug, Default)]
pub struct Plan {
    up: Vec<String>,
    /// In the order in which they undo: the last first.
    down: Vec<String>,
    refused: Vec<String>,
}

impl Plan {
    fn finish(mut self) -> Result<Steps, Vec<String>> {
        if !self.refused.is_empty() {
            return Err(self.refused);
        }
        self.down.reverse();
        Ok(Steps {
            up: self.up,
            down: self.down,
        })
    }

    /// Notes what cannot be done without loss.
    pub fn refuse(&mut self, what: String) {
        self.refused.push(what);
    }

    /// Adds a step and what undoes it.
    pub fn step(&mut self, up: String, down: String) {
        self.up.push(up);
        self.down.push(down);
    }

    /// Adds statements, done in their order; what undoes them is done from the last to the first.
    pub fn steps(&mut self, up: Vec<String>, down: Vec<String>) {
        self.up.extend(up);
        self.down.extend(down);
    }

    fn create<P: Parts>(&mut self, layout: &Layout<P>, type_name: &str) {
        self.steps(layout.create(), P::remove(layout, type_name));
    }

    fn change<P: Parts>(&mut self, old: &Layout<P>, new: &Layout<P>, type_name: &str) {
        if old.table != new.table {
            self.refuse(format!("{type_name}: its plural changes"));
            return;
        }
        self.columns(old, new, type_name);
        self.indexes(&old.indexes, &new.indexes);
        P::change(self, old, new, type_name);
    }

    fn columns<P: Parts>(&mut self, old: &Layout<P>, new: &Layout<P>, type_name: &str) {
        let table = quote(&new.table);
        let before: BTreeMap<_, _> = old.columns.iter().cloned().collect();
        for (name, definition) in &new.columns {
            let column = quote(name);
            match before.get(name) {
                Some(before) if before == definition => {}
                Some(before) if before.replace(" NOT NULL", "") == *definition => self.step(
                    format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"),
                    format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"),
                ),
                Some(_) => self.refuse(format!("{type_name}.{name} is stored in another form")),
                None if definition.contains(" NOT NULL") => {
                    self.refuse(format!(
                        "{type_name}.{name} is required, and no object has it"
                    ));
                }
                None => self.step(
                    format!("ALTER TABLE {table} ADD COLUMN {column} {definition}"),
                    format!("ALTER TABLE {table} DROP COLUMN {column}"),
                ),
            }
        }
        for (name, _) in &old.columns {
            if !new.columns.iter().any(|(kept, _)| kept == name) {
                self.refuse(format!("{type_name}.{name} is removed"));
            }
        }
    }

    fn indexes(&mut self, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) {
        let drop = |name: &str| format!("DROP INDEX {}", quote(name));
        for (name, sql) in old
            .iter()
            .filter(|(name, sql)| new.get(*name) != Some(*sql))
        {
            self.step(drop(name), sql.clone());
        }
        for (name, sql) in new
            .iter()
            .filter(|(name, sql)| old.get(*name) != Some(*sql))
        {
            self.step(sql.clone(), drop(name));
        }
    }
}
