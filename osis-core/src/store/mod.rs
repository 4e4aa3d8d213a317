//! The store as callers see it: wide where [`Backend`] is narrow.
//!
//! Every call takes the caller's [`Principal`], so that the rules of who may do what have one
//! place to stand: here, above every engine and below every wire format.

mod find;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::backend::{Backend, Feed, Problem, Related, Scan, Scope, Snapshot, Unserved};
use crate::batch::{Batch, Commit};
use crate::error::{Error, ErrorKind, Named, Result};
use crate::input::Target;
use crate::object::{Id, Row};
use crate::output::{Expand, Expanded, Object};
use crate::query::Filter;
use crate::query::Sort;
use crate::query::aggregate::{Aggregate, Computed, Group};
use crate::rollup::{Cell, CellScan, Plan};
use crate::schema::{Schema, Type, TypeId};
use crate::time::Time;
use crate::value::Value;

pub use find::{Find, Hit, Hits, find_position};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// The operator, who may do everything.
    Operator,
}

/// An open store.
#[derive(Debug, Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    replica: Arc<str>,
    opened: Instant,
}

/// What `osis_info` tells.
#[derive(Debug, Clone)]
pub struct Info {
    /// What kind of store it is.
    pub kind: &'static str,
    /// How many objects of each type there are.
    pub counts: BTreeMap<String, u64>,
    /// The last commit.
    pub seq: u64,
    /// The name of this process among those that share the store.
    pub replica: Arc<str>,
    /// For how long it has been open.
    pub uptime_s: u64,
    /// What the operator should mend.
    pub problems: Vec<Problem>,
}

impl Store {
    /// Opens the store that an engine holds.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        let replica = Id::generate(Time::now()).as_str().into();
        Self {
            backend,
            replica,
            opened: Instant::now(),
        }
    }

    /// The schema in force.
    pub fn schema(&self) -> &Arc<Schema> {
        self.backend.schema()
    }

    /// What kind of store it is: `file`, `sqlite`, `postgres`, `memory`.
    pub fn kind(&self) -> &'static str {
        self.backend.kind()
    }

    /// Carries batches out in their order, each for itself all or none.
    ///
    /// # Errors
    /// One for each batch that failed, with the failing operation's index; nothing of it is kept.
    pub async fn write(&self, _who: &Principal, batches: Vec<Batch>) -> Vec<Result<Commit>> {
        self.backend.apply(batches).await
    }

    /// Carries one batch out.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn write_one(&self, who: &Principal, batch: Batch) -> Result<Commit> {
        let answers = self.write(who, vec![batch]).await;
        answers.into_iter().next().unwrap_or_else(|| {
            Err(Error::new(
                ErrorKind::Internal,
                "the engine did not answer a write",
            ))
        })
    }

    /// Opens a view to read from.
    ///
    /// # Errors
    /// `Unavailable` if none can be had before the deadline.
    pub async fn read(
        &self,
        who: &Principal,
        scope: Scope,
        deadline: Option<Instant>,
    ) -> Result<Reader> {
        let snapshot = self.backend.snapshot(scope, deadline).await?;
        Ok(Reader {
            snapshot,
            schema: Arc::clone(self.schema()),
            _who: who.clone(),
        })
    }

    /// Tells when there may be something new; see [`Backend::commits`].
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.backend.commits()
    }

    /// What there is to know of the store, as of a view.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn info(&self, reader: &mut Reader) -> Result<Info> {
        let mut counts = BTreeMap::new();
        for ty in &self.schema().types {
            let count = reader.count(ty.id, &Filter::EVERY).await?;
            counts.insert(ty.name.clone(), count);
        }
        Ok(Info {
            kind: self.kind(),
            counts,
            seq: reader.seq().await?,
            replica: Arc::clone(&self.replica),
            uptime_s: self.opened.elapsed().as_secs(),
            problems: self.backend.problems(),
        })
    }

    /// What the operator should mend; see [`Backend::problems`].
    pub fn problems(&self, _who: &Principal) -> Vec<Problem> {
        self.backend.problems()
    }

    /// What of the store is damaged; see [`Backend::inspect`].
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn inspect(&self, _who: &Principal) -> Result<Vec<Problem>> {
        self.backend.inspect().await
    }

    /// Mends what can be mended of that; see [`Backend::repair`].
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn repair(&self, _who: &Principal) -> Result<Vec<Problem>> {
        self.backend.repair().await
    }

    /// Objects that lie in the store and that it does not serve; see [`Backend::unserved`].
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn unserved(&self, _who: &Principal) -> Result<Vec<Unserved>> {
        self.backend.unserved().await
    }

    /// Puts something that is not served out of the way; see [`Backend::set_aside`].
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn set_aside(&self, _who: &Principal, path: &str) -> Result<String> {
        self.backend.set_aside(path).await
    }

    /// What this store is an unfinished copy of; see [`Backend::copying`].
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn copying(&self, _who: &Principal) -> Result<Option<String>> {
        self.backend.copying().await
    }

    /// Notes that this store is being made a copy of another; see [`Backend::begin_copy`].
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn begin_copy(&self, _who: &Principal, of: &str) -> Result<()> {
        self.backend.begin_copy(of).await
    }

    /// Notes that the copy is finished; see [`Backend::end_copy`].
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn end_copy(&self, _who: &Principal, seq: u64) -> Result<u64> {
        self.backend.end_copy(seq).await
    }

    /// Finishes what is under way and closes the engine.
    ///
    /// # Errors
    /// If the engine could not close cleanly.
    pub async fn close(&self) -> Result<()> {
        self.backend.close().await
    }
}

