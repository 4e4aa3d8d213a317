//! The service on the memory engine: what messages mean, what errors look like, what is served.

mod batches;
mod calls;
mod errors;
mod http;
mod openrpc;
mod sockets;
mod support;
