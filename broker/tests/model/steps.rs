//! What can be done to a broker, and how often a sequence does it.

use bytes::Bytes;
use footman_broker::Filter;
use proptest::prelude::*;

pub(crate) const TOPICS: usize = 3;
pub(crate) const CONSUMERS: usize = 3;

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Create {
        topic: usize,
        records: u64,
        bytes: u64,
        age: Option<u64>,
        indexed: bool,
    },
    Update {
        topic: usize,
        records: Option<u64>,
        age: Option<Option<u64>>,
        indexed: Option<bool>,
    },
    Delete {
        topic: usize,
    },
    Produce {
        topic: usize,
        records: usize,
        bytes: usize,
        timestamp: Option<i64>,
        key: Option<u8>,
    },
    PauseTopic {
        topic: usize,
        paused: bool,
    },
    Last {
        topic: usize,
        key: u8,
    },
    Purge {
        topic: usize,
        back: u64,
    },
    Advance {
        seconds: u64,
    },
    JumpWall {
        seconds: i64,
    },
    Expire,
    Subscribe {
        consumer: usize,
        topic: usize,
        start: Start,
        stop: Stop,
        filter: Option<Filter>,
    },
    Unsubscribe {
        consumer: usize,
        topic: usize,
    },
    Seek {
        consumer: usize,
        topic: usize,
        start: Start,
    },
    Pause {
        consumer: usize,
        topic: usize,
        paused: bool,
    },
    Poll {
        consumer: usize,
        items: usize,
    },
    Find {
        topic: usize,
        timestamp: i64,
    },
}

/// Where to start, relative to what the topic has by then.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    Earliest,
    Latest,
    BeforeEnd(u64),
    BeyondEnd(u64),
    Last(u64),
    Timestamp(i64),
    ResumeOther,
    ResumeSame(u64),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Stop {
    Never,
    End,
    AfterEnd(u64),
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::Earliest),
        Just(Start::Latest),
        (0u64..40).prop_map(Start::BeforeEnd),
        (1u64..3).prop_map(Start::BeyondEnd),
        (0u64..40).prop_map(Start::Last),
        (0i64..60).prop_map(Start::Timestamp),
        Just(Start::ResumeOther),
        (0u64..40).prop_map(Start::ResumeSame),
    ]
}

fn stop() -> impl Strategy<Value = Stop> {
    prop_oneof![
        5 => Just(Stop::Never),
        1 => Just(Stop::End),
        1 => (0u64..20).prop_map(Stop::AfterEnd),
    ]
}

/// Keys are one byte.
fn filter() -> impl Strategy<Value = Option<Filter>> {
    prop_oneof![
        3 => Just(None),
        2 => (0u8..6).prop_map(|key| Some(Filter::Key(vec![key].into()))),
        1 => Just(Some(Filter::KeyPrefix(Bytes::new()))),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let topic = || 0..TOPICS;
    let consumer = || 0..CONSUMERS;
    let age = || proptest::option::of(1u64..20);
    prop_oneof![
        2 => (topic(), 1u64..30, 100u64..2_000, age(), any::<bool>()).prop_map(
            |(topic, records, bytes, age, indexed)| {
                Step::Create { topic, records, bytes, age, indexed }
            }
        ),
        1 => (
            topic(),
            proptest::option::of(1u64..30),
            proptest::option::of(age()),
            proptest::option::of(any::<bool>()),
        )
            .prop_map(|(topic, records, age, indexed)| {
                Step::Update { topic, records, age, indexed }
            }),
        1 => (topic(), prop::bool::weighted(0.3))
            .prop_map(|(topic, paused)| Step::PauseTopic { topic, paused }),
        2 => (topic(), 0u8..6).prop_map(|(topic, key)| Step::Last { topic, key }),
        1 => topic().prop_map(|topic| Step::Delete { topic }),
        8 => (
            topic(),
            1usize..40,
            0usize..60,
            proptest::option::of(1i64..60),
            proptest::option::of(0u8..4),
        )
            .prop_map(|(topic, records, bytes, timestamp, key)| {
                Step::Produce { topic, records, bytes, timestamp, key }
            }),
        1 => (topic(), 0u64..30).prop_map(|(topic, back)| Step::Purge { topic, back }),
        2 => (1u64..12).prop_map(|seconds| Step::Advance { seconds }),
        1 => (-40i64..40).prop_map(|seconds| Step::JumpWall { seconds }),
        1 => Just(Step::Expire),
        4 => (consumer(), topic(), start(), stop(), filter()).prop_map(
            |(consumer, topic, start, stop, filter)| {
                Step::Subscribe { consumer, topic, start, stop, filter }
            }
        ),
        1 => (consumer(), topic())
            .prop_map(|(consumer, topic)| Step::Unsubscribe { consumer, topic }),
        2 => (consumer(), topic(), start())
            .prop_map(|(consumer, topic, start)| Step::Seek { consumer, topic, start }),
        1 => (consumer(), topic(), any::<bool>())
            .prop_map(|(consumer, topic, paused)| Step::Pause { consumer, topic, paused }),
        8 => (consumer(), 1usize..12)
            .prop_map(|(consumer, items)| Step::Poll { consumer, items }),
        1 => (topic(), 0i64..60).prop_map(|(topic, timestamp)| Step::Find { topic, timestamp }),
    ]
}
