//! Writes a schema back: as canonical TOML, and as JSON of the same shape.
//!
//! The canonical text holds what was said and nothing else: no comments, no attribute that says
//! what its absence says too, each in a fixed order. So its hash tells whether two schemas are the
//! same. The TOML is written here, not by a library, since a newer version of one could choose
//! other quotes, and every stored hash would be wrong.

use std::fmt::Write as _;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::model::{
    Class, Column, Direction, Field, FieldKind, Metric, OnDelete, Owner, Relation, Rollup, Schema,
    Type, Unique, Who,
};
use super::types::RELATION_LIMIT;
use super::words::{self, word};
use crate::json::Json;
use crate::query::{Filter, Test, aggregate};
use crate::value::Value;

/// Attributes with their values, in the canonical order.
pub(super) type Attributes = Vec<(&'static str, Json)>;

impl Schema {
    /// The schema as JSON, in the shape of its TOML.
    pub fn to_json(&self) -> serde_json::Value {
        let types = self.types.iter().map(|ty| {
            let members = |members: Vec<(&str, Attributes)>| {
                Json::Object(
                    members
                        .into_iter()
                        .map(|(n, a)| (n.to_owned(), table(a)))
                        .collect(),
                )
            };
            let mut attributes = type_attributes(ty);
            attributes.push(("fields", members(fields(self, ty))));
            attributes.push(("relations", members(relations(self, ty))));
            (ty.name.clone(), table(attributes))
        });
        let types = Json::Object(types.collect());
        let mut schema = schema_attributes(self);
        schema.push(("types", types));
        serde_json::to_value(table(schema)).unwrap_or_default()
    }
}

/// The canonical text.
pub(super) fn text(schema: &Schema) -> String {
    let mut out = String::new();
    write_attributes(&mut out, schema_attributes(schema));
    for ty in &schema.types {
        let _ = writeln!(out, "\n[types.{}]", ty.name);
        write_attributes(&mut out, type_attributes(ty));
        write_members(
            &mut out,
            &format!("types.{}.fields", ty.name),
            fields(schema, ty),
        );
        write_members(
            &mut out,
            &format!("types.{}.relations", ty.name),
            relations(schema, ty),
        );
    }
    out
}

/// Lower-case hex of the SHA-256 of a text.
pub(super) fn hash(text: &str) -> String {
    Sha256::digest(text)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

fn write_attributes(out: &mut String, attributes: Attributes) {
    for (name, value) in attributes {
        let _ = writeln!(out, "{name} = {}", toml(&value));
    }
}

fn write_members(out: &mut String, header: &str, members: Vec<(&str, Attributes)>) {
    if members.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n[{header}]");
    for (name, attributes) in members {
        let _ = writeln!(out, "{name} = {}", toml(&table(attributes)));
    }
}

/// The attributes of the schema itself.
pub(super) fn schema_attributes(schema: &Schema) -> Attributes {
    vec![
        ("name", text_of(&schema.name)),
        ("version", Json::Int(schema.version.into())),
    ]
}

/// The attributes of a type, without its fields and relations.
pub(super) fn type_attributes(ty: &Type) -> Attributes {
    let mut all = Vec::new();
    if ty.plural != format!("{}s", ty.name) {
        all.push(("plural", text_of(&ty.plural)));
    }
    all.extend(ty.doc.as_deref().map(|doc| ("doc", text_of(doc))));
    if ty.log().is_some() {
        all.push(("class", text_of("log")));
    }
    all.extend(
        ty.owner
            .map(|owner| ("owner", text_of(owner_name(owner, ty)))),
    );
    all.extend(access(ty).map(|access| ("access", access)));
    let keys = ty.keys.iter().filter(|key| key.fields.len() > 1);
    let keys: Vec<Json> = keys.map(|key| names(&key.fields, ty)).collect();
    all.extend((!keys.is_empty()).then_some(("unique", Json::Array(keys))));
    let indexes: Vec<Json> = ty.indexes.iter().map(|index| columns(index, ty)).collect();
    all.extend((!indexes.is_empty()).then_some(("index", Json::Array(indexes))));
    if let Class::Log(log) = &ty.class {
        all.push(("time", text_of(&ty.fields[log.time].name)));
        all.extend(
            log.retention_days
                .map(|days| ("retention_days", Json::Int(days.into()))),
        );
        all.extend(
            log.rollup
                .as_ref()
                .map(|rollup| ("rollup", self::rollup(rollup, ty))),
        );
    }
    all
}

fn owner_name(owner: Owner, ty: &Type) -> &str {
    match owner {
        Owner::Id => "id",
        Owner::Field(field) | Owner::Through(field) => &ty.fields[field].name,
    }
}

fn access(ty: &Type) -> Option<Json> {
    let access = &ty.access;
    let mut all = Vec::new();
    if access.read != Who::Any {
        all.push(("read", text_of(word(&words::READERS, &access.read))));
    }
    all.extend(read_if(ty).map(|filter| ("read_if", filter)));
    if access.write != Who::Admin {
        all.push(("write", text_of(word(&words::WRITERS, &access.write))));
    }
    (!all.is_empty()).then(|| table(all))
}

/// Which objects of a type anyone may read, as the API writes filters.
pub(super) fn read_if(ty: &Type) -> Option<Json> {
    ty.access
        .read_if
        .as_ref()
        .map(|filter| self::filter(filter, ty))
}

fn rollup(rollup: &Rollup, ty: &Type) -> Json {
    let mut all = vec![("unit", text_of(word(&words::UNITS, &rollup.unit)))];
    if !rollup.by.is_empty() {
        all.push(("by", names(&rollup.by, ty)));
    }
    if rollup.metrics != [Metric::Count] {
        let metrics = rollup
            .metrics
            .iter()
            .map(|metric| aggregate::metric_name(*metric, ty));
        all.push(("metrics", Json::Array(metrics.map(Json::Str).collect())));
    }
    table(all)
}

/// The fields of a type with their attributes.
pub(super) fn fields<'a>(schema: &Schema, ty: &'a Type) -> Vec<(&'a str, Attributes)> {
    let time = ty.log().map(|log| log.time);
    let fields = ty.fields.iter().enumerate();
    let fields = fields.map(|(position, field)| {
        let mut attributes = field_attributes(schema, field);
        if time == Some(position) {
            // The time of a log cannot be changed, whether the schema says so or not.
            attributes.retain(|(name, _)| *name != "immutable");
        }
        (field.name.as_str(), attributes)
    });
    fields.collect()
}

fn field_attributes(schema: &Schema, field: &Field) -> Attributes {
    let mut all = vec![("type", text_of(field.kind.name()))];
    match &field.kind {
        FieldKind::Enum(values) => {
            all.push((
                "values",
                Json::Array(values.iter().map(|v| text_of(v)).collect()),
            ));
        }
        FieldKind::Ref { to, on_delete } => {
            all.push(("to", text_of(&schema.types[*to].name)));
            if *on_delete != OnDelete::Restrict {
                all.push(("on_delete", text_of(word(&words::ON_DELETE, on_delete))));
            }
        }
        FieldKind::List(item) => all.push(("of", text_of(word(&words::ITEMS, item)))),
        _ => {}
    }
    all.extend(field.required.then_some(("required", Json::Bool(true))));
    all.extend(
        field
            .default
            .as_ref()
            .map(|value| ("default", self::value(value))),
    );
    all.extend(field.unique.map(|unique| match unique {
        Unique::Exact => ("unique", Json::Bool(true)),
        Unique::Fold => ("unique", text_of("fold")),
    }));
    all.extend(field.index.then_some(("index", Json::Bool(true))));
    all.extend(
        field
            .search
            .map(|weight| ("search", Json::Int(weight.into()))),
    );
    all.extend(field.secret.then_some(("secret", Json::Bool(true))));
    all.extend(field.immutable.then_some(("immutable", Json::Bool(true))));
    all.extend(field.min.as_ref().map(|min| ("min", value(min))));
    all.extend(field.max.as_ref().map(|max| ("max", value(max))));
    all.extend(
        field
            .pattern
            .as_ref()
            .map(|pattern| ("pattern", text_of(pattern.as_str()))),
    );
    all.extend(
        field
            .format
            .map(|format| ("format", text_of(word(&words::FORMATS, &format)))),
    );
    all.extend(
        field
            .merge
            .map(|merge| ("merge", text_of(word(&words::MERGES, &merge)))),
    );
    all.extend(field.doc.as_deref().map(|doc| ("doc", text_of(doc))));
    all
}

/// The relations of a type with their attributes.
pub(super) fn relations<'a>(schema: &Schema, ty: &'a Type) -> Vec<(&'a str, Attributes)> {
    let relations = ty.relations.iter();
    relations
        .map(|relation| (relation.name.as_str(), relation_of(schema, relation)))
        .collect()
}

