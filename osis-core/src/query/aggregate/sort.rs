//! In which order groups come.

use super::{Aggregate, Figure, Group, metric_name};
use crate::error::{Error, Result};
use crate::json::Json;
use crate::schema::{Direction, Type};

/// Sorts groups by columns of the result, then by bucket and groups.
///
/// `sort` names `bucket`, a field of `group_by`, or a metric as it was asked for.
///
/// # Errors
/// `invalid` at `sort` for any other name.
pub fn sort_groups(
    groups: &mut [Group],
    aggregate: &Aggregate,
    ty: &Type,
    sort: Option<&Json>,
) -> Result<()> {
    let mut columns = Vec::new();
    if let Some(sort) = sort {
        let names: Vec<&Json> = match sort {
            Json::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        for name in names {
            columns.push(result_column(name, aggregate, ty)?);
        }
    }
    let natural = |a: &Group, b: &Group| {
        let key = |g: &Group| g.bucket.iter().chain(&g.by).cloned().collect::<Vec<_>>();
        let (a, b) = (key(a), key(b));
        let mut orders = a.iter().zip(&b).map(|(a, b)| a.order(b));
        orders
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    };
    groups.sort_by(|a, b| {
        let mut orders = columns.iter().map(|(column, direction)| {
            let order = column.compare(a, b);
            if *direction == Direction::Descending {
                order.reverse()
            } else {
                order
            }
        });
        orders
            .find(|order| order.is_ne())
            .unwrap_or_else(|| natural(a, b))
    });
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum ResultColumn {
    Bucket,
    By(usize),
    Figure(usize),
}

impl ResultColumn {
    fn compare(self, a: &Group, b: &Group) -> std::cmp::Ordering {
        match self {
            Self::Bucket => match (&a.bucket, &b.bucket) {
                (Some(a), Some(b)) => a.order(b),
                _ => std::cmp::Ordering::Equal,
            },
            Self::By(n) => a.by[n].order(&b.by[n]),
            Self::Figure(n) => match (&a.figures[n], &b.figures[n]) {
                (Figure::Value(a), Figure::Value(b)) => a.order(b),
                (Figure::Whole(a), Figure::Whole(b)) => a.cmp(b),
                (Figure::Value(_), Figure::Whole(_)) => std::cmp::Ordering::Less,
                (Figure::Whole(_), Figure::Value(_)) => std::cmp::Ordering::Greater,
            },
        }
    }
}

fn result_column(
    json: &Json,
    aggregate: &Aggregate,
    ty: &Type,
) -> Result<(ResultColumn, Direction)> {
    let text = json.as_str().unwrap_or_default();
    let (name, direction) = match text.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (text, Direction::Ascending),
    };
    let by = aggregate
        .group_by
        .iter()
        .position(|c| ty.column_name(*c) == name);
    let figure = aggregate
        .metrics
        .iter()
        .position(|m| metric_name(*m, ty) == name);
    let found = match (by, figure) {
        _ if name == "bucket" && aggregate.bucket.is_some() => Some(ResultColumn::Bucket),
        (Some(n), _) => Some(ResultColumn::By(n)),
        (None, Some(n)) => Some(ResultColumn::Figure(n)),
        (None, None) => None,
    };
    let found = found.ok_or_else(|| {
        Error::invalid(
            "sort",
            format!("expected columns of the result, got {}", name_or_kind(json)),
        )
    })?;
    Ok((found, direction))
}

fn name_or_kind(json: &Json) -> String {
    json.as_str()
        .map_or_else(|| json.kind().to_owned(), |text| format!("{text:?}"))
}
