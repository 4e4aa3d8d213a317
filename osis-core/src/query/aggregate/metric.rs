//! What is computed of a group, as callers name it.

use crate::error::Faults;
use crate::json::Json;
use crate::schema::{Column, FieldKind, Metric, Type};

/// Reads a metric: `count`, `sum:f`, `min:f`, `max:f`, `avg:f`, `unique:f`.
pub fn parse_metric(ty: &Type, json: &Json, path: &str, faults: &mut Faults) -> Option<Metric> {
    let wanted = "expected count, or sum, min, max, avg or unique with : and a field";
    let Some(text) = json.as_str() else {
        faults.add(path, format!("{wanted}, got {}", json.kind()));
        return None;
    };
    if text == "count" {
        return Some(Metric::Count);
    }
    let Some((name, field)) = text.split_once(':') else {
        faults.add(path, format!("{wanted}, got {text:?}"));
        return None;
    };
    let Some(column) = ty.column(field) else {
        faults.add(path, format!("{} has no field {field:?}", ty.name));
        return None;
    };
    let kind = ty.column_kind(column);
    let number = matches!(kind, FieldKind::Int | FieldKind::Float);
    let metric = match name {
        "sum" if number => Metric::Sum(column),
        "avg" if number => Metric::Avg(column),
        "min" | "max" if number || matches!(kind, FieldKind::Time | FieldKind::String) => {
            if name == "min" {
                Metric::Min(column)
            } else {
                Metric::Max(column)
            }
        }
        "unique" => Metric::Unique(column),
        "sum" | "avg" | "min" | "max" => {
            faults.add(
                path,
                format!("{name} does not take {field}: its type is wrong"),
            );
            return None;
        }
        _ => {
            faults.add(path, format!("{wanted}, got {text:?}"));
            return None;
        }
    };
    if let Column::Field(position) = column
        && !ty.fields[position].sortable()
    {
        faults.add(
            path,
            format!("{field} cannot be computed with: it is a list, text, json, bytes or secret"),
        );
        return None;
    }
    Some(metric)
}

/// How a metric is named in a result: as it was asked for.
pub fn metric_name(metric: Metric, ty: &Type) -> String {
    let named = |name: &str, column: Column| format!("{name}:{}", ty.column_name(column));
    match metric {
        Metric::Count => "count".to_owned(),
        Metric::Sum(c) => named("sum", c),
        Metric::Min(c) => named("min", c),
        Metric::Max(c) => named("max", c),
        Metric::Avg(c) => named("avg", c),
        Metric::Unique(c) => named("unique", c),
    }
}
