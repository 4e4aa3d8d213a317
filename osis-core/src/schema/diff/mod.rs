//! What a newer schema would change, in steps that an engine can plan from and a person can read.
//!
//! Schemas are compared by names, never by positions. What is compared are the attributes of the
//! canonical text, so two schemas without a difference have one hash, and the other way round.

mod display;
mod lossless;

use std::collections::BTreeMap;

use serde::Serialize;

use self::lossless::{is_no_wider, keeps_field, keeps_type};
use super::model::{Field, Schema, Type};
use super::print::{self, Attributes, toml};
use crate::error::Error;
use crate::json::Json;

/// One difference between two schemas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What is different.
    #[serde(flatten)]
    pub what: ChangeKind,
    /// Whether it can be applied without asking: no stored value is lost, no stored object breaks
    /// a rule, and nobody may read or write more than before.
    pub lossless: bool,
}

/// What is different. Attributes are named as in the schema language, their values are TOML;
/// `None` where one is not set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ChangeKind {
    /// `name` or `version` of the schema.
    SchemaChanged {
        /// Which of them.
        attribute: &'static str,
        /// What it was.
        from: Option<String>,
        /// What it becomes.
        to: Option<String>,
    },
    /// Things come in another order, which changes the order of columns, or which conflict is
    /// found first, but nothing that is stored.
    Reordered {
        /// The type; absent where the types themselves come in another order.
        type_name: Option<String>,
        /// `types`, `fields`, `keys`, `indexes` or `relations`.
        what: &'static str,
    },
    /// A new type, with all that is in it.
    TypeAdded {
        /// The type.
        type_name: String,
    },
    /// A type is gone, with its objects.
    TypeRemoved {
        /// The type.
        type_name: String,
    },
    /// `plural`, `doc`, `class`, `owner`, `time`, `retention_days` or `rollup` of a type.
    TypeChanged {
        /// The type.
        type_name: String,
        /// Which of them.
        attribute: &'static str,
        /// What it was.
        from: Option<String>,
        /// What it becomes.
        to: Option<String>,
    },
    /// Who may read and write.
    AccessChanged {
        /// The type.
        type_name: String,
        /// What it was.
        from: Option<String>,
        /// What it becomes.
        to: Option<String>,
    },
    /// A new field. Its index, key and words come as changes of their own.
    FieldAdded {
        /// The type.
        type_name: String,
        /// The field.
        field: String,
    },
    /// A field is gone, with its values.
    FieldRemoved {
        /// The type.
        type_name: String,
        /// The field.
        field: String,
    },
    /// An attribute of a field, but for `unique`, `index` and `search`, which have changes of
    /// their own.
    FieldChanged {
        /// The type.
        type_name: String,
        /// The field.
        field: String,
        /// Which attribute.
        attribute: &'static str,
        /// What it was.
        from: Option<String>,
        /// What it becomes.
        to: Option<String>,
    },
    /// A new key, of one field or of several.
    KeyAdded {
        /// The type.
        type_name: String,
        /// The key's fields.
        fields: Vec<String>,
        /// Whether it compares after case folding.
        fold: bool,
    },
    /// A key is gone.
    KeyRemoved {
        /// The type.
        type_name: String,
        /// The key's fields.
        fields: Vec<String>,
        /// Whether it compared after case folding.
        fold: bool,
    },
    /// A new index, of one field (`index` at the field) or composite.
    IndexAdded {
        /// The type.
        type_name: String,
        /// The columns, with `-` before those that fall.
        columns: Vec<String>,
    },
    /// An index is gone.
    IndexRemoved {
        /// The type.
        type_name: String,
        /// The columns, with `-` before those that fall.
        columns: Vec<String>,
    },
    /// Other fields are searchable, or with other weights; by name.
    SearchChanged {
        /// The type.
        type_name: String,
        /// Weights as they were.
        from: BTreeMap<String, u32>,
        /// Weights as they become.
        to: BTreeMap<String, u32>,
    },
    /// A relation is new, gone or another.
    RelationChanged {
        /// The type.
        type_name: String,
        /// The relation.
        relation: String,
        /// What it was.
        from: Option<String>,
        /// What it becomes.
        to: Option<String>,
    },
}

/// What an engine does where the schema that a store holds is not the wanted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaPolicy {
    /// The stored one stays in force.
    Stored,
    /// The wanted one comes into force if nothing is lost by it; else the store is not opened.
    ApplyLossless,
}

/// The refusal to put a schema in force that differs from that of the store in `place` in what
/// cannot be changed without loss.
pub fn refused(place: &str, reasons: &[String]) -> Error {
    Error::invalid(
        "schema",
        format!(
            "{place} holds a schema that differs in what cannot be changed without loss: {}; \
             give the schema that it was made with, which `osis schema show` prints",
            reasons.join("; ")
        ),
    )
}

