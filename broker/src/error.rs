//! Errors: one enum per operation, with what that operation can return.

use std::sync::Arc;
use std::time::Duration;

use crate::decoding::InvalidReason;
use crate::epoch::Epoch;
use crate::filter::MAX_FILTER_BYTES;
use crate::name::{MAX_NAME_BYTES, NameProblem};
use crate::options::{MAX_BATCH_RECORDS, MAX_RECORD_BYTES, MAX_SUBSCRIPTIONS};
use crate::pattern::PatternProblem;

/// A string that is no topic name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a topic name: {problem}")]
#[non_exhaustive]
pub struct InvalidName {
    /// The name; of one that is too long, its first 249 bytes.
    pub name: Box<str>,
    /// What is wrong with it.
    pub problem: NameProblem,
}

impl InvalidName {
    pub(crate) fn new(name: &str, problem: NameProblem) -> Self {
        let mut end = name.len().min(MAX_NAME_BYTES);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            name: name.get(..end).unwrap_or_default().into(),
            problem,
        }
    }
}

/// A string that is no pattern of topic names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a pattern of topic names: {problem}")]
#[non_exhaustive]
pub struct InvalidPattern {
    /// The pattern; of one that is too long, its first 249 bytes.
    pub pattern: Box<str>,
    /// What is wrong with it.
    pub problem: PatternProblem,
}

impl InvalidPattern {
    pub(crate) fn new(pattern: &str, problem: PatternProblem) -> Self {
        Self {
            pattern: InvalidName::new(pattern, NameProblem::TooLong).name,
            problem,
        }
    }
}

/// A topic that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topic {topic:?} does not exist")]
#[non_exhaustive]
pub struct UnknownTopic {
    /// The name that was asked for (cut to 249 bytes).
    pub topic: Box<str>,
}

impl UnknownTopic {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            topic: InvalidName::new(name, NameProblem::TooLong).name,
        }
    }
}

/// Options that make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidOptions {
    /// An option must be at least 1 (or longer than no time).
    #[error("{option} must be greater than 0")]
    Zero {
        /// Which.
        option: &'static str,
    },
    /// `max_record_bytes` is above its cap.
    #[error("max_record_bytes is {bytes}, more than {MAX_RECORD_BYTES}")]
    RecordTooLarge {
        /// What was asked for.
        bytes: u32,
    },
}

