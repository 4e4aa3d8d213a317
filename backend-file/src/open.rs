//! Opening: an empty directory becomes a store, an existing one is looked at before it is trusted.
//!
//! Any number of processes, on any number of hosts, may open one new directory at the same moment:
//! the schema and the store's id are claimed as entries of the log are, and all see who won.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use osis_core::error::{Error, Result};
use osis_core::object::Id;
use osis_core::schema::diff::{self, SchemaPolicy};
use osis_core::schema::{Schema, Source, load};
use osis_core::time::Time;
use osis_host::volume::Volume;
use sha2::{Digest as _, Sha256};

use crate::bodies::Bodies;
use crate::config::FileConfig;
use crate::error::{corrupt, io_error};
use crate::files::{Files, Readers};
use crate::keeper::{self, Tree};
use crate::layout::Layout;
use crate::log::{Claim, Entry, Log};
use crate::problems::Problems;
use crate::save::{self, Lineage};
use crate::shared::{Parts, Shared};
use crate::slot::Slot;
use crate::state::Applied;

/// How long another process of this host may need to find a file broken and to keep what it held.
const OTHERS: Duration = Duration::from_secs(1);
/// The same of another host.
const OTHERS_NETWORK: Duration = Duration::from_secs(4);
/// The version of what lies in the directory.
pub(crate) const FORMAT: i64 = 1;
/// How deep below a type's folder objects lie: events, in a folder for each month of a year.
const DEPTH_MAX: usize = 2;
/// What people keep beside a store's own files without harm: what begins with a dot, and these.
pub(crate) const BESIDE: &[&str] = &["README", "README.md", "LICENSE", "lost+found"];

/// What is expected in `store.toml`.
const STORE_FILE: &str = "expected the lines `format = 1` and `id = \"…\"`; put the file back from a \
    copy or your version control";

/// A store as it is when it was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Caught up with the log.
    pub(crate) shared: Arc<Shared>,
    /// What is known of the objects' files.
    pub(crate) tree: Tree,
    /// The seq of the catalogue that is saved; none if it was built anew.
    pub(crate) saved: Option<u64>,
    /// What was taken in while opening, and all that will be: for the keeper.
    pub(crate) applied: Receiver<Arc<Applied>>,
}

/// Opens a store.
///
/// # Errors
/// `Invalid` where the directory holds something else, is of a newer format, or holds a schema that
/// would lose something; `Corrupt` where it is damaged; `Unavailable` where it cannot be used.
pub(crate) fn open(config: FileConfig, wanted: Option<Schema>) -> Result<Opened> {
    if config.directory.as_os_str().is_empty() {
        return Err(Error::invalid("store", "file: names no directory"));
    }
    let root = std::path::absolute(&config.directory)
        .map_err(|error| io_error(&config.directory, &error))?;
    let setup = Setup {
        files: Arc::clone(&config.files),
        layout: Layout::new(root),
        config,
    };
    let wanted = match wanted {
        Some(wanted) => wanted,
        None => load(&[Source::builtin()])?,
    };
    setup.prepare(&wanted)?;
    let (log, schema) = setup.agree(wanted)?;
    setup.open(log, schema)
}

struct Setup {
    config: FileConfig,
    files: Arc<dyn Files>,
    layout: Layout,
}

impl Setup {
    /// Sees to it that the directory is a store.
    fn prepare(&self, wanted: &Schema) -> Result<()> {
        let root = self.layout.root();
        let at = |error: io::Error| io_error(root, &error);
        if self
            .files
            .stamp(root)
            .map_err(at)?
            .is_some_and(|stamp| !stamp.is_directory)
        {
            let message = format!("{} is a file, not a directory", root.display());
            return Err(Error::invalid("store", message));
        }
        let is_store = self.files.stamp(&self.layout.store_file()).map_err(at)?;
        if is_store.is_some() {
            return self.check_format();
        }
        refuse_reserved(wanted)?;
        self.refuse_half_restored()?;
        self.refuse_remains(wanted)?;
        self.refuse_strangers(wanted)?;
        for directory in [root, &self.layout.log(), &self.layout.log_drafts()] {
            self.files
                .create_directory(directory)
                .map_err(|error| io_error(directory, &error))?;
        }
        // The log must never go back in time, as a checkout of an older version would have it.
        self.claim(&self.layout.log().join(".gitignore"), "*\n")?;
        self.claim(&self.layout.schema_file(), &wanted.text)?;
        // Whatever becomes of that file: the entries to come can be read.
        let stored = self.stored_schema()?;
        let kept = self.layout.log_schema(&stored.hash);
        let folder = kept.parent().unwrap_or(self.layout.root());
        self.files
            .create_directory(folder)
            .and_then(|()| self.files.sync(&self.layout.log()))
            .map_err(|error| io_error(folder, &error))?;
        self.claim(&kept, &stored.text)?;
        let id = Id::generate(Time::now());
        let text = format!("format = {FORMAT}\nid = \"{id}\"\n");
        if self.claim(&self.layout.store_file(), &text)? {
            tracing::info!(store = %root.display(), schema = wanted.name, "made a new store");
        }
        self.check_format()
    }

