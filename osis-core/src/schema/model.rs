//! What a schema says, checked and with its names resolved to positions.

use std::collections::HashMap;

use regex::Regex;

use crate::query::Filter;
use crate::value::Value;

/// The position of a type in its schema.
pub type TypeId = usize;

/// The position of a key in its type's [`Type::keys`].
pub type KeyId = usize;

/// A set of types, from one or several schema files.
#[derive(Debug)]
pub struct Schema {
    /// Names of the files' schemas, joined with `+` in the order given: `appstore+shop`.
    pub name: String,
    /// The highest version among the files.
    pub version: u32,
    /// Lower-case hex of the SHA-256 of [`Self::text`].
    pub hash: String,
    /// The whole schema as canonical TOML: parsing it gives this schema again.
    pub text: String,
    /// The types, in the order of the files.
    pub types: Vec<Type>,
    pub(super) names: HashMap<String, TypeId>,
}

impl Schema {
    /// The type of that name.
    pub fn find(&self, name: &str) -> Option<&Type> {
        self.names.get(name).map(|&id| &self.types[id])
    }
}

/// A kind of object.
#[derive(Debug)]
pub struct Type {
    /// Its position in the schema.
    pub id: TypeId,
    /// Its name in methods and errors: `app`.
    pub name: String,
    /// Its name for tables and folders: `apps`.
    pub plural: String,
    /// What it is, for people.
    pub doc: Option<String>,
    /// How it is stored.
    pub class: Class,
    /// Its fields, in the order of the file.
    pub fields: Vec<Field>,
    /// What is unique beside the id: first the unique fields in their order, then the composite
    /// keys in theirs. Conflicts are looked for in this order.
    pub keys: Vec<Key>,
    /// Composite, ordered indexes.
    pub indexes: Vec<Vec<(Column, Direction)>>,
    /// What `expand` can bring along besides refs.
    pub relations: Vec<Relation>,
    /// Which field says whose an object is.
    pub owner: Option<Owner>,
    /// Who may read and write.
    pub access: Access,
    /// The refs of all types that point here.
    pub referrers: Vec<Referrer>,
}

impl Type {
    /// The position of a field.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The column of that name, system columns included.
    pub fn column(&self, name: &str) -> Option<Column> {
        match name {
            "id" => Some(Column::Id),
            "rev" => Some(Column::Rev),
            "created_at" => Some(Column::CreatedAt),
            "updated_at" => Some(Column::UpdatedAt),
            _ => self.field(name).map(Column::Field),
        }
    }

    /// The name of a column.
    pub fn column_name(&self, column: Column) -> &str {
        match column {
            Column::Id => "id",
            Column::Rev => "rev",
            Column::CreatedAt => "created_at",
            Column::UpdatedAt => "updated_at",
            Column::Field(field) => &self.fields[field].name,
        }
    }

    /// What a column holds.
    pub fn column_kind(&self, column: Column) -> &FieldKind {
        match column {
            Column::Id => &FieldKind::String,
            Column::Rev => &FieldKind::Int,
            Column::CreatedAt | Column::UpdatedAt => &FieldKind::Time,
            Column::Field(field) => &self.fields[field].kind,
        }
    }

    /// Whether a column can never be null.
    pub fn never_null(&self, column: Column) -> bool {
        match column {
            Column::Field(field) => self.fields[field].required,
            _ => true,
        }
    }

    /// The names of a key's fields.
    pub fn key_fields(&self, key: KeyId) -> Vec<&str> {
        self.keys[key]
            .fields
            .iter()
            .map(|&field| self.fields[field].name.as_str())
            .collect()
    }

    /// Whether a key holds a secret field, so that nobody may name it or learn who has it.
    pub fn key_is_secret(&self, key: KeyId) -> bool {
        self.keys[key]
            .fields
            .iter()
            .any(|&field| self.fields[field].secret)
    }

