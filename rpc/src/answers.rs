//! Results as JSON, written straight from rows.

use std::collections::HashMap;
use std::sync::Arc;

use osis_core::Schema;
use osis_core::backend::{Change, Feed, Problem};
use osis_core::batch::{Outcome, SeedReport};
use osis_core::object::{Id, Row};
use osis_core::output::{Object, Plain, Shape, Shown, Visible};
use osis_core::query::Facet;
use osis_core::query::aggregate::{Aggregate, Computed, Group, metric_name};
use osis_core::schema::{Column, Type, TypeId};
use osis_core::store::{Find, Hits, Info};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

/// What a call came to.
#[derive(Debug)]
pub(crate) enum Answer {
    /// `T_get`
    Object(Object, Shape),
    /// `T_list`
    Page {
        items: Vec<Object>,
        shape: Shape,
        next: Option<String>,
        total: Option<u64>,
    },
    /// `T_find`
    Hits {
        found: Hits,
        /// What was asked for.
        find: Box<Find>,
        shape: Shape,
        next: Option<String>,
    },
    /// `T_count`
    Count(u64),
    /// `T_aggregate`
    Rows(Vec<Group>, Aggregate, Computed),
    /// `osis_changes`, with the objects if they were asked for.
    Changes(Feed, Option<Current>),
    /// `osis_info`
    Info(Info),
    /// `rpc.discover`
    Document(Arc<RawValue>),
    /// Any write but a transaction.
    Outcome(Outcome),
    /// `osis_transaction`
    Transaction { seq: u64, outcomes: Vec<Outcome> },
}

/// Objects as they are now; those that are gone are absent.
pub(crate) type Current = HashMap<(TypeId, Id), Row>;

/// An answer with the schema that gives names to it.
#[derive(Debug)]
pub(crate) struct Answered<'a>(pub(crate) &'a Schema, pub(crate) &'a Answer);

impl Serialize for Answered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(schema, answer) = *self;
        match answer {
            Answer::Object(object, shape) => {
                Shown::new(schema, object, shape).serialize(serializer)
            }
            Answer::Page {
                items,
                shape,
                next,
                total,
            } => {
                let mut map = serializer.serialize_map(None)?;
                let shown = || items.iter().map(|object| Shown::new(schema, object, shape));
                map.serialize_entry("items", &List(shown))?;
                map.serialize_entry("next_cursor", next)?;
                total
                    .iter()
                    .try_for_each(|total| map.serialize_entry("total", total))?;
                map.end()
            }
            Answer::Hits {
                found,
                find,
                shape,
                next,
            } => {
                let ty = &schema.types[find.search.type_id];
                let mut map = serializer.serialize_map(None)?;
                let shown = || {
                    found.hits.iter().map(|hit| ShownHit {
                        object: Shown::new(schema, &hit.object, shape),
                        score: hit.score,
                        highlight: find.highlight.then_some(Highlight(ty, &hit.highlight)),
                    })
                };
                map.serialize_entry("hits", &List(shown))?;
                map.serialize_entry("total", &found.total)?;
                map.serialize_entry("next_cursor", next)?;
                if !find.search.facets.is_empty() {
                    let columns = &find.search.facets;
                    map.serialize_entry("facets", &Facets(ty, columns, &found.facets))?;
                }
                if !found.corrected.is_empty() {
                    map.serialize_entry("corrected", &found.corrected)?;
                }
                map.end()
            }
            Answer::Count(count) => one(serializer, "count", count),
            Answer::Rows(groups, aggregate, computed) => {
                let mut map = serializer.serialize_map(None)?;
                let rows = || {
                    groups.iter().map(|group| ResultRow {
                        schema,
                        aggregate,
                        group,
                    })
                };
                map.serialize_entry("rows", &List(rows))?;
                map.serialize_entry("source", computed.name())?;
                map.end()
            }
            Answer::Changes(feed, current) => {
                let mut map = serializer.serialize_map(None)?;
                let current = current.as_ref();
                let records = || {
                    feed.changes.iter().map(|change| Record {
                        schema,
                        change,
                        current,
                    })
                };
                map.serialize_entry("changes", &List(records))?;
                map.serialize_entry("next", &feed.next)?;
                map.serialize_entry("oldest", &feed.oldest)?;
                map.end()
            }
            Answer::Info(info) => Told { schema, info }.serialize(serializer),
            Answer::Document(document) => document.serialize(serializer),
            Answer::Outcome(outcome) => Came(schema, outcome).serialize(serializer),
            Answer::Transaction { seq, outcomes } => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("seq", seq)?;
                let results = || outcomes.iter().map(|outcome| Came(schema, outcome));
                map.serialize_entry("results", &List(results))?;
                map.end()
            }
        }
    }
}

/// A list whose items are made as they are written.
struct List<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for List<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

fn one<S: Serializer, T: Serialize + ?Sized>(
    serializer: S,
    name: &str,
    value: &T,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, value)?;
    map.end()
}

#[derive(Serialize)]
struct ShownHit<'a> {
    object: Shown<'a>,
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    highlight: Option<Highlight<'a>>,
}

/// Fields as HTML, by their names.
struct Highlight<'a>(&'a Type, &'a [(usize, String)]);

impl Serialize for Highlight<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(ty, fields) = self;
        let fields = fields.iter();
        serializer.collect_map(fields.map(|(field, html)| (&ty.fields[*field].name, html)))
    }
}

