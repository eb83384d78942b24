//! What is wrong is refused: the exit code, and one line that says what failed and what to do.
#![cfg(unix)]

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;

use support::{Process, Server, footman};

#[test]
fn an_unknown_topic_is_refused_where_topics_are_not_created_on_first_use() {
    let server = Server::start(&["--no-auto-create"]);
    server
        .run(&["consume", "nope"])
        .expect_failure(&["\"nope\"", "footman topics create nope"]);
    server
        .run_with(&["produce", "nope"], b"x\n")
        .expect_failure(&["\"nope\"", "footman topics create nope"]);
    for arguments in [
        ["topics", "describe", "nope"],
        ["topics", "delete", "nope"],
        ["topics", "purge", "nope"],
    ] {
        server.run(&arguments).expect_failure(&["\"nope\""]);
    }
    server
        .run(&["topics", "delete", "nope", "--if-exists"])
        .expect_code(0);
    assert_eq!(
        server.run(&["topics", "list"]).expect_code(0).stdout.len(),
        0
    );
}

#[test]
fn a_topic_that_is_read_to_its_end_must_exist() {
    let server = Server::start(&[]);
    server
        .run(&["consume", "typo", "--no-follow"])
        .expect_failure(&["\"typo\"", "footman topics list"]);
    let topics = server.run(&["topics", "list"]).expect_code(0).stdout;
    assert!(topics.is_empty(), "{topics:?}");
}

#[test]
fn a_name_that_cannot_be_a_topic_is_refused() {
    let server = Server::start(&[]);
    for name in ["a b", "a/b", "..", "ä", &"x".repeat(250)] {
        server
            .run(&["topics", "create", name])
            .expect_failure(&["name"]);
        server.run(&["consume", name]).expect_failure(&["name"]);
        for input in [&b"x\n"[..], b""] {
            server
                .run_with(&["produce", name], input)
                .expect_failure(&["name"]);
        }
    }
    server.run(&["topics", "create", "t"]).expect_code(0);
    server.run(&["topics", "create", "t"]).expect_failure(&[
        "\"t\" exists",
        "footman topics update t",
        "--if-not-exists",
    ]);
    server.run(&["topics", "last", "t", "k"]).expect_failure(&[
        "\"t\" keeps no index",
        "footman topics update t --last-by-key",
    ]);
    server
        .run(&["topics", "create", "t", "--if-not-exists"])
        .expect_code(0);
}

#[test]
fn a_refusal_is_said_while_the_input_is_still_open() {
    let server = Server::start(&["--no-auto-create"]);
    server.run(&["topics", "create", "t"]).expect_code(0);
    let mut producer = Process::fed(&mut server.footman(&["produce", "t"]), Stdio::piped());
    let mut stdin = producer.stdin();
    stdin.write_all(b"one\n").expect("the producer reads");
    let one = server.run(&["consume", "t", "-n", "1"]).expect_code(0);
    assert_eq!(one.stdout, ["one"]);
    server.run(&["topics", "delete", "t"]).expect_code(0);
    stdin.write_all(b"two\n").expect("the producer reads");
    producer
        .finish()
        .expect_failure(&["\"t\"", "1 of 2 records"]);
}

#[test]
fn a_record_over_the_limit_is_named_and_what_came_before_it_is_delivered() {
    let server = Server::start(&["--max-record", "2KiB"]);
    server
        .run(&["topics", "create", "t", "--max-record", "1KiB"])
        .expect_code(0);
    for (topic, limit, file) in [("t", 1024, 1_100), ("new", 2048, 2_100)] {
        let input = [b"small\n".to_vec(), vec![b'x'; file], b"\nafter\n".to_vec()].concat();
        let refused = [
            "record 2",
            &limit.to_string(),
            "--max-record",
            "1 of 2 records",
        ];
        server
            .run_with(&["produce", topic], &input)
            .expect_failure(&refused);
        let kept = server
            .run(&["consume", topic, "--no-follow"])
            .expect_code(0);
        assert_eq!(kept.stdout, ["small"]);
    }
    let refused = server
        .run(&["topics", "create", "u", "--max-record", "4MiB"])
        .expect_code(2);
    assert!(refused.stderr[0].contains("1 byte to 3MiB"), "{refused:?}");
}

