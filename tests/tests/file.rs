//! The conformance suite on the engine behind `file:`, in this process.

osis_tests::conformance!(osis_tests::settings::file);
