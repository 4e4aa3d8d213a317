//! Takes people's edits into the store, as commits like any other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use osis_core::batch::{Batch, Commit, Outcome};
use osis_core::error::{Error, ErrorKind};
use osis_core::schema::{FieldKind, Schema, TypeId};

use super::inspect::RETRY;
use super::marks::Key;
use super::refusal::{self, waits_for_others};
use super::tree::Known;
use super::worker::Worker;
use crate::files::Stamp;
use crate::record::{Hash, Version};

/// How often edits that were refused for the sake of others are tried again at once.
const ROUNDS: usize = 8;

/// A person's edit.
#[derive(Debug)]
pub(super) struct Edit {
    /// The object.
    pub(super) key: Key,
    /// Its file.
    pub(super) path: PathBuf,
    /// What was read there; nothing if the file was removed.
    pub(super) seen: Option<(Stamp, Version)>,
    /// What it comes to.
    pub(super) batch: Batch,
}

impl Worker<'_> {
    /// Takes edits in, each for itself. Those refused for the sake of others are tried again after
    /// the others: two files that refer to each other, or that swap a key, come in any order.
    pub(super) fn submit_edits(&mut self, edits: Vec<Edit>) {
        let mut left = edits;
        for _ in 0..ROUNDS {
            if left.is_empty() {
                return;
            }
            let batches = left.iter().map(|edit| edit.batch.clone()).collect();
            let answers = (self.submit.0)(batches);
            // What came of them is known before anything is said about their files.
            self.drain();
            let mut refused: Vec<(Edit, Error)> = Vec::new();
            let mut has_taken = false;
            let mut answers = answers.into_iter();
            for edit in left.drain(..) {
                match answers.next().unwrap_or_else(|| Err(Error::closed())) {
                    Ok(commit) => {
                        has_taken = true;
                        self.is_taken(&edit, &commit);
                    }
                    Err(error) if waits_for_others(&error) => refused.push((edit, error)),
                    Err(error) => self.is_refused(edit, &error),
                }
            }
            if !has_taken {
                for (edit, error) in refused {
                    self.is_refused(edit, &error);
                }
                return;
            }
            self.hurry_refused();
            left = refused.into_iter().map(|(edit, _)| edit).collect();
        }
        for edit in left {
            // So many rounds that something else must be wrong: the usual wait tells.
            self.put_back(&edit, RETRY);
        }
    }

    fn is_taken(&mut self, edit: &Edit, commit: &Commit) {
        let key = &edit.key;
        self.settle(&edit.path);
        let Some((stamp, version)) = edit.seen else {
            let path = edit.path.display();
            tracing::info!(%path, "was removed by hand, so its object is deleted");
            self.tree.objects.remove(key);
            self.dirty.release(key, Instant::now());
            return;
        };
        let known = Known {
            stamp,
            version,
            is_canonical: false,
        };
        self.tree.objects.insert(key.clone(), known);
        if let Some(Outcome::Object { type_id, row }) = commit.outcomes.first() {
            let hash = Hash::of(&self.schema.types[*type_id], &row.values);
            let version = Version { rev: row.rev, hash };
            self.edits.insert(key.clone(), version);
            // The times in it are a person's, even where the revision is right by chance.
            if let Some(known) = self.tree.objects.get_mut(key)
                && known.version == version
            {
                known.version.rev = 0;
            }
        }
        // Revision and times are written back.
        let now = Instant::now();
        self.dirty.mark(key.clone(), commit.seq.max(1), false, now);
        self.dirty.release(key, now);
    }

    fn is_refused(&mut self, edit: Edit, error: &Error) {
        let Edit {
            key, path, seen, ..
        } = edit;
        if refusal::is_for_now(error) {
            tracing::warn!(path = %path.display(), %error, "an edit waits");
            self.look_later(&key, path, seen.map(|(stamp, _)| stamp), RETRY);
            return;
        }
        let has_changed = refusal::is_outrun(error);
        match seen {
            // Somebody was quicker; what the file is now is judged again.
            Some((stamp, _)) if has_changed => {
                self.look_later(&key, path, Some(stamp), Duration::ZERO);
            }
            Some((stamp, _)) => {
                let retries = waits_for_others(error);
                let line = self.line_of(&path, error);
                let why = self.why(key.0, error);
                self.note_refused(&path, stamp, (line, &why), retries);
                self.keep(&key);
            }
            None if has_changed => self.look_later(&key, path, None, Duration::ZERO),
            None => {
                tracing::warn!(
                    path = %path.display(),
                    %error,
                    "the file was removed, and is put back: the object cannot be deleted"
                );
                self.tree.objects.remove(&key);
                self.refold(&key, &path);
            }
        }
    }

    /// Why an edit was refused, with the file of the object that stands against it.
    fn why(&self, type_id: TypeId, error: &Error) -> String {
        let message = error.message();
        match error.kind() {
            ErrorKind::Conflict {
                existing_id: Some(other),
                ..
            } => {
                let path = self.path_of(type_id, other);
                let shown = path.strip_prefix(self.shared.root()).unwrap_or(&path);
                format!("{message} (its file is {})", shown.display())
            }
            _ => message.to_owned(),
        }
    }

    /// The line of a file on which the field stands that an error is about.
    fn line_of(&self, path: &Path, error: &Error) -> Option<usize> {
        let field = refusal::fields(error).next()?;
        let text = self.shared.files.read(path).ok()?;
        let text = std::str::from_utf8(&text).ok()?;
        let before = text.lines().position(|line| refusal::names(line, field));
        before.map(|before| before + 1)
    }

    fn put_back(&mut self, edit: &Edit, wait: Duration) {
        let stamp = edit.seen.map(|(stamp, _)| stamp);
        self.look_later(&edit.key, edit.path.clone(), stamp, wait);
    }
}

/// The places of types in an order in which what is referred to comes before what refers.
pub(super) fn ranks(schema: &Schema) -> Vec<usize> {
    let count = schema.types.len();
    let mut rank = vec![0; count];
    // As many rounds as there are types settle all chains; rings stay as they come.
    for _ in 0..count {
        for ty in &schema.types {
            for field in &ty.fields {
                if let FieldKind::Ref { to, .. } = field.kind
                    && to != ty.id
                    && rank[ty.id] <= rank[to]
                    && rank[to] < count
                {
                    rank[ty.id] = rank[to] + 1;
                }
            }
        }
    }
    rank
}
