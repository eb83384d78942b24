//! A consumer outlives its server and its topic: it is told of the new epoch and goes on.
#![cfg(unix)]

mod support;

use rustix::process::Signal;
use serde_json::Value;
use support::{Process, Server};

fn value(line: &Value) -> &str {
    line["value"]
        .as_str()
        .unwrap_or_else(|| panic!("a record: {line}"))
}

#[test]
fn a_consumer_reconnects_to_a_server_that_was_killed_and_is_told_of_the_new_epoch() {
    let server = Server::start_restartable();
    server.produce_numbers("t", 0..3);
    let mut consumer = Process::follow(&mut server.footman(&["consume", "t", "--output", "json"]));
    let first = consumer.next_json();
    assert_eq!(
        (
            value(&first),
            value(&consumer.next_json()),
            value(&consumer.next_json())
        ),
        ("0", "1", "2")
    );
    let old_epoch = first["epoch"].as_u64().expect("a number");

    let address = server.address.to_string();
    server.process.signal(Signal::KILL);
    drop(server);
    consumer.wait_for_notice("interrupted");
    let server = Server::start_at(&address, &[]);
    server.produce_numbers("t", 100..103);

    let reset = consumer.next_json();
    assert_eq!(reset["topic"], "t");
    assert_eq!(reset["reset"]["old_epoch"], old_epoch);
    assert_eq!(reset["reset"]["next_offset"], 0);
    let new_epoch = reset["reset"]["new_epoch"].as_u64().expect("a number");
    assert_ne!(new_epoch, old_epoch);
    for n in 0..3_u64 {
        let record = consumer.next_json();
        assert_eq!(value(&record), (100 + n).to_string());
        assert_eq!(
            (&record["offset"], &record["epoch"]),
            (&n.into(), &new_epoch.into())
        );
    }
}

#[test]
fn a_topic_deleted_and_created_again_ends_and_starts_again() {
    let server = Server::start(&[]);
    server.produce_numbers("t", 0..2);
    let mut json = Process::follow(&mut server.footman(&["consume", "t", "--output", "json"]));
    let mut text = Process::follow(&mut server.footman(&["consume", "t"]));
    let old_epoch = json.next_json()["epoch"].clone();
    assert_eq!(json.next_json()["offset"], 1);
    assert_eq!(
        (text.next_line().as_deref(), text.next_line().as_deref()),
        (Some("0"), Some("1"))
    );

    server.run(&["topics", "delete", "t"]).expect_code(0);
    let end = json.next_json();
    assert_eq!(end["end"]["reason"], "deleted");
    assert_eq!(end["end"]["next_offset"], 2);
    text.wait_for_notice("deleted at offset 2");

    server.run(&["topics", "create", "t"]).expect_code(0);
    server.produce_numbers("t", 7..8);
    let reset = json.next_json();
    assert_eq!(reset["reset"]["old_epoch"], old_epoch);
    let record = json.next_json();
    assert_eq!(
        (value(&record), &record["epoch"]),
        ("7", &reset["reset"]["new_epoch"])
    );
    text.wait_for_notice("starts again");
    assert_eq!(text.next_line().as_deref(), Some("7"));
}
