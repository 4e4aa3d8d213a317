//! Which indexes serve a filter and an order.
//!
//! An index serves a test that every object meant must pass: one that stands alone or in an `All`.
//! Of several, the one with the fewest entries is found by walking all of them at once until one
//! ends. A sort is served by the index of its first column, of which only so much is walked as the
//! page needs; where more columns follow, value by value.

use std::borrow::Cow;
use std::sync::Arc;

use super::index::{Edge, Index, Span, Tie};
use super::{Record, Table};
use crate::query::{Filter, Sort, Test};
use crate::schema::{Column, Direction};
use crate::value::Value;

/// Records, one after another.
type Walk<'a, R> = Box<dyn Iterator<Item = &'a Arc<R>> + 'a>;

/// How the objects of a page are found.
pub(super) enum Access<'a, R> {
    /// Among these, in no order, are all.
    Candidates(Walk<'a, R>),
    /// Among these are all, in the order of the page.
    InOrder {
        /// They.
        walk: Walk<'a, R>,
        /// After how many of them fewer were found than there should be: what passes the filter
        /// may lie at the end.
        patience: usize,
    },
    /// All are in these groups, each in no order; what is in one comes before what is in the next.
    InGroups(Box<dyn Iterator<Item = Walk<'a, R>> + 'a>),
}

/// Stretches of an index that hold whatever passes a test, each object once.
struct Path<'a, R> {
    index: &'a Index<R>,
    spans: Vec<Span<'a>>,
    /// The value, if the test asks for one: then the ids are in order.
    one: Option<&'a Value>,
}

impl<'a, R: Record> Path<'a, R> {
    fn walk(&self) -> impl Iterator<Item = &'a Arc<R>> {
        self.spans.iter().flat_map(|span| self.index.range(span))
    }

    fn into_walk(self) -> impl Iterator<Item = &'a Arc<R>> {
        let spans = self.spans.into_iter();
        spans.flat_map(move |span| self.index.range(&span))
    }
}

/// A column of a sort, with the value that the page goes on from.
struct Step<'a> {
    column: Column,
    direction: Direction,
    after: Option<&'a Value>,
}

impl<R: Record> Table<R> {
    /// The index of a column, by item or by whole value.
    pub(super) fn index(&self, column: Column, by_item: bool) -> Option<&Index<R>> {
        self.indexes
            .iter()
            .find(|index| index.serves(column, by_item))
    }

    /// Records among which are all that a filter means.
    pub(super) fn candidates<'a>(&'a self, filter: &'a Filter) -> Walk<'a, R> {
        match narrowest(self.paths(filter), usize::MAX) {
            Some(path) => Box::new(path.into_walk()),
            None => Box::new(self.by_id().all()),
        }
    }

    /// How the first objects that a filter means are found, in an order.
    pub(super) fn access<'a>(
        &'a self,
        filter: &'a Filter,
        sort: &'a Sort,
        after: Option<&'a [Value]>,
        limit: usize,
    ) -> Access<'a, R> {
        let walk = self.in_order(filter, sort, after);
        let groups = match walk {
            None => self.in_groups(filter, sort, after),
            Some(_) => None,
        };
        if walk.is_none() && groups.is_none() {
            return Access::Candidates(self.candidates(filter));
        }
        // If c of n objects pass a test, a walk in order looks at about limit * n / c of them
        // before it ends: candidates are better where they are fewer than that.
        let few = limit.saturating_mul(self.len()).isqrt();
        match (narrowest(self.paths(filter), few), walk, groups) {
            (None, Some(walk), _) => Access::InOrder {
                walk,
                patience: few.saturating_mul(4),
            },
            (None, None, Some(groups)) => Access::InGroups(groups),
            (path, ..) => match path {
                Some(path) => Access::Candidates(Box::new(path.into_walk())),
                None => Access::Candidates(self.candidates(filter)),
            },
        }
    }

    /// As [`Self::candidates`], if they are few beside all.
    pub(super) fn few_candidates<'a>(&'a self, filter: &'a Filter) -> Option<Walk<'a, R>> {
        let path = narrowest(self.paths(filter), self.len() / 4)?;
        Some(Box::new(path.into_walk()))
    }

    /// The records that a filter means and no others, where an index has just these.
    pub(super) fn exactly<'a>(&'a self, filter: &'a Filter) -> Option<Walk<'a, R>> {
        match filter {
            Filter::All(parts) => match parts.as_slice() {
                [part] => self.exactly(part),
                _ => None,
            },
            Filter::Column(_, Test::Eq(_) | Test::In(_) | Test::Has(_) | Test::Exists(_)) => {
                Some(Box::new(self.paths(filter).pop()?.into_walk()))
            }
            _ => None,
        }
    }

    /// The ways to what a filter means.
    fn paths<'a>(&'a self, filter: &'a Filter) -> Vec<Path<'a, R>> {
        let path = |(column, test): (Column, &'a Test)| {
            let index = self.index(column, matches!(test, Test::Has(_)))?;
            let value = |value: &'a Value| Span::of(Cow::Borrowed(value));
            let (spans, one) = match test {
                Test::Eq(one) | Test::Has(one) => (vec![value(one)], Some(one)),
                Test::In(values) => {
                    let mut values: Vec<&Value> = values.iter().collect();
                    values.sort_unstable_by(|a, b| a.order(b));
                    values.dedup();
                    (values.into_iter().map(value).collect(), None)
                }
                _ => (vec![bounds(filter, column)], None),
            };
            Some(Path { index, spans, one })
        };
        required(filter).into_iter().filter_map(path).collect()
    }

    /// A walk in an order, if an index has it; it begins behind a position or before.
    fn in_order<'a>(
        &'a self,
        filter: &'a Filter,
        sort: &Sort,
        after: Option<&'a [Value]>,
    ) -> Option<Walk<'a, R>> {
        let steps = steps(filter, sort, after);
        let (by_column, by_id) = match steps.as_slice() {
            [by_id] => (by_id, by_id),
            [by_column, by_id] => (by_column, by_id),
            _ => return None,
        };
        // Entries of one value are in the order of their ids.
        let mut paths = self.paths(filter).into_iter();
        let one = paths.find_map(|path| Some((path.index, path.one?)));
        if let (Some((index, value)), 1) = (one, steps.len()) {
            let span = Span::of(Cow::Borrowed(value));
            let start = by_id.after.and_then(Value::as_str);
            let start = start.map(|id| Edge::new(Cow::Borrowed(value), Tie::At(id)));
            return Some(index.walk(&span.from(by_id.direction, start), by_id.direction));
        }
        let index = self.index(by_column.column, false)?;
        let span = bounds(filter, by_column.column);
        let start = by_column.after.zip(by_id.after.and_then(Value::as_str));
        if by_column.direction != by_id.direction {
            return Some(value_by_value(index, span, start, by_column.direction));
        }
        let start = start.map(|(value, id)| Edge::new(Cow::Borrowed(value), Tie::At(id)));
        Some(index.walk(&span.from(by_id.direction, start), by_id.direction))
    }
}

