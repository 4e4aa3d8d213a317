//! Builds what a process knows from nothing but the objects' files and the log.
//!
//! The files are read first, then the entries of the log that are not packed: so what the log says
//! is never older than the files, and it has the word. What the log no longer holds the content of
//! is in its file, or, if a fold was quicker than the reading, is found by looking again.
//!
//! A file whose version the log does not know is a person's edit, made while nobody watched. It is
//! left out of the [`Tree`], so that the next walk comes upon it. So are files that are not served,
//! lest they be taken for what a delete has left behind. A day's file stays known for its other
//! events, and is looked at again.

mod check;
mod history;
mod read;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use osis_core::error::{ErrorKind, Result};
use osis_core::object::{Id, Row};
use osis_core::schema::{Schema, TypeId};

use self::history::{History, Last};
use self::read::Base;
use super::asides;
use super::kept;
use super::marks::Key;
use super::tree::{Known, Tree};
use crate::bodies::Bodies;
use crate::error::unavailable;
use crate::files::Files;
use crate::layout::Layout;
use crate::log::Log;
use crate::problems::Problems;
use crate::record::{Hash, Version};
use crate::state::State;

use super::walk;

/// How often it is begun anew because others let go of a part of the log meanwhile.
const TRIES: usize = 5;
/// How often it is looked whether another process has kept what is missed.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What building needs of a store that is being opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground<'a> {
    /// Where everything lies.
    pub(crate) layout: &'a Layout,
    /// The schema under which the objects are to be.
    pub(crate) schema: &'a Arc<Schema>,
    /// The file system.
    pub(crate) files: &'a dyn Files,
    /// Where large fields go.
    pub(crate) bodies: &'a Bodies,
    /// The log.
    pub(crate) log: &'a Log,
    /// Where faults are noted.
    pub(crate) problems: &'a Problems,
    /// How long processes that may run beside this one are waited for, to say what objects are whose
    /// files are broken.
    pub(crate) patience: Duration,
}

/// The objects of each type as they will be served.
type Objects = Vec<HashMap<Id, Served>>;

/// An object that will be served, if nothing speaks against it.
#[derive(Debug)]
struct Served {
    row: Row,
    /// The log has its content, so it keeps all rules and nobody may take its place.
    is_logged: bool,
}

/// Builds the state and what is known of the files.
///
/// If the log ends under another schema than this, the state is the one before that came into
/// force.
///
/// # Errors
/// `Corrupt` where an entry of the log is damaged; `Unavailable` where a directory cannot be read;
/// those of the file system.
pub(crate) fn rebuild(ground: &Ground<'_>) -> Result<(State, Tree)> {
    for _ in 1..TRIES {
        match build(ground) {
            Err(error) if matches!(error.kind(), ErrorKind::Gone { .. }) => {}
            built => return built,
        }
    }
    build(ground)
}

fn build(ground: &Ground<'_>) -> Result<(State, Tree)> {
    let began = Instant::now();
    asides::put_all_back(ground.files, ground.layout, ground.schema);
    let begin = history::begin(ground)?;
    let mut base = Base::default();
    read_into(ground, &mut base)?;
    let history = History::read(ground, begin)?;
    if history.is_ahead_of(&base) {
        // Folded while the files were read.
        read_into(ground, &mut base)?;
    }
    let mut kept = kept::read_all(ground.files, ground.layout, ground.schema)?;
    while history.misses_any(&base, &kept) && began.elapsed() < ground.patience {
        std::thread::sleep(LOOK_EVERY);
        read_into(ground, &mut base)?;
        kept = kept::read_all(ground.files, ground.layout, ground.schema)?;
    }
    base.report(ground);
    let files = base.known.objects.len() + base.known.days.len();
    let (mut objects, mut tree) = overlay(ground.schema, base, &history);
    note_filed(ground, &history, &objects, &mut tree);
    put_kept(&mut objects, &mut tree, kept, &history, ground.schema);
    check::drop_refused(ground, &history, &mut objects, &mut tree)?;
    check::drop_faulty(ground, &mut objects, &mut tree);
    let state = state_of(ground, objects, &history)?;
    tracing::debug!(
        store = %ground.layout.root().display(),
        objects = state.types.iter().map(|objects| objects.ordinals.len()).sum::<usize>(),
        files,
        problems = ground.problems.list().len(),
        seq = state.seq,
        took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "built the catalogue anew"
    );
    Ok((state, tree))
}

/// Reads all files that are not known in `base` as they are.
fn read_into(ground: &Ground<'_>, base: &mut Base) -> Result<()> {
    let differences = walk::all(ground.layout, ground.schema, &base.known)?;
    if let Some((path, why)) = differences.unreadable.first() {
        let shown = path.display();
        return Err(unavailable(None, format!("{shown} cannot be read: {why}")));
    }
    base.forget(&differences.gone, &differences.gone_days);
    base.read(ground, differences.changed_or_new)
}

