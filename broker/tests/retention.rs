//! What a topic keeps: exactly its newest records within all limits, by the monotonic clock.

mod support;

use std::time::Duration;

use footman_broker::{
    PurgeTopicError, Record, StartAt, TopicOptions, TopicUpdate, UpdateTopicError,
};
use support::{broker, broker_on_clock, drain_short, keeping, numbered, produce_numbered};

const SECOND: Duration = Duration::from_secs(1);
const YEAR_US: i64 = 365 * 24 * 3600 * 1_000_000;

#[test]
fn records_are_kept_to_the_exact_number() {
    let (broker, producer) = keeping(7);
    for end in 1..1_000 {
        producer.produce(&numbered(end - 1)).unwrap();
        let info = broker.topic("t").unwrap();
        assert_eq!(
            (info.start_offset, info.end_offset),
            (end.saturating_sub(7), end)
        );
    }
}

#[test]
fn bytes_are_kept_to_the_exact_number() {
    let broker = broker();
    broker
        .create_topic("t", TopicOptions::default().with_max_bytes(1_000))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    // As stored: two bytes of frame, nine of timestamp, two in front of the value.
    let stored = |number: u64| numbered(number).value.len() as u64 + 13;
    for end in 1..500 {
        producer.produce(&numbered(end - 1)).unwrap();
        let mut start = end;
        let mut bytes = 0;
        while start > 0 && bytes + stored(start - 1) <= 1_000 {
            start -= 1;
            bytes += stored(start);
        }
        let info = broker.topic("t").unwrap();
        assert_eq!(
            (info.start_offset, info.retained_bytes),
            (start, bytes),
            "at {end}"
        );
    }
}