impl<R: Record> Table<R> {
    /// Groups of the same value of a sort's first column, in its order, if an index has them; the
    /// first is that of a position.
    fn in_groups<'a>(
        &'a self,
        filter: &'a Filter,
        sort: &Sort,
        after: Option<&'a [Value]>,
    ) -> Option<Box<dyn Iterator<Item = Walk<'a, R>> + 'a>> {
        let steps = steps(filter, sort, after);
        let step = steps.first()?;
        let index = self.index(step.column, false)?;
        let direction = step.direction;
        let (near, far) = ties(direction);
        let first = step
            .after
            .map(|value| Edge::new(Cow::Borrowed(value), near));
        let mut span = bounds(filter, step.column).from(direction, first);
        Some(Box::new(std::iter::from_fn(move || {
            let value = index
                .walk(&span, direction)
                .next()?
                .row()
                .value(index.column());
            let behind = Edge::new(Cow::Owned(value.clone()), far);
            span = std::mem::take(&mut span).from(direction, Some(behind));
            let group = Span::of(Cow::Owned(value));
            Some(Box::new(index.range(&group)) as Walk<'a, R>)
        })))
    }
}

/// Where a value's entries begin and end for who walks in a direction.
fn ties(direction: Direction) -> (Tie<'static>, Tie<'static>) {
    match direction {
        Direction::Ascending => (Tie::Below, Tie::Above),
        Direction::Descending => (Tie::Above, Tie::Below),
    }
}

/// The records that share one of some values with an object of these, by the index where fewest do;
/// nothing if no index has any of them as a whole.
pub(super) fn sharing<'a, R: Record>(
    indexes: &'a [Index<R>],
    values: &'a [Value],
) -> Option<Walk<'a, R>> {
    let path = |index: &'a Index<R>| match index.column() {
        Column::Field(field) if index.serves(Column::Field(field), false) => Some(Path {
            index,
            spans: vec![Span::of(Cow::Borrowed(&values[field]))],
            one: Some(&values[field]),
        }),
        _ => None,
    };
    let path = narrowest(indexes.iter().filter_map(path).collect(), usize::MAX)?;
    Some(Box::new(path.into_walk()))
}