#[test]
fn an_offset_in_the_future_is_refused_with_where_the_topic_ends() {
    let server = Server::start(&[]);
    server.produce_numbers("t", 0..3);
    server
        .run(&["consume", "t", "--from", "99"])
        .expect_failure(&["99", "3"]);
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_to_do() {
    // A port that was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .to_string();
    for arguments in [
        &["consume", "t"][..],
        &["produce", "t"],
        &["topics", "list"],
        &["info"],
    ] {
        let mut command = footman();
        command.args(arguments).args(["--server", &address]);
        Process::follow(&mut command)
            .finish()
            .expect_failure(&[&address, "footman serve"]);
    }
    let mut command = footman();
    command.args(["topics", "list", "--server", "not an address"]);
    Process::follow(&mut command)
        .finish()
        .expect_failure(&["not an address"]);
}

#[test]
fn a_server_of_another_kind_is_named_with_what_it_may_be() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = other.local_addr().expect("it has one").to_string();
    std::thread::spawn(move || {
        for peer in other.incoming() {
            // A peer that has gone already has heard enough.
            let _ = peer.and_then(|mut peer| peer.write_all(b"SSH-2.0-OpenSSH_9.2\r\n"));
        }
    });
    for (address, advice) in [
        (address.clone(), "one with TLS is https://HOST:PORT"),
        (
            format!("https://{address}"),
            "a server without TLS is HOST:PORT",
        ),
    ] {
        let mut command = footman();
        command.args(["info", "--server", &address]);
        Process::follow(&mut command)
            .finish()
            .expect_failure(&[&address, advice]);
    }
}

#[test]
fn a_paused_topic_is_said_once_however_often_it_is_tried() {
    let server = Server::start(&[]);
    server.run(&["topics", "create", "t"]).expect_code(0);
    server.run(&["topics", "pause", "t"]).expect_code(0);
    let produce = ["produce", "t", "--delivery-timeout", "2s"];
    let finished = server.run_with(&produce, b"one\n").expect_code(1);
    let [interrupted, connected, failed] = &finished.stderr[..] else {
        panic!("{finished:?}")
    };
    assert!(interrupted.contains("\"t\" is paused"), "{finished:?}");
    assert!(connected.contains("connected to"), "{finished:?}");
    assert!(failed.contains("0 of 1 records"), "{finished:?}");
}

#[test]
fn positions_that_cannot_be_kept_are_said_before_anything_is_read() {
    let server = Server::start(&[]);
    server.produce_numbers("t", 0..1);
    let consumed = server.run(&["consume", "t", "--resume", "/no/such/folder/file"]);
    assert_eq!(consumed.stdout, [""; 0]);
    consumed.expect_failure(&["cannot keep the positions", "/no/such/folder/file"]);
}

#[test]
fn an_address_in_use_is_named_with_what_to_do() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let mut command = footman();
    command.args(["serve", "--listen", &address]);
    Process::follow(&mut command)
        .finish()
        .expect_failure(&[&format!("cannot listen on {address}: "), "--listen"]);
}

#[test]
fn files_and_frames_that_cannot_be_read_are_named() {
    let server = Server::start(&[]);
    server
        .run(&["produce", "t", "/no/such/file"])
        .expect_failure(&["/no/such/file"]);
    server
        .run_with(
            &["produce", "t", "--framing", "length"],
            b"GET / HTTP/1.1\r\n",
        )
        .expect_failure(&["record 1"]);
    server
        .run_with(&["produce", "t", "--framing", "length"], &[0, 0, 0, 9, 1])
        .expect_failure(&["ends within record 1"]);
}