/// Facets by the names of their columns.
struct Facets<'a>(&'a Type, &'a [Column], &'a [Facet]);

impl Serialize for Facets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Counted<'a> {
            value: Plain<'a>,
            count: u64,
        }
        let Self(ty, columns, facets) = self;
        let mut map = serializer.serialize_map(None)?;
        for (column, facet) in columns.iter().zip(*facets) {
            let values = || {
                facet.iter().map(|(value, count)| Counted {
                    value: Plain(value),
                    count: *count,
                })
            };
            map.serialize_entry(ty.column_name(*column), &List(values))?;
        }
        map.end()
    }
}

/// One group, its columns named as they were asked for.
struct ResultRow<'a> {
    schema: &'a Schema,
    aggregate: &'a Aggregate,
    group: &'a Group,
}

impl Serialize for ResultRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ty = &self.schema.types[self.aggregate.type_id];
        let mut map = serializer.serialize_map(None)?;
        if let Some(bucket) = &self.group.bucket {
            map.serialize_entry("bucket", &Plain(bucket))?;
        }
        for (column, value) in self.aggregate.group_by.iter().zip(&self.group.by) {
            map.serialize_entry(ty.column_name(*column), &Plain(value))?;
        }
        for (metric, figure) in self.aggregate.metrics.iter().zip(&self.group.figures) {
            map.serialize_entry(&metric_name(*metric, ty), figure)?;
        }
        map.end()
    }
}

/// A record of the change feed.
struct Record<'a> {
    schema: &'a Schema,
    change: &'a Change,
    current: Option<&'a Current>,
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let change = self.change;
        let ty = &self.schema.types[change.type_id];
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("seq", &change.seq)?;
        map.serialize_entry("type", &ty.name)?;
        map.serialize_entry("id", &change.id)?;
        map.serialize_entry("rev", &change.rev)?;
        map.serialize_entry("op", change.op.name())?;
        map.serialize_entry("at", &change.at.to_string())?;
        let row = self
            .current
            .and_then(|rows| rows.get(&(change.type_id, change.id.clone())));
        if let Some(row) = row {
            map.serialize_entry("object", &Visible { ty, row })?;
        }
        map.end()
    }
}

/// What one operation came to.
struct Came<'a>(&'a Schema, &'a Outcome);

impl Serialize for Came<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(schema, outcome) = self;
        match outcome {
            Outcome::Object { type_id, row } => Visible {
                ty: &schema.types[*type_id],
                row,
            }
            .serialize(serializer),
            Outcome::Deleted(counts) => one(serializer, "deleted", &Deleted(schema, counts)),
            Outcome::Seeded(report) => SeedReport::serialize(report, serializer),
            Outcome::Ingested {
                accepted,
                duplicates,
            } => pair(
                serializer,
                ("accepted", *accepted),
                ("duplicates", *duplicates),
            ),
            Outcome::Imported { imported, skipped } => {
                pair(serializer, ("imported", *imported), ("skipped", *skipped))
            }
            Outcome::Mirrored { changed, same } => {
                pair(serializer, ("changed", *changed), ("same", *same))
            }
        }
    }
}

fn pair<S: Serializer>(serializer: S, a: (&str, u64), b: (&str, u64)) -> Result<S::Ok, S::Error> {
    serializer.collect_map([a, b])
}

struct Deleted<'a>(&'a Schema, &'a [(TypeId, u64)]);

impl Serialize for Deleted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.1.iter().map(|(ty, n)| (&self.0.types[*ty].name, n)))
    }
}

/// What `osis_info` tells.
struct Told<'a> {
    schema: &'a Schema,
    info: &'a Info,
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct InForce<'a> {
            name: &'a str,
            version: u32,
            hash: &'a str,
        }
        let Self { schema, info } = self;
        let in_force = InForce {
            name: &schema.name,
            version: schema.version,
            hash: &schema.hash,
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", env!("CARGO_PKG_VERSION"))?;
        map.serialize_entry("store", info.kind)?;
        map.serialize_entry("schema", &in_force)?;
        map.serialize_entry("counts", &info.counts)?;
        map.serialize_entry("seq", &info.seq)?;
        map.serialize_entry("replica", &*info.replica)?;
        map.serialize_entry("uptime_s", &info.uptime_s)?;
        let problems = || info.problems.iter().map(Mend);
        map.serialize_entry("problems", &List(problems))?;
        map.end()
    }
}

/// One of `problems` of `osis_info`.
struct Mend<'a>(&'a Problem);

impl Serialize for Mend<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Problem {
            path,
            line,
            message,
        } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", path)?;
        line.iter()
            .try_for_each(|line| map.serialize_entry("line", line))?;
        map.serialize_entry("message", message)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_have_a_line_only_where_they_are_about_one() {
        let mut problem = Problem {
            path: "apps/notes.toml".to_owned(),
            line: Some(3),
            message: "expected a string".to_owned(),
        };
        let shown = serde_json::to_string(&Mend(&problem)).unwrap();
        let expected = r#"{"path":"apps/notes.toml","line":3,"message":"expected a string"}"#;
        assert_eq!(shown, expected);
        problem.line = None;
        let shown = serde_json::to_string(&Mend(&problem)).unwrap();
        assert!(!shown.contains("line"), "{shown}");
    }
}
