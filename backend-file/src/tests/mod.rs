//! Tests of the engine as a whole, where the conformance suite cannot look.

mod access;
mod caches;
mod damage;
mod days;
mod faults;
mod kept;
mod opening;
