//! Where everything lies, and what its name says.

use std::path::{Path, PathBuf};

use osis_core::object::Id;
use osis_core::schema::Type;

use crate::files::Readers;

/// How many seqs a folder of the log spans.
pub(crate) const SEGMENT: u64 = 1000;

/// The paths of one store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Of the store in a directory.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The store's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// `store.toml`: format and id of the store.
    pub(crate) fn store_file(&self) -> PathBuf {
        self.root.join("store.toml")
    }

    /// `schema.toml`: the schema in force, for people; the log has the word.
    pub(crate) fn schema_file(&self) -> PathBuf {
        self.root.join("schema.toml")
    }

    /// `.osis-restore`: a store that is laid ready to take the place of this one, and what it takes the
    /// place of; there only while that goes on, or where it was cut off.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.root.join(".osis-restore")
    }

    /// `.osis`: what is derived.
    pub(crate) fn derived(&self) -> PathBuf {
        self.root.join(".osis")
    }

    /// The folder of a type's objects, or of a log type's days.
    pub(crate) fn folder(&self, ty: &Type) -> PathBuf {
        self.root.join(&ty.plural)
    }

    /// The file of an object: `apps/2c/….otoml`, the shard being the id's last two characters.
    pub(crate) fn object(&self, ty: &Type, id: &Id) -> PathBuf {
        let id = id.as_str();
        let shard = &id[id.len() - 2..];
        self.folder(ty).join(shard).join(format!("{id}.otoml"))
    }

    /// Who may read the files of a type's objects: where secret fields are in them, their owner.
    pub(crate) fn readers(ty: &Type) -> Readers {
        match ty.fields.iter().any(|field| field.secret) {
            true => Readers::Owner,
            false => Readers::Usual,
        }
    }

    /// `log`.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// Where entries are written before they are claimed.
    pub(crate) fn log_drafts(&self) -> PathBuf {
        self.log().join("new")
    }

    /// The folder that the entry with a first seq lies in: `log/000000012`.
    pub(crate) fn segment(&self, seq: u64) -> PathBuf {
        self.log().join(format!("{:09}", seq / SEGMENT))
    }

    /// The file of the entry with a first seq: `log/000000012/000000012345.otoml`.
    pub(crate) fn entry(&self, seq: u64) -> PathBuf {
        self.segment(seq).join(format!("{seq:012}.otoml"))
    }

    /// The records that are left of a packed folder: `log/000000012.otoml`.
    pub(crate) fn pack(&self, seq: u64) -> PathBuf {
        self.log().join(format!("{:09}.otoml", seq / SEGMENT))
    }

    /// Up to where the log is no longer kept: `log/oldest.otoml`; not there as long as all is.
    pub(crate) fn log_oldest(&self) -> PathBuf {
        self.log().join("oldest.otoml")
    }

    /// Where the change feed begins: `log/feed.otoml`; not there unless the store is a copy.
    pub(crate) fn log_feed(&self) -> PathBuf {
        self.log().join("feed.otoml")
    }

    /// Up to where all that was committed was in objects' files, on disk: `log/filed.otoml`.
    pub(crate) fn log_filed(&self) -> PathBuf {
        self.log().join("filed.otoml")
    }

    /// Where an entry is put that cannot be read: `log/damaged/000000000012.otoml`.
    pub(crate) fn damaged(&self, first: u64) -> PathBuf {
        let entry = self.entry(first);
        let name = entry.file_name().unwrap_or_default();
        self.log().join("damaged").join(name)
    }

    /// What the store is an unfinished copy of: `log/copying`; there only as long as it is one.
    pub(crate) fn log_copying(&self) -> PathBuf {
        self.log().join("copying")
    }

    /// The text of a schema that was in force once: `log/schemas/<hash>.toml`.
    pub(crate) fn log_schema(&self, hash: &str) -> PathBuf {
        self.log().join("schemas").join(format!("{hash}.toml"))
    }

    /// The folder of a type's versions that are kept while people's files are not right:
    /// `log/kept/apps`.
    pub(crate) fn log_kept_folder(&self, ty: &Type) -> PathBuf {
        self.log().join("kept").join(&ty.plural)
    }

    /// Such a version: `log/kept/apps/<id>.otoml`.
    pub(crate) fn log_kept(&self, ty: &Type, id: &Id) -> PathBuf {
        self.log_kept_folder(ty).join(format!("{id}.otoml"))
    }

    /// The mark of a new file that the store did not take: `log/kept/apps/<id>.refused`.
    pub(crate) fn log_refused(&self, ty: &Type, id: &Id) -> PathBuf {
        self.log_kept_folder(ty).join(format!("{id}.refused"))
    }

    /// What a name in `log` stands for; nothing if it is none of the log's numbered names.
    pub(crate) fn numbered(name: &str) -> Option<Numbered> {
        let number = |digits: &str| -> Option<u64> {
            let is_number = digits.len() == 9 && digits.bytes().all(|b| b.is_ascii_digit());
            is_number.then(|| digits.parse().ok()).flatten()
        };
        match name.strip_suffix(".otoml") {
            Some(stem) => number(stem).map(Numbered::Pack),
            None => number(name).map(Numbered::Segment),
        }
    }

    /// The first seq of the entry with this name in its segment; nothing if it is no entry's.
    pub(crate) fn entry_seq(name: &str) -> Option<u64> {
        let stem = name.strip_suffix(".otoml")?;
        let is_number = stem.len() == 12 && stem.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| stem.parse().ok()).flatten()
    }
}

/// What lies in `log` under a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbered {
    /// A folder of entries.
    Segment(u64),
    /// What is left of one.
    Pack(u64),
}
