//! The conformance suite on the engine behind `postgres://`, through the wire: jsonrpsee's own
//! clients.

mod http {
    osis_tests::conformance!(osis_tests::settings::http_postgres);
}

mod ws {
    osis_tests::conformance!(osis_tests::settings::ws_postgres);
}
