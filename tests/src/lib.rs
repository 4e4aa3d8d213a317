//! The tests of the workspace, as far as they are shared: the conformance suite, what it runs
//! against, and clients that send what no well-behaved client would.
//!
//! The suite is written from the contract, once, against [`Api`]; `tests/tests/` has a short file
//! for each engine and transport that runs all of it. Nothing here looks inside an engine.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

pub mod api;
pub mod archive;
pub mod binary;
pub mod conformance;
pub mod dice;
pub mod files;
pub mod fixture;
pub mod http;
pub mod parts;
pub mod places;
pub mod plain;
pub mod postgres;
mod search;
pub mod settings;
pub mod volume;

pub use api::{Api, CallError};
