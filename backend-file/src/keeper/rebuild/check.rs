//! Leaves out files that the store has not taken, and objects that break a rule which holds between
//! objects.

use std::collections::HashMap;

use osis_core::error::Result;
use osis_core::object::Id;
use osis_core::schema::{FieldKind, KeyId, TypeId};
use osis_core::value::Value;

use super::history::History;
use super::{Ground, Objects, Tree, file_of, kept};

/// Leaves out new files that were refused while a process looked. Who opens the store for writing
/// looks at them once more, as at any new file.
///
/// # Errors
/// Those of the file system.
pub(super) fn drop_refused(
    ground: &Ground<'_>,
    history: &History,
    objects: &mut Objects,
    tree: &mut Tree,
) -> Result<()> {
    let listed = kept::list(ground.files, ground.layout, ground.schema)?;
    for key in listed.refused {
        // The mark stays until what was taken later is on disk; until then the log has it.
        if !history.stories.contains_key(&key) && objects[key.0].contains_key(&key.1) {
            let message = "was refused as a new file, so this is not served".to_owned();
            leave_out(ground, objects, tree, key.0, &key.1, message);
        }
    }
    Ok(())
}

/// Leaves out objects that refer to nothing, and of those that have the same key all but the one
/// that was made first. Their files are noted as problems, and no longer known.
pub(super) fn drop_faulty(ground: &Ground<'_>, objects: &mut Objects, tree: &mut Tree) {
    drop_dangling(ground, objects, tree);
    if drop_clashing(ground, objects, tree) {
        drop_dangling(ground, objects, tree);
    }
}

/// The refs of an object that point to nothing.
fn dangling(
    ground: &Ground<'_>,
    objects: &Objects,
    type_id: TypeId,
    id: &Id,
) -> Option<(usize, TypeId, Box<str>)> {
    let served = objects[type_id].get(id)?;
    if served.is_logged {
        return None;
    }
    let fields = ground.schema.types[type_id].fields.iter().enumerate();
    for (position, field) in fields {
        if let (FieldKind::Ref { to, .. }, Value::Str(held)) =
            (&field.kind, &served.row.values[position])
        {
            let to_itself = *to == type_id && **held == *id.as_str();
            if !to_itself && !objects[*to].contains_key(&**held) {
                return Some((position, *to, held.clone()));
            }
        }
    }
    None
}

/// Leaves out what refers to nothing, and then what refers to that.
fn drop_dangling(ground: &Ground<'_>, objects: &mut Objects, tree: &mut Tree) {
    let has_refs = |type_id: &TypeId| {
        let mut fields = ground.schema.types[*type_id].fields.iter();
        fields.any(|field| matches!(field.kind, FieldKind::Ref { .. }))
    };
    let mut doubtful: Vec<(TypeId, Id)> = Vec::new();
    for type_id in (0..objects.len()).filter(has_refs) {
        let ids = objects[type_id].keys();
        let bad = ids.filter(|id| dangling(ground, objects, type_id, id).is_some());
        doubtful.extend(bad.map(|id| (type_id, id.clone())));
    }
    if doubtful.is_empty() {
        return;
    }
    let referrers = referrers(ground, objects);
    doubtful.sort_unstable();
    while let Some((type_id, id)) = doubtful.pop() {
        let Some((position, to, held)) = dangling(ground, objects, type_id, &id) else {
            continue;
        };
        let field = &ground.schema.types[type_id].fields[position].name;
        let target = &ground.schema.types[to].name;
        let message = format!(
            "{field} refers to {target} {held}, which is not there or not served; so this is not \
             served either"
        );
        leave_out(ground, objects, tree, type_id, &id, message);
        let own = referrers.get(&(type_id, id.as_str().into()));
        doubtful.extend(own.into_iter().flatten().cloned());
    }
}

/// Who refers to whom: referrers by the type and id that they hold.
type Referrers = HashMap<(TypeId, Box<str>), Vec<(TypeId, Id)>>;

/// Who refers to whom.
fn referrers(ground: &Ground<'_>, objects: &Objects) -> Referrers {
    let mut referrers = Referrers::new();
    for (type_id, objects) in objects.iter().enumerate() {
        let fields = ground.schema.types[type_id].fields.iter().enumerate();
        for (position, field) in fields {
            let FieldKind::Ref { to, .. } = field.kind else {
                continue;
            };
            for (id, served) in objects {
                if let Value::Str(held) = &served.row.values[position] {
                    let own = referrers.entry((to, held.clone())).or_default();
                    own.push((type_id, id.clone()));
                }
            }
        }
    }
    referrers
}

/// Leaves out what has the same key as what was made before it; whether there was any.
fn drop_clashing(ground: &Ground<'_>, objects: &mut Objects, tree: &mut Tree) -> bool {
    let mut losers: Vec<(TypeId, Id, KeyId, Id)> = Vec::new();
    for (type_id, objects) in objects.iter().enumerate() {
        let ty = &ground.schema.types[type_id];
        if ty.keys.is_empty() {
            continue;
        }
        let mut in_order: Vec<_> = objects.values().collect();
        in_order.sort_unstable_by_key(|served| {
            (!served.is_logged, served.row.created_at, &served.row.id)
        });
        let mut taken: HashMap<(KeyId, Vec<Value>), &Id> = HashMap::with_capacity(objects.len());
        for served in in_order {
            let row = &served.row;
            let keys = ty.keys.iter().enumerate();
            let own: Vec<_> = keys
                .filter_map(|(key, definition)| Some((key, definition.of(&row.values)?)))
                .collect();
            let clash = own.iter().find_map(|key| taken.get_key_value(key));
            match clash {
                Some((key, first)) => {
                    losers.push((type_id, row.id.clone(), key.0, (*first).clone()));
                }
                None => taken.extend(own.into_iter().map(|key| (key, &row.id))),
            }
        }
    }
    let is_any = !losers.is_empty();
    for (type_id, id, key, first) in losers {
        let fields = ground.schema.types[type_id].key_fields(key).join(", ");
        let other = file_of(ground, tree, type_id, &first);
        let other = other.strip_prefix(ground.layout.root()).unwrap_or(&other);
        let message = format!(
            "has the same {fields} as {}, which was made first; so this is not served",
            other.display()
        );
        leave_out(ground, objects, tree, type_id, &id, message);
    }
    is_any
}

/// Leaves out an object, and notes why. Its file is no longer known, lest it be taken for what a
/// delete has left behind.
fn leave_out(
    ground: &Ground<'_>,
    objects: &mut Objects,
    tree: &mut Tree,
    type_id: TypeId,
    id: &Id,
    message: String,
) {
    objects[type_id].remove(id);
    let path = file_of(ground, tree, type_id, id);
    if ground.schema.types[type_id].log().is_none() {
        tree.objects.remove(&(type_id, id.clone()));
    } else {
        for day in tree.days.values_mut().filter(|day| day.type_id == type_id) {
            day.open_if_there(id, None);
        }
    }
    ground.problems.note(&path, None, message);
}
