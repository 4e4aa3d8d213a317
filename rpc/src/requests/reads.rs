//! `_get`, `_list`, `_find` and `_count`.

use osis_core::backend::Search;
use osis_core::error::Faults;
use osis_core::input::Target;
use osis_core::output::Shape;
use osis_core::query::cursor::Fingerprint;
use osis_core::query::{Cursor, Filter, Sort, sort};
use osis_core::schema::{Column, Direction, Field, FieldKind, Type, TypeId};
use osis_core::store::{self, List, find_position};
use osis_core::text::Query;
use osis_core::value::Value;

use super::simple::column;
use crate::methods::Verb;
use crate::params::Args;

/// `T_get`
#[derive(Debug)]
pub(crate) struct Get {
    pub(crate) type_id: TypeId,
    pub(crate) target: Target,
    pub(crate) shape: Shape,
}

/// `T_list`
#[derive(Debug)]
pub(crate) struct ListPage {
    pub(crate) list: List,
    pub(crate) shape: Shape,
    pub(crate) fingerprint: Fingerprint,
}

/// `T_find`
#[derive(Debug)]
pub(crate) struct Find {
    pub(crate) find: store::Find,
    pub(crate) shape: Shape,
    pub(crate) fingerprint: Fingerprint,
}

/// `T_count`
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) type_id: TypeId,
    pub(crate) filter: Filter,
}

pub(super) fn get(ty: &Type, args: &Args, faults: &mut Faults) -> Option<Get> {
    let target = args.target(ty, faults);
    let shape = shape(ty, args, faults);
    Some(Get {
        type_id: ty.id,
        target: target?,
        shape,
    })
}

pub(super) fn list(ty: &Type, args: &Args, faults: &mut Faults) -> Option<ListPage> {
    let filter = args.filter(ty, faults);
    let sort = order(ty, args, faults);
    let limit = limit(args, faults);
    let count = args.flag("count", faults);
    let shape = shape(ty, args, faults);
    let (filter, sort) = (filter?, Sort::new(sort?.unwrap_or_default()));
    let fingerprint = fingerprint(ty, Verb::List, &[&filter, &sort]);
    let after = position(ty, &sort_kinds(ty, &sort), fingerprint, args, faults);
    let list = List {
        type_id: ty.id,
        filter,
        sort,
        after: after?,
        limit: limit?,
        count,
        expand: shape.expand.clone(),
    };
    Some(ListPage {
        list,
        shape,
        fingerprint,
    })
}

pub(super) fn find(ty: &Type, args: &Args, faults: &mut Faults) -> Option<Find> {
    let prefix_last = args.flag("prefix_last", faults);
    let query = query(ty, args, prefix_last, faults);
    let filter = args.filter(ty, faults);
    let sort = order(ty, args, faults);
    let limit = limit(args, faults);
    let shape = shape(ty, args, faults);
    let typo = args.flag("typo", faults);
    let highlight = args.flag("highlight", faults);
    let facets = facets(ty, args, faults);
    let (query, filter, sort) = (query?, filter?, sort?.map(Sort::new));
    let fingerprint = fingerprint(ty, Verb::Find, &[&query, &filter, &sort, &typo]);
    let kinds = find_position(ty, sort.as_ref());
    let after = position(ty, &kinds, fingerprint, args, faults);
    let search = Search {
        type_id: ty.id,
        query,
        filter,
        sort,
        after: after?,
        limit: limit?,
        facets,
    };
    let find = store::Find {
        search,
        typo,
        highlight,
        expand: shape.expand.clone(),
    };
    Some(Find {
        find,
        shape,
        fingerprint,
    })
}

/// The columns whose values are counted: those that groups are made of, and lists.
fn facets(ty: &Type, args: &Args, faults: &mut Faults) -> Vec<Column> {
    let names = args.names("facets", faults).into_iter();
    let columns = names.filter_map(|(path, name)| {
        let column = match column(ty, name) {
            Ok(Column::Field(field)) if !is_countable(&ty.fields[field]) => Err(format!(
                "{name} has no facet: it is text, json, bytes or secret"
            )),
            column => column,
        };
        column.map_err(|message| faults.add(path, message)).ok()
    });
    columns.collect()
}

fn is_countable(field: &Field) -> bool {
    field.sortable() || (matches!(field.kind, FieldKind::List(_)) && !field.secret)
}

fn query(ty: &Type, args: &Args, prefix_last: bool, faults: &mut Faults) -> Option<Query> {
    let text = args.text("query", faults)?;
    match Query::parse(ty, text, prefix_last) {
        Ok(query) => Some(query),
        Err(error) => {
            if let Err(other) = faults.absorb(error) {
                faults.add("query", other.message());
            }
            None
        }
    }
}

pub(super) fn count(ty: &Type, args: &Args, faults: &mut Faults) -> Option<Count> {
    Some(Count {
        type_id: ty.id,
        filter: args.filter(ty, faults)?,
    })
}

fn shape(ty: &Type, args: &Args, faults: &mut Faults) -> Shape {
    Shape {
        expand: args.expand(ty, faults),
        fields: args.fields(ty, faults),
    }
}

pub(super) fn limit(args: &Args, faults: &mut Faults) -> Option<usize> {
    args.number("limit", faults)
        .and_then(|limit| usize::try_from(limit).ok())
}

/// The columns of `sort`; `Some(None)` if it names none, `None` if it is wrong.
fn order(ty: &Type, args: &Args, faults: &mut Faults) -> Option<Option<Vec<(Column, Direction)>>> {
    match args.get("sort") {
        None => Some(None),
        Some(json) => {
            let columns = sort::parse(ty, json, "sort", faults)?;
            Some(Some(columns).filter(|columns| !columns.is_empty()))
        }
    }
}

fn sort_kinds<'a>(ty: &'a Type, sort: &Sort) -> Vec<&'a FieldKind> {
    sort.columns()
        .iter()
        .map(|(column, _)| ty.column_kind(*column))
        .collect()
}

/// Identifies a call for its cursors. An empty filter or sort is the same as none.
fn fingerprint(ty: &Type, verb: Verb, asked: &[&dyn std::fmt::Debug]) -> Fingerprint {
    Fingerprint::of(&format!("{}_{}", ty.name, verb.name()), asked)
}

/// Where a page begins; `Some(None)` without cursor, `None` if it is wrong.
fn position(
    ty: &Type,
    kinds: &[&FieldKind],
    fingerprint: Fingerprint,
    args: &Args,
    faults: &mut Faults,
) -> Option<Option<Vec<Value>>> {
    if args.get("cursor").is_none() {
        return Some(None);
    }
    let text = args.text("cursor", faults)?;
    match Cursor::decode(text, fingerprint, kinds) {
        Ok(cursor) => Some(Some(cursor.position)),
        Err(error) => {
            if let Err(other) = faults.absorb(error) {
                tracing::debug!(type = ty.name, "cursor: {other}");
                faults.add("cursor", "is no cursor of this store");
            }
            None
        }
    }
}
