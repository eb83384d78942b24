//! Input and output as pipes bring and take it.
#![cfg(unix)]

mod support;

use std::process::Command;

use support::{Process, Server};

fn values(server: &Server, topic: &str) -> Vec<String> {
    server
        .run(&["consume", topic, "--no-follow"])
        .expect_code(0)
        .stdout
}

#[test]
fn a_line_is_a_record_whatever_ends_it() {
    let server = Server::start(&[]);
    server
        .run_with(&["produce", "lines"], b"one\r\n\ntwo \nlast")
        .expect_code(0);
    assert_eq!(values(&server, "lines"), ["one", "", "two ", "last"]);
    server.run_with(&["produce", "none"], b"").expect_code(0);
    server
        .run_with(&["produce", "zero", "--delimiter", "\\0"], b"a\r\n\0b")
        .expect_code(0);
    assert_eq!(values(&server, "zero"), ["a\r", "", "b"]);
}

#[test]
fn files_are_read_one_after_the_other_and_stdin_where_it_is_named() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    std::fs::write(&first, "a\nb").expect("a file can be written");
    std::fs::write(&second, "d\n").expect("a file can be written");
    let (first, second) = (
        first.to_str().expect("UTF-8"),
        second.to_str().expect("UTF-8"),
    );
    server
        .run_with(&["produce", "t", first, "-", second], b"c")
        .expect_code(0);
    assert_eq!(values(&server, "t"), ["a", "b", "c", "d"]);
    server
        .run(&["produce", "whole", "--framing", "whole", first])
        .expect_code(0);
    let raw = server
        .run(&["consume", "whole", "--no-follow", "--output", "raw"])
        .expect_code(0);
    assert_eq!(raw.stdout, ["a", "b"]);
}

#[test]
fn keys_and_headers_come_out_as_they_went_in() {
    let server = Server::start(&[]);
    let input = b"k: v: w\nno key\n: empty key\n";
    server
        .run_with(
            &[
                "produce",
                "t",
                "--key-separator",
                ": ",
                "-H",
                "a=1",
                "-H",
                "a=2",
            ],
            input,
        )
        .expect_code(0);
    let json = server
        .run(&["consume", "t", "--no-follow", "--output", "json"])
        .expect_code(0)
        .stdout;
    let records: Vec<serde_json::Value> = json
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(records[0]["key"], "k");
    assert_eq!(records[0]["value"], "v: w");
    assert!(records[1]["key"].is_null());
    assert_eq!(records[1]["value"], "no key");
    assert_eq!(records[2]["key"], "");
    assert_eq!(
        records[0]["headers"],
        serde_json::json!([{"name": "a", "value": "1"}, {"name": "a", "value": "2"}])
    );
    assert!(records[0]["timestamp"].as_i64().expect("a number") > 1_600_000_000_000_000);
    let text = server
        .run(&[
            "consume",
            "t",
            "-n",
            "1",
            "--show",
            "topic,offset,key,headers",
        ])
        .expect_code(0)
        .stdout;
    assert_eq!(text, ["t\t0\tk\ta=1,a=2\tv: w"]);
}

