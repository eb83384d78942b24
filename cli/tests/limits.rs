//! A server makes do with what the system gives it, and recovers when it was not enough.
#![cfg(unix)]

mod support;

use std::net::TcpStream;
use std::process::Command;

use support::{Process, Server, footman};

/// A server started from a shell that has set its limits first.
fn start_limited(limits: &str) -> Server {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        &format!("{limits} && exec \"$0\" serve --listen 127.0.0.1:0"),
    ]);
    shell.arg(footman().get_program());
    Server::from_process(Process::follow(&mut shell))
}

fn connect(server: &Server, count: usize) -> Vec<TcpStream> {
    (0..count)
        .map(|_| TcpStream::connect(server.address).expect("the system takes connections"))
        .collect()
}

#[test]
fn a_server_takes_all_the_descriptors_it_may_have() {
    let server = start_limited("ulimit -S -n 64");
    let connections = connect(&server, 100);
    server.run(&["topics", "list"]).expect_code(0);
    drop(connections);
}

#[test]
fn a_server_out_of_descriptors_goes_on_when_there_are_some_again() {
    let server = start_limited("ulimit -n 64");
    let mut consumer = Process::follow(&mut server.footman(&["consume", "t"]));
    server.produce_numbers("t", 0..1);
    assert_eq!(consumer.next_line().as_deref(), Some("0"));
    let connections = connect(&server, 100);
    // Nobody new can be served, but who was there still is.
    drop(connections);
    server.produce_numbers("t", 1..2);
    assert_eq!(consumer.next_line().as_deref(), Some("1"));
}

#[test]
fn settings_come_from_a_file_and_the_environment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("footman.toml");
    std::fs::write(
        &file,
        "listen = \"127.0.0.1:0\"\n[topics]\nrecords = 3\nage = \"1h\"\n",
    )
    .expect("a file can be written");
    let mut serve = footman();
    serve
        .arg("serve")
        .env("FOOTMAN_CONFIG", &file)
        .env("FOOTMAN_NO_AUTO_CREATE", "true");
    let server = Server::from_process(Process::follow(&mut serve));
    server.run(&["topics", "create", "t"]).expect_code(0);
    let described = server.describe("t");
    assert_eq!(described["options"]["max_records"], 3);
    assert_eq!(described["options"]["max_age_ms"], 3_600_000);
    server
        .run(&["consume", "unknown"])
        .expect_failure(&["unknown"]);
    let printed = Process::follow(serve.arg("--print-config"))
        .finish()
        .expect_code(0);
    assert!(
        printed.stdout.contains(&"auto-create = false".to_owned()),
        "{printed:?}"
    );
    let mut piped = footman();
    piped.args(["serve", "--config", "-", "--print-config"]);
    let mut piped = Process::fed(&mut piped, std::process::Stdio::piped());
    let config = printed.stdout.join("\n");
    std::io::Write::write_all(&mut piped.stdin(), config.as_bytes()).expect("it reads stdin");
    assert_eq!(piped.finish().expect_code(0).stdout, printed.stdout);
    std::fs::write(&file, "recrods = 3\n").expect("a file can be written");
    Process::follow(&mut serve)
        .finish()
        .expect_failure(&["footman.toml", "recrods"]);
}

#[test]
fn a_limit_holds_wherever_it_is_given() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("footman.toml");
    std::fs::write(&file, "[limits]\nmax-subscriptions = 1\n").expect("a file can be written");
    let file = file.to_str().expect("UTF-8");
    for options in [["--config", file], ["--max-subscriptions", "1"]] {
        let server = Server::start(&options);
        server.produce_numbers("t", 0..1);
        let mut only = Process::follow(&mut server.footman(&["consume", "t"]));
        assert_eq!(only.next_line().as_deref(), Some("0"));
        server
            .run(&["consume", "t"])
            .expect_failure(&["1 subscription"]);
    }
    std::fs::write(file, "\n[limits]\nmax-frame = 1\n").expect("a file can be written");
    let mut serve = footman();
    serve.args(["serve", "--print-config", "--config", file]);
    Process::follow(&mut serve).finish().expect_failure(&[
        file,
        "line 3",
        "max-frame cannot be 1",
        "16384",
    ]);
}
