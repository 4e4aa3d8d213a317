//! The conformance suite on the engine behind `memory:`, in this process.

osis_tests::conformance!(osis_tests::settings::memory);
