//! Where a subscription can start and stop, and what is said where it cannot.

mod support;

use footman_broker::{
    Epoch, OffsetQuery, Record, SeekError, StartAt, StopAt, SubscribeError, SubscribeOptions,
};
use support::{broker, broker_on_clock, drain_short, keeping, numbered, produce_numbered};

/// A topic `t` of 10 kept records, 15..25.
fn lapped_topic() -> (footman_broker::Broker, footman_broker::Producer) {
    let (broker, producer) = keeping(10);
    produce_numbered(&producer, 0..25);
    (broker, producer)
}

fn read_from(start: StartAt) -> Vec<String> {
    let (broker, _producer) = lapped_topic();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", start).unwrap();
    drain_short(&mut consumer)
}

#[test]
fn earliest_is_the_oldest_record_kept() {
    assert_eq!(read_from(StartAt::Earliest), ["t 15..25"]);
}

#[test]
fn latest_is_the_next_record() {
    let (broker, producer) = lapped_topic();
    let mut consumer = broker.consumer();
    assert_eq!(
        consumer
            .subscribe("t", StartAt::Latest)
            .unwrap()
            .next_offset,
        25
    );
    assert!(consumer.try_poll().is_none());
    producer.produce(&numbered(25)).unwrap();
    assert_eq!(drain_short(&mut consumer), ["t 25..26"]);
}

#[test]
fn an_offset_that_is_kept_is_where_reading_starts() {
    assert_eq!(read_from(StartAt::Offset(20)), ["t 20..25"]);
    assert_eq!(read_from(StartAt::Offset(25)), [] as [&str; 0]);
}

#[test]
fn an_offset_below_the_oldest_is_a_loss_first() {
    assert_eq!(read_from(StartAt::Offset(3)), ["t lost 3..15", "t 15..25"]);
}

#[test]
fn an_offset_beyond_the_end_is_an_error_with_the_range() {
    let (broker, _producer) = lapped_topic();
    let mut consumer = broker.consumer();
    let error = consumer.subscribe("t", StartAt::Offset(26)).unwrap_err();
    let expected = SubscribeError::OffsetOutOfRange {
        offset: 26,
        start_offset: 15,
        end_offset: 25,
    };
    assert_eq!(error, expected);
    assert_eq!(
        error.to_string(),
        "offset 26 is beyond the end: the topic has 15 up to 25"
    );
    assert_eq!(consumer.positions().count(), 0);
    assert_eq!(broker.topic("t").unwrap().subscriptions, 0);
}

#[test]
fn last_n_is_clamped_to_the_oldest() {
    assert_eq!(read_from(StartAt::Last(3)), ["t 22..25"]);
    assert_eq!(read_from(StartAt::Last(10)), ["t 15..25"]);
    assert_eq!(read_from(StartAt::Last(u64::MAX)), ["t 15..25"]);
    assert_eq!(read_from(StartAt::Last(0)), [] as [&str; 0]);
}

#[test]
fn a_timestamp_is_the_first_record_that_is_not_older() {
    let (broker, clock) = broker_on_clock();
    let producer = broker.producer("t").unwrap();
    let start = clock.wall_us();
    for i in 0..2_000 {
        clock.set_wall_us(start + i * 10);
        producer.produce(&Record::new("x")).unwrap();
    }
    let at = |us| {
        broker
            .offset_for("t", OffsetQuery::Timestamp(us))
            .unwrap()
            .1
    };
    assert_eq!(at(i64::MIN), 0);
    assert_eq!(at(start), 0);
    assert_eq!(at(start + 1), 1);
    assert_eq!(at(start + 12_340), 1_234);
    assert_eq!(at(start + 19_990), 1_999);
    assert_eq!(at(start + 19_991), 2_000);
    assert_eq!(at(i64::MAX), 2_000);
    broker.purge_topic("t", Some(1_500)).unwrap();
    assert_eq!(at(start), 1_500);
    let mut consumer = broker.consumer();
    consumer
        .subscribe("t", StartAt::Timestamp(start + 19_980))
        .unwrap();
    assert_eq!(drain_short(&mut consumer), ["t 1998..2000"]);
}

#[test]
fn a_timestamp_is_exact_when_producers_give_them_out_of_order() {
    let broker = broker();
    let producer = broker.producer("t").unwrap();
    // Falls for a while, has one record from the future, rises again.
    let timestamps: Vec<i64> = (1..4_000)
        .map(|i| {
            if i == 700 {
                1_000_000
            } else {
                (i - 2_000i64).abs() + 1
            }
        })
        .collect();
    for &timestamp in &timestamps {
        producer
            .produce(&Record::new("x").with_timestamp(timestamp))
            .unwrap();
    }
    for oldest in [0, 300, 701, 2_500] {
        broker.purge_topic("t", Some(oldest as u64)).unwrap();
        for wanted in (0..2_100).step_by(37).chain([999_999, 1_000_001]) {
            let expected = (oldest..timestamps.len()).find(|&i| timestamps[i] >= wanted);
            let found = broker
                .offset_for("t", OffsetQuery::Timestamp(wanted))
                .unwrap()
                .1;
            assert_eq!(
                found,
                expected.unwrap_or(timestamps.len()) as u64,
                "{wanted}"
            );
        }
    }
}

