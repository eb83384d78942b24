#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod batch;
#[cfg(feature = "batches")]
mod batches;
mod broker;
mod budget;
mod clock;
mod consumer;
mod decoding;
mod encoding;
mod epoch;
mod error;
mod filter;
mod follower;
mod following;
mod idempotence;
mod info;
mod item;
mod last_by_key;
mod meter;
mod name;
mod options;
mod pattern;
mod producer;
mod record;
mod records;
mod registry;
mod slab;
mod start;
mod subscription;
mod subscriptions;
mod sync;
pub mod testing;
mod time_index;
mod topic;
mod twin;
mod wait;
mod wall_clock;

#[cfg(all(test, any(loom, shuttle)))]
mod tests;

#[cfg(feature = "batches")]
pub use batches::{BatchConsumer, BatchesReport, ConsumedRecord};
pub use broker::Broker;
pub use consumer::Consumer;
pub use decoding::InvalidReason;
pub use epoch::{Epoch, InvalidEpoch};
pub use error::{
    CreateTopicError, InvalidName, InvalidOptions, InvalidPattern, InvalidRecord, LastByKeyError,
    NotSubscribed, OutOfMemory, PollTimeout, ProduceError, ProducerError, PurgeTopicError,
    SeekError, SubscribeError, UnknownTopic, UpdateTopicError,
};
pub use filter::{Filter, MAX_FILTER_BYTES};
pub use info::{SubscriptionInfo, TopicInfo};
pub use item::{End, EndReason, Filtered, Item, Lost, Reset};
pub use name::{MAX_NAME_BYTES, NameProblem, check_name};
pub use options::{
    BrokerOptions, ConsumerOptions, MAX_BATCH_RECORDS, MAX_RECORD_BYTES, MAX_SUBSCRIPTIONS,
    ProduceOptions, ProducerSequence, TopicOptions, TopicUpdate,
};
pub use pattern::PatternProblem;
pub use producer::{Produced, Producer};
pub use record::{Header, Record};
pub use records::{Iter, RecordRef, Records};
pub use start::{OffsetQuery, Position, StartAt, StopAt, SubscribeOptions, Subscribed};