    /// Refuses a directory into which a backup is being put back, or was half.
    fn refuse_half_restored(&self) -> Result<()> {
        let path = self.layout.restoring();
        let stamp = self.files.stamp(&path);
        match stamp.map_err(|error| io_error(&path, &error))? {
            None => Ok(()),
            Some(_) => Err(Error::invalid(
                "store",
                format!(
                    "{} holds a restore that is under way or was cut off; run osis restore --force \
                     again",
                    self.layout.root().display()
                ),
            )),
        }
    }

    /// Refuses a directory that holds a store's log or objects, but not the file that names the
    /// store: whatever took that away may have taken more, and under a new id all that knows the old
    /// one would take it for another store.
    fn refuse_remains(&self, wanted: &Schema) -> Result<()> {
        let root = self.layout.root();
        let Some(found) = self.remains(wanted)? else {
            return Ok(());
        };
        // Another process may have finished it since it was looked for, and filled it. Some network
        // volumes remember that a name was not there; a list tells.
        let names = self.files.list(root);
        let names = names.map_err(|error| io_error(root, &error))?;
        if names.iter().any(|name| name == "store.toml") {
            return Ok(());
        }
        let id = Id::generate(Time::now());
        let found = found.strip_prefix(root).unwrap_or(&found).display();
        Err(Error::invalid(
            "store",
            format!(
                "{} holds {found}, but store.toml is missing; put that back, from a copy or your \
                 version control, or, if this is all there is, make it with the lines \
                 `format = {FORMAT}` and `id = \"{id}\"`",
                root.display()
            ),
        ))
    }

    /// Something in the directory that a store has made once it was there; nothing if it is new.
    fn remains(&self, wanted: &Schema) -> Result<Option<PathBuf>> {
        let list = |directory: &Path| {
            let names = self.files.list(directory);
            names.map_err(|error| io_error(directory, &error))
        };
        let log = self.layout.log();
        for name in list(&log)? {
            if Layout::numbered(&name).is_some() || log.join(&name) == self.layout.log_oldest() {
                return Ok(Some(log.join(name)));
            }
        }
        // Of the schema that it had, where that is still there.
        let stored = self.stored_schema().ok();
        let types = stored
            .iter()
            .chain([wanted])
            .flat_map(|schema| &schema.types);
        let mut open: Vec<(PathBuf, usize)> = types.map(|ty| (self.layout.folder(ty), 0)).collect();
        while let Some((directory, depth)) = open.pop() {
            for name in list(&directory)? {
                let path = directory.join(&name);
                let is_below = depth < DEPTH_MAX && !name.starts_with('.') && !name.contains('.');
                if name.ends_with(".otoml") && !name.starts_with('.') {
                    return Ok(Some(path));
                }
                let stamp = self.files.stamp(&path);
                let stamp = stamp.map_err(|error| io_error(&path, &error))?;
                if is_below && stamp.is_some_and(|stamp| stamp.is_directory) {
                    open.push((path, depth + 1));
                }
            }
        }
        Ok(None)
    }

    /// Refuses a directory that holds something else.
    fn refuse_strangers(&self, wanted: &Schema) -> Result<()> {
        let root = self.layout.root();
        let names = self
            .files
            .list(root)
            .map_err(|error| io_error(root, &error))?;
        let is_own = |name: &str| {
            name.starts_with('.')
                || BESIDE.contains(&name)
                || matches!(name, "log" | "schema.toml" | "store.toml")
                || wanted.types.iter().any(|ty| ty.plural == name)
        };
        match names.iter().find(|name| !is_own(name)) {
            Some(name) => Err(Error::invalid(
                "store",
                format!(
                    "{} is no store and holds other things ({name}); name an empty directory",
                    root.display()
                ),
            )),
            None => Ok(()),
        }
    }

    /// Writes a file unless it is there already; whether this process made it.
    fn claim(&self, path: &Path, text: &str) -> Result<bool> {
        if self
            .files
            .stamp(path)
            .map_err(|error| io_error(path, &error))?
            .is_some()
        {
            return Ok(false);
        }
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let draft = self.draft(&name);
        let claimed = self
            .files
            .create(&draft, text.as_bytes(), Readers::Usual, true)
            .and_then(|()| match self.files.link(&draft, path) {
                Ok(()) => Ok(true),
                // Who won does not matter, only that the file is there, whole.
                Err(error) => match self.files.stamp(path) {
                    Ok(Some(_)) => Ok(false),
                    _ => Err(error),
                },
            });
        // What stays is swept by a later start.
        let _ = self.files.remove(&draft);
        let claimed = claimed.map_err(|error| self.explain_claim(path, &error))?;
        self.files
            .sync(path.parent().unwrap_or(self.layout.root()))
            .map_err(|error| io_error(path, &error))?;
        Ok(claimed)
    }

