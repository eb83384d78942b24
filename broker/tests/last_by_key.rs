//! The newest record of a key: exact whatever was overwritten, purged or is too old.

mod support;

use std::time::Duration;

use footman_broker::{Broker, LastByKeyError, Record, TopicOptions, TopicUpdate};
use support::{broker, broker_on_clock};

fn indexed() -> TopicOptions {
    TopicOptions::default().with_last_by_key(true)
}

fn put(broker: &Broker, records: &[(&str, &str)]) {
    let records: Vec<_> = records
        .iter()
        .map(|(key, value)| Record::new(value.to_string()).with_key(key.to_string()))
        .collect();
    broker
        .producer("t")
        .unwrap()
        .produce_batch(&records)
        .unwrap();
}

/// Offset and value of the newest record of a key.
fn last(broker: &Broker, key: &str) -> Option<(u64, String)> {
    let records = broker.last_by_key("t", key.as_bytes()).unwrap()?;
    assert_eq!(records.len(), 1);
    let record = records.iter().next().unwrap();
    assert_eq!(record.key, Some(key.as_bytes()));
    Some((
        record.offset,
        String::from_utf8(record.value.to_vec()).unwrap(),
    ))
}

#[test]
fn the_newest_record_of_a_key_is_found() {
    let broker = broker();
    broker.create_topic("t", indexed()).unwrap();
    put(&broker, &[("a", "1"), ("b", "2"), ("a", "3"), ("", "4")]);
    broker
        .producer("t")
        .unwrap()
        .produce(&"no key".into())
        .unwrap();
    assert_eq!(last(&broker, "a"), Some((2, "3".into())));
    assert_eq!(last(&broker, "b"), Some((1, "2".into())));
    assert_eq!(
        last(&broker, ""),
        Some((3, "4".into())),
        "an empty key is one"
    );
    assert_eq!(last(&broker, "c"), None);
}

#[test]
fn what_is_overwritten_purged_or_too_old_is_not_found() {
    let (broker, clock) = broker_on_clock();
    let options = indexed()
        .with_max_records(3)
        .with_max_age(Duration::from_secs(10));
    broker.create_topic("t", options).unwrap();
    put(&broker, &[("a", "1"), ("b", "2"), ("c", "3"), ("b", "4")]);
    assert_eq!(
        last(&broker, "a"),
        None,
        "overwritten, also within one batch"
    );
    assert_eq!(last(&broker, "b"), Some((3, "4".into())));
    broker.purge_topic("t", Some(3)).unwrap();
    assert_eq!(last(&broker, "c"), None, "purged");
    clock.advance(Duration::from_secs(10));
    assert_eq!(
        last(&broker, "b"),
        None,
        "too old, though nobody looked before"
    );
    put(&broker, &[("b", "5")]);
    assert_eq!(last(&broker, "b"), Some((4, "5".into())));
    broker.delete_topic("t").unwrap();
    assert!(matches!(
        broker.last_by_key("t", b"b"),
        Err(LastByKeyError::UnknownTopic(_))
    ));
}

#[test]
fn a_topic_that_did_not_ask_for_it_says_so_and_can_be_asked_later() {
    let broker = broker();
    broker
        .create_topic("t", TopicOptions::default().with_max_records(4))
        .unwrap();
    put(
        &broker,
        &[("x", "0"), ("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")],
    );
    let refused = broker.last_by_key("t", b"a").unwrap_err();
    assert!(
        matches!(refused, LastByKeyError::NotIndexed { .. }),
        "{refused}"
    );
    let mut update = TopicUpdate::new();
    update.last_by_key = Some(true);
    broker.update_topic("t", update).unwrap();
    assert_eq!(last(&broker, "a"), Some((3, "3".into())));
    assert_eq!(last(&broker, "x"), None);
    put(&broker, &[("a", "5")]);
    assert_eq!(last(&broker, "a"), Some((5, "5".into())));
    update.last_by_key = Some(false);
    broker.update_topic("t", update).unwrap();
    assert!(broker.last_by_key("t", b"a").is_err());
}

#[test]
fn the_index_counts_against_the_brokers_memory_and_is_bounded_by_what_is_kept() {
    let mut options = footman_broker::BrokerOptions::default();
    options.max_memory_bytes = 1 << 20;
    let broker = Broker::new(options).unwrap();
    broker
        .create_topic("t", indexed().with_max_records(1_000))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    for i in 0..100_000u32 {
        let record = Record::new("").with_key(i.to_le_bytes().to_vec());
        producer.produce(&record).unwrap();
    }
    let info = broker.topic("t").unwrap();
    assert!(info.memory_bytes >= 1_000 * 100, "{info:?}");
    assert!(info.memory_bytes < 512 << 10, "{info:?}");

    // Keys alone fill what is allowed: refused with a reason, as records would be.
    broker.create_topic("wide", indexed()).unwrap();
    let producer = broker.producer("wide").unwrap();
    let refused = (0..100_000u32)
        .find_map(|i| {
            let record = Record::new("").with_key(i.to_le_bytes().to_vec());
            producer.produce(&record).err()
        })
        .expect("there is a limit");
    assert!(refused.to_string().contains("hold"), "{refused}");
    // By less than the segment that is being filled.
    assert!(broker.memory_bytes() <= (1 << 20) + (256 << 10));
}

#[test]
fn a_look_up_beside_producers_finds_a_whole_record_that_is_not_older_than_the_last_one_found() {
    let broker = broker();
    broker
        .create_topic("t", indexed().with_max_records(8))
        .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let producer = broker.producer("t").unwrap();
            for i in 0..50_000u64 {
                let record = Record::new(i.to_le_bytes().to_vec()).with_key("k");
                producer.produce(&record).unwrap();
            }
        });
        let mut newest = 0;
        while newest < 49_999 {
            let Some(records) = broker.last_by_key("t", b"k").unwrap() else {
                continue;
            };
            let record = records.iter().next().unwrap();
            assert_eq!(record.value, record.offset.to_le_bytes());
            assert!(record.offset >= newest);
            newest = record.offset;
        }
    });
}
