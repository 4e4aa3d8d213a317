//! An index that is written: opened or made, brought into line with a state, kept in line by steps.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osis_core::schema::{Schema, TypeId};
use osis_core::text::Document;
use tantivy::indexer::IndexWriterOptions;
use tantivy::schema::Term;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy};

use super::error::{Failure, Outcome, caught};
use super::segments::{Committed, Totals};
use super::shape::{Shape, content, register};
use crate::bodies::Bodies;
use crate::record::Held;
use crate::state::{State, Step};

/// What the words of documents may take in memory before they go into a segment.
const MEMORY: usize = 40_000_000;

/// An index that is written. Only one thread has it.
pub(super) struct Writing {
    writer: IndexWriter,
    reader: IndexReader,
    committed: Arc<Committed>,
    /// What each commit's payload begins with.
    payload: String,
    source: Arc<Source>,
    /// Of what is written: as [`Committed::totals`], commit or not.
    totals: Totals,
    /// Versions that are written, but not committed, with the lengths of their fields.
    fresh: HashMap<u64, Box<[u64]>>,
    /// Committed versions that are deleted, but not committed.
    gone: HashSet<u64>,
    /// The next ordinal of the state that the last commit is of.
    next_ordinal: u64,
    changes: usize,
}

/// What documents are made from.
#[derive(Debug)]
pub(super) struct Source {
    /// The store's.
    pub(super) schema: Arc<Schema>,
    /// How its fields lie in the index.
    pub(super) shape: Arc<Shape>,
    /// The large fields.
    pub(super) bodies: Arc<Bodies>,
}

impl Writing {
    /// Opens the index of a directory, or makes one where there is none that fits. It has whatever
    /// it had; [`Self::align`] comes next.
    ///
    /// # Errors
    /// `Told` if another process has it; `Index` if none can be made.
    pub(super) fn open(
        directory: &Path,
        source: &Arc<Source>,
        lineage: &str,
        generation: u64,
    ) -> Outcome<Self> {
        fs::create_dir_all(directory)?;
        let Some(last) = numbers(directory)?.into_iter().max() else {
            return Self::make(directory, source, lineage, generation);
        };
        let opened = caught(|| {
            let index = Index::open_in_dir(path_of(directory, last))?;
            if index.schema() != source.shape.schema {
                return Err(Failure::Index("it has other fields".to_owned()));
            }
            // First of all the lock: what another process is just filling has no payload yet.
            let writing = Self::of(&index, source, lineage, generation)?;
            let payload = index.load_metas()?.payload.unwrap_or_default();
            // Without one nothing was ever committed.
            if payload.is_empty() || payload.starts_with(&writing.payload) {
                Ok(writing)
            } else {
                Err(Failure::Index("it is of another cache".to_owned()))
            }
        });
        match opened {
            Err(Failure::Index(why)) => {
                tracing::info!(why, path = %directory.display(), "the text index is made anew");
                Self::make(directory, source, lineage, generation)
            }
            opened => opened,
        }
    }

    /// Makes an empty index, and removes all others.
    ///
    /// # Errors
    /// `Index` if none can be made.
    pub(super) fn make(
        directory: &Path,
        source: &Arc<Source>,
        lineage: &str,
        generation: u64,
    ) -> Outcome<Self> {
        // Always under a new name: merges of one that was given up may still write into theirs.
        let others = numbers(directory)?;
        let path = path_of(directory, others.iter().max().map_or(0, |last| last + 1));
        fs::create_dir_all(&path)?;
        for other in others {
            // What stays only takes room; the next time tries again.
            let _ = fs::remove_dir_all(path_of(directory, other));
        }
        let index = Index::create_in_dir(&path, source.shape.schema.clone())?;
        Self::of(&index, source, lineage, generation)
    }

