//! What a type has beside its fields: keys, indexes, log options, relations, owner, access.

use super::declare::{Declared, TypeDecl};
use super::document::Node;
use super::field::is_keyable;
use super::model::{
    Access, Class, Column, Direction, Field, FieldKind, Key, LogOptions, Metric, Owner, Relation,
    Rollup, Type, TypeId, Unique, Who,
};
use super::words;
use crate::json::Json;
use crate::query::{Filter, aggregate, sort};
use crate::rollup;

/// Most fields of one key, index or roll-up: engines bound the columns of an index.
const KEY_FIELDS_MAX: usize = 16;
/// Most composite keys of a type; as many composite indexes.
const KEYS_MAX: usize = 32;
/// How many objects of a relation come, if the schema does not say.
pub(super) const RELATION_LIMIT: usize = 50;
/// Most objects of a relation.
const RELATION_LIMIT_MAX: u32 = 1000;
/// Longest retention: a hundred years.
const RETENTION_DAYS_MAX: u32 = 36_500;

/// The keys of a type: its unique fields, then its composite keys.
///
/// A key of one field in the list of composite keys is the same as `unique` at the field, and
/// becomes that.
pub(super) fn keys(node: &Node<'_>, fields: &mut [Field]) -> Vec<Key> {
    let mut composite: Vec<Key> = Vec::new();
    for item in lists(node, "unique") {
        match composite_key(&item, fields).as_deref() {
            None => {}
            Some([field]) => {
                fields[*field].unique.get_or_insert(Unique::Exact);
            }
            Some(key) => {
                if composite
                    .iter()
                    .any(|known| is_permutation(&known.fields, key))
                {
                    item.fault("there is another key of these fields");
                }
                composite.push(Key {
                    fields: key.to_vec(),
                    fold: false,
                });
            }
        }
    }
    let unique = fields.iter().enumerate().filter_map(|(position, field)| {
        let unique = field.unique?;
        Some(Key {
            fields: vec![position],
            fold: unique == Unique::Fold,
        })
    });
    unique.chain(composite).collect()
}

fn is_permutation(a: &[usize], b: &[usize]) -> bool {
    a.len() == b.len() && a.iter().all(|field| b.contains(field))
}

/// The lists under a name, of which there may be some.
fn lists<'a>(node: &Node<'a>, name: &str) -> Vec<Node<'a>> {
    node.get(name)
        .map_or(Vec::new(), |list| at_most(KEYS_MAX, &list))
}

/// The items of a list that has not too many.
fn at_most<'a>(max: usize, list: &Node<'a>) -> Vec<Node<'a>> {
    let items = list.items();
    if items.len() > max {
        list.fault(format!("has {} entries, at most {max} fit", items.len()));
        return Vec::new();
    }
    items
}

fn composite_key(node: &Node<'_>, fields: &[Field]) -> Option<Vec<usize>> {
    let mut key = Vec::new();
    for name in field_names(node)? {
        let position = field_of(&name, fields)?;
        if key.contains(&position) {
            name.fault("stands twice in this key");
        } else if !is_keyable(&fields[position]) {
            let kind = fields[position].kind.name();
            name.fault(format!("a field of type {kind} cannot be part of a key"));
        }
        key.push(position);
    }
    Some(key)
}

/// The items of a list that has some, but not too many for an index.
fn field_names<'a>(node: &Node<'a>) -> Option<Vec<Node<'a>>> {
    let names = node.items();
    let is_list = matches!(node.json, Json::Array(_));
    if is_list && !(1..=KEY_FIELDS_MAX).contains(&names.len()) {
        node.fault(format!(
            "expected a list of 1 to {KEY_FIELDS_MAX} fields, got {}",
            names.len()
        ));
        return None;
    }
    (!names.is_empty()).then_some(names)
}

/// The position of the field that a value names.
fn field_of(node: &Node<'_>, fields: &[Field]) -> Option<usize> {
    let name = node.text()?;
    let position = fields.iter().position(|field| field.name == name);
    if position.is_none() {
        node.fault(format!("there is no field {name:?} in this type"));
    }
    position
}

/// Reads the composite indexes of a type into it.
///
/// A rising index of one field is the same as `index` at the field, and becomes that.
pub(super) fn add_indexes(node: &Node<'_>, ty: &mut Type) {
    for item in lists(node, "index") {
        let Some(index) = composite_index(&item, ty) else {
            continue;
        };
        match index.as_slice() {
            [(Column::Field(field), Direction::Ascending)] => ty.fields[*field].index = true,
            _ if ty.indexes.contains(&index) => {
                item.fault("there is another index of these fields");
            }
            _ => ty.indexes.push(index),
        }
    }
}

fn composite_index(node: &Node<'_>, ty: &Type) -> Option<Vec<(Column, Direction)>> {
    let mut index: Vec<(Column, Direction)> = Vec::new();
    for name in field_names(node)? {
        name.text()?;
        let parsed = name.with(|path, faults| sort::parse(ty, name.json, path, faults))?;
        for (column, direction) in parsed {
            if index.iter().any(|(known, _)| *known == column) {
                name.fault("stands twice in this index");
            }
            index.push((column, direction));
        }
    }
    Some(index)
}

