//! What can be set: of a broker, of a topic, of a consumer.
//!
//! Validated where they are used for the first time; nothing is clamped silently.

use std::time::Duration;

use crate::clock::ManualClock;
use crate::error::InvalidOptions;

/// The largest `max_record_bytes` (3 MiB): a gRPC response with one record stays below every client's
/// default limit of 4 MiB.
pub const MAX_RECORD_BYTES: u32 = 3 << 20;

/// The most records that one batch may have.
pub const MAX_BATCH_RECORDS: usize = 65_536;

/// The most topics (and patterns) that one consumer may follow.
pub const MAX_SUBSCRIPTIONS: usize = 1_024;

/// What a broker may hold, and what a topic is like when nobody says.
///
/// ```
/// use footman_broker::{Broker, BrokerOptions};
///
/// let mut options = BrokerOptions::default();
/// options.max_topics = 10;
/// options.auto_create = false;
/// assert!(Broker::new(options).is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BrokerOptions {
    /// Whether producing to an unknown topic, or subscribing to one, creates it. Default: true.
    pub auto_create: bool,
    /// The most topics at once. Default: 10 000.
    pub max_topics: usize,
    /// The most memory that all topics may hold together, in bytes as allocated. A topic that would
    /// grow beyond it (by more than the segment that it is filling, at most 256 KiB) refuses records; one
    /// that has reached its own limits goes on, replacing its oldest (readers that hold on to old segments
    /// can push the total up to an eighth above). Default: 1 GiB.
    pub max_memory_bytes: u64,
    /// The options of topics that are created by their first use.
    pub topic_defaults: TopicOptions,
    /// The system's, if it is none.
    pub(crate) clock: Option<ManualClock>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            auto_create: true,
            max_topics: 10_000,
            max_memory_bytes: 1 << 30,
            topic_defaults: TopicOptions::default(),
            clock: None,
        }
    }
}

impl BrokerOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same options with another answer to unknown topics.
    #[must_use]
    pub fn with_auto_create(mut self, auto_create: bool) -> Self {
        self.auto_create = auto_create;
        self
    }

    /// The same options with other topic defaults.
    #[must_use]
    pub fn with_topic_defaults(mut self, topic_defaults: TopicOptions) -> Self {
        self.topic_defaults = topic_defaults;
        self
    }

    /// The same options on a clock that a test moves by hand.
    #[must_use]
    pub fn with_manual_clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidOptions> {
        if self.max_topics == 0 {
            return Err(InvalidOptions::Zero {
                option: "max_topics",
            });
        }
        if self.max_memory_bytes == 0 {
            return Err(InvalidOptions::Zero {
                option: "max_memory_bytes",
            });
        }
        self.topic_defaults.validate()
    }
}

/// How much a topic keeps. Every limit holds at once: it keeps the newest records within all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicOptions {
    /// Records kept, at least 1. Exact. `u64::MAX`: no limit. Default: 1 048 576.
    pub max_records: u64,
    /// Encoded bytes kept, at least 1. Exact. `u64::MAX`: no limit. Default: 256 MiB.
    pub max_bytes: u64,
    /// How long a record is kept, by the monotonic clock. It is gone at the latest
    /// `max(1 ms, age / 1024)` after that, never before. Default: for ever.
    pub max_age: Option<Duration>,
    /// The largest record, in bytes of its encoded body as the producer made it; at most
    /// [`MAX_RECORD_BYTES`]. A record that does not fit into `max_bytes` is refused as well.
    /// Default: 1 MiB.
    pub max_record_bytes: u32,
    /// Whether the newest record of each key can be looked up, by
    /// [`Broker::last_by_key`](crate::Broker::last_by_key). Costs about 100 bytes and the key for each key of
    /// which a record is kept, and appends of records with keys a look-up each. Default: false.
    pub last_by_key: bool,
}

impl Default for TopicOptions {
    fn default() -> Self {
        Self {
            max_records: 1 << 20,
            max_bytes: 256 << 20,
            max_age: None,
            max_record_bytes: 1 << 20,
            last_by_key: false,
        }
    }
}