/// Why no topic was created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateTopicError {
    /// The name is none.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// There is one of that name.
    #[error("topic {topic:?} exists already")]
    AlreadyExists {
        /// Its name.
        topic: Arc<str>,
    },
    /// The options make no sense.
    #[error(transparent)]
    InvalidOptions(#[from] InvalidOptions),
    /// The broker has as many topics as it may: delete one, or raise `max_topics`.
    #[error("there are {max} topics, as many as allowed")]
    TooManyTopics {
        /// `max_topics`.
        max: usize,
    },
    /// The broker holds as much memory as it may: delete topics, or raise `max_memory_bytes`.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// The broker's topics together hold as much memory as they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker's topics hold {used} of {max} bytes: delete or shrink topics, or allow more")]
#[non_exhaustive]
pub struct OutOfMemory {
    /// Bytes that all topics hold.
    pub used: u64,
    /// `max_memory_bytes`.
    pub max: u64,
}

/// Why a topic's options were not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateTopicError {
    /// No topic of that name.
    #[error(transparent)]
    UnknownTopic(#[from] UnknownTopic),
    /// The options make no sense.
    #[error(transparent)]
    InvalidOptions(#[from] InvalidOptions),
}

/// Why nothing was purged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PurgeTopicError {
    /// No topic of that name.
    #[error(transparent)]
    UnknownTopic(#[from] UnknownTopic),
    /// The offset is beyond the end.
    #[error("offset {offset} is beyond the end, {end_offset}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: u64,
        /// The topic's end.
        end_offset: u64,
    },
}

/// Why the newest record of a key was not looked up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LastByKeyError {
    /// No topic of that name.
    #[error(transparent)]
    UnknownTopic(#[from] UnknownTopic),
    /// The topic was not asked to keep an index of its keys: switch on `last_by_key`.
    #[error("topic {topic:?} has no index of keys (its option last_by_key is off)")]
    NotIndexed {
        /// Its name.
        topic: Arc<str>,
    },
}

/// Why there is no producer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The name is none.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// No topic of that name, and topics are not created by their first use.
    #[error(transparent)]
    UnknownTopic(#[from] UnknownTopic),
    /// It could not be created.
    #[error(transparent)]
    Create(#[from] CreateTopicError),
}

/// Why a batch was refused. Nothing of it was appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// A record is larger than the topic takes.
    #[error("record {index} has {bytes} bytes, more than the topic's limit of {max}")]
    RecordTooLarge {
        /// Which of the batch.
        index: usize,
        /// Bytes of its encoded body.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The bytes are not a record.
    #[error("record {index} is invalid: {reason}")]
    InvalidRecord {
        /// Which of the batch.
        index: usize,
        /// What is wrong.
        reason: InvalidReason,
    },
    /// A batch has at least one record.
    #[error("the batch is empty")]
    EmptyBatch,
    /// A batch has at most [`MAX_BATCH_RECORDS`].
    #[error("the batch has {records} records, more than {MAX_BATCH_RECORDS}")]
    TooManyRecords {
        /// Its records.
        records: usize,
    },
    /// The topic that this producer belongs to was deleted. Ask the broker for a new producer.
    #[error("topic {topic:?} was deleted")]
    TopicDeleted {
        /// Its name.
        topic: Arc<str>,
    },
    /// The topic is [paused](crate::Broker::pause_topic): try again once it is resumed.
    #[error("topic {topic:?} is paused")]
    TopicPaused {
        /// Its name.
        topic: Arc<str>,
    },
    /// The topic is not in the epoch that was expected: it was deleted and created since.
    #[error("the topic is in epoch {current}, not {expected}")]
    EpochMismatch {
        /// What was expected.
        expected: Epoch,
        /// What it is.
        current: Epoch,
    },
    /// The batch is neither the producer's next nor a repeat of one: something in between is missing,
    /// or it cuts across what was appended.
    #[error("the producer's next sequence is {expected}, not {got}")]
    SequenceGap {
        /// The producer's next sequence.
        expected: u64,
        /// The batch's first.
        got: u64,
    },
    /// A newer life of the same producer has appended; this one must stop.
    #[error("the producer was replaced by its epoch {current_epoch}")]
    Fenced {
        /// The newest life seen.
        current_epoch: u32,
    },
    /// A repeat of a batch from so long ago that its offsets are no longer remembered. It was
    /// appended; nothing was appended now.
    #[error("sequence {got} was appended long ago, remembered are those from {oldest}")]
    DuplicateTooOld {
        /// The batch's first sequence.
        got: u64,
        /// The oldest sequence whose offset is remembered.
        oldest: u64,
    },
    /// The broker holds as much memory as it may.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// Why a topic is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The name is none.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The pattern is none.
    #[error(transparent)]
    InvalidPattern(#[from] InvalidPattern),
    /// A pattern's topics start at the earliest or latest record, at a time, or at the last n: an offset
    /// belongs to one topic.
    #[error("an offset belongs to one topic, not to all that match a pattern")]
    OffsetOfPattern,
    /// No topic of that name, and topics are not created by their first use, or this one was to be read to its
    /// end alone.
    #[error(transparent)]
    UnknownTopic(#[from] UnknownTopic),
    /// The offset is beyond the end.
    #[error("offset {offset} is beyond the end: the topic has {start_offset} up to {end_offset}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: u64,
        /// The oldest record kept.
        start_offset: u64,
        /// The next to be appended: the largest offset that can be asked for.
        end_offset: u64,
    },
    /// The offset belongs to another life of the topic.
    #[error("the topic is in epoch {current}, not {requested}")]
    EpochMismatch {
        /// What was asked for.
        requested: Epoch,
        /// What it is.
        current: Epoch,
    },
    /// This consumer follows the topic: seek instead.
    #[error("topic {topic:?} is followed already")]
    AlreadySubscribed {
        /// Its name.
        topic: Arc<str>,
    },
    /// The filter has more than [`MAX_FILTER_BYTES`].
    #[error("a filter of {len} bytes: at most {MAX_FILTER_BYTES} are allowed")]
    FilterTooLong {
        /// How many it has.
        len: usize,
    },
    /// This consumer follows [`MAX_SUBSCRIPTIONS`].
    #[error("a consumer follows at most {MAX_SUBSCRIPTIONS} topics")]
    TooManySubscriptions,
    /// It could not be created.
    #[error(transparent)]
    Create(CreateTopicError),
}

impl From<ProducerError> for SubscribeError {
    fn from(error: ProducerError) -> Self {
        match error {
            ProducerError::UnknownTopic(error) => Self::UnknownTopic(error),
            ProducerError::InvalidName(error) => Self::InvalidName(error),
            ProducerError::Create(error) => Self::Create(error),
        }
    }
}

impl SubscribeError {
    /// A start that the topic does not have.
    pub(crate) fn from_start(error: SeekError) -> Self {
        match error {
            SeekError::OffsetOutOfRange {
                offset,
                start_offset,
                end_offset,
            } => Self::OffsetOutOfRange {
                offset,
                start_offset,
                end_offset,
            },
            SeekError::EpochMismatch { requested, current } => {
                Self::EpochMismatch { requested, current }
            }
            SeekError::NotSubscribed(NotSubscribed { topic }) => {
                Self::UnknownTopic(UnknownTopic { topic })
            }
            SeekError::TopicDeleted { topic } => Self::UnknownTopic(UnknownTopic::new(&topic)),
        }
    }
}

/// Why a position was not changed. It is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeekError {
    /// This consumer does not follow the topic.
    #[error(transparent)]
    NotSubscribed(#[from] NotSubscribed),
    /// The topic was deleted, and there is no new one (or its reset was not read yet).
    #[error("topic {topic:?} was deleted")]
    TopicDeleted {
        /// Its name.
        topic: Arc<str>,
    },
    /// The offset is beyond the end.
    #[error("offset {offset} is beyond the end: the topic has {start_offset} up to {end_offset}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: u64,
        /// The oldest record kept.
        start_offset: u64,
        /// The next to be appended.
        end_offset: u64,
    },
    /// The offset belongs to another life of the topic.
    #[error("the topic is in epoch {current}, not {requested}")]
    EpochMismatch {
        /// What was asked for.
        requested: Epoch,
        /// What it is.
        current: Epoch,
    },
}

/// This consumer does not follow that topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topic {topic:?} is not followed")]
#[non_exhaustive]
pub struct NotSubscribed {
    /// The name that was given (cut to 249 bytes).
    pub topic: Box<str>,
}

impl NotSubscribed {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            topic: InvalidName::new(name, NameProblem::TooLong).name,
        }
    }
}

/// Nothing came within the time given to [`Consumer::poll`](crate::Consumer::poll).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing came within {timeout:?}")]
#[non_exhaustive]
pub struct PollTimeout {
    /// The time given.
    pub timeout: Duration,
}

/// Bytes that are not the records they were said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("record {index} is invalid: {reason}")]
#[non_exhaustive]
pub struct InvalidRecord {
    /// Which, counted from 0.
    pub index: usize,
    /// What is wrong.
    pub reason: InvalidReason,
}
