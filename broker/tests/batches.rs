//! Consuming in batches: sizes and workers as asked for, losses told, positions that leave nothing out.

mod support;

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use footman_batcher::{Batch, Batcher, OnFailure, RetryPolicy};
use footman_broker::{ConsumedRecord, Consumer, Item, Position, StartAt, StopAt, SubscribeOptions};
use support::{broker, check_numbered, keeping, produce_numbered};

const PATIENCE: Duration = Duration::from_secs(20);

fn up_to_the_end(mut consumer: Consumer, topics: &[&str]) -> Consumer {
    for topic in topics {
        let options = SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::End);
        consumer.subscribe_with(topic, options).unwrap();
    }
    consumer
}

fn no_notice(item: Item) {
    assert!(matches!(item, Item::End(_)), "{item:?}");
}

#[test]
fn every_record_of_every_topic_is_processed_once_in_batches_of_the_size_asked_for() {
    let broker = broker();
    for topic in ["a", "b"] {
        produce_numbered(&broker.producer(topic).unwrap(), 0..5_000);
    }
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let sees = Arc::clone(&seen);
    let batches = up_to_the_end(broker.consumer(), &["a", "b"])
        .into_batches(
            Batcher::builder().max_items(64).linger(PATIENCE).workers(3),
            move |batch: &mut Batch<ConsumedRecord>| {
                assert!(batch.len() <= 64);
                let mut seen = sees.lock().unwrap();
                for record in &*batch {
                    check_numbered(record.get());
                    let id = (record.topic().clone(), record.offset());
                    assert!(seen.insert(id), "{record:?} came twice");
                }
                Ok::<_, Infallible>(())
            },
            no_notice,
        )
        .unwrap();
    let report = batches.finish();
    assert_eq!((report.batcher.processed, report.lost), (10_000, 0));
    assert_eq!(seen.lock().unwrap().len(), 10_000);
    for (_, position) in report.positions {
        assert_eq!(position.next_offset, 5_000);
    }
}

#[test]
fn what_is_lost_before_it_is_read_is_told_and_counted() {
    let (broker, producer) = keeping(100);
    let mut consumer = broker.consumer();
    let options = SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::Offset(1_000));
    consumer.subscribe_with("t", options).unwrap();
    produce_numbered(&producer, 0..1_000);
    let (tell, told) = mpsc::channel();
    let batches = consumer
        .into_batches(
            Batcher::builder(),
            |_| Ok::<_, Infallible>(()),
            move |item| tell.send(support::short(&item)).unwrap(),
        )
        .unwrap();
    let report = batches.finish();
    assert_eq!((report.batcher.processed, report.lost), (100, 900));
    let told: Vec<_> = told.iter().collect();
    assert_eq!(told, ["t lost 0..900", "t end Stopped 1000"]);
}

#[test]
fn positions_stay_behind_what_is_being_processed_and_a_stop_gives_the_rest_back() {
    let (broker, producer) = keeping(1_000);
    produce_numbered(&producer, 0..10);
    let (entered, enters) = mpsc::channel();
    let (leave, leaves) = mpsc::channel::<()>();
    let leaves = Mutex::new(leaves);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let batches = consumer
        .into_batches(
            Batcher::builder().max_items(10).workers(1).linger(PATIENCE),
            move |batch: &mut Batch<ConsumedRecord>| {
                entered.send(batch.len()).unwrap();
                leaves.lock().unwrap().recv().ok();
                Ok::<_, Infallible>(())
            },
            no_notice,
        )
        .unwrap();
    assert_eq!(enters.recv_timeout(PATIENCE), Ok(10));
    let at = |positions: Vec<(Arc<str>, Position)>| positions[0].1.next_offset;
    assert_eq!(at(batches.positions()), 0, "none of it is done");
    leave.send(()).unwrap();
    while at(batches.positions()) < 10 {
        std::thread::yield_now();
    }
    // Five more wait for their batch to fill: they are given back, and the position is before them.
    produce_numbered(&producer, 10..15);
    while batches.counters().queued < 5 {
        std::thread::yield_now();
    }
    let report = batches.stop(PATIENCE);
    assert_eq!(report.batcher.unprocessed.len(), 5);
    assert_eq!(at(report.positions), 10);
}

#[test]
fn a_batch_that_fails_goes_to_the_handler_and_is_tried_again() {
    let (broker, producer) = keeping(1_000);
    produce_numbered(&producer, 0..100);
    let calls = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&calls);
    let batches = up_to_the_end(broker.consumer(), &["t"])
        .into_batches(
            Batcher::builder()
                .max_items(50)
                .workers(1)
                .retry(RetryPolicy::attempts(2))
                .on_failure(|_| OnFailure::Retry),
            move |_| match count.fetch_add(1, Ordering::Relaxed) {
                0 => Err(std::io::Error::other("busy")),
                _ => Ok(()),
            },
            no_notice,
        )
        .unwrap();
    let report = batches.finish();
    assert_eq!((report.batcher.processed, report.batcher.failed), (100, 0));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

#[test]
fn a_reader_that_waits_is_stopped_at_once_and_a_full_queue_does_not_hold_it() {
    let (broker, producer) = keeping(100_000);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    let idle = consumer
        .into_batches(Batcher::builder(), |_| Ok::<_, Infallible>(()), no_notice)
        .unwrap();
    let report = idle.safe_stop(PATIENCE);
    assert_eq!((report.batcher.accepted, report.refused.len()), (0, 0));

    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    produce_numbered(&producer, 0..50_000);
    let (leave, leaves) = mpsc::channel::<()>();
    let leaves = Mutex::new(leaves);
    let full = consumer
        .into_batches(
            Batcher::builder().max_items(10).capacity(100).workers(1),
            move |_| {
                leaves.lock().unwrap().recv().ok();
                Ok::<_, Infallible>(())
            },
            no_notice,
        )
        .unwrap();
    while full.counters().accepted < 100 {
        std::thread::yield_now();
    }
    drop(leave);
    let report = full.stop(PATIENCE);
    let done = report.batcher.processed;
    // Everything that was read is accounted for, and the position leaves none of it out.
    let mut held: Vec<_> = report
        .batcher
        .unprocessed
        .iter()
        .chain(&report.refused)
        .collect();
    held.sort_unstable_by_key(|record| record.offset());
    assert!(!held.is_empty() && report.batcher.still_running == 0);
    for (i, record) in held.iter().enumerate() {
        assert_eq!(record.offset(), done + i as u64);
    }
    assert!(report.positions[0].1.next_offset <= done);
}
