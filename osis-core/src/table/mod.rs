//! Objects of one type in memory, with what they are found by: for engines that answer filters,
//! sorts and keys from memory.
//!
//! A [`Table`] is a value: copying it is cheap, and copies share whatever is the same in both. So
//! a snapshot is a copy, and a write beside it copies a few nodes of each index.
//!
//! - `index` is one ordered index, `keys` a look-up by what no ordered index serves;
//! - `plan` finds the indexes that serve a filter or an order; what they yield is always held
//!   against the filter itself, which alone says what is meant;
//! - `rolled_up` keeps the roll-up of a log type in step with its objects;
//! - `clock` is the time limit of a read.

mod clock;
mod index;
mod keys;
mod plan;
mod rolled_up;

#[cfg(test)]
mod looked;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub use clock::Clock;

use crate::backend::Related;
use crate::error::Result;
use crate::object::{Id, Row};
use crate::query::aggregate::{Aggregate, Group, Groups};
use crate::query::{Filter, Sort};
use crate::schema::{Column, FieldKind, KeyId, Type};
use crate::value::Value;
use index::{Index, Span};
use keys::ByHash;
use rolled_up::RolledUp;

/// The least number of records among which [`first`] chooses at once.
const CHOICE_MIN: usize = 1024;

/// Fewer records than these are put in by one thread: further ones would cost more than they save.
/// Tests should not need that many.
const FILL_ALONE: usize = if cfg!(test) { 8 } else { 4096 };

/// What an engine holds of an object.
pub trait Record: 'static {
    /// The object, at least with all that is filtered, sorted or part of a key.
    fn row(&self) -> &Row;
}

/// The objects of one type, by id and by all that its schema indexes.
///
/// An index is kept of each field that is indexed, unique, a ref, the first of a composite key or
/// index, or the time of a log; of a list field, by its items. What is fixed when the table is
/// made comes from the type; an object put in must be of the same.
///
/// Of an object that was taken out or replaced, the indexes may hold a reference for some time
/// longer: at most one for every few objects that there are.
pub struct Table<R> {
    /// The index of ids first.
    indexes: Box<[Index<R>]>,
    keys: Box<[ByKey<R>]>,
    /// What is kept of a log type that is rolled up.
    rollup: Option<RolledUp>,
}

/// How the values of a key are looked up.
enum ByKey<R> {
    /// By an index, at this place.
    Index(usize),
    /// By their hash.
    Hash(ByHash<R>),
}

// Derived, these would ask that records can be cloned.
impl<R> Clone for ByKey<R> {
    fn clone(&self) -> Self {
        match self {
            Self::Index(index) => Self::Index(*index),
            Self::Hash(hash) => Self::Hash(hash.clone()),
        }
    }
}

impl<R> Clone for Table<R> {
    fn clone(&self) -> Self {
        Self {
            indexes: self.indexes.clone(),
            keys: self.keys.clone(),
            rollup: self.rollup.clone(),
        }
    }
}

impl<R: Record> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// What is filled by itself.
enum Part<'a, R> {
    Index(&'a mut Index<R>),
    Hash(&'a mut ByHash<R>),
}

impl<R: Record> Part<'_, R> {
    fn put(&mut self, record: &Arc<R>) {
        match self {
            Self::Index(index) => index.put(None, record),
            Self::Hash(hash) => hash.put(None, record),
        }
    }
}

/// The columns of a type that have an index, and whether it is one of items.
fn indexed(ty: &Type) -> Vec<(Column, bool)> {
    let fields = ty.fields.iter().enumerate().filter(|(_, field)| {
        field.index || field.unique.is_some() || matches!(field.kind, FieldKind::Ref { .. })
    });
    let fields = fields.map(|(field, _)| Column::Field(field));
    let keys = ty.keys.iter().filter_map(|key| key.fields.first());
    let keys = keys.map(|field| Column::Field(*field));
    let composite = ty.indexes.iter().filter_map(|columns| columns.first());
    let composite = composite.map(|(column, _)| *column);
    let time = ty.log().map(|log| Column::Field(log.time));
    let columns = fields.chain(keys).chain(composite).chain(time);
    let mut chosen = vec![(Column::Id, false)];
    for column in columns {
        let is_list = matches!(ty.column_kind(column), FieldKind::List(_));
        if !chosen.contains(&(column, is_list)) {
            chosen.push((column, is_list));
        }
    }
    chosen
}

