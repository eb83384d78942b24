//! Pausing a topic: producers are refused, everything else goes on.

mod support;

use std::time::Duration;

use footman_broker::{Item, ProduceError, ProduceOptions, ProducerSequence, StartAt};
use support::{broker_on_clock, drain_short, keeping, numbered, produce_numbered};

#[test]
fn a_paused_topic_refuses_records_until_it_is_resumed() {
    let (broker, producer) = keeping(10);
    produce_numbered(&producer, 0..3);
    assert!(broker.pause_topic("t").unwrap().paused);
    assert!(broker.pause_topic("t").unwrap().paused, "twice is once");
    let refused = producer.produce(&numbered(3)).unwrap_err();
    assert_eq!(refused.to_string(), "topic \"t\" is paused");
    let info = broker.topic("t").unwrap();
    assert_eq!((info.end_offset, info.appended_records), (3, 3));
    assert!(!broker.resume_topic("t").unwrap().paused);
    produce_numbered(&producer, 3..5);
}

#[test]
fn consumers_of_a_paused_topic_read_on() {
    let (broker, producer) = keeping(10);
    produce_numbered(&producer, 0..3);
    let mut consumer = broker.consumer();
    broker.pause_topic("t").unwrap();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    assert_eq!(drain_short(&mut consumer), ["t 0..3"]);
    broker.purge_topic("t", None).unwrap();
    consumer.seek("t", StartAt::Offset(1)).unwrap();
    assert_eq!(drain_short(&mut consumer), ["t lost 1..3"]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            broker.resume_topic("t").unwrap();
            produce_numbered(&producer, 3..4);
        });
        let item = consumer.poll(Duration::MAX).unwrap();
        assert!(matches!(item, Item::Records(records) if records.base_offset() == 3));
    });
}

#[test]
fn a_repeat_is_answered_while_the_topic_is_paused() {
    let (broker, producer) = keeping(10);
    let options = |first_sequence| {
        ProduceOptions::new().with_sequence(ProducerSequence {
            producer_id: 7,
            producer_epoch: 0,
            first_sequence,
        })
    };
    producer
        .produce_batch_with(&[numbered(0)], &options(0))
        .unwrap();
    broker.pause_topic("t").unwrap();
    let repeat = producer
        .produce_batch_with(&[numbered(0)], &options(0))
        .unwrap();
    assert!(repeat.duplicate && repeat.base_offset == 0);
    let next = producer.produce_batch_with(&[numbered(1)], &options(1));
    assert!(matches!(next, Err(ProduceError::TopicPaused { .. })));
    broker.resume_topic("t").unwrap();
    let next = producer
        .produce_batch_with(&[numbered(1)], &options(1))
        .unwrap();
    assert!(!next.duplicate && next.base_offset == 1);
}

#[test]
fn records_of_a_paused_topic_grow_old_and_a_new_life_is_not_paused() {
    let (broker, clock) = broker_on_clock();
    let options = footman_broker::TopicOptions::default().with_max_age(Duration::from_secs(10));
    broker.create_topic("t", options).unwrap();
    produce_numbered(&broker.producer("t").unwrap(), 0..3);
    broker.pause_topic("t").unwrap();
    clock.advance(Duration::from_secs(10));
    broker.expire();
    assert_eq!(broker.topic("t").unwrap().start_offset, 3);
    broker.delete_topic("t").unwrap();
    assert!(broker.pause_topic("t").is_err());
    produce_numbered(&broker.producer("t").unwrap(), 0..1);
}
