//! The reading of directories that [`super::walk`] is made of.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use osis_core::object::Id;
use osis_core::schema::{Schema, Type, TypeId};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use super::names::{self, Beside};
use super::tree::Tree;
use super::walk::{Kind, ObjectKey, Place};
use crate::files::Stamp;
use crate::layout::Layout;

/// More than this do not make a walk faster on a disk; on a network volume each waits for answers.
const THREADS: usize = 4;
/// What the names of all our files end in.
const SUFFIX: &str = ".otoml";

/// What a directory is for, going by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The folder of a type.
    Top,
    /// Of the objects whose ids end in this. No id may: then all in it are misplaced.
    Shard([u8; 2]),
    /// One that a person has made or renamed: all in it are misplaced.
    Other,
    /// Of a log type: of a year.
    Year,
    /// Of a log type: of a month.
    Month,
}

/// A directory to be read.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    /// Where it is.
    path: PathBuf,
    /// Its path below the store, with a slash at the end.
    rel: String,
    /// The type in whose folder it is.
    pub(super) type_id: TypeId,
    /// What it is for.
    pub(super) role: Role,
}

/// What was found in directories.
#[derive(Debug, Default)]
pub(super) struct Found<'t> {
    /// Files that are new or changed.
    pub(super) places: Vec<Place>,
    /// Known objects whose file is there, changed or not.
    pub(super) seen: Vec<&'t (TypeId, Id)>,
    /// Known day files that are there, changed or not.
    pub(super) seen_days: Vec<&'t str>,
    /// What could not be read.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// How many files were looked at.
    pub(super) files: usize,
    folders: Vec<Folder>,
}

impl Folder {
    /// The folder of a type.
    pub(super) fn top(layout: &Layout, ty: &Type) -> Self {
        Self {
            path: layout.folder(ty),
            rel: format!("{}/", ty.plural),
            type_id: ty.id,
            role: Role::Top,
        }
    }

    /// A directory in this one; nothing if it is hidden, or where there are none.
    pub(super) fn child(&self, ty: &Type, name: &str) -> Option<Self> {
        let role = match (self.role, ty.log().is_some(), name.as_bytes()) {
            (Role::Top, false, &[a, b]) if a != b'.' => Role::Shard([a, b]),
            (Role::Top, true, digits) if is_number(digits, 4) => Role::Year,
            (Role::Year, true, digits) if is_number(digits, 2) => Role::Month,
            (_, _, &[b'.', ..]) => return None,
            _ => Role::Other,
        };
        Some(Self {
            path: self.path.join(name),
            rel: format!("{}{name}/", self.rel),
            type_id: self.type_id,
            role,
        })
    }

    /// The path below the store of a file in this directory.
    pub(super) fn rel_of(&self, name: &str) -> String {
        format!("{}{name}", self.rel)
    }

    /// What a file of this name in this directory is; nothing if the name is none of ours.
    pub(super) fn kind_of(&self, ty: &Type, name: &str) -> Option<Kind> {
        let Some(stem) = stem_of(ty, name) else {
            return kind_beside(name);
        };
        let fits = self.fits(ty, stem);
        Some(match ty.log() {
            Some(_) if fits => Kind::Day,
            Some(_) => Kind::Misnamed,
            None if fits => Kind::Object(Id::parse(stem)?),
            None => Kind::Misplaced(Id::parse(stem)?),
        })
    }

    /// Whether a file of this stem belongs here.
    fn fits(&self, ty: &Type, stem: &str) -> bool {
        match self.role {
            Role::Shard(shard) => shard_of(stem) == shard,
            Role::Month => ty.log().is_some() && is_day(stem),
            _ => false,
        }
    }
}

/// The last two characters of an id, by which its file's folder is named.
pub(super) fn shard_of(id: &str) -> [u8; 2] {
    match *id.as_bytes() {
        [.., a, b] => [a, b],
        _ => [0; 2],
    }
}

/// What stands before `.otoml`, if this is the name of a file of objects of the type.
fn stem_of<'n>(ty: &Type, name: &'n str) -> Option<&'n str> {
    let stem = name.strip_suffix(SUFFIX)?;
    let is_ours = if ty.log().is_some() {
        !stem.is_empty() && !stem.contains('.')
    } else {
        (4..=64).contains(&stem.len()) && stem.bytes().all(is_of_id)
    };
    is_ours.then_some(stem)
}

/// What a file is that has none of the names which are read: a copy that the store has made, or one
/// of which somebody may think that it is read, for it has our ending and is not hidden.
fn kind_beside(name: &str) -> Option<Kind> {
    let has_ending = name
        .len()
        .checked_sub(SUFFIX.len())
        .and_then(|at| name.get(at..))
        .is_some_and(|ending| ending.eq_ignore_ascii_case(SUFFIX));
    match names::beside(name) {
        Some(Beside::Conflict) => Some(Kind::Conflict),
        Some(Beside::Temporary(_)) => None,
        None => (has_ending && !name.starts_with('.')).then_some(Kind::Misnamed),
    }
}

/// Whether a byte may stand in an id.
fn is_of_id(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')
}

fn is_number(digits: &[u8], length: usize) -> bool {
    digits.len() == length && digits.iter().all(u8::is_ascii_digit)
}

/// Whether a stem names a day file: `21`, or `21-` and anything.
fn is_day(stem: &str) -> bool {
    let bytes = stem.as_bytes();
    let day = bytes.get(..2).unwrap_or_default();
    is_number(day, 2) && (b"01"..=b"31").contains(&&[day[0], day[1]]) && {
        bytes.get(2).is_none_or(|&next| next == b'-')
    }
}

