//! The conformance suite on the engine behind `postgres://`, in this process.

osis_tests::conformance!(osis_tests::settings::postgres);
