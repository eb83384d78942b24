//! Signals: a server drains and says so, clients end with codes that say whether they were done.
#![cfg(unix)]

mod support;

use std::io::Write;
use std::process::Stdio;

use rustix::process::Signal;
use support::{Process, Server};

#[test]
fn a_server_stopped_under_load_ends_with_0_and_no_acknowledged_record_is_lost() {
    let server = Server::start(&["--drain-timeout", "5s"]);
    let mut consumer = Process::follow(&mut server.footman(&["consume", "t"]));
    let mut producer = Process::fed(
        &mut server.footman(&["produce", "t", "--delivery-timeout", "2s"]),
        Stdio::piped(),
    );
    // An endless input: it ends when the producer has given up.
    let mut stdin = producer.stdin();
    let feeder = std::thread::spawn(move || {
        let line = [b"0123456789 abcdefghijklmnopqrstuvwxyz\n".as_slice(); 100].concat();
        while stdin.write_all(&line).is_ok() {}
    });
    for _ in 0..1_000 {
        assert!(consumer.next_line().is_some(), "records flow");
    }
    server.process.signal(Signal::TERM);
    let Server { process, .. } = server;
    process.finish().expect_code(0);
    consumer.wait_for_notice("lost the connection");
    // Not all that it read was acknowledged: it does not say that all is well.
    let produced = producer.finish().expect_code(1);
    assert!(
        produced
            .stderr
            .last()
            .expect("it says why")
            .contains("acknowledged"),
        "{:?}",
        produced.stderr
    );
    feeder.join().expect("the feeder ends with the producer");
    consumer.signal(Signal::INT);
    consumer.finish().expect_code(0);
}

#[test]
fn ctrl_c_ends_a_consumer_with_0_unless_it_was_not_done() {
    let server = Server::start(&[]);
    server.produce_numbers("t", 0..1);
    for (arguments, code) in [
        (&["consume", "t"][..], 0),
        (&["consume", "t", "-n", "2"], 130),
    ] {
        for signal in [Signal::INT, Signal::TERM] {
            let mut consumer = Process::follow(&mut server.footman(arguments));
            assert_eq!(consumer.next_line().as_deref(), Some("0"));
            consumer.signal(signal);
            let finished = consumer.finish().expect_code(code);
            assert!(
                finished
                    .stderr
                    .last()
                    .expect("the counts are said")
                    .contains("1 record, 0 lost"),
                "{finished:?}"
            );
        }
    }
}

#[test]
fn ctrl_c_ends_a_producer_with_130_and_delivers_what_it_has_read() {
    let server = Server::start(&[]);
    let mut producer = Process::fed(&mut server.footman(&["produce", "t"]), Stdio::piped());
    let mut stdin = producer.stdin();
    stdin.write_all(b"one\ntwo\n").expect("the producer reads");
    let mut consumer = Process::follow(&mut server.footman(&["consume", "t"]));
    // A live pipe is sent after the linger, not at its end.
    assert_eq!(consumer.next_line().as_deref(), Some("one"));
    assert_eq!(consumer.next_line().as_deref(), Some("two"));
    producer.signal(Signal::INT);
    let finished = producer.finish().expect_code(130);
    assert!(
        finished
            .stderr
            .last()
            .expect("the counts are said")
            .contains("2 records acknowledged"),
        "{finished:?}"
    );
    drop(stdin);
}

#[test]
fn an_idle_server_stops_at_once_on_either_signal() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Server::start(&[]);
        server.process.signal(signal);
        server.process.finish().expect_code(0);
    }
}