/// A view of the store, as one caller may see it.
pub struct Reader {
    snapshot: Box<dyn Snapshot>,
    schema: Arc<Schema>,
    _who: Principal,
}

/// What `_list` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Of which type.
    pub type_id: TypeId,
    /// Which objects.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// Only those behind this position.
    pub after: Option<Vec<Value>>,
    /// How many at most.
    pub limit: usize,
    /// Whether to count all that the filter means.
    pub count: bool,
    /// What is brought along.
    pub expand: Vec<Expand>,
}

/// A page of objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The objects.
    pub items: Vec<Object>,
    /// The position to go on from, if something follows.
    pub next: Option<Vec<Value>>,
    /// How many the filter means, if asked for.
    pub total: Option<u64>,
}

impl Reader {
    /// The schema in force.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The objects that targets name, each found or not; fetched in as few queries as there are
    /// kinds of target.
    ///
    /// # Errors
    /// Those of the engine; `NotFound` stands in the answers.
    pub async fn get(
        &mut self,
        type_id: TypeId,
        targets: &[Target],
        expand: &[Expand],
    ) -> Result<Vec<Result<Object>>> {
        let rows = self.rows(type_id, targets).await?;
        let found: Vec<Row> = rows.iter().flatten().cloned().collect();
        let mut objects = self.expand(type_id, found, expand).await?.into_iter();
        let ty = &self.schema.types[type_id];
        let answers = rows.iter().zip(targets).map(|(row, target)| {
            let object = row.as_ref().and_then(|_| objects.next());
            object.ok_or_else(|| not_found(ty, target))
        });
        Ok(answers.collect())
    }

    async fn rows(&mut self, type_id: TypeId, targets: &[Target]) -> Result<Vec<Option<Row>>> {
        let ty = &self.schema.types[type_id];
        if let [Target::Id(id)] = targets {
            return self.snapshot.get(type_id, std::slice::from_ref(id)).await;
        }
        let mut rows: Vec<Option<Row>> = vec![None; targets.len()];
        let by_id = |target: &Target| match target {
            Target::Id(id) => Some(id.clone()),
            Target::Key { .. } => None,
        };
        let (places, ids) = gather(targets, by_id);
        if !ids.is_empty() {
            scatter(&mut rows, &places, self.snapshot.get(type_id, &ids).await?);
        }
        for key in 0..ty.keys.len() {
            let by_key = |target: &Target| match target {
                Target::Key { key: own, values } if *own == key => {
                    Some(ty.keys[key].normalise(values))
                }
                _ => None,
            };
            let (places, values) = gather(targets, by_key);
            if !values.is_empty() {
                let found = self.snapshot.get_by_key(type_id, key, &values).await?;
                scatter(&mut rows, &places, found);
            }
        }
        Ok(rows)
    }

