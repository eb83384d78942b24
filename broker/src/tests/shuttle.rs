//! Whole brokers in schedules that shuttle draws: topics come and go, consumers wait, are lapped, and leave.
//!
//! ```text
//! cargo xtask shuttle --package footman-broker
//! ```
//!
//! Every consumer keeps the ledger of `testing`: what was delivered and lost adds up, in order. What each scenario is
//! about has a twin in `shuttle-twins.txt`.

use std::time::Duration;

use shuttle::{future, thread};

use crate::testing::Ledger;
use crate::{Broker, BrokerOptions, Consumer, EndReason, Item, Record, StartAt, TopicOptions};

fn broker(max_records: u64) -> Broker {
    let topic = TopicOptions::new().with_max_records(max_records);
    Broker::new(BrokerOptions::new().with_topic_defaults(topic)).unwrap()
}

/// Produces `records` records, one at a time and then two at once.
fn spawn_producer(broker: &Broker, topic: &'static str, records: u8) -> thread::JoinHandle<()> {
    let broker = broker.clone();
    thread::spawn(move || {
        let producer = broker.producer(topic).unwrap();
        for n in 0..records.saturating_sub(2) {
            producer.produce(&Record::new(vec![n])).unwrap();
        }
        let last = [Record::new("one"), Record::new("two")];
        producer.produce_batch(&last).unwrap();
    })
}

/// Takes items, each waited for, until the ledger has `records` records of the topic delivered or lost.
fn take(consumer: &mut Consumer, ledger: &mut Ledger, topic: &str, records: u64, as_task: bool) {
    loop {
        let account = ledger.account(topic);
        if account.delivered + account.lost >= records {
            return;
        }
        let item = if as_task {
            future::block_on(consumer.next())
        } else {
            consumer.poll(Duration::MAX).unwrap()
        };
        ledger.take(&item);
    }
}

/// Follows one topic from its start, and takes `records` of it.
fn spawn_consumer(
    broker: &Broker,
    topic: &'static str,
    records: u64,
    as_task: bool,
) -> thread::JoinHandle<()> {
    let mut consumer = broker.consumer();
    let mut ledger = Ledger::new();
    let subscribed = consumer.subscribe(topic, StartAt::Earliest).unwrap();
    ledger.starts(topic, subscribed.epoch, subscribed.next_offset);
    thread::spawn(move || take(&mut consumer, &mut ledger, topic, records, as_task))
}

#[test]
fn shuttle_threads_and_tasks_that_wait_get_every_record_or_its_loss() {
    schedules::check(|| {
        let broker = broker(3); // laps
        let consumers = [false, true].map(|as_task| spawn_consumer(&broker, "t", 8, as_task));
        let producers = [(); 2].map(|()| spawn_producer(&broker, "t", 4));
        for thread in producers.into_iter().chain(consumers) {
            thread.join().unwrap();
        }
        let info = broker.topic("t").unwrap();
        assert_eq!((info.start_offset, info.end_offset), (5, 8));
    });
}

#[test]
fn shuttle_a_consumer_of_two_topics_is_woken_by_either() {
    schedules::check(|| {
        let broker = broker(100);
        let mut consumer = broker.consumer();
        let mut ledger = Ledger::new();
        for topic in ["a", "b"] {
            let subscribed = consumer.subscribe(topic, StartAt::Earliest).unwrap();
            ledger.starts(topic, subscribed.epoch, subscribed.next_offset);
        }
        let producers = ["a", "b"].map(|topic| spawn_producer(&broker, topic, 3));
        take(&mut consumer, &mut ledger, "b", 3, false);
        take(&mut consumer, &mut ledger, "a", 3, true);
        for thread in producers {
            thread.join().unwrap();
        }
        for topic in ["a", "b"] {
            let account = ledger.account(topic);
            assert_eq!((account.delivered, account.lost), (3, 0));
        }
    });
}

