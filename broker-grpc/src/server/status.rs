//! Errors as clients see them: the only file that chooses a gRPC code.
//!
//! A code says what kind of thing to do (change the request, wait, give up), the reason says exactly what happened, the
//! message says what to do in one sentence. What is too large is `INVALID_ARGUMENT` when it is a record (the same one
//! never fits) and `RESOURCE_EXHAUSTED` when it is a message (gRPC's own convention, and other messages do fit).
//!
//! The broker may have more errors one day; each that it has now is named below.
#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

use std::time::Duration;

use footman_broker::{
    CreateTopicError, InvalidName, InvalidOptions, InvalidPattern, LastByKeyError, OutOfMemory,
    ProduceError, ProducerError, PurgeTopicError, SubscribeError, UnknownTopic, UpdateTopicError,
};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::proto;
use crate::reason;
use crate::wire::{Frame, WireError};

/// Why a call or a request failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    code: Code,
    reason: &'static str,
    message: String,
    retry_after: Option<Duration>,
    metadata: Vec<(&'static str, String)>,
    /// The record at fault.
    record: Option<usize>,
}

/// How long to wait before trying again what failed for want of memory or room.
const FULL_RETRY: Duration = Duration::from_millis(500);

/// How long to wait before trying again what a paused topic refused.
const PAUSED_RETRY: Duration = Duration::from_millis(500);

/// How long to wait before connecting again to a server that shuts down.
const DRAIN_RETRY: Duration = Duration::from_millis(100);

impl Failure {
    fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Failure {
            code,
            reason,
            message: message.into(),
            retry_after: None,
            metadata: Vec::new(),
            record: None,
        }
    }

    fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    /// The sentence for people.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Failure::new(Code::InvalidArgument, reason::INVALID_REQUEST, message)
    }

    pub(crate) fn draining() -> Self {
        let message =
            "the server is shutting down: connect again, resume where this stream stopped";
        Failure::new(Code::Unavailable, reason::DRAINING, message).retry_after(DRAIN_RETRY)
    }

    pub(crate) fn stalled() -> Self {
        let message =
            "nothing was read from this stream for too long: read faster, resume where it stopped";
        Failure::new(Code::Aborted, reason::STALLED, message)
    }

    pub(crate) fn too_many_calls(max: usize) -> Self {
        let message =
            format!("the server has {max} calls under way, as many as it takes: try again later");
        Failure::new(Code::ResourceExhausted, reason::TOO_MANY_CALLS, message)
            .with("max", max)
            .retry_after(FULL_RETRY)
    }

    pub(crate) fn too_many_subscriptions(max: usize) -> Self {
        let message =
            format!("the server has {max} subscriptions, as many as it takes: try again later");
        Failure::new(
            Code::ResourceExhausted,
            reason::TOO_MANY_SUBSCRIPTIONS,
            message,
        )
        .with("max", max)
        .retry_after(FULL_RETRY)
    }

    pub(crate) fn request_timeout(after: Duration) -> Self {
        let message = format!("the call's request did not come within {after:?}: send it at once");
        Failure::new(Code::DeadlineExceeded, reason::REQUEST_TIMEOUT, message)
    }

    pub(crate) fn unknown_method(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let message =
            format!("there is no method {path}: see reflection, or footman/v1/broker.proto");
        Failure::new(Code::Unimplemented, reason::UNKNOWN_METHOD, message)
    }

    pub(crate) fn compression() -> Self {
        let message = "compressed requests are not read: send grpc-encoding identity";
        Failure::new(Code::Unimplemented, reason::COMPRESSION, message)
    }

    pub(crate) fn epoch_mismatch(expected: u64, current: u64) -> Self {
        let message = format!(
            "the topic is in epoch {current}, not {expected}: its offsets started again, look up where to go on"
        );
        Failure::new(Code::FailedPrecondition, reason::EPOCH_MISMATCH, message)
            .with("expected_epoch", expected)
            .with("current_epoch", current)
    }

    /// What tonic says of a message that it could not take off the wire.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "gRPC's codes: the rest are passed on as they are"
    )]
    pub(crate) fn unreadable(status: &Status, max: usize) -> Self {
        match status.code() {
            Code::OutOfRange => {
                let message = format!(
                    "a message is larger than {max} bytes: send fewer records in a request"
                );
                Failure::new(Code::ResourceExhausted, reason::MESSAGE_TOO_LARGE, message)
                    .with("max", max)
            }
            Code::Internal | Code::Unimplemented | Code::InvalidArgument => {
                let message = format!("a message cannot be read: {}", status.message());
                Failure::new(Code::InvalidArgument, reason::UNDECODABLE, message)
            }
            Code::ResourceExhausted => {
                let message = format!("{}: send it again, or smaller ones", status.message());
                Failure::new(status.code(), reason::TOO_MUCH_UNFINISHED, message)
                    .retry_after(FULL_RETRY)
            }
            Code::DeadlineExceeded => {
                let message = format!("{}: send it at once", status.message());
                Failure::new(status.code(), reason::REQUEST_TIMEOUT, message)
            }
            code => Failure::new(code, reason::UNDECODABLE, status.message()),
        }
    }

    pub(crate) fn into_status(self) -> Status {
        let metadata = self
            .metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value));
        let mut details = ErrorDetails::with_error_info(
            self.reason,
            reason::DOMAIN,
            metadata.collect::<std::collections::HashMap<_, _>>(),
        );
        if let Some(delay) = self.retry_after {
            details.set_retry_info(Some(delay));
        }
        Status::with_error_details(self.code, self.message, details)
    }

    /// The failure as the answer to one request of a Produce stream.
    pub(crate) fn into_answer(self, request_id: u64) -> Frame {
        let records = self.record.map(|index| proto::RecordError {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            reason: self.reason.to_owned(),
            message: self.message.clone(),
        });
        let millis = self.retry_after.map_or(0, |delay| delay.as_millis());
        let error = proto::ProduceError {
            reason: self.reason.to_owned(),
            message: self.message,
            code: self.code as i32,
            records: records.into_iter().collect(),
            retry_after_ms: u32::try_from(millis).unwrap_or(u32::MAX),
        };
        let answer = proto::ProduceResponse {
            request_id,
            result: Some(proto::produce_response::Result::Error(error)),
        };
        Frame::Message(answer.encode_to_vec().into())
    }
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Self {
        let message = format!("the message is not what the proto says: {error}");
        Failure::new(Code::InvalidArgument, reason::UNDECODABLE, message)
    }
}

