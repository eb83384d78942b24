//! What producers may send, what they are told, and that a batch is one thing.

mod support;

use footman_broker::testing::Ledger;
use footman_broker::{
    Broker, BrokerOptions, CreateTopicError, Epoch, InvalidReason, Item, MAX_BATCH_RECORDS,
    MAX_RECORD_BYTES, ProduceError, ProduceOptions, ProducerSequence, Record, Records, StartAt,
    TopicOptions,
};
use support::{broker, broker_on_clock, drain, keeping, numbered};

fn read_all(broker: &Broker, topic: &str) -> Vec<Records> {
    let mut consumer = broker.consumer();
    consumer.subscribe(topic, StartAt::Earliest).unwrap();
    drain(&mut consumer)
        .into_iter()
        .map(|item| item.into_records().unwrap())
        .collect()
}

#[test]
fn a_record_comes_back_as_it_was_made() {
    let (broker, clock) = broker_on_clock();
    let producer = broker.producer("t").unwrap();
    let full = Record::new("value")
        .with_key("key")
        .with_header("trace", "4bf9")
        .with_header("", "")
        .with_header("trace", vec![0xFF; 300])
        .with_timestamp(-5);
    let bare = Record::new("");
    let odd = Record::new(vec![0; 70_000]).with_key("").with_timestamp(0);
    producer
        .produce_batch(&[full.clone(), bare, odd.clone()])
        .unwrap();
    let now = clock.wall_us();
    let records: Vec<Record> = read_all(&broker, "t")
        .iter()
        .flatten()
        .map(|r| r.to_record())
        .collect();
    assert_eq!(records[0], full);
    assert_eq!(records[1], Record::new("").with_timestamp(now));
    assert_eq!(records[2], odd.with_timestamp(now));
}

#[test]
fn what_was_encoded_goes_out_byte_for_byte() {
    let broker = broker();
    let producer = broker.producer("t").unwrap();
    let mut body = Vec::new();
    Record::new("v")
        .with_key("k")
        .with_timestamp(77)
        .with_header("h", "x")
        .encode(&mut body);
    body.extend([0x28, 1, 0x7A, 2, 9, 9]); // fields that we do not know
    producer
        .produce_encoded(&[&body], &ProduceOptions::default())
        .unwrap();
    let records = read_all(&broker, "t");
    let mut framed = vec![0x7A, body.len() as u8];
    framed.extend(&body);
    assert_eq!(records[0].encoded(), &framed);
    assert_eq!(records[0].iter().next().unwrap().encoded(), body);
}

#[test]
fn a_body_without_a_timestamp_gets_one_in_front() {
    let (broker, clock) = broker_on_clock();
    let producer = broker.producer("t").unwrap();
    let zero = [0x1A, 1, b'v', 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 1, b'k'];
    producer
        .produce_encoded(&[b"\x1A\x01v", &zero, &[]], &ProduceOptions::default())
        .unwrap();
    let stamp = clock.wall_us().to_le_bytes();
    let mut expected = Vec::new();
    for (length, rest) in [
        (12, &b"\x1A\x01v"[..]),
        (15, b"\x1A\x01v\x12\x01k"),
        (9, b""),
    ] {
        expected.extend([0x7A, length, 0x09]);
        expected.extend(stamp);
        expected.extend(rest);
    }
    let records = read_all(&broker, "t");
    assert_eq!(records[0].encoded(), &expected);
    assert!(
        records[0]
            .iter()
            .all(|record| record.timestamp_us == clock.wall_us())
    );
}

#[test]
fn a_batch_with_one_bad_record_is_refused_as_a_whole() {
    let (broker, producer) = keeping(100);
    let refused = producer.produce_encoded(&[b"\x1A\x01v", b"\x1A\x09v"], &ProduceOptions::new());
    let invalid = ProduceError::InvalidRecord {
        index: 1,
        reason: InvalidReason::Truncated,
    };
    assert_eq!(refused, Err(invalid.clone()));
    assert_eq!(
        invalid.to_string(),
        "record 1 is invalid: it ends inside a field"
    );
    assert_eq!(producer.produce_batch(&[]), Err(ProduceError::EmptyBatch));
    let none: &[&[u8]] = &[];
    let empty = producer.produce_encoded(none, &ProduceOptions::new());
    assert_eq!(empty, Err(ProduceError::EmptyBatch));
    let many = vec![Record::new(""); MAX_BATCH_RECORDS + 1];
    let too_many = ProduceError::TooManyRecords {
        records: MAX_BATCH_RECORDS + 1,
    };
    assert_eq!(producer.produce_batch(&many), Err(too_many));
    assert_eq!(broker.topic("t").unwrap().end_offset, 0);
    producer.produce_batch(&many[1..]).unwrap();
}

