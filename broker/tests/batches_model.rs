//! Consuming in batches against a plain account: whatever is produced, fails, is lost, and however it ends, every
//! record that was read is processed once, given back, or told as lost, and the positions leave none out.
//!
//! `FOOTMAN_MODEL_CASES` sets the number of cases.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use footman_batcher::{Batch, Batcher, OnFailure, RetryPolicy};
use footman_broker::{
    BatchesReport, Broker, ConsumedRecord, Item, StartAt, StopAt, SubscribeOptions, TopicOptions,
};
use proptest::prelude::*;
use support::{broker, check_numbered, numbered};

const TOPICS: [&str; 2] = ["a", "b"];
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy)]
enum Ending {
    /// Each subscription has a stop.
    Finish,
    SafeStop,
    Stop,
}

#[derive(Debug, Clone)]
struct Case {
    kept: u64,
    /// Batches: to which topic, and how many records.
    produced: Vec<(usize, u64)>,
    /// How many of them are there before the consumer reads.
    before: usize,
    max_items: usize,
    workers: usize,
    capacity: usize,
    /// A batch that begins at a multiple of this fails once.
    fails: u64,
    ending: Ending,
}

fn case() -> impl Strategy<Value = Case> {
    let produced = proptest::collection::vec((0..TOPICS.len(), 1u64..30), 0..20);
    let ending = prop_oneof![
        Just(Ending::Finish),
        Just(Ending::SafeStop),
        Just(Ending::Stop)
    ];
    (
        produced,
        1u64..200,
        0usize..20,
        1usize..20,
        1usize..4,
        1usize..60,
        2u64..9,
        ending,
    )
        .prop_map(
            |(produced, kept, before, max_items, workers, room, fails, ending)| Case {
                kept,
                before: before.min(produced.len()),
                produced,
                max_items,
                workers,
                capacity: max_items + room,
                fails,
                ending,
            },
        )
}

/// A record of a topic.
type Id = (String, u64);

fn id(record: &ConsumedRecord) -> Id {
    (record.topic().to_string(), record.offset())
}

/// What the processor and the handler of what is not records were given.
#[derive(Default)]
struct Seen {
    processed: Vec<Id>,
    failed_once: HashSet<Id>,
    lost: Vec<(String, u64, u64)>,
}

fn produce(broker: &Broker, batches: &[(usize, u64)], ends: &mut [u64; 2]) {
    for &(topic, records) in batches {
        let batch: Vec<_> = (ends[topic]..ends[topic] + records).map(numbered).collect();
        let producer = broker.producer(TOPICS[topic]).unwrap();
        producer.produce_batch(&batch).unwrap();
        ends[topic] += records;
    }
}

/// Runs the case; what was seen, how it ended, and where each topic ends.
fn run(case: &Case) -> (Seen, BatchesReport, [u64; 2]) {
    let broker = broker();
    let mut consumer = broker.consumer();
    for (i, topic) in TOPICS.into_iter().enumerate() {
        let options = TopicOptions::default().with_max_records(case.kept);
        broker.create_topic(topic, options).unwrap();
        let all: u64 = case
            .produced
            .iter()
            .filter(|(to, _)| *to == i)
            .map(|(_, n)| n)
            .sum();
        let stop = match case.ending {
            Ending::Finish => StopAt::Offset(all),
            Ending::SafeStop | Ending::Stop => StopAt::Never,
        };
        let options = SubscribeOptions::new(StartAt::Earliest).with_stop(stop);
        consumer.subscribe_with(topic, options).unwrap();
    }
    let mut ends = [0; 2];
    let (before, after) = case.produced.split_at(case.before);
    produce(&broker, before, &mut ends);

    let seen = Arc::new(Mutex::new(Seen::default()));
    let (sees, told) = (Arc::clone(&seen), Arc::clone(&seen));
    let (max_items, fails) = (case.max_items, case.fails);
    let batches = consumer
        .into_batches(
            Batcher::builder()
                .max_items(max_items)
                .capacity(case.capacity)
                .workers(case.workers)
                .linger(Duration::from_millis(1))
                .retry(RetryPolicy::attempts(2))
                .on_failure(|_| OnFailure::Retry),
            move |batch: &mut Batch<ConsumedRecord>| {
                assert!((1..=max_items).contains(&batch.len()));
                let mut seen = sees.lock().unwrap();
                if let Some(first) = batch.first()
                    && first.offset().is_multiple_of(fails)
                    && seen.failed_once.insert(id(first))
                {
                    return Err(io::Error::other("busy"));
                }
                for record in &*batch {
                    check_numbered(record.get());
                    seen.processed.push(id(record));
                }
                Ok(())
            },
            move |item| match item {
                Item::Lost(lost) => {
                    let lost = (lost.topic.to_string(), lost.from, lost.to);
                    told.lock().unwrap().lost.push(lost);
                }
                other => assert!(matches!(other, Item::End(_)), "{other:?}"),
            },
        )
        .unwrap();
    produce(&broker, after, &mut ends);
    let report = match case.ending {
        Ending::Finish => batches.finish(),
        Ending::SafeStop => batches.safe_stop(PATIENCE),
        Ending::Stop => batches.stop(PATIENCE),
    };
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, report, ends)
}

/// Holds what happened against what was produced.
fn check(case: &Case, seen: &Seen, report: &BatchesReport, ends: [u64; 2]) {
    let given_back = || report.batcher.unprocessed.iter().chain(&report.refused);
    assert_eq!(report.batcher.processed, seen.processed.len() as u64);
    assert_eq!(
        (report.batcher.failed, report.batcher.still_running),
        (0, 0)
    );
    let lost_records: u64 = seen.lost.iter().map(|(_, from, to)| to - from).sum();
    assert_eq!(report.lost, lost_records);

    let mut done = BTreeMap::new();
    let lost = |(topic, from, to): &(String, u64, u64)| {
        (*from..*to)
            .map(|offset| (topic.clone(), offset))
            .collect::<Vec<_>>()
    };
    let told = seen.lost.iter().flat_map(lost);
    let ways = seen
        .processed
        .iter()
        .cloned()
        .chain(told)
        .map(|id| (id, true));
    for (id, is_done) in ways.chain(given_back().map(|record| (id(record), false))) {
        let again = done.insert(id.clone(), is_done);
        assert_eq!(again, None, "{id:?} twice");
    }
    for (topic, end) in TOPICS.into_iter().zip(ends) {
        let of_topic: Vec<_> = done.iter().filter(|((name, _), _)| name == topic).collect();
        for (i, ((_, offset), _)) in of_topic.iter().enumerate() {
            assert_eq!(*offset, i as u64, "of {topic}, without a hole");
        }
        let read = of_topic.len() as u64;
        assert!(read <= end);
        let position = report.positions.iter().find(|(name, _)| **name == *topic);
        let next = position.expect("each topic has a position").1.next_offset;
        assert!(next <= read);
        let before = of_topic.iter().take(next as usize);
        assert!(
            before.into_iter().all(|(_, is_done)| **is_done),
            "{topic} before {next}"
        );
        if matches!(case.ending, Ending::Finish) {
            assert_eq!((read, next), (end, end));
        }
    }
    if !matches!(case.ending, Ending::Stop) {
        assert_eq!(report.batcher.unprocessed.len(), 0);
    }
}

fn cases() -> u32 {
    let cases = std::env::var("FOOTMAN_MODEL_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_processed_once_given_back_or_told_as_lost(case in case()) {
        let (seen, report, ends) = run(&case);
        check(&case, &seen, &report, ends);
    }
}
