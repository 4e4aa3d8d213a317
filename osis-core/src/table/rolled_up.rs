//! The roll-up of a log type's objects, kept in step with them.

use std::sync::Arc;

use super::{Record, Table};
use crate::rollup::{Book, Cell, CellScan, Spec};
use crate::schema::Type;

/// The roll-up of the objects that are there.
#[derive(Clone)]
pub(super) struct RolledUp {
    spec: Arc<Spec>,
    book: Book,
}

impl RolledUp {
    /// Of no objects; nothing for a type that is not rolled up.
    pub(super) fn new(ty: &Type) -> Option<Self> {
        Some(Self {
            spec: Arc::new(Spec::of(ty)?),
            book: Book::default(),
        })
    }

    /// Adds objects that are put in at once.
    pub(super) fn fill<R: Record>(&mut self, records: &[Arc<R>]) {
        let cells = records
            .iter()
            .map(|record| Cell::of(&self.spec, record.row()));
        cells.for_each(|cell| self.book.add(cell));
    }
}

impl<R: Record> Table<R> {
    /// Keeps the roll-up in step with an object that was put in or taken out.
    pub(super) fn roll_up(&mut self, before: Option<&R>, after: Option<&R>) {
        let Some(RolledUp { spec, .. }) = &self.rollup else {
            return;
        };
        let spec = Arc::clone(spec);
        let cell = |record: &R| Cell::of(&spec, record.row());
        let (before, after) = (before.map(cell), after.map(cell));
        if before == after {
            return;
        }
        let Some(RolledUp { book, .. }) = &mut self.rollup else {
            return;
        };
        // Counted again, a cell has what comes as well.
        let uncertain = before.filter(|before| !book.take(before));
        match (&uncertain, after) {
            (Some(gone), Some(cell)) if gone.place() == cell.place() => {}
            (_, Some(cell)) => book.add(cell),
            (_, None) => {}
        }
        if let Some(gone) = uncertain {
            let counted = self
                .matching(&gone.objects(&spec))
                .map(|record| cell(record))
                .reduce(|mut sum, one| {
                    sum.add(&one);
                    sum
                });
            if let Some(RolledUp { book, .. }) = &mut self.rollup {
                book.put(gone.place(), counted);
            }
        }
    }

    /// A page of the cells of the type's roll-up, in the order of their places; none where it has
    /// none.
    pub fn cells(&self, scan: &CellScan) -> Vec<Cell> {
        let rollup = self.rollup.iter();
        rollup.flat_map(|rollup| rollup.book.page(scan)).collect()
    }
}
