//! The defects of the broker's ancestor, a test each: what it did, and that ours does not.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use footman_broker::testing::Ledger;
use footman_broker::{
    Broker, BrokerOptions, ConsumerOptions, EndReason, Item, Record, StartAt, TopicOptions,
};
use support::{broker, check_numbered, drain, drain_short, keeping, numbered, produce_numbered};

/// Topic: "the sequence visible before its slot (a reader then sees nil, or the previous lap's message)".
#[test]
fn never_a_record_that_is_not_there_yet_nor_one_of_an_earlier_lap() {
    let (broker, producer) = keeping(64);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut consumer = broker.consumer();
                let mut ledger = Ledger::new();
                let start = consumer.subscribe("t", StartAt::Earliest).unwrap();
                ledger.starts("t", start.epoch, start.next_offset);
                loop {
                    let last = done.load(Ordering::Acquire);
                    while let Some(item) = consumer.try_poll() {
                        ledger.take_with(&item, check_numbered);
                    }
                    if last {
                        break;
                    }
                }
                ledger.check("t", consumer.position("t").unwrap(), 200_000);
            });
        }
        produce_numbered(&producer, 0..200_000);
        done.store(true, Ordering::Release);
    });
}

/// Topic: "a stalled producer overwriting a newer lap".
#[test]
fn never_an_older_record_in_a_newer_ones_place() {
    let broker = broker();
    broker
        .create_topic("t", TopicOptions::default().with_max_records(8))
        .unwrap();
    std::thread::scope(|scope| {
        for id in 0..4u64 {
            let producer = broker.producer("t").unwrap();
            scope.spawn(move || {
                for nth in 0..20_000u64 {
                    producer
                        .produce(&Record::new((nth << 8 | id).to_le_bytes().to_vec()))
                        .unwrap();
                }
            });
        }
        let mut consumer = broker.consumer();
        let start = consumer.subscribe("t", StartAt::Earliest).unwrap();
        let (mut newest, mut next) = ([None; 4], start.next_offset);
        while next < 80_000 {
            match consumer.poll(Duration::MAX).unwrap() {
                Item::Records(records) => {
                    assert_eq!(records.base_offset(), next, "offsets never go back");
                    for record in &records {
                        let number = u64::from_le_bytes(record.value.try_into().unwrap());
                        let (id, nth) = ((number & 0xFF) as usize, number >> 8);
                        assert!(newest[id] < Some(nth), "producer {id} went back to {nth}");
                        newest[id] = Some(nth);
                    }
                    next = records.next_offset();
                }
                Item::Lost(lost) => next = lost.to,
                other => panic!("{other:?}"),
            }
        }
    });
}

/// Topic: "a lapped reader moved on silently": ring of 10, 35 produced, 25 gone without a word.
#[test]
fn never_a_lapped_reader_that_is_not_told() {
    let (broker, producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    produce_numbered(&producer, 0..35);
    assert_eq!(drain_short(&mut consumer), ["t lost 0..25", "t 25..35"]);
}

/// Topic: "an unbounded reply".
#[test]
fn never_a_reply_without_a_bound() {
    let (broker, producer) = keeping(100_000);
    produce_numbered(&producer, 0..50_000);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let ConsumerOptions {
        max_records,
        max_bytes,
        ..
    } = ConsumerOptions::default();
    for item in drain(&mut consumer) {
        let records = item.into_records().unwrap();
        assert!(records.len() <= max_records && records.encoded().len() <= max_bytes);
    }
}

/// Topic: "`limit` one value for all topics".
#[test]
fn never_one_limit_for_all_topics() {
    let broker = broker();
    for records in [1, 10, 100] {
        let name = format!("t{records}");
        broker
            .create_topic(&name, TopicOptions::default().with_max_records(records))
            .unwrap();
        produce_numbered(&broker.producer(&name).unwrap(), 0..500);
        assert_eq!(broker.topic(&name).unwrap().start_offset, 500 - records);
    }
}

/// Server: "a half-initialised topic handed out"; the loser of the race found a null ring.
#[test]
fn never_a_topic_that_is_not_complete() {
    for _ in 0..200 {
        let broker = broker();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    broker.producer("t").unwrap().produce(&numbered(0)).unwrap();
                    let mut consumer = broker.consumer();
                    consumer.subscribe("t", StartAt::Earliest).unwrap();
                    assert!(consumer.try_poll().is_some());
                });
            }
        });
        assert_eq!(broker.topic("t").unwrap().end_offset, 4);
    }
}

