//! Tests of the engine as a whole, where the conformance suite cannot look.

mod faults;
mod kept;
mod opening;
