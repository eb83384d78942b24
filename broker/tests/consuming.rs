//! Consumers over several topics: turns, limits of an item, pause, seek, leaving, the ledger from outside.

mod support;

use footman_broker::{
    ConsumerOptions, Item, MAX_SUBSCRIPTIONS, Position, Record, StartAt, SubscribeError,
    TopicOptions,
};
use support::{
    broker, check_numbered, drain, drain_short, keeping, numbered, produce_numbered, short,
};

#[test]
fn topics_take_turns_however_much_one_of_them_has() {
    let broker = broker();
    let mut consumer = broker.consumer_with(ConsumerOptions::default().with_max_records(10));
    for (topic, records) in [("busy", 10_000), ("calm", 30), ("idle", 0), ("quiet", 10)] {
        consumer.subscribe(topic, StartAt::Earliest).unwrap();
        produce_numbered(&broker.producer(topic).unwrap(), 0..records);
    }
    let first: Vec<_> = (0..7)
        .map(|_| short(&consumer.try_poll().unwrap()))
        .collect();
    assert_eq!(
        first,
        [
            "busy 0..10",
            "calm 0..10",
            "quiet 0..10",
            "busy 10..20",
            "calm 10..20",
            "busy 20..30",
            "calm 20..30"
        ]
    );
    let rest: usize = drain(&mut consumer)
        .into_iter()
        .map(|i| i.into_records().unwrap().len())
        .sum();
    assert_eq!(rest, 10_000 - 30);
}

#[test]
fn an_item_is_bounded_by_records_and_by_bytes() {
    let broker = broker();
    let producer = broker.producer("t").unwrap();
    for _ in 0..100 {
        producer.produce(&Record::new(vec![7; 1_000])).unwrap();
    }
    producer.produce(&Record::new(vec![7; 100_000])).unwrap();
    for (options, most_records, most_bytes) in [
        (
            ConsumerOptions::default().with_max_records(7),
            7,
            usize::MAX,
        ),
        (
            ConsumerOptions::default().with_max_records(0),
            1,
            usize::MAX,
        ),
        (ConsumerOptions::default().with_max_bytes(5_100), 5, 5_100),
        (ConsumerOptions::default().with_max_bytes(0), 1, usize::MAX),
    ] {
        let mut consumer = broker.consumer_with(options);
        consumer.subscribe("t", StartAt::Earliest).unwrap();
        let mut total = 0;
        while let Some(Item::Records(records)) = consumer.try_poll() {
            assert!(records.len() <= most_records);
            assert!(records.len() == 1 || records.encoded().len() <= most_bytes);
            total += records.len();
        }
        assert_eq!(total, 101);
    }
}

#[test]
fn records_stay_as_they_are_while_the_topic_goes_on() {
    let (broker, producer) = keeping(100);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    produce_numbered(&producer, 0..50);
    let Some(Item::Records(kept)) = consumer.try_poll() else {
        panic!()
    };
    produce_numbered(&producer, 50..100_000);
    broker.delete_topic("t").unwrap();
    drop((consumer, producer, broker));
    assert_eq!(kept.len(), 50);
    kept.iter().for_each(check_numbered);
}

#[test]
fn only_a_large_run_keeps_its_piece_of_the_topics_memory() {
    let (broker, producer) = keeping(1_000);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let mut memory_with = |records: u64, held: bool| {
        let base = broker.topic("t").unwrap().end_offset;
        for number in base..base + records {
            producer.produce(&numbered(number)).unwrap();
        }
        let run = consumer.try_poll().and_then(Item::into_records).unwrap();
        assert_eq!(run.len() as u64, records);
        let run = Some(run).filter(|_| held);
        broker.purge_topic("t", None).unwrap();
        broker.expire();
        let memory = broker.memory_bytes();
        for record in run.iter().flatten() {
            check_numbered(record);
        }
        memory
    };
    let empty = memory_with(1, false);
    assert_eq!(memory_with(1, true), empty, "it was copied");
    assert!(memory_with(50, true) > empty, "its segment is kept");
    assert_eq!(memory_with(1, false), empty, "and comes back");
}

