//! Administration: topics, offsets, subscriptions, the server itself. Unary calls on one shared connection.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use footman_broker::{Epoch, OffsetQuery, TopicOptions, TopicUpdate};

use crate::client::Client;
use crate::client::error::{CallError, ServerError};
use crate::client::received::epoch;
use crate::proto::{self, offset_query};

/// What there is to know about a topic of a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// The oldest record kept.
    pub start_offset: u64,
    /// The offset that the next record appended will get.
    pub end_offset: u64,
    /// Bytes of the records kept.
    pub retained_bytes: u64,
    /// Memory held for them.
    pub memory_bytes: u64,
    /// Records appended in this epoch.
    pub appended_records: u64,
    /// Bytes appended in this epoch.
    pub appended_bytes: u64,
    /// Records appended a second of late: over the last second, or over the last 256 records if they took longer.
    pub records_per_second: f64,
    /// Records given to subscriptions, all that there are and were.
    pub delivered_records: u64,
    /// Records of which subscriptions were told that they lost them, likewise.
    pub lost_records: u64,
    /// Records that the filters of subscriptions passed over, likewise.
    pub filtered_records: u64,
    /// Whether producers are refused.
    pub paused: bool,
    /// How many subscriptions follow it.
    pub subscriptions: u32,
    /// Its limits.
    pub options: TopicOptions,
    /// When it was created.
    pub created: SystemTime,
}

/// An offset that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffsetInfo {
    /// The topic.
    pub topic: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// The offset.
    pub offset: u64,
}

/// One subscriber's place in one topic, as the server sees it: its ledger.
///
/// `delivered + lost + filtered + lag == end_offset - started_offset`, always.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// Tells it from the topic's other subscriptions while it lasts; one that comes later may have it again.
    pub id: u32,
    /// The topic.
    pub topic: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// Where the ledger starts.
    pub started_offset: u64,
    /// The first offset not yet taken.
    pub next_offset: u64,
    /// The topic's end.
    pub end_offset: u64,
    /// Records there that it has not taken.
    pub lag: u64,
    /// Records it has taken.
    pub delivered: u64,
    /// Records it was told it lost.
    pub lost: u64,
    /// Records that its filter passed over.
    pub filtered: u64,
    /// About how many records can be appended before it loses one; 0: it has lost some already.
    pub headroom_records: u64,
    /// About how long until it loses a record, if it takes none and the topic is appended to at its present rate, or by
    /// the age of its next record; `None`: not by what can be foreseen.
    pub headroom: Option<Duration>,
    /// Chosen by the subscriber.
    pub label: String,
}

/// What a server is, its limits and its use of memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Its version.
    pub version: String,
    /// When it started.
    pub started: SystemTime,
    /// Its clock.
    pub now: SystemTime,
    /// Topics there are.
    pub topics: u32,
    /// Most topics allowed.
    pub max_topics: u32,
    /// Memory held by all topics.
    pub memory_bytes: u64,
    /// Most memory allowed.
    pub max_memory_bytes: u64,
    /// Connections open.
    pub connections: u32,
    /// Calls under way, streams included.
    pub calls: u32,
    /// Subscriptions under way.
    pub subscriptions: u32,
    /// Largest request, in bytes.
    pub max_request_bytes: u32,
    /// Whether topics are created on first use.
    pub auto_create: bool,
    /// The limits of a topic created without any.
    pub topic_defaults: TopicOptions,
}

impl Client {
    /// Creates a topic; what `options` leaves out is the server's default.
    ///
    /// # Errors
    ///
    /// `TOPIC_EXISTS`, `INVALID_NAME`, `INVALID_OPTIONS`, `TOO_MANY_TOPICS`, `OUT_OF_MEMORY`, or the connection's.
    pub async fn create_topic(&self, name: &str, options: TopicUpdate) -> Result<Topic, CallError> {
        let request = proto::CreateTopicRequest {
            name: name.to_owned(),
            options: Some(update(options)),
        };
        let response: proto::CreateTopicResponse = self
            .unary("/footman.v1.Admin/CreateTopic", &request)
            .await?;
        topic(response.topic)
    }

