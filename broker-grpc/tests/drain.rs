//! A server that shuts down: nothing more is taken, everybody gets what was acknowledged, or learns where to resume.

mod harness;

use std::time::Duration;

use footman_broker::{Item, Record, StartAt};
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{
    self, FetchRequest, ProduceRequest, SubscribeRequest, TopicStart, subscribe_response,
    topic_start,
};
use footman_broker_grpc::{ServerOptions, reason as why};
use harness::frames::{GOAWAY, SETTINGS};
use harness::{PATIENCE, Running, channel, hello, next, next_frame, reason};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

fn earliest(topic: &str) -> Vec<TopicStart> {
    let start = Some(topic_start::Start::Earliest(true));
    vec![TopicStart {
        topic: topic.to_owned(),
        start,
        ..Default::default()
    }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_get_what_was_acknowledged_and_where_to_resume() {
    let mut server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let request = SubscribeRequest {
        topics: earliest("t"),
        ..Default::default()
    };
    let mut subscription = broker.subscribe(request).await.unwrap().into_inner();
    let producer = client.producer("t").build();
    for _ in 0..2_000 {
        producer
            .enqueue(&Record::new(vec![1; 1_000]))
            .await
            .unwrap();
    }
    producer.flush().await.unwrap();
    server.shut_down();

    let (mut at, mut going_away) = (0, None);
    let status = loop {
        match subscription.message().await {
            Ok(Some(response)) => match response.item.unwrap() {
                subscribe_response::Item::Batch(batch) => {
                    assert_eq!(batch.base_offset, at);
                    at += u64::from(batch.count);
                    assert_eq!(batch.records.len() as u64, u64::from(batch.count));
                }
                subscribe_response::Item::GoingAway(notice) => going_away = Some(notice),
                _ => {}
            },
            Ok(None) => panic!("a drain is no good end"),
            Err(status) => break status,
        }
    };
    assert_eq!(at, 2_000, "all that was acknowledged came first");
    let going_away = going_away.expect("the drain is told");
    assert_eq!(going_away.reason(), proto::GoingAwayReason::Draining);
    assert_eq!(going_away.positions[0].next_offset, 2_000);
    assert_eq!(
        reason(&status),
        (Code::Unavailable, why::DRAINING.to_owned())
    );
    server.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn produce_streams_and_long_polls_end_at_once() {
    let mut server = Running::start(ServerOptions::default()).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let (requests, receiver) = mpsc::channel(4);
    let mut answers = broker
        .produce(ReceiverStream::new(receiver))
        .await
        .unwrap()
        .into_inner();
    let request = |request_id| ProduceRequest {
        topic: "t".into(),
        request_id,
        records: vec![proto::Record {
            value: "v".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    requests.send(request(1)).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().request_id, 1);
    let mut poller = broker.clone();
    let latest = vec![TopicStart {
        topic: "t".into(),
        ..Default::default()
    }];
    let poll = FetchRequest {
        topics: latest,
        max_wait_us: 60_000_000,
        ..Default::default()
    };
    let poll = tokio::spawn(async move { poller.fetch(poll).await });
    let is_waiting = async {
        while server.broker.subscriptions().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, is_waiting)
        .await
        .expect("the fetch waits");

    server.shut_down();
    let fetched = poll.await.unwrap().unwrap().into_inner();
    assert!(fetched.items.is_empty());
    assert_eq!(fetched.next[0].next_offset, 1);
    let status = answers.message().await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::Unavailable, why::DRAINING.to_owned())
    );
    server.stopped().await;
    assert_eq!(server.broker.topic("t").unwrap().end_offset, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_does_not_read_cannot_hold_up_the_drain() {
    let mut options = ServerOptions::default();
    options.drain_timeout = Duration::from_millis(300);
    let mut server = Running::start(options).await;
    let client = server.client().await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let request = SubscribeRequest {
        topics: earliest("t"),
        ..Default::default()
    };
    let stuck = broker.subscribe(request).await.unwrap().into_inner();
    let producer = client.producer("t").build();
    for _ in 0..3_000 {
        producer
            .enqueue(&Record::new(vec![1; 4_000]))
            .await
            .unwrap();
    }
    producer.close().await.unwrap();
    server.shut_down();
    server.stopped().await;
    drop(stuck);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_client_goes_on_at_the_next_server() {
    let mut server = Running::start(ServerOptions::default()).await;
    let addr = server.addr;
    let client = server.client().await;
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let producer = client.producer("t").build();
    producer.send(&Record::new("a")).await.unwrap();
    assert!(matches!(next(&mut subscriber).await, Item::Records(_)));
    server.shut_down();
    server.stopped().await;
    let next_server = Running::start_at(addr, ServerOptions::default()).await;
    producer.send(&Record::new("b")).await.unwrap();
    assert!(matches!(next(&mut subscriber).await, Item::Reset(_)));
    assert!(matches!(next(&mut subscriber).await, Item::Records(_)));
    next_server.stop().await;
}

#[tokio::test]
async fn connections_are_told_to_go_away_when_the_server_shuts_down() {
    let mut server = Running::start(ServerOptions::default()).await;
    let mut socket = hello(server.addr).await;
    assert_eq!(next_frame(&mut socket).await.kind, SETTINGS, "it is served");
    server.shut_down();
    while next_frame(&mut socket).await.kind != GOAWAY {}
    server.stopped().await;
    let refused = TcpStream::connect(server.addr).await;
    assert!(refused.is_err(), "nobody listens any more");
}