#[test]
fn shuttle_who_leaves_does_not_take_the_others_wake_up_along() {
    schedules::check(|| {
        let broker = broker(100);
        let stays = spawn_consumer(&broker, "t", 4, false);
        let leaves = {
            let mut consumer = broker.consumer();
            consumer.subscribe("t", StartAt::Latest).unwrap();
            thread::spawn(move || {
                for _ in 0..2 {
                    // Arms, gives up, and leaves armed.
                    let _ = consumer.poll_next_item(&mut std::task::Context::from_waker(
                        std::task::Waker::noop(),
                    ));
                    thread::yield_now();
                }
                consumer.unsubscribe("t").unwrap();
                consumer.subscribe("t", StartAt::Latest).unwrap();
            })
        };
        let producer = spawn_producer(&broker, "t", 4);
        for thread in [producer, leaves, stays] {
            thread.join().unwrap();
        }
        assert!(broker.subscriptions().is_empty());
    });
}

#[test]
fn shuttle_a_topic_that_is_deleted_and_made_again_is_followed_into_its_new_life() {
    schedules::check(|| {
        let broker = broker(100);
        broker.create_topic("t", TopicOptions::new()).unwrap();
        let mut consumer = broker.consumer();
        consumer.subscribe("t", StartAt::Earliest).unwrap();
        let admin = {
            let broker = broker.clone();
            thread::spawn(move || {
                let before = broker.topic("t").unwrap().epoch;
                broker.delete_topic("t").unwrap();
                let after = broker.create_topic("t", TopicOptions::new()).unwrap().epoch;
                broker
                    .producer("t")
                    .unwrap()
                    .produce(&Record::new("x"))
                    .unwrap();
                (before, after)
            })
        };
        let mut ends = 0;
        let reset = loop {
            match consumer.poll(Duration::MAX).unwrap() {
                Item::End(end) => {
                    assert_eq!(end.reason, EndReason::Deleted);
                    ends += 1;
                }
                Item::Reset(reset) => break reset,
                other => panic!("{other:?} before the reset"),
            }
        };
        let records = future::block_on(consumer.next()).into_records().unwrap();
        let (before, after) = admin.join().unwrap();
        assert_eq!((ends, reset.old_epoch, reset.new_epoch), (1, before, after));
        assert_eq!((records.epoch(), records.base_offset()), (after, 0));
    });
}

#[test]
fn shuttle_a_pattern_finds_topics_that_are_born_meanwhile() {
    schedules::check(|| {
        let broker = broker(100);
        let mut consumer = broker.consumer();
        consumer
            .subscribe_pattern("t.*", StartAt::Earliest)
            .unwrap();
        let producers = ["t.a", "other", "t.b"].map(|topic| spawn_producer(&broker, topic, 2));
        let mut delivered = 0;
        while delivered < 4 {
            let item = consumer.poll(Duration::MAX).unwrap();
            assert!(item.topic().starts_with("t."));
            delivered += item.into_records().map_or(0, |records| records.len());
        }
        for thread in producers {
            thread.join().unwrap();
        }
        assert_eq!(consumer.positions().count(), 2);
    });
}

#[test]
fn shuttle_what_was_purged_is_given_to_nobody() {
    schedules::check(|| {
        let broker = broker(1); // laps at every record
        let follower = spawn_consumer(&broker, "t", 8, false);
        let mut consumer = broker.consumer();
        let mut ledger = Ledger::new();
        let subscribed = consumer.subscribe("t", StartAt::Earliest).unwrap();
        ledger.starts("t", subscribed.epoch, subscribed.next_offset);
        let producer = spawn_producer(&broker, "t", 8);
        for _ in 0..3 {
            // Lapped twice in a row, it holds on to where it resumes.
            if let Some(item) = consumer.try_poll() {
                ledger.take(&item);
            }
            thread::yield_now();
        }
        let end = broker.topic("t").unwrap().end_offset;
        broker.purge_topic("t", Some(end)).unwrap();
        while ledger.account("t").next_offset < 8 {
            let item = consumer.poll(Duration::MAX).unwrap();
            ledger.take(&item);
            if let Item::Records(records) = item {
                assert!(
                    records.base_offset() >= end,
                    "purged up to {end}: {records:?}"
                );
            }
        }
        producer.join().unwrap();
        follower.join().unwrap();
    });
}