impl<'t> Found<'t> {
    /// All of two.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.places.extend(other.places);
        self.seen.extend(other.seen);
        self.seen_days.extend(other.seen_days);
        self.unreadable.extend(other.unreadable);
        self.folders.extend(other.folders);
        self.files += other.files;
        self
    }

    /// Takes a file in that was looked at by itself.
    pub(super) fn take(&mut self, tree: &'t Tree, folder: &Folder, name: &str, mut place: Place) {
        self.files += 1;
        let known = match &place.kind {
            Kind::Object(id) => self.known_object(tree, place.type_id, id.as_str()),
            Kind::Day => self.known_day(tree, &folder.rel_of(name)),
            _ => None,
        };
        if known == Some(place.stamp) {
            return;
        }
        if !place.stamp.is_file && !matches!(place.kind, Kind::Misnamed | Kind::Conflict) {
            place.kind = Kind::Odd;
        }
        self.places.push(place);
    }

    /// The stamp that is known of an object's file, which is noted as seen.
    fn known_object(&mut self, tree: &'t Tree, type_id: TypeId, id: &str) -> Option<Stamp> {
        let key: &dyn ObjectKey = &(type_id, id);
        let (key, known) = tree.objects.get_key_value(key)?;
        self.seen.push(key);
        Some(known.stamp)
    }

    /// The stamp that is known of a day's file, which is noted as seen.
    fn known_day(&mut self, tree: &'t Tree, rel: &str) -> Option<Stamp> {
        let (key, known) = tree.days.get_key_value(rel)?;
        self.seen_days.push(key);
        Some(known.stamp)
    }

    /// Reads a directory.
    fn scan(&mut self, schema: &Schema, tree: &'t Tree, folder: &Folder) {
        if let Err(error) = self.try_scan(schema, tree, folder) {
            let vanished = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].contains(&error);
            if !vanished {
                let error = std::io::Error::from(error);
                self.unreadable
                    .push((folder.path.clone(), error.to_string()));
            }
        }
    }

    fn try_scan(
        &mut self,
        schema: &Schema,
        tree: &'t Tree,
        folder: &Folder,
    ) -> rustix::io::Result<()> {
        let ty = &schema.types[folder.type_id];
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if folder.role != Role::Top {
            flags |= OFlags::NOFOLLOW;
        }
        let mut directory = Dir::new(openat(CWD, &folder.path, flags, Mode::empty())?)?;
        let mut rel = folder.rel.clone();
        while let Some(entry) = directory.read() {
            let entry = entry?;
            let raw = entry.file_name();
            let Ok(name) = raw.to_str() else {
                continue;
            };
            let stem = stem_of(ty, name);
            let kind = entry.file_type();
            if stem.is_none() && kind == FileType::Directory {
                self.folders.extend(folder.child(ty, name));
                continue;
            }
            let beside = kind_beside(name).filter(|_| stem.is_none());
            if stem.is_none() && kind != FileType::Unknown && beside.is_none() {
                continue;
            }
            let stamp = match statat(directory.fd()?, raw, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stamp_of(&stat),
                Err(Errno::NOENT) => continue,
                Err(error) => {
                    let error = std::io::Error::from(error);
                    let path = folder.path.join(OsStr::from_bytes(raw.to_bytes()));
                    self.unreadable.push((path, error.to_string()));
                    continue;
                }
            };
            let Some(stem) = stem else {
                if stamp.is_directory {
                    self.folders.extend(folder.child(ty, name));
                } else if let Some(kind) = beside {
                    self.places.push(Place {
                        path: folder.path.join(name),
                        type_id: ty.id,
                        kind,
                        stamp,
                    });
                }
                continue;
            };
            self.files += 1;
            let known = match folder.fits(ty, stem) {
                true if ty.log().is_some() => {
                    rel.truncate(folder.rel.len());
                    rel.push_str(name);
                    self.known_day(tree, &rel)
                }
                true => self.known_object(tree, ty.id, stem),
                false => None,
            };
            if known == Some(stamp) {
                continue;
            }
            if let Some(kind) = folder.kind_of(ty, name) {
                self.places.push(Place {
                    path: folder.path.join(name),
                    type_id: ty.id,
                    kind: if stamp.is_file { kind } else { Kind::Odd },
                    stamp,
                });
            }
        }
        Ok(())
    }
}

/// The same as [`crate::files::Files::stamp`] makes.
// The widths of these fields differ between machines; the values fit.
#[allow(clippy::unnecessary_cast)]
fn stamp_of(stat: &Stat) -> Stamp {
    let kind = FileType::from_raw_mode(stat.st_mode);
    Stamp {
        inode: stat.st_ino as u64,
        length: stat.st_size as u64,
        modified: (stat.st_mtime as i64)
            .saturating_mul(1_000_000_000)
            .saturating_add(stat.st_mtime_nsec as i64),
        is_file: kind == FileType::RegularFile,
        is_directory: kind == FileType::Directory,
    }
}

/// Reads directories and all below them.
pub(super) fn below<'t>(schema: &Schema, tree: &'t Tree, folders: Vec<Folder>) -> Found<'t> {
    let mut all = Found::default();
    let mut level = folders;
    while !level.is_empty() {
        let mut found = one_level(schema, tree, &level);
        level = std::mem::take(&mut found.folders);
        all = all.and(found);
    }
    all
}

/// Reads directories, several at a time.
fn one_level<'t>(schema: &Schema, tree: &'t Tree, folders: &[Folder]) -> Found<'t> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Found::default();
        while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.scan(schema, tree, folder);
        }
        found
    };
    // A thread costs as much as a few folders.
    let threads = THREADS.min(folders.len() / 4);
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        others
            .into_iter()
            .fold(own, |all, other| match other.join() {
                Ok(found) => all.and(found),
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}
