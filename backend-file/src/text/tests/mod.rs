//! Tests of the index against core's own reading of the same objects.

mod agreement;
mod damage;
mod following;
mod measure;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use osis_core::backend::{ChangeOp, Search};
use osis_core::object::{Id, Row};
use osis_core::query::Filter;
use osis_core::schema::{Schema, Source, TypeId, load};
use osis_core::table::Clock;
use osis_core::text::{Document, Query, Ranking};
use osis_core::time::Time;
use osis_core::value::Value;
use tempfile::TempDir;

use super::{Searchable, TextIndex};
use crate::bodies::Bodies;
use crate::log::{Change, Content};
use crate::record::Held;
use crate::state::{Applied, State};

const SCHEMA: &str = r#"
name = "probe"
version = 1

[types.thing]
plural = "things"

[types.thing.fields]
word   = { type = "string", search = 4 }
text   = { type = "text", search = 1 }
flag   = { type = "bool" }
words  = { type = "list", of = "string", search = 2 }
hidden = { type = "string", secret = true }

[types.plain]
plural = "plains"

[types.plain.fields]
name = { type = "string" }

[types.note]
plural = "notes"

[types.note.fields]
body = { type = "text", search = 3 }
"#;

/// A hit as tests compare it: the score's bits and the id.
type Seen = (u64, String);

/// What a store has of objects, with its text index.
struct Store {
    schema: Arc<Schema>,
    bodies: Arc<Bodies>,
    directory: TempDir,
    state: Arc<State>,
    text: TextIndex,
    follower: Sender<Arc<Applied>>,
    runtime: tokio::runtime::Runtime,
}

impl Store {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let schema = Arc::new(load(&[Source::new("test.toml", SCHEMA)]).unwrap());
        let bodies = Arc::new(Bodies::open(&directory.path().join("bodies")).unwrap());
        let state = Arc::new(State::empty(&schema, 0));
        let path = directory.path().join("text");
        let (text, follower) = open(&path, &schema, &bodies, "one", &state);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        Self {
            schema,
            bodies,
            directory,
            state,
            text,
            follower,
            runtime,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("text")
    }

    fn type_id(&self, name: &str) -> TypeId {
        let types = self.schema.types.iter();
        types.map(|ty| &*ty.name).position(|n| n == name).unwrap()
    }

    /// Closes the index, has something done to its directory, and opens it again.
    fn reopen(&mut self, meanwhile: impl FnOnce(&mut Self)) {
        self.text.close();
        meanwhile(self);
        let path = self.path();
        (self.text, self.follower) = open(&path, &self.schema, &self.bodies, "one", &self.state);
    }

    fn row(&self, type_id: TypeId, id: &str, values: &[(&str, Value)]) -> Row {
        let ty = &self.schema.types[type_id];
        let mut row = Row {
            id: Id::trusted(id),
            rev: 1,
            created_at: Time::MIN,
            updated_at: Time::MIN,
            values: vec![Value::Null; ty.fields.len()].into(),
        };
        for (name, value) in values {
            row.values[ty.field(name).unwrap()] = value.clone();
        }
        row
    }

    /// Puts objects in, or takes them out, in one commit; the index is told of it, or not.
    fn commit(&mut self, changes: Vec<(TypeId, Id, Option<Row>)>, told: bool) {
        let mut state = (*self.state).clone();
        let seq = state.seq + 1;
        let mut steps = Vec::new();
        for (type_id, id, row) in changes {
            let change = Change {
                seq,
                type_id,
                id,
                at: Time::MIN,
                op: ChangeOp::Set,
                rev: 1,
                was: None,
                content: row.map_or(Content::Gone, Content::Full),
            };
            let nothing = |_: &Change| Ok(None);
            steps.push(
                state
                    .take_in(&self.schema, &self.bodies, &change, &nothing)
                    .unwrap(),
            );
        }
        state.seq = seq;
        self.state = Arc::new(state);
        if told {
            let applied = Applied {
                state: Arc::clone(&self.state),
                steps,
                is_own: true,
            };
            self.follower.send(Arc::new(applied)).unwrap();
        }
    }