/// The class of a type, with what belongs to a log.
pub(super) fn class(decl: &TypeDecl<'_>, ty: &Type) -> Class {
    if decl.is_log {
        log(&decl.node, ty)
    } else {
        object(&decl.node)
    }
}

fn object(node: &Node<'_>) -> Class {
    for attribute in ["time", "retention_days", "rollup"] {
        if let Some(given) = node.get(attribute) {
            given.fault_of_name(format!("`{attribute}` goes with class \"log\" only"));
        }
    }
    Class::Object
}

fn log(node: &Node<'_>, ty: &Type) -> Class {
    let time = node.get("time");
    if time.is_none() {
        node.fault_missing("time", "the time field that partitions the log");
    }
    let Some(time) = time.and_then(|time| time_field(&time, ty)) else {
        return Class::Object;
    };
    let retention = node.get("retention_days");
    Class::Log(LogOptions {
        time,
        retention_days: retention.and_then(|days| days.number(&(1..=RETENTION_DAYS_MAX))),
        rollup: node
            .get("rollup")
            .and_then(|rollup| self::rollup(&rollup, ty, time)),
    })
}

fn time_field(node: &Node<'_>, ty: &Type) -> Option<usize> {
    let position = field_of(node, &ty.fields)?;
    let field = &ty.fields[position];
    if field.kind != FieldKind::Time {
        node.fault(format!(
            "{} has type {}, expected time",
            field.name,
            field.kind.name()
        ));
    } else if !field.required {
        node.fault(format!(
            "{} partitions the log, so it must be required",
            field.name
        ));
    } else if field.secret {
        node.fault(format!(
            "{} partitions the log, so it cannot be secret",
            field.name
        ));
    }
    Some(position)
}

fn rollup(node: &Node<'_>, ty: &Type, time: usize) -> Option<Rollup> {
    node.allow(&["unit", "by", "metrics"]);
    let Some(unit) = node.get("unit") else {
        node.fault_missing("unit", "hour or day");
        return None;
    };
    Some(Rollup {
        unit: unit.word("unit", &words::UNITS)?,
        by: node
            .get("by")
            .map_or(Vec::new(), |list| groups(&list, ty, time)),
        metrics: node
            .get("metrics")
            .map_or(vec![Metric::Count], |list| metrics(&list, ty)),
    })
}

fn groups(list: &Node<'_>, ty: &Type, time: usize) -> Vec<usize> {
    let mut groups = Vec::new();
    for node in at_most(KEY_FIELDS_MAX, list) {
        let Some(position) = field_of(&node, &ty.fields) else {
            continue;
        };
        let field = &ty.fields[position];
        if position == time {
            node.fault(format!(
                "{} makes the buckets and cannot group as well",
                field.name
            ));
        } else if !field.sortable() {
            node.fault(format!(
                "cannot group by {}: it is a list, text, json, bytes or secret",
                field.name
            ));
        } else if rollup::text::RESERVED.contains(&field.name.as_str()) {
            node.fault(format!(
                "cannot group by {}: a roll-up has a column of that name",
                field.name
            ));
        } else if groups.contains(&position) {
            node.fault(format!("{} stands twice", field.name));
        }
        groups.push(position);
    }
    groups
}

fn metrics(list: &Node<'_>, ty: &Type) -> Vec<Metric> {
    let items = at_most(KEYS_MAX, list);
    if matches!(list.json, Json::Array(items) if items.is_empty()) {
        list.fault("expected at least one metric, such as \"count\"");
    }
    let mut metrics = Vec::new();
    for item in items {
        let parse =
            |path: &str, faults: &mut _| aggregate::parse_metric(ty, item.json, path, faults);
        let Some(metric) = item.with(parse) else {
            continue;
        };
        if matches!(metric, Metric::Avg(_) | Metric::Unique(_)) {
            item.fault("a roll-up cannot add it up, expected count, sum, min or max");
        } else if is_of_system_field(metric) {
            item.fault("a roll-up keeps fields of the schema, not system fields");
        } else if metrics.contains(&metric) {
            item.fault("stands twice");
        }
        metrics.push(metric);
    }
    metrics
}

fn is_of_system_field(metric: Metric) -> bool {
    match metric {
        Metric::Count => false,
        Metric::Sum(column)
        | Metric::Min(column)
        | Metric::Max(column)
        | Metric::Avg(column)
        | Metric::Unique(column) => !matches!(column, Column::Field(_)),
    }
}

/// The relations of a type.
pub(super) fn relations(
    decl: &TypeDecl<'_>,
    id: TypeId,
    types: &[Type],
    declared: &Declared<'_>,
) -> Vec<Relation> {
    for (name, node) in &decl.relations {
        if types[id].field(name).is_some() {
            node.fault_of_name(format!(
                "{name:?} is the name of a field of {} too",
                decl.name
            ));
        }
    }
    let relations = decl.relations.iter();
    relations
        .filter_map(|(name, node)| relation(name, node, id, types, declared))
        .collect()
}

