//! Signals: a server drains and says so, clients end with codes that say whether they were done.
#![cfg(unix)]

mod support;

use std::io::Write;
use std::process::Stdio;

use rustix::process::Signal;
use support::{Process, Server};

#[test]
fn a_server_stopped_under_load_ends_with_0_and_no_acknowledged_record_is_lost() {
    const SEEN: u64 = 1_000;
    let server = Server::start(&["--records", "unlimited", "--bytes", "1GiB"]);
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
    for _ in 0..SEEN {
        assert!(consumer.next_line().is_some(), "records flow");
    }
    server.process.signal(Signal::TERM);
    let Server { process, .. } = server;
    process.finish().expect_code(0);
    consumer.wait_for_notice("interrupted");
    // Not all that it read was acknowledged: it does not say that all is well.
    let produced = producer.finish().expect_code(1);
    feeder.join().expect("the feeder ends with the producer");
    let failure = produced
        .stderr
        .last()
        .expect("it says why")
        .replace(' ', "");
    let acknowledged: u64 = failure
        .strip_prefix("footman:")
        .and_then(|line| line.split_once("of"))
        .and_then(|(acknowledged, _)| acknowledged.parse().ok())
        .unwrap_or_else(|| panic!("it says how many were acknowledged: {failure}"));
    // What was acknowledged has been delivered before the server went.
    consumer.signal(Signal::INT);
    let consumed = consumer.finish().expect_code(0);
    let delivered = SEEN + consumed.stdout.len() as u64;
    assert!(
        delivered >= acknowledged,
        "{delivered} of {acknowledged}: {:?}",
        consumed.stderr
    );
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

#[test]
fn a_second_signal_ends_a_server_that_waits_for_a_stuck_consumer() {
    let server = Server::start(&["--drain-timeout", "1h"]);
    server.produce_numbers("t", 0..1);
    let mut stuck = Process::follow(&mut server.footman(&["consume", "t"]));
    assert_eq!(stuck.next_line().as_deref(), Some("0"));
    stuck.signal(Signal::STOP);
    // More than the sockets between them can hold.
    let lines = [&[b'x'; 1023][..], b"\n"].concat().repeat(50_000);
    server.run_with(&["produce", "t"], &lines).expect_code(0);
    let mut told = Process::follow(&mut server.footman(&["consume", "t", "--from", "-1"]));
    assert!(told.next_line().is_some_and(|line| line.starts_with('x')));

    server.process.signal(Signal::TERM);
    told.wait_for_notice("interrupted");
    server.process.signal(Signal::TERM);
    server.process.finish().expect_code(130);
}
