//! What the suite runs against: each engine, in this process and through the wire.
//!
//! Through the wire means jsonrpsee's own clients, which we did not write, against a server on a
//! free port. Every setting is a fresh store; when it stops, it is asked whether a call panicked.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::traits::ToRpcParams;
use jsonrpsee::http_client::HttpClient;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use osis_core::json::Json;
use osis_core::memory::MemoryBackend;
use osis_core::{Backend, Store};
use osis_rpc::{Caller, Limits, Server, Service};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::api::{Api, CallError};
use crate::fixture;
use crate::http::Connection;
use crate::places::{Kind, Place};
use crate::postgres;

/// Makes something to run against; nothing, and loud words, where this machine lacks a part for it.
pub type Setting = fn() -> Pin<Box<dyn Future<Output = Option<Running>> + Send>>;

/// A fresh store with a way to call it.
pub struct Running {
    /// The way to call it.
    pub api: Box<dyn Api>,
    service: Service,
    hosted: Option<Hosted>,
    place: Option<Place>,
}

impl Running {
    /// Ends it in good order. No call may have panicked.
    pub async fn stop(self) {
        let Self {
            api,
            service,
            hosted,
            place,
        } = self;
        drop(api);
        if let Some(hosted) = hosted {
            hosted.stop().await;
        }
        service.store().close().await.unwrap();
        assert_eq!(service.panics(), 0, "calls have panicked");
        drop(place);
    }
}

/// Settings of one engine: in this process, over HTTP, over WebSocket.
macro_rules! settings {
    ($engine:ident: $direct:ident $http:ident $ws:ident) => {
        /// The engine in this process.
        pub fn $direct() -> Pin<Box<dyn Future<Output = Option<Running>> + Send>> {
            Box::pin(async {
                let (service, place) = $engine()?;
                let api = Box::new(Direct(service.clone()));
                Some(Running {
                    api,
                    service,
                    hosted: None,
                    place,
                })
            })
        }

        /// The engine behind jsonrpsee's HTTP client.
        pub fn $http() -> Pin<Box<dyn Future<Output = Option<Running>> + Send>> {
            Box::pin(async {
                let (service, place) = $engine()?;
                let hosted = Hosted::start(service.clone()).await;
                let api = Box::new(Http(
                    HttpClient::builder().build(hosted.url("http")).unwrap(),
                ));
                Some(Running {
                    api,
                    service,
                    hosted: Some(hosted),
                    place,
                })
            })
        }

        /// The engine behind jsonrpsee's WebSocket client.
        pub fn $ws() -> Pin<Box<dyn Future<Output = Option<Running>> + Send>> {
            Box::pin(async {
                let (service, place) = $engine()?;
                let hosted = Hosted::start(service.clone()).await;
                let client = WsClientBuilder::default()
                    .build(hosted.url("ws"))
                    .await
                    .unwrap();
                Some(Running {
                    api: Box::new(Ws(client)),
                    service,
                    hosted: Some(hosted),
                    place,
                })
            })
        }
    };
}

settings!(on_memory: memory http_memory ws_memory);
settings!(on_sqlite: sqlite http_sqlite ws_sqlite);
settings!(on_file: file http_file ws_file);
settings!(on_postgres: postgres http_postgres ws_postgres);

fn on_memory() -> Option<(Service, Option<Place>)> {
    Some((service(memory_backend()), None))
}

fn on_sqlite() -> Option<(Service, Option<Place>)> {
    Some(on_place(Kind::Sqlite))
}

fn on_file() -> Option<(Service, Option<Place>)> {
    Some(on_place(Kind::File))
}

fn on_postgres() -> Option<(Service, Option<Place>)> {
    postgres::is_there("the conformance suite on PostgreSQL").then(|| on_place(Kind::Postgres))
}

fn on_place(kind: Kind) -> (Service, Option<Place>) {
    let place = Place::new(kind);
    (service(place.backend()), Some(place))
}

fn memory_backend() -> Arc<dyn Backend> {
    Arc::new(MemoryBackend::new(Arc::new(fixture::schema())))
}

fn service(backend: Arc<dyn Backend>) -> Service {
    Service::new(Store::new(backend), Limits::default())
}

/// A service on a free port of this machine.
pub struct Hosted {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<bool>,
}

impl Hosted {
    /// Serves until it is stopped.
    pub async fn start(service: Service) -> Self {
        let server = Server::bind(service, "127.0.0.1:0").await.unwrap();
        let address = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(async { stopped.await.unwrap_or_default() }));
        Self {
            address,
            stop,
            serving,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    /// Ends it in good order.
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        assert!(
            self.serving.await.unwrap(),
            "calls were not finished in time"
        );
    }
}

/// A served store for tests that are not asynchronous themselves: it has threads of its own.
pub struct Site {
    runtime: Runtime,
    running: Option<(Service, Hosted)>,
    _place: Option<Place>,
}

impl Site {
    /// Serves an empty store in memory.
    pub fn on_memory(limits: Limits) -> Self {
        Self::open(memory_backend(), None, limits)
    }

    /// Serves an empty store on SQLite.
    pub fn on_sqlite(limits: Limits) -> Self {
        Self::on(Kind::Sqlite, limits)
    }

    /// Serves an empty store of some kind.
    pub fn on(kind: Kind, limits: Limits) -> Self {
        let place = Place::new(kind);
        Self::open(place.backend(), Some(place), limits)
    }

    fn open(backend: Arc<dyn Backend>, place: Option<Place>, limits: Limits) -> Self {
        let runtime = Runtime::new().unwrap();
        let service = Service::new(Store::new(backend), limits);
        let hosted = runtime.block_on(Hosted::start(service.clone()));
        Self {
            runtime,
            running: Some((service, hosted)),
            _place: place,
        }
    }

    /// The threads that serve it.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Connects to it.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address())
    }

    fn running(&self) -> &(Service, Hosted) {
        self.running
            .as_ref()
            .unwrap_or_else(|| panic!("the site is closed"))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running().1.address()
    }

    /// The service behind it.
    pub fn service(&self) -> &Service {
        &self.running().0
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some((service, hosted)) = self.running.take()
            && !std::thread::panicking()
        {
            self.runtime.block_on(hosted.stop());
            assert_eq!(service.panics(), 0, "calls have panicked");
        }
    }
}

/// Calls in this process, with no wire between.
pub struct Direct(pub Service);

#[async_trait]
impl Api for Direct {
    async fn call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        let params = Json::parse(params.to_string().as_bytes()).unwrap();
        match self.0.call(method, params, &Caller::operator()).await {
            Ok(result) => Ok(serde_json::from_str(&result).unwrap()),
            Err(error) => Err(CallError::of(&serde_json::to_value(error).unwrap())),
        }
    }
}

struct Http(HttpClient);

#[async_trait]
impl Api for Http {
    async fn call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        answered(self.0.request(method, Raw(params)).await)
    }
}

struct Ws(WsClient);

#[async_trait]
impl Api for Ws {
    async fn call(&self, method: &str, params: Value) -> Result<Value, CallError> {
        answered(self.0.request(method, Raw(params)).await)
    }
}

fn answered(answer: Result<Value, ClientError>) -> Result<Value, CallError> {
    answer.map_err(|error| match error {
        ClientError::Call(error) => CallError::of(&serde_json::to_value(error).unwrap()),
        other => panic!("the client did not understand the server: {other}"),
    })
}

/// Parameters as they are.
struct Raw(Value);

impl ToRpcParams for Raw {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        to_raw_value(&self.0).map(Some)
    }
}