/// What would be lost by a change from one schema to another, in words; nothing if it is lossless.
pub fn losses(old: &Schema, new: &Schema) -> Vec<String> {
    diff(old, new)
        .iter()
        .filter(|change| !change.lossless)
        .map(ToString::to_string)
        .collect()
}

/// What changes from one schema to another; nothing if both have one hash.
pub fn diff(old: &Schema, new: &Schema) -> Vec<Change> {
    let mut diff = Diff {
        old,
        new,
        changes: Vec::new(),
    };
    diff.schema();
    for ty in &new.types {
        match old.find(&ty.name) {
            Some(before) => diff.ty(before, ty),
            None => diff.add(
                true,
                ChangeKind::TypeAdded {
                    type_name: ty.name.clone(),
                },
            ),
        }
    }
    let removed = old.types.iter().filter(|ty| new.find(&ty.name).is_none());
    removed.for_each(|ty| {
        diff.add(
            false,
            ChangeKind::TypeRemoved {
                type_name: ty.name.clone(),
            },
        );
    });
    diff.changes
}

struct Diff<'a> {
    old: &'a Schema,
    new: &'a Schema,
    changes: Vec<Change>,
}

impl Diff<'_> {
    fn add(&mut self, lossless: bool, what: ChangeKind) {
        self.changes.push(Change { what, lossless });
    }

    fn schema(&mut self) {
        let (old, new) = (self.old, self.new);
        let attributes = differences(print::schema_attributes(old), print::schema_attributes(new));
        for Difference {
            attribute,
            from,
            to,
        } in attributes
        {
            self.add(
                true,
                ChangeKind::SchemaChanged {
                    attribute,
                    from,
                    to,
                },
            );
        }
        let names = |types: &[Type]| types.iter().map(|ty| ty.name.clone()).collect::<Vec<_>>();
        self.order(None, "types", &names(&old.types), &names(&new.types));
    }

    fn ty(&mut self, old: &Type, new: &Type) {
        self.type_attributes(old, new);
        self.fields(old, new);
        self.keys(old, new);
        self.indexes(old, new);
        self.search(old, new);
        self.relations(old, new);
    }

    fn type_attributes(&mut self, old: &Type, new: &Type) {
        let attributes = differences(print::type_attributes(old), print::type_attributes(new));
        for Difference {
            attribute,
            from,
            to,
        } in attributes
        {
            let type_name = new.name.clone();
            match attribute {
                "unique" | "index" => {}
                "access" => {
                    let lossless = is_no_wider(old, new);
                    self.add(
                        lossless,
                        ChangeKind::AccessChanged {
                            type_name,
                            from,
                            to,
                        },
                    );
                }
                _ => {
                    let lossless = keeps_type(attribute, old, new);
                    self.add(
                        lossless,
                        ChangeKind::TypeChanged {
                            type_name,
                            attribute,
                            from,
                            to,
                        },
                    );
                }
            }
        }
    }

    fn fields(&mut self, old: &Type, new: &Type) {
        let before: BTreeMap<_, _> = print::fields(self.old, old).into_iter().collect();
        for (position, (name, attributes)) in print::fields(self.new, new).into_iter().enumerate() {
            let (type_name, field) = (new.name.clone(), name.to_owned());
            let now = &new.fields[position];
            match (old.field(name), before.get(name)) {
                (Some(position), Some(before)) => {
                    let changed = differences(before.clone(), attributes);
                    self.field(&new.name, &old.fields[position], now, changed);
                }
                _ => self.add(!now.required, ChangeKind::FieldAdded { type_name, field }),
            }
        }
        for field in old
            .fields
            .iter()
            .filter(|field| new.field(&field.name).is_none())
        {
            let (type_name, field) = (new.name.clone(), field.name.clone());
            self.add(false, ChangeKind::FieldRemoved { type_name, field });
        }
        let names = |ty: &Type| ty.fields.iter().map(|f| f.name.clone()).collect::<Vec<_>>();
        self.order(Some(new), "fields", &names(old), &names(new));
    }

    fn field(&mut self, ty: &str, old: &Field, new: &Field, changed: Vec<Difference>) {
        for Difference {
            attribute,
            from,
            to,
        } in changed
        {
            if matches!(attribute, "unique" | "index" | "search") {
                continue;
            }
            let (type_name, field) = (ty.to_owned(), new.name.clone());
            let what = ChangeKind::FieldChanged {
                type_name,
                field,
                attribute,
                from,
                to,
            };
            self.add(keeps_field(attribute, old, new), what);
        }
    }

    fn keys(&mut self, old: &Type, new: &Type) {
        let (before, now) = (keys(old), keys(new));
        for (fields, fold) in now.iter().filter(|key| !before.contains(key)) {
            // A field that no stored object has is null in all of them, and nulls never clash.
            let is_unset = |name: &String| {
                old.field(name).is_none()
                    && new
                        .field(name)
                        .is_some_and(|field| !new.fields[field].required)
            };
            let (type_name, fields, fold) = (new.name.clone(), fields.clone(), *fold);
            let lossless = fields.iter().any(is_unset);
            self.add(
                lossless,
                ChangeKind::KeyAdded {
                    type_name,
                    fields,
                    fold,
                },
            );
        }
        for (fields, fold) in before.iter().filter(|key| !now.contains(key)) {
            let (type_name, fields, fold) = (new.name.clone(), fields.clone(), *fold);
            self.add(
                false,
                ChangeKind::KeyRemoved {
                    type_name,
                    fields,
                    fold,
                },
            );
        }
        self.order(Some(new), "keys", &before, &now);
    }

    fn indexes(&mut self, old: &Type, new: &Type) {
        let (before, now) = (indexes(old), indexes(new));
        for columns in now.iter().filter(|index| !before.contains(index)) {
            let (type_name, columns) = (new.name.clone(), columns.clone());
            self.add(true, ChangeKind::IndexAdded { type_name, columns });
        }
        for columns in before.iter().filter(|index| !now.contains(index)) {
            let (type_name, columns) = (new.name.clone(), columns.clone());
            self.add(true, ChangeKind::IndexRemoved { type_name, columns });
        }
        self.order(Some(new), "indexes", &before, &now);
    }

    fn search(&mut self, old: &Type, new: &Type) {
        let (from, to) = (weights(old), weights(new));
        if from != to {
            let type_name = new.name.clone();
            self.add(
                true,
                ChangeKind::SearchChanged {
                    type_name,
                    from,
                    to,
                },
            );
        }
    }

    fn relations(&mut self, old: &Type, new: &Type) {
        let written = |schema: &Schema, ty: &Type| {
            let relations = print::relations(schema, ty).into_iter();
            let written = relations.map(|(n, a)| (n.to_owned(), toml(&print::table(a))));
            written.collect::<BTreeMap<String, String>>()
        };
        let (before, now) = (written(self.old, old), written(self.new, new));
        let mut names: Vec<&String> = now.keys().collect();
        names.extend(before.keys().filter(|name| !now.contains_key(*name)));
        for name in names {
            let (from, to) = (before.get(name).cloned(), now.get(name).cloned());
            if from != to {
                let (type_name, relation) = (new.name.clone(), name.clone());
                self.add(
                    true,
                    ChangeKind::RelationChanged {
                        type_name,
                        relation,
                        from,
                        to,
                    },
                );
            }
        }
        let names = |ty: &Type| {
            ty.relations
                .iter()
                .map(|r| r.name.clone())
                .collect::<Vec<_>>()
        };
        self.order(Some(new), "relations", &names(old), &names(new));
    }

    /// Notes it if those that are on both sides come in another order.
    fn order<T: PartialEq>(&mut self, ty: Option<&Type>, what: &'static str, old: &[T], new: &[T]) {
        let before = old.iter().filter(|item| new.contains(item));
        let now = new.iter().filter(|item| old.contains(item));
        if before.ne(now) {
            let type_name = ty.map(|ty| ty.name.clone());
            self.add(true, ChangeKind::Reordered { type_name, what });
        }
    }
}

