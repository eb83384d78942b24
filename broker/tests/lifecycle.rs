//! Topics that are deleted and created again under those who use them.

mod support;

use std::time::Duration;

use footman_broker::testing::Ledger;
use footman_broker::{
    EndReason, Item, ProduceError, Record, SeekError, StartAt, StopAt, SubscribeOptions,
    TopicOptions,
};
use support::{broker, drain, drain_short, keeping, produce_numbered};

#[test]
fn deleted_and_created_again_is_an_end_and_then_a_reset() {
    let (broker, producer) = keeping(100);
    let mut consumer = broker.consumer();
    let mut ledger = Ledger::new();
    let start = consumer.subscribe("t", StartAt::Earliest).unwrap();
    ledger.starts("t", start.epoch, start.next_offset);
    produce_numbered(&producer, 0..3);
    drain(&mut consumer)
        .iter()
        .for_each(|item| ledger.take(item));

    broker.delete_topic("t").unwrap();
    let items = drain(&mut consumer);
    items.iter().for_each(|item| ledger.take(item));
    assert_eq!(ledger.account("t").ended, Some(EndReason::Deleted));
    assert!(matches!(&items[..], [Item::End(end)] if end.next_offset == 3));
    assert!(consumer.try_poll().is_none());

    broker.create_topic("t", TopicOptions::default()).unwrap();
    produce_numbered(&broker.producer("t").unwrap(), 0..5);
    let items = drain(&mut consumer);
    items.iter().for_each(|item| ledger.take(item));
    let Item::Reset(reset) = &items[0] else {
        panic!("{items:?}")
    };
    assert_eq!((reset.old_epoch, reset.next_offset), (start.epoch, 0));
    assert_eq!(reset.new_epoch, broker.topic("t").unwrap().epoch);
    ledger.check("t", consumer.position("t").unwrap(), 5);
    assert_eq!(ledger.account("t").delivered, 5);
    assert_eq!(ledger.account("t").resets, 1);
}

#[test]
fn what_was_not_read_of_a_deleted_topic_is_lost_and_said_so() {
    let (broker, producer) = keeping(100);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    produce_numbered(&producer, 0..3);
    broker.delete_topic("t").unwrap();
    broker.create_topic("t", TopicOptions::default()).unwrap();
    produce_numbered(&broker.producer("t").unwrap(), 0..2);
    assert_eq!(
        drain_short(&mut consumer),
        ["t lost 0..3", "t end Deleted 3", "t reset 0", "t 0..2"]
    );
}

#[test]
fn a_topic_deleted_under_a_consumer_of_several_takes_nothing_from_the_others() {
    let broker = broker();
    let mut consumer = broker.consumer();
    let mut ledger = Ledger::new();
    for topic in ["a", "b", "c"] {
        let start = consumer.subscribe(topic, StartAt::Earliest).unwrap();
        ledger.starts(topic, start.epoch, start.next_offset);
        produce_numbered(&broker.producer(topic).unwrap(), 0..10_000);
    }
    for _ in 0..4 {
        ledger.take(&consumer.try_poll().unwrap());
    }
    broker.delete_topic("b").unwrap();
    drain(&mut consumer)
        .iter()
        .for_each(|item| ledger.take(item));
    for topic in ["a", "c"] {
        assert_eq!(ledger.account(topic).delivered, 10_000);
        ledger.check(topic, consumer.position(topic).unwrap(), 10_000);
    }
    let b = ledger.account("b");
    assert_eq!(
        (b.delivered + b.lost, b.ended),
        (10_000, Some(EndReason::Deleted))
    );
    assert!(b.lost > 0);
}

#[test]
fn deleting_frees_the_memory_whoever_follows() {
    let (broker, producer) = keeping(1_000_000);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    produce_numbered(&producer, 0..100_000);
    assert!(broker.memory_bytes() > 3_000_000);
    broker.delete_topic("t").unwrap();
    assert!(broker.memory_bytes() < 10_000, "{}", broker.memory_bytes());
    drop((consumer, producer));
    assert_eq!(broker.memory_bytes(), 0);
}