fn relation_of(schema: &Schema, relation: &Relation) -> Attributes {
    let from = &schema.types[relation.from];
    let mut all = vec![
        ("from", text_of(&from.name)),
        ("via", text_of(&from.fields[relation.via].name)),
    ];
    match relation.sort.as_slice() {
        [] => {}
        [(column, direction)] => {
            all.push(("sort", Json::Str(column_of(*column, *direction, from))));
        }
        several => all.push(("sort", columns(several, from))),
    }
    if relation.limit != RELATION_LIMIT {
        all.push(("limit", Json::Int(relation.limit as i128)));
    }
    all
}

/// A filter as the API writes it.
fn filter(filter: &Filter, ty: &Type) -> Json {
    let parts = match filter {
        Filter::All(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut entries: Vec<(String, Json)> = Vec::new();
    for part in parts {
        match part {
            Filter::Column(column, test) => {
                let (operator, operand) = test_of(test);
                add_test(&mut entries, ty.column_name(*column), operator, operand);
            }
            Filter::Not(inner) => match &**inner {
                Filter::Column(column, Test::Eq(wanted)) => {
                    add_test(&mut entries, ty.column_name(*column), "ne", value(wanted));
                }
                other => entries.push(("not".to_owned(), self::filter(other, ty))),
            },
            Filter::Any(branches) => {
                let branches = branches.iter().map(|branch| self::filter(branch, ty));
                entries.push(("or".to_owned(), Json::Array(branches.collect())));
            }
            // The parser makes none within another.
            Filter::All(_) => {}
        }
    }
    let columns = entries
        .iter_mut()
        .filter(|(name, _)| ty.column(name).is_some());
    columns.for_each(|(_, tests)| shorten(tests));
    Json::Object(entries)
}

/// Adds a test to those of its column.
fn add_test(entries: &mut Vec<(String, Json)>, name: &str, operator: &str, operand: Json) {
    let test = (operator.to_owned(), operand);
    match entries.iter_mut().find(|(known, _)| known == name) {
        Some((_, Json::Object(tests))) => tests.push(test),
        _ => entries.push((name.to_owned(), Json::Object(vec![test]))),
    }
}

/// Writes `{ eq = value }` as the value alone.
fn shorten(tests: &mut Json) {
    if let Json::Object(list) = tests
        && let [(operator, operand)] = list.as_slice()
        && operator == "eq"
    {
        *tests = operand.clone();
    }
}

fn test_of(test: &Test) -> (&'static str, Json) {
    match test {
        Test::Eq(wanted) => ("eq", value(wanted)),
        Test::In(wanted) => ("in", Json::Array(wanted.iter().map(value).collect())),
        Test::Exists(set) => ("exists", Json::Bool(*set)),
        Test::Gt(bound) => ("gt", value(bound)),
        Test::Gte(bound) => ("gte", value(bound)),
        Test::Lt(bound) => ("lt", value(bound)),
        Test::Lte(bound) => ("lte", value(bound)),
        Test::Prefix(start) => ("prefix", text_of(start)),
        Test::Has(item) => ("has", value(item)),
    }
}

/// A value as a caller would give it.
fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(b) => Json::Bool(*b),
        Value::Int(n) => Json::Int((*n).into()),
        Value::Float(x) => Json::Float(*x),
        Value::Str(text) => text_of(text),
        Value::Time(time) => Json::Str(time.to_string()),
        Value::List(items) => Json::Array(items.iter().map(self::value).collect()),
        Value::Json(text) => Json::parse(text.as_bytes()).unwrap_or(Json::Null),
        Value::Bytes(bytes) => Json::Str(base64::engine::general_purpose::STANDARD.encode(bytes)),
    }
}