    fn of(index: &Index, source: &Arc<Source>, lineage: &str, generation: u64) -> Outcome<Self> {
        register(index);
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(MEMORY)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        let writer = index.writer_with_options(options)?;
        let reader = index.reader_builder();
        let reader: IndexReader = reader.reload_policy(ReloadPolicy::Manual).try_into()?;
        let shape = &source.shape;
        let totals: Totals = shape.types.iter().map(|f| vec![0; f.len()]).collect();
        let searcher = reader.searcher();
        let committed = Committed::open(shape, generation, searcher, totals.clone(), None)?;
        Ok(Self {
            writer,
            reader,
            committed: Arc::new(committed),
            payload: shape.payload(lineage),
            source: Arc::clone(source),
            totals,
            fresh: HashMap::new(),
            gone: HashSet::new(),
            next_ordinal: 0,
            changes: 0,
        })
    }

    /// Reads all of the index.
    ///
    /// # Errors
    /// `Index` if a checksum is wrong.
    pub(super) fn verify(&self) -> Outcome<()> {
        let mut damaged = self.writer.index().validate_checksum()?.into_iter();
        match damaged.next() {
            None => Ok(()),
            Some(file) => Err(Failure::Index(format!(
                "the checksum of {} is wrong",
                file.display()
            ))),
        }
    }

