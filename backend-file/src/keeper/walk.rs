//! What changed among the objects' files, by looking at names and stamps alone.
//!
//! A walk costs little more than asking the file system for each file's stamp: nothing is
//! allocated for a file that is as it was, and the folders are shared out among a few threads.
//! Symbolic links below a type's folder are not followed. Names that are none of ours are passed
//! over: editors write `.x.swp`, `x~` and `4913` beside the file.

#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osis_core::error::Result;
use osis_core::object::Id;
use osis_core::schema::{Schema, TypeId};

use super::scan::{self, Folder, Found, Role};
use super::tree::Tree;
use crate::error::{io_error, unavailable};
use crate::files::{Disk, Files as _, Stamp};
use crate::layout::Layout;

/// What a file is, going by its name and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The file of this object, where it belongs.
    Object(Id),
    /// The file of a day, where it belongs.
    Day,
    /// The file of this object, where no file of it belongs.
    Misplaced(Id),
    /// It has our ending, but a name or a place by which nothing is known of it, so it is not read.
    Misnamed,
    /// A copy that the store has made of an edit that it did not take.
    Conflict,
    /// It has the name of an object's or a day's file, but is a directory, a symbolic link or the
    /// like, so it is not read.
    Odd,
}

/// A file that is not as it was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The type in whose folder it is.
    pub(crate) type_id: TypeId,
    /// What it is.
    pub(crate) kind: Kind,
    /// As it was when it was looked at.
    pub(crate) stamp: Stamp,
}

/// How the files differ from what is known of them.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Files that are new or have another stamp, in the order of their paths. Only objects
    /// and days are ever known, so each look names all of the others.
    pub(crate) changed_or_new: Vec<Place>,
    /// Objects whose file is gone; each was looked for once more by itself.
    pub(crate) gone: Vec<(TypeId, Id)>,
    /// Day files that are gone, by their path below the store.
    pub(crate) gone_days: Vec<String>,
    /// Directories that could not be read, and why. Where there are any, nothing counts as gone.
    pub(crate) unreadable: Vec<(PathBuf, String)>,
    /// How many files were looked at.
    pub(crate) files: usize,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Differences {
    /// Whether all is as it was.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.changed_or_new.is_empty() && self.gone.is_empty() && self.gone_days.is_empty()
    }
}

/// Looks at all files of the store.
///
/// # Errors
/// `Unavailable` if files are gone and so is the store itself: a volume that is not mounted must
/// not look like a person who deletes everything.
pub(crate) fn all(layout: &Layout, schema: &Schema, tree: &Tree) -> Result<Differences> {
    let began = Instant::now();
    let tops = schema.types.iter().map(|ty| Folder::top(layout, ty));
    let found = scan::below(schema, tree, tops.collect());
    let mut lost = Lost::default();
    if found.seen.len() < tree.objects.len() {
        let seen: HashSet<&(TypeId, Id)> = found.seen.iter().copied().collect();
        let objects = tree.objects.keys().filter(|key| !seen.contains(key));
        lost.objects = objects.cloned().collect();
    }
    if found.seen_days.len() < tree.days.len() {
        let seen: HashSet<&str> = found.seen_days.iter().copied().collect();
        let days = tree.days.keys().filter(|rel| !seen.contains(rel.as_str()));
        lost.days = days.cloned().collect();
    }
    let differences = finish(layout, schema, tree, began, found, lost)?;
    tracing::trace!(
        files = differences.files,
        took = ?differences.took,
        "looked at all files"
    );
    Ok(differences)
}

