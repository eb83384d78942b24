//! What a producer sends reaches subscribers as it was, from wherever they start.

mod harness;

use footman_broker::{EndReason, Item, Record, StartAt, StopAt, SubscribeOptions};
use footman_broker_grpc::ServerOptions;
use harness::{Running, next, records};

fn odd_records() -> Vec<Record> {
    let big: Vec<u8> = (0..900_000_u32).map(|byte| (byte % 251) as u8).collect();
    vec![
        Record::new("plain").with_timestamp(1),
        Record::new("").with_timestamp(2),
        Record::new("keyed").with_key("").with_timestamp(3),
        Record::new(&b"\xff\x00\xfe"[..])
            .with_key("k")
            .with_header("h", "1")
            .with_header("h", "")
            .with_timestamp(4),
        Record::new(big).with_key("big").with_timestamp(-5),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_arrive_as_they_were_sent() {
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let producer = client.producer("t").build();
    for (offset, record) in (0_u64..).zip(odd_records()) {
        let sent = producer.send(&record).await.unwrap();
        assert_eq!(sent.offset, offset);
    }
    let received = records(&mut subscriber, 5).await;
    let expected: Vec<_> = (0..).zip(odd_records()).collect();
    assert_eq!(received, expected);
    let report = producer.close().await.unwrap();
    assert_eq!(
        (report.acknowledged, report.duplicates, report.failed),
        (5, 0, 0)
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_arrives_whole_and_in_order() {
    const RECORDS: u64 = 200_000;
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let producer = client.producer("t").build();
    let feeder = tokio::spawn(async move {
        for number in 0..RECORDS {
            producer
                .enqueue(&Record::new(number.to_le_bytes().to_vec()))
                .await
                .unwrap();
        }
        producer.close().await.unwrap()
    });
    let mut wanted = 0;
    while wanted < RECORDS {
        let Item::Records(batch) = next(&mut subscriber).await else {
            panic!("nothing else can come");
        };
        for record in &batch {
            assert_eq!(record.offset, wanted);
            assert_eq!(record.value, wanted.to_le_bytes());
            wanted += 1;
        }
    }
    assert_eq!(feeder.await.unwrap().acknowledged, RECORDS);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_start_and_stop_is_honoured() {
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let producer = client.producer("t").build();
    for at in 0..10_i64 {
        producer
            .enqueue(&Record::new(at.to_string()).with_timestamp(1_000 + at))
            .await
            .unwrap();
    }
    producer.flush().await.unwrap();
    let epoch = client.topic("t").await.unwrap().epoch;
    let cases = [
        (StartAt::Earliest, 0),
        (StartAt::Offset(4), 4),
        (StartAt::OffsetIn { epoch, offset: 7 }, 7),
        (StartAt::Timestamp(1_003), 3),
        (StartAt::Last(2), 8),
        (
            StartAt::Resume {
                epoch,
                next_offset: 9,
            },
            9,
        ),
        (StartAt::Latest, 10),
    ];
    for (start, first) in cases {
        let mut subscriber = client
            .subscriber()
            .topic_with("t", SubscribeOptions::new(start).with_stop(StopAt::End))
            .build()
            .await
            .unwrap();
        let expected: Vec<u64> = (first..10).collect();
        let mut offsets = Vec::new();
        let end = loop {
            match next(&mut subscriber).await {
                Item::Records(batch) => offsets.extend(batch.iter().map(|record| record.offset)),
                Item::End(end) => break end,
                other => panic!("{start:?}: {other:?}"),
            }
        };
        assert_eq!(offsets, expected, "{start:?}");
        assert_eq!(
            (end.reason, end.next_offset),
            (EndReason::Stopped, 10),
            "{start:?}"
        );
        assert!(subscriber.next().await.unwrap().is_none(), "{start:?}");
    }
    server.stop().await;
}
