//! The conformance suite on the embedded broker. Over gRPC: `broker-grpc/tests/conformance.rs`.

use footman_broker::testing::conformance::{
    self, Appended, Client, Refusal, Subscriber, TopicState,
};
use footman_broker::{
    Broker, BrokerOptions, Consumer, CreateTopicError, Epoch, Item, LastByKeyError, OffsetQuery,
    Position, ProduceError, ProduceOptions, ProducerError, PurgeTopicError, Record, Records,
    SubscribeError, SubscribeOptions, TopicInfo, TopicOptions, TopicUpdate, UnknownTopic,
    UpdateTopicError,
};

struct Embedded(Broker);
struct Following(Consumer);

fn state(info: TopicInfo) -> TopicState {
    TopicState {
        epoch: info.epoch,
        start_offset: info.start_offset,
        end_offset: info.end_offset,
        paused: info.paused,
    }
}

fn unknown(_: UnknownTopic) -> Refusal {
    Refusal::UnknownTopic
}

fn create(error: CreateTopicError) -> Refusal {
    match error {
        CreateTopicError::InvalidName(_) => Refusal::InvalidName,
        CreateTopicError::InvalidOptions(_) => Refusal::InvalidOptions,
        CreateTopicError::AlreadyExists { .. } => Refusal::TopicExists,
        other => Refusal::Other(other.to_string()),
    }
}

fn produce(error: ProduceError) -> Refusal {
    match error {
        ProduceError::RecordTooLarge { .. } => Refusal::RecordTooLarge,
        ProduceError::EmptyBatch => Refusal::EmptyBatch,
        ProduceError::EpochMismatch { .. } => Refusal::EpochMismatch,
        ProduceError::SequenceGap { .. } => Refusal::SequenceGap,
        ProduceError::Fenced { .. } => Refusal::Fenced,
        ProduceError::TopicPaused { .. } => Refusal::TopicPaused,
        other => Refusal::Other(other.to_string()),
    }
}

impl Client for Embedded {
    type Subscriber = Following;

    async fn create_topic(&self, name: &str, options: TopicOptions) -> Result<TopicState, Refusal> {
        self.0
            .create_topic(name, options)
            .map(state)
            .map_err(create)
    }

    async fn update_topic(&self, name: &str, update: TopicUpdate) -> Result<TopicState, Refusal> {
        let updated = self.0.update_topic(name, update).map(state);
        updated.map_err(|error| match error {
            UpdateTopicError::UnknownTopic(_) => Refusal::UnknownTopic,
            other => Refusal::Other(other.to_string()),
        })
    }

    async fn delete_topic(&self, name: &str) -> Result<(), Refusal> {
        self.0.delete_topic(name).map(|_| ()).map_err(unknown)
    }

    async fn purge_topic(&self, name: &str, before: Option<u64>) -> Result<TopicState, Refusal> {
        let purged = self.0.purge_topic(name, before).map(state);
        purged.map_err(|error| match error {
            PurgeTopicError::UnknownTopic(_) => Refusal::UnknownTopic,
            PurgeTopicError::OffsetOutOfRange { .. } => Refusal::OffsetOutOfRange,
            other => Refusal::Other(other.to_string()),
        })
    }

    async fn pause_topic(&self, name: &str) -> Result<TopicState, Refusal> {
        self.0.pause_topic(name).map(state).map_err(unknown)
    }

    async fn resume_topic(&self, name: &str) -> Result<TopicState, Refusal> {
        self.0.resume_topic(name).map(state).map_err(unknown)
    }

    async fn last_by_key(&self, name: &str, key: &[u8]) -> Result<Option<Records>, Refusal> {
        self.0.last_by_key(name, key).map_err(|error| match error {
            LastByKeyError::UnknownTopic(_) => Refusal::UnknownTopic,
            LastByKeyError::NotIndexed { .. } => Refusal::NotIndexed,
            other => Refusal::Other(other.to_string()),
        })
    }

    async fn topic(&self, name: &str) -> Result<TopicState, Refusal> {
        self.0.topic(name).map(state).map_err(unknown)
    }

    async fn offset_for(&self, name: &str, at: OffsetQuery) -> Result<(Epoch, u64), Refusal> {
        self.0.offset_for(name, at).map_err(unknown)
    }

    async fn produce(
        &self,
        topic: &str,
        records: &[Record],
        options: &ProduceOptions,
    ) -> Result<Appended, Refusal> {
        let producer = self.0.producer(topic).map_err(|error| match error {
            ProducerError::InvalidName(_) => Refusal::InvalidName,
            other => Refusal::Other(other.to_string()),
        })?;
        let produced = producer
            .produce_batch_with(records, options)
            .map_err(produce)?;
        Ok(Appended {
            epoch: produced.epoch,
            base_offset: produced.base_offset,
            count: produced.count,
            duplicate: produced.duplicate,
        })
    }

    async fn subscribe(&self, topics: &[(&str, SubscribeOptions)]) -> Result<Following, Refusal> {
        let mut consumer = self.0.consumer();
        for (topic, options) in topics {
            let subscribed = consumer.subscribe_with(topic, options.clone());
            subscribed.map_err(|error| match error {
                SubscribeError::UnknownTopic(_) => Refusal::UnknownTopic,
                SubscribeError::OffsetOutOfRange { .. } => Refusal::OffsetOutOfRange,
                SubscribeError::EpochMismatch { .. } => Refusal::EpochMismatch,
                other => Refusal::Other(other.to_string()),
            })?;
        }
        Ok(Following(consumer))
    }
}

impl Subscriber for Following {
    async fn next(&mut self) -> Option<Item> {
        if self.0.is_finished() {
            return None;
        }
        Some(self.0.next().await)
    }

    fn position(&self, topic: &str) -> Option<Position> {
        self.0.position(topic)
    }
}

#[tokio::test]
async fn the_embedded_broker_conforms() {
    let broker = Embedded(Broker::new(BrokerOptions::default()).unwrap());
    let run = conformance::run(&broker);
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(60), run).await;
    in_time.expect("every item comes");
}