#[test]
fn the_largest_record_fits_and_one_byte_more_does_not() {
    let broker = broker();
    let options = TopicOptions::default().with_max_record_bytes(1_000);
    broker.create_topic("t", options).unwrap();
    let producer = broker.producer("t").unwrap();
    let fits = Record::new(vec![1; 1_000 - 3]);
    assert_eq!(fits.encoded_len(), 1_000);
    producer.produce(&fits).unwrap();
    let over = Record::new(vec![1; 1_000 - 2]);
    let too_large = ProduceError::RecordTooLarge {
        index: 1,
        bytes: 1_001,
        max: 1_000,
    };
    assert_eq!(
        producer.produce_batch(&[fits, over.clone()]),
        Err(too_large)
    );
    let mut body = Vec::new();
    over.encode(&mut body);
    let refused = producer.produce_encoded(&[&body], &ProduceOptions::new());
    assert_eq!(
        refused,
        Err(ProduceError::RecordTooLarge {
            index: 0,
            bytes: 1_001,
            max: 1_000
        })
    );
    assert_eq!(broker.topic("t").unwrap().end_offset, 1);

    let largest = TopicOptions::default().with_max_record_bytes(MAX_RECORD_BYTES);
    broker.create_topic("large", largest).unwrap();
    let record = Record::new(vec![7; MAX_RECORD_BYTES as usize - 5]);
    assert_eq!(record.encoded_len(), MAX_RECORD_BYTES as usize);
    broker.producer("large").unwrap().produce(&record).unwrap();
    assert_eq!(
        read_all(&broker, "large")[0].iter().next().unwrap().value,
        record.value
    );
    let over = largest.with_max_record_bytes(MAX_RECORD_BYTES + 1);
    let refused = broker.create_topic("larger", over).unwrap_err();
    assert!(matches!(refused, CreateTopicError::InvalidOptions(_)));
}

#[test]
fn a_record_that_is_acknowledged_is_kept() {
    // Were it larger than what the topic keeps, it would be gone at once.
    let broker = broker();
    broker
        .create_topic("t", TopicOptions::default().with_max_bytes(100))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    for length in 0..200 {
        if let Ok(produced) = producer.produce(&Record::new(vec![7; length])) {
            let info = broker.topic("t").unwrap();
            assert_eq!(info.end_offset, produced.base_offset + 1);
            assert!(info.start_offset <= produced.base_offset, "{length}");
        } else {
            assert!(length > 80, "{length}");
        }
    }
}

#[test]
fn batches_of_many_producers_stay_whole_and_none_is_missing() {
    let broker = broker();
    let total = 4 * 500 * 7u64;
    std::thread::scope(|scope| {
        for id in 0..4u8 {
            let producer = broker.producer("t").unwrap();
            scope.spawn(move || {
                for nth in 0..500u16 {
                    let value = |i| vec![id, i, nth as u8, (nth >> 8) as u8];
                    let batch: Vec<_> = (0..7u8).map(|i| Record::new(value(i))).collect();
                    producer.produce_batch(&batch).unwrap();
                }
            });
        }
        let mut consumer = broker.consumer();
        let mut ledger = Ledger::new();
        let start = consumer.subscribe("t", StartAt::Earliest).unwrap();
        ledger.starts("t", start.epoch, start.next_offset);
        let (mut values, mut next) = (Vec::new(), [0u16; 4]);
        while (values.len() as u64) < total {
            let item = consumer.poll(std::time::Duration::MAX).unwrap();
            ledger.take_with(&item, |record| values.push(record.value.to_vec()));
        }
        for batch in values.chunks(7) {
            let id = batch[0][0];
            let nth = &mut next[id as usize];
            for (i, value) in batch.iter().enumerate() {
                assert_eq!(*value, [id, i as u8, *nth as u8, (*nth >> 8) as u8]);
            }
            *nth += 1;
        }
        assert_eq!(next, [500; 4]);
    });
}

