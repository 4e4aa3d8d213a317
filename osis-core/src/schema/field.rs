//! Fields: what their attributes say, and which of them go together.

use regex::{Regex, RegexBuilder};

use super::declare::Declared;
use super::document::Node;
use super::model::{Field, FieldKind, Item, Merge, OnDelete, Unique};
use super::words;
use crate::json::Json;
use crate::value::Value;

/// Most values of an enum.
const VALUES_MAX: usize = 1000;
/// Longest value of an enum in bytes.
const VALUE_MAX: usize = 255;
/// Longest pattern in bytes.
const PATTERN_MAX: usize = 4096;
/// Largest compiled pattern in bytes: a schema must not eat the memory of whoever opens it.
const PATTERN_SIZE_MAX: usize = 10 << 20;

/// The types that can be part of a key: those whose values have one form and a bounded length.
const KEYABLE: [&str; 6] = ["string", "int", "bool", "time", "enum", "ref"];

/// Which types of fields an attribute goes with; those not listed go with all.
const GOES_WITH: [(&str, &[&str]); 11] = [
    ("unique", &KEYABLE),
    (
        "index",
        &[
            "string", "int", "float", "bool", "time", "enum", "ref", "list",
        ],
    ),
    ("search", &["string", "text", "enum", "list"]),
    ("min", &["int", "float", "string", "text", "list"]),
    ("max", &["int", "float", "string", "text", "list"]),
    ("pattern", &["string", "text"]),
    ("format", &["string", "text"]),
    ("on_delete", &["ref"]),
    ("values", &["enum"]),
    ("to", &["ref"]),
    ("of", &["list"]),
];

/// What the word of a field's type stands for.
#[derive(Clone)]
enum Shape {
    Plain(FieldKind),
    Enum,
    Ref,
    List,
}

const SHAPES: [(&str, Shape); 11] = [
    ("string", Shape::Plain(FieldKind::String)),
    ("text", Shape::Plain(FieldKind::Text)),
    ("int", Shape::Plain(FieldKind::Int)),
    ("float", Shape::Plain(FieldKind::Float)),
    ("bool", Shape::Plain(FieldKind::Bool)),
    ("time", Shape::Plain(FieldKind::Time)),
    ("enum", Shape::Enum),
    ("ref", Shape::Ref),
    ("list", Shape::List),
    ("json", Shape::Plain(FieldKind::Json)),
    ("bytes", Shape::Plain(FieldKind::Bytes)),
];

/// Whether a field can be part of a key.
pub(super) fn is_keyable(field: &Field) -> bool {
    KEYABLE.contains(&field.kind.name())
}

/// Reads a field, but for its default: that is checked by [`default`] when it is known which
/// fields keys and indexes hold.
pub(super) fn field(name: &str, node: &Node<'_>, declared: &Declared<'_>) -> Option<Field> {
    let kind = kind(node, declared)?;
    check_attributes(node, &kind);
    let bound = |name| {
        let given = node.get(name).filter(|_| goes_with(name, &kind));
        given.and_then(|given| self::bound(&given, &kind))
    };
    let field = Field {
        name: name.to_owned(),
        doc: node.get_text("doc").map(str::to_owned),
        required: node.flag("required"),
        default: None,
        unique: node
            .get("unique")
            .and_then(|unique| self::unique(&unique, &kind)),
        index: node.flag("index"),
        composite: false,
        search: node
            .get("search")
            .and_then(|weight| weight.number(&(1..=100))),
        secret: node.flag("secret"),
        immutable: node.flag("immutable"),
        min: bound("min"),
        max: bound("max"),
        pattern: node
            .get("pattern")
            .and_then(|pattern| self::pattern(&pattern)),
        format: node
            .get("format")
            .and_then(|format| format.word("format", &words::FORMATS)),
        merge: node
            .get("merge")
            .and_then(|merge| self::merge(&merge, &kind)),
        kind,
    };
    check_bounds(node, &field);
    check_secret(node, &field);
    check_required(node, &field);
    Some(field)
}

