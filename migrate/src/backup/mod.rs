//! Backups: a consistent copy of a store in a directory of its own, and back.
//!
//! ```text
//! DEST/
//!   manifest.toml    what it is a backup of, and as of which commit; written last
//!   SHA256SUMS       the checksums of all other files
//!   schema.toml      the schema in force
//!   store/           what the engine copied
//! ```
//!
//! What an engine copies is its own affair ([`osis_core::backend::Snapshot::copy_into`]); that it is
//! whole and is what was backed up is looked after here, once for all of them. Copy and digests are
//! taken from one snapshot. A restore trusts nothing: it looks at the checksums first, has the engine
//! lay the store ready beside its place, opens it there, and compares its commit, schema and digests
//! with the manifest; only then it is put in place.

mod manifest;
mod sums;

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use osis_core::backend::{Restore, Scope};
use osis_core::schema::{Schema, Source, load};
use osis_core::store::Principal;
use osis_core::{Error, ErrorKind, Result, Store, Time};

use crate::digest::{self, TypeDigest};

pub use crate::copy::filled;
pub use manifest::{Files, Manifest, SchemaName};

/// The schema in force, in a backup.
const SCHEMA: &str = "schema.toml";
/// What the engine copied, in a backup.
const STORE: &str = "store";

/// What a backup or a restore is told by whoever waits for it.
pub trait Watch: Send {
    /// A part of the work begins, over about so many things.
    fn begin(&mut self, what: Part, things: Option<u64>);
    /// So many more are done.
    fn done(&mut self, things: u64);
}

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The engine copies.
    Copying,
    /// Objects are digested.
    Digesting,
    /// Files are summed up.
    Summing,
    /// The sums of files are compared.
    Verifying,
}

/// Makes a backup of a store in a directory that is not there or is empty.
///
/// # Errors
/// `Invalid` where the directory is not empty, the store is half of another one or of a kind that
/// cannot be backed up; `StorageFull`; those of the engine and of the file system. What was made of it
/// is removed then.
pub async fn back_up(store: &Store, to: &Path, watch: &mut dyn Watch) -> Result<Manifest> {
    let who = Principal::Operator;
    if let Some(of) = store.copying(&who).await? {
        let message = format!(
            "the store is an unfinished copy of {of}; finish that with osis migrate, then back it up"
        );
        return Err(Error::invalid("store", message));
    }
    let made = prepare(to)?;
    let done = fill(store, to, watch).await;
    if done.is_err() {
        clear(to, made);
    }
    done
}

/// Whether a directory was made, or was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Now,
    Before,
}

/// Sees to an empty directory for its owner's eyes alone: secrets will be in it.
fn prepare(directory: &Path) -> Result<Made> {
    let failed = |error: io::Error| Error::of_file(directory, &error);
    match fs::read_dir(directory) {
        Ok(mut found) => match found.next() {
            None => Ok(Made::Before),
            Some(_) => {
                let message = format!("{} is not empty; name a new directory", directory.display());
                Err(Error::invalid("backup", message))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory);
            made.map_err(failed)?;
            Ok(Made::Now)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Removes what was made of a backup that failed. What cannot be removed has no manifest.
fn clear(directory: &Path, made: Made) {
    let removed = match made {
        Made::Now => fs::remove_dir_all(directory),
        Made::Before => [manifest::NAME, sums::NAME, SCHEMA, STORE]
            .iter()
            .map(|name| directory.join(name))
            .filter(|path| path.exists())
            .try_for_each(|path| match path.is_dir() {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            }),
    };
    if let Err(error) = removed {
        tracing::warn!(directory = %directory.display(), %error, "a half backup could not be removed");
    }
}

async fn fill(store: &Store, to: &Path, watch: &mut dyn Watch) -> Result<Manifest> {
    let made_at = Time::now();
    let who = Principal::Operator;
    let mut reader = store.read(&who, Scope::Consistent, None).await?;
    let seq = reader.seq().await?;
    watch.begin(Part::Copying, None);
    let inner = to.join(STORE);
    let made = DirBuilder::new().mode(0o700).create(&inner);
    made.map_err(|error| Error::of_file(&inner, &error))?;
    reader.copy_into(&inner).await?;
    watch.begin(Part::Digesting, None);
    let digests = {
        let mut progress = |objects| watch.done(objects);
        digest::of_view(store.schema(), &mut reader, &mut progress).await?
    };
    drop(reader);
    let schema = store.schema();
    put(&to.join(SCHEMA), schema.text.as_bytes())?;
    let files = sums::write(to, watch)?;
    let manifest = Manifest::of(store.kind(), seq, schema, files, digests, made_at);
    // Under another name until it is whole: where it stands, all else does.
    let draft = to.join(format!("{}.new", manifest::NAME));
    put(&draft, manifest.text()?.as_bytes())?;
    sync_directory(to)?;
    let path = to.join(manifest::NAME);
    fs::rename(&draft, &path).map_err(|error| Error::of_file(&path, &error))?;
    sync_directory(to)?;
    if let Some(above) = to.parent().filter(|above| !above.as_os_str().is_empty()) {
        sync_directory(above)?;
    }
    Ok(manifest)
}

/// Writes a new file, durably.
fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| Error::of_file(path, &error))
}

fn sync_directory(directory: &Path) -> Result<()> {
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::of_file(directory, &error))
}