fn sequence(first_sequence: u64) -> ProduceOptions {
    let sequence = ProducerSequence {
        producer_id: 9,
        producer_epoch: 1,
        first_sequence,
    };
    ProduceOptions::new().with_sequence(sequence)
}

#[test]
fn a_repeated_batch_is_answered_with_its_offsets_and_appended_once() {
    let (broker, producer) = keeping(100);
    let batch: Vec<_> = (0..3).map(numbered).collect();
    let other = numbered(99);
    let first = producer.produce_batch_with(&batch, &sequence(0)).unwrap();
    producer.produce(&other).unwrap();
    let second = producer.produce_batch_with(&batch, &sequence(3)).unwrap();
    assert_eq!((first.base_offset, second.base_offset), (0, 4));
    for (options, offset) in [(sequence(0), 0), (sequence(3), 4), (sequence(0), 0)] {
        let again = producer.produce_batch_with(&batch, &options).unwrap();
        assert_eq!(
            (again.base_offset, again.count, again.duplicate),
            (offset, 3, true)
        );
    }
    assert_eq!(broker.topic("t").unwrap().end_offset, 7);
    let gap = producer.produce_batch_with(&batch, &sequence(8));
    assert_eq!(
        gap,
        Err(ProduceError::SequenceGap {
            expected: 6,
            got: 8
        })
    );
    let old = ProducerSequence {
        producer_id: 9,
        producer_epoch: 0,
        first_sequence: 6,
    };
    let fenced = producer.produce_batch_with(&batch, &ProduceOptions::new().with_sequence(old));
    assert_eq!(fenced, Err(ProduceError::Fenced { current_epoch: 1 }));
    assert_eq!(broker.topic("t").unwrap().end_offset, 7);
}

#[test]
fn a_repeat_is_known_after_its_records_are_gone() {
    let (broker, producer) = keeping(1);
    for i in 0..65 {
        producer
            .produce_batch_with(&[numbered(i)], &sequence(i))
            .unwrap();
    }
    let again = producer
        .produce_batch_with(&[numbered(1)], &sequence(1))
        .unwrap();
    assert_eq!((again.base_offset, again.duplicate), (1, true));
    let too_old = producer.produce_batch_with(&[numbered(0)], &sequence(0));
    assert_eq!(
        too_old,
        Err(ProduceError::DuplicateTooOld { got: 0, oldest: 1 })
    );
    assert_eq!(broker.topic("t").unwrap().end_offset, 65);
}

#[test]
fn another_life_of_the_topic_is_refused_where_one_is_demanded() {
    let (broker, producer) = keeping(10);
    let current = producer.epoch();
    let options = |epoch| ProduceOptions::new().with_expected_epoch(epoch);
    producer
        .produce_batch_with(&[numbered(0)], &options(current))
        .unwrap();
    let expected = Epoch::new(5).unwrap();
    let refused = producer.produce_batch_with(&[numbered(1)], &options(expected));
    assert_eq!(
        refused,
        Err(ProduceError::EpochMismatch { expected, current })
    );
    assert_eq!(broker.topic("t").unwrap().end_offset, 1);
}

#[test]
fn topics_are_counted_and_refused_above_the_limit() {
    let mut options = BrokerOptions::default();
    options.max_topics = 3;
    let broker = Broker::new(options).unwrap();
    for name in ["a", "b", "c"] {
        broker.create_topic(name, TopicOptions::default()).unwrap();
    }
    let refused = broker
        .create_topic("d", TopicOptions::default())
        .unwrap_err();
    assert_eq!(refused, CreateTopicError::TooManyTopics { max: 3 });
    assert!(broker.producer("d").is_err());
    assert!(broker.consumer().subscribe("d", StartAt::Latest).is_err());
    broker.delete_topic("b").unwrap();
    broker.create_topic("d", TopicOptions::default()).unwrap();
    let exists = broker
        .create_topic("a", TopicOptions::default())
        .unwrap_err();
    assert_eq!(exists.to_string(), "topic \"a\" exists already");
    let names: Vec<_> = broker.topics().iter().map(|t| t.name.to_string()).collect();
    assert_eq!(names, ["a", "c", "d"]);
}

