//! A copy of a store back into a directory.
//!
//! The copy is laid ready in a folder of the directory itself, which may be where a volume is mounted,
//! and is looked at there as a store of its own. Then `store.toml` of the old store goes first, and that
//! of the new one comes last: in between the directory is no store, for those who would open it and for
//! those who have it open. The restored store gets an id of its own, for it is another one by now: who
//! slept through it must not go on with what it knew of the old one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osis_core::backend::{Backend, Restore};
use osis_core::error::{Error, Result};
use osis_core::object::Id;
use osis_core::schema::{Schema, Source, load};
use osis_core::time::Time;
use walkdir::WalkDir;

use crate::FileBackend;
use crate::config::FileConfig;
use crate::error::io_error;
use crate::files::Readers;
use crate::layout::Layout;
use crate::open::{BESIDE, FORMAT};

/// A file store that is being restored.
#[derive(Debug)]
pub struct FileRestore {
    config: FileConfig,
    /// Where the store is to be.
    layout: Layout,
    /// Where it is laid ready.
    staged: Layout,
    /// The names in both that are a store's.
    names: BTreeSet<String>,
}

impl FileRestore {
    /// Lays what [`osis_core::backend::Snapshot::copy_into`] made ready in the directory that the
    /// configuration names, which is made if it is missing. What is in it, and not a store's, stays.
    /// Blocks.
    ///
    /// # Errors
    /// `Invalid` where the directory is no store and holds other things, or, unless it is to be
    /// replaced, objects; those of the file system.
    pub fn begin(config: FileConfig, from: &Path, replace: bool) -> Result<Self> {
        let root = std::path::absolute(&config.directory)
            .map_err(|error| io_error(&config.directory, &error))?;
        let layout = Layout::new(root);
        let staged = Layout::new(layout.restoring().join("store"));
        let names = names(&[from, layout.root()]);
        let restore = Self {
            config,
            layout,
            staged,
            names,
        };
        restore.refuse_others(replace)?;
        let root = restore.layout.root();
        fs::create_dir_all(restore.layout.restoring()).map_err(|error| io_error(root, &error))?;
        restore.sweep_staged()?;
        restore.lay(from)?;
        Ok(restore)
    }

