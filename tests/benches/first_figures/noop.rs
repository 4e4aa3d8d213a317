//! The limit of the transport: a jsonrpsee server whose methods answer a fixed value.

use jsonrpsee::RpcModule;
use jsonrpsee::server::ServerBuilder;

/// Set in the environment of the process that is this server.
pub(crate) const ROLE: &str = "OSIS_BENCH_NOOP";

/// Serves until it is killed.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    runtime.block_on(async {
        let server = ServerBuilder::default()
            .build("127.0.0.1:0")
            .await
            .expect("a free port");
        let mut module = RpcModule::new(());
        for method in ["app_get", "app_new", "app_list", "app_find"] {
            module
                .register_method(method, |_, (), _| "nothing was done")
                .expect("the names differ");
        }
        println!(
            "listening on http://{}",
            server.local_addr().expect("it has an address")
        );
        server.start(module).stopped().await;
    });
}