impl From<prost::DecodeError> for Failure {
    fn from(error: prost::DecodeError) -> Self {
        let message = format!("the message is not what the proto says: {error}");
        Failure::new(Code::InvalidArgument, reason::UNDECODABLE, message)
    }
}

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        let message = format!("{error}: use 1 to 249 of A-Z a-z 0-9 . _ -");
        Failure::new(Code::InvalidArgument, reason::INVALID_NAME, message)
    }
}

impl From<UnknownTopic> for Failure {
    fn from(error: UnknownTopic) -> Self {
        let message = format!("{error}: create it with CreateTopic");
        Failure::new(Code::NotFound, reason::UNKNOWN_TOPIC, message).with("topic", error.topic)
    }
}

impl From<InvalidOptions> for Failure {
    fn from(error: InvalidOptions) -> Self {
        Failure::new(
            Code::InvalidArgument,
            reason::INVALID_OPTIONS,
            error.to_string(),
        )
    }
}

impl From<OutOfMemory> for Failure {
    fn from(error: OutOfMemory) -> Self {
        Failure::new(
            Code::ResourceExhausted,
            reason::OUT_OF_MEMORY,
            error.to_string(),
        )
        .with("used_bytes", error.used)
        .with("max_bytes", error.max)
        .retry_after(FULL_RETRY)
    }
}

impl From<CreateTopicError> for Failure {
    fn from(error: CreateTopicError) -> Self {
        let message = error.to_string();
        match error {
            CreateTopicError::InvalidName(error) => error.into(),
            CreateTopicError::InvalidOptions(error) => error.into(),
            CreateTopicError::OutOfMemory(error) => error.into(),
            CreateTopicError::AlreadyExists { topic } => {
                let message = format!("{message}: change its limits with UpdateTopic");
                Failure::new(Code::AlreadyExists, reason::TOPIC_EXISTS, message)
                    .with("topic", topic)
            }
            CreateTopicError::TooManyTopics { max } => {
                let message = format!("{message}: delete one, or allow more");
                Failure::new(Code::ResourceExhausted, reason::TOO_MANY_TOPICS, message)
                    .with("max", max)
            }
            _ => Failure::new(Code::Internal, reason::INTERNAL, message),
        }
    }
}

impl From<UpdateTopicError> for Failure {
    fn from(error: UpdateTopicError) -> Self {
        let message = error.to_string();
        match error {
            UpdateTopicError::UnknownTopic(error) => error.into(),
            UpdateTopicError::InvalidOptions(error) => error.into(),
            _ => Failure::new(Code::Internal, reason::INTERNAL, message),
        }
    }
}

impl From<PurgeTopicError> for Failure {
    fn from(error: PurgeTopicError) -> Self {
        let message = error.to_string();
        match error {
            PurgeTopicError::UnknownTopic(error) => error.into(),
            PurgeTopicError::OffsetOutOfRange { end_offset, .. } => {
                Failure::new(Code::OutOfRange, reason::OFFSET_OUT_OF_RANGE, message)
                    .with("end_offset", end_offset)
            }
            _ => Failure::new(Code::Internal, reason::INTERNAL, message),
        }
    }
}