/// A backup, found whole.
#[derive(Debug)]
pub struct Backup {
    directory: PathBuf,
    manifest: Manifest,
    schema: Schema,
}

impl Backup {
    /// Opens a backup of a kind of store, and looks at every file of it.
    ///
    /// # Errors
    /// `Invalid` where there is none, or one of another kind of store or a newer version; `Corrupt`
    /// where a file is damaged; those of the file system.
    pub fn open(directory: &Path, kind: &str, watch: &mut dyn Watch) -> Result<Self> {
        let manifest = Manifest::read(directory)?;
        if manifest.kind != kind {
            let message = format!(
                "{} is a backup of a {} store, and --store names a {kind} store; restore it into one \
                 of its kind, then move it with osis migrate",
                directory.display(),
                manifest.kind
            );
            return Err(Error::invalid("backup", message));
        }
        sums::verify(directory, &manifest.files, watch)?;
        let path = directory.join(SCHEMA);
        let text = fs::read_to_string(&path).map_err(|error| Error::of_file(&path, &error))?;
        Ok(Self {
            schema: load(&[Source::new(path.display().to_string(), text)])?,
            directory: directory.to_owned(),
            manifest,
        })
    }

    /// What it says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The schema that was in force.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What the engine copied.
    pub fn store(&self) -> PathBuf {
        self.directory.join(STORE)
    }

    /// Compares what an engine has laid ready with the manifest, and has it put in place.
    ///
    /// # Errors
    /// `Corrupt` where they differ; those of the engine. Then nothing is put in place.
    pub async fn restore(&self, laid: Box<dyn Restore>, watch: &mut dyn Watch) -> Result<()> {
        let (laid, backend) = blocking(move || {
            let opened = laid.open()?;
            Ok((laid, opened))
        })
        .await?;
        let store = Store::new(backend);
        let compared = self.compare(&store, watch).await;
        let closed = store.close().await;
        drop(store);
        compared?;
        closed?;
        blocking(move || laid.put_in_place()).await
    }

    async fn compare(&self, store: &Store, watch: &mut dyn Watch) -> Result<()> {
        let who = Principal::Operator;
        let mut reader = store.read(&who, Scope::Consistent, None).await?;
        let seq = reader.seq().await?;
        if seq != self.manifest.seq {
            let (wanted, what) = (self.manifest.seq, "what was restored is as of commit");
            return Err(self.differs(&format!("{what} {seq}, the manifest says {wanted}")));
        }
        let hash = &store.schema().hash;
        if *hash != self.manifest.schema.hash {
            return Err(self.differs("what was restored has another schema than the manifest says"));
        }
        watch.begin(Part::Digesting, Some(self.objects()));
        let mut progress = |objects| watch.done(objects);
        let found = digest::of_view(store.schema(), &mut reader, &mut progress).await?;
        let difference = first_difference("type", &found.types, &self.manifest.types)
            .or_else(|| first_difference("roll-up", &found.rollups, &self.manifest.rollups));
        match difference {
            None => Ok(()),
            Some(what) => Err(self.differs(&what)),
        }
    }

    fn objects(&self) -> u64 {
        self.manifest.types.values().map(|of| of.count).sum()
    }

    fn differs(&self, what: &str) -> Error {
        let path = self.directory.display().to_string();
        let message =
            format!("{path} is damaged: {what}; nothing was put in place, use another backup");
        Error::new(ErrorKind::Corrupt { path, line: None }, message)
    }
}

fn first_difference(
    what: &str,
    found: &BTreeMap<String, TypeDigest>,
    wanted: &BTreeMap<String, TypeDigest>,
) -> Option<String> {
    let none = TypeDigest {
        count: 0,
        digest: String::new(),
    };
    wanted.keys().chain(found.keys()).find_map(|name| {
        let found = found.get(name).unwrap_or(&none);
        let wanted = wanted.get(name).unwrap_or(&none);
        (found != wanted).then(|| {
            format!(
                "{what} {name} has {} objects with digest {:?}, the manifest says {} with {:?}",
                found.count, found.digest, wanted.count, wanted.digest
            )
        })
    })
}

/// Runs what waits for a disk or a server where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("the restore broke off", error))?
}