#[test]
fn an_offset_of_another_epoch_is_refused_and_resuming_there_is_a_reset() {
    let (broker, _producer) = lapped_topic();
    let current = broker.topic("t").unwrap().epoch;
    let requested = Epoch::new(77).unwrap();
    let mut consumer = broker.consumer();
    let strict = StartAt::OffsetIn {
        epoch: requested,
        offset: 20,
    };
    let mismatch = SubscribeError::EpochMismatch { requested, current };
    assert_eq!(consumer.subscribe("t", strict), Err(mismatch));

    let resume = StartAt::Resume {
        epoch: requested,
        next_offset: 1_000_000,
    };
    let subscribed = consumer.subscribe("t", resume).unwrap();
    assert_eq!((subscribed.epoch, subscribed.next_offset), (current, 0));
    assert_eq!(
        drain_short(&mut consumer),
        ["t reset 0", "t lost 0..15", "t 15..25"]
    );

    let seek = consumer.seek(
        "t",
        StartAt::OffsetIn {
            epoch: requested,
            offset: 20,
        },
    );
    assert_eq!(seek, Err(SeekError::EpochMismatch { requested, current }));
    consumer
        .seek(
            "t",
            StartAt::OffsetIn {
                epoch: current,
                offset: 20,
            },
        )
        .unwrap();
    assert_eq!(drain_short(&mut consumer), ["t 20..25"]);
}

#[test]
fn resuming_in_the_same_epoch_goes_on() {
    let (broker, producer) = lapped_topic();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    drain_short(&mut consumer);
    let (_, position) = consumer.positions().next().unwrap();
    drop(consumer);
    producer.produce(&numbered(25)).unwrap();

    let mut consumer = broker.consumer();
    let resume = StartAt::Resume {
        epoch: position.epoch,
        next_offset: position.next_offset,
    };
    consumer.subscribe("t", resume).unwrap();
    assert_eq!(drain_short(&mut consumer), ["t 25..26"]);
}

#[test]
fn a_stop_of_another_life_is_the_end_of_this_one() {
    let (broker, producer) = lapped_topic();
    let resume = StartAt::Resume {
        epoch: Epoch::new(77).unwrap(),
        next_offset: 900,
    };
    let mut consumer = broker.consumer();
    let options = SubscribeOptions::new(resume).with_stop(StopAt::Offset(1_000));
    let subscribed = consumer.subscribe_with("t", options).unwrap();
    assert_eq!(subscribed.stop_offset, Some(25));
    produce_numbered(&producer, 25..28);
    assert_eq!(
        drain_short(&mut consumer),
        ["t reset 0", "t lost 0..18", "t 18..25", "t end Stopped 25"]
    );
    assert!(consumer.is_finished());
}

fn read_up_to(start: StartAt, stop: StopAt) -> Vec<String> {
    let (broker, producer) = lapped_topic();
    let mut consumer = broker.consumer();
    let options = SubscribeOptions::new(start).with_stop(stop);
    consumer.subscribe_with("t", options).unwrap();
    produce_numbered(&producer, 25..28);
    let items = drain_short(&mut consumer);
    assert!(consumer.is_finished());
    items
}

#[test]
fn a_subscription_stops_where_it_was_told_to() {
    let last = |n| StartAt::Last(n);
    assert_eq!(
        read_up_to(last(2), StopAt::End),
        ["t 23..25", "t end Stopped 25"]
    );
    assert_eq!(
        read_up_to(StartAt::Latest, StopAt::End),
        ["t end Stopped 25"]
    );
    assert_eq!(
        read_up_to(last(2), StopAt::Offset(27)),
        ["t 23..27", "t end Stopped 27"]
    );
    assert_eq!(read_up_to(last(2), StopAt::Offset(3)), ["t end Stopped 23"]);
}

#[test]
fn what_is_lost_behind_the_stop_is_not_this_subscriptions_loss() {
    let (broker, producer) = keeping(10);
    produce_numbered(&producer, 0..5);
    let mut consumer = broker.consumer();
    let options = SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::End);
    consumer.subscribe_with("t", options).unwrap();
    produce_numbered(&producer, 5..50);
    assert_eq!(
        drain_short(&mut consumer),
        ["t lost 0..5", "t end Stopped 5"]
    );
}

#[test]
fn a_stop_that_is_yet_to_come_is_waited_for() {
    let (broker, producer) = keeping(10);
    let mut consumer = broker.consumer();
    let options = SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::Offset(2));
    consumer.subscribe_with("t", options).unwrap();
    produce_numbered(&producer, 0..1);
    assert_eq!(drain_short(&mut consumer), ["t 0..1"]);
    assert!(!consumer.is_finished());
    produce_numbered(&producer, 1..5);
    assert_eq!(drain_short(&mut consumer), ["t 1..2", "t end Stopped 2"]);
}
