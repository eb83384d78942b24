//! Attacks by many frames: each as fast as the socket takes them, until the server has enough.

use super::{attack::End, frames::*};
use footman_broker_grpc::proto::{ProduceRequest, Record};
use std::{net::SocketAddr, pin::pin, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// How long after the socket has broken the server's last words may still come.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The error code that resets a call which is not wanted any more.
const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

pub(super) async fn rapid_reset(to: SocketAddr) -> End {
    let block = fields(PRODUCE);
    flood(to, |wave| {
        let of_wave = wave * 50..(wave + 1) * 50;
        let call = |n| {
            [
                frame(HEADERS, END_HEADERS, stream(n), &block),
                frame(RST_STREAM, 0, stream(n), &CANCEL),
            ]
            .concat()
        };
        of_wave.flat_map(call).collect()
    })
    .await
}

pub(super) async fn continuation(to: SocketAddr) -> End {
    let field = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let rest = frame(CONTINUATION, 0, 1, &field.repeat(100));
    flood(to, |wave| match wave {
        0 => frame(HEADERS, 0, 1, &fields(PRODUCE)),
        _ => rest.clone(),
    })
    .await
}

/// A field of 4 000 bytes is put into the server's table, and then named thousands of times in each call.
pub(super) async fn hpack(to: SocketAddr) -> End {
    let mut first = fields(PRODUCE);
    first.extend_from_slice(&[0x40, 1, b'x', 127, 0xa1, 0x1e]); // indexed from now on, of 127 + 33 + 30 * 128 bytes
    first.extend_from_slice(&[b'y'; 127 + 33 + 30 * 128]);
    let again = [fields(PRODUCE), vec![0x80 | 62; 8_000]].concat();
    flood(to, |wave| {
        let block = if wave == 0 { &first } else { &again };
        frame(HEADERS, END_HEADERS, stream(wave), block)
    })
    .await
}

pub(super) async fn empty_data(to: SocketAddr) -> End {
    let nothing = frame(DATA, 0, 1, b"").repeat(1_000);
    flood(to, |wave| match wave {
        // A unary call: nobody reads what comes after its one message.
        0 => frame(HEADERS, END_HEADERS, 1, &fields(PRODUCE_BATCH)),
        _ => nothing.clone(),
    })
    .await
}

/// Calls that are given up as soon as the server has ended one.
pub(super) async fn tiny_data(to: SocketAddr) -> End {
    let (first, again) = crumbs();
    let wave = |wave| if wave == 0 { &first } else { &again }.clone();
    flood_until(to, wave, Frame::is_end).await
}

pub(super) async fn tiny_data_unread(to: SocketAddr) -> End {
    let (first, again) = crumbs();
    flood_unread(to, &first, &again).await
}

pub(super) async fn tiny_messages(to: SocketAddr) -> End {
    let (first, again) = messages(1, 0, 1);
    flood(to, |wave| if wave == 0 { &first } else { &again }.clone()).await
}

pub(super) async fn tiny_messages_unread(to: SocketAddr) -> End {
    let (first, again) = messages(1, 0, 1);
    flood_unread(to, &first, &again).await
}

/// Frames of 171 bytes are those of which most may wait: of shorter ones h2 allows fewer, of longer ones the window does.
pub(super) async fn scattered_unread(to: SocketAddr) -> End {
    let (first, again) = messages(16, 154, 171);
    flood_unread(to, &first, &again).await
}

/// A call, and a message of 4 MiB a byte a frame.
fn crumbs() -> (Vec<u8>, Vec<u8>) {
    let head = frame(HEADERS, END_HEADERS, 1, &fields(PRODUCE));
    let length = frame(DATA, 0, 1, &[0, 0, 0x3f, 0xff, 0xff]);
    let bytes = frame(DATA, 0, 1, b"x").repeat(1_000);
    ([head, length].concat(), bytes)
}

/// So many calls, and again and again a message of each with a record of so many bytes: a piece a frame, by turns.
fn messages(calls: u32, value_bytes: usize, piece: usize) -> (Vec<u8>, Vec<u8>) {
    let record = Record {
        value: vec![b'x'; value_bytes].into(),
        ..Record::default()
    };
    let message = message(&ProduceRequest {
        topic: "tiny".to_owned(),
        records: vec![record],
        ..ProduceRequest::default()
    });
    let begin = |n| frame(HEADERS, END_HEADERS, stream(n), &fields(PRODUCE));
    let pieces = message
        .chunks(piece)
        .flat_map(|piece| (0..calls).flat_map(move |n| frame(DATA, 0, stream(n), piece)));
    let pieces: Vec<_> = pieces.collect();
    ((0..calls).flat_map(begin).collect(), pieces.repeat(100))
}

pub(super) async fn ping(to: SocketAddr) -> End {
    let questions = frame(PING, 0, 0, &[7; 8]).repeat(1_000);
    flood(to, |_| questions.clone()).await
}

pub(super) async fn ping_unread(to: SocketAddr) -> End {
    flood_unread(to, b"", &frame(PING, 0, 0, &[7; 8]).repeat(1_000)).await
}

pub(super) async fn settings(to: SocketAddr) -> End {
    let questions = frame(SETTINGS, 0, 0, b"").repeat(1_000);
    flood(to, |_| questions.clone()).await
}

pub(super) async fn settings_unread(to: SocketAddr) -> End {
    flood_unread(to, b"", &frame(SETTINGS, 0, 0, b"").repeat(1_000)).await
}

/// Sends wave after wave and reads what comes, until the server closes.
async fn flood(to: SocketAddr, wave: impl FnMut(u32) -> Vec<u8>) -> End {
    flood_until(to, wave, |_| false).await
}

/// The same, or until a frame comes that is the end.
async fn flood_until(
    to: SocketAddr,
    mut wave: impl FnMut(u32) -> Vec<u8>,
    is_end: impl Fn(&Frame) -> bool,
) -> End {
    let Ok(mut socket) = TcpStream::connect(to).await else {
        return End::Refused;
    };
    let (mut reading, mut writing) = socket.split();
    let writes = async {
        // Its window is never what stops it.
        let mut next = hello(LARGEST_WINDOW);
        for n in 0.. {
            if writing.write_all(&next).await.is_err() {
                return;
            }
            next = wave(n);
        }
    };
    let mut reads = pin!(async {
        let (mut room, mut incoming) = (vec![0; 64 * 1024], Incoming::default());
        loop {
            match reading.read(&mut room).await {
                Ok(0) | Err(_) => return End::Closed,
                Ok(count) => incoming.take(&room[..count]),
            }
            while let Some(frame) = incoming.next() {
                if let Some(code) = frame.goaway() {
                    return End::GoAway(code);
                }
                if is_end(&frame) {
                    return End::CallsEnded;
                }
            }
        }
    });
    tokio::select! {
        end = &mut reads => return end,
        () = writes => {}
    }
    timeout(LAST_WORDS, reads).await.unwrap_or(End::Closed)
}

/// Sends the same again and again, and reads no answer.
async fn flood_unread(to: SocketAddr, first: &[u8], again: &[u8]) -> End {
    let Ok(mut socket) = TcpStream::connect(to).await else {
        return End::Refused;
    };
    let begin = [&hello(FIRST_WINDOW), first].concat();
    let mut next = socket.write_all(&begin).await;
    while next.is_ok() {
        next = socket.write_all(again).await;
    }
    End::Closed
}
