//! Records to those who have only the proto: tonic's generated stubs with prost.

mod harness;

use footman_broker_grpc::ServerOptions;
use footman_broker_grpc::proto::admin_client::AdminClient;
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{
    self, CreateTopicRequest, FetchRequest, ProduceRequest, Record, SubscribeRequest, TopicOptions,
    TopicStart, produce_response, subscribe_response, topic_start,
};
use harness::plain::{item, produce, record, start};
use harness::{PATIENCE, Running, channel};
use tokio::time::timeout;

#[tokio::test]
async fn prost_reads_what_prost_wrote() {
    let server = Running::start(ServerOptions::default()).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let records = vec![
        record(b""),
        record(&[7; 300]),
        Record {
            key: None,
            ..record(&[8; 70_000])
        },
    ];
    let answer = broker
        .produce_batch(produce("t", records.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.request_id, 9);
    let Some(produce_response::Result::Ack(ack)) = answer.result else {
        panic!("it was appended");
    };
    assert_eq!(
        (
            ack.topic.as_str(),
            ack.base_offset,
            ack.count,
            ack.duplicate
        ),
        ("t", 0, 3, false)
    );

    let request = SubscribeRequest {
        topics: vec![TopicStart {
            stop: Some(topic_start::Stop::StopOffset(3)),
            ..start("t", topic_start::Start::Earliest(true)).remove(0)
        }],
        ..Default::default()
    };
    let mut stream = broker.subscribe(request).await.unwrap().into_inner();
    let Some(subscribe_response::Item::Started(started)) = item(&mut stream).await else {
        panic!("it says first where it starts");
    };
    assert_eq!(
        (started.epoch, started.next_offset, started.stop_offset),
        (ack.epoch, 0, Some(3))
    );
    let mut received = Vec::new();
    while received.len() < 3 {
        let Some(subscribe_response::Item::Batch(batch)) = item(&mut stream).await else {
            panic!("records follow");
        };
        assert_eq!((batch.topic.as_str(), batch.epoch), ("t", ack.epoch));
        assert_eq!(batch.base_offset, received.len() as u64);
        assert_eq!(batch.count as usize, batch.records.len());
        received.extend(batch.records);
    }
    assert_eq!(received, records);
    let Some(subscribe_response::Item::End(end)) = item(&mut stream).await else {
        panic!("then the stop");
    };
    assert_eq!(
        (end.reason(), end.next_offset),
        (proto::EndReason::Stopped, 3)
    );
    assert_eq!(item(&mut stream).await, None, "and the stream ends well");
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_batch_is_answered_with_its_first_offsets() {
    let server = Running::start(ServerOptions::default()).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let request = ProduceRequest {
        producer_id: 77,
        ..produce("t", vec![record(b"a"), record(b"b")])
    };
    let mut acks = Vec::new();
    for _ in 0..2 {
        let answer = broker
            .produce_batch(request.clone())
            .await
            .unwrap()
            .into_inner();
        let Some(produce_response::Result::Ack(ack)) = answer.result else {
            panic!("it was appended");
        };
        acks.push((ack.base_offset, ack.count, ack.duplicate));
    }
    assert_eq!(acks, [(0, 2, false), (0, 2, true)]);
    assert_eq!(server.broker.topic("t").unwrap().end_offset, 2);
    server.stop().await;
}

#[tokio::test]
async fn being_lapped_is_an_ordinary_item() {
    let server = Running::start(ServerOptions::default()).await;
    let channel = channel(server.addr).await;
    let options = TopicOptions {
        max_records: Some(10),
        ..Default::default()
    };
    let create = CreateTopicRequest {
        name: "t".into(),
        options: Some(options),
    };
    AdminClient::new(channel.clone())
        .create_topic(create)
        .await
        .unwrap();
    let mut broker = BrokerClient::new(channel);
    broker
        .produce_batch(produce("t", vec![record(b"v"); 25]))
        .await
        .unwrap();
    let topics = start("t", topic_start::Start::Offset(3));
    let mut stream = broker
        .subscribe(SubscribeRequest {
            topics,
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    assert!(matches!(
        item(&mut stream).await,
        Some(subscribe_response::Item::Started(_))
    ));
    let Some(subscribe_response::Item::Lost(lost)) = item(&mut stream).await else {
        panic!("the loss comes first");
    };
    assert_eq!((lost.from_offset, lost.to_offset), (3, 15));
    let Some(subscribe_response::Item::Batch(batch)) = item(&mut stream).await else {
        panic!("then what is kept");
    };
    assert_eq!(batch.base_offset, 15);
    server.stop().await;
}

#[tokio::test]
async fn idle_streams_are_heard_of() {
    let server = Running::start(ServerOptions::default()).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    broker
        .produce_batch(produce("t", vec![record(b"v")]))
        .await
        .unwrap();
    let topics = start("t", topic_start::Start::Latest(true));
    let request = SubscribeRequest {
        topics,
        heartbeat_ms: 100,
        ..Default::default()
    };
    let mut stream = broker.subscribe(request).await.unwrap().into_inner();
    assert!(matches!(
        item(&mut stream).await,
        Some(subscribe_response::Item::Started(_))
    ));
    let message = timeout(PATIENCE, stream.message())
        .await
        .expect("it is heard of")
        .unwrap()
        .unwrap();
    let Some(subscribe_response::Item::Heartbeat(heartbeat)) = message.item else {
        panic!("there is nothing else to say");
    };
    let position = &heartbeat.positions[0];
    assert_eq!(
        (
            position.topic.as_str(),
            position.next_offset,
            position.end_offset
        ),
        ("t", 1, 1)
    );
    server.stop().await;
}

#[tokio::test]
async fn few_bytes_wait_for_company_but_not_for_ever() {
    let server = Running::start(ServerOptions::default()).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let topics = start("t", topic_start::Start::Earliest(true));
    let paced = |max_wait_us| SubscribeRequest {
        topics: topics.clone(),
        min_bytes: 100_000,
        max_wait_us,
        ..Default::default()
    };
    let mut patient = broker
        .subscribe(paced(10_000_000))
        .await
        .unwrap()
        .into_inner();
    let mut hasty = broker.subscribe(paced(20_000)).await.unwrap().into_inner();
    assert!(matches!(
        item(&mut patient).await,
        Some(subscribe_response::Item::Started(_))
    ));
    assert!(matches!(
        item(&mut hasty).await,
        Some(subscribe_response::Item::Started(_))
    ));
    broker
        .produce_batch(produce("t", vec![record(b"v")]))
        .await
        .unwrap();
    let Some(subscribe_response::Item::Batch(batch)) = item(&mut hasty).await else {
        panic!("its wait is short");
    };
    assert_eq!(batch.count, 1);
    // The patient one gets the first record together with those that make it enough, long before its wait is over.
    broker
        .produce_batch(produce("t", vec![record(&[1; 1_000]); 200]))
        .await
        .unwrap();
    let Some(subscribe_response::Item::Batch(batch)) = item(&mut patient).await else {
        panic!("there is enough");
    };
    assert_eq!(batch.base_offset, 0);
    assert!(batch.count > 1, "the first record did not go alone");
    server.stop().await;
}

#[tokio::test]
async fn a_fetch_reads_within_its_limits_and_says_where_to_go_on() {
    let server = Running::start(ServerOptions::default()).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    broker
        .produce_batch(produce("t", vec![record(&[1; 1_000]); 100]))
        .await
        .unwrap();
    let mut topics = start("t", topic_start::Start::Earliest(true));
    let mut at = 0;
    while at < 100 {
        let request = FetchRequest {
            topics: topics.clone(),
            max_bytes: 10_000,
            ..Default::default()
        };
        let response = broker.fetch(request).await.unwrap().into_inner();
        let mut bytes = 0;
        for item in response.items {
            let Some(subscribe_response::Item::Batch(batch)) = item.item else {
                panic!("only records are there");
            };
            assert_eq!(batch.base_offset, at);
            at += u64::from(batch.count);
            bytes += batch
                .records
                .iter()
                .map(|record| record.value.len())
                .sum::<usize>();
        }
        assert!(bytes <= 10_000 && bytes > 0);
        let next = &response.next[0];
        assert_eq!(next.next_offset, at);
        let resume = proto::Resume {
            epoch: next.epoch,
            next_offset: next.next_offset,
        };
        topics = start("t", topic_start::Start::Resume(resume));
    }
    // Now there is nothing: at once, after a short wait, and until something comes.
    let fetch = |max_wait_us| FetchRequest {
        topics: topics.clone(),
        max_wait_us,
        ..Default::default()
    };
    assert!(
        broker
            .fetch(fetch(0))
            .await
            .unwrap()
            .into_inner()
            .items
            .is_empty()
    );
    assert!(
        broker
            .fetch(fetch(20_000))
            .await
            .unwrap()
            .into_inner()
            .items
            .is_empty()
    );
    let mut waiting = broker.clone();
    let request = fetch(60_000_000);
    let waiting = tokio::spawn(async move { waiting.fetch(request).await });
    broker
        .produce_batch(produce("t", vec![record(b"news")]))
        .await
        .unwrap();
    let response = timeout(PATIENCE, waiting)
        .await
        .expect("news ends the wait")
        .unwrap()
        .unwrap();
    assert_eq!(response.into_inner().next[0].next_offset, 101);
    server.stop().await;
}
