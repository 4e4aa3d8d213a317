//! The HTTP face: calls at `/`, health, the description of the service.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::StreamExt;
use tokio::sync::watch;

use crate::origin;
use crate::service::{Caller, Service};
use crate::ws;

/// How many times the longest body is read past its limit, so that a client which sends first and
/// listens later sees the answer and not a broken connection.
const DISCARDED: usize = 8;

/// What every handler needs.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) service: Service,
    /// Tells when connections are to end.
    pub(crate) closing: watch::Receiver<bool>,
}

/// What is served under which path.
pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(ws::open).post(call))
        .route("/health/live", get("alive\n"))
        .route("/health/ready", get(ready))
        .route("/openrpc.json", get(document))
        .with_state(app)
}

const JSON: [(HeaderName, HeaderValue); 1] =
    [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];

/// A body is JSON-RPC whatever its content type says: curl without a header sends forms.
async fn call(State(app): State<App>, headers: HeaderMap, request: Request) -> Response {
    if let Err(refused) = origin::check(&headers) {
        return refused.into_response();
    }
    let limits = app.service.limits();
    match read(request, limits.max_request, limits.timeout).await {
        Ok(body) => match app.service.handle(&body, &Caller::operator()).await {
            Some(answer) => (JSON, answer).into_response(),
            None => StatusCode::OK.into_response(),
        },
        Err(refused) => refused.into_response(),
    }
}

type Refused = (StatusCode, String);

/// Reads a body of bounded length in bounded time.
async fn read(request: Request, max: usize, within: Duration) -> Result<Vec<u8>, Refused> {
    let too_long = || {
        (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a request has at most {max} bytes\n"),
        )
    };
    let headers = request.headers();
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    let announced = announced
        .and_then(|length| length.parse::<usize>().ok())
        .unwrap_or(0);
    if announced > max && (headers.contains_key(EXPECT) || announced / DISCARDED > max) {
        return Err(too_long());
    }
    let mut body = Vec::with_capacity(announced.min(max));
    let mut seen = 0;
    let mut chunks = request.into_body().into_data_stream();
    let deadline = tokio::time::Instant::now() + within;
    loop {
        let chunk = tokio::time::timeout_at(deadline, chunks.next()).await;
        let chunk: Bytes = match chunk {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(None) if seen > max => return Err(too_long()),
            Ok(None) => return Ok(body),
            Ok(Some(Err(_))) => {
                return Err((
                    StatusCode::BAD_REQUEST,
                    "the request ended early\n".to_owned(),
                ));
            }
            Err(_) => {
                return Err((
                    StatusCode::REQUEST_TIMEOUT,
                    "the request took too long\n".to_owned(),
                ));
            }
        };
        seen = seen.saturating_add(chunk.len());
        if seen / DISCARDED > max {
            return Err(too_long());
        }
        match seen > max {
            true => body = Vec::new(),
            false => body.extend_from_slice(&chunk),
        }
    }
}

async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    match app.service.is_ready().await {
        true => (StatusCode::OK, "ready\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
    }
}

async fn document(State(app): State<App>) -> impl IntoResponse {
    (JSON, Body::from(app.service.document().to_owned()))
}

/// What somebody is told who came without a request.
pub(crate) fn how_to_call() -> Response {
    let words = "This is an OSIS store. It speaks JSON-RPC 2.0 here, by POST or WebSocket; \
                 /openrpc.json describes its methods.\n";
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")], words).into_response()
}