impl<R: Record> Table<R> {
    /// An empty table for objects of a type.
    pub fn new(ty: &Type) -> Self {
        let indexes: Box<[Index<R>]> = indexed(ty)
            .into_iter()
            .map(|(column, by_item)| Index::new(column, by_item))
            .collect();
        let keys = ty.keys.iter().map(|key| {
            let exact = match key.fields.as_slice() {
                [field] if !key.fold => Some(Column::Field(*field)),
                _ => None,
            };
            let index =
                exact.and_then(|column| indexes.iter().position(|i| i.serves(column, false)));
            index.map_or_else(|| ByKey::Hash(ByHash::new(key)), ByKey::Index)
        });
        let keys = keys.collect();
        let rollup = RolledUp::new(ty);
        Self {
            indexes,
            keys,
            rollup,
        }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.by_id().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object with an id.
    pub fn get(&self, id: &Id) -> Option<&Arc<R>> {
        self.by_id().with_id(id.as_str())
    }

    /// All objects, in the order of their ids.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<R>> {
        self.by_id().all()
    }

    /// Puts an object in. One with the same id goes and is given back.
    #[expect(clippy::needless_pass_by_value, reason = "the table keeps it")]
    pub fn insert(&mut self, record: Arc<R>) -> Option<Arc<R>> {
        let before = self.get(&record.row().id).cloned();
        for index in &mut self.indexes {
            index.put(before.as_ref(), &record);
        }
        for key in &mut self.keys {
            if let ByKey::Hash(hash) = key {
                hash.put(before.as_ref(), &record);
            }
        }
        self.roll_up(before.as_deref(), Some(&record));
        before
    }

