//! `_new`, `_set`, `_delete`, `_ingest`, `osis_transaction`, `osis_seed`: calls become operations.

use osis_core::Schema;
use osis_core::batch::{Op, SeedMode, SeedObject, SetMode};
use osis_core::error::Faults;
use osis_core::input::{self, Purpose};
use osis_core::json::Json;
use osis_core::schema::Type;

use super::Requests;
use super::simple::shown;
use crate::error::WireError;
use crate::methods::{Action, Verb};
use crate::params::{Args, cut};
use crate::signature::ITEMS_MAX;

/// Operations that take effect together, and how their answer looks.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) ops: Vec<Op>,
    pub(crate) dry_run: bool,
    pub(crate) form: Form,
}

/// How the answer to a write looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// What its only operation came to.
    One,
    /// A seq and what each operation came to.
    Transaction,
}

impl Write {
    pub(super) fn one(op: Op) -> Self {
        Self {
            ops: vec![op],
            dry_run: false,
            form: Form::One,
        }
    }
}

/// Reads the parameters of a method that writes objects of a type.
pub(super) fn op(
    schema: &Schema,
    ty: &Type,
    verb: Verb,
    args: &mut Args,
    faults: &mut Faults,
) -> Option<Op> {
    match verb {
        Verb::New => {
            let data = args.get("data")?;
            let draft = input::draft(&schema.types, ty, data, "data", Purpose::New, faults)?;
            Some(Op::New {
                type_id: ty.id,
                draft,
            })
        }
        Verb::Set => set(schema, ty, args, faults),
        Verb::Delete => {
            let target = args.target(ty, faults);
            let if_rev = if_rev(args, faults);
            Some(Op::Delete {
                type_id: ty.id,
                target: target?,
                if_rev,
            })
        }
        Verb::Ingest => ingest(schema, ty, args, faults),
        Verb::Get | Verb::List | Verb::Find | Verb::Count | Verb::Aggregate => None,
    }
}

fn set(schema: &Schema, ty: &Type, args: &Args, faults: &mut Faults) -> Option<Op> {
    let target = args.target(ty, faults);
    let upsert = args.flag("upsert", faults);
    let (mode, purpose) = match args.choice("mode", faults) {
        // What the key of an upsert names need not stand in its data.
        "replace" if upsert => (SetMode::Replace, Purpose::Change),
        "replace" => (SetMode::Replace, Purpose::Replace),
        "merge" => (SetMode::Merge, Purpose::Merge),
        _ => (SetMode::Patch, Purpose::Change),
    };
    let draft = args
        .get("data")
        .and_then(|data| input::draft(&schema.types, ty, data, "data", purpose, faults));
    let if_rev = if_rev(args, faults);
    Some(Op::Set {
        type_id: ty.id,
        target: target?,
        draft: draft?,
        mode,
        if_rev,
        upsert,
    })
}

fn if_rev(args: &Args, faults: &mut Faults) -> Option<i64> {
    args.number("if_rev", faults)
        .and_then(|rev| i64::try_from(rev).ok())
}

fn ingest(schema: &Schema, ty: &Type, args: &Args, faults: &mut Faults) -> Option<Op> {
    let items = match args.get("items")? {
        Json::Array(items) if items.len() > ITEMS_MAX => {
            faults.add(
                "items",
                format!("has {} items, at most {ITEMS_MAX} fit", items.len()),
            );
            return None;
        }
        Json::Array(items) => items,
        other => {
            faults.add("items", format!("expected a list, got {}", other.kind()));
            return None;
        }
    };
    let mut drafts = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        let path = format!("items[{n}]");
        drafts.extend(input::draft(
            &schema.types,
            ty,
            item,
            &path,
            Purpose::New,
            faults,
        ));
        if faults.len() >= Faults::MAX {
            return None;
        }
    }
    Some(Op::Ingest {
        type_id: ty.id,
        drafts,
    })
}

