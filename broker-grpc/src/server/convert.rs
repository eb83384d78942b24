//! Protobuf messages to and from the broker's types: the only file that knows both, but for records, which stay bytes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use footman_broker::{
    End, EndReason, Epoch, Filter, Filtered, Item, Lost, Records, Reset, StartAt, StopAt,
    SubscribeOptions, SubscriptionInfo, TopicInfo, TopicOptions, TopicUpdate,
};
use prost::Message as _;

use crate::proto::{self, subscribe_response, topic_start};
use crate::server::status::Failure;
use crate::wire::Frame;

/// Where to read one topic from, as asked for.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) topic: String,
    pub(crate) options: SubscribeOptions,
    /// The epoch the topic must have, where the start does not say.
    pub(crate) expected_epoch: Option<Epoch>,
}

pub(crate) fn start(from: proto::TopicStart) -> Result<Start, Failure> {
    let expected_epoch = match from.expected_epoch {
        0 => None,
        epoch => Some(self::epoch(epoch)?),
    };
    let at = match from.start {
        None => StartAt::Latest,
        Some(topic_start::Start::Earliest(set)) => chosen(set, "earliest", StartAt::Earliest)?,
        Some(topic_start::Start::Latest(set)) => chosen(set, "latest", StartAt::Latest)?,
        Some(topic_start::Start::Offset(offset)) => match expected_epoch {
            Some(epoch) => StartAt::OffsetIn { epoch, offset },
            None => StartAt::Offset(offset),
        },
        Some(topic_start::Start::TimestampUs(at)) => StartAt::Timestamp(at),
        Some(topic_start::Start::LastRecords(records)) => StartAt::Last(records),
        Some(topic_start::Start::Resume(resume)) => {
            if expected_epoch.is_some() {
                return Err(Failure::invalid_request(
                    "expected_epoch is not for resume, which has its own",
                ));
            }
            StartAt::Resume {
                epoch: self::epoch(resume.epoch)?,
                next_offset: resume.next_offset,
            }
        }
    };
    let stop = match from.stop {
        None => StopAt::Never,
        Some(topic_start::Stop::StopAtEnd(set)) => chosen(set, "stop_at_end", StopAt::End)?,
        Some(topic_start::Stop::StopOffset(offset)) => StopAt::Offset(offset),
    };
    let mut options = SubscribeOptions::new(at).with_stop(stop);
    options.filter = from.filter.map(|filter| match filter {
        topic_start::Filter::Key(key) => Filter::Key(key.into()),
        topic_start::Filter::KeyPrefix(prefix) => Filter::KeyPrefix(prefix.into()),
    });
    Ok(Start {
        topic: from.topic,
        options,
        expected_epoch,
    })
}

pub(crate) fn epoch(value: u64) -> Result<Epoch, Failure> {
    Epoch::try_from(value).map_err(|_| {
        Failure::invalid_request(format!(
            "{value} is not an epoch: take one that the server gave"
        ))
    })
}

fn chosen<T>(set: bool, name: &str, value: T) -> Result<T, Failure> {
    if set {
        Ok(value)
    } else {
        Err(Failure::invalid_request(format!(
            "{name} must be true, or not be set"
        )))
    }
}

/// A consumer's item as a message.
pub(crate) fn item(item: Item) -> Option<Frame> {
    let item = match item {
        Item::Records(records) => return Some(batch(&records)),
        Item::Lost(Lost {
            topic,
            epoch,
            from,
            to,
            ..
        }) => subscribe_response::Item::Lost(proto::Lost {
            topic: topic.to_string(),
            epoch: epoch.into(),
            from_offset: from,
            to_offset: to,
        }),
        Item::Filtered(Filtered {
            topic,
            epoch,
            from,
            to,
            ..
        }) => subscribe_response::Item::Filtered(proto::Filtered {
            topic: topic.to_string(),
            epoch: epoch.into(),
            from_offset: from,
            to_offset: to,
        }),
        Item::Reset(Reset {
            topic,
            old_epoch,
            new_epoch,
            next_offset,
            ..
        }) => subscribe_response::Item::Reset(proto::Reset {
            topic: topic.to_string(),
            old_epoch: old_epoch.into(),
            new_epoch: new_epoch.into(),
            next_offset,
        }),
        Item::End(End {
            topic,
            epoch,
            next_offset,
            reason,
            ..
        }) => subscribe_response::Item::End(proto::End {
            topic: topic.to_string(),
            epoch: epoch.into(),
            next_offset,
            reason: match reason {
                EndReason::Deleted => proto::EndReason::Deleted,
                EndReason::Stopped => proto::EndReason::Stopped,
                _ => proto::EndReason::Unspecified,
            }
            .into(),
        }),
        _ => return None,
    };
    Some(response(item))
}

