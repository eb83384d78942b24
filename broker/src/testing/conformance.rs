//! What a broker does, whoever asks: scenarios that run unchanged on the embedded broker and over a wire.
//!
//! An adapter says how to reach the broker ([`Client`], [`Subscriber`]); [`run`] does the rest. No scenario knows how
//! items are cut, how far a subscriber is read ahead, or how long anything takes: what they check holds
//! anyway, by the [`Ledger`](crate::testing::Ledger).
//!
//! Topics of any name are expected to be free; each scenario has its own, and deletes it.

mod filtering;
mod scenarios;

use crate::epoch::Epoch;
use crate::item::Item;
use crate::options::{ProduceOptions, TopicOptions, TopicUpdate};
use crate::record::Record;
use crate::records::Records;
use crate::start::{OffsetQuery, Position, SubscribeOptions};

/// How a broker is reached. It creates topics by their first use.
#[allow(async_fn_in_trait, reason = "the scenarios run in place")]
pub trait Client {
    /// A subscription's reader.
    type Subscriber: Subscriber;

    /// Creates a topic.
    async fn create_topic(&self, name: &str, options: TopicOptions) -> Result<TopicState, Refusal>;
    /// Changes a topic's options.
    async fn update_topic(&self, name: &str, update: TopicUpdate) -> Result<TopicState, Refusal>;
    /// Deletes a topic.
    async fn delete_topic(&self, name: &str) -> Result<(), Refusal>;
    /// Forgets the records below an offset, or all.
    async fn purge_topic(&self, name: &str, before: Option<u64>) -> Result<TopicState, Refusal>;
    /// Refuses what is produced to a topic.
    async fn pause_topic(&self, name: &str) -> Result<TopicState, Refusal>;
    /// Takes it again.
    async fn resume_topic(&self, name: &str) -> Result<TopicState, Refusal>;
    /// Finds the newest record with a key.
    async fn last_by_key(&self, name: &str, key: &[u8]) -> Result<Option<Records>, Refusal>;
    /// Describes a topic.
    async fn topic(&self, name: &str) -> Result<TopicState, Refusal>;
    /// Finds an offset.
    async fn offset_for(&self, name: &str, at: OffsetQuery) -> Result<(Epoch, u64), Refusal>;
    /// Appends a batch.
    async fn produce(
        &self,
        topic: &str,
        records: &[Record],
        options: &ProduceOptions,
    ) -> Result<Appended, Refusal>;
    /// Follows topics; they are followed when this returns.
    async fn subscribe(
        &self,
        topics: &[(&str, SubscribeOptions)],
    ) -> Result<Self::Subscriber, Refusal>;
}

/// Reads what was subscribed to.
#[allow(async_fn_in_trait, reason = "the scenarios run in place")]
pub trait Subscriber {
    /// The next item, however long it takes; `None` when every topic has reached its stop. A test fails by
    /// its own time-out.
    async fn next(&mut self) -> Option<Item>;
    /// Where it stands in a topic: behind the items that were given.
    fn position(&self, topic: &str) -> Option<Position>;
}

/// What the scenarios need to know of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in TopicInfo")]
pub struct TopicState {
    pub epoch: Epoch,
    pub start_offset: u64,
    pub end_offset: u64,
    pub paused: bool,
}

/// Where a batch was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in Produced")]
pub struct Appended {
    pub epoch: Epoch,
    pub base_offset: u64,
    pub count: u32,
    pub duplicate: bool,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Refusal {
    InvalidName,
    InvalidOptions,
    UnknownTopic,
    TopicExists,
    OffsetOutOfRange,
    EpochMismatch,
    RecordTooLarge,
    EmptyBatch,
    SequenceGap,
    Fenced,
    TopicPaused,
    NotIndexed,
    /// Whatever the scenarios do not ask for.
    Other(String),
}

/// Runs every scenario, one after the other.
///
/// # Panics
/// At the first thing that is not as it must be, with a sentence that says what.
pub async fn run(client: &impl Client) {
    scenarios::run(client).await;
    filtering::run(client).await;
}