    /// Changes the limits of a topic; what `options` leaves out stays as it is.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC`, `INVALID_OPTIONS`, or the connection's.
    pub async fn update_topic(&self, name: &str, options: TopicUpdate) -> Result<Topic, CallError> {
        let request = proto::UpdateTopicRequest {
            name: name.to_owned(),
            options: Some(update(options)),
        };
        let response: proto::UpdateTopicResponse = self
            .unary("/footman.v1.Admin/UpdateTopic", &request)
            .await?;
        topic(response.topic)
    }

    /// Deletes a topic and its records; gives the topic as it was.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC`, or the connection's.
    pub async fn delete_topic(&self, name: &str) -> Result<Topic, CallError> {
        let request = proto::DeleteTopicRequest {
            name: name.to_owned(),
        };
        let response: proto::DeleteTopicResponse = self
            .unary("/footman.v1.Admin/DeleteTopic", &request)
            .await?;
        topic(response.topic)
    }

    /// Describes a topic.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC`, or the connection's.
    pub async fn topic(&self, name: &str) -> Result<Topic, CallError> {
        let request = proto::GetTopicRequest {
            name: name.to_owned(),
        };
        let response: proto::GetTopicResponse =
            self.unary("/footman.v1.Admin/GetTopic", &request).await?;
        topic(response.topic)
    }

