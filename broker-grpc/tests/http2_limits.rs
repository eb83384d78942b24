//! The limits of HTTP/2 that no frame says: what was set is read back from what the server does.

mod harness;

use std::time::Duration;

use footman_broker::{Record, TopicOptions};
use footman_broker_grpc::proto::{SubscribeRequest, TopicStart, topic_start::Start};
use footman_broker_grpc::{Limits, ServerOptions};
use harness::frames::{
    self, ACK, END_HEADERS, HEADERS, LARGEST_WINDOW, PING, PRODUCE, RST_STREAM, SUBSCRIBE,
    WINDOW_UPDATE, fields, frame, stream,
};
use harness::{PATIENCE, Running, hello, last_words, next_frame};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio::time::timeout;

/// The error code of a peer that asks for too much.
const ENHANCE_YOUR_CALM: u32 = 11;

fn with(change: impl FnOnce(&mut Limits)) -> ServerOptions {
    let mut options = ServerOptions::default();
    change(&mut options.limits);
    options
}

#[tokio::test]
async fn a_silent_peer_is_asked_after_the_interval_and_cut_when_it_does_not_answer_in_time() {
    let asked_soon = |keepalive_timeout| {
        with(|limits| {
            assert!(limits.keepalive_interval > PATIENCE, "nobody waits so long");
            limits.keepalive_interval = Duration::from_millis(50);
            limits.keepalive_timeout = keepalive_timeout;
        })
    };
    let strict = Running::start(asked_soon(Duration::from_millis(200))).await;
    let lenient = Running::start(asked_soon(2 * PATIENCE)).await;
    let mut waiting = hello(lenient.addr).await;
    asked(&mut waiting).await;
    let mut socket = hello(strict.addr).await;
    for _ in 0..3 {
        // It lives as long as it answers.
        let answer = frame(PING, ACK, 0, &asked(&mut socket).await);
        socket.write_all(&answer).await.unwrap();
    }
    asked(&mut socket).await;
    last_words(socket).await;
    assert!(answers(&mut waiting).await, "asked before, and still there");
    strict.stop().await;
    lenient.stop().await;
}

/// What the server asks with its next PING.
async fn asked(socket: &mut TcpStream) -> Vec<u8> {
    loop {
        let frame = next_frame(socket).await;
        if frame.kind == PING && frame.flags & ACK == 0 {
            return frame.payload;
        }
    }
}

/// Whether the server answers a PING; if not, it has said why and closes.
async fn answers(socket: &mut TcpStream) -> bool {
    let question = frame(PING, 0, 0, b"question");
    socket.write_all(&question).await.unwrap();
    loop {
        let frame = next_frame(socket).await;
        if let Some(code) = frame.goaway() {
            assert_eq!(code, ENHANCE_YOUR_CALM);
            return false;
        }
        if frame.kind == PING && frame.payload == b"question" {
            return true;
        }
    }
}

#[tokio::test]
async fn streams_that_the_server_must_reset_are_counted() {
    for max in [3, 10] {
        let server = Running::start(with(|limits| limits.max_local_reset_streams = max)).await;
        let mut socket = hello(server.addr).await;
        let block = fields(PRODUCE);
        // A call, and a window that grows past all bounds, which is an error of that call.
        let much = LARGEST_WINDOW.to_be_bytes();
        let wrong = |n| {
            let call = frame(HEADERS, END_HEADERS, stream(n), &block);
            [call, frame(WINDOW_UPDATE, 0, stream(n), &much)].concat()
        };
        let max = u32::try_from(max).unwrap();
        for n in 0..max {
            socket.write_all(&wrong(n)).await.unwrap();
            while next_frame(&mut socket).await.kind != RST_STREAM {}
        }
        assert!(answers(&mut socket).await, "{max} are allowed");
        socket.write_all(&wrong(max)).await.unwrap();
        assert!(!answers(&mut socket).await, "one more is not");
        server.is_well().await;
        server.stop().await;
    }
}

#[tokio::test]
async fn streams_that_the_peer_resets_before_they_are_seen_are_counted() {
    for max in [3, 10] {
        let server = Running::start(with(|limits| limits.max_pending_reset_streams = max)).await;
        let block = fields(PRODUCE);
        let rapid = |count| {
            let one = |n| {
                let call = frame(HEADERS, END_HEADERS, stream(n), &block);
                [call, frame(RST_STREAM, 0, stream(n), &8_u32.to_be_bytes())].concat()
            };
            (0..count).flat_map(one).collect::<Vec<_>>()
        };
        let max = u32::try_from(max).unwrap();
        for (count, is_allowed) in [(max, true), (max + 1, false)] {
            let mut socket = hello(server.addr).await;
            socket.write_all(&rapid(count)).await.unwrap();
            assert_eq!(answers(&mut socket).await, is_allowed, "{count} of {max}");
        }
        server.stop().await;
    }
}

/// How many bytes of records a subscription gives to a peer that never reads, when `is_enough` says so or the server lets go of it.
async fn taken(send_buffer_bytes: usize, is_enough: impl Fn(usize) -> bool) -> usize {
    const RECORD_BYTES: usize = 10_000;
    const RECORDS: usize = 3_000;
    let mut options = with(|limits| {
        limits.send_buffer_bytes = send_buffer_bytes;
        limits.unsent_bytes = 16 * 1024;
    });
    options.write_stall_timeout = Duration::from_millis(500);
    options.broker.topic_defaults = TopicOptions::default().with_max_bytes(64 * 1024 * 1024);
    let server = Running::start(options).await;
    let producer = server.broker.producer("t").unwrap();
    for _ in 0..RECORDS {
        producer
            .produce(&Record::new(vec![1; RECORD_BYTES]))
            .unwrap();
    }
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    let follow = SubscribeRequest {
        topics: vec![TopicStart {
            topic: "t".into(),
            start: Some(Start::Earliest(true)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let call = frames::call(1, SUBSCRIBE, &follow);
    socket
        .write_all(&[frames::hello(LARGEST_WINDOW), call].concat())
        .await
        .unwrap();
    while next_frame(&mut socket).await.kind != HEADERS {}
    let mut taken = 0;
    let until_stuck = async {
        while let [subscription] = &server.broker.subscriptions()[..] {
            taken = usize::try_from(subscription.next_offset).unwrap() * RECORD_BYTES;
            if is_enough(taken) {
                break;
            }
            yield_now().await;
        }
    };
    timeout(PATIENCE, until_stuck)
        .await
        .expect("it gets no further");
    server.kill().await;
    taken
}

/// The system's buffers take a few hundred kilobytes, the largest batch of records is 256 KiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_peer_that_does_not_read_is_the_send_buffer() {
    const MIB: usize = 1024 * 1024;
    let little = taken(16 * 1024, |_| false).await;
    assert!(little < 4 * MIB, "{little} bytes");
    let much = taken(16 * MIB, |taken| taken >= 16 * MIB).await;
    assert!(much >= 16 * MIB, "{much} bytes");
}
