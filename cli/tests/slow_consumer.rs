//! A consumer that is stopped while its topic is overrun is told exactly what it lost; nobody waits for it.
#![cfg(unix)]

mod support;

use std::ops::Range;

use rustix::process::Signal;
use serde_json::Value;
use support::{Process, Server};

/// More than sockets and windows between server and consumer can hold: about 100 MiB in all.
const RECORDS: u64 = 100_000;
const STEP: u64 = 10_000;

/// What a consumer's output says it got and lost, checked line by line to be without gap or overlap.
#[derive(Debug, Default)]
struct Ledger {
    next: u64,
    delivered: u64,
    lost: Vec<Range<u64>>,
}

impl Ledger {
    fn take(&mut self, line: &Value) {
        if let Some(lost) = line.get("lost") {
            let (from, to) = (
                lost["from"].as_u64().expect("a number"),
                lost["to"].as_u64().expect("a number"),
            );
            assert_eq!(from, self.next, "a loss starts where reading stood");
            assert!(to > from, "a loss is of something");
            self.lost.push(from..to);
            self.next = to;
        } else {
            assert_eq!(line["offset"], self.next, "{line}");
            let value = line["value"].as_str().expect("a string");
            assert_eq!(
                value.trim_end_matches('.').parse(),
                Ok(self.next),
                "the value is that of its offset"
            );
            self.delivered += 1;
            self.next += 1;
        }
    }

    fn take_until(&mut self, process: &mut Process, offset: u64) {
        while self.next < offset {
            self.take(&process.next_json());
        }
    }

    fn lost_records(&self) -> u64 {
        self.lost.iter().map(|lost| lost.end - lost.start).sum()
    }
}

/// A line of a kilobyte for each number: the number, then dots.
fn lines(range: Range<u64>) -> Vec<u8> {
    range
        .flat_map(|n| format!("{n:.<1024}\n").into_bytes())
        .collect()
}

#[test]
fn a_stopped_consumer_is_told_what_it_lost_and_slows_nobody() {
    let server = Server::start(&[]);
    server
        .run(&["topics", "create", "small", "--records", "20000"])
        .expect_code(0);
    let consume = ["consume", "small", "--output", "json"];
    let mut stopped = Process::follow(&mut server.footman(&consume));
    let mut other = Process::follow(&mut server.footman(&consume));
    let (mut of_stopped, mut of_other) = (Ledger::default(), Ledger::default());

    server
        .run_with(&["produce", "small"], &lines(0..1))
        .expect_code(0);
    of_stopped.take_until(&mut stopped, 1);
    stopped.signal(Signal::STOP);

    // While it stands still the producers end, with all acknowledged, and the other consumer keeps up.
    for step in (0..RECORDS).step_by(STEP as usize) {
        let range = step.max(1)..step + STEP;
        server
            .run_with(&["produce", "small"], &lines(range))
            .expect_code(0);
        of_other.take_until(&mut other, step + STEP);
    }
    assert_eq!(server.describe("small")["end_offset"], RECORDS);
    assert_eq!(
        (of_other.delivered, of_other.lost_records()),
        (RECORDS, 0),
        "the other consumer lost nothing"
    );

    stopped.signal(Signal::CONT);
    of_stopped.take_until(&mut stopped, RECORDS);
    assert!(
        !of_stopped.lost.is_empty(),
        "20 000 records are kept, and {RECORDS} were produced"
    );
    assert_eq!(of_stopped.delivered + of_stopped.lost_records(), RECORDS);

    // It is as before: what comes next arrives.
    server
        .run_with(&["produce", "small"], &lines(RECORDS..RECORDS + 1))
        .expect_code(0);
    of_stopped.take_until(&mut stopped, RECORDS + 1);
    stopped.signal(Signal::INT);
    let finished = stopped.finish().expect_code(0);
    let summary = finished
        .stderr
        .last()
        .expect("the counts are said")
        .replace(' ', "");
    assert!(
        summary.contains(&format!("{}lost", of_stopped.lost_records())),
        "{summary}"
    );
}