    /// A page of a list.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn list(&mut self, list: &List) -> Result<Page> {
        let scan = Scan {
            type_id: list.type_id,
            filter: list.filter.clone(),
            sort: list.sort.clone(),
            after: list.after.clone(),
            limit: list.limit + 1,
        };
        let mut rows = self.snapshot.scan(&scan).await?;
        let more = rows.len() > list.limit;
        rows.truncate(list.limit);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|row| list.sort.position(row));
        let total = match list.count {
            true => Some(self.count(list.type_id, &list.filter).await?),
            false => None,
        };
        let items = self.expand(list.type_id, rows, &list.expand).await?;
        Ok(Page { items, next, total })
    }

    /// How many objects a filter means.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn count(&mut self, type_id: TypeId, filter: &Filter) -> Result<u64> {
        self.snapshot.count(type_id, filter).await
    }

    /// The groups of an aggregate, in no order, and what they were computed from: the roll-up, where
    /// that holds all that is asked for.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<(Vec<Group>, Computed)> {
        let ty = &self.schema.types[aggregate.type_id];
        let Some(mut plan) = Plan::of(ty, aggregate) else {
            return Ok((self.snapshot.aggregate(aggregate).await?, Computed::Raw));
        };
        let (mut groups, mut scan) = (plan.groups(ty), plan.scan());
        loop {
            let page = self.snapshot.cells(&scan).await?;
            page.iter().for_each(|cell| plan.add(&mut groups, cell));
            match page.last().filter(|_| page.len() == scan.limit) {
                Some(last) => scan.after = Some(last.place()),
                None => return Ok((groups.finish(), Computed::RolledUp)),
            }
        }
    }

    /// A page of the cells of a type's roll-up.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn cells(&mut self, scan: &CellScan) -> Result<Vec<Cell>> {
        self.snapshot.cells(scan).await
    }

    /// Records of the change feed after a seq.
    ///
    /// # Errors
    /// `Gone` where the feed does not hold that seq.
    pub async fn changes(&mut self, since: u64, types: &[TypeId], limit: usize) -> Result<Feed> {
        self.snapshot.changes(since, types, limit).await
    }

    /// The objects with these ids, in their order; `None` where there is none.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn find_ids(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        self.snapshot.get(type_id, ids).await
    }

    /// Rows of a type in the order of their ids, from behind one on: for whoever reads all.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn walk(
        &mut self,
        type_id: TypeId,
        after: Option<&Id>,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let scan = Scan {
            type_id,
            filter: Filter::EVERY,
            sort: Sort::default(),
            after: after.map(|id| vec![Value::from(id.as_str())]),
            limit,
        };
        self.snapshot.scan(&scan).await
    }

    /// The last commit in this view.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn seq(&mut self) -> Result<u64> {
        self.snapshot.seq().await
    }

    /// Copies all that belongs to the store, as of this view; see [`Snapshot::copy_into`].
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn copy_into(&mut self, directory: &Path) -> Result<()> {
        self.snapshot.copy_into(directory).await
    }

    /// Brings along what was asked for, with one call of the engine for each thing.
    async fn expand(
        &mut self,
        type_id: TypeId,
        rows: Vec<Row>,
        expand: &[Expand],
    ) -> Result<Vec<Object>> {
        let schema = Arc::clone(&self.schema);
        let ty = &schema.types[type_id];
        let mut objects: Vec<Object> = rows
            .into_iter()
            .map(|row| Object {
                type_id,
                row,
                expanded: Vec::new(),
            })
            .collect();
        for expand in expand {
            let brought = match expand {
                Expand::Ref(field) => self.targets(ty, *field, &objects).await?,
                Expand::Relation(relation) => self.relation(ty, *relation, &objects).await?,
            };
            for (object, brought) in objects.iter_mut().zip(brought) {
                object.expanded.push(brought);
            }
        }
        Ok(objects)
    }

    async fn targets(&mut self, ty: &Type, field: usize, of: &[Object]) -> Result<Vec<Expanded>> {
        let crate::schema::FieldKind::Ref { to, .. } = ty.fields[field].kind else {
            return Err(Error::new(
                ErrorKind::Internal,
                "expand of a field that is no ref",
            ));
        };
        let held: Vec<Option<Id>> = of
            .iter()
            .map(|object| object.row.values[field].as_str().map(Id::trusted))
            .collect();
        let mut ids: Vec<Id> = held.iter().flatten().cloned().collect();
        ids.sort();
        ids.dedup();
        let found = self.snapshot.get(to, &ids).await?;
        let brought = held.iter().map(|id| {
            let place = id.as_ref().and_then(|id| ids.binary_search(id).ok());
            Expanded::One(to, place.and_then(|place| found[place].clone()))
        });
        Ok(brought.collect())
    }

    async fn relation(&mut self, ty: &Type, n: usize, of: &[Object]) -> Result<Vec<Expanded>> {
        let relation = &ty.relations[n];
        let related = Related {
            type_id: relation.from,
            via: relation.via,
            filter: Filter::EVERY,
            sort: Sort::new(relation.sort.clone()),
            limit: relation.limit,
        };
        let ids: Vec<Id> = of.iter().map(|object| object.row.id.clone()).collect();
        let lists = self.snapshot.related(&related, &ids).await?;
        let brought = lists.into_iter().map(|mut rows| match relation.limit {
            1 => Expanded::One(relation.from, rows.pop()),
            _ => Expanded::Many(relation.from, rows),
        });
        Ok(brought.collect())
    }
}

/// Picks what some targets hold, with their places.
fn gather<T>(targets: &[Target], pick: impl Fn(&Target) -> Option<T>) -> (Vec<usize>, Vec<T>) {
    let picked = targets.iter().enumerate();
    picked
        .filter_map(|(n, target)| Some((n, pick(target)?)))
        .unzip()
}

fn scatter(rows: &mut [Option<Row>], places: &[usize], found: Vec<Option<Row>>) {
    for (place, row) in places.iter().zip(found) {
        rows[*place] = row;
    }
}

/// What a caller is told who named an object that is not there.
pub(crate) fn not_found(ty: &Type, target: &Target) -> Error {
    let (named, words) = match target {
        Target::Id(id) => (Named::Id(id.clone()), format!("id {id}")),
        Target::Key { key, values } => {
            let names = ty.key_fields(*key).into_iter().map(str::to_owned);
            let values = values.iter().map(crate::output::plain_json);
            let pairs: Vec<(String, serde_json::Value)> = names.zip(values).collect();
            let words: Vec<String> = pairs.iter().map(|(n, v)| format!("{n} {v}")).collect();
            (Named::Key(pairs), words.join(", "))
        }
    };
    Error::new(
        ErrorKind::NotFound {
            type_name: ty.name.clone(),
            target: named,
        },
        format!("there is no {} with {words}", ty.name),
    )
}
