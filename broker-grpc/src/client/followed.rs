//! One topic that a subscriber follows: where it stands, from where a session goes on, and what may come next.

use std::sync::Arc;

use footman_broker::{EndReason, Epoch, Filter, Item, StartAt, StopAt, SubscribeOptions};

use crate::client::error::ServerError;
use crate::client::received::epoch;
use crate::proto::{self, topic_start};

/// One topic of a subscriber.
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) name: Arc<str>,
    options: SubscribeOptions,
    /// The epoch and the first offset not yet given to the caller, once known.
    pub(crate) place: Option<(Epoch, u64)>,
    /// It was deleted, and may come back under its name.
    pub(crate) is_deleted: bool,
    /// It has not come back, and the session does without it.
    pub(crate) is_absent: bool,
    pub(crate) is_over: bool,
}

impl Followed {
    /// A topic of which nothing is known yet.
    pub(crate) fn new(name: &str, options: SubscribeOptions) -> Self {
        Followed {
            name: Arc::from(name),
            options,
            place: None,
            is_deleted: false,
            is_absent: false,
            is_over: false,
        }
    }

    /// Whether a session is to follow it.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.is_over && !self.is_absent
    }

    /// From where to go on.
    pub(crate) fn request(&self) -> proto::TopicStart {
        let mut request = topic_start(&self.name, &self.options);
        if let Some((epoch, next_offset)) = self.place {
            let resume = proto::Resume {
                epoch: epoch.into(),
                next_offset,
            };
            request.start = Some(topic_start::Start::Resume(resume));
            request.expected_epoch = 0;
        }
        request
    }

    /// The server says where it begins.
    pub(crate) fn begin(&mut self, started: &proto::Started) -> Result<(), ServerError> {
        if self.place.is_none() {
            self.place = Some((epoch(started.epoch)?, started.next_offset));
        }
        if let Some(offset) = started.stop_offset {
            // After a reconnect "the end" must mean what it meant at first.
            self.options.stop = StopAt::Offset(offset);
        }
        Ok(())
    }

    /// Moves the place past an item, which must follow what came before.
    pub(crate) fn advance(&mut self, item: &Item) -> Result<(), ServerError> {
        let (at, next) = match item {
            Item::Records(records) => (
                Some((records.epoch(), records.base_offset())),
                (records.epoch(), records.next_offset()),
            ),
            Item::Lost(lost) => (Some((lost.epoch, lost.from)), (lost.epoch, lost.to)),
            Item::Filtered(passed) => {
                (Some((passed.epoch, passed.from)), (passed.epoch, passed.to))
            }
            Item::Reset(reset) => (None, (reset.new_epoch, reset.next_offset)),
            Item::End(end) => (None, (end.epoch, end.next_offset)),
            _ => return Ok(()),
        };
        if let (Some(at), Some(place)) = (at, self.place)
            && at != place
        {
            let message = format!(
                "topic {:?}: the server went on at offset {} of epoch {}, not at {} of {}",
                self.name, at.1, at.0, place.1, place.0
            );
            return Err(ServerError::protocol(message));
        }
        self.place = Some(next);
        let ended = match item {
            Item::End(end) => Some(end.reason),
            _ => None,
        };
        self.is_deleted = ended == Some(EndReason::Deleted);
        self.is_over = ended == Some(EndReason::Stopped);
        Ok(())
    }
}

/// What is to be read of a topic, as a request has it.
pub(crate) fn topic_start(name: &str, options: &SubscribeOptions) -> proto::TopicStart {
    use topic_start::{Start, Stop};
    let mut expected_epoch = 0;
    let start = match options.start {
        StartAt::Earliest => Start::Earliest(true),
        StartAt::Offset(offset) => Start::Offset(offset),
        StartAt::OffsetIn { epoch, offset } => {
            expected_epoch = epoch.into();
            Start::Offset(offset)
        }
        StartAt::Timestamp(at) => Start::TimestampUs(at),
        StartAt::Last(records) => Start::LastRecords(records),
        StartAt::Resume { epoch, next_offset } => Start::Resume(proto::Resume {
            epoch: epoch.into(),
            next_offset,
        }),
        _ => Start::Latest(true),
    };
    let stop = match options.stop {
        StopAt::End => Some(Stop::StopAtEnd(true)),
        StopAt::Offset(offset) => Some(Stop::StopOffset(offset)),
        _ => None,
    };
    let filter = options.filter.as_ref().map(|filter| match filter {
        Filter::Key(key) => topic_start::Filter::Key(key.to_vec()),
        Filter::KeyPrefix(prefix) => topic_start::Filter::KeyPrefix(prefix.to_vec()),
    });
    proto::TopicStart {
        topic: name.to_owned(),
        start: Some(start),
        expected_epoch,
        stop,
        filter,
    }
}
