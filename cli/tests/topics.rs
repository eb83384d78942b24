//! Topics are created, listed, described, changed, paused, looked up in, purged and deleted, for people and for programs.
#![cfg(unix)]

mod support;

use serde_json::{Value, json};
use support::Server;

#[test]
fn a_topic_lives_from_create_to_delete() {
    let server = Server::start(&["--records", "5000"]);
    let create = [
        "topics",
        "create",
        "orders",
        "--bytes",
        "1MiB",
        "--age",
        "1h30m",
        "--max-record",
        "2KiB",
    ];
    let shown = server.run(&create).expect_code(0).stdout;
    assert!(
        shown.iter().any(|line| line.contains("orders")),
        "{shown:?}"
    );

    let described = server.describe("orders");
    let options = json!({
        "max_records": 5000, "max_bytes": 1_048_576, "max_age_ms": 5_400_000, "max_record_bytes": 2048,
        "last_by_key": false
    });
    assert_eq!(
        described["options"], options,
        "what was not said is the server's default"
    );

    server.produce_numbers("orders", 0..10);
    server.produce_numbers("another", 0..1);
    let listed = server
        .run(&["topics", "list", "--output", "json"])
        .expect_code(0)
        .stdout;
    let listed: Vec<Value> = listed
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let names: Vec<_> = listed
        .iter()
        .map(|topic| (topic["name"].as_str(), topic["end_offset"].as_u64()))
        .collect();
    assert_eq!(
        names,
        [(Some("another"), Some(1)), (Some("orders"), Some(10))]
    );
    let table = server.run(&["topics", "list"]).expect_code(0).stdout;
    assert!(
        table.len() == 3 && table[0].starts_with("TOPIC") && table[2].starts_with("orders"),
        "{table:?}"
    );

    server
        .run(&[
            "topics",
            "update",
            "orders",
            "--records",
            "4",
            "--age",
            "unlimited",
        ])
        .expect_code(0);
    let described = server.describe("orders");
    assert_eq!(
        (&described["start_offset"], &described["end_offset"]),
        (&json!(6), &json!(10))
    );
    assert_eq!(described["options"]["max_age_ms"], Value::Null);
    assert_eq!(
        described["options"]["max_bytes"], 1_048_576,
        "what was not said stays"
    );

    server
        .run(&["topics", "purge", "orders", "--before", "8"])
        .expect_code(0);
    assert_eq!(server.describe("orders")["start_offset"], 8);
    server.run(&["topics", "purge", "orders"]).expect_code(0);
    assert_eq!(server.describe("orders")["start_offset"], 10);
    let lost = server
        .run(&[
            "consume",
            "orders",
            "--from",
            "3",
            "--no-follow",
            "--output",
            "json",
        ])
        .expect_code(0)
        .stdout;
    assert_eq!(lost[0], r#"{"topic":"orders","lost":{"from":3,"to":10}}"#);

    server.run(&["topics", "delete", "orders"]).expect_code(0);
    server
        .run(&["topics", "describe", "orders"])
        .expect_failure(&["\"orders\""]);
}

#[test]
fn a_paused_topic_refuses_producers_until_it_is_resumed() {
    let server = Server::start(&[]);
    server.produce_numbers("orders", 0..2);
    let paused = server
        .run(&["topics", "pause", "orders", "--output", "json"])
        .expect_code(0)
        .stdout;
    let paused: Value = serde_json::from_str(&paused[0]).expect("JSON");
    assert_eq!(paused["paused"], true);
    let produce = ["produce", "orders", "--delivery-timeout", "1s", "--quiet"];
    server
        .run_with(&produce, b"refused\n")
        .expect_failure(&["\"orders\"", "paused"]);
    let top = server
        .run(&["top", "--once", "--interval", "50ms"])
        .expect_code(0)
        .stdout;
    assert!(top.iter().any(|line| line.contains("paused")), "{top:?}");
    let resumed = server
        .run(&["topics", "resume", "orders"])
        .expect_code(0)
        .stdout;
    assert!(
        resumed
            .iter()
            .any(|line| line.starts_with("producers") && line.contains("taken")),
        "{resumed:?}"
    );
    server.produce_numbers("orders", 2..3);
    assert_eq!(server.describe("orders")["end_offset"], 3);
}

#[test]
fn the_newest_record_of_a_key_is_looked_up() {
    let server = Server::start(&[]);
    server
        .run(&["topics", "create", "prices", "--last-by-key"])
        .expect_code(0);
    let produce = ["produce", "prices", "--key-separator", ":"];
    server
        .run_with(&produce, b"acme:1\nother:2\nacme:3\n")
        .expect_code(0);
    let last = |arguments: &[&str]| {
        let all = [&["topics", "last", "prices"], arguments].concat();
        server.run(&all)
    };
    assert_eq!(last(&["acme"]).expect_code(0).stdout, ["3"]);
    let json = last(&["acme", "--output", "json"]).expect_code(0).stdout;
    let json: Value = serde_json::from_str(&json[0]).expect("JSON");
    assert_eq!((&json["offset"], &json["key"]), (&json!(2), &json!("acme")));
    last(&["nobody"]).expect_failure(&["\"prices\"", "\"nobody\""]);
    server
        .run(&["topics", "update", "prices", "--last-by-key=false"])
        .expect_code(0);
    last(&["acme"]).expect_failure(&["\"prices\"", "index"]);
}

#[test]
fn info_says_what_the_server_holds() {
    let server = Server::start(&["--memory", "512MiB", "--max-topics", "7"]);
    server.produce_numbers("t", 0..1);
    let info = server
        .run(&["info", "--output", "json"])
        .expect_code(0)
        .stdout;
    let info: Value = serde_json::from_str(&info[0]).expect("JSON");
    assert_eq!(info["topics"], 1);
    assert_eq!(info["max_topics"], 7);
    assert_eq!(info["max_memory_bytes"], 512 << 20);
    assert_eq!(info["version"], env!("CARGO_PKG_VERSION"));
    let text = server.run(&["info"]).expect_code(0).stdout;
    assert!(
        text.iter().any(|line| line.contains("1 of at most 7")),
        "{text:?}"
    );
}
