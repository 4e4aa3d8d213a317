//! Schema → tables, indexes, partitions, as PostgreSQL has them.

use std::collections::BTreeMap;

use osis_core::schema::{Column, FieldKind, Schema, Type};
use osis_core::text;
use osis_sql::{Parts, Plan, columns, indexes, is_indexed_list};

use crate::dialect::Postgres;
use crate::names::{self, LENGTHS, SLOTS, TERMS, WORDS, literal, quote};

/// What a type is in the database.
pub(crate) type Layout = osis_sql::Layout<Beside>;

/// What a type has beside its columns and their indexes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    /// The names of the searchable fields in the order in which words are marked with them.
    searchable: Vec<String>,
    /// The statements that make the text index.
    text_index: Vec<String>,
    /// The column that partitions a log type.
    time: Option<String>,
}

/// What a type of a schema is in the database.
pub(crate) fn layout(_: &Schema, ty: &Type) -> Layout {
    let mut indexes = indexes::<Postgres>(ty);
    let lists = (0..ty.fields.len()).filter(|&field| is_indexed_list(&ty.fields[field]));
    for field in lists {
        let name = names::list_index(ty, field);
        let sql = format!(
            "CREATE INDEX {} ON {} USING gin ({})",
            quote(&name),
            names::table(ty),
            names::column(ty, Column::Field(field))
        );
        indexes.insert(name, sql);
    }
    let searchable: Vec<String> = text::searchable(ty)
        .into_iter()
        .map(|field| ty.fields[field].name.clone())
        .collect();
    let text_index = match searchable.is_empty() {
        true => Vec::new(),
        false => text_index(ty),
    };
    let time = ty.log().map(|log| ty.fields[log.time].name.clone());
    Layout {
        table: ty.plural.clone(),
        columns: columns::<Postgres>(ty, |_| String::new()),
        indexes,
        parts: Beside {
            searchable,
            text_index,
            time,
        },
    }
}

impl Parts for Beside {
    fn options(&self) -> String {
        match &self.time {
            Some(time) => format!(" PARTITION BY RANGE ({})", quote(time)),
            None => String::new(),
        }
    }

    fn create(&self, table: &str) -> Vec<String> {
        let mut steps = Vec::new();
        let key = match &self.time {
            Some(time) => format!("\"id\", {}", quote(time)),
            None => "\"id\"".to_owned(),
        };
        steps.push(format!(
            "ALTER TABLE {} ADD PRIMARY KEY ({key})",
            quote(table)
        ));
        if self.time.is_some() {
            steps.push(format!(
                "CREATE TABLE {} PARTITION OF {} DEFAULT",
                quote(&names::default_partition(table)),
                quote(table)
            ));
        }
        steps.extend(self.add_text(table));
        steps
    }

    fn remove(layout: &Layout, type_name: &str) -> Vec<String> {
        let drop = format!("DROP TABLE {}", quote(&layout.table));
        forget_text(type_name).into_iter().chain([drop]).collect()
    }

    /// Words are marked with their field's place: where the places change, all words are made anew,
    /// by the program itself ([`crate::setup`]).
    fn change(plan: &mut Plan, old: &Layout, new: &Layout, type_name: &str) {
        let (before, after) = (&old.parts, &new.parts);
        if before.time != after.time {
            plan.refuse(format!("{type_name}: what partitions it changes"));
        }
        if before.searchable == after.searchable {
            return;
        }
        let drop = format!(
            "ALTER TABLE {} DROP COLUMN IF EXISTS {WORDS}, DROP COLUMN IF EXISTS {SLOTS}",
            quote(&new.table)
        );
        let replace = |to: &Self| {
            let mut steps = forget_text(type_name);
            steps.push(drop.clone());
            steps.extend(to.add_text(&new.table));
            steps
        };
        let mut back = replace(before);
        back.reverse();
        plan.steps(replace(after), back);
    }
}

impl Beside {
    fn add_text(&self, table: &str) -> Vec<String> {
        if self.text_index.is_empty() {
            return Vec::new();
        }
        let columns = format!(
            "ALTER TABLE {} ADD COLUMN {WORDS} tsvector, ADD COLUMN {SLOTS} bigint[]",
            quote(table)
        );
        std::iter::once(columns)
            .chain(self.text_index.iter().cloned())
            .collect()
    }

    /// Whether the words that are stored under another layout are not those of this one.
    pub(crate) fn has_other_words(&self, other: &Self) -> bool {
        self.searchable != other.searchable
    }
}

/// Forgets what is counted of a type's words.
fn forget_text(type_name: &str) -> Vec<String> {
    let name = literal(type_name);
    let tables = [LENGTHS, TERMS].iter();
    tables
        .map(|table| format!("DELETE FROM {table} WHERE type = {name}"))
        .collect()
}

