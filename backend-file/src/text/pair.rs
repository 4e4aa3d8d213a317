//! A state with an index of exactly its objects.

use std::sync::Arc;

use osis_core::backend::Search;
use osis_core::error::Result;
use osis_core::schema::{Schema, Type, TypeId};
use osis_core::table::Clock;

use super::error::{Failure, Outcome, caught};
use super::evaluate::Evaluation;
use super::link::Link;
use super::overlay::{Difference, Overlay, Tail};
use super::page::{Hits, Page};
use super::segments::Committed;
use super::shape::TextField;
use super::similar::Vocabulary;
use crate::bodies::Bodies;
use crate::state::State;

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
        let ty = &schema.types[search.type_id];
        let own = &state.types[search.type_id];
        let found = self.over(
            state,
            (search.type_id, ty),
            bodies,
            clock,
            |index, fields, overlay| {
                let mut page = Page::new(ty, search, own);
                Evaluation::new(ty, search, fields, index, overlay, clock).run(&mut page)?;
                Ok(page.finish())
            },
        )?;
        Ok(found.unwrap_or_else(|| Page::new(ty, search, own).finish()))
    }

    /// For each of some words nothing if it occurs in a type of any state of this process, else
    /// the words that are like it, sorted. Blocks.
    ///
    /// # Errors
    /// As [`Self::search_in`].
    pub(crate) fn similar_in(
        &self,
        state: &State,
        schema: &Schema,
        (type_id, words): (TypeId, &[String]),
        bodies: &Bodies,
        clock: Clock,
    ) -> Result<Vec<Option<Vec<String>>>> {
        let ty = &schema.types[type_id];
        let found = self.over(
            state,
            (type_id, ty),
            bodies,
            clock,
            |index, fields, overlay| Vocabulary::new(fields, index, overlay, clock).similar(words),
        )?;
        Ok(found.unwrap_or_else(|| vec![Some(Vec::new()); words.len()]))
    }

    /// Runs a read over the index and what lies between it and a state; without the index where it
    /// is damaged. Nothing comes of a type without searchable fields.
    fn over<T>(
        &self,
        state: &State,
        (type_id, ty): (TypeId, &Type),
        bodies: &Bodies,
        clock: Clock,
        read: impl Fn(Option<&Committed>, &[TextField], &Overlay) -> Outcome<T>,
    ) -> Result<Option<T>> {
        let fields = &self.committed.shape.types[type_id];
        if fields.is_empty() {
            return Ok(None);
        }
        let own = &state.types[type_id];
        let indexed = caught(|| {
            let overlay = self.overlay(state, (type_id, ty), bodies, clock)?;
            read(Some(&self.committed), fields, &overlay)
        });
        let found = match indexed {
            Err(Failure::Index(why)) => {
                tracing::warn!(why, "the text index is damaged and is made anew");
                self.link.report(self.committed.generation);
                // All objects of the type are looked at themselves.
                Overlay::whole(ty, own, bodies, clock)
                    .and_then(|overlay| read(None, fields, &overlay))
            }
            found => found,
        };
        found.map(Some).map_err(Failure::into_error)
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

    fn overlay(
        &self,
        state: &State,
        (type_id, ty): (TypeId, &Type),
        bodies: &Bodies,
        clock: Clock,
    ) -> Outcome<Overlay> {
        let difference = self
            .difference(state, type_id, usize::MAX)
            .unwrap_or_else(|| Difference::walk(&self.state.types[type_id], &state.types[type_id]));
        Overlay::of(
            &difference,
            &self.committed,
            (type_id, ty, &state.types[type_id]),
            bodies,
            &self.tail,
            clock,
        )
    }
}
