//! Consumers that follow topics by pattern, as they appear and disappear.

mod support;

use std::task::{Context, Waker};
use std::time::Duration;

use footman_broker::{
    Broker, BrokerOptions, Epoch, Item, MAX_SUBSCRIPTIONS, StartAt, SubscribeError, TopicOptions,
};
use support::{broker, drain_short, produce_numbered};

fn produce(broker: &Broker, topic: &str, records: u64) {
    let end = broker.topic(topic).map_or(0, |info| info.end_offset);
    produce_numbered(&broker.producer(topic).unwrap(), end..end + records);
}

#[test]
fn topics_are_taken_up_as_they_appear_from_their_first_record() {
    let broker = broker();
    produce(&broker, "orders.eu", 3);
    produce(&broker, "logs", 3);
    let mut consumer = broker.consumer();
    assert_eq!(
        consumer
            .subscribe_pattern("orders.*", StartAt::Last(1))
            .unwrap(),
        1
    );
    produce(&broker, "orders.us", 2);
    produce(&broker, "orders.us.west", 2);
    produce(&broker, "more", 2);
    assert_eq!(
        drain_short(&mut consumer),
        ["orders.eu 2..3", "orders.us 0..2"]
    );
    produce(&broker, "orders.asia", 1);
    produce(&broker, "orders.eu", 1);
    assert_eq!(
        drain_short(&mut consumer),
        ["orders.eu 3..4", "orders.asia 0..1"]
    );
    assert!(!consumer.is_finished());
}

#[test]
fn a_topic_that_two_patterns_match_is_followed_once() {
    let broker = broker();
    produce(&broker, "a.b", 1);
    let mut consumer = broker.consumer();
    consumer.subscribe("a.b", StartAt::Earliest).unwrap();
    assert_eq!(
        consumer
            .subscribe_pattern("a.*", StartAt::Earliest)
            .unwrap(),
        0
    );
    produce(&broker, "a.c", 1);
    assert_eq!(
        consumer.subscribe_pattern("*.c", StartAt::Latest).unwrap(),
        1
    );
    produce(&broker, "a.d", 1);
    produce(&broker, "b.c", 1);
    assert_eq!(
        drain_short(&mut consumer),
        ["a.b 0..1", "a.d 0..1", "b.c 0..1"]
    );
    consumer.unsubscribe_pattern("a.*").unwrap();
    let mut topics: Vec<_> = consumer.positions().map(|(t, _)| t.to_string()).collect();
    topics.sort();
    assert_eq!(
        topics,
        ["a.b", "a.c", "b.c"],
        "what was asked for by name or by the other stays"
    );
    produce(&broker, "a.e", 1);
    assert!(consumer.try_poll().is_none());
    assert!(consumer.unsubscribe_pattern("a.*").is_err());
}

#[test]
fn a_topic_that_was_left_comes_back_only_when_it_is_created_again() {
    let broker = broker();
    let mut consumer = broker.consumer();
    consumer.subscribe_pattern(">", StartAt::Earliest).unwrap();
    produce(&broker, "t", 1);
    assert_eq!(drain_short(&mut consumer), ["t 0..1"]);
    consumer.unsubscribe("t").unwrap();
    produce(&broker, "t", 1);
    produce(&broker, "u", 1);
    assert_eq!(drain_short(&mut consumer), ["u 0..1"]);
    broker.delete_topic("t").unwrap();
    produce(&broker, "t", 1);
    assert_eq!(drain_short(&mut consumer), ["t 0..1"]);
    broker.delete_topic("t").unwrap();
    produce(&broker, "t", 1);
    assert_eq!(
        drain_short(&mut consumer),
        ["t end Deleted 1", "t reset 0", "t 0..1"]
    );
}

#[test]
fn a_creation_wakes_who_waits_for_a_pattern() {
    let broker = broker();
    let mut consumer = broker.consumer();
    consumer
        .subscribe_pattern("orders.>", StartAt::Latest)
        .unwrap();
    let (started, waits) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        assert!(
            consumer
                .poll_next_item(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        started.send(()).unwrap();
        consumer.poll(Duration::MAX).unwrap()
    });
    waits.recv().unwrap();
    produce(&broker, "logs", 1);
    produce(&broker, "orders.a.b", 1);
    let Item::Records(records) = waiting.join().unwrap() else {
        panic!()
    };
    assert_eq!(records.topic().as_ref(), "orders.a.b");
}

#[test]
fn no_topic_is_missed_however_they_are_created() {
    let broker = broker();
    let mut consumer = broker.consumer();
    consumer
        .subscribe_pattern("t.*", StartAt::Earliest)
        .unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let broker = &broker;
            scope.spawn(move || {
                for i in 0..200 {
                    produce(broker, &format!("t.{thread}-{i}"), 1);
                    produce(broker, &format!("u.{thread}-{i}"), 1);
                }
            });
        }
        for _ in 0..800 {
            assert!(
                consumer
                    .poll(Duration::MAX)
                    .unwrap()
                    .into_records()
                    .is_some()
            );
        }
    });
    assert!(consumer.try_poll().is_none());
}

#[test]
fn what_cannot_be_followed_is_a_typed_error() {
    let broker = broker();
    let mut consumer = broker.consumer();
    let invalid = consumer
        .subscribe_pattern("a*", StartAt::Latest)
        .unwrap_err();
    assert!(
        invalid
            .to_string()
            .contains("'*' must be a word of its own"),
        "{invalid}"
    );
    let epoch = Epoch::new(1).unwrap();
    for start in [StartAt::Offset(0), StartAt::OffsetIn { epoch, offset: 0 }] {
        let refused = consumer.subscribe_pattern("a.*", start);
        assert_eq!(refused, Err(SubscribeError::OffsetOfPattern));
    }
    consumer.subscribe_pattern("a.*", StartAt::Latest).unwrap();
    let again = consumer.subscribe_pattern("a.*", StartAt::Latest);
    assert_eq!(
        again,
        Err(SubscribeError::AlreadySubscribed {
            topic: "a.*".into()
        })
    );
}

#[test]
fn a_pattern_follows_no_more_than_it_may_and_counts_the_rest() {
    let broker = Broker::new(BrokerOptions::default()).unwrap();
    let mut consumer = broker.consumer();
    consumer.subscribe_pattern(">", StartAt::Earliest).unwrap();
    let name = |i: usize| format!("t{i}");
    for i in 0..MAX_SUBSCRIPTIONS + 3 {
        broker
            .create_topic(&name(i), TopicOptions::default())
            .unwrap();
    }
    assert!(consumer.try_poll().is_none());
    assert_eq!(
        (consumer.positions().count(), consumer.passed_over()),
        (MAX_SUBSCRIPTIONS, 3)
    );
    // A topic that is gone makes room for one that comes.
    broker.delete_topic(&name(7)).unwrap();
    assert_eq!(drain_short(&mut consumer), ["t7 end Deleted 0"]);
    produce(&broker, "late", 1);
    assert_eq!(drain_short(&mut consumer), ["late 0..1"]);
    assert_eq!(consumer.passed_over(), 3);
    let refused = broker.consumer().subscribe_pattern(">", StartAt::Latest);
    assert_eq!(refused, Err(SubscribeError::TooManySubscriptions));
}