/// The index over the words, and one over the few rows whose words do not fit: searches look at
/// those one by one.
fn text_index(ty: &Type) -> Vec<String> {
    let table = names::table(ty);
    vec![
        format!(
            "CREATE INDEX {} ON {table} USING gin ({WORDS})",
            quote(&names::text_index(ty))
        ),
        format!(
            "CREATE INDEX {} ON {table} (\"id\") WHERE {WORDS} IS NULL",
            quote(&names::unfit_index(ty))
        ),
    ]
}

/// The statements that make all of a schema's types.
pub(crate) fn create_types(schema: &Schema) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for ty in &schema.types {
        steps.extend(layout(schema, ty).create());
    }
    // References are made when all tables are there: types may refer to each other.
    steps.extend(references(schema).into_values().map(|(make, _)| make));
    steps
}

/// The statements that make the store's own tables.
pub(crate) fn create_system() -> Vec<String> {
    let (meta, history, changes) = (names::META, names::HISTORY, names::CHANGES);
    let writers = names::WRITERS;
    vec![
        format!(
            "CREATE TABLE {meta} (\n  \
             one integer PRIMARY KEY CHECK (one = 1),\n  \
             format bigint NOT NULL,\n  \
             store_id text NOT NULL,\n  \
             seq bigint NOT NULL,\n  \
             oldest bigint NOT NULL,\n  \
             schema_hash text NOT NULL,\n  \
             copying text\n\
             )"
        ),
        format!(
            "CREATE TABLE {history} (\n  \
             n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n  \
             name text NOT NULL,\n  \
             version bigint NOT NULL,\n  \
             hash text NOT NULL,\n  \
             text text NOT NULL,\n  \
             applied_at text NOT NULL,\n  \
             up text NOT NULL,\n  \
             down text NOT NULL\n\
             )"
        ),
        format!(
            "CREATE TABLE {changes} (\n  \
             seq bigint NOT NULL,\n  \
             ordinal bigint NOT NULL,\n  \
             type text NOT NULL,\n  \
             id text COLLATE \"C\" NOT NULL,\n  \
             rev bigint NOT NULL,\n  \
             op text NOT NULL,\n  \
             at timestamptz(3) NOT NULL,\n  \
             PRIMARY KEY (seq, ordinal)\n\
             )"
        ),
        format!(
            "CREATE TABLE {writers} (\n  \
             writer text PRIMARY KEY,\n  \
             token bigint NOT NULL,\n  \
             at timestamptz(3) NOT NULL\n\
             )"
        ),
        format!(
            "CREATE TABLE {LENGTHS} (\n  \
             type text NOT NULL,\n  \
             place bigint NOT NULL,\n  \
             n bigint NOT NULL,\n  \
             PRIMARY KEY (type, place)\n\
             )"
        ),
        // Counts change often, and are in no index: room in each page keeps them where they are.
        format!(
            "CREATE TABLE {TERMS} (\n  \
             type text COLLATE \"C\" NOT NULL,\n  \
             word text COLLATE \"C\" NOT NULL,\n  \
             n bigint NOT NULL,\n  \
             at bigint GENERATED ALWAYS AS IDENTITY,\n  \
             PRIMARY KEY (type, word)\n\
             ) WITH (fillfactor = 70)"
        ),
        // Words are numbered as they come: who has read all asks for those that came since.
        format!("CREATE INDEX {TERMS}_at ON {TERMS} (type, at)"),
    ]
}

/// The references among the types of a schema, as a second wall: by table and name, the statements
/// that make each and remove it.
///
/// No action and deferred: core carries out what a delete means, and within a batch a referrer may
/// be written before what it refers to. Log types have none: their key holds a time too, so that
/// nothing can refer to them, and a partitioned table would look up what it refers to for each row.
pub(crate) fn references(schema: &Schema) -> BTreeMap<(String, String), (String, String)> {
    let mut found = BTreeMap::new();
    for ty in schema.types.iter().filter(|ty| ty.log().is_none()) {
        for field in &ty.fields {
            let FieldKind::Ref { to, .. } = &field.kind else {
                continue;
            };
            if schema.types[*to].log().is_some() {
                continue;
            }
            let name = names::fit(format!("_osis_{}$$ref${}", ty.plural, field.name));
            let change = format!("ALTER TABLE {}", names::table(ty));
            let make = format!(
                "{change} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} (\"id\") \
                 DEFERRABLE INITIALLY DEFERRED",
                quote(&name),
                quote(&field.name),
                names::table(&schema.types[*to])
            );
            let remove = format!("{change} DROP CONSTRAINT {}", quote(&name));
            found.insert((ty.plural.clone(), name), (make, remove));
        }
    }
    found
}