    /// The relation of that name.
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == name)
    }

    /// What a log type has beside an object type.
    pub fn log(&self) -> Option<&LogOptions> {
        match &self.class {
            Class::Object => None,
            Class::Log(options) => Some(options),
        }
    }

    /// Positions of the searchable fields in the order in which their words are counted:
    /// falling weight, fields of type `text` after all others, then the order of the schema.
    pub fn search_fields(&self) -> Vec<usize> {
        let mut fields: Vec<usize> = (0..self.fields.len())
            .filter(|&f| self.fields[f].search.is_some())
            .collect();
        fields.sort_by_key(|&f| {
            let field = &self.fields[f];
            (
                matches!(field.kind, FieldKind::Text),
                std::cmp::Reverse(field.search),
                f,
            )
        });
        fields
    }

    /// Whether callers may write objects of this type (the audit log is written by the store).
    pub fn writable(&self) -> bool {
        self.access.write != Who::None
    }
}

/// A column of a type: one of its fields or one of the system fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// `id`
    Id,
    /// `rev`
    Rev,
    /// `created_at`
    CreatedAt,
    /// `updated_at`
    UpdatedAt,
    /// A field, by its position.
    Field(usize),
}

/// Which way a sort or an index runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Null first.
    Ascending,
    /// Null last.
    Descending,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }
}

/// How objects of a type are stored.
#[derive(Debug)]
pub enum Class {
    /// Few and changing: apps, people.
    Object,
    /// Many and appended: events.
    Log(LogOptions),
}

/// What a log type has beside an object type.
#[derive(Debug)]
pub struct LogOptions {
    /// The time field that partitions it; required, cannot be changed.
    pub time: usize,
    /// How long raw rows are kept; for ever if absent.
    pub retention_days: Option<u32>,
    /// What is kept of them for ever.
    pub rollup: Option<Rollup>,
}

/// What is summed up of a log type.
#[derive(Debug)]
pub struct Rollup {
    /// How long a bucket is.
    pub unit: RollupUnit,
    /// The fields that are told apart.
    pub by: Vec<usize>,
    /// What is kept of each group.
    pub metrics: Vec<Metric>,
}

/// How long a bucket of a roll-up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollupUnit {
    /// `hour`
    Hour,
    /// `day`
    Day,
}

/// What an aggregate or a roll-up computes of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// `count`
    Count,
    /// `sum:field`
    Sum(Column),
    /// `min:field`
    Min(Column),
    /// `max:field`
    Max(Column),
    /// `avg:field`
    Avg(Column),
    /// `unique:field`
    Unique(Column),
}

/// A field of a type.
#[derive(Debug)]
pub struct Field {
    /// Its name: `[a-z][a-z0-9_]*`, at most 63 characters.
    pub name: String,
    /// What it is, for people.
    pub doc: Option<String>,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether it must be set.
    pub required: bool,
    /// What fills it in when an object is made without it.
    pub default: Option<Value>,
    /// Whether it is a key.
    pub unique: Option<Unique>,
    /// Whether it is indexed.
    pub index: bool,
    /// Whether it is part of a composite key or a composite index.
    pub composite: bool,
    /// Its weight in searches; not searchable if absent.
    pub search: Option<u32>,
    /// Accepted and stored, but never shown.
    pub secret: bool,
    /// Cannot be changed once the object is made.
    pub immutable: bool,
    /// The least number, length in characters, or number of items.
    pub min: Option<Value>,
    /// The greatest number, length in characters, or number of items.
    pub max: Option<Value>,
    /// What a string must match somewhere.
    pub pattern: Option<Regex>,
    /// A known form of string.
    pub format: Option<Format>,
    /// How `merge` treats it.
    pub merge: Option<Merge>,
}

impl Field {
    /// Whether any key or index holds it, which shortens the longest string to 1 KiB: PostgreSQL
    /// refuses index entries of more than about 2.7 KB.
    pub fn is_indexed(&self) -> bool {
        self.index || self.composite || self.unique.is_some()
    }

    /// Whether filters may name it with `eq`, `ne`, `in`, `exists`.
    pub fn filterable(&self) -> bool {
        !self.secret
            && !matches!(
                self.kind,
                FieldKind::Text | FieldKind::Json | FieldKind::Bytes
            )
    }