#[test]
fn a_producer_of_a_deleted_topic_is_told() {
    let (broker, producer) = keeping(10);
    broker.delete_topic("t").unwrap();
    let deleted = ProduceError::TopicDeleted { topic: "t".into() };
    assert_eq!(producer.produce(&Record::new("x")), Err(deleted.clone()));
    broker.create_topic("t", TopicOptions::default()).unwrap();
    assert_eq!(producer.produce(&Record::new("x")), Err(deleted));
    assert_eq!(broker.topic("t").unwrap().end_offset, 0);
}

#[test]
fn a_deletion_and_a_creation_wake_who_waits() {
    let (broker, _producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    let waiting = std::thread::spawn(move || {
        let end = consumer.poll(Duration::MAX).unwrap();
        let reset = consumer.poll(Duration::MAX).unwrap();
        (end, reset)
    });
    wait_until(|| broker.topic("t").unwrap().waiters == 1);
    broker.delete_topic("t").unwrap();
    // Whether it waits for the name already or not, it must notice.
    broker.create_topic("t", TopicOptions::default()).unwrap();
    let (end, reset) = waiting.join().unwrap();
    assert!(matches!(end, Item::End(_)) && matches!(reset, Item::Reset(_)));
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        std::thread::yield_now();
    }
}

#[test]
fn a_subscription_with_a_stop_does_not_wait_for_a_successor() {
    let (broker, producer) = keeping(100);
    produce_numbered(&producer, 0..3);
    let mut consumer = broker.consumer();
    let options = SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::Offset(10));
    consumer.subscribe_with("t", options).unwrap();
    assert_eq!(drain_short(&mut consumer), ["t 0..3"]);
    broker.delete_topic("t").unwrap();
    assert_eq!(drain_short(&mut consumer), ["t end Deleted 3"]);
    assert!(consumer.is_finished());
    broker.create_topic("t", TopicOptions::default()).unwrap();
    assert!(consumer.try_poll().is_none());
}

#[test]
fn seeking_in_a_deleted_topic_is_an_error_until_there_is_a_new_one() {
    let (broker, producer) = keeping(100);
    produce_numbered(&producer, 0..3);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    broker.delete_topic("t").unwrap();
    let deleted = SeekError::TopicDeleted { topic: "t".into() };
    assert_eq!(consumer.seek("t", StartAt::Earliest), Err(deleted.clone()));
    drain(&mut consumer);
    assert_eq!(consumer.seek("t", StartAt::Earliest), Err(deleted));
    broker.create_topic("t", TopicOptions::default()).unwrap();
    drain(&mut consumer);
    assert!(consumer.seek("t", StartAt::Earliest).is_ok());
}

#[test]
fn following_a_name_that_comes_and_goes_leaves_nothing_behind() {
    let broker = broker();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    for _ in 0..1_000 {
        broker
            .producer("t")
            .unwrap()
            .produce(&Record::new("x"))
            .unwrap();
        assert_eq!(drain_short(&mut consumer).last().unwrap(), "t 0..1");
        broker.delete_topic("t").unwrap();
        assert_eq!(drain_short(&mut consumer), ["t end Deleted 1"]);
    }
    assert!(broker.memory_bytes() < 10_000);
    drop(consumer);
    assert_eq!(broker.memory_bytes(), 0);
}

#[test]
fn subscriptions_are_counted_where_they_are() {
    let (broker, _producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let subscriptions = || broker.topic("t").map_or(0, |info| info.subscriptions);
    assert_eq!(subscriptions(), 1);
    broker.delete_topic("t").unwrap();
    broker.create_topic("t", TopicOptions::default()).unwrap();
    assert_eq!(subscriptions(), 0);
    drain(&mut consumer);
    assert_eq!(subscriptions(), 1);
    consumer.unsubscribe("t").unwrap();
    assert_eq!(subscriptions(), 0);
}
