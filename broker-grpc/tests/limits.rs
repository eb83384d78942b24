//! What the server allows at most is what was set, and is kept: connections, calls, subscriptions, headers, time for a handshake.

mod harness;

use std::time::Duration;

use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{FetchRequest, ProduceRequest, SubscribeRequest, TopicStart};
use footman_broker_grpc::{Limits, ServerOptions, reason as why};
use harness::frames::{PREFACE, SETTINGS};
use harness::{PATIENCE, Running, channel, hello, last_words, next_frame, reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

#[tokio::test]
async fn who_says_nothing_keeps_nobody_out() {
    let mut options = ServerOptions::default();
    options.limits.max_connections = 3;
    options.limits.handshake_timeout = PATIENCE * 2;
    let server = Running::start(options).await;
    let mut served = hello(server.addr).await;
    next_frame(&mut served).await;
    let silent = TcpStream::connect(server.addr).await.unwrap();
    let mut slow = TcpStream::connect(server.addr).await.unwrap();
    slow.write_all(&PREFACE[..7]).await.unwrap();

    // All places are taken: those who come take the places of those who do not speak, the first first.
    let mut next = hello(server.addr).await;
    next_frame(&mut next).await;
    assert_eq!(last_words(silent).await, b"");
    let mut last = hello(server.addr).await;
    next_frame(&mut last).await;
    assert_eq!(last_words(slow).await, b"");
    let refused = TcpStream::connect(server.addr).await.unwrap();
    assert_eq!(last_words(refused).await, b"", "now all have spoken");
    server.stop().await;
}

#[tokio::test]
async fn the_limits_are_what_the_settings_frame_says() {
    let mut options = ServerOptions::default();
    let limits: &mut Limits = &mut options.limits;
    limits.header_table_bytes = 1_234;
    limits.max_streams_per_connection = 77;
    limits.stream_window_bytes = 1_000_001;
    limits.max_frame_bytes = 55_555;
    limits.max_header_list_bytes = 9_999;
    limits.connection_window_bytes = 3_000_003;
    let server = Running::start(options).await;
    let mut socket = hello(server.addr).await;
    let first = next_frame(&mut socket).await;
    assert_eq!(first.kind, SETTINGS, "they come first");
    let mut settings: Vec<(u16, u32)> = first
        .payload
        .chunks_exact(6)
        .map(|it| {
            (
                u16::from_be_bytes([it[0], it[1]]),
                u32::from_be_bytes([it[2], it[3], it[4], it[5]]),
            )
        })
        .collect();
    settings.sort_unstable();
    assert_eq!(
        settings,
        [(1, 1_234), (3, 77), (4, 1_000_001), (5, 55_555), (6, 9_999)]
    );
    let window = loop {
        let frame = next_frame(&mut socket).await;
        if let (0, Some(increment)) = (frame.stream, frame.increment()) {
            break increment;
        }
    };
    assert_eq!(
        65_535 + window,
        3_000_003,
        "the connection's window is raised to its limit"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut() {
    let mut options = ServerOptions::default();
    options.limits.handshake_timeout = Duration::from_millis(50);
    let server = Running::start(options).await;
    for start in [&b""[..], b"PRI * HT", PREFACE] {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(start).await.unwrap();
        assert_eq!(last_words(socket).await, b"");
    }
    server.is_well().await;
    server.stop().await;
}

#[tokio::test]
async fn the_limits_of_http_1_are_what_was_set() {
    let mut options = ServerOptions::default();
    options.limits.max_http1_headers = 10;
    options.limits.max_header_list_bytes = 9_000;
    let server = Running::start(options).await;
    for (lines, length, answer) in [
        (10, 100, "HTTP/1.1 415"),
        (11, 100, "HTTP/1.1 431"),
        (2, 8_900, "HTTP/1.1 415"),
        (2, 9_100, "HTTP/1.1 431"),
    ] {
        let mut head = "GET / HTTP/1.1\r\nconnection: close\r\n".to_owned();
        head += &"x: y\r\n".repeat(lines - 2);
        let filler = length - head.len() - "z: \r\n\r\n".len();
        head += &format!("z: {}\r\n\r\n", "z".repeat(filler));
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let words = String::from_utf8(last_words(socket).await).unwrap();
        assert!(
            words.starts_with(answer),
            "{lines} lines, {length} bytes: {words:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_comes_a_byte_at_a_time_is_read_whole() {
    let server = Running::start(ServerOptions::default()).await;
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    socket.set_nodelay(true).unwrap();
    for byte in b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n" {
        socket.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let words = String::from_utf8(last_words(socket).await).unwrap();
    assert!(words.starts_with("HTTP/1.1 415"), "{words:?}");
    server.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let mut options = ServerOptions::default();
    options.limits.max_connections = 2;
    let server = Running::start(options).await;
    let mut first = hello(server.addr).await;
    let mut second = hello(server.addr).await;
    for socket in [&mut first, &mut second] {
        next_frame(socket).await;
    }
    let third = TcpStream::connect(server.addr).await.unwrap();
    assert_eq!(last_words(third).await, b"");
    drop(first);
    // The place is free as soon as the server has seen the end of the first.
    let admitted = async {
        loop {
            let mut socket = hello(server.addr).await;
            if socket.read_u8().await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, admitted)
        .await
        .expect("there is a place again");
    server.stop().await;
}

#[tokio::test]
async fn calls_and_subscriptions_over_the_limit_are_refused() {
    let mut options = ServerOptions::default();
    options.limits.max_subscriptions = 2;
    let server = Running::start(options).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let follow = || SubscribeRequest {
        topics: vec![TopicStart {
            topic: "t".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let first = broker.subscribe(follow()).await.unwrap();
    let _second = broker.subscribe(follow()).await.unwrap();
    let status = broker.subscribe(follow()).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (
            Code::ResourceExhausted,
            why::TOO_MANY_SUBSCRIPTIONS.to_owned()
        )
    );
    drop(first);
    let admitted = async { while broker.subscribe(follow()).await.is_err() {} };
    timeout(PATIENCE, admitted)
        .await
        .expect("there is a place again");
    server.stop().await;

    let mut options = ServerOptions::default();
    options.limits.max_calls = 1;
    let server = Running::start(options).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let _only = broker.subscribe(follow()).await.unwrap();
    let status = broker
        .produce_batch(ProduceRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::ResourceExhausted, why::TOO_MANY_CALLS.to_owned())
    );
    server.stop().await;
}

#[tokio::test]
async fn a_call_of_too_many_topics_is_refused() {
    let mut options = ServerOptions::default();
    options.limits.max_topics_per_call = 2;
    let server = Running::start(options).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let topics = |count| {
        let topic = |number| TopicStart {
            topic: format!("t{number}"),
            ..Default::default()
        };
        (0..count).map(topic).collect()
    };
    let subscribe = |count| SubscribeRequest {
        topics: topics(count),
        ..Default::default()
    };
    let fetch = |count| FetchRequest {
        topics: topics(count),
        ..Default::default()
    };
    broker.subscribe(subscribe(2)).await.unwrap();
    broker.fetch(fetch(2)).await.unwrap();
    for status in [
        broker.subscribe(subscribe(3)).await.unwrap_err(),
        broker.fetch(fetch(3)).await.unwrap_err(),
    ] {
        let expected = (Code::InvalidArgument, why::INVALID_REQUEST.to_owned());
        assert_eq!(reason(&status), expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    type Change = fn(&mut ServerOptions);
    let changes: [Change; 5] = [
        |options| options.limits.max_connections = 0,
        |options| options.limits.max_frame_bytes = 1,
        |options| options.limits.stream_window_bytes = 0,
        |options| options.limits.handshake_timeout = Duration::ZERO,
        |options| options.heartbeat = Duration::ZERO,
    ];
    for change in changes {
        let mut options = ServerOptions::default();
        change(&mut options);
        assert!(
            footman_broker_grpc::Server::bind("127.0.0.1:0", options)
                .await
                .is_err()
        );
    }
}
