//! What Admin says of topics and subscriptions: it adds up, and it says how near a loss is.

mod harness;

use std::time::Duration;

use footman_broker::{Item, Record, StartAt, TopicUpdate};
use footman_broker_grpc::{Client, ServerOptions};
use harness::{Running, next};

async fn produce(client: &Client, topic: &str, records: u64) {
    let producer = client.producer(topic).build();
    for number in 0..records {
        let record = Record::new(number.to_le_bytes().to_vec());
        producer.enqueue(&record).await.unwrap();
    }
    producer.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_show_their_ledgers_and_their_headroom() {
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let mut options = TopicUpdate::default();
    options.max_records = Some(100);
    options.max_age = Some(Some(Duration::from_secs(3_600)));
    client.create_topic("t", options).await.unwrap();
    produce(&client, "t", 130).await;
    let follow = |start| client.subscriber().label("same").topic("t", start).build();
    let mut lapped = follow(StartAt::Offset(10)).await.unwrap();
    assert!(matches!(next(&mut lapped).await, Item::Lost(lost) if lost.records() == 20));
    let mut delivered = 0;
    while delivered < 100 {
        if let Item::Records(records) = next(&mut lapped).await {
            delivered += records.len();
        }
    }
    let _waiting = follow(StartAt::Latest).await.unwrap();

    let subscriptions = client.subscriptions(Some("t")).await.unwrap();
    let [lapped, waiting] = &subscriptions[..] else {
        panic!("two follow it: {subscriptions:?}");
    };
    assert_ne!(lapped.id, waiting.id);
    assert_eq!((&*lapped.label, &*waiting.label), ("same", "same"));
    for subscription in &subscriptions {
        assert_eq!(
            subscription.delivered + subscription.lost + subscription.lag,
            subscription.end_offset - subscription.started_offset,
            "{subscription:?}"
        );
        assert_eq!((subscription.lag, subscription.end_offset), (0, 130));
        assert_eq!(subscription.headroom_records, 100);
        // At some rate above nothing, since records came a moment ago.
        assert!(subscription.headroom.is_some(), "{subscription:?}");
    }
    assert_eq!((lapped.delivered, lapped.lost), (100, 20));
    assert_eq!((waiting.delivered, waiting.started_offset), (0, 130));

    let topic = client.topic("t").await.unwrap();
    assert_eq!((topic.delivered_records, topic.lost_records), (100, 20));
    assert!(topic.records_per_second > 0.0, "{topic:?}");
    assert!(!topic.paused && !topic.options.last_by_key);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_rate_or_an_age_there_is_no_headroom_in_time() {
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let _subscriber = client
        .subscriber()
        .topic("t", StartAt::Latest)
        .build()
        .await
        .unwrap();
    let subscriptions = client.subscriptions(None).await.unwrap();
    assert_eq!(subscriptions.len(), 1);
    assert_eq!(subscriptions[0].headroom, None);
    let options = client.topic("t").await.unwrap().options;
    assert_eq!(subscriptions[0].headroom_records, options.max_records);
    server.stop().await;
}
