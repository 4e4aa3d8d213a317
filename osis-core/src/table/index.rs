//! One ordered index: records in the order of their values in a column, then of their ids.
//!
//! An entry is a reference to its record and says where the value is in it, so that an index
//! copies no value and finding a record by it needs no second look-up.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use equivalent::{Comparable, Equivalent};
use imbl::OrdSet;
use imbl::ordset::RangedIter;
use imbl::shared_ptr::DefaultSharedPtr;

use super::Record;
use crate::object::Row;
use crate::schema::{Column, Direction};
use crate::value::Value;

/// One ordered index.
pub(super) struct Index<R> {
    column: Column,
    /// Whether each item of a list has an entry, rather than the value as a whole.
    by_item: bool,
    entries: OrdSet<Entry<R>>,
}

// Derived, it would ask that records can be cloned.
impl<R> Clone for Index<R> {
    fn clone(&self) -> Self {
        Self {
            column: self.column,
            by_item: self.by_item,
            entries: self.entries.clone(),
        }
    }
}

impl<R: Record> Index<R> {
    /// An empty index of a column.
    pub(super) fn new(column: Column, by_item: bool) -> Self {
        Self {
            column,
            by_item,
            entries: OrdSet::new(),
        }
    }

    /// What it orders by.
    pub(super) fn column(&self) -> Column {
        self.column
    }

    /// Whether it serves this column, by item or by whole value.
    pub(super) fn serves(&self, column: Column, by_item: bool) -> bool {
        (self.column, self.by_item) == (column, by_item)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Puts a record in, in the place of one with the same id.
    pub(super) fn put(&mut self, before: Option<&Arc<R>>, record: &Arc<R>) {
        if let Some(before) = before {
            let same = || before.row().order(self.column, record.row()).is_eq();
            // An equal entry is replaced.
            if self.by_item || !same() {
                self.remove(before);
            }
        }
        for place in self.places(record) {
            let record = Arc::clone(record);
            self.entries.insert(Entry { record, place });
        }
    }

    /// Takes a record out.
    pub(super) fn remove(&mut self, record: &Arc<R>) {
        for place in self.places(record) {
            let record = Arc::clone(record);
            self.entries.remove(&Entry { record, place });
        }
    }

    /// Where in a record the values of its entries are.
    fn places(&self, record: &Arc<R>) -> impl Iterator<Item = Place> + use<R> {
        let whole = Place::of(self.column);
        let items = match self.column {
            Column::Field(field) if self.by_item => record.row().values[field].items().len(),
            _ => 0,
        };
        let items = (0..Place::WHOLE).take(items);
        let items = items.map(move |item| Place { item, ..whole });
        (!self.by_item).then_some(whole).into_iter().chain(items)
    }

    /// The record with an id, from the index of ids.
    pub(super) fn with_id(&self, id: &str) -> Option<&Arc<R>> {
        self.entries.get(&ById(id)).map(|entry| &entry.record)
    }

    /// The records of all entries, in their order.
    pub(super) fn all(&self) -> Records<'_, R> {
        self.range(&Span::default())
    }

    /// The records of a stretch, in their order.
    pub(super) fn range(&self, span: &Span<'_>) -> Records<'_, R> {
        let bound = |edge| match edge {
            Some(edge) => Bound::Excluded(edge),
            None => Bound::Unbounded,
        };
        let bounds = (bound(span.low.as_ref()), bound(span.high.as_ref()));
        Records(self.entries.range::<_, Edge<'_>>(bounds))
    }
}

/// Records of an index.
pub(super) struct Records<'a, R>(RangedIter<'a, Entry<R>, DefaultSharedPtr>);

impl<'a, R: Record> Iterator for Records<'a, R> {
    type Item = &'a Arc<R>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|entry| &entry.record)
    }
}

impl<R: Record> DoubleEndedIterator for Records<'_, R> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|entry| &entry.record)
    }
}

/// A record in an index. Sixteen bytes, since there are as many as values.
struct Entry<R> {
    record: Arc<R>,
    place: Place,
}

/// Where in a record a value is.
#[derive(Clone, Copy)]
struct Place {
    /// The column; system columns first.
    column: u32,
    /// The item of a list, or [`Self::WHOLE`].
    item: u32,
}

impl Place {
    const WHOLE: u32 = u32::MAX;
    const SYSTEM: [Column; 4] = [
        Column::Id,
        Column::Rev,
        Column::CreatedAt,
        Column::UpdatedAt,
    ];

    fn of(column: Column) -> Self {
        let column = match column {
            Column::Field(field) => field + Self::SYSTEM.len(),
            Column::Id => 0,
            Column::Rev => 1,
            Column::CreatedAt => 2,
            Column::UpdatedAt => 3,
        };
        Self {
            // No type has that many fields.
            column: u32::try_from(column).unwrap_or(u32::MAX),
            item: Self::WHOLE,
        }
    }

