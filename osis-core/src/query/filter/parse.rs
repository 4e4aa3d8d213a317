//! Filters as the API writes them.

use super::{Filter, Test};
use crate::error::Faults;
use crate::json::Json;
use crate::schema::{Column, FieldKind, Item, Type};
use crate::time::Time;
use crate::value::Value;

/// Most tests in one filter: SQLite bounds the depth of an expression at 1000.
const TESTS_MAX: usize = 400;
/// Deepest nesting of `or` and `not`.
const DEPTH_MAX: usize = 32;
/// Most items of one `in`.
const IN_MAX: usize = 10_000;

impl Filter {
    /// Reads a filter as the API writes it; every fault is noted with its path.
    pub fn parse(ty: &Type, json: &Json, path: &str, faults: &mut Faults) -> Option<Self> {
        let before = faults.len();
        let mut parser = Parser {
            ty,
            faults,
            tests: 0,
        };
        let filter = parser.all(json, path, 0);
        if parser.tests > TESTS_MAX {
            faults.add(path, format!("has more than {TESTS_MAX} tests"));
        }
        (faults.len() == before).then_some(filter)
    }
}

struct Parser<'a> {
    ty: &'a Type,
    faults: &'a mut Faults,
    tests: usize,
}

impl Parser<'_> {
    fn all(&mut self, json: &Json, path: &str, depth: usize) -> Filter {
        let Json::Object(entries) = json else {
            self.faults.add(
                path,
                format!("expected a filter object, got {}", json.kind()),
            );
            return Filter::EVERY;
        };
        if depth > DEPTH_MAX {
            self.faults
                .add(path, format!("is nested deeper than {DEPTH_MAX}"));
            return Filter::EVERY;
        }
        let mut parts = Vec::new();
        for (name, operand) in entries {
            let path = format!("{path}.{name}");
            match name.as_str() {
                "or" => parts.push(self.any(operand, &path, depth)),
                "not" => parts.push(Filter::Not(Box::new(self.all(operand, &path, depth + 1)))),
                _ => self.column(name, operand, &path, &mut parts),
            }
        }
        Filter::All(parts)
    }

    fn any(&mut self, json: &Json, path: &str, depth: usize) -> Filter {
        let Json::Array(branches) = json else {
            self.faults.add(
                path,
                format!("expected a list of filters, got {}", json.kind()),
            );
            return Filter::EVERY;
        };
        self.tests += branches.len();
        let branches = branches.iter().enumerate();
        Filter::Any(
            branches
                .map(|(n, b)| self.all(b, &format!("{path}[{n}]"), depth + 1))
                .collect(),
        )
    }

    fn column(&mut self, name: &str, operand: &Json, path: &str, parts: &mut Vec<Filter>) {
        let Some(column) = self.ty.column(name) else {
            return self
                .faults
                .add(path, format!("{} has no field of this name", self.ty.name));
        };
        if let Column::Field(field) = column
            && !self.ty.fields[field].filterable()
        {
            return self.faults.add(
                path,
                "cannot be filtered: it is text, json, bytes or secret",
            );
        }
        let Json::Object(tests) = operand else {
            self.tests += 1;
            let value = self.operand(column, operand, path);
            return parts.extend(value.map(|value| Filter::Column(column, Test::Eq(value))));
        };
        for (operator, operand) in tests {
            self.tests += 1;
            let path = format!("{path}.{operator}");
            parts.extend(self.test(column, operator, operand, &path));
        }
    }

    fn test(
        &mut self,
        column: Column,
        operator: &str,
        operand: &Json,
        path: &str,
    ) -> Option<Filter> {
        let kind = self.ty.column_kind(column);
        let test = match operator {
            "eq" => Test::Eq(self.operand(column, operand, path)?),
            "ne" => {
                let test = Test::Eq(self.operand(column, operand, path)?);
                return Some(Filter::Not(Box::new(Filter::Column(column, test))));
            }
            "in" => Test::In(self.operands(column, operand, path)?),
            "exists" => match operand {
                Json::Bool(set) => Test::Exists(*set),
                _ => return self.wrong(path, "true or false", operand),
            },
            "gt" | "gte" | "lt" | "lte" if is_ordered(kind) => {
                let bound = self.bound(column, operand, path)?;
                match operator {
                    "gt" => Test::Gt(bound),
                    "gte" => Test::Gte(bound),
                    "lt" => Test::Lt(bound),
                    _ => Test::Lte(bound),
                }
            }
            "prefix" if *kind == FieldKind::String && column != Column::Id => match operand {
                Json::Str(_) => Test::Prefix(self.bound(column, operand, path)?.as_str()?.into()),
                _ => return self.wrong(path, "a string", operand),
            },
            "has" if let FieldKind::List(item) = kind => {
                Test::Has(self.item(*item, operand, path)?)
            }
            _ => {
                let operators = operators(kind, column);
                self.faults.add(
                    path,
                    format!("is no operator of this field, which has {operators}"),
                );
                return None;
            }
        };
        Some(Filter::Column(column, test))
    }

    fn operands(&mut self, column: Column, operand: &Json, path: &str) -> Option<Vec<Value>> {
        let Json::Array(items) = operand else {
            return self.wrong(path, "a list of values", operand);
        };
        if items.len() > IN_MAX {
            self.faults.add(
                path,
                format!("has {} values, at most {IN_MAX} fit", items.len()),
            );
            return None;
        }
        let values = items.iter().enumerate();
        Some(
            values
                .filter_map(|(n, v)| self.operand(column, v, &format!("{path}[{n}]")))
                .collect(),
        )
    }

    /// An operand of an order or a prefix, which null cannot be.
    fn bound(&mut self, column: Column, operand: &Json, path: &str) -> Option<Value> {
        if let (FieldKind::Enum(_), Json::Str(text)) = (self.ty.column_kind(column), operand) {
            return self.text(text, path);
        }
        match self.operand(column, operand, path)? {
            Value::Null => self.wrong(path, "a value", operand),
            value => Some(value),
        }
    }

    fn operand(&mut self, column: Column, operand: &Json, path: &str) -> Option<Value> {
        match (self.ty.column_kind(column), operand) {
            (_, Json::Null) => Some(Value::Null),
            (FieldKind::String | FieldKind::Ref { .. }, Json::Str(text)) => self.text(text, path),
            (FieldKind::String | FieldKind::Ref { .. }, _) => self.wrong(path, "a string", operand),
            (FieldKind::Enum(values), Json::Str(text)) if values.contains(text) => {
                self.text(text, path)
            }
            (FieldKind::Enum(values), _) => {
                let wanted = format!("one of {}", values.join(", "));
                self.wrong(path, &wanted, operand)
            }
            (FieldKind::Int, _) => self.item(Item::Int, operand, path),
            (FieldKind::Float, _) => match crate::input::double(operand) {
                Some(x) => Some(Value::Float(x)),
                None => self.wrong(path, "a finite number", operand),
            },
            (FieldKind::Bool, Json::Bool(b)) => Some(Value::Bool(*b)),
            (FieldKind::Bool, _) => self.wrong(path, "true or false", operand),
            (FieldKind::Time, _) => match operand.as_str().and_then(Time::parse) {
                Some(time) => Some(Value::Time(time)),
                None => self.wrong(path, Time::FORM, operand),
            },
            (FieldKind::List(item), Json::Array(items)) => {
                let items = items.iter().enumerate();
                let items: Option<Vec<Value>> = items
                    .map(|(n, v)| self.item(*item, v, &format!("{path}[{n}]")))
                    .collect();
                items.map(|items| Value::List(items.into()))
            }
            (FieldKind::List(_), _) => self.wrong(path, "a list, or {\"has\": item}", operand),
            (FieldKind::Text | FieldKind::Json | FieldKind::Bytes, _) => None,
        }
    }

    fn item(&mut self, item: Item, operand: &Json, path: &str) -> Option<Value> {
        match (item, operand) {
            (Item::String, Json::Str(text)) => self.text(text, path),
            (Item::String, _) => self.wrong(path, "a string", operand),
            (Item::Int, Json::Int(n)) if i64::try_from(*n).is_ok() => {
                i64::try_from(*n).ok().map(Value::Int)
            }
            (Item::Int, _) => self.wrong(path, "a 64-bit signed integer", operand),
        }
    }

    fn text(&mut self, text: &str, path: &str) -> Option<Value> {
        if text.contains('\0') {
            self.faults
                .add(path, "holds U+0000 or an unpaired surrogate");
            return None;
        }
        Some(Value::from(text))
    }

    fn wrong<T>(&mut self, path: &str, wanted: &str, got: &Json) -> Option<T> {
        self.faults
            .add(path, format!("expected {wanted}, got {}", got.kind()));
        None
    }
}

fn is_ordered(kind: &FieldKind) -> bool {
    matches!(
        kind,
        FieldKind::String
            | FieldKind::Int
            | FieldKind::Float
            | FieldKind::Time
            | FieldKind::Enum(_)
            | FieldKind::Ref { .. }
    )
}

fn operators(kind: &FieldKind, column: Column) -> String {
    let mut known = vec!["eq", "ne", "in", "exists"];
    if is_ordered(kind) {
        known.extend(["gt", "gte", "lt", "lte"]);
    }
    if *kind == FieldKind::String && column != Column::Id {
        known.push("prefix");
    }
    if matches!(kind, FieldKind::List(_)) {
        known.push("has");
    }
    known.join(", ")
}
