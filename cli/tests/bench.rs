//! `footman bench` counts what it measures, and ends when it was told to.
#![cfg(unix)]

mod support;

use serde_json::Value;
use support::{Finished, Server};

fn json(finished: Finished) -> Value {
    let finished = finished.expect_code(0);
    assert_eq!(finished.stdout.len(), 1, "{:?}", finished.stdout);
    serde_json::from_str(&finished.stdout[0]).expect("one line of JSON")
}

#[test]
fn producing_and_subscribing_count_every_record() {
    let server = Server::start(&[]);
    let produce = [
        "bench",
        "produce",
        "-n",
        "10001",
        "--producers",
        "3",
        "--size",
        "16",
        "-o",
        "json",
    ];
    let produced = json(server.run(&produce));
    let acknowledged = produced["acknowledged"].as_u64().expect("a count");
    let probes = produced["latency_us"]["count"].as_u64().expect("a count");
    assert_eq!(
        acknowledged,
        10_001 + probes,
        "all asked for, and those that were timed"
    );
    assert_eq!(server.describe("bench")["end_offset"], acknowledged);
    assert!(
        produced["records_per_second"]
            .as_f64()
            .is_some_and(|rate| rate > 0.0)
    );

    let subscribed = json(server.run(&["bench", "subscribe", "--subscribers", "3", "-o", "json"]));
    assert_eq!(subscribed["received"], 3 * acknowledged);
    assert_eq!(subscribed["lost"], 0);
    let some = json(server.run(&["bench", "subscribe", "-n", "5", "-o", "json"]));
    assert!(
        some["received"]
            .as_u64()
            .is_some_and(|received| (5..=acknowledged).contains(&received))
    );
}

#[test]
fn latency_is_of_every_record_to_every_subscriber() {
    let server = Server::start(&[]);
    let latency = [
        "bench",
        "latency",
        "-n",
        "200",
        "--rate",
        "1k",
        "--subscribers",
        "2",
        "-o",
        "json",
    ];
    let found = json(server.run(&latency));
    assert_eq!(
        (&found["acknowledged"], &found["received"], &found["lost"]),
        (&200.into(), &400.into(), &0.into())
    );
    let latency = &found["latency_us"];
    assert_eq!(latency["count"], 400);
    let at = |name: &str| latency[name].as_u64().expect("microseconds");
    assert!(
        at("min") <= at("p50") && at("p50") <= at("p99") && at("p99") <= at("max"),
        "{latency}"
    );

    let text = server
        .run(&["bench", "latency", "-n", "20"])
        .expect_code(0)
        .stdout
        .join("\n");
    for part in ["acknowledged  20", "p99.9", "µs"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_time_ends_it_as_well() {
    let server = Server::start(&[]);
    let found = json(server.run(&[
        "bench",
        "produce",
        "--duration",
        "100ms",
        "--rate",
        "100",
        "-o",
        "json",
    ]));
    assert!(
        found["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds >= 0.09),
        "{found}"
    );
    assert!(
        found["acknowledged"]
            .as_u64()
            .is_some_and(|count| count >= 1),
        "{found}"
    );
}

#[test]
fn what_cannot_be_measured_is_said() {
    let server = Server::start(&[]);
    server
        .run(&["bench", "subscribe"])
        .expect_failure(&["holds nothing", "footman bench produce"]);
    server.run(&["topics", "create", "bench"]).expect_code(0);
    server
        .run(&["bench", "subscribe"])
        .expect_failure(&["holds nothing", "footman bench produce"]);
    server
        .run(&["bench", "latency", "--size", "7"])
        .expect_failure(&["--size takes at least 8"]);
    server
        .run(&["bench", "produce", "--rate", "0"])
        .expect_failure(&["above zero"]);
}
