//! The server to those who have only the proto: tonic's generated stubs with prost, health and reflection.

mod harness;

use std::time::Duration;

use footman_broker_grpc::proto::admin_client::AdminClient;
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{
    self, CreateTopicRequest, DeleteTopicRequest, FetchRequest, Header, ListOffsetsRequest,
    ListSubscriptionsRequest, ListTopicsRequest, OffsetQuery, ProduceRequest, PurgeTopicRequest,
    Record, ServerInfoRequest, SubscribeRequest, TopicOptions, TopicStart, UpdateTopicRequest,
    offset_query, produce_response, subscribe_response, topic_start,
};
use footman_broker_grpc::{ServerOptions, reason as why};
use harness::{PATIENCE, Running, channel, reason};
use tokio::time::timeout;
use tonic::Code;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

fn record(value: &[u8]) -> Record {
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

fn produce(topic: &str, records: Vec<Record>) -> ProduceRequest {
    ProduceRequest {
        topic: topic.to_owned(),
        request_id: 9,
        records,
        ..Default::default()
    }
}

fn start(topic: &str, start: topic_start::Start) -> Vec<TopicStart> {
    vec![TopicStart {
        topic: topic.to_owned(),
        start: Some(start),
        ..Default::default()
    }]
}

/// The next item that is not a heartbeat.
async fn item(
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

#[tokio::test]
async fn topics_are_administered() {
    let server = Running::start(ServerOptions::default()).await;
    let channel = channel(server.addr).await;
    let mut admin = AdminClient::new(channel.clone());
    let mut broker = BrokerClient::new(channel);
    for name in ["b", "a.2", "a.1"] {
        let options = TopicOptions {
            max_age_ms: Some(60_000),
            max_records: Some(50),
            ..Default::default()
        };
        let request = CreateTopicRequest {
            name: name.into(),
            options: Some(options),
        };
        let topic = admin
            .create_topic(request)
            .await
            .unwrap()
            .into_inner()
            .topic
            .unwrap();
        let options = topic.options.unwrap();
        assert_eq!(
            (options.max_records, options.max_age_ms),
            (Some(50), Some(60_000))
        );
        assert!(options.max_bytes.is_some() && options.max_record_bytes.is_some());
    }
    let mut names = Vec::new();
    let mut request = ListTopicsRequest {
        prefix: "a".into(),
        page_size: 1,
        ..Default::default()
    };
    loop {
        let page = admin
            .list_topics(request.clone())
            .await
            .unwrap()
            .into_inner();
        names.extend(page.topics.into_iter().map(|topic| topic.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(names, ["a.1", "a.2"]);

    broker
        .produce_batch(produce("b", vec![record(b"v"); 20]))
        .await
        .unwrap();
    let options = Some(TopicOptions {
        max_age_ms: Some(0),
        ..Default::default()
    });
    let request = UpdateTopicRequest {
        name: "b".into(),
        options,
    };
    let topic = admin
        .update_topic(request)
        .await
        .unwrap()
        .into_inner()
        .topic
        .unwrap();
    let options = topic.options.unwrap();
    assert_eq!(
        (options.max_age_ms, options.max_records),
        (Some(0), Some(50))
    );
    let request = PurgeTopicRequest {
        name: "b".into(),
        before_offset: Some(5),
    };
    let topic = admin
        .purge_topic(request)
        .await
        .unwrap()
        .into_inner()
        .topic
        .unwrap();
    assert_eq!((topic.start_offset, topic.end_offset), (5, 20));

    let query = |at| OffsetQuery {
        topic: "b".into(),
        at: Some(at),
    };
    let queries = vec![
        query(offset_query::At::Earliest(true)),
        query(offset_query::At::Latest(true)),
        query(offset_query::At::TimestampUs(i64::MAX)),
    ];
    let offsets = admin
        .list_offsets(ListOffsetsRequest { queries })
        .await
        .unwrap()
        .into_inner()
        .offsets;
    assert_eq!(
        offsets.iter().map(|found| found.offset).collect::<Vec<_>>(),
        [5, 20, 20]
    );

    let topics = start("b", topic_start::Start::Offset(0));
    let request = SubscribeRequest {
        topics,
        label: "me".into(),
        ..Default::default()
    };
    let mut stream = broker.subscribe(request).await.unwrap().into_inner();
    for _ in 0..3 {
        item(&mut stream).await.expect("started, lost, records");
    }
    let request = ListSubscriptionsRequest {
        topic: "b".into(),
        ..Default::default()
    };
    let listed = admin
        .list_subscriptions(request)
        .await
        .unwrap()
        .into_inner()
        .subscriptions;
    assert_eq!(listed.len(), 1);
    let found = &listed[0];
    assert_eq!(
        (found.label.as_str(), found.delivered, found.lost, found.lag),
        ("me", 15, 5, 0)
    );

    let info = admin
        .server_info(ServerInfoRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (info.topics, info.subscriptions, info.connections),
        (3, 1, 1)
    );
    assert!(info.memory_bytes > 0 && info.auto_create);

    admin
        .delete_topic(DeleteTopicRequest { name: "b".into() })
        .await
        .unwrap();
    let Some(subscribe_response::Item::End(end)) = item(&mut stream).await else {
        panic!("the deletion is told");
    };
    assert_eq!(end.reason(), proto::EndReason::Deleted);
    let status = admin
        .delete_topic(DeleteTopicRequest { name: "b".into() })
        .await
        .unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::NotFound, why::UNKNOWN_TOPIC.to_owned())
    );
    server.stop().await;
}

#[tokio::test]
async fn health_follows_the_drain() {
    let mut server = Running::start(ServerOptions::default()).await;
    let mut health = HealthClient::new(channel(server.addr).await);
    for service in ["", "footman.v1.Broker", "footman.v1.Admin"] {
        let request = HealthCheckRequest {
            service: service.into(),
        };
        let response = health.check(request).await.unwrap().into_inner();
        assert_eq!(response.status, ServingStatus::Serving as i32);
    }
    let request = HealthCheckRequest {
        service: "footman.v1.Broker".into(),
    };
    let mut watch = health.watch(request).await.unwrap().into_inner();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status,
        ServingStatus::Serving as i32
    );
    server.shut_down();
    assert_eq!(
        watch.message().await.unwrap().unwrap().status,
        ServingStatus::NotServing as i32
    );
    timeout(Duration::from_secs(5), server.stopped())
        .await
        .expect("a watch does not hold up the drain");
}

#[tokio::test]
async fn reflection_knows_the_services() {
    let server = Running::start(ServerOptions::default()).await;
    let mut reflection = ServerReflectionClient::new(channel(server.addr).await);
    let ask = |request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(request),
    };
    let requests = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "footman.v1.Broker".into(),
        )),
        // The details of errors, so that tools can show them.
        ask(MessageRequest::FileContainingSymbol(
            "google.rpc.ErrorInfo".into(),
        )),
        ask(MessageRequest::FileContainingSymbol(
            "google.rpc.RetryInfo".into(),
        )),
    ];
    let mut answers = reflection
        .server_reflection_info(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("a list was asked for");
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for wanted in [
        "footman.v1.Broker",
        "footman.v1.Admin",
        "grpc.health.v1.Health",
    ] {
        assert!(
            names.iter().any(|name| name == wanted),
            "{wanted} in {names:?}"
        );
    }
    for _ in 1..4 {
        let answer = answers.message().await.unwrap().unwrap().message_response;
        assert!(matches!(
            answer,
            Some(MessageResponse::FileDescriptorResponse(_))
        ));
    }
    server.stop().await;
}