fn names(fields: &[usize], ty: &Type) -> Json {
    Json::Array(
        fields
            .iter()
            .map(|&field| text_of(&ty.fields[field].name))
            .collect(),
    )
}

fn columns(columns: &[(Column, Direction)], ty: &Type) -> Json {
    let columns = columns
        .iter()
        .map(|(column, direction)| column_of(*column, *direction, ty));
    Json::Array(columns.map(Json::Str).collect())
}

/// A column of a sort or an index: `name`, or `-name` where it falls.
pub(super) fn column_of(column: Column, direction: Direction, ty: &Type) -> String {
    let sign = if direction == Direction::Descending {
        "-"
    } else {
        ""
    };
    format!("{sign}{}", ty.column_name(column))
}

fn text_of(text: &str) -> Json {
    Json::Str(text.to_owned())
}

/// Attributes as a table.
pub(super) fn table(attributes: Attributes) -> Json {
    Json::Object(
        attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// A value as TOML on one line.
pub(super) fn toml(value: &Json) -> String {
    match value {
        // TOML has no null, so no schema can bring one.
        Json::Null => quoted(""),
        Json::Bool(b) => b.to_string(),
        Json::Int(n) => n.to_string(),
        Json::Float(x) => format!("{x:?}"),
        Json::Huge(text) => text.to_string(),
        Json::Str(text) => quoted(text),
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Json::Object(entries) => {
            let entry = |(name, value): &(String, Json)| format!("{} = {}", key(name), toml(value));
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A basic string. Source: <https://toml.io/en/v1.0.0#string>
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