    /// Whether results may be sorted by it.
    pub fn sortable(&self) -> bool {
        self.filterable() && !matches!(self.kind, FieldKind::List(_))
    }
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldKind {
    /// Up to 4 KiB of UTF-8; 1 KiB where unique or indexed.
    String,
    /// Up to 1 MiB of UTF-8.
    Text,
    /// 64-bit signed.
    Int,
    /// 64-bit IEEE 754, finite.
    Float,
    /// true or false
    Bool,
    /// An instant.
    Time,
    /// One of these texts.
    Enum(Vec<String>),
    /// The id of another object.
    Ref {
        /// The type that it points to.
        to: TypeId,
        /// What becomes of this object when that one is deleted.
        on_delete: OnDelete,
    },
    /// A list.
    List(Item),
    /// Any JSON.
    Json,
    /// Up to 1 MiB.
    Bytes,
}

impl FieldKind {
    /// Its name in the schema language.
    pub fn name(&self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Text => "text",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Time => "time",
            Self::Enum(_) => "enum",
            Self::Ref { .. } => "ref",
            Self::List(_) => "list",
            Self::Json => "json",
            Self::Bytes => "bytes",
        }
    }
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Strings of up to 4 KiB (1 KiB where indexed).
    String,
    /// 64-bit signed integers.
    Int,
}

/// What becomes of a referrer when its referent is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// It is deleted too.
    Cascade,
    /// The delete is refused, unless the referrer goes too.
    Restrict,
    /// Its field is unset.
    SetNull,
}

/// How a unique field compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unique {
    /// Byte by byte.
    Exact,
    /// After NFKC case folding.
    Fold,
}

/// A known form of string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One `@`, something on both sides, no spaces or control characters, at most 254 bytes.
    Email,
    /// An absolute http or https URL.
    Url,
}

/// How `merge` treats a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Adds up.
    Add,
    /// Keeps the greater.
    Max,
    /// Keeps the less.
    Min,
    /// Appends the items that are new.
    Union,
    /// Keeps what is set.
    Keep,
}

/// Fields whose values together are unique in a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The fields' positions.
    pub fields: Vec<usize>,
    /// Whether it compares after NFKC case folding (a single string field).
    pub fold: bool,
}

impl Key {
    /// The form in which the key's values are compared.
    pub fn normalise(&self, values: &[Value]) -> Vec<Value> {
        let fold = |value: &Value| match value {
            Value::Str(text) if self.fold => Value::Str(crate::text::fold_key(text).into()),
            other => other.clone(),
        };
        values.iter().map(fold).collect()
    }

    /// The values of this key in an object, in the form in which they are compared; nothing where
    /// one of them is null, since nulls never clash.
    pub fn of(&self, values: &[Value]) -> Option<Vec<Value>> {
        let own: Vec<Value> = self
            .fields
            .iter()
            .map(|&field| values[field].clone())
            .collect();
        (!own.iter().any(Value::is_null)).then(|| self.normalise(&own))
    }
}

/// What `expand` can bring along besides refs: the objects that refer to this one.
#[derive(Debug)]
pub struct Relation {
    /// Its name in `expand`.
    pub name: String,
    /// The type that refers.
    pub from: TypeId,
    /// The ref field of that type.
    pub via: usize,
    /// In which order they come.
    pub sort: Vec<(Column, Direction)>,
    /// How many at most; 1: an object or null instead of a list.
    pub limit: usize,
}

/// Which field says whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The object's own id is the owner's.
    Id,
    /// The field holds the owner's id.
    Field(usize),
    /// The owner of the object that this ref points to.
    Through(usize),
}

/// Who may read and write the objects of a type.
#[derive(Debug)]
pub struct Access {
    /// Who may read.
    pub read: Who,
    /// Objects that anyone may read.
    pub read_if: Option<Filter>,
    /// Who may write.
    pub write: Who,
}

/// Who may do a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Every caller.
    Any,
    /// The owner, and the operator.
    Owner,
    /// The operator.
    Admin,
    /// Nobody but the store itself.
    None,
}

/// A ref that points to a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Referrer {
    /// The type that has the ref.
    pub type_id: TypeId,
    /// The ref field.
    pub field: usize,
    /// What becomes of the referrer.
    pub on_delete: OnDelete,
}
