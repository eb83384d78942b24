//! What a consumer is given: records, and everything that is not records, as items of one order.

use std::sync::Arc;

use crate::epoch::Epoch;
use crate::records::Records;

/// One thing that happened to a subscription. Items of a topic come in order, none is ever dropped.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Item {
    /// Records in a row.
    Records(Records),
    /// Records that are gone before they were read.
    Lost(Lost),
    /// Records that the subscription's [`Filter`](crate::Filter) passed over.
    Filtered(Filtered),
    /// The topic's offsets start again.
    Reset(Reset),
    /// Nothing more comes, for now ([`EndReason::Deleted`]) or at all ([`EndReason::Stopped`]).
    End(End),
}

impl Item {
    /// The topic that it is about.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        match self {
            Self::Records(records) => records.topic(),
            Self::Lost(lost) => &lost.topic,
            Self::Filtered(filtered) => &filtered.topic,
            Self::Reset(reset) => &reset.topic,
            Self::End(end) => &end.topic,
        }
    }

    /// The records, if it is some.
    #[must_use]
    pub fn into_records(self) -> Option<Records> {
        match self {
            Self::Records(records) => Some(records),
            _ => None,
        }
    }
}

/// The subscription was lapped: these records were overwritten, expired or purged before it read them.
///
/// Exact: the record at `from` is the first that it did not get, `to` is the next that it will. Whether a
/// [`Filter`](crate::Filter) would have let them through, nobody knows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// The topic.
    pub topic: Arc<str>,
    /// The life of the topic that the offsets belong to.
    pub epoch: Epoch,
    /// The first offset lost.
    pub from: u64,
    /// The first offset not lost.
    pub to: u64,
}

impl Lost {
    /// An item that says so.
    #[must_use]
    pub fn new(topic: Arc<str>, epoch: Epoch, from: u64, to: u64) -> Self {
        Self {
            topic,
            epoch,
            from,
            to,
        }
    }

    /// How many records were lost.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// The subscription's [`Filter`](crate::Filter) passed over these records: none of them matches.
///
/// Exact: the record at `from` is the first that was passed over, the one at `to` is the next to be looked at. Two may follow
/// each other.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filtered {
    /// The topic.
    pub topic: Arc<str>,
    /// The life of the topic that the offsets belong to.
    pub epoch: Epoch,
    /// The first offset passed over.
    pub from: u64,
    /// The first offset not passed over.
    pub to: u64,
}

impl Filtered {
    /// An item that says so.
    #[must_use]
    pub fn new(topic: Arc<str>, epoch: Epoch, from: u64, to: u64) -> Self {
        Self {
            topic,
            epoch,
            from,
            to,
        }
    }

    /// How many records were passed over.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// The topic is another one of the same name (deleted and created, or the process started again).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reset {
    /// The topic.
    pub topic: Arc<str>,
    /// The life that was followed.
    pub old_epoch: Epoch,
    /// The life that is followed from here on.
    pub new_epoch: Epoch,
    /// Where reading goes on: 0, its first record.
    pub next_offset: u64,
}

impl Reset {
    /// An item that says so.
    #[must_use]
    pub fn new(topic: Arc<str>, old_epoch: Epoch, new_epoch: Epoch, next_offset: u64) -> Self {
        Self {
            topic,
            old_epoch,
            new_epoch,
            next_offset,
        }
    }
}

/// Nothing more comes from this life of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// The topic.
    pub topic: Arc<str>,
    /// The life that ended.
    pub epoch: Epoch,
    /// The first offset that was not read.
    pub next_offset: u64,
    /// Why.
    pub reason: EndReason,
}

impl End {
    /// An item that says so.
    #[must_use]
    pub fn new(topic: Arc<str>, epoch: Epoch, next_offset: u64, reason: EndReason) -> Self {
        Self {
            topic,
            epoch,
            next_offset,
            reason,
        }
    }
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndReason {
    /// The topic was deleted. The subscription stays bound to the name: when a topic of that name is
    /// created again, its next item is [`Item::Reset`]. (One with a stop does not wait for that: it is
    /// finished.)
    Deleted,
    /// The subscription has reached its [`StopAt`](crate::StopAt). It is finished.
    Stopped,
}
