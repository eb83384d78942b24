//! The real binary as the tests run it: servers on free ports, clients whose output is awaited line by line,
//! all ended by their own id when dropped. Every wait has a limit and waits for an event, never for a time.
#![allow(
    dead_code,
    reason = "each test file is a crate of its own and uses its part"
)]

pub(crate) mod corpus;
mod process;

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

pub(crate) use process::{Finished, Process};

/// The longest that anything here is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, without any settings of whoever runs the tests.
pub(crate) fn footman() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_footman"));
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("FOOTMAN_") || variable == "RUST_LOG" {
            command.env_remove(variable);
        }
    }
    command
}

/// A running `footman serve`.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) fn start(options: &[&str]) -> Server {
        Server::start_at("127.0.0.1:0", options)
    }

    /// Starts a server on a free port that stays free when the server is gone: nobody's outgoing connection
    /// takes it, because those come from another loopback address.
    pub(crate) fn start_restartable() -> Server {
        Server::start_at(
            if cfg!(target_os = "linux") {
                "127.0.0.77:0"
            } else {
                "127.0.0.1:0"
            },
            &[],
        )
    }

    /// Starts a server at `address`.
    pub(crate) fn start_at(address: &str, options: &[&str]) -> Server {
        let mut command = footman();
        command.args(["serve", "--listen", address]).args(options);
        Server::from_process(Process::follow(&mut command))
    }

    /// The server that `process` is about to be.
    pub(crate) fn from_process(mut process: Process) -> Server {
        let line = process.wait_for_notice("listening on ");
        let address = line
            .strip_prefix("listening on ")
            .and_then(|address| address.parse().ok());
        Server {
            process,
            address: address.expect("the line says the address"),
        }
    }

    /// A client command against this server.
    pub(crate) fn footman(&self, arguments: &[&str]) -> Command {
        let mut command = footman();
        command
            .env("FOOTMAN_SERVER", self.address.to_string())
            .args(arguments);
        command
    }

    /// Runs a client command to its end with nothing on stdin.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        Process::follow(&mut self.footman(arguments)).finish()
    }

    /// Runs a client command to its end with `input` on stdin.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Finished {
        let mut process = Process::fed(&mut self.footman(arguments), Stdio::piped());
        let mut stdin = process.stdin();
        let input = input.to_vec();
        // A command that refuses its input closes it early, which is for its exit code to tell.
        let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
        let finished = process.finish();
        feeder.join().expect("the feeder does not panic");
        finished
    }

    /// Produces the numbers of `range`, one a line, and asserts that all were acknowledged.
    #[track_caller]
    pub(crate) fn produce_numbers(&self, topic: &str, range: std::ops::Range<u64>) {
        let input: String = range.map(|n| format!("{n}\n")).collect();
        self.run_with(&["produce", topic], input.as_bytes())
            .expect_code(0);
    }

    /// What `topics describe` says as JSON.
    #[track_caller]
    pub(crate) fn describe(&self, topic: &str) -> serde_json::Value {
        let finished = self
            .run(&["topics", "describe", topic, "--output", "json"])
            .expect_code(0);
        serde_json::from_str(&finished.stdout[0]).expect("one line of JSON")
    }
}