/// Puts what the log says over what the files say.
fn overlay(schema: &Schema, base: Base, history: &History) -> (Objects, Tree) {
    let mut tree = base.known;
    let mut objects: Objects = base
        .rows
        .into_iter()
        .map(|rows| {
            let rows = rows.into_iter().map(|(id, row)| {
                let is_logged = false;
                (id, Served { row, is_logged })
            });
            rows.collect()
        })
        .collect();
    objects.resize_with(schema.types.len(), HashMap::new);
    // Versions in day files that the log does not know: people's edits.
    let mut strange: HashMap<(TypeId, &Id), &history::Story> = HashMap::new();
    for ((type_id, id), story) in &history.stories {
        let of_type = &mut objects[*type_id];
        let final_version = story.final_version(&schema.types[*type_id]);
        let key = (*type_id, id.clone());
        let is_file_known = match tree.objects.get(&key) {
            Some(known) => story.has(known.version, final_version),
            None => true,
        };
        match &story.last {
            Last::Full(row) => {
                let row = row.clone();
                of_type.insert(
                    id.clone(),
                    Served {
                        row,
                        is_logged: true,
                    },
                );
            }
            Last::Gone => drop(of_type.remove(id)),
            Last::Folded => {
                if let Some(served) = of_type.get_mut(id) {
                    // Where it is another, somebody put an older copy back, or wrote in it: its
                    // content is an edit, but the revision is the store's.
                    served.row.rev = story.rev;
                }
            }
        }
        if !is_file_known {
            tree.objects.remove(&key);
        }
        if schema.types[*type_id].log().is_some() {
            strange.insert((*type_id, id), story);
        }
    }
    for day in tree.days.values_mut().filter(|_| !strange.is_empty()) {
        let type_id = day.type_id;
        let stories = std::mem::take(&mut day.objects).into_iter();
        for (id, version) in stories {
            let story = strange.get(&(type_id, &id)).copied();
            let story = story.filter(|story| {
                let own = story.final_version(&schema.types[type_id]);
                !story.has(version, own)
            });
            match story {
                None => day.objects.push((id, version)),
                Some(story) => day.leave_open(id, story.version_before()),
            }
        }
    }
    (objects, tree)
}

/// Notes which objects were in their files, though they are not in them as they are now: what people
/// have written or removed there since is an edit. Of those whose content the log no longer has,
/// nothing is left to make a commit of; so it is told.
fn note_filed(ground: &Ground<'_>, history: &History, objects: &Objects, tree: &mut Tree) {
    let filed = ground.log.filed();
    let mut lost: Vec<&Key> = Vec::new();
    for (key, story) in &history.stories {
        let ty = &ground.schema.types[key.0];
        if ty.log().is_some() || tree.objects.contains_key(key) {
            continue;
        }
        if let Some(version) = story.final_version(ty)
            && story.seq <= filed
        {
            tree.objects.insert(key.clone(), Known::unseen(version));
        }
        let is_lost = matches!(story.last, Last::Folded) && !objects[key.0].contains_key(&key.1);
        lost.extend(is_lost.then_some(key));
    }
    if let Some(first) = lost.iter().min() {
        tracing::warn!(
            objects = lost.len(),
            first = %ground.layout.object(&ground.schema.types[first.0], &first.1).display(),
            "files of objects are gone that only they had: the objects are deleted, without a record"
        );
    }
}

/// Puts what is kept in the place of what files say that are not right.
fn put_kept(
    objects: &mut Objects,
    tree: &mut Tree,
    kept: HashMap<Key, Row>,
    history: &History,
    schema: &Schema,
) {
    for (key, row) in kept {
        let version = version_of(&schema.types[key.0], &row);
        let is_event = schema.types[key.0].log().is_some();
        let known = match objects[key.0].get(&key.1) {
            Some(served) if is_event => Some(version_of(&schema.types[key.0], &served.row)),
            _ => tree.objects.get(&key).map(|known| known.version),
        };
        let is_current = match history.stories.get(&key) {
            Some(story) => matches!(story.last, Last::Folded) && story.rev == row.rev,
            // The file may have been written since, and the log have let go of it.
            None => known.is_none_or(|known| known.rev <= row.rev),
        };
        if !is_current || known == Some(version) {
            continue;
        }
        tree.objects.remove(&key);
        if is_event {
            for day in tree.days.values_mut().filter(|day| day.type_id == key.0) {
                day.open_if_there(&key.1, Some(version));
            }
        }
        let served = Served {
            row,
            is_logged: true,
        };
        objects[key.0].insert(key.1, served);
    }
}

/// The version of an object.
fn version_of(ty: &osis_core::schema::Type, row: &Row) -> Version {
    Version {
        rev: row.rev,
        hash: Hash::of(ty, &row.values),
    }
}

/// The state with these objects, and the records of the feed that the log's entries have.
fn state_of(ground: &Ground<'_>, objects: Objects, history: &History) -> Result<State> {
    let mut state = State::empty(ground.schema, history.records_since);
    for (type_id, objects) in objects.into_iter().enumerate() {
        let mut rows: Vec<Row> = objects.into_values().map(|served| served.row).collect();
        rows.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        for row in rows {
            state.put(ground.schema, ground.bodies, type_id, row)?;
        }
    }
    for record in &history.records {
        state.push_record(record.clone());
    }
    state.seq = history.last;
    state.tip = history.tip.clone().map(Arc::new);
    state.trim_recent();
    Ok(state)
}

/// The file of an object, for messages: of an event, the first that has it.
fn file_of(ground: &Ground<'_>, tree: &Tree, type_id: TypeId, id: &Id) -> PathBuf {
    let ty = &ground.schema.types[type_id];
    if ty.log().is_none() {
        return ground.layout.object(ty, id);
    }
    let has_it = |rel: &&String| {
        let day = &tree.days[*rel];
        day.type_id == type_id && day.objects.iter().any(|(own, _)| own == id)
    };
    match tree.days.keys().filter(has_it).min() {
        Some(rel) => ground.layout.root().join(rel),
        None => ground.layout.folder(ty),
    }
}
