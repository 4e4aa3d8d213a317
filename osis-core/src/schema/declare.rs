//! What the schema files declare: names of types, fields and relations, with the tables behind
//! them. Here names are checked and attributes that do not exist are found; what the attributes
//! say is read later, when every name is known.

use std::collections::HashMap;

use super::document::{Document, Node};
use super::model::TypeId;
use super::words;
use crate::json::Json;

/// Most types of a schema.
const TYPES_MAX: usize = 200;
/// Most fields of a type; as many relations.
const FIELDS_MAX: usize = 200;
/// Most schemas that one may be made of.
const SCHEMAS_MAX: usize = 100;
/// Longest name in characters: PostgreSQL cuts longer ones.
const NAME_MAX: usize = 63;

const SCHEMA_ATTRIBUTES: [&str; 3] = ["name", "version", "types"];

const TYPE_ATTRIBUTES: [&str; 12] = [
    "plural",
    "doc",
    "class",
    "owner",
    "access",
    "unique",
    "index",
    "time",
    "retention_days",
    "rollup",
    "fields",
    "relations",
];

const FIELD_ATTRIBUTES: [&str; 18] = [
    "type",
    "required",
    "default",
    "unique",
    "index",
    "search",
    "secret",
    "immutable",
    "min",
    "max",
    "pattern",
    "format",
    "merge",
    "on_delete",
    "values",
    "to",
    "of",
    "doc",
];

const RELATION_ATTRIBUTES: [&str; 4] = ["from", "via", "sort", "limit"];

/// Names that mean something else where a field could be named.
const RESERVED_FIELDS: [&str; 8] = [
    "id",
    "rev",
    "created_at",
    "updated_at",
    "or",
    "not",
    "and",
    "expand",
];

/// Names that begin methods of the store itself.
const RESERVED_TYPES: [&str; 2] = ["osis", "rpc"];

/// What all files declare together.
pub(super) struct Declared<'a> {
    /// The files' names, joined.
    pub(super) name: String,
    /// The highest version.
    pub(super) version: u32,
    /// The types, in the order of the files.
    pub(super) types: Vec<TypeDecl<'a>>,
    /// Their positions.
    pub(super) names: HashMap<String, TypeId>,
}

/// A declared field or relation: its name and its table.
pub(super) type Member<'a> = (&'a str, Node<'a>);

/// A declared type.
pub(super) struct TypeDecl<'a> {
    pub(super) name: &'a str,
    pub(super) plural: String,
    pub(super) is_log: bool,
    /// The whole table.
    pub(super) node: Node<'a>,
    pub(super) fields: Vec<Member<'a>>,
    pub(super) relations: Vec<Member<'a>>,
}

/// Reads the declarations of all files.
pub(super) fn declare<'a>(documents: &'a [Document<'a>]) -> Declared<'a> {
    let roots: Vec<Node<'a>> = documents.iter().map(Document::root).collect();
    roots.iter().for_each(|root| root.allow(&SCHEMA_ATTRIBUTES));
    let types: Vec<TypeDecl<'a>> = roots.iter().flat_map(types_of).collect();
    if let Some(extra) = types.get(TYPES_MAX) {
        extra
            .node
            .fault_of_name(format!("is one type too many, at most {TYPES_MAX} fit"));
    }
    check_clashes(&types);
    let names = types
        .iter()
        .enumerate()
        .map(|(id, ty)| (ty.name.to_owned(), id))
        .collect();
    Declared {
        name: joined_name(&roots),
        version: highest_version(&roots),
        types,
        names,
    }
}

/// The schemas' names joined with `+`. The canonical text of several files has such a name, so a
/// file may have one too.
fn joined_name(roots: &[Node<'_>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for root in roots {
        let expected = "the schema's name, such as name = \"shop\"";
        let Some(node) = root.get("name") else {
            root.fault_missing("name", expected);
            continue;
        };
        for part in node.text().into_iter().flat_map(|name| name.split('+')) {
            if names.len() == SCHEMAS_MAX {
                node.fault(format!("is one schema too many, at most {SCHEMAS_MAX} fit"));
                break;
            }
            if let Some(fault) = name_fault(part) {
                node.fault(fault);
            } else if names.contains(&part) {
                node.fault(format!("there is another schema of the name {part:?}"));
            }
            names.push(part);
        }
    }
    names.join("+")
}

fn highest_version(roots: &[Node<'_>]) -> u32 {
    let version = |root: &Node<'_>| match root.get("version") {
        Some(node) => node.number(&(1..=u32::MAX)),
        None => {
            root.fault_missing("version", "the schema's version, such as version = 1");
            None
        }
    };
    roots.iter().filter_map(version).max().unwrap_or(1)
}

fn types_of<'a>(root: &Node<'a>) -> Vec<TypeDecl<'a>> {
    let Some(table) = root.get("types") else {
        root.fault_missing("types", "at least one [types.NAME]");
        return Vec::new();
    };
    if *table.json == Json::Object(Vec::new()) {
        table.fault("is empty, expected at least one [types.NAME]");
    }
    table
        .entries()
        .into_iter()
        .map(|(name, node)| type_decl(name, node))
        .collect()
}