    /// Describes all topics whose names begin with `prefix`, by name.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub async fn topics(&self, prefix: &str) -> Result<Vec<Topic>, CallError> {
        let mut topics = Vec::new();
        let mut request = proto::ListTopicsRequest {
            prefix: prefix.to_owned(),
            ..Default::default()
        };
        loop {
            let page: proto::ListTopicsResponse =
                self.unary("/footman.v1.Admin/ListTopics", &request).await?;
            for info in page.topics {
                topics.push(topic(Some(info))?);
            }
            if page.next_page_token.is_empty() {
                return Ok(topics);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Forgets the records of a topic below `before`, or all there are.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC`, `OFFSET_OUT_OF_RANGE`, or the connection's.
    pub async fn purge_topic(&self, name: &str, before: Option<u64>) -> Result<Topic, CallError> {
        let request = proto::PurgeTopicRequest {
            name: name.to_owned(),
            before_offset: before,
        };
        let response: proto::PurgeTopicResponse =
            self.unary("/footman.v1.Admin/PurgeTopic", &request).await?;
        topic(response.topic)
    }

    /// Refuses what is produced to a topic, with `TOPIC_PAUSED`, until it is [resumed](Client::resume_topic). Subscribers read
    /// on. This crate's producers try again until then, or until their delivery time-out.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC`, or the connection's.
    pub async fn pause_topic(&self, name: &str) -> Result<Topic, CallError> {
        let request = proto::PauseTopicRequest {
            name: name.to_owned(),
        };
        let response: proto::PauseTopicResponse =
            self.unary("/footman.v1.Admin/PauseTopic", &request).await?;
        topic(response.topic)
    }

    /// Takes what is produced to a paused topic again.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC`, or the connection's.
    pub async fn resume_topic(&self, name: &str) -> Result<Topic, CallError> {
        let request = proto::ResumeTopicRequest {
            name: name.to_owned(),
        };
        let response: proto::ResumeTopicResponse = self
            .unary("/footman.v1.Admin/ResumeTopic", &request)
            .await?;
        topic(response.topic)
    }

    /// Finds offsets, answered in the order asked; at most 1000 at once.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_TOPIC` if one of the topics does not exist, or the connection's.
    pub async fn list_offsets(
        &self,
        queries: &[(&str, OffsetQuery)],
    ) -> Result<Vec<OffsetInfo>, CallError> {
        let queries = queries.iter().map(|(topic, at)| proto::OffsetQuery {
            topic: (*topic).to_owned(),
            at: Some(match at {
                OffsetQuery::Earliest => offset_query::At::Earliest(true),
                OffsetQuery::Timestamp(at) => offset_query::At::TimestampUs(*at),
                _ => offset_query::At::Latest(true),
            }),
        });
        let request = proto::ListOffsetsRequest {
            queries: queries.collect(),
        };
        let response: proto::ListOffsetsResponse = self
            .unary("/footman.v1.Admin/ListOffsets", &request)
            .await?;
        let offsets = response.offsets.into_iter().map(|found| {
            Ok(OffsetInfo {
                topic: found.topic,
                epoch: epoch(found.epoch)?,
                offset: found.offset,
            })
        });
        offsets.collect()
    }

    /// Lists who reads `topic`, or any topic, how far behind, and what was lost.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub async fn subscriptions(&self, topic: Option<&str>) -> Result<Vec<Subscription>, CallError> {
        let mut subscriptions = Vec::new();
        let topic = topic.unwrap_or_default().to_owned();
        let mut request = proto::ListSubscriptionsRequest {
            topic,
            ..Default::default()
        };
        loop {
            let page: proto::ListSubscriptionsResponse = self
                .unary("/footman.v1.Admin/ListSubscriptions", &request)
                .await?;
            for from in page.subscriptions {
                subscriptions.push(Subscription {
                    id: from.id,
                    topic: from.topic,
                    epoch: epoch(from.epoch)?,
                    started_offset: from.started_offset,
                    next_offset: from.next_offset,
                    end_offset: from.end_offset,
                    lag: from.lag,
                    delivered: from.delivered,
                    lost: from.lost,
                    filtered: from.filtered,
                    headroom_records: from.headroom_records,
                    headroom: from.headroom_us.map(Duration::from_micros),
                    label: from.label,
                });
            }
            if page.next_page_token.is_empty() {
                return Ok(subscriptions);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Says what the server is.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub async fn server_info(&self) -> Result<ServerInfo, CallError> {
        let from: proto::ServerInfoResponse = self
            .unary("/footman.v1.Admin/ServerInfo", &proto::ServerInfoRequest {})
            .await?;
        Ok(ServerInfo {
            version: from.version,
            started: time(from.started_us),
            now: time(from.now_us),
            topics: from.topics,
            max_topics: from.max_topics,
            memory_bytes: from.memory_bytes,
            max_memory_bytes: from.max_memory_bytes,
            connections: from.connections,
            calls: from.calls,
            subscriptions: from.subscriptions,
            max_request_bytes: from.max_request_bytes,
            auto_create: from.auto_create,
            topic_defaults: options(from.topic_defaults.unwrap_or_default()),
        })
    }
}

fn update(from: TopicUpdate) -> proto::TopicOptions {
    let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX).max(1);
    proto::TopicOptions {
        max_records: from.max_records,
        max_bytes: from.max_bytes,
        max_age_ms: from.max_age.map(|age| age.map_or(0, millis)),
        max_record_bytes: from.max_record_bytes,
        last_by_key: from.last_by_key,
    }
}

fn options(from: proto::TopicOptions) -> TopicOptions {
    let mut options = TopicOptions::new();
    options.max_records = from.max_records.unwrap_or(options.max_records);
    options.max_bytes = from.max_bytes.unwrap_or(options.max_bytes);
    options.max_age = from
        .max_age_ms
        .filter(|millis| *millis > 0)
        .map(Duration::from_millis);
    options.max_record_bytes = from.max_record_bytes.unwrap_or(options.max_record_bytes);
    options.last_by_key = from.last_by_key.unwrap_or(options.last_by_key);
    options
}

fn topic(from: Option<proto::TopicInfo>) -> Result<Topic, CallError> {
    let from = from.ok_or_else(|| ServerError::protocol("the response has no topic"))?;
    Ok(Topic {
        name: from.name,
        epoch: epoch(from.epoch)?,
        start_offset: from.start_offset,
        end_offset: from.end_offset,
        retained_bytes: from.retained_bytes,
        memory_bytes: from.memory_bytes,
        appended_records: from.appended_records,
        appended_bytes: from.appended_bytes,
        records_per_second: from.records_per_second,
        delivered_records: from.delivered_records,
        lost_records: from.lost_records,
        filtered_records: from.filtered_records,
        paused: from.paused,
        subscriptions: from.subscriptions,
        options: options(from.options.unwrap_or_default()),
        created: time(from.created_us),
    })
}

fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    let time = if micros < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(UNIX_EPOCH)
}
