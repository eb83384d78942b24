//! What those write who have only the proto.

use footman_broker_grpc::proto::{
    self, Header, ProduceRequest, Record, TopicStart, subscribe_response, topic_start,
};
use tokio::time::timeout;

use super::PATIENCE;

/// A record with all that one can have.
pub(crate) fn record(value: &[u8]) -> Record {
    Record {
        timestamp_us: 5,
        key: Some("k".into()),
        value: value.to_vec().into(),
        headers: vec![Header {
            name: "h".into(),
            value: "x".into(),
        }],
    }
}

/// A request for a topic.
pub(crate) fn produce(topic: &str, records: Vec<Record>) -> ProduceRequest {
    ProduceRequest {
        topic: topic.to_owned(),
        request_id: 9,
        records,
        ..Default::default()
    }
}

/// One topic, from a place on.
pub(crate) fn start(topic: &str, start: topic_start::Start) -> Vec<TopicStart> {
    vec![TopicStart {
        topic: topic.to_owned(),
        start: Some(start),
        ..Default::default()
    }]
}

/// The next item that is not a heartbeat.
pub(crate) async fn item(
    stream: &mut tonic::Streaming<proto::SubscribeResponse>,
) -> Option<subscribe_response::Item> {
    loop {
        let message = timeout(PATIENCE, stream.message())
            .await
            .expect("an item comes")
            .unwrap()?;
        match message.item.expect("every response has an item") {
            subscribe_response::Item::Heartbeat(_) => {}
            item => return Some(item),
        }
    }
}