fn kind(node: &Node<'_>, declared: &Declared<'_>) -> Option<FieldKind> {
    let Some(word) = node.get("type") else {
        let known: Vec<_> = SHAPES.iter().map(|(word, _)| *word).collect();
        node.fault_missing("type", &format!("one of {}", known.join(", ")));
        return None;
    };
    match word.word("field type", &SHAPES)? {
        Shape::Plain(kind) => Some(kind),
        Shape::Enum => enumeration(node),
        Shape::Ref => reference(node, declared),
        Shape::List => list(node),
    }
}

fn enumeration(node: &Node<'_>) -> Option<FieldKind> {
    let Some(list) = node.get("values") else {
        node.fault_missing(
            "values",
            "the values of the enum, such as [\"draft\", \"published\"]",
        );
        return None;
    };
    let items = list.items();
    if !(1..=VALUES_MAX).contains(&items.len()) {
        list.fault(format!(
            "expected 1 to {VALUES_MAX} values, got {}",
            items.len()
        ));
        return None;
    }
    let mut values: Vec<String> = Vec::new();
    for item in items {
        let Some(text) = item.text() else { continue };
        if text.is_empty() || text.len() > VALUE_MAX || text.chars().any(char::is_control) {
            item.fault(format!(
                "expected 1 to {VALUE_MAX} bytes without control characters"
            ));
        } else if values.iter().any(|known| known == text) {
            item.fault(format!("the value {text:?} stands twice"));
        }
        values.push(text.to_owned());
    }
    Some(FieldKind::Enum(values))
}

fn reference(node: &Node<'_>, declared: &Declared<'_>) -> Option<FieldKind> {
    let on_delete = node.get("on_delete");
    let on_delete = on_delete.and_then(|node| node.word("on_delete", &words::ON_DELETE));
    let Some(target) = node.get("to") else {
        node.fault_missing("to", "the type that the ref points to");
        return None;
    };
    let name = target.text()?;
    let Some(&to) = declared.names.get(name) else {
        target.fault(format!(
            "there is no type {name:?}, expected the name of a type"
        ));
        return None;
    };
    if declared.types[to].is_log {
        target.fault(format!("{name} is a log type, to which nothing can refer"));
    }
    Some(FieldKind::Ref {
        to,
        on_delete: on_delete.unwrap_or(OnDelete::Restrict),
    })
}

fn list(node: &Node<'_>) -> Option<FieldKind> {
    match node.get("of") {
        Some(of) => of.word("type of items", &words::ITEMS).map(FieldKind::List),
        None => {
            node.fault_missing("of", "what the list holds, string or int");
            None
        }
    }
}

fn goes_with(attribute: &str, kind: &FieldKind) -> bool {
    let listed = GOES_WITH.iter().find(|(name, _)| *name == attribute);
    listed.is_none_or(|(_, kinds)| kinds.contains(&kind.name()))
}

/// Refuses attributes that do not go with the type; a flag that is false says nothing.
fn check_attributes(node: &Node<'_>, kind: &FieldKind) {
    for (attribute, kinds) in GOES_WITH {
        let Some(given) = node
            .get(attribute)
            .filter(|given| *given.json != Json::Bool(false))
        else {
            continue;
        };
        if !goes_with(attribute, kind) {
            given.fault_of_name(format!(
                "`{attribute}` does not go with type {}, only with {}",
                kind.name(),
                kinds.join(", ")
            ));
        }
    }
    if node.get("search").is_some() && *kind == FieldKind::List(Item::Int) {
        node.fault_of("search", "`search` goes with lists of string, not of int");
    }
}

