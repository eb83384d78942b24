//! A server on a free port of the loopback, and everything in one thread: a fault of the server ends the fuzzer.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use footman_broker_grpc::{Server, ServerOptions};
use tokio::runtime::Runtime;

/// No input may keep the server busy for longer: far above what a loaded machine takes.
pub const PATIENCE: Duration = Duration::from_secs(2);

thread_local! {
    static SERVER: RefCell<Option<(Runtime, SocketAddr)>> = const { RefCell::new(None) };
}

/// Runs `work` with the address of the server, which is started by the first call.
pub fn with_server<F: Future<Output = ()>>(work: impl FnOnce(SocketAddr) -> F) {
    SERVER.with_borrow_mut(|server| {
        let (runtime, addr) = server.get_or_insert_with(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let mut options = ServerOptions::default();
            options.broker.max_memory_bytes = 8 << 20;
            options.broker.max_topics = 100;
            let server = runtime
                .block_on(Server::bind("127.0.0.1:0", options))
                .unwrap();
            let addr = server.local_addr().unwrap();
            runtime.spawn(server.serve(std::future::pending()));
            (runtime, addr)
        });
        runtime.block_on(work(*addr));
    });
}
