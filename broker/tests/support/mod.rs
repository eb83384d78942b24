//! What several test files need: brokers, records by number, and drains.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses a part of it"
)]

use footman_broker::testing::ManualClock;
use footman_broker::{
    Broker, BrokerOptions, Consumer, Item, Producer, Record, RecordRef, TopicOptions,
};

pub fn broker() -> Broker {
    Broker::new(BrokerOptions::default()).unwrap()
}

pub fn broker_on_clock() -> (Broker, ManualClock) {
    let clock = ManualClock::new();
    (
        Broker::new(BrokerOptions::default().with_manual_clock(&clock)).unwrap(),
        clock,
    )
}

/// A broker with a topic `t` that keeps this many records, and a producer for it.
pub fn keeping(records: u64) -> (Broker, Producer) {
    let broker = broker();
    broker
        .create_topic("t", TopicOptions::default().with_max_records(records))
        .unwrap();
    let producer = broker.producer("t").unwrap();
    (broker, producer)
}

/// The record with this number: a payload that can be checked against its offset.
pub fn numbered(number: u64) -> Record {
    let mut value = number.to_le_bytes().to_vec();
    value.resize(8 + (number % 50) as usize, number as u8);
    Record::new(value)
}

pub fn check_numbered(record: RecordRef<'_>) {
    assert_eq!(
        record.value,
        numbered(record.offset).value,
        "payload of {}",
        record.offset
    );
}

pub fn produce_numbered(producer: &Producer, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let produced = producer.produce(&numbered(number)).unwrap();
        assert_eq!(produced.base_offset, number);
    }
}

/// Everything that is there now.
pub fn drain(consumer: &mut Consumer) -> Vec<Item> {
    std::iter::from_fn(|| consumer.try_poll()).collect()
}

/// Items in a form that is short to compare: `t 3..5`, `t lost 0..3`, `t reset`, `t end Deleted`.
pub fn short(item: &Item) -> String {
    let topic = item.topic();
    match item {
        Item::Records(r) => format!("{topic} {}..{}", r.base_offset(), r.next_offset()),
        Item::Lost(l) => format!("{topic} lost {}..{}", l.from, l.to),
        Item::Filtered(f) => format!("{topic} filtered {}..{}", f.from, f.to),
        Item::Reset(r) => format!("{topic} reset {}", r.next_offset),
        Item::End(e) => format!("{topic} end {:?} {}", e.reason, e.next_offset),
        other => format!("{other:?}"),
    }
}

pub fn drain_short(consumer: &mut Consumer) -> Vec<String> {
    drain(consumer).iter().map(short).collect()
}
