//! The two stores, and how their answers are compared.

use std::sync::Arc;

use osis_core::batch::{Batch, Op, Outcome, SeedMode, SeedObject};
use osis_core::error::Faults;
use osis_core::input::{self, Purpose};
use osis_core::json::Json;
use osis_core::memory::MemoryBackend;
use osis_core::query::aggregate::metric_name;
use osis_core::schema::{Schema, Type};
use osis_core::store::Principal;
use osis_core::{Backend, Store};
use osis_rpc::{Limits, Service};
use osis_tests::api::{Api, CallError};
use osis_tests::fixture;
use osis_tests::places::{Kind, Place};
use osis_tests::settings::Direct;
use serde_json::{Map, Value, json};

use super::history::Step;

/// An answer, or why there is none: code and data.
type Answer = Result<Value, (i32, Value)>;

/// A store of some kind and the one in memory that says what is right.
pub(crate) struct Pair {
    schema: Schema,
    memory: Direct,
    engine: Direct,
    /// How far the feeds were compared, of each store.
    seen: [u64; 2],
    /// How many ids were given to seeded objects.
    given: usize,
    _place: Place,
}

impl Pair {
    /// Two empty stores.
    pub(crate) fn open(kind: Kind) -> Self {
        let place = Place::new(kind);
        let memory = MemoryBackend::new(Arc::new(fixture::schema()));
        let direct = |backend: Arc<dyn Backend>| {
            Direct(Service::new(Store::new(backend), Limits::default()))
        };
        Self {
            schema: fixture::schema(),
            memory: direct(Arc::new(memory)),
            engine: direct(place.backend()),
            seen: [0; 2],
            given: 0,
            _place: place,
        }
    }

    /// Does one thing to both and compares what they say, and what they say has changed.
    pub(crate) async fn step(&mut self, step: &Step) {
        match step {
            Step::Call { method, params } => self.both(method, params).await,
            Step::Walk { method, params } => self.walk(method, params).await,
            Step::UpsertByKey { ty, params } => self.upsert(ty, params).await,
            Step::Seed { objects, mode } => self.seed(objects, mode).await,
        }
        self.compare_changes().await;
    }

    async fn both(&self, method: &str, params: &Value) {
        let memory = call(&self.memory, method, params).await;
        let engine = call(&self.engine, method, params).await;
        assert_eq!(
            engine, memory,
            "the engine and memory disagree on {method} {params}"
        );
    }

    async fn walk(&self, method: &str, params: &Value) {
        let memory = pages(&self.memory, method, params).await;
        let engine = pages(&self.engine, method, params).await;
        assert_eq!(
            engine, memory,
            "the engine and memory disagree on the pages of {method} {params}"
        );
    }

    async fn upsert(&self, ty: &str, params: &Value) {
        let method = format!("{ty}_set");
        let memory = call(&self.memory, &method, params).await;
        let engine = call(&self.engine, &method, params).await;
        let is_new = |answer: &Answer| answer.as_ref().is_ok_and(|object| object["rev"] == 1);
        let there = |answer: &Answer| answer.as_ref().is_ok_and(|object| is_given(&object["id"]));
        assert_eq!(
            is_new(&memory) && !there(&memory),
            is_new(&engine) && !there(&engine),
            "{method} {params}"
        );
        if is_new(&memory) && !there(&memory) {
            for (store, made) in [(&self.memory, &memory), (&self.engine, &engine)] {
                let made = made.as_ref().unwrap();
                call(store, &format!("{ty}_delete"), &json!({ "id": made["id"] }))
                    .await
                    .unwrap();
            }
        }
        assert_eq!(
            without_made_ids(engine),
            without_made_ids(memory),
            "{method} {params}"
        );
    }

    async fn seed(&mut self, objects: &[(usize, Value)], mode: &'static str) {
        let mut objects = objects.to_vec();
        // In the order in which the types stand in JSON.
        objects.sort_by_key(|(ty, _)| self.schema.types[*ty].name.clone());
        for n in 0..objects.len() {
            let creates = self.creates(&objects[..=n], mode).await;
            let before = self.creates(&objects[..n], mode).await;
            if objects[n].1.get("id").is_none() && (creates.is_none() || creates > before) {
                self.given += 1;
                objects[n].1["id"] = json!(format!("given-{}", self.given));
            }
        }
        let mut types: Map<String, Value> = Map::new();
        for (ty, data) in objects {
            let name = self.schema.types[ty].name.clone();
            types
                .entry(name)
                .or_insert_with(|| json!([]))
                .as_array_mut()
                .unwrap()
                .push(data);
        }
        self.both("osis_seed", &json!({ "objects": types, "mode": mode }))
            .await;
    }

    /// How many objects a seed would make: tried on the store that is right, without keeping it.
    async fn creates(&self, objects: &[(usize, Value)], mode: &str) -> Option<u64> {
        let (mode, purpose) = match mode {
            "update" => (SeedMode::Update, Purpose::SeedUpdate),
            _ => (SeedMode::Insert, Purpose::Seed),
        };
        let mut faults = Faults::default();
        let objects = objects.iter().map(|(type_id, data)| {
            let json = Json::parse(data.to_string().as_bytes()).unwrap();
            let (types, ty) = (&self.schema.types, &self.schema.types[*type_id]);
            let draft = input::draft(types, ty, &json, "data", purpose, &mut faults)?;
            Some(SeedObject {
                type_id: *type_id,
                draft,
                origin: "data".into(),
            })
        });
        let objects: Option<Vec<SeedObject>> = objects.collect();
        let objects = objects.filter(|_| faults.is_empty())?;
        let batch = Batch {
            dry_run: true,
            ..Batch::of(vec![Op::Seed { objects, mode }])
        };
        let commit = self
            .memory
            .0
            .store()
            .write_one(&Principal::Operator, batch)
            .await
            .ok()?;
        match commit.outcomes[..] {
            [Outcome::Seeded(report)] => Some(report.created),
            _ => None,
        }
    }