    /// Puts objects in, as [`Self::insert`] does with each. Of none of their ids there may be one in
    /// the table, nor two among them. Where they are many, several threads share the indexes out.
    pub fn fill(&mut self, records: &[Arc<R>])
    where
        R: Send + Sync,
    {
        debug_assert!(
            records
                .iter()
                .all(|record| self.get(&record.row().id).is_none())
        );
        let keys = self.keys.iter_mut().filter_map(|key| match key {
            ByKey::Hash(hash) => Some(Part::Hash(hash)),
            ByKey::Index(_) => None,
        });
        let parts: Vec<Part<'_, R>> = self
            .indexes
            .iter_mut()
            .map(Part::Index)
            .chain(keys)
            .collect();
        let threads = match records.len() < FILL_ALONE {
            true => 1,
            false => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let threads = threads.min(parts.len());
        let parts = Mutex::new(parts.into_iter());
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            while let Some(mut part) = next() {
                records.iter().for_each(|record| part.put(record));
            }
        };
        if let Some(rollup) = &mut self.rollup {
            rollup.fill(records);
        }
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // Without it the others have more to do.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    /// Takes the object with an id out and gives it back.
    pub fn remove(&mut self, id: &Id) -> Option<Arc<R>> {
        let record = self.get(id).cloned()?;
        for index in &mut self.indexes {
            index.remove(&record);
        }
        for key in &mut self.keys {
            if let ByKey::Hash(hash) = key {
                hash.remove(&record);
            }
        }
        self.roll_up(Some(&record), None);
        Some(record)
    }

    /// The object with these values of a key, in the form that [`crate::schema::Key::normalise`]
    /// makes.
    pub fn by_key(&self, key: KeyId, values: &[Value]) -> Option<&Arc<R>> {
        match (&self.keys[key], values) {
            (ByKey::Hash(hash), _) => hash.get(values),
            // Nulls never clash, so none is anybody's.
            (ByKey::Index(index), [value]) if !value.is_null() => {
                let span = Span::of(Cow::Borrowed(value));
                self.indexes[*index].range(&span).next()
            }
            (ByKey::Index(_), _) => None,
        }
    }

    /// The objects whose ref field holds an id, in the order of their ids.
    pub fn holders(&self, field: usize, id: &str) -> impl Iterator<Item = &Arc<R>> {
        let index = self.index(Column::Field(field), false);
        let span = Span::of(Cow::Owned(Value::from(id)));
        index.into_iter().flat_map(move |index| index.range(&span))
    }

    /// The objects that a filter means, in no order; found by an index where one serves.
    pub fn matching<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Arc<R>> {
        let found = self.candidates(filter);
        found.filter(|record| filter.matches(record.row()))
    }

    /// Objects among which are all with these values, in the order of their ids: those that have
    /// the value of one of the indexed fields.
    pub fn alike<'a>(&'a self, values: &'a [Value]) -> impl Iterator<Item = &'a Arc<R>> {
        plan::sharing(&self.indexes, values).unwrap_or_else(|| Box::new(self.by_id().all()))
    }

    /// The first objects that a filter means, in an order, behind a position of it.
    ///
    /// # Errors
    /// `Unavailable` when the time is over.
    pub fn page(
        &self,
        filter: &Filter,
        sort: &Sort,
        after: Option<&[Value]>,
        limit: usize,
        mut clock: Clock,
    ) -> Result<Vec<Arc<R>>> {
        let (walk, patience) = match self.access(filter, sort, after, limit) {
            plan::Access::Candidates(candidates) => {
                let found = candidates.filter(|record| filter.matches(record.row()));
                return first(found, sort, after, limit, clock);
            }
            plan::Access::InGroups(groups) => {
                let mut page = Vec::new();
                for group in groups {
                    let found = group.filter(|record| filter.matches(record.row()));
                    let wanted = limit - page.len();
                    page.extend(first(found, sort, after, wanted, clock)?);
                    if page.len() == limit {
                        break;
                    }
                }
                return Ok(page);
            }
            plan::Access::InOrder { walk, patience } => (walk, patience),
        };
        let mut page = Vec::new();
        for (looked_at, record) in walk.enumerate() {
            if page.len() == limit {
                break;
            }
            if looked_at == patience
                && let Some(candidates) = self.few_candidates(filter)
            {
                let found = candidates.filter(|record| filter.matches(record.row()));
                return first(found, sort, after, limit, clock);
            }
            clock.tick()?;
            if is_beyond(record.row(), sort, after) && filter.matches(record.row()) {
                page.push(Arc::clone(record));
            }
        }
        Ok(page)
    }

    /// How many objects a filter means.
    ///
    /// # Errors
    /// `Unavailable` when the time is over.
    pub fn count(&self, filter: &Filter, mut clock: Clock) -> Result<u64> {
        if *filter == Filter::EVERY {
            return Ok(self.len() as u64);
        }
        let mut count = 0;
        if let Some(meant) = self.exactly(filter) {
            for _ in meant {
                clock.tick()?;
                count += 1;
            }
            return Ok(count);
        }
        for record in self.candidates(filter) {
            clock.tick()?;
            count += u64::from(filter.matches(record.row()));
        }
        Ok(count)
    }

    /// The groups of an aggregate of this type, in no order.
    ///
    /// # Errors
    /// `Unavailable` when the time is over.
    pub fn groups(&self, ty: &Type, aggregate: &Aggregate, mut clock: Clock) -> Result<Vec<Group>> {
        let columns = aggregate.columns();
        let mut groups = Groups::new(aggregate, ty);
        let mut values = Vec::with_capacity(columns.len());
        for record in self.candidates(&aggregate.filter) {
            clock.tick()?;
            let row = record.row();
            if aggregate.filter.matches(row) {
                values.clear();
                values.extend(columns.iter().map(|column| row.value(*column)));
                groups.add(&values);
            }
        }
        Ok(groups.finish())
    }

    /// For each of some ids, the first objects whose ref field holds it.
    ///
    /// # Errors
    /// `Unavailable` when the time is over.
    pub fn related(&self, related: &Related, ids: &[Id], clock: Clock) -> Result<Vec<Vec<Arc<R>>>> {
        let lists = ids.iter().map(|id| {
            clock.check()?;
            let holders = self.holders(related.via, id.as_str());
            let found = holders.filter(|record| related.filter.matches(record.row()));
            first(found, &related.sort, None, related.limit, clock)
        });
        lists.collect()
    }

    fn by_id(&self) -> &Index<R> {
        // `new` makes it.
        &self.indexes[0]
    }
}

/// The first of some records, in an order, behind a position of it: without sorting all of them.
///
/// # Errors
/// `Unavailable` when the time is over.
pub fn first<'a, R: Record>(
    records: impl IntoIterator<Item = &'a Arc<R>>,
    sort: &Sort,
    after: Option<&[Value]>,
    limit: usize,
    mut clock: Clock,
) -> Result<Vec<Arc<R>>> {
    let mut chosen: Vec<&'a Arc<R>> = Vec::new();
    let order = |a: &&Arc<R>, b: &&Arc<R>| sort.compare(a.row(), b.row());
    let most = limit.saturating_mul(2).max(CHOICE_MIN);
    // The last that was chosen: nothing behind it matters.
    let mut last: Option<&'a Arc<R>> = None;
    for record in records {
        clock.tick()?;
        if !is_beyond(record.row(), sort, after)
            || last.is_some_and(|last| order(&record, &last).is_gt())
        {
            continue;
        }
        chosen.push(record);
        if chosen.len() >= most && limit > 0 {
            chosen.select_nth_unstable_by(limit - 1, order);
            chosen.truncate(limit);
            last = chosen.last().copied();
        }
    }
    chosen.sort_unstable_by(order);
    chosen.truncate(limit);
    Ok(chosen.into_iter().cloned().collect())
}

/// Whether an object comes behind a position.
fn is_beyond(row: &Row, sort: &Sort, after: Option<&[Value]>) -> bool {
    after.is_none_or(|after| sort.compare_to(row, after).is_gt())
}
