//! Where a subscription starts and where it stops.

use crate::epoch::Epoch;
use crate::filter::Filter;

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartAt {
    /// At the oldest record kept.
    Earliest,
    /// At the next record to be appended.
    Latest,
    /// At this offset. Below the oldest record kept, the first item is `Lost`; beyond the end, an error.
    Offset(u64),
    /// At this offset of this life of the topic; an error if the topic is in another one.
    OffsetIn {
        /// The life.
        epoch: Epoch,
        /// The offset.
        offset: u64,
    },
    /// At the first record kept whose timestamp (µs since the Unix epoch) is this or later; at the end, if
    /// there is none. Exact, in whatever order timestamps came.
    Timestamp(i64),
    /// This many records before the end, or at the oldest record kept.
    Last(u64),
    /// Where an earlier subscription stood. If the topic is in another life, the first item is `Reset`, and
    /// reading goes on at that life's first record.
    Resume {
        /// The life that was followed.
        epoch: Epoch,
        /// The first offset that was not read.
        next_offset: u64,
    },
}

/// Where reading stops: the subscription's last item is then `End` with the reason `Stopped`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StopAt {
    /// Never.
    #[default]
    Never,
    /// At what is the end when the subscription starts. A topic that does not exist is an error then, and not
    /// created.
    End,
    /// Before this offset, which may be yet to come. Where a [`StartAt::Resume`] begins another life of the
    /// topic, the offset means nothing there: it stops as at [`End`](Self::End).
    Offset(u64),
}

/// How to follow a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// Where to start.
    pub start: StartAt,
    /// Where to stop.
    pub stop: StopAt,
    /// Which records to be given; `None`: all.
    pub filter: Option<Filter>,
}

impl SubscribeOptions {
    /// All records from `start` on, without a stop.
    #[must_use]
    pub fn new(start: StartAt) -> Self {
        Self {
            start,
            stop: StopAt::Never,
            filter: None,
        }
    }

    /// The same, up to `stop`.
    #[must_use]
    pub fn with_stop(mut self, stop: StopAt) -> Self {
        self.stop = stop;
        self
    }

    /// The same, but of the records only those that match.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }
}

impl From<StartAt> for SubscribeOptions {
    fn from(start: StartAt) -> Self {
        Self::new(start)
    }
}

/// Which offset to ask a topic for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffsetQuery {
    /// The oldest record kept.
    Earliest,
    /// The next record to be appended.
    Latest,
    /// The first record kept whose timestamp (µs since the Unix epoch) is this or later; the end, if there
    /// is none.
    Timestamp(i64),
}

/// Where a consumer stands in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The life of the topic.
    pub epoch: Epoch,
    /// The first offset that was not read.
    pub next_offset: u64,
}

/// Where a new subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscribed {
    /// The life of the topic.
    pub epoch: Epoch,
    /// The first offset that will be read (or reported lost).
    pub next_offset: u64,
    /// Where reading stops, if it was asked to.
    pub stop_offset: Option<u64>,
}
