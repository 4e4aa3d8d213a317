//! `_aggregate`.

use osis_core::error::Faults;
use osis_core::json::Json;
use osis_core::query::aggregate::{self, Aggregate, Bucket, Unit};
use osis_core::schema::{Column, FieldKind, Metric, Type};

use super::reads::limit;
use super::simple::{column, shown};
use crate::params::{Args, cut};

/// Most columns that rows are sorted by.
const SORT_MAX: usize = 16;

/// `T_aggregate`
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) aggregate: Aggregate,
    /// Columns of the result, checked.
    pub(crate) sort: Option<Json>,
    pub(crate) limit: usize,
}

pub(super) fn figures(ty: &Type, args: &Args, faults: &mut Faults) -> Option<Figures> {
    let before = faults.len();
    let filter = args.filter(ty, faults);
    let group_by = group_by(ty, args, faults);
    let bucket = args.get("bucket").and_then(|json| bucket(ty, json, faults));
    let metrics = metrics(ty, args, faults);
    let limit = limit(args, faults);
    if faults.len() == before {
        one_name_each(ty, &group_by, bucket.is_some(), &metrics, faults);
    }
    let aggregate = Aggregate {
        type_id: ty.id,
        filter: filter?,
        group_by,
        bucket,
        metrics,
    };
    let sort = order(args, faults);
    // The order is checked by asking for that of no groups; columns can only be told where all
    // that makes them is right.
    if faults.len() == before
        && let Err(error) = aggregate::sort_groups(&mut [], &aggregate, ty, sort.as_ref())
        && let Err(other) = faults.absorb(error)
    {
        faults.add("sort", other.message());
    }
    Some(Figures {
        aggregate,
        sort,
        limit: limit?,
    })
}

/// The columns to sort by, of which there are few: each is compared for every pair of rows.
fn order(args: &Args, faults: &mut Faults) -> Option<Json> {
    let json = args.get("sort")?;
    if let Json::Array(columns) = json
        && columns.len() > SORT_MAX
    {
        let message = format!("has {} columns, at most {SORT_MAX} fit", columns.len());
        faults.add("sort", message);
        return None;
    }
    Some(json.clone())
}

fn group_by(ty: &Type, args: &Args, faults: &mut Faults) -> Vec<Column> {
    let names = args.names("group_by", faults);
    let columns = names
        .into_iter()
        .filter_map(|(path, name)| match column(ty, name) {
            Ok(Column::Field(field)) if !ty.fields[field].sortable() => {
                let message = "cannot be grouped by: it is a list, text, json, bytes or secret";
                faults.add(path, format!("{name} {message}"));
                None
            }
            Ok(column) => Some(column),
            Err(message) => {
                faults.add(path, message);
                None
            }
        });
    columns.collect()
}

fn bucket(ty: &Type, json: &Json, faults: &mut Faults) -> Option<Bucket> {
    let Json::Object(entries) = json else {
        let message = format!("expected {{\"field\", \"unit\"}}, got {}", json.kind());
        faults.add("bucket", message);
        return None;
    };
    for (name, _) in entries
        .iter()
        .filter(|(name, _)| name != "field" && name != "unit")
    {
        faults.add(
            format!("bucket.{}", cut(name)),
            "is unknown: expected field and unit",
        );
    }
    let column = match json.get("field") {
        None => Err("is required".to_owned()),
        Some(Json::Str(name)) => column(ty, name).and_then(|column| {
            let is_time = *ty.column_kind(column) == FieldKind::Time;
            let secret = matches!(column, Column::Field(field) if ty.fields[field].secret);
            match is_time && !secret {
                true => Ok(column),
                false => Err(format!("expected a time field, {name} is none")),
            }
        }),
        Some(other) => Err(format!(
            "expected the name of a time field, got {}",
            other.kind()
        )),
    };
    let unit = match json.get("unit") {
        None => Err("is required".to_owned()),
        Some(json) => json
            .as_str()
            .and_then(Unit::parse)
            .ok_or_else(|| format!("expected hour, day, week or month, got {}", shown(json))),
    };
    let column = column
        .map_err(|message| faults.add("bucket.field", message))
        .ok();
    let unit = unit
        .map_err(|message| faults.add("bucket.unit", message))
        .ok();
    Some(Bucket {
        column: column?,
        unit: unit?,
    })
}

fn metrics(ty: &Type, args: &Args, faults: &mut Faults) -> Vec<Metric> {
    if args.get("metrics").is_none() {
        return vec![Metric::Count];
    }
    let names = args.names("metrics", faults);
    let metrics = names.into_iter().filter_map(|(path, name)| {
        aggregate::parse_metric(ty, &Json::Str(name.to_owned()), &path, faults)
    });
    metrics.collect()
}

/// Sees to it that no two columns of the result have one name: a field may be called `count`.
fn one_name_each(
    ty: &Type,
    group_by: &[Column],
    bucketed: bool,
    metrics: &[Metric],
    faults: &mut Faults,
) {
    for (n, column) in group_by.iter().enumerate() {
        let name = ty.column_name(*column);
        let is_metric = metrics
            .iter()
            .any(|metric| aggregate::metric_name(*metric, ty) == name);
        if is_metric || (bucketed && name == "bucket") {
            let message = format!("another column of the result is called {name} too");
            faults.add(format!("group_by[{n}]"), message);
        }
    }
}
