//! Tests of the engine that need its inside: what every engine must do stands in the conformance
//! suite of the `tests` crate.