fn relation(
    name: &str,
    node: &Node<'_>,
    id: TypeId,
    types: &[Type],
    declared: &Declared<'_>,
) -> Option<Relation> {
    for (attribute, expected) in [
        ("from", "the type that refers to this one"),
        ("via", "the ref field of that type"),
    ] {
        if node.get(attribute).is_none() {
            node.fault_missing(attribute, expected);
        }
    }
    let from = node.get("from")?;
    let from_name = from.text()?;
    let Some(&from_id) = declared.names.get(from_name) else {
        from.fault(format!(
            "there is no type {from_name:?}, expected the name of a type"
        ));
        return None;
    };
    let referrer = &types[from_id];
    let via = via(&node.get("via")?, referrer, &types[id])?;
    let sort = node.get("sort");
    let sort = sort
        .and_then(|sort| sort.with(|path, faults| sort::parse(referrer, sort.json, path, faults)));
    let limit = node
        .get("limit")
        .and_then(|limit| limit.number(&(1..=RELATION_LIMIT_MAX)));
    Some(Relation {
        name: name.to_owned(),
        from: from_id,
        via,
        sort: sort.unwrap_or_default(),
        limit: limit.map_or(RELATION_LIMIT, |limit| limit as usize),
    })
}

fn via(node: &Node<'_>, from: &Type, ty: &Type) -> Option<usize> {
    let name = node.text()?;
    let Some(position) = from.field(name) else {
        node.fault(format!("{} has no field {name:?}", from.name));
        return None;
    };
    let field = &from.fields[position];
    if !matches!(field.kind, FieldKind::Ref { to, .. } if to == ty.id) {
        node.fault(format!("{}.{name} is no ref to {}", from.name, ty.name));
    } else if field.secret {
        node.fault(format!(
            "{}.{name} is secret, and the relation would show it",
            from.name
        ));
    }
    Some(position)
}

/// The owners of all types, as they are written: a ref is taken to lead to its target's owner.
pub(super) fn owners(declared: &Declared<'_>, types: &[Type]) -> Vec<Option<Owner>> {
    let pairs = declared.types.iter().zip(types);
    let written: Vec<Option<Owner>> = pairs.map(|(decl, ty)| owner(&decl.node, ty)).collect();
    (0..types.len())
        .map(|id| settled(id, &written, declared, types))
        .collect()
}

fn owner(node: &Node<'_>, ty: &Type) -> Option<Owner> {
    let node = node.get("owner")?;
    if node.text()? == "id" {
        return Some(Owner::Id);
    }
    let position = field_of(&node, &ty.fields)?;
    match &ty.fields[position].kind {
        FieldKind::String => Some(Owner::Field(position)),
        FieldKind::Ref { .. } => Some(Owner::Through(position)),
        other => {
            let kind = other.name();
            node.fault(format!(
                "a field of type {kind} cannot hold an id, expected string or ref"
            ));
            None
        }
    }
}

/// Follows the refs from owner to owner. Where the first of them leads to an object that is its
/// own owner, the ref's value is the owner's id, and nothing needs to be followed.
fn settled(
    id: TypeId,
    written: &[Option<Owner>],
    declared: &Declared<'_>,
    types: &[Type],
) -> Option<Owner> {
    let mut seen = vec![id];
    let mut at = id;
    while let Some(Owner::Through(field)) = written[at] {
        let FieldKind::Ref { to, .. } = types[at].fields[field].kind else {
            break;
        };
        let fault = if seen.contains(&to) {
            Some(format!(
                "the owner of {} leads round in a circle",
                types[id].name
            ))
        } else if written[to].is_none() {
            let (field, to) = (&types[at].fields[field].name, &types[to].name);
            Some(format!(
                "{}.{field} points to {to}, which has no owner",
                types[at].name
            ))
        } else {
            None
        };
        if let Some(fault) = fault {
            declared.types[id].node.fault_of("owner", fault);
            return None;
        }
        seen.push(to);
        at = to;
    }
    match written[id] {
        Some(Owner::Through(field)) if seen.len() == 2 && written[at] == Some(Owner::Id) => {
            Some(Owner::Field(field))
        }
        owner => owner,
    }
}

/// Who may read and write objects of a type, whose owner is known.
pub(super) fn access(node: &Node<'_>, ty: &Type) -> Access {
    let mut access = Access {
        read: Who::Any,
        read_if: None,
        write: Who::Admin,
    };
    let Some(node) = node.get("access") else {
        return access;
    };
    node.allow(&["read", "read_if", "write"]);
    let who = |name: &str, words: &[(&str, Who)], otherwise| {
        let Some(given) = node.get(name) else {
            return otherwise;
        };
        let who = given.word("access", words).unwrap_or(otherwise);
        if who == Who::Owner && ty.owner.is_none() {
            given.fault(format!(
                "{} has no `owner`, expected another access",
                ty.name
            ));
        }
        who
    };
    access.read = who("read", &words::READERS, Who::Any);
    access.write = who("write", &words::WRITERS, Who::Admin);
    access.read_if = node.get("read_if").and_then(|filter| {
        filter.with(|path, faults| Filter::parse(ty, filter.json, path, faults))
    });
    access
}
