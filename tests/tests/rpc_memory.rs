//! The conformance suite on the engine behind `memory:`, through the wire: jsonrpsee's own clients.

mod http {
    osis_tests::conformance!(osis_tests::settings::http_memory);
}

mod ws {
    osis_tests::conformance!(osis_tests::settings::ws_memory);
}
