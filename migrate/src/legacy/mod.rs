//! A directory of the original OSIS (crate `herolib-osis`) as a source.
//!
//! `DIR/<type>/<sid>.otoml`, or `<name>_<sid>.otoml` of the oldest releases. All files are read
//! before anything is written, so that all that is wrong with them is known; then they are read
//! again, a few at a time, and copied.

mod map;
mod object;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use osis_core::schema::{Schema, TypeId};
use osis_core::{Error, Id, Result, Row, Time};
use serde_json::json;

use crate::PAGE;
use crate::dedup::{Dropped, Policy};
use crate::source::{Opened, Source};
use crate::view::{Page, View};
use object::{Object, Place, Refusal};

pub use map::NameMap;

/// A file that is not copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// The line in it, from 1, if it is about one.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub message: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match self.line {
            Some(line) => write!(f, "{path}:{line}: {}", self.message),
            None => write!(f, "{path}: {}", self.message),
        }
    }
}

/// A directory of the original OSIS.
#[derive(Debug)]
pub struct Legacy {
    inside: Arc<Inside>,
    name: String,
    unreadable: Vec<Unreadable>,
    dropped: Vec<Dropped>,
}

#[derive(Debug)]
struct Inside {
    schema: Arc<Schema>,
    map: NameMap,
    /// The files of each type by the ids that their objects will have.
    types: Vec<BTreeMap<Id, File>>,
}

/// A file whose object was read once.
#[derive(Debug, Clone)]
struct File {
    path: PathBuf,
    folder: Arc<str>,
    created_at: Time,
}

impl Legacy {
    /// Reads all of a directory once. Blocks.
    ///
    /// # Errors
    /// `Invalid` with all folders and fields that neither the schema nor the map knows, and, where
    /// files with the same id are not to be dropped, with those; `Unavailable` where the directory
    /// cannot be read.
    pub fn open(
        directory: &Path,
        schema: Arc<Schema>,
        map: NameMap,
        policy: Policy,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self> {
        let root = directory
            .canonicalize()
            .map_err(|error| cannot(directory, &error))?;
        let mut reading = Reading {
            types: vec![BTreeMap::new(); schema.types.len()],
            schema: &schema,
            map: &map,
            policy,
            unreadable: Vec::new(),
            unknown: BTreeSet::new(),
            dropped: Vec::new(),
            same_ids: Vec::new(),
        };
        for folder in listed(&root)?.into_iter().filter(|path| path.is_dir()) {
            reading.folder(&folder, progress)?;
        }
        let (types, unreadable, dropped) = reading.done()?;
        let name = format!("osis-legacy:{}", root.display());
        let inside = Arc::new(Inside { schema, map, types });
        Ok(Self {
            inside,
            name,
            unreadable,
            dropped,
        })
    }

    /// The files that cannot be read, and why.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }
}

/// What is known while the files are read for the first time.
struct Reading<'a> {
    schema: &'a Schema,
    map: &'a NameMap,
    policy: Policy,
    types: Vec<BTreeMap<Id, File>>,
    unreadable: Vec<Unreadable>,
    /// Folders and fields that nobody knows.
    unknown: BTreeSet<(String, String)>,
    dropped: Vec<Dropped>,
    /// Files with the id of another one.
    same_ids: Vec<(String, String)>,
}

type Read = (Vec<BTreeMap<Id, File>>, Vec<Unreadable>, Vec<Dropped>);

