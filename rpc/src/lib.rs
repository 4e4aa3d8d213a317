//! JSON-RPC 2.0 on a store: methods made from its schema, over HTTP and WebSocket.
//!
//! [`Service`] turns messages into answers and knows no network; [`Server`] carries them. The
//! rules of a write and of who may do what are the store's; here are names, parameters, errors
//! as the wire shows them, batches, limits, and the OpenRPC document.

mod answers;
mod envelope;
pub mod error;
mod gate;
mod http;
mod methods;
mod openrpc;
mod origin;
mod params;
mod reply;
mod requests;
mod run;
mod server;
mod service;
mod signature;
mod ws;

pub use error::WireError;
pub use server::{ListenError, Server};
pub use service::{Caller, Limits, Service};