/// Reads the parameters of `osis_seed`: types and objects stay in the order in which they stand.
pub(super) fn seed(schema: &Schema, args: &Args, faults: &mut Faults) -> Option<Op> {
    let (mode, purpose) = match args.choice("mode", faults) {
        "update" => (SeedMode::Update, Purpose::SeedUpdate),
        _ => (SeedMode::Insert, Purpose::Seed),
    };
    let types = match args.get("objects")? {
        Json::Object(types) => types,
        other => {
            faults.add(
                "objects",
                format!("expected lists by type, got {}", other.kind()),
            );
            return None;
        }
    };
    let mut objects = Vec::new();
    for (name, list) in types {
        let path = format!("objects.{}", cut(name));
        let Some(ty) = schema.find(name) else {
            faults.add(path, "there is no type of this name");
            continue;
        };
        if !ty.writable() {
            faults.add(path, format!("{name} is written by the store alone"));
            continue;
        }
        let Json::Array(list) = list else {
            faults.add(
                path,
                format!("expected a list of data, got {}", list.kind()),
            );
            continue;
        };
        for (n, data) in list.iter().enumerate() {
            // More faults than an answer tells are not looked for.
            if faults.len() >= Faults::MAX {
                return None;
            }
            let origin = format!("{path}[{n}]");
            let draft = input::draft(&schema.types, ty, data, &origin, purpose, faults);
            objects.extend(draft.map(|draft| SeedObject {
                type_id: ty.id,
                draft,
                origin: origin.into(),
            }));
        }
    }
    Some(Op::Seed { objects, mode })
}

impl Requests<'_> {
    /// Reads the parameters of `osis_transaction`.
    pub(super) fn transaction(
        &self,
        mut args: Args,
        mut faults: Faults,
    ) -> Result<Write, WireError> {
        let dry_run = args.flag("dry_run", &mut faults);
        let list = match args.take("ops") {
            Some(Json::Array(list)) if list.is_empty() || list.len() > ITEMS_MAX => {
                let message = format!("has {} operations, expected 1 to {ITEMS_MAX}", list.len());
                faults.add("ops", message);
                Vec::new()
            }
            Some(Json::Array(list)) => list,
            Some(other) => {
                faults.add("ops", format!("expected a list, got {}", other.kind()));
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut ops = Vec::with_capacity(list.len());
        let mut first_wrong = None;
        for (n, json) in list.into_iter().enumerate() {
            let before = faults.len();
            ops.extend(self.op(n, json, &mut faults));
            if faults.len() > before {
                first_wrong = first_wrong.or(Some(n));
            }
            if faults.len() >= Faults::MAX {
                break;
            }
        }
        match faults.finish() {
            Ok(()) => Ok(Write {
                ops,
                dry_run,
                form: Form::Transaction,
            }),
            Err(error) => Err(WireError::from(error).at_op(first_wrong)),
        }
    }

    fn op(&self, n: usize, json: Json, faults: &mut Faults) -> Option<Op> {
        let path = format!("ops[{n}]");
        let Json::Object(members) = json else {
            let message = format!("expected {{\"method\", \"params\"}}, got {}", json.kind());
            faults.add(path, message);
            return None;
        };
        let (mut method, mut params) = (None, None);
        for (name, value) in members {
            match name.as_str() {
                "method" => method = Some(value),
                "params" => params = Some(value),
                _ => {
                    let path = format!("{path}.{}", cut(&name));
                    faults.add(path, "is unknown: expected method and params");
                }
            }
        }
        let method = method.unwrap_or(Json::Null);
        let found = method.as_str().and_then(|name| self.methods.find(name));
        let Some(Action::Of(type_id, verb @ (Verb::New | Verb::Set | Verb::Delete))) =
            found.map(|method| method.action)
        else {
            let got = shown(&method);
            let message = format!("expected a _new, _set or _delete method of a type, got {got}");
            faults.add(format!("{path}.method"), message);
            return None;
        };
        if let Some(
            json @ (Json::Null
            | Json::Bool(_)
            | Json::Str(_)
            | Json::Int(_)
            | Json::Float(_)
            | Json::Huge(_)),
        ) = &params
        {
            let message = format!("expected a list or an object, got {}", json.kind());
            faults.add(format!("{path}.params"), message);
            return None;
        }
        let mut own = Faults::default();
        let ty = &self.schema.types[type_id];
        let mut args = Args::bind(Action::Of(type_id, verb).params(), params, &mut own);
        let op = op(self.schema, ty, verb, &mut args, &mut own);
        if let Err(error) = own.finish()
            && let Err(other) = faults.absorb(error.under(&format!("{path}.params.")))
        {
            faults.add(path, other.message());
        }
        op
    }
}
