//! A port: connections in bounded number, and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::http::{App, router};
use crate::service::Service;

/// How long a client may take to send the head of a request, the first as well as the next.
const HEAD: Duration = Duration::from_secs(30);
/// How long open connections may take to end once nothing runs on them any more.
const CLOSE: Duration = Duration::from_secs(3);

/// A service that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Service,
}

/// Why a server does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address can be reached from other machines.
    #[error(
        "cannot listen on {0}: without access keys the store is open to whoever reaches it, so \
         only loopback addresses such as 127.0.0.1 are allowed"
    )]
    NotLoopback(SocketAddr),
    /// The system does not give the address.
    #[error("cannot listen on {listen}: {source}")]
    System {
        /// The address as it was asked for.
        listen: String,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A connection that counts, as long as this or a clone of it is held.
#[derive(Debug, Clone)]
pub(crate) struct Connection(
    #[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>,
);

impl Server {
    /// Takes a port of this machine: `127.0.0.1:7040`, `localhost:0`; port 0 is a free one.
    ///
    /// # Errors
    /// `NotLoopback` for an address that other machines can reach; `System` if the name leads
    /// nowhere or the port is taken.
    pub async fn bind(service: Service, listen: &str) -> Result<Self, ListenError> {
        let system = |source| ListenError::System {
            listen: listen.to_owned(),
            source,
        };
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(listen)
            .await
            .map_err(system)?
            .collect();
        let is_open = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        if let Some(open) = addresses.iter().find(is_open) {
            return Err(ListenError::NotLoopback(*open));
        }
        let listener = TcpListener::bind(addresses.as_slice())
            .await
            .map_err(system)?;
        let address = listener.local_addr().map_err(system)?;
        Ok(Self {
            listener,
            address,
            service,
        })
    }

    /// The address with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready and what runs then is finished.
    ///
    /// While it drains, connections are still taken: calls are answered with `unavailable`, and
    /// `/health/ready` with 503. Whether all calls were finished in time is the result.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> bool {
        let Self {
            listener, service, ..
        } = self;
        let max = service.limits().max_connections.clamp(1, 1_000_000);
        let connections = Arc::new(Semaphore::new(max));
        let (closing, closes) = watch::channel(false);
        let router = router(App {
            service: service.clone(),
            closing: closes.clone(),
        });
        let drained = async {
            shutdown.await;
            service.drain().await
        };
        let finished = tokio::select! {
            finished = drained => finished,
            () = accept(&listener, &router, &closes, &connections) => false,
        };
        drop(listener);
        closing.send_replace(true);
        let all = connections.acquire_many(u32::try_from(max).unwrap_or(u32::MAX));
        if tokio::time::timeout(CLOSE, all).await.is_err() {
            tracing::warn!("connections did not end in time and are cut");
        }
        finished
    }
}

/// Takes connections for ever, as many at a time as there are permits.
async fn accept(
    listener: &TcpListener,
    router: &Router,
    closing: &watch::Receiver<bool>,
    connections: &Arc<Semaphore>,
) {
    while let Ok(permit) = Arc::clone(connections).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let permit = Connection(Arc::new(permit));
                tokio::spawn(connection(stream, router.clone(), permit, closing.clone()));
            }
            Err(error) => {
                // A client that left already costs nothing; a lack of files passes or does not,
                // and must not be asked for without pause.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Waits until connections are to end, or their server is gone.
pub(crate) async fn ends(closing: &mut watch::Receiver<bool>) {
    drop(closing.wait_for(|closing| *closing).await);
}

async fn connection(
    stream: TcpStream,
    router: Router,
    permit: Connection,
    mut closing: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(permit.clone());
        router.call(request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = ends(&mut closing) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended with an error");
    }
}