impl TopicOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same options, keeping this many records.
    #[must_use]
    pub fn with_max_records(mut self, records: u64) -> Self {
        self.max_records = records;
        self
    }

    /// The same options, keeping this many encoded bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The same options, keeping records this long.
    #[must_use]
    pub fn with_max_age(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.max_age = age.into();
        self
    }

    /// The same options with another largest record.
    #[must_use]
    pub fn with_max_record_bytes(mut self, bytes: u32) -> Self {
        self.max_record_bytes = bytes;
        self
    }

    /// The same options, with or without look-ups by key.
    #[must_use]
    pub fn with_last_by_key(mut self, last_by_key: bool) -> Self {
        self.last_by_key = last_by_key;
        self
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidOptions> {
        for (option, zero) in [
            ("max_records", self.max_records == 0),
            ("max_bytes", self.max_bytes == 0),
            ("max_age", self.max_age == Some(Duration::ZERO)),
            ("max_record_bytes", self.max_record_bytes == 0),
        ] {
            if zero {
                return Err(InvalidOptions::Zero { option });
            }
        }
        if self.max_record_bytes > MAX_RECORD_BYTES {
            return Err(InvalidOptions::RecordTooLarge {
                bytes: self.max_record_bytes,
            });
        }
        Ok(())
    }

    pub(crate) fn updated(mut self, update: &TopicUpdate) -> Self {
        self.max_records = update.max_records.unwrap_or(self.max_records);
        self.max_bytes = update.max_bytes.unwrap_or(self.max_bytes);
        self.max_age = update.max_age.unwrap_or(self.max_age);
        self.max_record_bytes = update.max_record_bytes.unwrap_or(self.max_record_bytes);
        self.last_by_key = update.last_by_key.unwrap_or(self.last_by_key);
        self
    }
}

/// What to change of a topic's options; `None` leaves a field as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TopicUpdate {
    /// See [`TopicOptions::max_records`].
    pub max_records: Option<u64>,
    /// See [`TopicOptions::max_bytes`].
    pub max_bytes: Option<u64>,
    /// See [`TopicOptions::max_age`]; `Some(None)` keeps records for ever.
    pub max_age: Option<Option<Duration>>,
    /// See [`TopicOptions::max_record_bytes`].
    pub max_record_bytes: Option<u32>,
    /// See [`TopicOptions::last_by_key`]. Switching it on walks all records kept, while producers of the topic
    /// wait.
    pub last_by_key: Option<bool>,
}

impl TopicUpdate {
    /// An update that changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// How much a consumer takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerOptions {
    /// The most records in one item, at least 1. Default: 4 096.
    pub max_records: usize,
    /// The most encoded bytes in one item, unless its first record alone is larger. Default: 256 KiB.
    pub max_bytes: usize,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            max_records: 4_096,
            max_bytes: 256 << 10,
        }
    }
}

impl ConsumerOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same options with at most this many records in one item; 0 counts as 1.
    #[must_use]
    pub fn with_max_records(mut self, records: usize) -> Self {
        self.max_records = records;
        self
    }

    /// The same options with at most this many encoded bytes in one item.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

/// Which producer a batch comes from, and which of its batches it is, so that a repeat is noticed.
///
/// The producer numbers its records per topic; a batch carries the number of its first one. A batch
/// that the topic has already appended is answered with its original offsets and `duplicate = true`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerSequence {
    /// The producer: chosen at random by it.
    pub producer_id: u64,
    /// Which life of the producer: a batch of an earlier one than the newest seen is refused.
    pub producer_epoch: u32,
    /// The number of the batch's first record.
    pub first_sequence: u64,
}

/// What a producer may demand of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProduceOptions {
    /// Refuse unless the topic is in this epoch.
    pub expected_epoch: Option<crate::Epoch>,
    /// Notice repeats.
    pub sequence: Option<ProducerSequence>,
}

impl ProduceOptions {
    /// No demands.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, only into this life of the topic.
    #[must_use]
    pub fn with_expected_epoch(mut self, epoch: impl Into<Option<crate::Epoch>>) -> Self {
        self.expected_epoch = epoch.into();
        self
    }

    /// The same, noticing repeats.
    #[must_use]
    pub fn with_sequence(mut self, sequence: impl Into<Option<ProducerSequence>>) -> Self {
        self.sequence = sequence.into();
        self
    }
}
