//! The service on the memory engine: what messages mean, what errors look like, what is served.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod batches;
mod calls;
mod engine;
mod errors;
mod http;
mod openrpc;
mod runs;
mod sockets;
mod support;
