//! HTTP/2 used as a weapon, frame by frame: the one who does it is cut off or held back, and nobody else is harmed.

mod harness;

use std::time::Duration;

use footman_broker::Record;
use footman_broker_grpc::ServerOptions;
use harness::{PATIENCE, Running};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 4;

/// The error code of a peer that asks for too much.
const ENHANCE_YOUR_CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The headers of a call of `method`, spelled out, as HPACK allows.
fn headers(method: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", method),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

const PRODUCE: &str = "/footman.v1.Broker/Produce";

/// A connection whose peer has said hello, and that is written to and read from at once.
struct Attack {
    socket: TcpStream,
}

impl Attack {
    async fn begin(server: &Running, settings: &[u8]) -> Attack {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        socket
            .write_all(&frame(SETTINGS, 0, 0, settings))
            .await
            .unwrap();
        Attack { socket }
    }

    /// Sends `wave(n)` for growing n until the server closes; returns the error code that it gave as its reason.
    async fn until_cut(mut self, waves: u32, wave: impl Fn(u32) -> Vec<u8>) -> Option<u32> {
        let (mut reading, mut writing) = self.socket.split();
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
        goaway(&said)
    }
}

/// The error code of the first GOAWAY in what a server said, unless it is a polite one.
fn goaway(mut said: &[u8]) -> Option<u32> {
    while let Some((head, rest)) = said.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = rest.get(..length)?;
        if head[3] == GOAWAY {
            let code = u32::from_be_bytes(payload[4..8].try_into().unwrap());
            return Some(code);
        }
        said = &rest[length..];
    }
    None
}

async fn is_well(server: &Running) {
    let client = server.client().await;
    let producer = client.producer("t").build();
    timeout(PATIENCE, producer.send(&Record::new("v")))
        .await
        .expect("the healthy are served")
        .unwrap();
}

fn stream(n: u32) -> u32 {
    2 * n + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_as_soon_as_they_are_opened() {
    let server = Running::start(ServerOptions::default()).await;
    let block = headers(PRODUCE);
    let attack = Attack::begin(&server, b"").await;
    let code = attack
        .until_cut(1_000_000, |n| {
            let mut wave = frame(HEADERS, END_HEADERS, stream(n), &block);
            wave.extend(frame(RST_STREAM, 0, stream(n), &8_u32.to_be_bytes()));
            wave
        })
        .await;
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_never_end() {
    let server = Running::start(ServerOptions::default()).await;
    // A field that says nothing, without end.
    let field = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let attack = Attack::begin(&server, b"").await;
    let code = attack
        .until_cut(100_000, |n| match n {
            0 => frame(HEADERS, 0, 1, &headers(PRODUCE)),
            _ => frame(CONTINUATION, 0, 1, &field.repeat(10)),
        })
        .await;
    assert!(code.is_none_or(|code| code != 0), "{code:?}");
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_with_nothing_in_them() {
    let server = Running::start(ServerOptions::default()).await;
    let attack = Attack::begin(&server, b"").await;
    let code = attack
        .until_cut(5_000_000, |n| match n {
            // A unary call: nobody reads what comes after its one message.
            0 => frame(
                HEADERS,
                END_HEADERS,
                1,
                &headers("/footman.v1.Broker/ProduceBatch"),
            ),
            _ => frame(DATA, 0, 1, b"").repeat(64),
        })
        .await;
    assert!(code.is_none_or(|code| code != 0), "{code:?}");
    is_well(&server).await;
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
        let mut attack = Attack::begin(&server, b"").await;
        let flood = question.repeat(1_000);
        let cut = async { while attack.socket.write_all(&flood).await.is_ok() {} };
        timeout(PATIENCE, cut)
            .await
            .expect("the server notices that nothing it says arrives");
        is_well(&server).await;
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
    // SETTINGS_INITIAL_WINDOW_SIZE = 1.
    let mut attack = Attack::begin(&server, &[0, 4, 0, 0, 0, 1]).await;
    // Subscribe to "t" from the earliest.
    let topic = [0x0a, 5, 0x0a, 1, b't', 0x10, 1];
    let request = [&[0, 0, 0, 0, topic.len() as u8], &topic[..]].concat();
    for n in 0..STREAMS {
        let block = headers("/footman.v1.Broker/Subscribe");
        let mut call = frame(HEADERS, END_HEADERS, stream(n), &block);
        call.extend(frame(DATA, 1, stream(n), &request));
        attack.socket.write_all(&call).await.unwrap();
    }
    let mut said = vec![0; 64 * 1024];
    let ended = async {
        // Each stream is reset once it has stalled for twice the time.
        let (mut resets, mut pending) = (0, Vec::new());
        while resets < STREAMS {
            let count = attack.socket.read(&mut said).await.unwrap();
            assert_ne!(count, 0, "the connection itself is not at fault");
            pending.extend_from_slice(&said[..count]);
            while let Some(head) = pending.first_chunk::<9>() {
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                if pending.len() < 9 + length {
                    break;
                }
                resets += u32::from(head[3] == RST_STREAM);
                pending.drain(..9 + length);
            }
        }
    };
    timeout(PATIENCE, ended)
        .await
        .expect("the stalled are ended");
    assert!(server.broker.subscriptions().is_empty());
    is_well(&server).await;
    server.stop().await;
}
