//! What a type of the original is in our language.

use std::collections::HashMap;

use super::parse::{Definition, Literal, Member, Shape};
use super::{Fault, Place};

/// What a field holds, in our language's words.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Bool,
    /// With the least and the greatest, where not every 64-bit number is one.
    Int(Option<i64>, Option<i64>),
    Float,
    Text,
    Time,
    /// The SID of another object.
    Sid,
    Enum(Vec<String>),
    Texts,
    Ints,
    /// What has no form of its own here, and what it was.
    Json(String),
}

const PRIMITIVES: [(&str, Kind); 14] = [
    ("bool", Kind::Bool),
    ("u8", Kind::Int(Some(0), Some(0xff))),
    ("u16", Kind::Int(Some(0), Some(0xffff))),
    ("u32", Kind::Int(Some(0), Some(0xffff_ffff))),
    ("u64", Kind::Int(Some(0), None)),
    ("i8", Kind::Int(Some(-0x80), Some(0x7f))),
    ("i16", Kind::Int(Some(-0x8000), Some(0x7fff))),
    ("i32", Kind::Int(Some(-0x8000_0000), Some(0x7fff_ffff))),
    ("i64", Kind::Int(None, None)),
    ("f32", Kind::Float),
    ("f64", Kind::Float),
    ("str", Kind::Text),
    ("otime", Kind::Time),
    ("sid", Kind::Sid),
];

/// Primitives that are records here: money, place, address, anything.
const RECORDS: [&str; 4] = ["ocur", "olocation", "oaddress", "any"];

/// Whether a name is a type of the language itself.
pub(super) fn is_primitive(name: &str) -> bool {
    RECORDS.contains(&name) || PRIMITIVES.iter().any(|(primitive, _)| *primitive == name)
}

/// All definitions, by name.
pub(super) struct Names<'a>(HashMap<&'a str, &'a Definition>);

impl<'a> Names<'a> {
    pub(super) fn new(definitions: &'a [Definition]) -> Self {
        let named = definitions.iter().map(|of| (of.name.as_str(), of));
        Self(named.collect())
    }

    /// Names in a type that mean nothing.
    pub(super) fn unknown(&self, shape: &Shape, faults: &mut Vec<Fault>) {
        match shape {
            Shape::Literal(_) => {}
            Shape::Name(name, place) => {
                if !is_primitive(name) && name != "time" && !self.0.contains_key(name.as_str()) {
                    let primitives = PRIMITIVES.iter().map(|(name, _)| *name).chain(RECORDS);
                    let told = format!(
                        "unknown type {name:?}: no file here defines it, nor is it one of {}",
                        primitives.collect::<Vec<_>>().join(", ")
                    );
                    faults.push((place.clone(), told));
                }
            }
            Shape::List(of) | Shape::Map(of) => self.unknown(of, faults),
            Shape::Tuple(of) | Shape::Union(of) => {
                of.iter().for_each(|shape| self.unknown(shape, faults));
            }
            Shape::Object(members) => {
                let shapes = members.iter().map(|member| &member.shape);
                shapes.for_each(|shape| self.unknown(shape, faults));
            }
        }
    }

    /// What a field holds.
    ///
    /// # Errors
    /// Where a type is defined by itself.
    pub(super) fn kind(&self, member: &Member) -> Result<Kind, Fault> {
        self.of(&member.shape, &mut Vec::new())
    }

    fn of(&self, shape: &'a Shape, open: &mut Vec<&'a str>) -> Result<Kind, Fault>
    where
        Self: 'a,
    {
        Ok(match shape {
            Shape::Name(name, place) => return self.named(name, place, open),
            Shape::Literal(Literal::Text(text)) => Kind::Enum(vec![text.clone()]),
            Shape::Literal(Literal::Int(n)) => Kind::Int(Some(*n), Some(*n)),
            Shape::Literal(Literal::Float(_)) => Kind::Float,
            Shape::Literal(Literal::Bool(_)) => Kind::Bool,
            Shape::List(item) => match self.of(item, open)? {
                Kind::Text | Kind::Enum(_) | Kind::Sid => Kind::Texts,
                Kind::Int(..) => Kind::Ints,
                other => Kind::Json(format!("a list of {}", other.what())),
            },
            Shape::Map(_) => Kind::Json("a map".to_owned()),
            Shape::Tuple(_) => Kind::Json("a tuple".to_owned()),
            Shape::Object(_) => Kind::Json("a nested object".to_owned()),
            Shape::Union(variants) => {
                let kinds = variants.iter().map(|variant| self.of(variant, open));
                union(kinds.collect::<Result<_, _>>()?)
            }
        })
    }

    fn named(&self, name: &'a str, place: &Place, open: &mut Vec<&'a str>) -> Result<Kind, Fault> {
        if RECORDS.contains(&name) {
            return Ok(Kind::Json(name.to_owned()));
        }
        // Older releases called it so.
        let word = match name == "time" && !self.0.contains_key(name) {
            true => "otime",
            false => name,
        };
        if let Some((_, kind)) = PRIMITIVES.iter().find(|(known, _)| *known == word) {
            return Ok(kind.clone());
        }
        let Some(definition) = self.0.get(name) else {
            // It was told of already.
            return Ok(Kind::Json(name.to_owned()));
        };
        if matches!(definition.shape, Shape::Object(_)) {
            return Ok(Kind::Json(format!("a nested {name}")));
        }
        if open.contains(&name) {
            let told = format!("{name} is defined by itself: {} → {name}", open.join(" → "));
            return Err((place.clone(), told));
        }
        open.push(name);
        let kind = self.of(&definition.shape, open);
        open.pop();
        kind
    }
}

impl Kind {
    fn what(&self) -> String {
        match self {
            Self::Json(what) => what.strip_prefix("a nested ").unwrap_or(what).to_owned(),
            Self::Float => "numbers".to_owned(),
            Self::Bool => "booleans".to_owned(),
            Self::Time => "times".to_owned(),
            _ => "lists".to_owned(),
        }
    }
}

/// What can be one thing or another.
fn union(kinds: Vec<Kind>) -> Kind {
    let other = || Kind::Json("one of several types".to_owned());
    let mut kinds = kinds.into_iter();
    let Some(mut all) = kinds.next() else {
        return other();
    };
    for kind in kinds {
        all = match (all, kind) {
            (Kind::Enum(mut values), Kind::Enum(more)) => {
                for value in more {
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
                Kind::Enum(values)
            }
            (Kind::Int(Some(least), Some(most)), Kind::Int(Some(low), Some(high))) => {
                Kind::Int(Some(least.min(low)), Some(most.max(high)))
            }
            (Kind::Int(..), Kind::Int(..)) => Kind::Int(None, None),
            (Kind::Float | Kind::Int(..), Kind::Float | Kind::Int(..)) => Kind::Float,
            (Kind::Text, Kind::Enum(_)) | (Kind::Enum(_), Kind::Text) => Kind::Text,
            (one, another) if one == another => one,
            _ => return other(),
        };
    }
    all
}