impl<R: Record> Index<R> {
    /// The records of a stretch, in its order or the other way.
    fn walk(&self, span: &Span<'_>, direction: Direction) -> Walk<'_, R> {
        match direction {
            Direction::Ascending => Box::new(self.range(span)),
            Direction::Descending => Box::new(self.range(span).rev()),
        }
    }
}

/// Walks a stretch in the order of its values, and within each value in the other order of ids.
fn value_by_value<'a, R: Record>(
    index: &'a Index<R>,
    mut span: Span<'a>,
    start: Option<(&'a Value, &'a str)>,
    direction: Direction,
) -> Walk<'a, R> {
    let (near, far) = ties(direction);
    let first = start.map(|(value, _)| Edge::new(Cow::Borrowed(value), near));
    span = span.from(direction, first);
    let groups = std::iter::from_fn(move || {
        let next = index.walk(&span, direction).next()?;
        let value = next.row().value(index.column());
        let behind = Edge::new(Cow::Owned(value.clone()), far);
        span = std::mem::take(&mut span).from(direction, Some(behind));
        let id = start.filter(|(first, _)| **first == value);
        let id = id.map(|(_, id)| Edge::new(Cow::Owned(value.clone()), Tie::At(id)));
        let group = Span::of(Cow::Owned(value)).from(direction.reversed(), id);
        Some(index.walk(&group, direction.reversed()))
    });
    Box::new(groups.flatten())
}

/// The columns of a sort that a filter does not fix.
fn steps<'a>(filter: &'a Filter, sort: &Sort, after: Option<&'a [Value]>) -> Vec<Step<'a>> {
    let tests = required(filter);
    let fixed = |column: Column| {
        tests.iter().find_map(|(own, test)| match test {
            Test::Eq(value) if *own == column && column != Column::Id => Some(value),
            _ => None,
        })
    };
    let mut steps = Vec::new();
    // A position with another value than the filter's tells nothing of where to begin.
    let mut is_aside = false;
    for (n, (column, direction)) in sort.columns().iter().enumerate() {
        let after = after.and_then(|after| after.get(n));
        match fixed(*column) {
            Some(value) => is_aside |= after.is_some_and(|after| after != value),
            None => steps.push(Step {
                column: *column,
                direction: *direction,
                after,
            }),
        }
    }
    if is_aside {
        steps.iter_mut().for_each(|step| step.after = None);
    }
    steps
}

/// The path with the fewest entries, if it has at most so many.
fn narrowest<R: Record>(mut paths: Vec<Path<'_, R>>, most: usize) -> Option<Path<'_, R>> {
    if paths.len() == 1 && most == usize::MAX {
        return paths.pop();
    }
    let mut walks: Vec<_> = paths.iter().map(Path::walk).collect();
    if walks.is_empty() {
        return None;
    }
    for _ in 0..=most {
        if let Some(shortest) = walks.iter_mut().position(|walk| walk.next().is_none()) {
            drop(walks);
            return Some(paths.swap_remove(shortest));
        }
    }
    None
}

/// The tests that every object meant must pass.
fn required(filter: &Filter) -> Vec<(Column, &Test)> {
    fn gather<'a>(filter: &'a Filter, tests: &mut Vec<(Column, &'a Test)>) {
        match filter {
            Filter::All(parts) => parts.iter().for_each(|part| gather(part, tests)),
            Filter::Column(column, test) => tests.push((*column, test)),
            Filter::Any(_) | Filter::Not(_) => {}
        }
    }
    let mut tests = Vec::new();
    gather(filter, &mut tests);
    tests
}

/// What lies between the bounds that a filter sets to a column.
fn bounds(filter: &Filter, column: Column) -> Span<'_> {
    let tests = required(filter).into_iter();
    let own = tests.filter(|(own, _)| *own == column);
    own.fold(Span::default(), |span, (_, test)| span.meet(stretch(test)))
}

/// A stretch of an index of whole values that holds whatever passes a test.
fn stretch(test: &Test) -> Span<'_> {
    let edge = |value, tie| Some(Edge::new(Cow::Borrowed(value), tie));
    // Null is the lowest value, and no bound lets it pass.
    let set = || Some(Edge::new(Cow::Owned(Value::Null), Tie::Above));
    let (low, high) = match test {
        Test::Eq(value) => return Span::of(Cow::Borrowed(value)),
        Test::Exists(false) => return Span::of(Cow::Owned(Value::Null)),
        Test::Exists(true) => (set(), None),
        Test::Gt(bound) => (edge(bound, Tie::Above), None),
        Test::Gte(bound) => (edge(bound, Tie::Below), None),
        Test::Lt(bound) => (set(), edge(bound, Tie::Below)),
        Test::Lte(bound) => (set(), edge(bound, Tie::Above)),
        Test::Prefix(start) => {
            let value = |text: &str| Edge::new(Cow::Owned(Value::from(text)), Tie::Below);
            let end = after_prefix(start);
            (Some(value(start)), end.as_deref().map(value))
        }
        Test::In(_) | Test::Has(_) => (None, None),
    };
    Span { low, high }
}

/// The least text beyond all that begin so, in the order of UTF-8 bytes, which is that of
/// characters; none where only the greatest characters are left.
fn after_prefix(start: &str) -> Option<String> {
    let mut text = start.to_owned();
    while let Some(last) = text.pop() {
        let next = match u32::from(last) + 1 {
            // Surrogates are no characters.
            0xD800 => Some('\u{E000}'),
            next => char::from_u32(next),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}
