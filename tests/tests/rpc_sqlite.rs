//! The conformance suite on the engine behind `sqlite:`, through the wire: jsonrpsee's own clients.

mod http {
    osis_tests::conformance!(osis_tests::settings::http_sqlite);
}

mod ws {
    osis_tests::conformance!(osis_tests::settings::ws_sqlite);
}
