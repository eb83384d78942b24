//! Administration, health and reflection to those who have only the proto: tonic's generated stubs with prost.

mod harness;

use footman_broker_grpc::proto::admin_client::AdminClient;
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{
    self, CreateTopicRequest, DeleteTopicRequest, ListOffsetsRequest, ListSubscriptionsRequest,
    ListTopicsRequest, OffsetQuery, PurgeTopicRequest, ServerInfoRequest, SubscribeRequest,
    TopicOptions, UpdateTopicRequest, offset_query, subscribe_response, topic_start,
};
use footman_broker_grpc::{ServerOptions, reason as why};
use harness::plain::{item, produce, record, start};
use harness::{Running, channel, reason};
use tonic::Code;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

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
    server.stopped().await; // a watch does not hold it up
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
