//! What can be seen of topics and subscriptions: it adds up, and it says how much time is left.

mod support;

use std::time::Duration;

use footman_broker::{Broker, ConsumerOptions, StartAt, SubscriptionInfo, TopicOptions};
use support::{broker_on_clock, drain, keeping, numbered, produce_numbered};

fn subscription(broker: &Broker) -> SubscriptionInfo {
    broker.subscriptions().remove(0)
}

#[test]
fn a_topic_counts_what_all_its_subscriptions_were_given_also_those_that_left() {
    let (broker, producer) = keeping(10);
    let mut gone = broker.consumer();
    let mut stays = broker.consumer();
    for consumer in [&mut gone, &mut stays] {
        consumer.subscribe("t", StartAt::Earliest).unwrap();
    }
    produce_numbered(&producer, 0..25);
    drain(&mut gone);
    drop(gone);
    let counts = || {
        let info = broker.topic("t").unwrap();
        (info.delivered_records, info.lost_records)
    };
    assert_eq!(counts(), (10, 15));
    drain(&mut stays);
    assert_eq!(counts(), (20, 30));
    stays.seek("t", StartAt::Last(4)).unwrap();
    assert_eq!(counts(), (20, 30), "a seek forgets nothing");
    drain(&mut stays);
    assert_eq!(counts(), (24, 30));
    let own = subscription(&broker);
    assert_eq!(
        (own.delivered, own.lost, own.lag),
        (4, 0, 0),
        "its own ledger starts again"
    );
    stays.unsubscribe("t").unwrap();
    assert_eq!(counts(), (24, 30));
}

#[test]
fn the_headroom_is_the_time_until_a_loss_at_the_present_rate() {
    let (broker, clock) = broker_on_clock();
    broker
        .create_topic("t", TopicOptions::default().with_max_records(10_000))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    let mut consumer = broker.consumer_with(ConsumerOptions::default().with_max_records(1_000));
    consumer.subscribe("t", StartAt::Latest).unwrap();
    assert_eq!(subscription(&broker).headroom, None, "nothing is appended");
    // 1 000 records/s for 5 s.
    let batch: Vec<_> = (0..10).map(numbered).collect();
    for _ in 0..500 {
        clock.advance(Duration::from_millis(10));
        producer.produce_batch(&batch).unwrap();
    }
    let rate = broker.topic("t").unwrap().records_per_second;
    assert!((800.0..1_200.0).contains(&rate), "{rate}");
    let info = subscription(&broker);
    assert_eq!((info.lag, info.headroom_records), (5_000, 5_000));
    let seconds = info.headroom.unwrap().as_secs_f64();
    assert!((4.0..6.5).contains(&seconds), "{seconds}");
    // The forecast is true: so much later, at this rate, it loses its first record.
    for _ in 0..500 {
        clock.advance(Duration::from_millis(10));
        producer.produce_batch(&batch).unwrap();
    }
    assert_eq!(subscription(&broker).headroom_records, 0);
    producer.produce_batch(&batch).unwrap();
    assert_eq!(subscription(&broker).headroom, Some(Duration::ZERO));
    assert!(broker.topic("t").unwrap().start_offset > 0);
    drain(&mut consumer);
    assert_eq!(subscription(&broker).headroom_records, 10_000);
}

#[test]
fn the_headroom_is_the_age_that_is_left_where_that_is_shorter() {
    let (broker, clock) = broker_on_clock();
    let options = TopicOptions::default().with_max_age(Duration::from_secs(60));
    broker.create_topic("t", options).unwrap();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    produce_numbered(&broker.producer("t").unwrap(), 0..3);
    clock.advance(Duration::from_secs(20));
    assert_eq!(
        subscription(&broker).headroom,
        Some(Duration::from_secs(40))
    );
    drain(&mut consumer);
    assert_eq!(
        subscription(&broker).headroom,
        Some(Duration::from_secs(60))
    );
}

#[test]
fn ten_thousand_consumers_of_one_topic_each_get_everything() {
    let (broker, producer) = keeping(100);
    let mut consumers: Vec<_> = (0..10_000).map(|_| broker.consumer()).collect();
    for consumer in &mut consumers {
        consumer.subscribe("t", StartAt::Latest).unwrap();
    }
    produce_numbered(&producer, 0..50);
    let info = broker.topic("t").unwrap();
    assert_eq!(info.subscriptions, 10_000);
    // A tenth reads, the others are lapped.
    for consumer in consumers.iter_mut().step_by(10) {
        let records: usize = drain(consumer)
            .into_iter()
            .map(|i| i.into_records().unwrap().len())
            .sum();
        assert_eq!(records, 50);
    }
    produce_numbered(&producer, 50..170);
    for consumer in &mut consumers {
        drain(consumer);
    }
    for info in broker.subscriptions() {
        assert_eq!((info.delivered + info.lost, info.lag), (170, 0), "{info:?}");
    }
    let info = broker.topic("t").unwrap();
    // 9 000 lost 70 of 170, 1 000 had 50 and lost 20 of the rest.
    assert_eq!(info.lost_records, 9_000 * 70 + 1_000 * 20);
    assert_eq!(info.delivered_records, 9_000 * 100 + 1_000 * 150);
    assert!(
        info.memory_bytes < 64 << 10,
        "not a byte per consumer: {info:?}"
    );
    drop(consumers);
    assert_eq!(broker.topic("t").unwrap().subscriptions, 0);
}

#[test]
fn an_id_tells_subscriptions_of_a_topic_apart_while_they_last() {
    let (broker, _) = keeping(10);
    let mut first = broker.consumer();
    let mut second = broker.consumer();
    for consumer in [&mut first, &mut second] {
        consumer.subscribe("t", StartAt::Latest).unwrap();
    }
    let ids = || -> Vec<_> { broker.subscriptions().iter().map(|info| info.id).collect() };
    let [a, b] = ids()[..] else {
        panic!("there are two")
    };
    assert_ne!(a, b);
    drop(first);
    assert_eq!(ids(), [b], "the other keeps its own");
}