/// Looks at these files and directories, as a watcher names them; what does not lie in the folder
/// of a type, or has none of our names, is passed over. A directory stands for all below it, also
/// one that is gone.
///
/// # Errors
/// As [`all`].
pub(crate) fn look(
    layout: &Layout,
    schema: &Schema,
    tree: &Tree,
    paths: &[PathBuf],
) -> Result<Differences> {
    let began = Instant::now();
    let mut found = Found::default();
    let mut lost = Lost::default();
    let mut covered = Covered::default();
    let mut folders = Vec::new();
    let distinct: HashSet<&PathBuf> = paths.iter().collect();
    for path in distinct {
        let Some((type_id, names)) = below(layout, schema, path) else {
            continue;
        };
        let stamp = match Disk.stamp(path) {
            Ok(stamp) => stamp,
            Err(error) => {
                found.unreadable.push((path.clone(), error.to_string()));
                continue;
            }
        };
        let ty = &schema.types[type_id];
        let Some((name, parents)) = names.split_last() else {
            // The folder of the type, which may be a link to a directory elsewhere.
            covered.tops.insert(type_id);
            folders.push(Folder::top(layout, ty));
            continue;
        };
        let folder = Folder::top(layout, ty);
        let inner = parents
            .iter()
            .try_fold(folder, |folder, name| folder.child(ty, name));
        let Some(folder) = inner else {
            continue;
        };
        let kind = folder.kind_of(ty, name);
        match (stamp, kind) {
            (Some(stamp), Some(Kind::Misnamed | Kind::Conflict)) if stamp.is_directory => {}
            (Some(stamp), Some(kind)) => {
                let place = Place {
                    path: path.clone(),
                    type_id,
                    kind,
                    stamp,
                };
                found.take(tree, &folder, name, place);
            }
            (Some(stamp), None) if stamp.is_directory => {
                if let Some(folder) = folder.child(ty, name) {
                    covered.add(&folder);
                    folders.push(folder);
                }
            }
            (Some(_), None) => {}
            (None, Some(Kind::Object(id))) => lost.objects.push((type_id, id)),
            (None, Some(Kind::Day)) => lost.days.push(folder.rel_of(name)),
            (None, Some(_)) => {}
            (None, None) => {
                if let Some(folder) = folder.child(ty, name) {
                    covered.add(&folder);
                }
            }
        }
    }
    lost.objects.retain(|key| tree.objects.contains_key(key));
    lost.days.retain(|rel| tree.days.contains_key(rel));
    let found = found.and(scan::below(schema, tree, folders));
    covered.lost(tree, &found, &mut lost);
    finish(layout, schema, tree, began, found, lost)
}

/// The type in whose folder a path lies, and the names below that folder.
fn below<'p>(layout: &Layout, schema: &Schema, path: &'p Path) -> Option<(TypeId, Vec<&'p str>)> {
    let rel = path.strip_prefix(layout.root()).ok()?;
    let mut names = rel.iter().map(|name| name.to_str());
    let plural = names.next()??;
    let ty = schema.types.iter().find(|ty| ty.plural == plural)?;
    Some((ty.id, names.collect::<Option<_>>()?))
}

/// What is known and was not found where it should be.
#[derive(Debug, Default)]
struct Lost {
    objects: Vec<(TypeId, Id)>,
    days: Vec<String>,
}

/// Directories of which all files were looked at.
#[derive(Debug, Default)]
struct Covered {
    tops: HashSet<TypeId>,
    shards: HashSet<(TypeId, [u8; 2])>,
    /// Years and months, by their path below the store.
    days: Vec<String>,
}

impl Covered {
    fn add(&mut self, folder: &Folder) {
        match folder.role {
            Role::Top => drop(self.tops.insert(folder.type_id)),
            Role::Shard(shard) => drop(self.shards.insert((folder.type_id, shard))),
            Role::Year | Role::Month => self.days.push(folder.rel_of("")),
            // Nothing is known to be there.
            Role::Other => {}
        }
    }

    /// Adds what should lie in them and was not found.
    fn lost(&self, tree: &Tree, found: &Found<'_>, lost: &mut Lost) {
        if !self.tops.is_empty() || !self.shards.is_empty() {
            let seen: HashSet<&(TypeId, Id)> = found.seen.iter().copied().collect();
            let objects = tree.objects.keys().filter(|key| {
                let (type_id, id) = key;
                let covers = self.tops.contains(type_id)
                    || self
                        .shards
                        .contains(&(*type_id, scan::shard_of(id.as_str())));
                covers && !seen.contains(key)
            });
            lost.objects.extend(objects.cloned());
        }
        if !self.tops.is_empty() || !self.days.is_empty() {
            let seen: HashSet<&str> = found.seen_days.iter().copied().collect();
            let days = tree.days.iter().filter(|(rel, day)| {
                let covers = self.tops.contains(&day.type_id)
                    || self
                        .days
                        .iter()
                        .any(|folder| rel.starts_with(folder.as_str()));
                covers && !seen.contains(rel.as_str())
            });
            lost.days.extend(days.map(|(rel, _)| rel.clone()));
        }
    }
}

