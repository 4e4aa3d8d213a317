//! Reads the schema language: TOML files in, one checked [`Schema`] out.
//!
//! Files are read together, since types of one may refer to types of another. Each step notes all
//! the faults that it finds; the next one starts only where there are none, so that no fault is
//! reported that follows from another.

use std::collections::HashMap;

use super::declare::{Declared, TypeDecl, declare};
use super::document::{self, Document};
use super::model::{Access, Class, Column, Field, FieldKind, Referrer, Schema, Type, TypeId, Who};
use super::{field, print, types};
use crate::error::{Error, Result};

/// The text of the built-in schema, `appstore`.
pub const BUILTIN: &str = include_str!("../../../schemas/appstore.toml");

/// A schema file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in messages.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// A file that was read.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            text: text.into(),
        }
    }

    /// The built-in schema.
    pub fn builtin() -> Self {
        Self::new("appstore.toml (built in)", BUILTIN)
    }
}

/// Reads schema files as one schema.
///
/// **Errors.** [`crate::ErrorKind::Invalid`] with every fault found, each with its TOML path, and
/// with file, line and column (from 1, in characters) at the head of its message:
/// ``shop.toml:12:23: unknown field type "strng", expected one of string, text, …``.
pub fn load(sources: &[Source]) -> Result<Schema> {
    if sources.is_empty() {
        return Err(Error::invalid(
            "schema",
            "there is none, expected at least one schema file",
        ));
    }
    let documents: Vec<Document<'_>> = sources.iter().map(Document::parse).collect();
    document::finish(&documents)?;
    let declared = declare(&documents);
    document::finish(&documents)?;
    let fields: Vec<Vec<Field>> = declared
        .types
        .iter()
        .map(|ty| fields(ty, &declared))
        .collect();
    document::finish(&documents)?;
    let pairs = declared.types.iter().zip(fields).enumerate();
    let mut types: Vec<Type> = pairs
        .map(|(id, (decl, fields))| own(id, decl, fields))
        .collect();
    document::finish(&documents)?;
    connect(&mut types, &declared);
    document::finish(&documents)?;
    let Declared {
        name,
        version,
        names,
        ..
    } = declared;
    Ok(sealed(name, version, types, names))
}

fn fields(decl: &TypeDecl<'_>, declared: &Declared<'_>) -> Vec<Field> {
    let fields = decl.fields.iter();
    fields
        .filter_map(|(name, node)| field::field(name, node, declared))
        .collect()
}

/// A type with all that can be said without looking at another.
fn own(id: TypeId, decl: &TypeDecl<'_>, mut fields: Vec<Field>) -> Type {
    let mut ty = Type {
        id,
        name: decl.name.to_owned(),
        plural: decl.plural.clone(),
        doc: decl.node.get_text("doc").map(str::to_owned),
        class: Class::Object,
        keys: types::keys(&decl.node, &mut fields),
        fields,
        indexes: Vec::new(),
        relations: Vec::new(),
        owner: None,
        access: Access {
            read: Who::Any,
            read_if: None,
            write: Who::Admin,
        },
        referrers: Vec::new(),
    };
    types::add_indexes(&decl.node, &mut ty);
    mark_composite(&mut ty);
    ty.class = types::class(decl, &ty);
    if let Class::Log(log) = &ty.class {
        ty.fields[log.time].immutable = true;
    }
    for (field, (_, node)) in ty.fields.iter_mut().zip(&decl.fields) {
        field.default = field::default(field, node);
    }
    ty
}

/// Marks the fields that composite keys and indexes hold: their strings are shorter.
fn mark_composite(ty: &mut Type) {
    let keyed = ty
        .keys
        .iter()
        .filter(|key| key.fields.len() > 1)
        .flat_map(|key| &key.fields);
    let indexed = ty
        .indexes
        .iter()
        .flatten()
        .filter_map(|(column, _)| match column {
            Column::Field(field) => Some(field),
            _ => None,
        });
    let marked: Vec<usize> = keyed.chain(indexed).copied().collect();
    marked
        .into_iter()
        .for_each(|field| ty.fields[field].composite = true);
}

/// Adds what ties types to each other.
fn connect(types: &mut [Type], declared: &Declared<'_>) {
    let owners = types::owners(declared, types);
    let relations: Vec<_> = declared
        .types
        .iter()
        .enumerate()
        .map(|(id, decl)| types::relations(decl, id, types, declared))
        .collect();
    let referrers: Vec<_> = (0..types.len()).map(|id| referrers(id, types)).collect();
    let parts = owners.into_iter().zip(relations).zip(referrers);
    for ((ty, decl), ((owner, relations), referrers)) in
        types.iter_mut().zip(&declared.types).zip(parts)
    {
        ty.owner = owner;
        ty.relations = relations;
        ty.referrers = referrers;
        ty.access = types::access(&decl.node, ty);
    }
}

fn referrers(target: TypeId, types: &[Type]) -> Vec<Referrer> {
    let fields = types.iter().flat_map(|ty| {
        ty.fields
            .iter()
            .enumerate()
            .map(|(position, field)| (ty.id, position, &field.kind))
    });
    let referrers = fields.filter_map(|(type_id, field, kind)| match kind {
        FieldKind::Ref { to, on_delete } if *to == target => Some(Referrer {
            type_id,
            field,
            on_delete: *on_delete,
        }),
        _ => None,
    });
    referrers.collect()
}

/// The finished schema, with its canonical text and the hash of it.
fn sealed(name: String, version: u32, types: Vec<Type>, names: HashMap<String, TypeId>) -> Schema {
    let mut schema = Schema {
        name,
        version,
        hash: String::new(),
        text: String::new(),
        types,
        names,
    };
    schema.text = print::text(&schema);
    schema.hash = print::hash(&schema.text);
    schema
}
