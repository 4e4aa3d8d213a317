//! What a commit does to the cells, for engines that keep them in a database.

use std::collections::HashMap;

use super::cell::{Cell, Place, Spec};
use crate::error::Result;
use crate::object::{Id, Row};
use crate::query::Filter;
use crate::resolve::{RowChange, Transition};
use crate::schema::{Schema, TypeId};

/// What an engine shows of its open transaction, in which the commit's objects are written already.
pub trait Cells {
    /// The cells at some places, in their order.
    ///
    /// # Errors
    /// Those of the engine.
    fn cells(&mut self, type_id: TypeId, places: &[Place]) -> Result<Vec<Option<Cell>>>;

    /// Shows each object that a filter means.
    ///
    /// # Errors
    /// Those of the engine.
    fn objects(
        &mut self,
        type_id: TypeId,
        filter: &Filter,
        each: &mut dyn FnMut(&Row),
    ) -> Result<()>;
}

/// What becomes of a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct CellChange {
    /// Its type.
    pub type_id: TypeId,
    /// Where it stands.
    pub place: Place,
    /// What it is from then on; nothing if no object is left.
    pub cell: Option<Cell>,
}

/// What the batches of a commit add to cells and take from them.
///
/// Of each object only what it was at first and what it is at last counts, whatever the batches do to
/// it in between.
#[derive(Debug)]
pub struct Deltas {
    /// How cells are made, of the types that have some.
    specs: Vec<Option<Spec>>,
    /// Objects that were there before: as they were, and as they are.
    changed: HashMap<(TypeId, Id), (Row, Option<Row>)>,
    /// What new objects add.
    added: HashMap<(TypeId, Place), Delta>,
}

/// What is added to one cell, and taken from it.
#[derive(Debug, Default)]
struct Delta {
    /// A cell of what comes.
    plus: Option<Cell>,
    /// A cell of what goes.
    minus: Option<Cell>,
}

impl Deltas {
    /// Of a commit of which nothing is known yet.
    pub fn new(schema: &Schema) -> Self {
        Self {
            specs: schema.types.iter().map(Spec::of).collect(),
            changed: HashMap::new(),
            added: HashMap::new(),
        }
    }

    /// Whether nothing of any roll-up changes.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty()
    }

    /// Notes what a batch does.
    pub fn note(&mut self, changes: &[RowChange]) {
        for RowChange {
            type_id, change, ..
        } in changes
        {
            let Some(spec) = &self.specs[*type_id] else {
                continue;
            };
            match change {
                Transition::Insert(row) => {
                    // Removed and made again by the same commit, it is one that was there.
                    if let Some((_, after)) = self.changed.get_mut(&(*type_id, row.id.clone())) {
                        *after = Some(row.clone());
                    } else {
                        let cell = Cell::of(spec, row);
                        self.plus(*type_id, &cell);
                    }
                }
                Transition::Update { before, after } => {
                    self.change(*type_id, before, Some(after));
                }
                Transition::Remove(before) => self.change(*type_id, before, None),
            }
        }
    }

    /// Notes an object that was there, or that this commit has made.
    fn change(&mut self, type_id: TypeId, before: &Row, after: Option<&Row>) {
        let change = self
            .changed
            .entry((type_id, before.id.clone()))
            .or_insert_with(|| (before.clone(), None));
        change.1 = after.cloned();
    }

    fn plus(&mut self, type_id: TypeId, cell: &Cell) {
        grow(&mut self.at(type_id, cell).plus, cell);
    }

    fn minus(&mut self, type_id: TypeId, cell: &Cell) {
        grow(&mut self.at(type_id, cell).minus, cell);
    }

    fn at(&mut self, type_id: TypeId, cell: &Cell) -> &mut Delta {
        self.added.entry((type_id, cell.place())).or_default()
    }

    /// What becomes of the cells.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn settle(mut self, cells: &mut dyn Cells) -> Result<Vec<CellChange>> {
        for ((type_id, _), (before, after)) in std::mem::take(&mut self.changed) {
            let Some(spec) = &self.specs[type_id] else {
                continue;
            };
            let of = |row: &Row| Cell::of(spec, row);
            let (before, after) = (of(&before), after.as_ref().map(of));
            if Some(&before) == after.as_ref() {
                continue;
            }
            self.minus(type_id, &before);
            after.iter().for_each(|cell| self.plus(type_id, cell));
        }
        let mut by_type: HashMap<TypeId, Vec<(Place, Delta)>> = HashMap::new();
        for ((type_id, place), delta) in self.added {
            by_type.entry(type_id).or_default().push((place, delta));
        }
        let mut changes = Vec::new();
        for (type_id, mut deltas) in by_type {
            let Some(spec) = &self.specs[type_id] else {
                continue;
            };
            deltas.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let places: Vec<Place> = deltas.iter().map(|(place, _)| place.clone()).collect();
            let before = cells.cells(type_id, &places)?;
            for ((place, delta), before) in deltas.into_iter().zip(before) {
                let cell = delta.onto(type_id, spec, before, cells)?;
                changes.push(CellChange {
                    type_id,
                    place,
                    cell,
                });
            }
        }
        Ok(changes)
    }
}

impl Delta {
    /// The cell that it makes of another.
    fn onto(
        self,
        type_id: TypeId,
        spec: &Spec,
        before: Option<Cell>,
        cells: &mut dyn Cells,
    ) -> Result<Option<Cell>> {
        let Self { plus, minus } = self;
        let (mut cell, is_certain) = match (before, minus) {
            (before, None) => (before, true),
            (Some(mut before), Some(minus)) => {
                let is_certain = before.take(&minus);
                (Some(before), is_certain)
            }
            // What was there must have been counted.
            (None, Some(minus)) => (Some(minus), false),
        };
        plus.iter().for_each(|plus| grow(&mut cell, plus));
        if let (Some(cell), false) = (&cell, is_certain) {
            let mut counted: Option<Cell> = None;
            let mut count = |row: &Row| grow(&mut counted, &Cell::of(spec, row));
            cells.objects(type_id, &cell.objects(spec), &mut count)?;
            return Ok(counted);
        }
        Ok(cell.filter(|cell| cell.count > 0))
    }
}

/// Adds a cell to one that may not be there yet.
fn grow(sum: &mut Option<Cell>, cell: &Cell) {
    match sum {
        Some(sum) => sum.add(cell),
        none => *none = Some(cell.clone()),
    }
}
