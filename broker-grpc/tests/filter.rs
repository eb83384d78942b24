//! A filter is the server's: what does not match stays there, and is accounted for without a message each.

mod harness;

use std::time::Duration;

use footman_broker::{Filter, Item, MAX_FILTER_BYTES, Record, StartAt, StopAt, SubscribeOptions};
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{SubscribeRequest, TopicStart, subscribe_response, topic_start};
use footman_broker_grpc::{ServerOptions, SubscribeError};
use harness::plain::item;
use harness::{PATIENCE, Proxy, Running, channel, next};
use tokio::time::timeout;

fn only(key: &'static str) -> SubscribeOptions {
    SubscribeOptions::new(StartAt::Earliest).with_filter(Filter::Key(key.into()))
}

fn put(server: &Running, keys: impl IntoIterator<Item = &'static str>) {
    let producer = server.broker.producer("t").unwrap();
    for key in keys {
        producer.produce(&Record::new("v").with_key(key)).unwrap();
    }
}

/// Appends a record that does not match, and waits until the server has looked at it.
async fn pass_over(server: &Running) {
    put(server, ["b"]);
    while server.broker.subscriptions()[0].lag > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_passed_over_is_said_before_the_next_heartbeat_and_not_at_once() {
    let server = Running::start(ServerOptions::default()).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let topic = TopicStart {
        topic: "t".to_owned(),
        start: Some(topic_start::Start::Earliest(true)),
        filter: Some(topic_start::Filter::KeyPrefix(b"a".to_vec())),
        ..Default::default()
    };
    let request = SubscribeRequest {
        topics: vec![topic],
        heartbeat_ms: 100,
        ..Default::default()
    };
    let mut stream = broker.subscribe(request).await.unwrap().into_inner();
    let mut next_offset = 0;
    let mut is_untold = false;
    for end in [100, 200, 300] {
        for _ in 0..100 {
            pass_over(&server).await;
        }
        while next_offset < end || is_untold {
            let message = timeout(PATIENCE, stream.message()).await.expect("in time");
            match message.unwrap().unwrap().item.unwrap() {
                subscribe_response::Item::Started(_) => {}
                subscribe_response::Item::Filtered(filtered) => {
                    assert!(!is_untold, "two in a row: they could have been one");
                    assert_eq!(filtered.from_offset, next_offset);
                    next_offset = filtered.to_offset;
                    is_untold = true;
                }
                subscribe_response::Item::Heartbeat(heartbeat) => {
                    assert_eq!(heartbeat.positions[0].next_offset, next_offset);
                    is_untold = false;
                }
                other => panic!("nothing matches: {other:?}"),
            }
        }
    }
    pass_over(&server).await;
    put(&server, ["a1"]);
    let Some(subscribe_response::Item::Filtered(filtered)) = item(&mut stream).await else {
        panic!("what was passed over comes before the record");
    };
    assert_eq!((filtered.from_offset, filtered.to_offset), (300, 301));
    let Some(subscribe_response::Item::Batch(batch)) = item(&mut stream).await else {
        panic!("the record comes");
    };
    assert_eq!((batch.base_offset, batch.count), (301, 1));
    server.stop().await;
}

#[tokio::test]
async fn a_filter_goes_on_over_a_broken_connection() {
    let server = Running::start(ServerOptions::default()).await;
    let proxy = Proxy::start(server.addr).await;
    let client = footman_broker_grpc::Client::connect(&proxy.addr.to_string())
        .await
        .unwrap();
    let mut subscriber = client
        .subscriber()
        .topic_with("t", only("a"))
        .build()
        .await
        .unwrap();
    let (mut given, mut next_offset) = (Vec::new(), 0);
    for round in 1..=3 {
        put(&server, ["b", "a", "b"]);
        proxy.cut();
        while given.len() < round {
            match next(&mut subscriber).await {
                Item::Records(records) => {
                    assert_eq!(records.base_offset(), next_offset);
                    next_offset = records.next_offset();
                    given.extend(records.iter().map(|record| record.offset));
                }
                Item::Filtered(passed) => {
                    assert_eq!(passed.from, next_offset);
                    next_offset = passed.to;
                }
                other => panic!("only connections broke: {other:?}"),
            }
        }
    }
    assert_eq!(given, [1, 4, 7]);
    server.stop().await;
}

#[tokio::test]
async fn a_fetch_can_filter() {
    let server = Running::start(ServerOptions::default()).await;
    let client = server.client().await;
    put(&server, ["b", "b", "a", "b"]);
    let options = only("a").with_stop(StopAt::Offset(3));
    let fetched = client.fetch("t", options, 0, Duration::ZERO).await.unwrap();
    let [Item::Filtered(passed), Item::Records(records), Item::End(_)] = &fetched.items[..] else {
        panic!("{fetched:?}");
    };
    assert_eq!((passed.from, passed.to), (0, 2));
    assert_eq!((records.base_offset(), records.len()), (2, 1));
    assert_eq!(fetched.next.1, 3);

    // What is left does not match: it waits until something does.
    let (epoch, next_offset) = fetched.next;
    let mut options = only("a");
    options.start = StartAt::Resume { epoch, next_offset };
    let mut waiting = std::pin::pin!(client.fetch("t", options, 0, PATIENCE));
    let nothing = timeout(Duration::from_millis(100), waiting.as_mut()).await;
    assert!(nothing.is_err(), "it waits");
    put(&server, ["b", "a"]);
    let fetched = timeout(PATIENCE, waiting)
        .await
        .expect("it is woken")
        .unwrap();
    let [Item::Filtered(passed), Item::Records(records)] = &fetched.items[..] else {
        panic!("{fetched:?}");
    };
    assert_eq!((passed.from, passed.to, records.base_offset()), (3, 5, 5));

    // What is there is found, however far, without a wait.
    let producer = server.broker.producer("t").unwrap();
    let many = vec![Record::new("v").with_key("b"); 50_000];
    producer.produce_batch(&many).unwrap();
    put(&server, ["a"]);
    let (epoch, next_offset) = fetched.next;
    let mut options = only("a");
    options.start = StartAt::Resume { epoch, next_offset };
    let fetched = client.fetch("t", options, 0, Duration::ZERO).await.unwrap();
    let [Item::Filtered(passed), Item::Records(records)] = &fetched.items[..] else {
        panic!("{fetched:?}");
    };
    assert_eq!((passed.records(), records.len()), (50_000, 1));
    server.stop().await;
}

#[tokio::test]
async fn a_filter_that_is_too_long_is_an_error_that_says_how_long_it_may_be() {
    let server = Running::start(ServerOptions::default()).await;
    let long = vec![b'k'; MAX_FILTER_BYTES + 1];
    let options = SubscribeOptions::new(StartAt::Earliest).with_filter(Filter::Key(long.into()));
    let client = server.client().await;
    let refused = client.subscriber().topic_with("t", options).build().await;
    let Err(SubscribeError::Server(error)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(error.reason, "INVALID_REQUEST");
    assert!(error.message.contains("256"), "{}", error.message);
    assert_eq!(server.broker.topics().len(), 0, "no topic was created");
    server.stop().await;
}