/// Looks for what was not found once more: a directory that is written while it is read may leave
/// a name out.
fn finish(
    layout: &Layout,
    schema: &Schema,
    tree: &Tree,
    began: Instant,
    found: Found<'_>,
    lost: Lost,
) -> Result<Differences> {
    let mut differences = Differences {
        changed_or_new: found.places,
        unreadable: found.unreadable,
        files: found.files,
        ..Differences::default()
    };
    if differences.unreadable.is_empty() {
        for (type_id, id) in lost.objects {
            let path = layout.object(&schema.types[type_id], &id);
            let known = tree
                .objects
                .get(&(type_id, id.clone()))
                .map(|known| known.stamp);
            match again(&path)? {
                None => differences.gone.push((type_id, id)),
                Some(stamp) if Some(stamp) == known => {}
                Some(stamp) => {
                    let kind = if stamp.is_file {
                        Kind::Object(id)
                    } else {
                        Kind::Odd
                    };
                    differences.changed_or_new.push(Place {
                        path,
                        type_id,
                        kind,
                        stamp,
                    });
                }
            }
        }
        for rel in lost.days {
            let path = layout.root().join(&rel);
            let Some(known) = tree.days.get(&rel) else {
                continue;
            };
            match again(&path)? {
                None => differences.gone_days.push(rel),
                Some(stamp) if stamp == known.stamp => {}
                Some(stamp) => differences.changed_or_new.push(Place {
                    path,
                    type_id: known.type_id,
                    kind: if stamp.is_file { Kind::Day } else { Kind::Odd },
                    stamp,
                }),
            }
        }
    }
    if !(differences.gone.is_empty() && differences.gone_days.is_empty()) {
        let path = layout.store_file();
        if again(&path)?.is_none() {
            let message = "is not there, nor are files of objects: is its volume mounted?";
            return Err(unavailable(None, format!("{} {message}", path.display())));
        }
    }
    let in_order = |a: &Place, b: &Place| a.path.cmp(&b.path);
    differences.changed_or_new.sort_unstable_by(in_order);
    differences.changed_or_new.dedup();
    differences.gone.sort_unstable();
    differences.gone.dedup();
    differences.gone_days.sort_unstable();
    differences.gone_days.dedup();
    differences.took = began.elapsed();
    Ok(differences)
}

fn again(path: &Path) -> Result<Option<Stamp>> {
    let stamp: io::Result<Option<Stamp>> = Disk.stamp(path);
    stamp.map_err(|error| io_error(path, &error))
}

/// A key of [`Tree::objects`], owned or not: what lets a walk look files up without allocating.
pub(super) trait ObjectKey {
    /// The type.
    fn type_id(&self) -> TypeId;
    /// The id.
    fn id(&self) -> &str;
}

impl ObjectKey for (TypeId, Id) {
    fn type_id(&self) -> TypeId {
        self.0
    }

    fn id(&self) -> &str {
        self.1.as_str()
    }
}

impl ObjectKey for (TypeId, &str) {
    fn type_id(&self) -> TypeId {
        self.0
    }

    fn id(&self) -> &str {
        self.1
    }
}

impl<'a> Borrow<dyn ObjectKey + 'a> for (TypeId, Id) {
    fn borrow(&self) -> &(dyn ObjectKey + 'a) {
        self
    }
}

impl Hash for dyn ObjectKey + '_ {
    /// As the pair of a type and an id is hashed, which is what the map's keys are.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.type_id(), self.id()).hash(state);
    }
}

impl PartialEq for dyn ObjectKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.type_id() == other.type_id() && self.id() == other.id()
    }
}

impl Eq for dyn ObjectKey + '_ {}
