//! What can be seen of topics and subscriptions from outside.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::epoch::Epoch;
use crate::options::TopicOptions;

/// A topic at one time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TopicInfo {
    /// Its name.
    pub name: Arc<str>,
    /// Its life.
    pub epoch: Epoch,
    /// The oldest record kept; [`end_offset`](Self::end_offset) when there is none.
    pub start_offset: u64,
    /// The offset that the next record will have.
    pub end_offset: u64,
    /// Encoded bytes of the records kept.
    pub retained_bytes: u64,
    /// Memory that it holds: records, their index, what is kept for idempotent producers.
    pub memory_bytes: u64,
    /// Records appended since it was created.
    pub appended_records: u64,
    /// Encoded bytes appended since it was created.
    pub appended_bytes: u64,
    /// Records per second appended of late: over the last second, or the last 256 records if they took longer.
    pub records_per_second: f64,
    /// Records given to consumers, in all subscriptions that there are and were.
    pub delivered_records: u64,
    /// Records of which consumers were told that they lost them, likewise.
    pub lost_records: u64,
    /// Records that filters passed over, likewise.
    pub filtered_records: u64,
    /// Whether producers are refused.
    pub paused: bool,
    /// Subscriptions that follow it.
    pub subscriptions: usize,
    /// Subscriptions that sleep until something is appended.
    pub waiters: usize,
    /// Its options.
    pub options: TopicOptions,
    /// When it was created, by the wall clock.
    pub created: SystemTime,
}

/// A subscription at one time: its ledger.
///
/// `delivered + lost + filtered + lag == end_offset - started_offset`, always. Moving the subscription
/// (seek, reset) starts the ledger again.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SubscriptionInfo {
    /// Tells it from the topic's other subscriptions while it lasts; one that comes later may have it again.
    pub id: u32,
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's life.
    pub epoch: Epoch,
    /// Where the ledger starts.
    pub started_offset: u64,
    /// The next record that it reads.
    pub next_offset: u64,
    /// The topic's end.
    pub end_offset: u64,
    /// Records given to its consumer.
    pub delivered: u64,
    /// Records of which its consumer was told that they are lost.
    pub lost: u64,
    /// Records that its [`Filter`](crate::Filter) passed over.
    pub filtered: u64,
    /// Records not read yet: `end_offset - next_offset`.
    pub lag: u64,
    /// About how many records can be appended before it loses one, by the topic's limits of records and
    /// bytes (at the present mean record size); 0: it has lost some already.
    pub headroom_records: u64,
    /// About how long until it loses a record, if it reads none and the topic is appended to at its present
    /// rate ([`TopicInfo::records_per_second`]), or by the age of its next record; `None`: not by what can be
    /// foreseen.
    pub headroom: Option<Duration>,
    /// What its consumer calls itself.
    pub label: Option<Arc<str>>,
}
