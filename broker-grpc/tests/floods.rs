//! HTTP/2 used as a weapon, frame by frame: the one who does it is cut off or held back, and nobody else is harmed.

mod harness;

use std::time::Duration;

use footman_broker::Record;
use footman_broker_grpc::ServerOptions;
use footman_broker_grpc::proto::{
    ProduceRequest, SubscribeRequest, TopicStart, topic_start::Start,
};
use harness::frames::{
    self, CONTINUATION, DATA, END_HEADERS, HEADERS, Incoming, PING, PRODUCE, PRODUCE_BATCH,
    RST_STREAM, SETTINGS, SUBSCRIBE, WINDOW_UPDATE, fields, frame, stream,
};
use harness::{PATIENCE, Running, hello, next_frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The error code of a peer that asks for too much.
const ENHANCE_YOUR_CALM: u32 = 11;

/// Sends `wave(n)` for growing n, and reads, until the server closes; returns the error code that it gave as its reason.
async fn until_cut(
    mut socket: TcpStream,
    waves: u32,
    wave: impl Fn(u32) -> Vec<u8>,
) -> Option<u32> {
    let (mut reading, mut writing) = socket.split();
    let writes = async {
        for n in 0..waves {
            if writing.write_all(&wave(n)).await.is_err() {
                return;
            }
        }
        // All was swallowed: the server has to make up its mind about what it has.
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    let reads = async {
        // A reset is an end too.
        let _ = reading.read_to_end(&mut said).await;
    };
    let cut = async {
        tokio::select! {
            () = writes => {}
            () = reads => {}
        }
    };
    timeout(PATIENCE, cut)
        .await
        .expect("the server cuts it off");
    let mut incoming = Incoming::default();
    incoming.take(&said);
    std::iter::from_fn(|| incoming.next()).find_map(|frame| frame.goaway())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_as_soon_as_they_are_opened() {
    let server = Running::start(ServerOptions::default()).await;
    let block = fields(PRODUCE);
    let socket = hello(server.addr).await;
    let code = until_cut(socket, 1_000_000, |n| {
        let mut wave = frame(HEADERS, END_HEADERS, stream(n), &block);
        wave.extend(frame(RST_STREAM, 0, stream(n), &8_u32.to_be_bytes()));
        wave
    })
    .await;
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
    server.is_well().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_never_end() {
    let server = Running::start(ServerOptions::default()).await;
    // A field that says nothing, without end.
    let field = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let socket = hello(server.addr).await;
    let code = until_cut(socket, 100_000, |n| match n {
        0 => frame(HEADERS, 0, 1, &fields(PRODUCE)),
        _ => frame(CONTINUATION, 0, 1, &field.repeat(10)),
    })
    .await;
    assert!(code.is_none_or(|code| code != 0), "{code:?}");
    server.is_well().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_with_nothing_in_them() {
    let server = Running::start(ServerOptions::default()).await;
    let socket = hello(server.addr).await;
    let code = until_cut(socket, 5_000_000, |n| match n {
        // A unary call: nobody reads what comes after its one message.
        0 => frame(HEADERS, END_HEADERS, 1, &fields(PRODUCE_BATCH)),
        _ => frame(DATA, 0, 1, b"").repeat(64),
    })
    .await;
    assert!(code.is_none_or(|code| code != 0), "{code:?}");
    server.is_well().await;
    server.stop().await;
}

/// Two messages, a byte a frame by turns: their calls end long before they are whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_in_crumbs() {
    let server = Running::start(ServerOptions::default()).await;
    for method in [PRODUCE, PRODUCE_BATCH] {
        let mut socket = hello(server.addr).await;
        let of_both = |frame: &dyn Fn(u32) -> Vec<u8>| [frame(1), frame(3)].concat();
        let heads = of_both(&|call| frame(HEADERS, END_HEADERS, call, &fields(method)));
        let lengths = of_both(&|call| frame(DATA, 0, call, &[0, 0, 0x3f, 0xff, 0xff]));
        let crumbs = of_both(&|call| frame(DATA, 0, call, b"x")).repeat(10_000);
        socket
            .write_all(&[heads, lengths, crumbs].concat())
            .await
            .unwrap();
        while !next_frame(&mut socket).await.is_end() {}
    }
    server.is_well().await;
    server.stop().await;
}

/// A frame a message, and tens of thousands of them before the first answer is read: nothing is wrong with that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn short_messages_of_a_peer_that_is_merely_fast() {
    const MESSAGES: usize = 50_000;
    let server = Running::start(ServerOptions::default()).await;
    let mut socket = hello(server.addr).await;
    // Before the server has said so, its windows are smaller.
    while next_frame(&mut socket).await.kind != WINDOW_UPDATE {}
    let message = frames::message(&ProduceRequest {
        topic: "t".into(),
        records: vec![Default::default()],
        ..Default::default()
    });
    let head = frame(HEADERS, END_HEADERS, 1, &fields(PRODUCE));
    let messages = frame(DATA, 0, 1, &message).repeat(MESSAGES);
    socket.write_all(&[head, messages].concat()).await.unwrap();
    let (mut answers, mut said) = (0, Vec::new());
    while answers < MESSAGES {
        let answer = next_frame(&mut socket).await;
        assert_eq!(answer.goaway(), None, "after {answers}");
        assert!(!answer.is_end(), "after {answers}");
        if answer.kind != DATA {
            continue;
        }
        said.extend_from_slice(&answer.payload);
        while let Some(&[_, a, b, c, d]) = said.first_chunk() {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            if said.len() < 5 + length {
                break;
            }
            said.drain(..5 + length);
            answers += 1;
        }
        let read = u32::try_from(answer.payload.len()).unwrap();
        let more = frame(WINDOW_UPDATE, 0, 1, &read.to_be_bytes());
        socket.write_all(&more).await.unwrap();
    }
    server.stop().await;
}

/// Questions that must be answered, from one who reads no answers: the server stops reading instead of keeping them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_whose_answers_are_never_read() {
    for question in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, b"")] {
        let mut options = ServerOptions::default();
        options.limits.keepalive_interval = Duration::from_millis(100);
        options.limits.keepalive_timeout = Duration::from_millis(400);
        let server = Running::start(options).await;
        let mut socket = hello(server.addr).await;
        let flood = question.repeat(1_000);
        let cut = async { while socket.write_all(&flood).await.is_ok() {} };
        timeout(PATIENCE, cut)
            .await
            .expect("the server notices that nothing it says arrives");
        server.is_well().await;
        server.stop().await;
    }
}