    fn put(&mut self, ty: &str, id: &str, values: &[(&str, Value)]) {
        let type_id = self.type_id(ty);
        let row = self.row(type_id, id, values);
        self.commit(vec![(type_id, row.id.clone(), Some(row))], true);
    }

    fn delete(&mut self, ty: &str, id: &str) {
        let type_id = self.type_id(ty);
        self.commit(vec![(type_id, Id::trusted(id), None)], true);
    }

    fn complete(&self) -> Arc<Searchable> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let complete = self.text.complete(self.state.seq, Some(deadline));
        self.runtime.block_on(complete).unwrap()
    }

    fn near(&self, type_id: TypeId) -> Arc<Searchable> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let near = self.text.near(&self.state, type_id, Some(deadline));
        self.runtime.block_on(near).unwrap()
    }

    fn search(&self, pair: &Searchable, state: &State, search: &Search) -> (Vec<Seen>, u64) {
        let found = pair
            .search_in(state, &self.schema, search, &self.bodies, Clock::none())
            .unwrap();
        (seen(&found.page), found.total)
    }

    /// What a text finds in a type, by a complete index: ids in their order.
    fn find(&self, ty: &str, text: &str) -> Vec<String> {
        let type_id = self.type_id(ty);
        let query = Query::parse(&self.schema.types[type_id], text, false).unwrap();
        let pair = self.complete();
        let search = search(type_id, query);
        let (hits, total) = self.search(&pair, &self.state, &search);
        assert_eq!(hits.len() as u64, total);
        assert_eq!((hits.clone(), total), self.expected(&self.state, &search));
        hits.into_iter().map(|(_, id)| id).collect()
    }

    /// What core itself finds, as the memory engine does.
    fn expected(&self, state: &State, search: &Search) -> (Vec<Seen>, u64) {
        let ty = &self.schema.types[search.type_id];
        let objects: Vec<(Arc<Held>, Document)> = state.types[search.type_id]
            .ordinals
            .values()
            .map(|held| {
                let words = Document::of(ty, &self.bodies.join(held).unwrap());
                (Arc::clone(held), words)
            })
            .collect();
        let ranking = Ranking::of(ty, &search.query, objects.iter().map(|(_, words)| words));
        let mut hits: Vec<(f64, Arc<Held>)> = objects
            .iter()
            .filter(|(held, words)| search.query.matches(words) && search.filter.matches(&held.row))
            .map(|(held, words)| (ranking.score(words), Arc::clone(held)))
            .collect();
        let total = hits.len() as u64;
        match (&search.sort, search.after.as_deref()) {
            (Some(sort), after) => {
                if let Some(after) = after {
                    let beyond = Filter::after(sort.columns(), after, ty);
                    hits.retain(|(_, held)| beyond.matches(&held.row));
                }
                hits.sort_by(|a, b| sort.compare(&a.1.row, &b.1.row));
            }
            (None, after) => {
                if let Some([Value::Float(score), Value::Str(id)]) = after {
                    hits.retain(|(own, held)| {
                        own < score || (own == score && held.row.id.as_str() > &**id)
                    });
                }
                hits.sort_by(|a, b| {
                    b.0.total_cmp(&a.0)
                        .then_with(|| a.1.row.id.cmp(&b.1.row.id))
                });
            }
        }
        hits.truncate(search.limit);
        (seen(&hits), total)
    }
}

fn open(
    path: &std::path::Path,
    schema: &Arc<Schema>,
    bodies: &Arc<Bodies>,
    lineage: &str,
    state: &Arc<State>,
) -> (TextIndex, Sender<Arc<Applied>>) {
    TextIndex::open(path, schema, Arc::clone(bodies), lineage, Arc::clone(state)).unwrap()
}

fn seen(hits: &[(f64, Arc<Held>)]) -> Vec<Seen> {
    hits.iter()
        .map(|(score, held)| (score.to_bits(), held.row.id.to_string()))
        .collect()
}

fn search(type_id: TypeId, query: Query) -> Search {
    Search {
        type_id,
        query,
        filter: Filter::EVERY,
        sort: None,
        after: None,
        limit: 1000,
        facets: Vec::new(),
    }
}

fn text(value: &str) -> Value {
    Value::from(value)
}