    fn column(self) -> Column {
        let column = self.column as usize;
        match Self::SYSTEM.get(column) {
            Some(system) => *system,
            None => Column::Field(column - Self::SYSTEM.len()),
        }
    }

    /// The value of a field there.
    fn part(self, row: &Row, field: usize) -> &Value {
        let value = &row.values[field];
        match self.item {
            Self::WHOLE => value,
            item => &value.items()[item as usize],
        }
    }
}

impl<R: Record> Entry<R> {
    fn order_against(&self, value: &Value) -> Ordering {
        let row = self.record.row();
        match self.place.column() {
            Column::Field(field) => self.place.part(row, field).order(value),
            system => row.order_against(system, value),
        }
    }
}

impl<R> Clone for Entry<R> {
    fn clone(&self) -> Self {
        Self {
            record: Arc::clone(&self.record),
            place: self.place,
        }
    }
}

impl<R: Record> Ord for Entry<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (own, others) = (self.record.row(), other.record.row());
        let by_value = match self.place.column() {
            Column::Id => Ordering::Equal,
            Column::Field(field) => {
                let part = other.place.part(others, field);
                self.place.part(own, field).order(part)
            }
            system => own.order(system, others),
        };
        by_value.then_with(|| own.id.cmp(&others.id))
    }
}

impl<R: Record> PartialOrd for Entry<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Record> PartialEq for Entry<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R: Record> Eq for Entry<R> {}

/// Looks an entry of the index of ids up.
struct ById<'a>(&'a str);

impl<R: Record> Equivalent<Entry<R>> for ById<'_> {
    fn equivalent(&self, entry: &Entry<R>) -> bool {
        self.compare(entry).is_eq()
    }
}

impl<R: Record> Comparable<Entry<R>> for ById<'_> {
    fn compare(&self, entry: &Entry<R>) -> Ordering {
        self.0.cmp(entry.record.row().id.as_str())
    }
}

/// A stretch of an index: what lies between two edges.
#[derive(Debug, Clone, Default)]
pub(super) struct Span<'a> {
    /// Its low end, or none.
    pub(super) low: Option<Edge<'a>>,
    /// Its high end, or none.
    pub(super) high: Option<Edge<'a>>,
}

impl<'a> Span<'a> {
    /// All entries of one value.
    pub(super) fn of(value: Cow<'a, Value>) -> Self {
        Self {
            low: Some(Edge::new(value.clone(), Tie::Below)),
            high: Some(Edge::new(value, Tie::Above)),
        }
    }

    /// What lies in both.
    #[must_use]
    pub(super) fn meet(self, other: Self) -> Self {
        let low = self.low.into_iter().chain(other.low);
        let high = self.high.into_iter().chain(other.high);
        Self {
            low: low.max_by(Edge::order),
            high: high.min_by(Edge::order),
        }
    }

    /// Only what comes behind an edge, in a direction.
    #[must_use]
    pub(super) fn from(self, direction: Direction, edge: Option<Edge<'a>>) -> Self {
        self.meet(match direction {
            Direction::Ascending => Self {
                low: edge,
                high: None,
            },
            Direction::Descending => Self {
                low: None,
                high: edge,
            },
        })
    }
}

/// Where a stretch of an index ends; never an entry of it.
#[derive(Debug, Clone)]
pub(super) struct Edge<'a> {
    value: Cow<'a, Value>,
    tie: Tie<'a>,
}

/// Where an edge lies among the entries of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tie<'a> {
    /// Below all.
    Below,
    /// At the one with this id.
    At(&'a str),
    /// Above all.
    Above,
}

impl<'a> Edge<'a> {
    /// An edge at a value.
    pub(super) fn new(value: Cow<'a, Value>, tie: Tie<'a>) -> Self {
        Self { value, tie }
    }

    fn order(&self, other: &Self) -> Ordering {
        let by_value = self.value.order(&other.value);
        by_value.then_with(|| self.tie.cmp(&other.tie))
    }
}

impl<R: Record> Equivalent<Entry<R>> for Edge<'_> {
    fn equivalent(&self, entry: &Entry<R>) -> bool {
        self.compare(entry).is_eq()
    }
}

impl<R: Record> Comparable<Entry<R>> for Edge<'_> {
    fn compare(&self, entry: &Entry<R>) -> Ordering {
        let by_value = entry.order_against(&self.value).reverse();
        by_value.then_with(|| match self.tie {
            Tie::Below => Ordering::Less,
            Tie::At(id) => id.cmp(entry.record.row().id.as_str()),
            Tie::Above => Ordering::Greater,
        })
    }
}