/// A peer that grants one byte at a time, then none, gets its answers at that pace, and is no burden to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_of_one_byte() {
    const STREAMS: u32 = 100;
    let mut options = ServerOptions::default();
    options.write_stall_timeout = Duration::from_millis(200);
    let server = Running::start(options).await;
    let client = server.client().await;
    let producer = client.producer("t").build();
    for _ in 0..1_000 {
        producer
            .enqueue(&Record::new(vec![1; 10_000]))
            .await
            .unwrap();
    }
    producer.close().await.unwrap();
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    socket.write_all(&frames::hello(1)).await.unwrap();
    let follow = SubscribeRequest {
        topics: vec![TopicStart {
            topic: "t".into(),
            start: Some(Start::Earliest(true)),
            ..Default::default()
        }],
        ..Default::default()
    };
    for n in 0..STREAMS {
        let call = frames::call(stream(n), SUBSCRIBE, &follow);
        socket.write_all(&call).await.unwrap();
    }
    let ended = async {
        // Each stream is reset once it has stalled for twice the time.
        let mut resets = 0;
        while resets < STREAMS {
            resets += u32::from(next_frame(&mut socket).await.kind == RST_STREAM);
        }
    };
    timeout(PATIENCE, ended)
        .await
        .expect("the stalled are ended");
    assert!(server.broker.subscriptions().is_empty());
    server.is_well().await;
    server.stop().await;
}