#[test]
fn a_paused_topic_gives_nothing_and_goes_on_where_it_stood() {
    let broker = broker();
    let mut consumer = broker.consumer();
    for topic in ["a", "b"] {
        consumer.subscribe(topic, StartAt::Earliest).unwrap();
        produce_numbered(&broker.producer(topic).unwrap(), 0..2);
    }
    consumer.pause("a").unwrap();
    assert_eq!(drain_short(&mut consumer), ["b 0..2"]);
    assert_eq!(consumer.available_bytes(), 0);
    consumer.resume("a").unwrap();
    assert_eq!(drain_short(&mut consumer), ["a 0..2"]);
    assert!(consumer.pause("c").is_err() && consumer.resume("c").is_err());
}

#[test]
fn seeking_goes_back_and_forth() {
    let (broker, producer) = keeping(100);
    produce_numbered(&producer, 0..10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    for (start, expected) in [
        (StartAt::Earliest, vec!["t 0..10"]),
        (StartAt::Offset(7), vec!["t 7..10"]),
        (StartAt::Last(1), vec!["t 9..10"]),
        (StartAt::Latest, vec![]),
    ] {
        consumer.seek("t", start).unwrap();
        assert_eq!(drain_short(&mut consumer), expected);
    }
    assert!(consumer.seek("t", StartAt::Offset(11)).is_err());
    assert_eq!(consumer.position("t").unwrap().next_offset, 10);
    assert!(consumer.seek("u", StartAt::Latest).is_err());
}

#[test]
fn topics_come_and_go_while_others_are_read() {
    let broker = broker();
    let mut consumer = broker.consumer();
    for topic in ["a", "b", "c"] {
        produce_numbered(&broker.producer(topic).unwrap(), 0..3);
        consumer.subscribe(topic, StartAt::Earliest).unwrap();
    }
    assert_eq!(short(&consumer.try_poll().unwrap()), "a 0..3");
    assert_eq!(short(&consumer.try_poll().unwrap()), "b 0..3");
    let epoch = broker.topic("a").unwrap().epoch;
    assert_eq!(
        consumer.unsubscribe("a").unwrap(),
        Position {
            epoch,
            next_offset: 3
        }
    );
    assert!(consumer.unsubscribe("a").is_err());
    consumer.subscribe("d", StartAt::Earliest).unwrap();
    produce_numbered(&broker.producer("d").unwrap(), 0..1);
    assert_eq!(drain_short(&mut consumer), ["c 0..3", "d 0..1"]);
    for topic in ["b", "c", "d"] {
        consumer.unsubscribe(topic).unwrap();
    }
    assert!(consumer.try_poll().is_none());
    consumer.subscribe("a", StartAt::Earliest).unwrap();
    assert_eq!(drain_short(&mut consumer), ["a 0..3"]);
}

#[test]
fn a_topic_is_followed_once_and_only_so_many() {
    let broker = broker();
    let mut consumer = broker.consumer();
    consumer.subscribe("t0", StartAt::Latest).unwrap();
    let again = SubscribeError::AlreadySubscribed { topic: "t0".into() };
    assert_eq!(consumer.subscribe("t0", StartAt::Earliest), Err(again));
    for i in 1..MAX_SUBSCRIPTIONS {
        consumer
            .subscribe(&format!("t{i}"), StartAt::Latest)
            .unwrap();
    }
    let more = consumer.subscribe("more", StartAt::Latest);
    assert_eq!(more, Err(SubscribeError::TooManySubscriptions));
    assert!(
        broker.topic("more").is_err(),
        "nothing is created for a refused subscription"
    );
}

#[test]
fn the_ledger_can_be_read_from_outside() {
    let (broker, producer) = keeping(10);
    let mut consumer = broker.consumer_with(ConsumerOptions::default().with_max_records(4));
    consumer.set_label("étude".repeat(60));
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let ledger = || broker.subscriptions().into_iter().next().unwrap();
    assert_eq!((ledger().lag, ledger().headroom_records), (0, 10));

    produce_numbered(&producer, 0..8);
    let info = ledger();
    assert_eq!(
        (info.delivered, info.lost, info.lag, info.headroom_records),
        (0, 0, 8, 2)
    );
    produce_numbered(&producer, 8..15);
    assert_eq!(ledger().headroom_records, 0);
    assert_eq!(drain(&mut consumer).len(), 4);
    let info = ledger();
    assert_eq!((info.delivered, info.lost, info.lag), (10, 5, 0));
    assert_eq!(
        (info.started_offset, info.next_offset, info.end_offset),
        (0, 15, 15)
    );
    let label = info.label.unwrap();
    assert!(label.len() <= 255 && "étude".repeat(60).starts_with(&*label) && label.len() > 250);

    consumer.seek("t", StartAt::Last(3)).unwrap();
    let info = ledger();
    assert_eq!(
        (info.started_offset, info.delivered, info.lost, info.lag),
        (12, 0, 0, 3)
    );
    drop(consumer);
    assert!(broker.subscriptions().is_empty());
}

#[test]
fn the_ledger_adds_up_at_every_look_while_records_fly() {
    let (broker, producer) = keeping(500);
    let mut consumer = broker.consumer_with(ConsumerOptions::default().with_max_records(3));
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    std::thread::scope(|scope| {
        let done = scope.spawn(|| produce_numbered(&producer, 0..100_000));
        let broker = &broker;
        let looker = scope.spawn(move || {
            let mut last = 0;
            while !done.is_finished() {
                for info in broker.subscriptions() {
                    let sum = info.delivered + info.lost + info.lag;
                    assert_eq!(sum, info.end_offset - info.started_offset);
                    assert!(info.next_offset >= last);
                    last = info.next_offset;
                }
            }
        });
        while !looker.is_finished() {
            consumer.try_poll();
        }
    });
}

#[test]
fn available_bytes_is_what_a_consumer_would_read() {
    let broker = broker();
    broker.create_topic("t", TopicOptions::default()).unwrap();
    let producer = broker.producer("t").unwrap();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    assert_eq!(consumer.available_bytes(), 0);
    for _ in 0..100 {
        producer.produce(&Record::new(vec![7; 100])).unwrap();
    }
    let available = consumer.available_bytes();
    let read: usize = drain(&mut consumer)
        .into_iter()
        .map(|i| i.into_records().unwrap().encoded().len())
        .sum();
    assert_eq!(available, read as u64);
    assert_eq!(consumer.available_bytes(), 0);
    assert_eq!(consumer.lag("t"), Some(0));
}

#[test]
fn bad_names_and_unknown_topics_are_typed_errors() {
    use footman_broker::{Broker, BrokerOptions, NameProblem, ProducerError};
    let broker = Broker::new(BrokerOptions::default().with_auto_create(false)).unwrap();
    let mut consumer = broker.consumer();
    for name in ["", ".", "..", "a b", "ö", &"x".repeat(250)] {
        let refused = consumer.subscribe(name, StartAt::Latest);
        assert!(
            matches!(refused, Err(SubscribeError::InvalidName(_))),
            "{name}"
        );
        assert!(
            matches!(broker.producer(name), Err(ProducerError::InvalidName(_))),
            "{name}"
        );
    }
    let unknown = consumer.subscribe("nobody", StartAt::Latest).unwrap_err();
    assert_eq!(unknown.to_string(), "topic \"nobody\" does not exist");
    let unknown = broker.producer("nobody").unwrap_err();
    assert_eq!(unknown.to_string(), "topic \"nobody\" does not exist");
    assert!(broker.topic("nobody").is_err() && broker.delete_topic("nobody").is_err());
    assert!(broker.topics().is_empty());
    let error = broker
        .create_topic("a*", TopicOptions::default())
        .unwrap_err();
    assert!(error.to_string().contains("'*' is not one of"), "{error}");
    assert_eq!(
        footman_broker::check_name("").unwrap_err().problem,
        NameProblem::Empty
    );
}