/// An attribute that differs, with its values as TOML.
struct Difference {
    attribute: &'static str,
    from: Option<String>,
    to: Option<String>,
}

fn differences(old: Attributes, new: Attributes) -> Vec<Difference> {
    let names = |attributes: &Attributes| attributes.iter().map(|(n, _)| *n).collect::<Vec<_>>();
    let (mut names, before) = (names(&new), names(&old));
    before.into_iter().for_each(|name| {
        if !names.contains(&name) {
            names.push(name);
        }
    });
    let (old, new) = (print::table(old), print::table(new));
    let written = |table: &Json, name: &str| table.get(name).map(toml);
    let all = names.into_iter().map(|attribute| Difference {
        attribute,
        from: written(&old, attribute),
        to: written(&new, attribute),
    });
    all.filter(|difference| difference.from != difference.to)
        .collect()
}

/// Keys by the names of their fields.
fn keys(ty: &Type) -> Vec<(Vec<String>, bool)> {
    let names = |key: usize| ty.key_fields(key).into_iter().map(str::to_owned).collect();
    ty.keys
        .iter()
        .enumerate()
        .map(|(id, key)| (names(id), key.fold))
        .collect()
}

/// Indexes by the names of their columns: first those at fields, then the composite ones.
fn indexes(ty: &Type) -> Vec<Vec<String>> {
    let single = ty
        .fields
        .iter()
        .filter(|field| field.index)
        .map(|field| vec![field.name.clone()]);
    let composite = ty.indexes.iter().map(|index| {
        index
            .iter()
            .map(|(column, direction)| print::column_of(*column, *direction, ty))
            .collect()
    });
    single.chain(composite).collect()
}

fn weights(ty: &Type) -> BTreeMap<String, u32> {
    let fields = ty.fields.iter();
    fields
        .filter_map(|field| Some((field.name.clone(), field.search?)))
        .collect()
}
