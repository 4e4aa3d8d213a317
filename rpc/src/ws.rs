//! The WebSocket face: the same messages as over HTTP, many at a time, answered as they are done.
//!
//! A client that sends more than it may have carried out at a time, or does not read its answers,
//! is not read on: the connection itself holds it back, and nothing piles up here.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::UPGRADE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

use crate::error::WireError;
use crate::http::{App, how_to_call};
use crate::origin;
use crate::reply::refusal;
use crate::server::{Connection, ends};
use crate::service::{Caller, Service};

/// How often a client is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);
/// A client of which nothing was heard, or which took nothing, for so long is gone.
const SILENCE: Duration = Duration::from_secs(90);

/// Opens a WebSocket at `/`.
pub(crate) async fn open(
    State(app): State<App>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if let Err(refused) = origin::check(&headers) {
        return refused.into_response();
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(error) if headers.contains_key(UPGRADE) => return error.into_response(),
        Err(_) => return how_to_call(),
    };
    // A message somewhat too long is read whole and answered; one far too long ends the connection.
    let max = app.service.limits().max_request.saturating_mul(2);
    let upgrade = upgrade.max_message_size(max).max_frame_size(max);
    upgrade.on_upgrade(move |socket| async move {
        serve(socket, app.service, app.closing).await;
        // It counts as a connection until here.
        drop(connection);
    })
}

async fn serve(socket: WebSocket, service: Service, closing: watch::Receiver<bool>) {
    let (sink, stream) = socket.split();
    let (replies, outbox) = mpsc::channel(service.limits().max_concurrent.max(1));
    let writer = tokio::spawn(write(sink, outbox));
    match read(stream, &service, &replies, closing).await {
        End::Gone => return writer.abort(),
        End::TooLong => {
            let refused = Outgoing::Answer(too_long(&service));
            let frame = CloseFrame {
                code: close_code::SIZE,
                reason: Utf8Bytes::default(),
            };
            // If these do not arrive, nobody is left to be told.
            drop(replies.send(refused).await);
            drop(replies.send(Outgoing::Close(frame)).await);
        }
        End::Closing => {}
    }
    // What runs is finished and answered, then the connection is closed.
    drop(replies);
    if let Err(error) = writer.await {
        tracing::debug!(%error, "a writer of a WebSocket ended early");
    }
}

fn too_long(service: &Service) -> Vec<u8> {
    let max = service.limits().max_request;
    refusal(&WireError::invalid_request(format!(
        "a message has at most {max} bytes"
    )))
}

/// Why a connection is read no more.
enum End {
    Gone,
    TooLong,
    Closing,
}

/// Reads messages and has them carried out, at most so many at a time as the limits say.
async fn read(
    mut stream: SplitStream<WebSocket>,
    service: &Service,
    replies: &mpsc::Sender<Outgoing>,
    mut closing: watch::Receiver<bool>,
) -> End {
    let slots = Arc::new(Semaphore::new(service.limits().max_concurrent.max(1)));
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
            let message = timeout(SILENCE, stream.next()).await.ok()??;
            Some((slot, message))
        };
        let next = tokio::select! {
            next = next => next,
            () = ends(&mut closing) => return End::Closing,
            () = replies.closed() => return End::Gone,
        };
        let Some((slot, message)) = next else {
            return End::Gone;
        };
        match message {
            Ok(Message::Text(text)) => carry_out(text.into(), slot, service, replies),
            Ok(Message::Binary(bytes)) => carry_out(bytes, slot, service, replies),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(Message::Close(_)) => return End::Gone,
            Err(error) if is_too_long(&error) => return End::TooLong,
            Err(_) => return End::Gone,
        }
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    // The library that knows is not one that this crate names.
    error.to_string().contains("too long")
}

/// Carries a message out. A client that goes away ends what only reads.
fn carry_out(
    message: axum::body::Bytes,
    slot: OwnedSemaphorePermit,
    service: &Service,
    replies: &mpsc::Sender<Outgoing>,
) {
    let (service, replies) = (service.clone(), replies.clone());
    tokio::spawn(async move {
        let caller = Caller::operator();
        let answer = async {
            match message.len() > service.limits().max_request {
                true => Some(too_long(&service)),
                false => service.handle(&message, &caller).await,
            }
        };
        let answer = tokio::select! {
            answer = answer => answer,
            () = replies.closed() => None,
        };
        if let Some(answer) = answer {
            // It fails only if the client is gone.
            drop(replies.send(Outgoing::Answer(answer)).await);
        }
        drop(slot);
    });
}

/// What is sent to a client.
enum Outgoing {
    Answer(Vec<u8>),
    Close(CloseFrame),
}

/// Sends answers, and asks now and then whether the client is still there.
async fn write(mut sink: SplitSink<WebSocket, Message>, mut outbox: mpsc::Receiver<Outgoing>) {
    let mut ping = tokio::time::interval(PING);
    ping.reset();
    loop {
        let message = tokio::select! {
            outgoing = outbox.recv() => match outgoing {
                Some(Outgoing::Answer(answer)) => text(answer),
                Some(Outgoing::Close(frame)) => Message::Close(Some(frame)),
                None => Message::Close(Some(CloseFrame {
                    code: close_code::AWAY,
                    reason: Utf8Bytes::default(),
                })),
            },
            _ = ping.tick() => Message::Ping(axum::body::Bytes::new()),
        };
        let is_last = matches!(message, Message::Close(_));
        match timeout(SILENCE, sink.send(message)).await {
            Ok(Ok(())) if !is_last => {}
            _ => return,
        }
    }
}

fn text(answer: Vec<u8>) -> Message {
    // Answers are JSON, so they are UTF-8.
    match String::from_utf8(answer) {
        Ok(text) => Message::Text(text.into()),
        Err(error) => Message::Binary(error.into_bytes().into()),
    }
}