    /// Refuses a directory of somebody else, and objects that would be lost unasked.
    fn refuse_others(&self, replace: bool) -> Result<()> {
        let root = self.layout.root();
        let refused = |what: String| {
            let message = format!("{} {what}", root.display());
            Err(Error::invalid("store", message))
        };
        let found = match fs::read_dir(root) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                return refused("is a file, not a directory".to_owned());
            }
            Err(error) => return Err(io_error(root, &error)),
        };
        let is_store = self.layout.store_file().exists() || self.was_cut_off()?;
        for name in found {
            let name = name.map_err(|error| io_error(root, &error))?.file_name();
            let name = name.to_string_lossy().into_owned();
            let is_own = name.starts_with('.')
                || BESIDE.contains(&name.as_str())
                || self.names.contains(&name);
            if !is_own && !is_store {
                return refused(format!(
                    "is no store and holds other things ({name}); name an empty directory"
                ));
            }
            if !replace && self.names.contains(&name) && holds_objects(&root.join(&name), &name) {
                return refused(format!(
                    "holds objects in {name}; restore with --force to replace it, or name another \
                     place with --store"
                ));
            }
        }
        match !replace && self.was_cut_off()? {
            true => refused(
                "holds a restore that was cut off; run osis restore --force to begin anew"
                    .to_owned(),
            ),
            false => Ok(()),
        }
    }

    /// Whether an earlier restore ended between the old store and the new one.
    fn was_cut_off(&self) -> Result<bool> {
        let path = self.layout.restoring();
        match fs::read_dir(&path) {
            Ok(found) => {
                let mut names = found.filter_map(|name| Some(name.ok()?.file_name()));
                Ok(names.any(|name| name.to_string_lossy().starts_with(OLD)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error(&path, &error)),
        }
    }

    /// Removes what a restore that was cut off has laid ready.
    fn sweep_staged(&self) -> Result<()> {
        for path in [self.staged.root(), &self.cache()] {
            match fs::remove_dir_all(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(io_error(path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn cache(&self) -> PathBuf {
        self.layout.restoring().join("cache")
    }

    fn lay(&self, from: &Path) -> Result<()> {
        for found in WalkDir::new(from) {
            let found = found.map_err(|error| io_error(from, &error.into()))?;
            let path = found.path();
            let below = path.strip_prefix(from).unwrap_or(path);
            let to = self.staged.root().join(below);
            let laid = match found.file_type().is_dir() {
                true => fs::create_dir_all(&to),
                false => self.copy(path, &to),
            };
            laid.map_err(|error| io_error(&to, &error))?;
        }
        let path = self.staged.store_file();
        let id = Id::generate(Time::now());
        let written = fs::write(&path, format!("format = {FORMAT}\nid = \"{id}\"\n"));
        written.map_err(|error| io_error(&path, &error))
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mode = fs::metadata(from)?.permissions().mode();
        let readers = match mode & 0o077 {
            0 => Readers::Owner,
            _ => Readers::Usual,
        };
        self.config
            .files
            .create(to, &fs::read(from)?, readers, false)
    }

    /// Moves what of these names there is from one directory to another.
    fn move_all(&self, from: &Path, to: &Path) -> Result<()> {
        for name in &self.names {
            match fs::rename(from.join(name), to.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(io_error(&from.join(name), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn sync_all(&self) -> Result<()> {
        let root = self.layout.root();
        self.config
            .files
            .sync_all(root)
            .map_err(|error| io_error(root, &error))
    }
}

impl Restore for FileRestore {
    fn open(&self) -> Result<Arc<dyn Backend>> {
        let config = FileConfig {
            directory: self.staged.root().to_owned(),
            cache: Some(self.cache()),
            ..self.config.clone()
        };
        Ok(Arc::new(FileBackend::open(config, None)?))
    }

    fn put_in_place(self: Box<Self>) -> Result<()> {
        self.sync_all()?;
        let root = self.layout.root();
        let unique = Id::generate(Time::now());
        let old = self.layout.restoring().join(format!("{OLD}{unique}"));
        fs::create_dir(&old).map_err(|error| io_error(&old, &error))?;
        let store_file = self.layout.store_file();
        let store_name = store_file.file_name().unwrap_or_default();
        match fs::rename(&store_file, old.join(store_name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io_error(&store_file, &error));
            }
            _ => {}
        }
        sync(root)?;
        self.move_all(root, &old)?;
        self.move_all(self.staged.root(), root)?;
        self.sync_all()?;
        let moved = fs::rename(self.staged.store_file(), &store_file);
        moved.map_err(|error| io_error(&store_file, &error))?;
        sync(root)?;
        // From here on it is in place; what is left behind is in nobody's way.
        let restoring = self.layout.restoring();
        if let Err(error) = fs::remove_dir_all(&restoring) {
            let left = restoring.display();
            tracing::warn!(%left, %error, "what the restored store replaced could not be removed");
        }
        Ok(())
    }
}

impl Drop for FileRestore {
    fn drop(&mut self) {
        let swept = self.sweep_staged();
        // Stays where it holds an old store.
        let _ = fs::remove_dir(self.layout.restoring());
        if let Err(error) = swept {
            tracing::warn!(%error, "what was laid ready could not be removed");
        }
    }
}

/// What the folder of an old store is called, before something that tells it apart.
const OLD: &str = "old-";

/// The names of a store's files and folders right in its directory, apart from `store.toml`: by the
/// schemas in some directories.
fn names(directories: &[&Path]) -> BTreeSet<String> {
    let fixed = ["log", "schema.toml", ".osis", ".unserved"];
    let mut names: BTreeSet<String> = fixed.iter().map(|&name| name.to_owned()).collect();
    for directory in directories {
        let plurals = schema(directory).into_iter();
        names.extend(plurals.flat_map(|schema| schema.types.into_iter().map(|ty| ty.plural)));
    }
    names
}

/// The schema in a directory, where there is one that can be read.
fn schema(directory: &Path) -> Option<Schema> {
    let path = Layout::new(directory.to_owned()).schema_file();
    let text = fs::read_to_string(&path).ok()?;
    load(&[Source::new(path.display().to_string(), text)]).ok()
}

/// Whether a folder of a type has anything in it that may be an object's.
fn holds_objects(path: &Path, name: &str) -> bool {
    let is_folder_of_type = name != "log" && !name.starts_with('.');
    let mut files = WalkDir::new(path).into_iter().filter_map(Result::ok);
    is_folder_of_type
        && files.any(|found| {
            let name = found.file_name().to_string_lossy();
            found.file_type().is_file() && name.ends_with(".otoml")
        })
}

fn sync(directory: &Path) -> Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| io_error(directory, &error))
}