fn type_decl<'a>(name: &'a str, node: Node<'a>) -> TypeDecl<'a> {
    node.allow(&TYPE_ATTRIBUTES);
    if let Some(fault) = name_fault(name) {
        node.fault_of_name(fault);
    } else if RESERVED_TYPES.contains(&name) {
        node.fault_of_name(format!(
            "{name:?} names methods of the store and cannot name a type"
        ));
    }
    let class = node.get("class");
    let is_log = class
        .and_then(|node| node.word("class", &words::CLASSES))
        .unwrap_or(false);
    TypeDecl {
        name,
        plural: plural(name, &node),
        is_log,
        fields: members(&node, "fields", &FIELD_ATTRIBUTES),
        relations: members(&node, "relations", &RELATION_ATTRIBUTES),
        node,
    }
}

/// The plural names tables and folders, so it must not be a name that engines keep for themselves.
fn plural(name: &str, node: &Node<'_>) -> String {
    let Some(given) = node.get("plural") else {
        let plural = format!("{name}s");
        if name.len() == NAME_MAX {
            node.fault_missing(
                "plural",
                "one, since name + \"s\" has more than 63 characters",
            );
        } else if let Some(fault) = plural_fault(&plural) {
            node.fault_of_name(format!("the plural of {name:?}: {fault}"));
        }
        return plural;
    };
    let Some(plural) = given.text() else {
        return String::new();
    };
    if let Some(fault) = name_fault(plural).or_else(|| plural_fault(plural)) {
        given.fault(fault);
    }
    plural.to_owned()
}

fn plural_fault(plural: &str) -> Option<String> {
    if plural == "log" {
        return Some("\"log\" is the folder of the commit log and cannot be a plural".to_owned());
    }
    plural
        .starts_with("sqlite_")
        .then(|| "a plural cannot begin with sqlite_, which SQLite keeps for itself".to_owned())
}

/// The fields or the relations of a type.
fn members<'a>(ty: &Node<'a>, what: &str, attributes: &[&str]) -> Vec<Member<'a>> {
    let Some(table) = ty.get(what) else {
        return Vec::new();
    };
    let members = table.entries();
    for (name, node) in &members {
        node.allow(attributes);
        if let Some(fault) = name_fault(name) {
            node.fault_of_name(fault);
        } else if RESERVED_FIELDS.contains(name) {
            let reserved = RESERVED_FIELDS.join(", ");
            node.fault_of_name(format!("{name:?} is reserved, as are {reserved}"));
        }
    }
    if let Some((_, extra)) = members.get(FIELDS_MAX) {
        extra.fault_of_name(format!("is one too many, at most {FIELDS_MAX} {what} fit"));
    }
    members
}

/// Finds names and plurals that two types share, in one file or in two.
fn check_clashes(types: &[TypeDecl<'_>]) {
    let mut taken: HashMap<&str, &TypeDecl<'_>> = HashMap::new();
    for ty in types {
        for (what, name) in [("name", ty.name), ("plural", ty.plural.as_str())] {
            let Some(other) = taken.get(name) else {
                continue;
            };
            let fault = format!(
                "the {what} {name:?} is taken by the type {:?} at {}",
                other.name,
                other.node.position()
            );
            match ty.node.get("plural").filter(|_| what == "plural") {
                Some(plural) => plural.fault(fault),
                None => ty.node.fault_of_name(fault),
            }
        }
        taken.entry(ty.name).or_insert(ty);
        taken.entry(&ty.plural).or_insert(ty);
    }
}

fn name_fault(name: &str) -> Option<String> {
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if begins && name.chars().all(goes_on) && name.len() <= NAME_MAX {
        return None;
    }
    let form = "a letter a-z, then a-z, 0-9 and _, at most 63 characters in all";
    Some(format!("{name:?} is no name, expected {form}"))
}
