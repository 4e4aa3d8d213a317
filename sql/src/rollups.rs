//! The cells of roll-ups: one table for those of all types, each cell with its text.
//!
//! Cells are looked up by place, or read by key and bucket; what they hold is for the rules alone.

use std::collections::BTreeMap;

use osis_core::rollup::{self, CellScan, Place};
use osis_core::schema::{FieldKind, Schema, TypeId};
use osis_core::value::Value;

use crate::dialect::Dialect;
use crate::names::{ROLLED_UP, ROLLUPS, quote};
use crate::statement::Sql;

/// The statements that make the tables, in one of which each type that is rolled up has how.
///
/// `collation` stands behind columns of text, so that they are compared by their bytes; `options`
/// behind the tables.
pub fn create(collation: &str, options: [&str; 2]) -> [String; 3] {
    let text = match collation {
        "" => "TEXT NOT NULL".to_owned(),
        collation => format!("TEXT {collation} NOT NULL"),
    };
    let [keyed, plain] = options;
    [
        format!(
            "CREATE TABLE IF NOT EXISTS {ROLLUPS} (\n  type {text},\n  key {text},\n  \
             bucket {text},\n  cell TEXT NOT NULL,\n  PRIMARY KEY (type, key, bucket)\n){keyed}"
        ),
        format!(
            "CREATE INDEX IF NOT EXISTS {} ON {ROLLUPS} (type, bucket, key)",
            quote(&format!("{ROLLUPS}$bucket"))
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {ROLLED_UP} (\n  type {text} PRIMARY KEY,\n  \
             definition TEXT NOT NULL\n){plain}"
        ),
    ]
}

/// What has to be done so that a store keeps the cells that its schema wants.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outdated {
    /// Types whose cells must be counted anew, and how they are made.
    pub count: Vec<(TypeId, String)>,
    /// Names of types whose cells are of no use.
    pub forget: Vec<String>,
}

/// What has to be done; nothing if all is as it should be. `stored` says how the cells that are
/// there were made.
pub fn outdated(schema: &Schema, stored: &BTreeMap<String, String>) -> Option<Outdated> {
    let mut outdated = Outdated::default();
    for ty in &schema.types {
        if let Some(definition) = rollup::definition(schema, ty.id)
            && stored.get(&ty.name) != Some(&definition)
        {
            outdated.count.push((ty.id, definition));
        }
    }
    let is_wanted = |name: &&String| {
        let ty = schema.find(name);
        ty.is_some_and(|ty| rollup::definition(schema, ty.id).is_some())
    };
    let counted = outdated.count.iter();
    let counted = counted.map(|(type_id, _)| schema.types[*type_id].name.clone());
    outdated.forget = counted.collect();
    let others = stored.keys().filter(|name| !is_wanted(name));
    outdated.forget.extend(others.cloned());
    (!outdated.forget.is_empty()).then_some(outdated)
}

/// The statement of a page of cells: their texts.
pub fn page<D: Dialect>(type_name: &str, scan: &CellScan) -> Sql<D> {
    let mut sql = Sql::new(format!("SELECT cell FROM {ROLLUPS} WHERE type = "));
    sql.text(type_name);
    if !scan.keys.is_empty() {
        sql.push(" AND (");
        for (n, range) in scan.keys.iter().enumerate() {
            sql.push(if n == 0 { "(key >= " } else { " OR (key >= " })
                .text(&*range.from)
                .push(" AND key < ")
                .text(&*range.until)
                .push(")");
        }
        sql.push(")");
    }
    sql.push(" AND bucket >= ").text(scan.from.to_string());
    if let Some(until) = scan.until {
        sql.push(" AND bucket < ").text(until.to_string());
    }
    // Few keys are walked through whole; without any, what counts is the time.
    let by_key = !scan.keys.is_empty();
    if let Some(Place { key, bucket }) = &scan.after {
        let (key, bucket) = (key.to_string(), bucket.to_string());
        let (columns, first, second) = match by_key {
            true => ("(key, bucket)", key, bucket),
            false => ("(bucket, key)", bucket, key),
        };
        sql.push(&format!(" AND {columns} > ("))
            .text(first)
            .push(", ")
            .text(second)
            .push(")");
    }
    sql.push(match by_key {
        true => " ORDER BY key, bucket LIMIT ",
        false => " ORDER BY bucket, key LIMIT ",
    });
    sql.limit(scan.limit);
    sql
}

/// The values of places, as columns of keys and buckets.
pub fn columns(places: &[Place]) -> (Vec<Value>, Vec<Value>) {
    let keys = places.iter().map(|place| Value::from(&*place.key));
    let buckets = places
        .iter()
        .map(|place| Value::from(place.bucket.to_string().as_str()));
    (keys.collect(), buckets.collect())
}

/// What keys and buckets are to a database.
pub const KIND: FieldKind = FieldKind::String;
