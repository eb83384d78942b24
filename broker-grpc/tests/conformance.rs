//! The broker's conformance suite over a real server and a real connection: the same scenarios, word for word, as
//! `broker/tests/conformance.rs` runs on the embedded broker.

mod harness;

use std::time::Duration;

use footman_broker::testing::conformance::{self, Appended, Refusal, Subscriber, TopicState};
use footman_broker::{
    Epoch, Item, OffsetQuery, Position, ProduceOptions, Record, Records, SubscribeOptions,
    TopicOptions, TopicUpdate,
};
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::{
    CallError, Client, ServerOptions, SubscribeError, Topic, proto, reason as word,
};
use harness::{Running, channel, next, reason};
use tonic::transport::Channel;

/// This crate's client; batches go by a plain stub, which says its own sequences.
struct Remote {
    client: Client,
    stub: BrokerClient<Channel>,
}

struct Following {
    subscriber: footman_broker_grpc::Subscriber,
}

fn state(topic: Topic) -> TopicState {
    TopicState {
        epoch: topic.epoch,
        start_offset: topic.start_offset,
        end_offset: topic.end_offset,
        paused: topic.paused,
    }
}

fn refusal(reason: &str) -> Refusal {
    match reason {
        word::INVALID_NAME => Refusal::InvalidName,
        word::INVALID_OPTIONS => Refusal::InvalidOptions,
        word::UNKNOWN_TOPIC => Refusal::UnknownTopic,
        word::TOPIC_EXISTS => Refusal::TopicExists,
        word::OFFSET_OUT_OF_RANGE => Refusal::OffsetOutOfRange,
        word::EPOCH_MISMATCH => Refusal::EpochMismatch,
        word::RECORD_TOO_LARGE => Refusal::RecordTooLarge,
        word::EMPTY_BATCH => Refusal::EmptyBatch,
        word::SEQUENCE_GAP => Refusal::SequenceGap,
        word::FENCED => Refusal::Fenced,
        word::TOPIC_PAUSED => Refusal::TopicPaused,
        word::NOT_INDEXED => Refusal::NotIndexed,
        other => Refusal::Other(other.to_owned()),
    }
}

fn call(error: CallError) -> Refusal {
    match error {
        CallError::Server(error) => refusal(&error.reason),
        other => Refusal::Other(other.to_string()),
    }
}

fn update(options: TopicOptions) -> TopicUpdate {
    let mut update = TopicUpdate::new();
    update.max_records = Some(options.max_records);
    update.max_bytes = Some(options.max_bytes);
    update.max_age = Some(options.max_age);
    update.max_record_bytes = Some(options.max_record_bytes);
    update.last_by_key = Some(options.last_by_key);
    update
}

fn message(record: &Record) -> proto::Record {
    proto::Record {
        timestamp_us: record.timestamp_us.unwrap_or_default(),
        key: record.key.as_deref().map(|key| key.to_vec().into()),
        value: record.value.to_vec().into(),
        headers: record
            .headers
            .iter()
            .map(|header| proto::Header {
                name: header.name.to_string(),
                value: header.value.to_vec().into(),
            })
            .collect(),
    }
}

impl conformance::Client for Remote {
    type Subscriber = Following;

    async fn create_topic(&self, name: &str, options: TopicOptions) -> Result<TopicState, Refusal> {
        let created = self.client.create_topic(name, update(options)).await;
        created.map(state).map_err(call)
    }

    async fn update_topic(&self, name: &str, update: TopicUpdate) -> Result<TopicState, Refusal> {
        let updated = self.client.update_topic(name, update).await;
        updated.map(state).map_err(call)
    }

    async fn delete_topic(&self, name: &str) -> Result<(), Refusal> {
        let deleted = self.client.delete_topic(name).await;
        deleted.map(|_| ()).map_err(call)
    }

    async fn purge_topic(&self, name: &str, before: Option<u64>) -> Result<TopicState, Refusal> {
        let purged = self.client.purge_topic(name, before).await;
        purged.map(state).map_err(call)
    }

    async fn pause_topic(&self, name: &str) -> Result<TopicState, Refusal> {
        self.client.pause_topic(name).await.map(state).map_err(call)
    }

    async fn resume_topic(&self, name: &str) -> Result<TopicState, Refusal> {
        let resumed = self.client.resume_topic(name).await;
        resumed.map(state).map_err(call)
    }

    async fn last_by_key(&self, name: &str, key: &[u8]) -> Result<Option<Records>, Refusal> {
        self.client.last_by_key(name, key).await.map_err(call)
    }

    async fn topic(&self, name: &str) -> Result<TopicState, Refusal> {
        self.client.topic(name).await.map(state).map_err(call)
    }

    async fn offset_for(&self, name: &str, at: OffsetQuery) -> Result<(Epoch, u64), Refusal> {
        let found = self
            .client
            .list_offsets(&[(name, at)])
            .await
            .map_err(call)?;
        Ok((found[0].epoch, found[0].offset))
    }

    async fn produce(
        &self,
        topic: &str,
        records: &[Record],
        options: &ProduceOptions,
    ) -> Result<Appended, Refusal> {
        let sequence = options.sequence;
        let request = proto::ProduceRequest {
            topic: topic.to_owned(),
            expected_epoch: options.expected_epoch.map_or(0, Into::into),
            producer_id: sequence.map_or(0, |s| s.producer_id),
            producer_epoch: sequence.map_or(0, |s| s.producer_epoch),
            first_sequence: sequence.map_or(0, |s| s.first_sequence),
            records: records.iter().map(message).collect(),
            ..Default::default()
        };
        let answer = self.stub.clone().produce_batch(request).await;
        let answer = answer.map_err(|status| refusal(&reason(&status).1))?;
        let Some(proto::produce_response::Result::Ack(ack)) = answer.into_inner().result else {
            panic!("a unary call fails with a status");
        };
        Ok(Appended {
            epoch: Epoch::try_from(ack.epoch).unwrap(),
            base_offset: ack.base_offset,
            count: ack.count,
            duplicate: ack.duplicate,
        })
    }

    async fn subscribe(&self, topics: &[(&str, SubscribeOptions)]) -> Result<Following, Refusal> {
        let mut builder = self.client.subscriber();
        for (topic, options) in topics {
            builder = builder.topic_with(topic, options.clone());
        }
        let subscriber = builder.build().await.map_err(|error| match error {
            SubscribeError::Server(error) => refusal(&error.reason),
            other => Refusal::Other(other.to_string()),
        })?;
        Ok(Following { subscriber })
    }
}

impl Subscriber for Following {
    async fn next(&mut self) -> Option<Item> {
        if self.subscriber.is_finished() {
            return None;
        }
        Some(next(&mut self.subscriber).await)
    }

    fn position(&self, topic: &str) -> Option<Position> {
        let mut positions = self.subscriber.positions();
        let (_, epoch, next_offset) = positions.find(|(name, ..)| ***name == *topic)?;
        Some(Position { epoch, next_offset })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_conforms() {
    let server = Running::start(ServerOptions::default()).await;
    let remote = Remote {
        client: server.client().await,
        stub: BrokerClient::new(channel(server.addr).await),
    };
    let run = conformance::run(&remote);
    let in_time = tokio::time::timeout(Duration::from_secs(120), run).await;
    in_time.expect("every item comes");
    server.stop().await;
}