    /// Compares the records that were left since the last time, and the objects they tell of.
    async fn compare_changes(&mut self) {
        let mut feeds = Vec::new();
        for (n, store) in [&self.memory, &self.engine].into_iter().enumerate() {
            let params = json!({ "since": self.seen[n], "limit": 1000, "objects": true });
            let feed = store.call("osis_changes", params).await.unwrap();
            self.seen[n] = feed["next"].as_u64().unwrap();
            feeds.push(normal(commits(feed["changes"].clone())));
        }
        let without_made: Vec<Value> = feeds.into_iter().map(without_made_records).collect();
        assert_eq!(
            without_made[1], without_made[0],
            "the change feeds of the engine and memory disagree"
        );
    }

    /// Compares all objects of all types.
    pub(crate) async fn compare_everything(&self) {
        for ty in &self.schema.types {
            let params = json!({ "limit": 1000, "count": true });
            self.both(&format!("{}_list", ty.name), &params).await;
            self.compare_rollup(ty).await;
        }
    }

    /// The roll-up of the engine is what its objects come to.
    async fn compare_rollup(&self, ty: &Type) {
        let Some((log, rollup)) = ty.log().and_then(|log| Some((log, log.rollup.as_ref()?))) else {
            return;
        };
        let by: Vec<&str> = rollup
            .by
            .iter()
            .map(|field| ty.fields[*field].name.as_str())
            .collect();
        let metrics: Vec<String> = rollup
            .metrics
            .iter()
            .map(|metric| metric_name(*metric, ty))
            .collect();
        let method = format!("{}_aggregate", ty.name);
        let mut params = json!({
            "bucket": { "field": ty.fields[log.time].name, "unit": "day" }, "group_by": by, "metrics": metrics,
        });
        let mut rolled_up = self.engine.call(&method, params.clone()).await.unwrap();
        assert_eq!(rolled_up["source"].take(), "rollup");
        // No roll-up knows of revisions.
        params["filter"] = json!({ "rev": { "gte": 1 } });
        let mut raw = self.engine.call(&method, params).await.unwrap();
        assert_eq!(raw["source"].take(), "raw");
        assert_eq!(rolled_up, raw, "the roll-up of {} and its objects", ty.name);
    }

    /// Ends both.
    pub(crate) async fn close(self) {
        for service in [&self.memory.0, &self.engine.0] {
            service.store().close().await.unwrap();
            assert_eq!(service.panics(), 0, "calls have panicked");
        }
    }
}

async fn call(store: &Direct, method: &str, params: &Value) -> Answer {
    match store.call(method, params.clone()).await {
        Ok(answer) => Ok(normal(answer)),
        Err(CallError { code, data, .. }) => Err((code, normal(data))),
    }
}

/// The pages of a walk, each as far as it may not differ.
async fn pages(store: &Direct, method: &str, params: &Value) -> Vec<Answer> {
    let mut params = params.clone();
    let mut pages = Vec::new();
    loop {
        let page = store.call(method, params.clone()).await;
        let next = page
            .as_ref()
            .map_or(json!(null), |page| page["next_cursor"].clone());
        pages.push(match page {
            Ok(page) => Ok(normal(page)),
            Err(CallError { code, data, .. }) => Err((code, normal(data))),
        });
        if next.is_null() {
            return pages;
        }
        assert!(pages.len() < 200, "{method} {params} does not end");
        params["cursor"] = next;
    }
}

/// An answer without what may differ: times of the store, numbers of commits, scores, cursors.
fn normal(answer: Value) -> Value {
    match answer {
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| {
                let value = match name.as_str() {
                    "created_at" | "updated_at" | "score" | "next" | "oldest" => json!("…"),
                    "seq" if !value.is_string() => json!("…"),
                    "next_cursor" => json!(!value.is_null()),
                    _ => normal(value),
                };
                (name, value)
            });
            Value::Object(members.collect())
        }
        other => other,
    }
}

/// Records with the numbers of their commits counted from the first, and without their times.
fn commits(mut changes: Value) -> Value {
    let records = changes.as_array_mut().unwrap();
    let seqs: Vec<Value> = records.iter().map(|record| record["seq"].clone()).collect();
    let mut commit = 0;
    for (n, record) in records.iter_mut().enumerate() {
        commit += usize::from(n > 0 && seqs[n] != seqs[n - 1]);
        record["seq"] = json!(format!("commit {commit}"));
        record["at"] = json!("…");
    }
    changes
}

/// Whether an id is one that the test gave: those that the store makes are UUIDs of the day.
fn is_given(id: &Value) -> bool {
    let id = id.as_str().unwrap_or_default();
    id.len() != 36 || &id[19..23] == "8000"
}

fn without_made_ids(answer: Answer) -> Answer {
    answer.map(|mut object| {
        if !is_given(&object["id"]) {
            object["id"] = json!("made");
        }
        object
    })
}

/// Records without those of objects that an upsert made and the test deleted again.
fn without_made_records(mut changes: Value) -> Value {
    changes
        .as_array_mut()
        .unwrap()
        .retain(|record| is_given(&record["id"]));
    changes
}