#[test]
fn bytes_that_are_no_text_go_through_length_frames_and_come_out_raw_and_in_base64() {
    let server = Server::start(&[]);
    let input = [
        &[0, 0, 0, 3, 0xff, b'\n', 0][..],
        &[0, 0, 0, 0],
        &[0, 0, 0, 1, b'x'],
    ]
    .concat();
    server
        .run_with(&["produce", "t", "--framing", "length"], &input)
        .expect_code(0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let raw = folder.path().join("raw");
    let mut consume = server.footman(&["consume", "t", "--no-follow", "--output", "raw"]);
    Process::into_file(&mut consume, &raw)
        .finish()
        .expect_code(0);
    assert_eq!(std::fs::read(raw).expect("the file is there"), b"\xff\n\0x");
    let json = server
        .run(&["consume", "t", "-n", "1", "--output", "json"])
        .expect_code(0)
        .stdout;
    assert!(json[0].contains(r#""value_base64":"/woA""#), "{json:?}");
}

#[test]
fn a_start_can_be_an_offset_a_count_from_the_end_or_a_time() {
    let server = Server::start(&[]);
    server.produce_numbers("t", 0..10);
    for (from, first) in [
        ("earliest", 0),
        ("4", 4),
        ("-3", 7),
        ("-99", 0),
        ("@0", 0),
        ("2020-01-01T00:00:00Z", 0),
    ] {
        let out = server
            .run(&["consume", "t", "--from", from, "--no-follow"])
            .expect_code(0)
            .stdout;
        let expected: Vec<String> = (first..10).map(|n: u32| n.to_string()).collect();
        assert_eq!(out, expected, "--from {from}");
    }
    assert_eq!(
        server
            .run(&["consume", "t", "--since", "1h", "-n", "1"])
            .expect_code(0)
            .stdout,
        ["0"]
    );
    for from in ["latest", "10", "2200-01-01T00:00:00Z"] {
        let out = server
            .run(&["consume", "t", "--from", from, "--no-follow"])
            .expect_code(0)
            .stdout;
        assert!(out.is_empty(), "--from {from}: {out:?}");
    }
}

#[test]
fn each_topic_starts_where_it_is_told_to() {
    let server = Server::start(&[]);
    server.produce_numbers("a", 0..10);
    server.produce_numbers("b", 10..20);
    server.produce_numbers("c", 20..30);
    let consume = |from: &[&str]| {
        let topics = ["consume", "a", "b", "c", "--no-follow"];
        let mut out = server
            .run(&[&topics[..], from].concat())
            .expect_code(0)
            .stdout;
        out.sort();
        out
    };
    let from = ["--from", "-1", "--from", "b=8", "--from=c=latest"];
    assert_eq!(consume(&from), ["18", "19", "9"]);
    assert_eq!(
        consume(&["--from", "a=latest"]).len(),
        20,
        "the others from their start"
    );
    let wrong = ["consume", "a", "--from", "z=1"];
    let said = server.run(&wrong).expect_code(2).stderr;
    assert!(said[0].contains("\"z\""), "{said:?}");
}

#[test]
fn several_topics_are_consumed_at_once() {
    let server = Server::start(&[]);
    server.produce_numbers("a", 0..100);
    server.produce_numbers("b", 100..200);
    let mut out = server
        .run(&["consume", "a", "b", "--no-follow", "--show", "topic"])
        .expect_code(0)
        .stdout;
    out.sort_by_key(|line| line.split('\t').nth(1).and_then(|n| n.parse::<u32>().ok()));
    let expected: Vec<String> = (0..200)
        .map(|n| format!("{}\t{n}", if n < 100 { "a" } else { "b" }))
        .collect();
    assert_eq!(out, expected);
}

#[test]
fn a_consumer_whose_reader_has_gone_ends_quietly_with_0_busy_or_idle() {
    let server = Server::start(&[]);
    server.produce_numbers("busy", 0..300_000);
    server.produce_numbers("idle", 0..3);
    for (topic, wanted) in [("busy", 1), ("idle", 3)] {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            &format!("{{ \"$FOOTMAN\" consume {topic}; echo code $? >&2; }} | head -{wanted}"),
        ]);
        shell
            .env("FOOTMAN", env!("CARGO_BIN_EXE_footman"))
            .env("FOOTMAN_SERVER", server.address.to_string());
        let finished = Process::follow(&mut shell).finish().expect_code(0);
        let expected: Vec<String> = (0..wanted).map(|n: u32| n.to_string()).collect();
        assert_eq!(
            (finished.stdout, finished.stderr),
            (expected, vec!["code 0".to_owned()]),
            "{topic}"
        );
    }
}

#[test]
fn a_resumed_consumer_goes_on_where_it_was_and_says_what_it_lost_meanwhile() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let positions = folder.path().join("positions");
    let resume = ["--resume", positions.to_str().expect("UTF-8")];
    server.produce_numbers("t", 0..10);
    let consume = |more: &[&str]| {
        let arguments = [&["consume", "t", "--output", "json"], &resume[..], more].concat();
        let lines = server.run(&arguments).expect_code(0).stdout;
        lines
            .iter()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect::<Vec<serde_json::Value>>()
    };
    let offsets = |lines: &[serde_json::Value]| {
        lines
            .iter()
            .filter_map(|line| line["offset"].as_u64())
            .collect::<Vec<_>>()
    };
    assert_eq!(offsets(&consume(&["-n", "4"])), [0, 1, 2, 3]);
    assert_eq!(offsets(&consume(&["-n", "2", "--grep", "[57]"])), [5, 7]);
    server
        .run(&["topics", "purge", "t", "--before", "9"])
        .expect_code(0);
    let lines = consume(&["--no-follow"]);
    assert_eq!(lines[0]["lost"], serde_json::json!({"from": 8, "to": 9}));
    assert_eq!(offsets(&lines), [9]);
    // Another life of the topic: it is told, and starts over.
    server.run(&["topics", "delete", "t"]).expect_code(0);
    server.produce_numbers("t", 0..2);
    let lines = consume(&["--no-follow"]);
    assert_eq!(lines[0]["reset"]["next_offset"], 0);
    assert_eq!(offsets(&lines), [0, 1]);
}