impl Reading<'_> {
    fn folder(&mut self, folder: &Path, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with('.') {
            return Ok(());
        }
        let files = listed(folder)?;
        let files = files
            .into_iter()
            .filter(|path| path.extension().is_some_and(|e| e == "otoml"));
        let mut files = files.peekable();
        // What holds no objects is not the original's, and no business of ours.
        if files.peek().is_none() {
            return Ok(());
        }
        let ty = match self.map.find(self.schema, &name) {
            Ok(Some(ty)) => ty,
            Ok(None) => return Ok(()),
            Err(error) => {
                let message = error.message();
                let message = message
                    .strip_prefix(&format!("{name}: "))
                    .unwrap_or(message);
                self.unknown.insert((name, message.to_owned()));
                return Ok(());
            }
        };
        let folder: Arc<str> = name.into();
        for path in files {
            let place = Place {
                path: &path,
                folder: &folder,
                ty,
                map: self.map,
            };
            match place.read() {
                Ok(object) => self.take(ty.id, &path, &folder, object),
                Err(Refusal::Unknown(field)) => {
                    let message = format!(
                        "{} has no field of this name. Say in --map what becomes of it: \
                         [types.{folder}.fields] with {field} = \"NAME\", or {field} = false to drop \
                         it (first seen in {})",
                        ty.name,
                        path.display()
                    );
                    let place = format!("{folder}.{field}");
                    if !self.unknown.iter().any(|(known, _)| *known == place) {
                        self.unknown.insert((place, message));
                    }
                }
                Err(Refusal::Unreadable((line, message))) => self.unreadable.push(Unreadable {
                    path,
                    line,
                    message,
                }),
            }
            progress(1);
        }
        Ok(())
    }

    /// Notes a file under its object's id. Two may have the same: releases that counted in memory
    /// began anew at each start.
    fn take(&mut self, type_id: TypeId, path: &Path, folder: &Arc<str>, object: Object) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let Object { row, sid } = object;
        if stem != sid && !stem.ends_with(&format!("_{sid}")) {
            self.unreadable.push(Unreadable {
                path: path.to_owned(),
                line: None,
                message: format!("holds the object {sid}, which is not what its name says"),
            });
            return;
        }
        let file = File {
            path: path.to_owned(),
            folder: Arc::clone(folder),
            created_at: row.created_at,
        };
        let Some(other) = self.types[type_id].get(&row.id).cloned() else {
            self.types[type_id].insert(row.id, file);
            return;
        };
        let ty = &self.schema.types[type_id];
        self.same_ids.push((
            ty.name.clone(),
            format!(
                "{} and {} have the same id",
                other.path.display(),
                path.display()
            ),
        ));
        let age = |file: &File| (file.created_at, file.path.clone());
        let goes = match self.policy {
            Policy::KeepNewest => age(&file) > age(&other),
            Policy::KeepOldest | Policy::Fail => age(&file) < age(&other),
        };
        self.dropped.push(Dropped {
            type_name: ty.name.clone(),
            id: row.id.clone(),
            kept: row.id.clone(),
            key: json!({ "id": row.id }),
        });
        if goes {
            self.types[type_id].insert(row.id, file);
        }
    }

    fn done(self) -> Result<Read> {
        if !self.unknown.is_empty() {
            return Err(crate::many(self.unknown.into_iter().collect()));
        }
        if self.policy == Policy::Fail && !self.same_ids.is_empty() {
            return Err(crate::many(self.same_ids));
        }
        Ok((self.types, self.unreadable, self.dropped))
    }
}

/// What lies in a directory, in the order of the names.
fn listed(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(directory)?;
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect()
    };
    let mut paths = read().map_err(|error| cannot(directory, &error))?;
    paths.sort();
    Ok(paths)
}

fn cannot(path: &Path, error: &std::io::Error) -> Error {
    Error::invalid(
        path.display().to_string(),
        format!("cannot be read: {error}"),
    )
}

#[async_trait]
impl Source for Legacy {
    fn schema(&self) -> &Arc<Schema> {
        &self.inside.schema
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn may_be_faulty(&self) -> bool {
        true
    }

    fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }

    fn about(&self) -> Option<u64> {
        let objects: usize = self.inside.types.iter().map(BTreeMap::len).sum();
        Some(objects as u64)
    }

    async fn open(&self) -> Result<Opened> {
        Ok(Opened {
            view: Box::new(Files(Arc::clone(&self.inside))),
            seq: 0,
        })
    }
}

/// The files, read again.
struct Files(Arc<Inside>);

impl Inside {
    fn row(&self, type_id: TypeId, file: &File) -> Result<Row> {
        let place = Place {
            path: &file.path,
            folder: &file.folder,
            ty: &self.schema.types[type_id],
            map: &self.map,
        };
        place.read().map(|object| object.row).map_err(|_| {
            let message = "has changed since it was read first; stop what writes to the directory";
            Error::invalid(file.path.display().to_string(), message)
        })
    }
}

#[async_trait]
impl View for Files {
    async fn page(&mut self, type_id: TypeId, after: Option<&Id>) -> Result<Page> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let files = self.0.types[type_id].range::<Id, _>((from, Unbounded));
        let some: Vec<(&Id, &File)> = files.take(PAGE).collect();
        let next = some.last().filter(|_| some.len() == PAGE);
        let next = next.map(|(id, _)| (*id).clone());
        let rows = some.into_iter().map(|(_, file)| self.0.row(type_id, file));
        Ok(Page {
            rows: rows.collect::<Result<_>>()?,
            next,
        })
    }

    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        let file = |id: &Id| self.0.types[type_id].get(id);
        let rows = ids
            .iter()
            .map(|id| file(id).map(|file| self.0.row(type_id, file)).transpose());
        rows.collect()
    }
}