#[test]
fn a_batch_larger_than_the_topic_keeps_its_newest_records() {
    let (broker, producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let batch: Vec<Record> = (0..100).map(numbered).collect();
    producer.produce_batch(&batch).unwrap();
    assert_eq!(drain_short(&mut consumer), ["t lost 0..90", "t 90..100"]);
}

#[test]
fn records_go_at_their_age_and_not_before() {
    let (broker, clock) = broker_on_clock();
    broker
        .create_topic("t", TopicOptions::default().with_max_age(10 * SECOND))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    for _ in 0..20 {
        producer.produce(&Record::new("x")).unwrap();
        clock.advance(SECOND);
    }
    // Record i was appended at second i; it is second 20. The last append was at 19.
    assert_eq!(broker.topic("t").unwrap().start_offset, 10);
    broker.expire();
    assert_eq!(broker.topic("t").unwrap().start_offset, 11);
    clock.advance(SECOND - Duration::from_nanos(1));
    broker.expire();
    assert_eq!(broker.topic("t").unwrap().start_offset, 11);
    clock.advance(Duration::from_nanos(1));
    broker.expire();
    assert_eq!(broker.topic("t").unwrap().start_offset, 12);
    clock.advance(100 * SECOND);
    broker.expire();
    let info = broker.topic("t").unwrap();
    assert_eq!(
        (info.start_offset, info.end_offset, info.retained_bytes),
        (20, 20, 0)
    );
}

#[test]
fn a_poll_never_gives_a_record_past_its_age() {
    let (broker, clock) = broker_on_clock();
    broker
        .create_topic("t", TopicOptions::default().with_max_age(10 * SECOND))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    producer.produce(&Record::new("old")).unwrap();
    clock.advance(5 * SECOND);
    producer.produce(&Record::new("young")).unwrap();
    clock.advance(5 * SECOND);
    assert_eq!(drain_short(&mut consumer), ["t lost 0..1", "t 1..2"]);
}

#[test]
fn an_age_is_kept_to_within_its_grain() {
    let (broker, clock) = broker_on_clock();
    let age = Duration::from_millis(2_048);
    broker
        .create_topic("t", TopicOptions::default().with_max_age(age))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    let (step, grain) = (Duration::from_micros(100), Duration::from_millis(2));
    let mut appended = Vec::new();
    let mut now = Duration::ZERO;
    for _ in 0..60_000 {
        producer.produce(&Record::new("x")).unwrap();
        appended.push(now);
        let oldest = broker.topic("t").unwrap().start_offset as usize;
        assert!(
            now - appended[oldest] <= age + grain,
            "a record outlived its age"
        );
        if oldest > 0 {
            assert!(
                now - appended[oldest - 1] >= age,
                "a record went before its age"
            );
        }
        clock.advance(step);
        now += step;
    }
}

#[test]
fn jumps_of_the_wall_clock_change_no_records_life() {
    let (broker, clock) = broker_on_clock();
    broker
        .create_topic("t", TopicOptions::default().with_max_age(10 * SECOND))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    let start = clock.wall_us();
    for jump in [YEAR_US, -YEAR_US, i64::MIN / 2, i64::MAX - start] {
        producer.produce(&Record::new("x")).unwrap();
        let before = broker.topic("t").unwrap();
        clock.set_wall_us(start + jump);
        broker.expire();
        producer.produce(&Record::new("y")).unwrap();
        let after = broker.topic("t").unwrap();
        assert_eq!(after.start_offset, before.start_offset);
        clock.set_wall_us(start);
    }
    clock.advance(10 * SECOND);
    broker.expire();
    assert_eq!(broker.topic("t").unwrap().start_offset, 8);
}

#[test]
fn a_process_that_stood_still_for_long_goes_on() {
    let (broker, clock) = broker_on_clock();
    broker
        .create_topic("t", TopicOptions::default().with_max_age(SECOND))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    produce_numbered(&producer, 0..1_000);
    clock.advance(Duration::from_secs(1 << 40));
    produce_numbered(&producer, 1_000..1_001);
    assert_eq!(
        drain_short(&mut consumer),
        ["t lost 0..1000", "t 1000..1001"]
    );
}

#[test]
fn a_purge_forgets_what_it_is_told_to() {
    let (broker, producer) = keeping(100);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    produce_numbered(&producer, 0..50);
    assert_eq!(broker.purge_topic("t", Some(20)).unwrap().start_offset, 20);
    assert_eq!(broker.purge_topic("t", Some(5)).unwrap().start_offset, 20);
    assert_eq!(drain_short(&mut consumer), ["t lost 0..20", "t 20..50"]);
    let beyond = PurgeTopicError::OffsetOutOfRange {
        offset: 51,
        end_offset: 50,
    };
    assert_eq!(broker.purge_topic("t", Some(51)).unwrap_err(), beyond);
    let info = broker.purge_topic("t", None).unwrap();
    assert_eq!(
        (info.start_offset, info.end_offset, info.retained_bytes),
        (50, 50, 0)
    );
    produce_numbered(&producer, 50..51);
    assert_eq!(drain_short(&mut consumer), ["t 50..51"]);
}

#[test]
fn options_can_be_changed_and_what_is_over_them_goes_at_once() {
    let (broker, clock) = broker_on_clock();
    broker.create_topic("t", TopicOptions::default()).unwrap();
    let producer = broker.producer("t").unwrap();
    produce_numbered(&producer, 0..1_000);
    let update = |change: &dyn Fn(&mut TopicUpdate)| {
        let mut update = TopicUpdate::new();
        change(&mut update);
        broker.update_topic("t", update)
    };
    assert_eq!(
        update(&|u| u.max_records = Some(300)).unwrap().start_offset,
        700
    );
    let info = update(&|u| u.max_bytes = Some(1_000)).unwrap();
    assert!(info.retained_bytes <= 1_000 && info.retained_bytes > 900);
    assert_eq!(info.options.max_records, 300);
    clock.advance(SECOND);
    // Nobody noted when they came: they count as new.
    let aged = update(&|u| u.max_age = Some(Some(SECOND))).unwrap();
    assert_eq!(aged.start_offset, info.start_offset);
    clock.advance(SECOND);
    broker.expire();
    assert_eq!(broker.topic("t").unwrap().start_offset, 1_000);
    produce_numbered(&producer, 1_000..1_010);
    update(&|u| u.max_age = Some(None)).unwrap();
    clock.advance(1_000 * SECOND);
    broker.expire();
    assert_eq!(broker.topic("t").unwrap().start_offset, 1_000);
    let refused = update(&|u| u.max_records = Some(0)).unwrap_err();
    assert!(matches!(refused, UpdateTopicError::InvalidOptions(_)));
    assert_eq!(broker.topic("t").unwrap().options.max_records, 300);
}
