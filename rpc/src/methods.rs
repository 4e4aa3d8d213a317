//! The methods that there are, made from the schema: nothing is written for one type.

use std::collections::HashMap;

use osis_core::Schema;
use osis_core::schema::{Type, TypeId};

/// A method.
#[derive(Debug, Clone)]
pub(crate) struct Method {
    /// Its name on the wire.
    pub(crate) name: String,
    /// What it does.
    pub(crate) action: Action,
}

/// What a method does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Something with objects of a type.
    Of(TypeId, Verb),
    /// `osis_transaction`
    Transaction,
    /// `osis_seed`
    Seed,
    /// `osis_changes`
    Changes,
    /// `osis_info`
    Info,
    /// `rpc.discover`
    Discover,
}

/// What one can do with objects of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// `T_new`
    New,
    /// `T_get`
    Get,
    /// `T_set`
    Set,
    /// `T_delete`
    Delete,
    /// `T_list`
    List,
    /// `T_find`
    Find,
    /// `T_count`
    Count,
    /// `T_aggregate`
    Aggregate,
    /// `T_ingest`
    Ingest,
}

impl Verb {
    const ALL: [Self; 9] = [
        Self::New,
        Self::Get,
        Self::Set,
        Self::Delete,
        Self::List,
        Self::Find,
        Self::Count,
        Self::Aggregate,
        Self::Ingest,
    ];

    /// Its name in methods.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Get => "get",
            Self::Set => "set",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Find => "find",
            Self::Count => "count",
            Self::Aggregate => "aggregate",
            Self::Ingest => "ingest",
        }
    }

    /// Whether a type has it. A type that only the store writes has no search either.
    fn exists_for(self, ty: &Type) -> bool {
        match self {
            Self::Get | Self::List | Self::Count | Self::Aggregate => true,
            Self::New | Self::Set | Self::Delete => ty.writable(),
            Self::Find => ty.writable() && !ty.search_fields().is_empty(),
            Self::Ingest => ty.writable() && ty.log().is_some(),
        }
    }
}

/// All methods of a schema.
#[derive(Debug)]
pub(crate) struct Methods {
    list: Vec<Method>,
    names: HashMap<String, usize>,
}

impl Methods {
    /// Makes the methods of a schema: type by type, those of the store last.
    pub(crate) fn of(schema: &Schema) -> Self {
        let of_types = schema.types.iter().flat_map(|ty| {
            let verbs = Verb::ALL.into_iter().filter(|verb| verb.exists_for(ty));
            verbs.map(|verb| Method {
                name: format!("{}_{}", ty.name, verb.name()),
                action: Action::Of(ty.id, verb),
            })
        });
        let of_store = [
            ("osis_transaction", Action::Transaction),
            ("osis_seed", Action::Seed),
            ("osis_changes", Action::Changes),
            ("osis_info", Action::Info),
            ("rpc.discover", Action::Discover),
        ];
        let of_store = of_store.into_iter().map(|(name, action)| Method {
            name: name.to_owned(),
            action,
        });
        let list: Vec<Method> = of_types.chain(of_store).collect();
        let names = list
            .iter()
            .enumerate()
            .map(|(n, method)| (method.name.clone(), n))
            .collect();
        Self { list, names }
    }

    /// The method of that name.
    pub(crate) fn find(&self, name: &str) -> Option<&Method> {
        self.names.get(name).map(|&n| &self.list[n])
    }

    /// All of them, in a steady order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Method> {
        self.list.iter()
    }
}