    fn draft(&self, name: &str) -> PathBuf {
        let unique = Id::generate(Time::now());
        self.layout.log_drafts().join(format!("{name}-{unique}"))
    }

    fn explain_claim(&self, path: &Path, error: &io::Error) -> Error {
        let no_links = [io::ErrorKind::Unsupported, io::ErrorKind::PermissionDenied];
        if no_links.contains(&error.kind()) {
            return Error::invalid(
                "store",
                format!(
                    "{} cannot be made: {error}; a file store needs a file system with hard links, \
                     and the right to write",
                    path.display()
                ),
            );
        }
        io_error(path, error)
    }

    fn check_format(&self) -> Result<()> {
        let (format, _) = self.store()?;
        if format > FORMAT {
            return Err(Error::invalid(
                "store",
                format!(
                    "{} has format {format}, and this version of osis knows formats up to \
                     {FORMAT}; use a newer one",
                    self.layout.root().display()
                ),
            ));
        }
        Ok(())
    }

    /// The format of the store, and its id.
    fn store(&self) -> Result<(i64, String)> {
        let path = self.layout.store_file();
        let text = self.text(&path)?;
        let table: toml_edit::DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| {
                let before = error.span().map(|span| &text[..span.start]);
                let line = before.map(|before| before.matches('\n').count() + 1);
                corrupt(&path, line, &format!("{}; {STORE_FILE}", error.message()))
            })?;
        let format = table.get("format").and_then(toml_edit::Item::as_integer);
        let id = table.get("id").and_then(toml_edit::Item::as_str);
        match (format, id) {
            (Some(format), Some(id)) => Ok((format, id.to_owned())),
            _ => Err(corrupt(&path, None, STORE_FILE)),
        }
    }

    fn text(&self, path: &Path) -> Result<String> {
        let bytes = self
            .files
            .read(path)
            .map_err(|error| io_error(path, &error))?;
        String::from_utf8(bytes).map_err(|_| corrupt(path, None, "is not UTF-8"))
    }

    fn stored_schema(&self) -> Result<Schema> {
        let path = self.layout.schema_file();
        load(&[Source::new(path.display().to_string(), self.text(&path)?)])
    }

    /// The log, and the schema that is in force from now on.
    fn agree(&self, wanted: Schema) -> Result<(Log, Arc<Schema>)> {
        let wanted = Arc::new(wanted);
        loop {
            let log = Log::open(Arc::clone(&self.files), self.layout.clone())?;
            self.restore_schema(&log, &wanted)?;
            let stored = Arc::new(self.stored_schema()?);
            let known = log.schema_in_force(&stored, &stored.hash)?;
            let in_force = known.unwrap_or_else(|| Arc::clone(&stored));
            if in_force.hash != stored.hash {
                // A process that put it in force ended before it wrote the file.
                self.write_schema(&in_force)?;
            }
            if self.config.schema == SchemaPolicy::Stored || wanted.hash == in_force.hash {
                return Ok((log, in_force));
            }
            let losses = diff::losses(&in_force, &wanted);
            if !losses.is_empty() {
                let place = self.layout.root().display().to_string();
                return Err(diff::refused(&place, &losses));
            }
            refuse_reserved(&wanted)?;
            self.apply(&log, &in_force, &wanted)?;
        }
    }

    /// Puts `schema.toml` back where somebody has removed it: the log knows what was in it.
    fn restore_schema(&self, log: &Log, any: &Arc<Schema>) -> Result<()> {
        let path = self.layout.schema_file();
        let stamp = self.files.stamp(&path);
        if stamp.map_err(|error| io_error(&path, &error))?.is_some() {
            return Ok(());
        }
        match log.schema_in_force(any, &any.hash)? {
            Some(in_force) => {
                tracing::warn!(path = %path.display(), "was missing and is put back");
                self.write_schema(&in_force)
            }
            None => Err(corrupt(
                &path,
                None,
                "is missing; put back the file in log/schemas under this name",
            )),
        }
    }

    /// Puts a schema in force: an entry of the log, then the file. If another process was quicker
    /// with an entry, nothing is done.
    fn apply(&self, log: &Log, in_force: &Arc<Schema>, wanted: &Schema) -> Result<()> {
        let seq = log.head(in_force, &in_force.hash)? + 1;
        let entry = Entry {
            first: seq,
            last: seq,
            writer: log.writer().to_owned(),
            schema: in_force.hash.clone(),
            new_schema: Some(wanted.text.clone()),
            changes: Vec::new(),
        };
        if log.claim(&entry, in_force)? == Claim::Won {
            self.write_schema(wanted)?;
            tracing::info!(
                store = %self.layout.root().display(),
                schema = wanted.name,
                version = wanted.version,
                "applied a new schema"
            );
        }
        Ok(())
    }

    fn write_schema(&self, schema: &Schema) -> Result<()> {
        let path = self.layout.schema_file();
        let draft = self.draft("schema.toml");
        let written = self
            .files
            .create(&draft, schema.text.as_bytes(), Readers::Usual, true)
            .and_then(|()| self.files.rename(&draft, &path))
            .and_then(|()| self.files.sync(self.layout.root()));
        written.map_err(|error| io_error(&path, &error))
    }

    /// Opens the store under a schema.
    fn open(&self, log: Log, schema: Arc<Schema>) -> Result<Opened> {
        let (_, store) = self.store()?;
        let is_network = self.is_network();
        let problems = Problems::default();
        let slot = Slot::claim(&self.cache(&store, is_network)?)?;
        let bodies = Arc::new(Bodies::open(&slot.bodies())?);
        let saved = save::load(&*self.files, &slot.catalogue(), &schema, &bodies, &store);
        let usable = match saved {
            Some(saved) => {
                let state = &saved.0;
                // What the log no longer has from there on cannot be replayed.
                let mut goes_on = log.reaches(state.seq, &schema, &schema.hash)?;
                if let Some(tip) = &state.tip {
                    // It may be another's log by now, or one that was put back from a copy.
                    goes_on = goes_on && log.has_tip(state.seq, tip, &schema, &schema.hash)?;
                }
                goes_on.then_some(saved)
            }
            None => None,
        };
        let saved = usable.as_ref().map(|(state, ..)| state.seq);
        let (state, tree, lineage) = match usable {
            Some(saved) => saved,
            None => {
                let ground = keeper::Ground {
                    layout: &self.layout,
                    schema: &schema,
                    files: &*self.files,
                    bodies: &bodies,
                    log: &log,
                    problems: &problems,
                    patience: match is_network {
                        true => OTHERS_NETWORK,
                        false if slot.has_others() => OTHERS,
                        false => Duration::ZERO,
                    },
                };
                let (state, tree) = keeper::rebuild(&ground)?;
                let lineage = Lineage {
                    store,
                    schema: schema.hash.clone(),
                    built: Id::generate(Time::now()).to_string(),
                };
                (state, tree, lineage)
            }
        };
        let shared = Shared::new(Parts {
            layout: self.layout.clone(),
            schema_hash: schema.hash.clone(),
            schema,
            files: Arc::clone(&self.files),
            is_network,
            log,
            bodies,
            slot,
            lineage,
            problems,
            state,
        });
        let (follower, applied) = channel();
        shared.follow(follower);
        Ok(Opened {
            shared: Arc::new(shared),
            tree,
            saved,
            applied,
        })
    }

    /// Whether other hosts may write here too. What is not known to be local is taken for shared:
    /// that is slower, and right everywhere.
    fn is_network(&self) -> bool {
        match Volume::of(self.layout.root()) {
            Volume::Local => false,
            Volume::Layered => {
                tracing::warn!(
                    store = %self.layout.root().display(),
                    "the store lies in a container's own layer, which goes with the container; put \
                     it on a volume"
                );
                false
            }
            Volume::Shared(_) | Volume::Unknown(_) => true,
        }
    }

    /// Where caches lie.
    fn cache(&self, store: &str, is_network: bool) -> Result<PathBuf> {
        // A copy of a store has its id, but is another.
        let own = || {
            let root = self.layout.root();
            let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
            let hash = Sha256::digest(root.as_os_str().as_bytes());
            let hash: String = hash[..4].iter().map(|b| format!("{b:02x}")).collect();
            format!("{store}-{hash}")
        };
        if let Some(cache) = &self.config.cache {
            return Ok(cache.join(own()));
        }
        if is_network {
            let home = std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
            let home = home.unwrap_or_else(std::env::temp_dir);
            return Ok(home.join("osis").join(own()));
        }
        let derived = self.layout.derived();
        std::fs::create_dir_all(&derived).map_err(|error| io_error(&derived, &error))?;
        // Keeps what is derived out of a version control that people put the store under.
        let ignore = derived.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n").map_err(|error| io_error(&ignore, &error))?;
        }
        Ok(derived)
    }
}

/// The log's folder lies among those of the types.
fn refuse_reserved(schema: &Schema) -> Result<()> {
    match schema.types.iter().find(|ty| ty.plural == "log") {
        Some(ty) => Err(Error::invalid(
            "schema",
            format!(
                "type {} cannot have the plural log in a file store: the store keeps its commits \
                 there",
                ty.name
            ),
        )),
        None => Ok(()),
    }
}