    /// Brings the index into line with a state, whatever it has: what is not of the state goes,
    /// what it lacks comes. Ends early, with `false`, when told to.
    ///
    /// # Errors
    /// `Index` if it is damaged; `Told` if an object cannot be read.
    pub(super) fn align(&mut self, state: &State, stop: impl Fn() -> bool) -> Outcome<bool> {
        let committed = Arc::clone(&self.committed);
        let mut have = Vec::new();
        committed.each(|ordinal, type_id, was, at| {
            let known = usize::try_from(type_id)
                .ok()
                .filter(|id| *id < state.types.len() && self.source.shape.has(*id))
                .and_then(|id| Some((id, state.types[id].ordinals.get(&ordinal)?)))
                // A process that died may have given its last ordinals to other versions.
                .filter(|(_, held)| content(held) == was);
            let Some((type_id, _)) = known else {
                self.delete(ordinal);
                return Ok(());
            };
            have.push(ordinal);
            for (total, slots) in self.totals[type_id]
                .iter_mut()
                .zip(committed.lengths(type_id, at))
            {
                *total += slots;
            }
            Ok(())
        })?;
        have.sort_unstable();
        if have.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Failure::Index("a version is in it twice".to_owned()));
        }
        for (type_id, objects) in state.types.iter().enumerate() {
            if !self.source.shape.has(type_id) {
                continue;
            }
            for (ordinal, held) in &objects.ordinals {
                if have.binary_search(ordinal).is_err() {
                    if stop() {
                        return Ok(false);
                    }
                    self.add(type_id, held)?;
                }
            }
        }
        Ok(true)
    }

    /// Takes a change in; a version that `newest` no longer has is not worth it.
    ///
    /// # Errors
    /// As [`Self::align`].
    pub(super) fn apply(&mut self, step: &Step, newest: &State) -> Outcome<()> {
        if !self.source.shape.has(step.type_id) {
            return Ok(());
        }
        if let Some(before) = &step.before {
            self.remove(step.type_id, before.ordinal)?;
        }
        match &step.after {
            Some(after)
                if newest.types[step.type_id]
                    .ordinals
                    .contains_key(&after.ordinal) =>
            {
                self.add(step.type_id, after)
            }
            _ => Ok(()),
        }
    }

    /// How many changes wait for a commit.
    pub(super) fn changes(&self) -> usize {
        self.changes
    }

    /// Commits what waits, and gives what is there then: exactly the objects of `state`, through
    /// which everything was taken in.
    ///
    /// # Errors
    /// `Index` if it could not be written, or does not hold what it should.
    pub(super) fn commit(&mut self, state: &State) -> Outcome<Arc<Committed>> {
        if self.changes > 0 {
            self.write(state.seq)?;
        } else if self.committed.totals != self.totals {
            let searcher = self.reader.searcher();
            self.reopen(searcher)?;
        }
        self.next_ordinal = state.next_ordinal;
        let types = state.types.iter().enumerate();
        let expected: usize = types
            .filter(|(type_id, _)| self.source.shape.has(*type_id))
            .map(|(_, objects)| objects.ordinals.len())
            .sum();
        let found = self.committed.count();
        if found != expected as u64 {
            let what = format!("it holds {found} objects instead of {expected}");
            return Err(Failure::Index(what));
        }
        Ok(Arc::clone(&self.committed))
    }

    /// Commits what waits, however much of it there is, and ends merges.
    ///
    /// # Errors
    /// `Index` if it could not be written.
    pub(super) fn close(mut self, seq: u64) -> Outcome<()> {
        if self.changes > 0 {
            self.write(seq)?;
        }
        Ok(self.writer.wait_merging_threads()?)
    }

    fn write(&mut self, seq: u64) -> Outcome<()> {
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(&format!("{}{seq}", self.payload));
        commit.commit()?;
        self.reader.reload()?;
        self.reopen(self.reader.searcher())?;
        self.fresh.clear();
        self.gone.clear();
        self.changes = 0;
        Ok(())
    }

    fn reopen(&mut self, searcher: tantivy::Searcher) -> Outcome<()> {
        let before = &self.committed;
        self.committed = Arc::new(Committed::open(
            &self.source.shape,
            before.generation,
            searcher,
            self.totals.clone(),
            Some(before),
        )?);
        Ok(())
    }

    fn add(&mut self, type_id: TypeId, held: &Held) -> Outcome<()> {
        let Source {
            schema,
            shape,
            bodies,
        } = &*self.source;
        let words = Document::of(&schema.types[type_id], &bodies.join(held)?);
        self.writer
            .add_document(shape.document(type_id, held, &words))?;
        let lengths = words.fields().iter().map(|f| f.slots().len() as u64);
        let lengths: Box<[u64]> = lengths.collect();
        for (total, slots) in self.totals[type_id].iter_mut().zip(&lengths) {
            *total += slots;
        }
        self.fresh.insert(held.ordinal, lengths);
        self.changes += 1;
        Ok(())
    }

    fn remove(&mut self, type_id: TypeId, ordinal: u64) -> Outcome<()> {
        let lengths = match self.fresh.remove(&ordinal) {
            Some(lengths) => lengths,
            // It came and went without having been worth it.
            None if ordinal >= self.next_ordinal => return Ok(()),
            None => {
                let at = self.committed.find(ordinal)?;
                let at = at.filter(|_| self.gone.insert(ordinal));
                let at = at.ok_or_else(|| Failure::Index(format!("{ordinal} is not in it")))?;
                self.committed.lengths(type_id, at).collect()
            }
        };
        for (total, slots) in self.totals[type_id].iter_mut().zip(&lengths) {
            *total = total
                .checked_sub(*slots)
                .ok_or_else(|| Failure::Index("lengths do not add up".to_owned()))?;
        }
        self.delete(ordinal);
        Ok(())
    }

    fn delete(&mut self, ordinal: u64) {
        let term = Term::from_field_u64(self.source.shape.ordinal, ordinal);
        self.writer.delete_term(term);
        self.changes += 1;
    }
}

/// Looks for files of the index in a directory whose checksum is wrong. Reads all of it.
///
/// # Errors
/// `Index` if it cannot be read at all.
pub(super) fn damaged(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let Some(last) = numbers(directory)?.into_iter().max() else {
        return Ok(Vec::new());
    };
    let path = path_of(directory, last);
    caught(|| {
        let files = Index::open_in_dir(&path)?.validate_checksum()?;
        let mut files: Vec<PathBuf> = files.into_iter().map(|file| path.join(file)).collect();
        files.sort();
        Ok(files)
    })
}

fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("index-{number}"))
}

/// The numbers of the indexes in a directory.
fn numbers(directory: &Path) -> Outcome<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("index-"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    Ok(numbers)
}