fn unique(node: &Node<'_>, kind: &FieldKind) -> Option<Unique> {
    match node.json {
        Json::Bool(false) => None,
        Json::Bool(true) => Some(Unique::Exact),
        Json::Str(word) if word == "fold" => {
            if *kind != FieldKind::String && goes_with("unique", kind) {
                node.fault(format!(
                    "\"fold\" goes with type string only, not with {}",
                    kind.name()
                ));
            }
            Some(Unique::Fold)
        }
        _ => {
            node.fault("expected true, false or \"fold\"");
            None
        }
    }
}

/// A bound of a number, or of a length.
fn bound(node: &Node<'_>, kind: &FieldKind) -> Option<Value> {
    let number = match (kind, node.json) {
        (FieldKind::Float, json) => crate::input::double(json).map(Value::Float),
        (FieldKind::Int, Json::Int(n)) => i64::try_from(*n).ok().map(Value::Int),
        (_, Json::Int(n @ 0..)) => i64::try_from(*n).ok().map(Value::Int),
        _ => None,
    };
    if number.is_none() {
        let expected = match kind {
            FieldKind::Float => "a finite number",
            FieldKind::Int => "a 64-bit signed integer",
            _ => "a length: a whole number, not negative",
        };
        node.fault(format!("expected {expected}"));
    }
    number
}

fn check_bounds(node: &Node<'_>, field: &Field) {
    if let (Some(min), Some(max)) = (&field.min, &field.max)
        && min.order(max).is_gt()
    {
        node.fault_of("min", "is greater than `max`, so no value would fit");
    }
}

fn pattern(node: &Node<'_>) -> Option<Regex> {
    let text = node.text()?;
    if text.len() > PATTERN_MAX {
        node.fault(format!(
            "has {} bytes, at most {PATTERN_MAX} fit",
            text.len()
        ));
        return None;
    }
    let built = RegexBuilder::new(text).size_limit(PATTERN_SIZE_MAX).build();
    match built {
        Ok(pattern) => Some(pattern),
        Err(regex::Error::CompiledTooBig(_)) => {
            node.fault("is too large when compiled, expected a smaller pattern");
            None
        }
        Err(error) => {
            // The library draws a picture over several lines; its last line says what is wrong.
            let error = error.to_string();
            let reason = error
                .lines()
                .last()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            node.fault(format!("expected a regular expression: {reason}"));
            None
        }
    }
}

fn merge(node: &Node<'_>, kind: &FieldKind) -> Option<Merge> {
    let merge = node.word("rule of merge", &words::MERGES)?;
    let kinds: &[&str] = match merge {
        Merge::Add => &["int", "float"],
        Merge::Max | Merge::Min => &["int", "float", "time"],
        Merge::Union => &["list"],
        Merge::Keep => return Some(merge),
    };
    if !kinds.contains(&kind.name()) {
        let word = words::word(&words::MERGES, &merge);
        node.fault(format!(
            "{word:?} goes with {} only, not with {}",
            kinds.join(", "),
            kind.name()
        ));
    }
    Some(merge)
}

fn check_secret(node: &Node<'_>, field: &Field) {
    if field.secret && field.index {
        node.fault_of(
            "index",
            "a secret field cannot be indexed: nobody may filter on it",
        );
    }
    if field.secret && field.search.is_some() {
        node.fault_of("search", "a secret field cannot be searched");
    }
}

fn check_required(node: &Node<'_>, field: &Field) {
    let set_null = matches!(
        field.kind,
        FieldKind::Ref {
            on_delete: OnDelete::SetNull,
            ..
        }
    );
    if set_null && field.required {
        node.fault_of("on_delete", "\"set_null\" cannot unset a required field");
    }
}

/// Reads the default of a field.
pub(super) fn default(field: &Field, node: &Node<'_>) -> Option<Value> {
    let given = node.get("default")?;
    if given.is_time() && field.kind != FieldKind::Time {
        given.fault(format!(
            "expected a value of type {}, got a date or time",
            field.kind.name()
        ));
        return None;
    }
    given.with(|path, faults| crate::input::value(field, given.json, path, faults))
}
