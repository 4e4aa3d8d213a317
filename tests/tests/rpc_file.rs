//! The conformance suite on the engine behind `file:`, through the wire: jsonrpsee's own clients.

mod http {
    osis_tests::conformance!(osis_tests::settings::http_file);
}

mod ws {
    osis_tests::conformance!(osis_tests::settings::ws_file);
}
