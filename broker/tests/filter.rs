//! A subscription's filter: what it lets through, in which pieces, and how it is counted.

mod support;

use footman_broker::{
    Broker, ConsumerOptions, Filter, MAX_FILTER_BYTES, Record, StartAt, StopAt, SubscribeError,
    SubscribeOptions, TopicOptions,
};
use support::{broker, drain, drain_short};

/// A record for each word: its key, or `-` for none.
fn put(broker: &Broker, keys: &str) {
    let record = |key: &str| match key {
        "-" => Record::new("x"),
        key => Record::new("x").with_key(key.to_owned()),
    };
    let records: Vec<_> = keys.split(' ').map(record).collect();
    let producer = broker.producer("t").unwrap();
    producer.produce_batch(&records).unwrap();
}

fn earliest(filter: Filter) -> SubscribeOptions {
    SubscribeOptions::new(StartAt::Earliest).with_filter(filter)
}

fn prefix(prefix: &'static str) -> Filter {
    Filter::KeyPrefix(prefix.into())
}

fn key(key: &'static str) -> Filter {
    Filter::Key(key.into())
}

#[test]
fn every_offset_is_in_one_item() {
    let broker = broker();
    put(&broker, "a1 a2 b1 - a1 b2 b2");
    for (filter, expected) in [
        (prefix("a"), "0..2, filtered 2..4, 4..5, filtered 5..7"),
        (prefix("b"), "filtered 0..2, 2..3, filtered 3..5, 5..7"),
        (prefix(""), "0..3, filtered 3..4, 4..7"),
        (key("a1"), "0..1, filtered 1..4, 4..5, filtered 5..7"),
        (key("a"), "filtered 0..7"),
        (key(""), "filtered 0..7"),
    ] {
        let mut consumer = broker.consumer();
        consumer.subscribe_with("t", earliest(filter)).unwrap();
        let items = drain_short(&mut consumer).join(", ").replace("t ", "");
        assert_eq!(items, expected);
    }
}

#[test]
fn an_empty_key_is_a_key() {
    let broker = broker();
    let empty = Record::new("x").with_key("");
    let producer = broker.producer("t").unwrap();
    producer.produce_batch(&["x".into(), empty]).unwrap();
    for filter in [key(""), prefix("")] {
        let mut consumer = broker.consumer();
        consumer.subscribe_with("t", earliest(filter)).unwrap();
        assert_eq!(drain_short(&mut consumer), ["t filtered 0..1", "t 1..2"]);
    }
}

#[test]
fn limits_are_for_what_is_given() {
    let broker = broker();
    put(&broker, "a a a b b b b a");
    let small = ConsumerOptions::default().with_max_records(2);
    let mut consumer = broker.consumer_with(small);
    let options = earliest(key("a")).with_stop(StopAt::Offset(6));
    consumer.subscribe_with("t", options).unwrap();
    let items = ["t 0..2", "t 2..3", "t filtered 3..6", "t end Stopped 6"];
    assert_eq!(drain_short(&mut consumer), items);

    let mut consumer = broker.consumer_with(ConsumerOptions::default().with_max_bytes(0));
    consumer.subscribe_with("t", earliest(key("a"))).unwrap();
    let items = ["t 0..1", "t 1..2", "t 2..3", "t filtered 3..7", "t 7..8"];
    assert_eq!(drain_short(&mut consumer), items);
}

#[test]
fn a_live_subscription_is_told_what_it_is_not_given() {
    let broker = broker();
    let mut consumer = broker.consumer();
    consumer.subscribe_with("t", earliest(key("a"))).unwrap();
    put(&broker, "b");
    assert_eq!(drain_short(&mut consumer), ["t filtered 0..1"]);
    put(&broker, "a");
    assert_eq!(drain_short(&mut consumer), ["t 1..2"]);
    assert_eq!(consumer.position("t").unwrap().next_offset, 2);
}

#[test]
fn the_ledger_adds_up_with_what_was_lost_and_filtered() {
    let broker = broker();
    let options = TopicOptions::default().with_max_records(6);
    broker.create_topic("t", options).unwrap();
    let mut consumer = broker.consumer();
    consumer.subscribe_with("t", earliest(key("a"))).unwrap();
    put(&broker, "a a b b a b a b a b");
    drain(&mut consumer);
    put(&broker, "a a");
    let info = broker.subscriptions().remove(0);
    assert_eq!(
        (info.delivered, info.lost, info.filtered, info.lag),
        (3, 4, 3, 2)
    );
    // Somewhere else its ledger starts again, and the topic's goes on.
    consumer.seek("t", StartAt::Last(3)).unwrap();
    drain(&mut consumer);
    let info = broker.subscriptions().remove(0);
    assert_eq!((info.delivered, info.filtered, info.lag), (2, 1, 0));
    drop(consumer);
    let info = broker.topic("t").unwrap();
    assert_eq!(
        (
            info.delivered_records,
            info.lost_records,
            info.filtered_records
        ),
        (5, 4, 4)
    );
}

#[test]
fn what_was_purged_is_not_walked() {
    let broker = broker();
    let mut consumer = broker.consumer();
    consumer.subscribe_with("t", earliest(key("a"))).unwrap();
    put(&broker, "b b a a");
    broker.purge_topic("t", Some(3)).unwrap();
    assert_eq!(drain_short(&mut consumer), ["t lost 0..3", "t 3..4"]);
}

#[test]
fn a_filter_that_is_too_long_is_refused_and_nothing_is_followed() {
    let broker = broker();
    let mut consumer = broker.consumer();
    let longest = vec![b'x'; MAX_FILTER_BYTES];
    let longer = vec![b'x'; MAX_FILTER_BYTES + 1];
    for filter in [
        Filter::Key(longer.clone().into()),
        Filter::KeyPrefix(longer.into()),
    ] {
        let refused = consumer.subscribe_with("t", earliest(filter));
        let len = MAX_FILTER_BYTES + 1;
        assert_eq!(refused, Err(SubscribeError::FilterTooLong { len }));
    }
    assert_eq!(consumer.positions().count(), 0);
    assert_eq!(broker.topics().len(), 0, "none was created");
    let filter = Filter::KeyPrefix(longest.into());
    consumer.subscribe_with("t", earliest(filter)).unwrap();
}
