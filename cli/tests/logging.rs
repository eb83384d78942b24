//! What is logged on stderr is asked for by `RUST_LOG`.
#![cfg(unix)]

mod support;

use std::io::Write as _;
use std::net::TcpStream;

use support::{Process, Server, footman};

#[test]
fn rust_log_says_what_a_server_says_of_its_connections() {
    for (level, is_heard) in [("footman=debug", true), ("warn", false)] {
        let mut serve = footman();
        serve.args(["serve", "--listen", "127.0.0.1:0"]);
        let mut server = Server::from_process(Process::follow(
            serve.env("RUST_LOG", level).env("NO_COLOR", "1"),
        ));
        let mut stranger = TcpStream::connect(server.address).expect("it listens");
        stranger.write_all(b"no HTTP\r\n\r\n").expect("it is read");
        if is_heard {
            let line = server.process.wait_for_notice("connection closed");
            assert!(line.contains("DEBUG footman_broker_grpc"), "{line}");
        } else {
            // Served, and so after the stranger was read.
            server.run(&["topics", "list"]).expect_code(0);
            server.process.signal(rustix::process::Signal::TERM);
            let finished = server.process.finish().expect_code(0);
            assert_eq!(finished.stderr.len(), 1, "{finished:?}");
        }
    }
}
