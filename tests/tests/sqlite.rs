//! The conformance suite on the engine behind `sqlite:`, in this process.

osis_tests::conformance!(osis_tests::settings::sqlite);
