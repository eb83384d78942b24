//! Connections break, servers restart, topics are made again: nothing is lost or doubled without a word.

mod harness;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use footman_broker::{EndReason, Item, Record, StartAt, TopicUpdate};
use footman_broker_grpc::{Client, ConnectionEvent, ProduceError, ServerOptions};
use harness::{PATIENCE, Proxy, Running, next, records};
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_neither_lose_nor_double_records() {
    const RECORDS: u64 = 30_000;
    let server = Running::start(ServerOptions::default()).await;
    let proxy = Proxy::start(server.addr).await;
    let client = Client::connect(&proxy.addr.to_string()).await.unwrap();
    let restored = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&restored);
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .max_batch_records(100)
        .on_connection_change(move |event| {
            if matches!(event, ConnectionEvent::Restored { .. }) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
        .await
        .unwrap();
    let producer = client.producer("t").max_batch_records(50).build();
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
    let mut next_cut = 0;
    while wanted < RECORDS {
        let Item::Records(batch) = next(&mut subscriber).await else {
            panic!("only connections broke");
        };
        for record in &batch {
            assert_eq!(
                (record.offset, record.value),
                (wanted, &wanted.to_le_bytes()[..])
            );
            wanted += 1;
        }
        if wanted >= next_cut {
            proxy.cut();
            next_cut += RECORDS / 8;
        }
    }
    assert_eq!(feeder.await.unwrap().acknowledged, RECORDS);
    assert_eq!(
        server.broker.topic("t").unwrap().end_offset,
        RECORDS,
        "none is there twice"
    );
    assert!(
        restored.load(Ordering::Relaxed) > 0,
        "connections did break"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_shows_as_a_reset() {
    let server = Running::start(ServerOptions::default()).await;
    let addr = server.addr;
    let client = server.client().await;
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let producer = client.producer("t").build();
    let before = producer
        .send(&Record::new("before").with_timestamp(1))
        .await
        .unwrap();
    assert_eq!(
        records(&mut subscriber, 1).await,
        [(0, Record::new("before").with_timestamp(1))]
    );
    server.kill().await;

    let server = Running::start_at(addr, ServerOptions::default()).await;
    let after = producer
        .send(&Record::new("after").with_timestamp(2))
        .await
        .unwrap();
    assert_ne!(after.epoch, before.epoch);
    assert_eq!(after.offset, 0);
    let Item::Reset(reset) = next(&mut subscriber).await else {
        panic!("a reset comes first");
    };
    assert_eq!(
        (reset.old_epoch, reset.new_epoch, reset.next_offset),
        (before.epoch, after.epoch, 0)
    );
    assert_eq!(
        records(&mut subscriber, 1).await,
        [(0, Record::new("after").with_timestamp(2))]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_deleted_and_created_again_is_followed_on() {
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let old = client
        .create_topic("t", TopicUpdate::default())
        .await
        .unwrap();
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let producer = client.producer("t").build();
    producer
        .send(&Record::new("old").with_timestamp(1))
        .await
        .unwrap();
    assert_eq!(records(&mut subscriber, 1).await.len(), 1);

    client.delete_topic("t").await.unwrap();
    let Item::End(end) = next(&mut subscriber).await else {
        panic!("the deletion is told");
    };
    assert_eq!(
        (end.epoch, end.next_offset, end.reason),
        (old.epoch, 1, EndReason::Deleted)
    );

    let sent = producer
        .send(&Record::new("new").with_timestamp(2))
        .await
        .unwrap();
    assert_eq!(sent.offset, 0);
    let Item::Reset(reset) = next(&mut subscriber).await else {
        panic!("the new life is told");
    };
    assert_eq!((reset.old_epoch, reset.new_epoch), (old.epoch, sent.epoch));
    assert_eq!(
        records(&mut subscriber, 1).await,
        [(0, Record::new("new").with_timestamp(2))]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lapped_subscriber_is_told_exactly_what_it_lost() {
    const RECORDS: u64 = 40_000;
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let mut options = TopicUpdate::default();
    options.max_records = Some(64);
    client.create_topic("t", options).await.unwrap();
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let producer = client.producer("t").max_batch_records(16).build();
    for number in 0..RECORDS {
        producer
            .enqueue(&Record::new(vec![0; 1_000]).with_timestamp(1 + number as i64))
            .await
            .unwrap();
    }
    producer.close().await.unwrap();
    let (mut at, mut delivered, mut lost) = (0, 0, 0);
    while at < RECORDS {
        match next(&mut subscriber).await {
            Item::Records(batch) => {
                assert_eq!(batch.base_offset(), at);
                at = batch.next_offset();
                delivered += batch.len() as u64;
            }
            Item::Lost(gap) => {
                assert_eq!(gap.from, at);
                assert!(gap.to > gap.from);
                at = gap.to;
                lost += gap.records();
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((at, delivered + lost), (RECORDS, RECORDS));
    assert!(delivered >= 64, "what is kept is delivered");
    assert!(lost > 0, "40 MB do not fit into any window");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_cannot_be_delivered_in_time_fail() {
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let deadline = Duration::from_millis(300);
    let producer = client.producer("t").delivery_timeout(deadline).build();
    producer.send(&Record::new("delivered")).await.unwrap();
    server.kill().await;
    let sent = timeout(harness::PATIENCE, producer.send(&Record::new("lost")))
        .await
        .expect("it gives up");
    let Err(ProduceError::DeliveryTimeout {
        timeout: given,
        last_error,
    }) = sent
    else {
        panic!("nobody is there: {sent:?}");
    };
    assert_eq!(given, deadline);
    assert!(!last_error.is_empty());
    let report = producer.report();
    assert_eq!((report.acknowledged, report.failed), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_buffer_makes_the_producer_wait_and_loses_nothing() {
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let producer = client.producer("t").buffer_bytes(1_000).build();
    for _ in 0..500 {
        producer.enqueue(&Record::new(vec![7; 300])).await.unwrap();
    }
    let report = producer.close().await.unwrap();
    assert_eq!((report.acknowledged, report.failed), (500, 0));
    assert_eq!(server.broker.topic("t").unwrap().end_offset, 500);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_waits_while_its_topic_is_paused() {
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    let (refused, mut refusals) = tokio::sync::watch::channel(());
    let producer = client
        .producer("t")
        .on_connection_change(move |event| {
            if matches!(event, ConnectionEvent::Lost { message, .. } if message.contains("paused"))
            {
                refused.send_replace(());
            }
        })
        .build();
    producer.send(&Record::new("before")).await.unwrap();
    assert!(client.pause_topic("t").await.unwrap().paused);
    let sent = tokio::spawn(async move {
        let sent = producer.send(&Record::new("after")).await;
        (sent, producer)
    });
    timeout(PATIENCE, refusals.changed())
        .await
        .expect("it is refused")
        .unwrap();
    assert_eq!(client.topic("t").await.unwrap().end_offset, 1);
    client.resume_topic("t").await.unwrap();
    let (sent, producer) = timeout(PATIENCE, sent).await.expect("it goes on").unwrap();
    assert_eq!(sent.unwrap().offset, 1);
    assert_eq!(producer.close().await.unwrap().failed, 0);
    server.stop().await;
}

/// A topic that was deleted can come back: until it does, a subscriber that has lost its connection waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_is_waited_for_over_a_broken_connection() {
    let mut options = ServerOptions::default();
    options.broker.auto_create = false;
    let server = Running::start(options).await;
    let proxy = Proxy::start(server.addr).await;
    let client = Client::connect(&proxy.addr.to_string()).await.unwrap();
    client
        .create_topic("t", TopicUpdate::default())
        .await
        .unwrap();
    let (refused, mut refusals) = tokio::sync::watch::channel(());
    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .on_connection_change(move |event| {
            if matches!(event, ConnectionEvent::Lost { message, .. } if message.contains("\"t\"")) {
                refused.send_replace(());
            }
        })
        .build()
        .await
        .unwrap();
    client
        .producer("t")
        .build()
        .send(&Record::new("a"))
        .await
        .unwrap();
    assert_eq!(records(&mut subscriber, 1).await[0].0, 0);
    client.delete_topic("t").await.unwrap();
    assert!(
        matches!(next(&mut subscriber).await, Item::End(end) if end.reason == EndReason::Deleted)
    );
    proxy.cut();
    let waiting = tokio::spawn(async move { (next(&mut subscriber).await, subscriber) });
    timeout(PATIENCE, refusals.changed())
        .await
        .expect("it comes back, and the topic is not there")
        .unwrap();
    // Straight to the server: the client's own connection was cut too.
    let direct = server.client().await;
    direct
        .create_topic("t", TopicUpdate::default())
        .await
        .unwrap();
    let (item, mut subscriber) = waiting.await.unwrap();
    assert!(matches!(item, Item::Reset(reset) if reset.next_offset == 0));
    direct
        .producer("t")
        .build()
        .send(&Record::new("b"))
        .await
        .unwrap();
    assert_eq!(records(&mut subscriber, 1).await[0].1.value, "b");
    server.stop().await;
}

/// The others of a subscriber do not wait for one that was deleted, and it is followed on when it comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_does_not_keep_the_others_from_coming_back() {
    let mut options = ServerOptions::default();
    options.broker.auto_create = false;
    let server = Running::start(options).await;
    let proxy = Proxy::start(server.addr).await;
    let direct = server.client().await;
    for topic in ["stays", "goes"] {
        direct
            .create_topic(topic, TopicUpdate::default())
            .await
            .unwrap();
    }
    let client = Client::connect(&proxy.addr.to_string()).await.unwrap();
    let mut subscriber = client
        .subscriber()
        .topic("goes", StartAt::Earliest)
        .topic("stays", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    direct.delete_topic("goes").await.unwrap();
    let end = next(&mut subscriber).await;
    assert!(matches!(end, Item::End(end) if end.reason == EndReason::Deleted));

    proxy.cut();
    let producer = direct.producer("stays").build();
    producer.send(&Record::new("a")).await.unwrap();
    assert_eq!(records(&mut subscriber, 1).await[0].1.value, "a");

    let new = direct
        .create_topic("goes", TopicUpdate::default())
        .await
        .unwrap();
    let Item::Reset(reset) = next(&mut subscriber).await else {
        panic!("it is followed on");
    };
    assert_eq!((&*reset.topic, reset.new_epoch), ("goes", new.epoch));
    producer.send(&Record::new("b")).await.unwrap();
    assert_eq!(records(&mut subscriber, 1).await[0].1.value, "b");
    let producer = direct.producer("goes").build();
    producer.send(&Record::new("c")).await.unwrap();
    assert_eq!(records(&mut subscriber, 1).await[0].1.value, "c");
    server.stop().await;
}