/// Server: "a throw-away topic allocated at each look-up": with a random epoch each, it would show.
#[test]
fn never_a_second_topic_for_one_name() {
    let broker = broker();
    let memory = {
        broker.producer("t").unwrap();
        broker.memory_bytes()
    };
    for _ in 0..10_000 {
        let producer = broker.producer("t").unwrap();
        assert_eq!(producer.epoch(), broker.topic("t").unwrap().epoch);
    }
    assert_eq!((broker.memory_bytes(), broker.topics().len()), (memory, 1));
}

/// Server: "consumers following a removed topic for ever".
#[test]
fn never_a_consumer_that_follows_a_removed_topic() {
    let (broker, _producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    broker.delete_topic("t").unwrap();
    let Ok(Item::End(end)) = consumer.poll(Duration::MAX) else {
        panic!()
    };
    assert_eq!(end.reason, EndReason::Deleted);
}

/// Server: "a recreated topic that restarts its numbers without anybody being told".
#[test]
fn never_numbers_that_start_again_without_a_word() {
    let (broker, producer) = keeping(10);
    produce_numbered(&producer, 0..5);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Latest).unwrap();
    broker.delete_topic("t").unwrap();
    produce_numbered(&broker.producer("t").unwrap(), 0..1);
    assert_eq!(
        drain_short(&mut consumer),
        ["t end Deleted 5", "t reset 0", "t 0..1"]
    );
}

/// Processor: "one topic's error throwing away what was already taken from the others".
#[test]
fn never_a_record_thrown_away_for_another_topics_sake() {
    let broker = broker();
    let mut consumer = broker.consumer();
    let mut ledger = Ledger::new();
    let names: Vec<_> = (0..20).map(|i| format!("t{i}")).collect();
    for name in &names {
        let start = consumer.subscribe(name, StartAt::Earliest).unwrap();
        ledger.starts(name, start.epoch, start.next_offset);
        produce_numbered(&broker.producer(name).unwrap(), 0..100);
    }
    for (i, name) in names.iter().enumerate() {
        if i % 3 == 0 {
            broker.delete_topic(name).unwrap();
        }
        ledger.take_with(&consumer.try_poll().unwrap(), check_numbered);
    }
    for item in drain(&mut consumer) {
        ledger.take_with(&item, check_numbered);
    }
    for (i, name) in names.iter().enumerate() {
        let account = ledger.account(name);
        assert_eq!(account.delivered + account.lost, 100);
        assert_eq!(account.lost == 0, i % 3 != 0, "{name}");
    }
}

/// Processor: "order between topics left to chance of scheduling": turns, the same in every run.
#[test]
fn never_an_order_of_topics_by_chance() {
    let run = || {
        let broker = broker();
        let mut consumer = broker.consumer_with(ConsumerOptions::default().with_max_records(3));
        for (topic, records) in [("a", 7), ("b", 2), ("c", 5)] {
            consumer.subscribe(topic, StartAt::Earliest).unwrap();
            produce_numbered(&broker.producer(topic).unwrap(), 0..records);
        }
        drain_short(&mut consumer)
    };
    let expected = ["a 0..3", "b 0..2", "c 0..3", "a 3..6", "c 3..5", "a 6..7"];
    for _ in 0..10 {
        assert_eq!(run(), expected);
    }
}

