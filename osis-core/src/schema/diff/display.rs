//! Changes in words.

use std::collections::BTreeMap;
use std::fmt;

use super::{Change, ChangeKind};

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SchemaChanged {
                attribute,
                from,
                to,
            } => {
                write!(f, "schema: `{attribute}` {}", Turn(from, to))
            }
            Self::Reordered {
                type_name: Some(ty),
                what,
            } => {
                write!(f, "{ty}: {what} come in another order")
            }
            Self::Reordered {
                type_name: None,
                what,
            } => write!(f, "{what} come in another order"),
            Self::TypeAdded { type_name } => write!(f, "{type_name}: new type"),
            Self::TypeRemoved { type_name } => write!(f, "{type_name}: type removed"),
            Self::TypeChanged {
                type_name,
                attribute,
                from,
                to,
            } => {
                write!(f, "{type_name}: `{attribute}` {}", Turn(from, to))
            }
            Self::AccessChanged {
                type_name,
                from,
                to,
            } => {
                write!(f, "{type_name}: `access` {}", Turn(from, to))
            }
            Self::FieldAdded { type_name, field } => write!(f, "{type_name}.{field}: new field"),
            Self::FieldRemoved { type_name, field } => {
                write!(f, "{type_name}.{field}: field removed")
            }
            Self::FieldChanged {
                type_name,
                field,
                attribute,
                from,
                to,
            } => {
                write!(f, "{type_name}.{field}: `{attribute}` {}", Turn(from, to))
            }
            Self::KeyAdded {
                type_name,
                fields,
                fold,
            } => {
                write!(
                    f,
                    "{type_name}: new key ({}){}",
                    fields.join(", "),
                    folded(*fold)
                )
            }
            Self::KeyRemoved {
                type_name,
                fields,
                fold,
            } => {
                write!(
                    f,
                    "{type_name}: key ({}){} removed",
                    fields.join(", "),
                    folded(*fold)
                )
            }
            Self::IndexAdded { type_name, columns } => {
                write!(f, "{type_name}: new index ({})", columns.join(", "))
            }
            Self::IndexRemoved { type_name, columns } => {
                write!(f, "{type_name}: index ({}) removed", columns.join(", "))
            }
            Self::SearchChanged {
                type_name,
                from,
                to,
            } => {
                let (from, to) = (weights_in_words(from), weights_in_words(to));
                write!(
                    f,
                    "{type_name}: searchable fields change from {from} to {to}"
                )
            }
            Self::RelationChanged {
                type_name,
                relation,
                from,
                to,
            } => {
                write!(f, "{type_name}: relation `{relation}` {}", Turn(from, to))
            }
        }
    }
}

/// From what to what, in words.
struct Turn<'a>(&'a Option<String>, &'a Option<String>);

impl fmt::Display for Turn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(from), Some(to)) => write!(f, "changes from {from} to {to}"),
            (None, Some(to)) => write!(f, "is new: {to}"),
            (Some(from), None) => write!(f, "is removed, was {from}"),
            (None, None) => f.write_str("stays"),
        }
    }
}

fn folded(fold: bool) -> &'static str {
    if fold { " in any case" } else { "" }
}

fn weights_in_words(weights: &BTreeMap<String, u32>) -> String {
    if weights.is_empty() {
        return "none".to_owned();
    }
    let words: Vec<String> = weights
        .iter()
        .map(|(name, weight)| format!("{name} {weight}"))
        .collect();
    words.join(", ")
}