#[test]
fn a_key_or_its_beginning_chooses_records_at_the_server() {
    let server = Server::start(&[]);
    let produce = ["produce", "users", "--key-separator", ":"];
    let input = "eu-1:a\nus-1:b\neu-2:c\neu-1:d\nus-2:e\n";
    server.run_with(&produce, input.as_bytes()).expect_code(0);
    let consume = |more: &[&str]| {
        let arguments = [&["consume", "users", "--no-follow"], more].concat();
        server.run(&arguments).expect_code(0).stdout
    };
    assert_eq!(consume(&["--key", "eu-1"]), ["a", "d"]);
    assert_eq!(consume(&["--key", "eu"]), [""; 0]);
    assert_eq!(consume(&["--key-prefix", "eu-"]), ["a", "c", "d"]);
    assert_eq!(
        consume(&["--key-prefix", "", "-n", "4"]),
        ["a", "b", "c", "d"]
    );
    let described = server.describe("users");
    assert_eq!(described["filtered_records"], 3 + 5 + 2);

    // Positions are kept behind what was passed over.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let positions = folder.path().join("positions");
    let resume = ["--resume", positions.to_str().expect("UTF-8")];
    assert_eq!(consume(&[&resume[..], &["--key", "us-1"]].concat()), ["b"]);
    server.run_with(&produce, b"us-1:f\n").expect_code(0);
    assert_eq!(consume(&resume), ["f"]);
}

/// A disk that is full: every write to it fails.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_no_more_ends_in_one_line_with_1() {
    let server = Server::start(&[]);
    server.produce_numbers("t", 0..100_000);
    for command in [
        &["consume", "t", "--no-follow"][..],
        &["topics", "list"],
        &["topics", "offsets"],
        &["top", "--once", "--interval", "50ms"],
        &["info"],
        &["completions", "bash"],
    ] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("Linux has one");
        let mut command_line = server.footman(command);
        let process = Process::start(
            &mut command_line,
            std::process::Stdio::null(),
            full.into(),
            false,
        );
        process
            .finish()
            .expect_failure(&["cannot write to standard output", "No space left"]);
    }
}

#[test]
fn offsets_are_told_for_places_and_times() {
    let server = Server::start(&[]);
    server
        .run(&["topics", "create", "t", "--records", "100"])
        .expect_code(0);
    server.produce_numbers("t", 0..1_000);
    server.produce_numbers("u", 0..3);
    let offsets = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let all = [&["topics", "offsets", "-o", "json"], arguments].concat();
        let lines = server.run(&all).expect_code(0).stdout;
        let lines = lines.iter().map(|line| serde_json::from_str(line));
        lines.collect::<Result<_, _>>().expect("JSON")
    };
    let all = offsets(&[]);
    assert_eq!(all.len(), 2);
    assert_eq!(
        (&all[0]["topic"], &all[0]["end_offset"]),
        (&"t".into(), &1_000.into())
    );
    assert!(
        all[0]["start_offset"]
            .as_u64()
            .is_some_and(|start| start >= 900),
        "{all:?}"
    );
    assert!(all[0]["at"].is_null());
    for (place, at) in [
        ("latest", 3),
        ("earliest", 0),
        ("-2", 1),
        ("@0", 0),
        ("2", 2),
    ] {
        assert_eq!(offsets(&["u", "--at", place])[0]["at"], at, "{place}");
    }
    assert_eq!(offsets(&["u", "--since", "1h"])[0]["at"], 0);
    let text = server.run(&["topics", "offsets", "u", "--at", "latest"]);
    assert!(text.expect_code(0).stdout[0].starts_with("TOPIC"));
    server
        .run(&["topics", "offsets", "nope"])
        .expect_failure(&["topic \"nope\" does not exist"]);
}

#[test]
fn records_come_out_in_a_form_of_ones_own() {
    let server = Server::start(&[]);
    let produce = ["produce", "users", "--key-separator", ":", "-H", "a=1"];
    server.run_with(&produce, b"ann:x\nbob:y\n").expect_code(0);
    let consume = [
        "consume",
        "users",
        "--no-follow",
        "--format",
        r"%t %o %k=%v %h %xv\n",
    ];
    let finished = server.run(&consume).expect_code(0);
    assert_eq!(
        finished.stdout,
        ["users 0 ann=x a=1 78", "users 1 bob=y a=1 79"]
    );
}