/// Consumer: "polling as the only way to wait" (100 ms a look): the append itself wakes who waits, before it returns.
#[test]
fn never_a_wait_for_the_next_tick() {
    struct Woken(AtomicUsize);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (broker, producer) = keeping(10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let woken = Arc::new(Woken(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    for round in 0..200 {
        assert!(consumer.poll_next_item(&mut cx).is_pending());
        produce_numbered(&producer, round..round + 1);
        assert_eq!(woken.0.load(Ordering::SeqCst) as u64, round + 1);
        assert!(consumer.poll_next_item(&mut cx).is_ready());
    }
}

/// Consumer: "starts at latest only; cannot be cancelled, seek, pause, unsubscribe, commit or tell its lag". Cancelling has
/// its tests in `waiting.rs`.
#[test]
fn never_a_consumer_that_only_follows() {
    let (broker, producer) = keeping(100);
    produce_numbered(&producer, 0..10);
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Last(4)).unwrap();
    assert_eq!(consumer.lag("t"), Some(4));
    consumer.seek("t", StartAt::Offset(2)).unwrap();
    assert_eq!(consumer.lag("t"), Some(8));
    consumer.pause("t").unwrap();
    assert!(consumer.poll(Duration::from_millis(1)).is_err());
    consumer.resume("t").unwrap();
    assert_eq!(drain_short(&mut consumer), ["t 2..10"]);
    let position = consumer.unsubscribe("t").unwrap();
    let resume = StartAt::Resume {
        epoch: position.epoch,
        next_offset: position.next_offset,
    };
    consumer.subscribe("t", resume).unwrap();
    assert_eq!(consumer.lag("t"), Some(0));
}

/// Message: "a message whose offset changes under its readers", when it went to two topics.
#[test]
fn never_a_record_that_changes_under_its_readers() {
    let broker = broker();
    let record = numbered(0);
    let mut held = Vec::new();
    for topic in ["a", "b", "a", "b"] {
        broker.producer(topic).unwrap().produce(&record).unwrap();
        let mut consumer = broker.consumer();
        consumer.subscribe(topic, StartAt::Last(1)).unwrap();
        held.push(drain(&mut consumer).remove(0).into_records().unwrap());
    }
    let seen: Vec<_> = held
        .iter()
        .map(|r| (r.topic().to_string(), r.base_offset()))
        .collect();
    let expected = [("a", 0), ("b", 0), ("a", 1), ("b", 1)];
    assert_eq!(
        seen,
        expected.map(|(topic, offset)| (topic.to_string(), offset))
    );
    held.iter()
        .flatten()
        .for_each(|record| assert_eq!(record.value, numbered(0).value));
}

/// Message: "three heap objects a message": records of a run are borrowed from one shared piece.
#[test]
fn never_an_object_for_each_record() {
    let broker = broker();
    let producer = broker.producer("t").unwrap();
    producer
        .produce_batch(&(0..100).map(numbered).collect::<Vec<_>>())
        .unwrap();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    for item in drain(&mut consumer) {
        let records = item.into_records().unwrap();
        let run = records.encoded().as_ptr_range();
        for record in &records {
            assert!(run.contains(&record.value.as_ptr()) || record.value.is_empty());
        }
    }
}

/// The reason for the ring: producers do no work per subscriber, whatever state subscribers are in.
#[test]
fn never_a_producer_that_waits_for_a_consumer() {
    let mut options = BrokerOptions::default();
    options.max_memory_bytes = 64 << 20;
    let broker = Broker::new(options).unwrap();
    broker
        .create_topic("t", TopicOptions::default().with_max_bytes(1 << 20))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    let mut stuck = Vec::new();
    let mut held = Vec::new();
    for i in 0..1_000 {
        let mut consumer = broker.consumer();
        consumer.subscribe("t", StartAt::Earliest).unwrap();
        producer.produce(&numbered(i)).unwrap();
        // A third never reads, a third holds on to what it got, a third has a reader that left.
        match i % 3 {
            0 => stuck.push(consumer),
            1 => held.extend(consumer.try_poll()),
            _ => {}
        }
    }
    produce_numbered(&producer, 1_000..200_000);
    let info = broker.topic("t").unwrap();
    assert!(
        info.retained_bytes <= 1 << 20 && info.memory_bytes < 4 << 20,
        "{info:?}"
    );
    for consumer in &mut stuck {
        assert!(matches!(consumer.try_poll(), Some(Item::Lost(_))));
    }
}
