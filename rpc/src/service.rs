//! The service: messages in, answers out, whatever carries them.
//!
//! HTTP, WebSocket and callers in the same process all come through here, so that a call means the
//! same on each. A message that writes is carried out to its end even if its client goes away; one
//! that only reads stops with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use osis_core::Store;
use osis_core::backend::Scope;
use osis_core::json::Json;
use osis_core::store::Principal;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::envelope::{self, Call, Entry, Message, ReplyId};
use crate::error::WireError;
use crate::gate::{Gate, Pass};
use crate::methods::Methods;
use crate::openrpc;
use crate::reply::{Direct, Reply, Sink, refusal};
use crate::requests::Requests;
use crate::run::{Panics, Runner, Slot, caught, caught_now};

/// KiB of messages that are worked on at a time, all connections together; further ones wait. What
/// is read of a message may take many times its own size.
const ROOM_KIB: u32 = 64 << 10;

/// The time limit where none is wanted.
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// What a service bounds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most bytes of one HTTP body or WebSocket message.
    pub max_request: usize,
    /// Most requests of one batch.
    pub max_batch: usize,
    /// Bytes of the answer to a batch after which its further reads are refused.
    pub max_response: usize,
    /// Most connections at a time; further ones wait to be accepted.
    pub max_connections: usize,
    /// Most messages of one WebSocket that are carried out at a time.
    pub max_concurrent: usize,
    /// How long a read may take, and how long a write may wait to be begun.
    pub timeout: Duration,
    /// How long running calls may take to finish when the service shuts down.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request: 10 << 20,
            max_batch: 1000,
            max_response: 256 << 20,
            max_connections: 1024,
            max_concurrent: 32,
            timeout: Duration::from_secs(30),
            drain: Duration::from_secs(30),
        }
    }
}

/// Whose call it is, and what is known of where it comes from.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who calls.
    pub principal: Principal,
}

impl Caller {
    /// The operator.
    pub fn operator() -> Self {
        Self {
            principal: Principal::Operator,
        }
    }
}

/// JSON-RPC on a store. Clones are the same service.
#[derive(Debug, Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    methods: Methods,
    document: Arc<RawValue>,
    limits: Limits,
    gate: Arc<Gate>,
    room: Arc<Semaphore>,
    panics: Panics,
}

impl Service {
    /// Makes the methods of a store's schema.
    pub fn new(store: Store, limits: Limits) -> Self {
        let methods = Methods::of(store.schema());
        let document = openrpc::document(store.schema(), &methods);
        let (gate, panics) = (Gate::new(), Panics::default());
        let room = Arc::new(Semaphore::new(ROOM_KIB as usize));
        Self {
            inner: Arc::new(Inner {
                store,
                methods,
                document,
                limits,
                gate,
                room,
                panics,
            }),
        }
    }

    /// The store that is served.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What is bounded.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// The OpenRPC document, as JSON text.
    pub fn document(&self) -> &str {
        self.inner.document.get()
    }

    /// How many calls have panicked. There should be none.
    pub fn panics(&self) -> u64 {
        self.inner.panics.count()
    }