#[test]
fn a_topic_that_would_grow_beyond_the_brokers_memory_is_refused() {
    let mut options = BrokerOptions::default();
    options.max_memory_bytes = 4 << 20;
    let broker = Broker::new(options).unwrap();
    let producer = broker.producer("grows").unwrap();
    let record = Record::new(vec![7; 10_000]);
    let refused = (0..10_000)
        .find_map(|_| producer.produce(&record).err())
        .unwrap();
    assert!(matches!(refused, ProduceError::OutOfMemory(_)), "{refused}");
    let (used, segment) = (broker.memory_bytes(), 256 << 10);
    assert!(used > 3 << 20 && used <= (4 << 20) + segment, "{used}");
    let kept = broker.topic("grows").unwrap();
    assert_eq!(
        kept.start_offset, 0,
        "nothing that was acknowledged was thrown away for it"
    );
    broker.purge_topic("grows", None).unwrap();
    producer.produce(&record).unwrap();
}

#[test]
fn a_topic_at_its_own_limits_goes_on_when_the_memory_is_used_up() {
    let mut options = BrokerOptions::default();
    options.max_memory_bytes = 4 << 20;
    let broker = Broker::new(options).unwrap();
    broker
        .create_topic("steady", TopicOptions::default().with_max_bytes(1 << 20))
        .unwrap();
    let steady = broker.producer("steady").unwrap();
    let grows = broker.producer("grows").unwrap();
    let record = Record::new(vec![7; 10_000]);
    for _ in 0..500 {
        steady.produce(&record).unwrap();
    }
    while grows.produce(&record).is_ok() {}
    for _ in 0..5_000 {
        steady.produce(&record).unwrap();
    }
    assert!(
        broker.memory_bytes() <= (4 << 20) + (4 << 17),
        "{}",
        broker.memory_bytes()
    );
}

#[test]
fn idempotent_producers_cannot_fill_the_memory() {
    let mut options = BrokerOptions::default();
    options.max_memory_bytes = 1 << 20;
    let broker = Broker::new(options).unwrap();
    broker
        .create_topic("t", TopicOptions::default().with_max_records(1))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    for producer_id in 0..5_000 {
        for first_sequence in 0..64 {
            let sequence = ProducerSequence {
                producer_id,
                producer_epoch: 0,
                first_sequence,
            };
            let options = ProduceOptions::new().with_sequence(sequence);
            if producer
                .produce_batch_with(&[Record::new("")], &options)
                .is_err()
            {
                assert!(broker.memory_bytes() <= (1 << 20) + (1 << 17) + 4_096);
                return;
            }
        }
    }
    panic!("1.2 MB of batches to remember went unnoticed");
}

#[test]
fn a_consumer_is_given_what_it_asked_for_in_one_item_where_it_can() {
    let broker = broker();
    let producer = broker.producer("t").unwrap();
    let batch: Vec<_> = (0..1_000).map(numbered).collect();
    producer.produce_batch(&batch).unwrap();
    producer.produce_batch(&batch).unwrap();
    let mut consumer = broker.consumer();
    consumer.subscribe("t", StartAt::Offset(1_000)).unwrap();
    let items = drain(&mut consumer);
    assert!(items.len() < 10, "{}", items.len());
    assert!(items.iter().all(|item| matches!(item, Item::Records(_))));
}

#[test]
fn encoded_records_are_checked_before_they_are_believed() {
    let broker = broker();
    let producer = broker.producer("t").unwrap();
    producer
        .produce_batch(&(0..10).map(numbered).collect::<Vec<_>>())
        .unwrap();
    let records = read_all(&broker, "t").remove(0);
    let (topic, epoch, bytes) = (records.topic().clone(), records.epoch(), records.encoded());
    let build = |count, bytes| Records::from_encoded(topic.clone(), epoch, 5, count, bytes);
    let same = build(10, bytes.clone()).unwrap();
    assert_eq!((same.len(), same.next_offset()), (10, 15));
    assert_eq!(same.iter().nth(3).unwrap().value, numbered(3).value);
    assert!(build(9, bytes.clone()).is_err() && build(11, bytes.clone()).is_err());
    assert!(build(10, bytes.slice(1..)).is_err());
    assert!(build(10, bytes.slice(..bytes.len() - 1)).is_err());
    assert!(Records::from_encoded(topic.clone(), epoch, u64::MAX, 10, bytes.clone()).is_err());
}
