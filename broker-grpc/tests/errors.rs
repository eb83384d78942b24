//! Each wrong request is answered with the right code, a reason for programs and a sentence for people, and leaves nothing behind.

mod harness;

use footman_broker::{Record as BrokerRecord, StartAt, TopicUpdate};
use footman_broker_grpc::proto::admin_client::AdminClient;
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{
    self, CreateTopicRequest, FetchRequest, ListOffsetsRequest, OffsetQuery, ProduceRequest,
    PurgeTopicRequest, Record, SubscribeRequest, TopicOptions, TopicStart, offset_query,
    produce_response, topic_start,
};
use footman_broker_grpc::{
    CallError, ErrorCode, ProduceError, ServerOptions, SubscribeError, reason as why,
};
use harness::{Running, channel, reason};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt as _;

fn closed_options() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.broker.auto_create = false;
    options
}

async fn plain(server: &Running) -> (BrokerClient<Channel>, AdminClient<Channel>) {
    let channel = channel(server.addr).await;
    (
        BrokerClient::new(channel.clone()),
        AdminClient::new(channel),
    )
}

fn one_record(topic: &str) -> ProduceRequest {
    ProduceRequest {
        topic: topic.to_owned(),
        records: vec![Record {
            value: "v".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn from(topic: &str, start: topic_start::Start) -> TopicStart {
    TopicStart {
        topic: topic.to_owned(),
        start: Some(start),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_wrong_produce_is_refused_whole() {
    let server = Running::start(closed_options()).await;
    let (mut broker, mut admin) = plain(&server).await;
    let options = TopicOptions {
        max_record_bytes: Some(100),
        ..Default::default()
    };
    let request = CreateTopicRequest {
        name: "t".into(),
        options: Some(options),
    };
    let epoch = admin
        .create_topic(request)
        .await
        .unwrap()
        .into_inner()
        .topic
        .unwrap()
        .epoch;

    let big = Record {
        value: vec![0; 200].into(),
        ..Default::default()
    };
    let cases = [
        (one_record("unknown"), Code::NotFound, why::UNKNOWN_TOPIC),
        (
            one_record("no spaces"),
            Code::InvalidArgument,
            why::INVALID_NAME,
        ),
        (one_record(".."), Code::InvalidArgument, why::INVALID_NAME),
        (one_record(""), Code::InvalidArgument, why::INVALID_REQUEST),
        (
            ProduceRequest {
                records: vec![],
                ..one_record("t")
            },
            Code::InvalidArgument,
            why::EMPTY_BATCH,
        ),
        (
            ProduceRequest {
                records: vec![Record::default(), big],
                ..one_record("t")
            },
            Code::InvalidArgument,
            why::RECORD_TOO_LARGE,
        ),
        (
            ProduceRequest {
                expected_epoch: epoch ^ 1,
                ..one_record("t")
            },
            Code::FailedPrecondition,
            why::EPOCH_MISMATCH,
        ),
        (
            ProduceRequest {
                expected_epoch: u64::MAX,
                ..one_record("t")
            },
            Code::InvalidArgument,
            why::INVALID_REQUEST,
        ),
    ];
    for (request, code, expected) in cases {
        let status = broker.produce_batch(request).await.unwrap_err();
        assert_eq!(reason(&status), (code, expected.to_owned()), "{status:?}");
    }
    let sequenced = |producer_epoch, first_sequence| ProduceRequest {
        producer_id: 7,
        producer_epoch,
        first_sequence,
        ..one_record("t")
    };
    broker.produce_batch(sequenced(1, 5)).await.unwrap();
    let gap = broker.produce_batch(sequenced(1, 9)).await.unwrap_err();
    assert_eq!(
        reason(&gap),
        (Code::FailedPrecondition, why::SEQUENCE_GAP.to_owned())
    );
    let fenced = broker.produce_batch(sequenced(0, 6)).await.unwrap_err();
    assert_eq!(
        reason(&fenced),
        (Code::FailedPrecondition, why::FENCED.to_owned())
    );
    assert_eq!(
        server.broker.topic("t").unwrap().appended_records,
        1,
        "only the good one was appended"
    );
    assert_eq!(
        server.broker.topics().len(),
        1,
        "no topic was made on the way"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_paused_topic_says_when_to_try_again() {
    let server = Running::start(ServerOptions::default()).await;
    let (mut broker, mut admin) = plain(&server).await;
    broker.produce_batch(one_record("t")).await.unwrap();
    let name = || "t".to_owned();
    let paused = admin
        .pause_topic(proto::PauseTopicRequest { name: name() })
        .await;
    assert!(paused.unwrap().into_inner().topic.unwrap().paused);
    let status = broker.produce_batch(one_record("t")).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::FailedPrecondition, why::TOPIC_PAUSED.to_owned())
    );
    let retry = status.get_details_retry_info().expect("it says when");
    assert!(retry.retry_delay.is_some_and(|delay| !delay.is_zero()));
    let mut answers = broker
        .produce(tokio_stream::iter([one_record("t")]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap();
    let Some(produce_response::Result::Error(error)) = answer.result else {
        panic!("it is paused: {answer:?}");
    };
    assert_eq!(error.reason, why::TOPIC_PAUSED);
    assert!(error.retry_after_ms > 0);
    let resumed = admin
        .resume_topic(proto::ResumeTopicRequest { name: name() })
        .await;
    assert!(!resumed.unwrap().into_inner().topic.unwrap().paused);
    broker.produce_batch(one_record("t")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_refused_request_does_not_end_its_stream() {
    let server = Running::start(closed_options()).await;
    let (mut broker, mut admin) = plain(&server).await;
    let request = CreateTopicRequest {
        name: "t".into(),
        options: None,
    };
    admin.create_topic(request).await.unwrap();
    let requests = [
        ProduceRequest {
            request_id: 1,
            ..one_record("t")
        },
        ProduceRequest {
            request_id: 2,
            ..one_record("unknown")
        },
        ProduceRequest {
            request_id: 3,
            ..one_record("t")
        },
        // The same topic as before.
        ProduceRequest {
            request_id: 4,
            ..one_record("")
        },
    ];
    let mut answers = broker
        .produce(tokio_stream::iter(requests))
        .await
        .unwrap()
        .into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        outcomes.push((
            answer.request_id,
            match answer.result.unwrap() {
                produce_response::Result::Ack(ack) => Ok(ack.base_offset),
                produce_response::Result::Error(error) => Err((error.code, error.reason)),
            },
        ));
    }
    let unknown = Err((Code::NotFound as i32, why::UNKNOWN_TOPIC.to_owned()));
    assert_eq!(outcomes, [(1, Ok(0)), (2, unknown), (3, Ok(1)), (4, Ok(2))]);
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_subscription_or_fetch_is_refused() {
    use topic_start::Start;
    let server = Running::start(closed_options()).await;
    let (mut broker, mut admin) = plain(&server).await;
    let request = CreateTopicRequest {
        name: "t".into(),
        options: None,
    };
    let epoch = admin
        .create_topic(request)
        .await
        .unwrap()
        .into_inner()
        .topic
        .unwrap()
        .epoch;
    let cases = [
        (vec![], Code::InvalidArgument, why::INVALID_REQUEST),
        (
            vec![from("unknown", Start::Earliest(true))],
            Code::NotFound,
            why::UNKNOWN_TOPIC,
        ),
        (
            vec![from("a b", Start::Earliest(true))],
            Code::InvalidArgument,
            why::INVALID_NAME,
        ),
        (
            vec![from("t", Start::Offset(1))],
            Code::OutOfRange,
            why::OFFSET_OUT_OF_RANGE,
        ),
        (
            vec![from("t", Start::Earliest(false))],
            Code::InvalidArgument,
            why::INVALID_REQUEST,
        ),
        (
            vec![TopicStart {
                expected_epoch: epoch ^ 1,
                ..from("t", Start::Offset(0))
            }],
            Code::FailedPrecondition,
            why::EPOCH_MISMATCH,
        ),
        (
            vec![TopicStart {
                expected_epoch: epoch ^ 1,
                ..from("t", Start::Earliest(true))
            }],
            Code::FailedPrecondition,
            why::EPOCH_MISMATCH,
        ),
        (
            vec![from(
                "t",
                Start::Resume(proto::Resume {
                    epoch: 0,
                    next_offset: 0,
                }),
            )],
            Code::InvalidArgument,
            why::INVALID_REQUEST,
        ),
        (
            vec![
                from("t", Start::Earliest(true)),
                from("t", Start::Earliest(true)),
            ],
            Code::InvalidArgument,
            why::INVALID_REQUEST,
        ),
    ];
    for (topics, code, expected) in cases {
        let request = SubscribeRequest {
            topics: topics.clone(),
            ..Default::default()
        };
        let status = broker.subscribe(request).await.unwrap_err();
        assert_eq!(
            reason(&status),
            (code, expected.to_owned()),
            "subscribe {topics:?}"
        );
        let request = FetchRequest {
            topics: topics.clone(),
            ..Default::default()
        };
        let status = broker.fetch(request).await.unwrap_err();
        assert_eq!(
            reason(&status),
            (code, expected.to_owned()),
            "fetch {topics:?}"
        );
    }
    let label = "x".repeat(201);
    let topics = vec![from("t", Start::Earliest(true))];
    let status = broker
        .subscribe(SubscribeRequest {
            topics,
            label,
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::InvalidArgument, why::INVALID_REQUEST.to_owned())
    );
    assert!(
        server.broker.subscriptions().is_empty(),
        "nothing of it is left"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_admin_call_is_refused() {
    let mut options = closed_options();
    options.broker.max_topics = 1;
    let server = Running::start(options).await;
    let (_, mut admin) = plain(&server).await;
    let create = |name: &str, max_records| CreateTopicRequest {
        name: name.to_owned(),
        options: Some(TopicOptions {
            max_records,
            ..Default::default()
        }),
    };
    let status = admin.create_topic(create("t", Some(0))).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::InvalidArgument, why::INVALID_OPTIONS.to_owned())
    );
    let status = admin
        .create_topic(create(&"x".repeat(250), None))
        .await
        .unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::InvalidArgument, why::INVALID_NAME.to_owned())
    );
    admin.create_topic(create("t", None)).await.unwrap();
    let status = admin.create_topic(create("t", None)).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::AlreadyExists, why::TOPIC_EXISTS.to_owned())
    );
    let status = admin.create_topic(create("u", None)).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::ResourceExhausted, why::TOO_MANY_TOPICS.to_owned())
    );
    let status = admin
        .purge_topic(PurgeTopicRequest {
            name: "t".into(),
            before_offset: Some(1),
        })
        .await
        .unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::OutOfRange, why::OFFSET_OUT_OF_RANGE.to_owned())
    );
    for at in [None, Some(offset_query::At::Latest(false))] {
        let queries = vec![OffsetQuery {
            topic: "t".into(),
            at,
        }];
        let status = admin
            .list_offsets(ListOffsetsRequest { queries })
            .await
            .unwrap_err();
        assert_eq!(
            reason(&status),
            (Code::InvalidArgument, why::INVALID_REQUEST.to_owned())
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn the_client_gives_the_same_reasons() {
    let server = Running::start(closed_options()).await;
    let client = server.client().await;
    client
        .create_topic("t", TopicUpdate::default())
        .await
        .unwrap();

    let CallError::Server(error) = client.topic("unknown").await.unwrap_err() else {
        panic!("the server answered");
    };
    assert_eq!(
        (error.code, error.reason.as_str()),
        (ErrorCode::NotFound, why::UNKNOWN_TOPIC)
    );

    let subscribed = client
        .subscriber()
        .topic("t", StartAt::Offset(5))
        .build()
        .await;
    let Err(SubscribeError::Server(error)) = subscribed else {
        panic!("the server answered");
    };
    assert_eq!(
        (error.code, error.reason.as_str()),
        (ErrorCode::OutOfRange, why::OFFSET_OUT_OF_RANGE)
    );
    assert_eq!(
        error.metadata.get("end_offset").map(String::as_str),
        Some("0")
    );

    let producer = client.producer("unknown").build();
    let failure = producer.send(&BrokerRecord::new("v")).await.unwrap_err();
    let ProduceError::Server(error) = &failure else {
        panic!("the server answered: {failure:?}");
    };
    assert_eq!(
        (error.code, error.reason.as_str()),
        (ErrorCode::NotFound, why::UNKNOWN_TOPIC)
    );
    assert_eq!(
        error.metadata.get("topic").map(String::as_str),
        Some("unknown")
    );
    assert_eq!(
        producer.enqueue(&BrokerRecord::new("w")).await,
        Err(failure.clone()),
        "the producer is over"
    );
    assert_eq!(producer.flush().await, Err(failure));
    assert_eq!(producer.report().failed, 1);

    let producer = client.producer("t").build();
    let huge = BrokerRecord::new(vec![0; 3 * 1024 * 1024]);
    assert!(matches!(
        producer.send(&huge).await,
        Err(ProduceError::RecordTooLarge { .. })
    ));
    producer.send(&BrokerRecord::new("fits")).await.unwrap();
    server.stop().await;
}