    /// Answers a message: a request or a batch of them, as JSON text in and out.
    ///
    /// Nothing comes back where there is nothing to answer, as for notifications.
    pub async fn handle(&self, message: &[u8], caller: &Caller) -> Option<Vec<u8>> {
        let size = u32::try_from(message.len() >> 10).unwrap_or(ROOM_KIB) + 1;
        let room = Arc::clone(&self.inner.room).acquire_many_owned(size.min(ROOM_KIB));
        // The semaphore is never closed.
        let room = room.await.ok();
        let message = match envelope::read(message, self.inner.limits.max_batch) {
            Ok(message) => message,
            Err(error) => return Some(refusal(&error)),
        };
        let (entries, is_batch) = match message {
            Message::One(entry) => (vec![entry], false),
            Message::Many(entries) => (entries, true),
        };
        let pass = self.inner.gate.enter();
        let slots = entries
            .into_iter()
            .map(|entry| self.inner.slot(entry, pass.as_ref()));
        let slots: Vec<Slot> = slots.collect();
        let writes = slots.iter().any(Slot::writes);
        let (inner, caller) = (Arc::clone(&self.inner), caller.clone());
        let work = async move {
            let _room = room;
            let schema = Arc::clone(inner.store.schema());
            let mut reply = match is_batch {
                true => Reply::to_batch(&schema),
                false => Reply::to_one(&schema),
            };
            let run = async {
                inner.run(slots, &caller, &mut reply).await;
                Ok(())
            };
            let done = caught(&inner.panics, run).await;
            drop(pass);
            match done {
                Ok(()) => reply.finish(),
                Err(error) => Some(refusal(&error)),
            }
        };
        if !writes {
            return work.await;
        }
        tokio::spawn(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a message was not carried out to its end");
            Some(refusal(&WireError::internal()))
        })
    }

    /// Carries one call of this process out; its result comes back as JSON text.
    ///
    /// `params` is a list or an object; null stands for none.
    ///
    /// # Errors
    /// As on the wire.
    pub async fn call(
        &self,
        method: &str,
        params: Json,
        caller: &Caller,
    ) -> Result<String, WireError> {
        let params = match params {
            Json::Null => None,
            params @ (Json::Array(_) | Json::Object(_)) => Some(params),
            other => {
                let message = format!("params: expected a list or an object, got {}", other.kind());
                return Err(WireError::invalid_request(message));
            }
        };
        let pass = self.inner.gate.enter();
        let call = Ok(Call {
            method: method.to_owned(),
            params,
        });
        let entry = Entry {
            id: Some(ReplyId::null()),
            call,
        };
        let slot = self.inner.slot(entry, pass.as_ref());
        let schema = Arc::clone(self.inner.store.schema());
        let mut direct = Direct::new(&schema);
        self.inner.run(vec![slot], caller, &mut direct).await;
        direct.finish()
    }

    /// Whether it answers calls: it does not drain, and its store can be read.
    pub async fn is_ready(&self) -> bool {
        const PATIENCE: Duration = Duration::from_secs(2);
        let Some(_pass) = self.inner.gate.enter() else {
            return false;
        };
        let look = async {
            let until = Some(Instant::now() + PATIENCE);
            let store = &self.inner.store;
            store
                .read(&Principal::Operator, Scope::Single, until)
                .await?
                .seq()
                .await
        };
        matches!(tokio::time::timeout(PATIENCE, look).await, Ok(Ok(_)))
    }

    /// Refuses new calls with `unavailable` and waits for those that run, at most
    /// [`Limits::drain`]; whether all of them were finished.
    pub async fn drain(&self) -> bool {
        self.inner.gate.drain(self.inner.limits.drain).await
    }
}

impl Inner {
    /// Reads what an entry asks for. Without a pass the service drains.
    fn slot(&self, entry: Entry, pass: Option<&Pass>) -> Slot {
        let Entry { id, call } = entry;
        let request = call.and_then(|call| {
            if pass.is_none() {
                return Err(WireError::unavailable("the server is shutting down"));
            }
            let requests = Requests {
                schema: self.store.schema(),
                methods: &self.methods,
            };
            caught_now(&self.panics, || requests.read(call))
        });
        Slot { id, request }
    }

    async fn run(&self, slots: Vec<Slot>, caller: &Caller, sink: &mut dyn Sink) {
        let now = Instant::now();
        let runner = Runner {
            store: &self.store,
            document: &self.document,
            limits: &self.limits,
            gate: &self.gate,
            panics: &self.panics,
            caller,
            deadline: now.checked_add(self.limits.timeout).unwrap_or(now + YEAR),
        };
        runner.run(slots, sink).await;
    }
}
