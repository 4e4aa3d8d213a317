//! The cells of a type in memory.

use std::ops::Bound;
use std::sync::Arc;

use super::{Cell, CellScan, Place};
use crate::time::Time;

/// The cells of a type in memory, by place. Copying it is cheap, and copies share what is the same in
/// both.
#[derive(Debug, Clone, Default)]
pub struct Book {
    cells: imbl::OrdMap<Place, Arc<Cell>>,
}

impl Book {
    /// Adds objects.
    pub fn add(&mut self, cell: Cell) {
        let place = cell.place();
        match self.cells.get_mut(&place) {
            Some(own) => Arc::make_mut(own).add(&cell),
            None => drop(self.cells.insert(place, Arc::new(cell))),
        }
    }

    /// Takes objects away; whether what is left of their cell is certain. Where it is not, it has to
    /// be counted again and [`Self::put`].
    #[must_use]
    pub fn take(&mut self, cell: &Cell) -> bool {
        let place = cell.place();
        let Some(own) = self.cells.get_mut(&place) else {
            return false;
        };
        let is_certain = Arc::make_mut(own).take(cell);
        if is_certain && own.count == 0 {
            self.cells.remove(&place);
        }
        is_certain
    }

    /// Puts a cell in the place of the one that is there; takes that out, where there is none.
    pub fn put(&mut self, place: Place, cell: Option<Cell>) {
        match cell {
            Some(cell) => drop(self.cells.insert(place, Arc::new(cell))),
            None => drop(self.cells.remove(&place)),
        }
    }

    /// All cells, in the order of their places.
    pub fn cells(&self) -> impl Iterator<Item = (&Place, &Cell)> {
        self.cells.iter().map(|(place, cell)| (place, &**cell))
    }

    /// A page of cells, in the order of their places.
    pub fn page(&self, scan: &CellScan) -> Vec<Cell> {
        let begin = |key: &str| Place {
            key: key.into(),
            bucket: Time::MIN,
        };
        let spans: Vec<(Bound<Place>, Bound<Place>)> = match scan.keys.as_slice() {
            [] => vec![(Bound::Unbounded, Bound::Unbounded)],
            ranges => ranges
                .iter()
                .map(|range| {
                    let (from, until) = (begin(&range.from), begin(&range.until));
                    (Bound::Included(from), Bound::Excluded(until))
                })
                .collect(),
        };
        let behind = spans.into_iter().filter_map(|(from, until)| {
            let Some(after) = &scan.after else {
                return Some((from, until));
            };
            let is_over = matches!(&until, Bound::Excluded(until) if until <= after);
            let is_begun = match &from {
                Bound::Included(from) => from <= after,
                _ => true,
            };
            let from = match is_begun {
                true => Bound::Excluded(after.clone()),
                false => from,
            };
            (!is_over).then_some((from, until))
        });
        let cells = behind.flat_map(|span| self.cells.range(span));
        let meant = cells.filter(|(place, _)| scan.means(place));
        let page = meant.take(scan.limit);
        page.map(|(_, cell)| Cell::clone(cell)).collect()
    }
}