fn batch(records: &Records) -> Frame {
    Frame::Batch {
        topic: records.topic().clone(),
        epoch: records.epoch().into(),
        base_offset: records.base_offset(),
        count: u32::try_from(records.len()).unwrap_or(u32::MAX),
        run: records.encoded().clone(),
    }
}

/// A `LastByKeyResponse`: in its wire form a `SubscribeResponse` with a batch, or nothing.
pub(crate) fn last_by_key(last: Option<Records>) -> Frame {
    last.map_or_else(|| Frame::Message(Bytes::new()), |last| batch(&last))
}

pub(crate) fn response(item: subscribe_response::Item) -> Frame {
    let response = proto::SubscribeResponse { item: Some(item) };
    Frame::Message(response.encode_to_vec().into())
}

pub(crate) fn options(from: &TopicOptions) -> proto::TopicOptions {
    proto::TopicOptions {
        max_records: Some(from.max_records),
        max_bytes: Some(from.max_bytes),
        max_age_ms: Some(from.max_age.map_or(0, millis)),
        max_record_bytes: Some(from.max_record_bytes),
        last_by_key: Some(from.last_by_key),
    }
}

/// The options of a topic to be created: what is not set is the broker's default.
pub(crate) fn new_options(
    from: Option<proto::TopicOptions>,
    defaults: TopicOptions,
) -> TopicOptions {
    let from = from.unwrap_or_default();
    let mut options = defaults;
    options.max_records = from.max_records.unwrap_or(options.max_records);
    options.max_bytes = from.max_bytes.unwrap_or(options.max_bytes);
    options.max_age = from.max_age_ms.map_or(options.max_age, age);
    options.max_record_bytes = from.max_record_bytes.unwrap_or(options.max_record_bytes);
    options.last_by_key = from.last_by_key.unwrap_or(options.last_by_key);
    options
}

pub(crate) fn update(from: Option<proto::TopicOptions>) -> TopicUpdate {
    let from = from.unwrap_or_default();
    let mut update = TopicUpdate::new();
    update.max_records = from.max_records;
    update.max_bytes = from.max_bytes;
    update.max_age = from.max_age_ms.map(age);
    update.max_record_bytes = from.max_record_bytes;
    update.last_by_key = from.last_by_key;
    update
}

fn age(millis: u64) -> Option<Duration> {
    (millis > 0).then(|| Duration::from_millis(millis))
}

pub(crate) fn topic(from: &TopicInfo) -> proto::TopicInfo {
    proto::TopicInfo {
        name: from.name.to_string(),
        epoch: from.epoch.into(),
        start_offset: from.start_offset,
        end_offset: from.end_offset,
        retained_bytes: from.retained_bytes,
        memory_bytes: from.memory_bytes,
        appended_records: from.appended_records,
        appended_bytes: from.appended_bytes,
        subscriptions: u32::try_from(from.subscriptions).unwrap_or(u32::MAX),
        options: Some(options(&from.options)),
        created_us: micros(from.created),
        records_per_second: from.records_per_second,
        delivered_records: from.delivered_records,
        lost_records: from.lost_records,
        filtered_records: from.filtered_records,
        paused: from.paused,
    }
}

pub(crate) fn subscription(from: SubscriptionInfo) -> proto::SubscriptionInfo {
    proto::SubscriptionInfo {
        topic: from.topic.to_string(),
        epoch: from.epoch.into(),
        next_offset: from.next_offset,
        lag: from.lag,
        delivered: from.delivered,
        lost: from.lost,
        filtered: from.filtered,
        label: from
            .label
            .map_or_else(String::new, |label| label.to_string()),
        id: from.id,
        started_offset: from.started_offset,
        end_offset: from.end_offset,
        headroom_records: from.headroom_records,
        headroom_us: from
            .headroom
            .map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
    }
}

/// Microseconds since the Unix epoch.
pub(crate) fn micros(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
