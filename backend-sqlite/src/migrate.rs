//! From one schema to another: the statements that change the tables, and those that change them
//! back.
//!
//! The tables themselves are compared, as [`Layout`] describes them, not the words of the schema:
//! so whatever the schema language has, what differs in the database is what is changed. Whether a
//! change may be made without asking is not decided here but by [`osis_core::schema::diff`].

use std::collections::BTreeMap;

use osis_core::schema::Schema;

use crate::ddl::{Layout, ListTable};
use crate::history::Steps;
use crate::names::{PENDING, literal, quote};

/// Plans the change, or says what of it cannot be done without loss.
///
/// # Errors
/// What would lose something, in words.
pub(crate) fn plan(old: &Schema, new: &Schema) -> Result<Steps, Vec<String>> {
    let mut plan = Plan::default();
    for ty in &new.types {
        let layout = Layout::of(new, ty);
        match old.find(&ty.name) {
            None => plan.create(&layout, &ty.name),
            Some(before) => plan.change(&Layout::of(old, before), &layout, &ty.name),
        }
    }
    for ty in old.types.iter().filter(|ty| new.find(&ty.name).is_none()) {
        plan.refuse(format!("type {} is removed", ty.name));
    }
    plan.finish()
}

#[derive(Default)]
struct Plan {
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

    fn refuse(&mut self, what: String) {
        self.refused.push(what);
    }

    fn step(&mut self, up: String, down: String) {
        self.up.push(up);
        self.down.push(down);
    }

    fn create(&mut self, layout: &Layout, type_name: &str) {
        self.up.extend(layout.create());
        self.down.push(format!(
            "DELETE FROM {PENDING} WHERE type = {}",
            literal(type_name)
        ));
        self.down
            .push(format!("DROP TABLE {}", quote(&layout.table)));
        self.down.extend(
            layout
                .lists
                .keys()
                .map(|name| format!("DROP TABLE {}", quote(name))),
        );
        self.down.extend(
            layout
                .text
                .iter()
                .map(|(name, _)| format!("DROP TABLE {}", quote(name))),
        );
    }

    fn change(&mut self, old: &Layout, new: &Layout, type_name: &str) {
        if old.table != new.table {
            self.refuse(format!("{type_name}: its plural changes"));
            return;
        }
        self.columns(old, new, type_name);
        self.indexes(&old.indexes, &new.indexes);
        self.lists(&new.table, &old.lists, &new.lists);
        if old.text != new.text {
            self.text(old, new, type_name);
        }
    }

    fn columns(&mut self, old: &Layout, new: &Layout, type_name: &str) {
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

    fn lists(
        &mut self,
        table: &str,
        old: &BTreeMap<String, ListTable>,
        new: &BTreeMap<String, ListTable>,
    ) {
        let drop = |name: &str| format!("DROP TABLE {}", quote(name));
        for (name, list) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
            self.up.push(drop(name));
            // Undone in reverse: first the table, then what is in it.
            self.down.push(fill(table, name, list));
            self.down.push(list.create.clone());
        }
        for (name, list) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
            self.step(list.create.clone(), drop(name));
            self.up.push(fill(table, name, list));
        }
    }

    /// A text index has fixed columns: where they change it is made anew, and everything is noted
    /// to be taken in.
    fn text(&mut self, old: &Layout, new: &Layout, type_name: &str) {
        let forget = format!("DELETE FROM {PENDING} WHERE type = {}", literal(type_name));
        let note = format!(
            "INSERT OR IGNORE INTO {PENDING} (type, n) SELECT {}, \"_n\" FROM {}",
            literal(type_name),
            quote(&new.table)
        );
        let replace = |from: &Layout, to: &Layout| {
            let mut steps = vec![forget.clone()];
            steps.extend(
                from.text
                    .iter()
                    .map(|(name, _)| format!("DROP TABLE {}", quote(name))),
            );
            if let Some((_, create)) = &to.text {
                steps.extend([create.clone(), note.clone()]);
            }
            steps
        };
        let mut back = replace(new, old);
        back.reverse();
        self.up.extend(replace(old, new));
        self.down.extend(back);
    }
}

/// Fills the side table of a list from the lists themselves.
fn fill(table: &str, name: &str, list: &ListTable) -> String {
    format!(
        "INSERT OR IGNORE INTO {} (value, n) \
         SELECT j.value, t.\"_n\" FROM {} t, json_each(t.{}) j",
        quote(name),
        quote(table),
        quote(&list.column)
    )
}