impl From<LastByKeyError> for Failure {
    fn from(error: LastByKeyError) -> Self {
        let message = error.to_string();
        match error {
            LastByKeyError::UnknownTopic(error) => error.into(),
            LastByKeyError::NotIndexed { topic } => {
                let message = format!("{message}: switch it on with UpdateTopic");
                Failure::new(Code::FailedPrecondition, reason::NOT_INDEXED, message)
                    .with("topic", topic)
            }
            _ => Failure::new(Code::Internal, reason::INTERNAL, message),
        }
    }
}

impl From<ProducerError> for Failure {
    fn from(error: ProducerError) -> Self {
        let message = error.to_string();
        match error {
            ProducerError::InvalidName(error) => error.into(),
            ProducerError::UnknownTopic(error) => error.into(),
            ProducerError::Create(error) => error.into(),
            _ => Failure::new(Code::Internal, reason::INTERNAL, message),
        }
    }
}

impl From<ProduceError> for Failure {
    fn from(error: ProduceError) -> Self {
        let message = error.to_string();
        match error {
            ProduceError::RecordTooLarge { index, max, .. } => {
                let message = format!("{message}: send it in parts, or raise max_record_bytes");
                let failure =
                    Failure::new(Code::InvalidArgument, reason::RECORD_TOO_LARGE, message);
                Failure {
                    record: Some(index),
                    ..failure.with("max", max).with("index", index)
                }
            }
            ProduceError::InvalidRecord { index, .. } => {
                let failure = Failure::new(Code::InvalidArgument, reason::INVALID_RECORD, message);
                Failure {
                    record: Some(index),
                    ..failure.with("index", index)
                }
            }
            ProduceError::EmptyBatch => {
                let message = "the request has no records: send at least one";
                Failure::new(Code::InvalidArgument, reason::EMPTY_BATCH, message)
            }
            ProduceError::TooManyRecords { .. } => {
                let message = format!("{message}: send fewer records in a request");
                Failure::new(Code::InvalidArgument, reason::INVALID_REQUEST, message)
            }
            ProduceError::TopicDeleted { topic } => {
                let message = format!("{message}: send the request again to begin a new one");
                Failure::new(Code::NotFound, reason::TOPIC_DELETED, message).with("topic", topic)
            }
            ProduceError::TopicPaused { topic } => {
                let message = format!("{message}: try again once it is resumed");
                Failure::new(Code::FailedPrecondition, reason::TOPIC_PAUSED, message)
                    .with("topic", topic)
                    .retry_after(PAUSED_RETRY)
            }
            ProduceError::EpochMismatch { expected, current } => {
                Failure::epoch_mismatch(expected.into(), current.into())
            }
            ProduceError::SequenceGap { expected, got } => {
                let message = format!("{message}: send what is missing first");
                Failure::new(Code::FailedPrecondition, reason::SEQUENCE_GAP, message)
                    .with("expected_sequence", expected)
                    .with("first_sequence", got)
            }
            ProduceError::Fenced { current_epoch } => {
                let message = format!("{message}: stop, or take a new producer_id");
                Failure::new(Code::FailedPrecondition, reason::FENCED, message)
                    .with("producer_epoch", current_epoch)
            }
            ProduceError::DuplicateTooOld { oldest, .. } => {
                Failure::new(Code::FailedPrecondition, reason::DUPLICATE_TOO_OLD, message)
                    .with("oldest_sequence", oldest)
            }
            ProduceError::OutOfMemory(error) => error.into(),
            _ => Failure::new(Code::Internal, reason::INTERNAL, message),
        }
    }
}

impl From<SubscribeError> for Failure {
    fn from(error: SubscribeError) -> Self {
        let message = error.to_string();
        match error {
            SubscribeError::InvalidName(error) => error.into(),
            SubscribeError::InvalidPattern(InvalidPattern { .. })
            | SubscribeError::OffsetOfPattern => {
                Failure::new(Code::InvalidArgument, reason::INVALID_REQUEST, message)
            }
            SubscribeError::UnknownTopic(error) => error.into(),
            SubscribeError::OffsetOutOfRange {
                start_offset,
                end_offset,
                ..
            } => {
                let message = format!("{message}: start at {end_offset} or before");
                Failure::new(Code::OutOfRange, reason::OFFSET_OUT_OF_RANGE, message)
                    .with("start_offset", start_offset)
                    .with("end_offset", end_offset)
            }
            SubscribeError::EpochMismatch { requested, current } => {
                Failure::epoch_mismatch(requested.into(), current.into())
            }
            SubscribeError::AlreadySubscribed { .. } => {
                let message = format!("{message}: name each topic once");
                Failure::new(Code::InvalidArgument, reason::INVALID_REQUEST, message)
            }
            SubscribeError::TooManySubscriptions | SubscribeError::FilterTooLong { .. } => {
                Failure::new(Code::InvalidArgument, reason::INVALID_REQUEST, message)
            }
            SubscribeError::Create(error) => error.into(),
            _ => Failure::new(Code::Internal, reason::INTERNAL, message),
        }
    }
}
