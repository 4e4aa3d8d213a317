//! A state with an index of exactly its objects.

use std::sync::Arc;

use osis_core::backend::Search;
use osis_core::error::Result;
use osis_core::schema::{Schema, TypeId};
use osis_core::table::Clock;

use super::error::{Failure, Outcome, caught};
use super::evaluate::Evaluation;
use super::link::Link;
use super::overlay::{Difference, Overlay, Tail};
use super::page::Page;
use super::segments::Committed;
use super::shape::TextField;
use crate::bodies::Bodies;
use crate::record::Held;
use crate::state::{Objects, State};

/// Up to so many versions beside the index are looked at themselves, rather than wait for the
/// index to take them in.
const NEAR: usize = 256;

/// A state with an index of exactly its objects; does not change.
#[derive(Debug)]
pub(crate) struct Searchable {
    state: Arc<State>,
    committed: Arc<Committed>,
    tail: Tail,
    link: Arc<Link>,
}

/// The best of a search with their scores, and how many there are.
pub(crate) type Hits = (Vec<(f64, Arc<Held>)>, u64);

impl Searchable {
    pub(super) fn new(state: Arc<State>, committed: Arc<Committed>, link: Arc<Link>) -> Self {
        Self {
            state,
            committed,
            tail: Tail::default(),
            link,
        }
    }

    /// The state.
    pub(crate) fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// The index.
    #[cfg(test)]
    pub(super) fn committed(&self) -> &Arc<Committed> {
        &self.committed
    }

    /// Searches any state of this process, older or newer than the pair's: what the index lacks is
    /// looked at itself. Blocks; quick where the states are near each other.
    ///
    /// An index that turns out to be damaged is made anew behind this; the search itself is then
    /// answered without it.
    ///
    /// # Errors
    /// `Unavailable` when time is over; those of the cache.
    pub(crate) fn search_in(
        &self,
        state: &State,
        schema: &Schema,
        search: &Search,
        bodies: &Bodies,
        clock: Clock,
    ) -> Result<Hits> {
        let fields = &self.committed.shape.types[search.type_id];
        if fields.is_empty() {
            return Ok((Vec::new(), 0));
        }
        let asked = Asked {
            schema,
            search,
            fields,
            own: &state.types[search.type_id],
            bodies,
            clock,
        };
        match caught(|| self.search_indexed(state, &asked)) {
            Err(Failure::Index(why)) => {
                tracing::warn!(why, "the text index is damaged and is made anew");
                self.link.report(self.committed.generation);
                asked.search_plainly().map_err(Failure::into_error)
            }
            found => found.map_err(Failure::into_error),
        }
    }

    /// Whether a search of a type in `state` is quick with this pair.
    pub(super) fn is_near(&self, state: &State, type_id: TypeId) -> bool {
        self.committed.shape.types[type_id].is_empty()
            || self.difference(state, type_id, NEAR).is_some()
    }

    fn difference<'a>(
        &self,
        state: &'a State,
        type_id: TypeId,
        max: usize,
    ) -> Option<Difference<'a>> {
        let (index, own) = (&self.state.types[type_id], &state.types[type_id]);
        let index = (index, self.state.next_ordinal);
        Difference::near(index, (own, state.next_ordinal), max)
    }

    fn search_indexed(&self, state: &State, asked: &Asked<'_>) -> Outcome<Hits> {
        let type_id = asked.search.type_id;
        let difference = self
            .difference(state, type_id, usize::MAX)
            .unwrap_or_else(|| Difference::walk(&self.state.types[type_id], &state.types[type_id]));
        let ty = &asked.schema.types[type_id];
        let overlay = Overlay::of(
            &difference,
            &self.committed,
            (type_id, ty, asked.own),
            asked.bodies,
            &self.tail,
            asked.clock,
        )?;
        asked.run(Some(&self.committed), &overlay)
    }
}

/// What a search needs beside an index.
struct Asked<'a> {
    schema: &'a Schema,
    search: &'a Search,
    fields: &'a [TextField],
    own: &'a Objects,
    bodies: &'a Bodies,
    clock: Clock,
}

impl Asked<'_> {
    /// Looks at all objects of the type themselves.
    fn search_plainly(&self) -> Outcome<Hits> {
        let ty = &self.schema.types[self.search.type_id];
        let overlay = Overlay::whole(ty, self.own, self.bodies, self.clock)?;
        self.run(None, &overlay)
    }

    fn run(&self, committed: Option<&Committed>, overlay: &Overlay) -> Outcome<Hits> {
        let ty = &self.schema.types[self.search.type_id];
        let mut page = Page::new(ty, self.search, self.own);
        let (search, fields, clock) = (self.search, self.fields, self.clock);
        Evaluation::new(ty, search, fields, committed, overlay, clock).run(&mut page)?;
        Ok(page.finish())
    }
}
