//! A subscriber that does not read: let go of, told so, and able to go on.

mod harness;

use std::time::Duration;

use footman_broker::{Item, Record, StartAt, StopAt, SubscribeOptions};
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{
    self, SubscribeRequest, TopicStart, subscribe_response, topic_start,
};
use footman_broker_grpc::{ServerOptions, reason as why};
use harness::{PATIENCE, Running, channel, next, reason};
use tokio::time::timeout;
use tonic::Code;

/// A subscription that reads nothing is ended with its place to resume at; the one beside it gets everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_does_not_read_is_ended_and_can_resume() {
    const RECORDS: u64 = 3_000;
    let mut options = ServerOptions::default();
    options.write_stall_timeout = Duration::from_millis(200);
    let server = Running::start(options).await;
    let client = server.client().await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let request = SubscribeRequest {
        topics: vec![TopicStart {
            topic: "t".into(),
            start: Some(topic_start::Start::Earliest(true)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut stuck = broker.subscribe(request).await.unwrap().into_inner();
    let producer = client.producer("t").build();
    for _ in 0..RECORDS {
        producer
            .enqueue(&Record::new(vec![1; 4_000]))
            .await
            .unwrap();
    }
    producer.close().await.unwrap();
    let mut healthy = client
        .subscriber()
        .topic_with(
            "t",
            SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::End),
        )
        .build()
        .await
        .unwrap();
    let mut got = 0;
    while let Item::Records(batch) = next(&mut healthy).await {
        got += batch.len() as u64;
    }
    assert_eq!(got, RECORDS);

    // Until the server has let go of the stuck one.
    let let_go = async {
        while !server.broker.subscriptions().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, let_go)
        .await
        .expect("the stuck subscription is ended");

    // It is read at last: what was under way, the places to resume at, and the status.
    let (mut at, mut going_away) = (0, None);
    let status = loop {
        match stuck.message().await {
            Ok(Some(response)) => match response.item.unwrap() {
                subscribe_response::Item::Batch(batch) => {
                    at = batch.base_offset + u64::from(batch.count);
                }
                subscribe_response::Item::GoingAway(notice) => going_away = Some(notice),
                _ => {}
            },
            Ok(None) => panic!("it does not end well"),
            Err(status) => break status,
        }
    };
    let going_away = going_away.expect("it is told where to resume");
    assert_eq!(going_away.reason(), proto::GoingAwayReason::Stalled);
    assert_eq!(
        going_away.positions[0].next_offset, at,
        "which is where it stopped"
    );
    assert!(at < RECORDS);
    assert_eq!(reason(&status), (Code::Aborted, why::STALLED.to_owned()));
    server.stop().await;
}
