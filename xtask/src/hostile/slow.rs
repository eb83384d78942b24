//! Attacks by patience: peers that take little of the server's work and as much of its room as they can, for as long as they can.

use super::{
    attack::End,
    frames::{self, *},
    healthy,
};
use footman_broker_grpc::proto::{SubscribeRequest, TopicStart, topic_start::Start};
use std::{convert::Infallible, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

const STREAMS: u32 = 512;
/// What one of them is made to hold: all of a message but its last byte.
const UNFINISHED_BYTES: usize = 4 * 1024 * 1024 - 1;
/// A frame's worth that every server takes.
const PIECE: usize = 16 * 1024;

/// How long those who are many wait before they come again.
const A_WHILE: Duration = Duration::from_secs(1);

/// A subscription to what the healthy peer produces, from the oldest record on.
pub(super) fn follow() -> SubscribeRequest {
    let topic = TopicStart {
        topic: healthy::TOPIC.to_owned(),
        start: Some(Start::Earliest(true)),
        ..TopicStart::default()
    };
    SubscribeRequest {
        topics: vec![topic],
        ..SubscribeRequest::default()
    }
}

/// A hundred subscriptions whose windows are one byte, opened by a byte whenever one came.
pub(super) async fn small_window(to: SocketAddr) -> End {
    const SUBSCRIPTIONS: u32 = 100;
    let mut ended = 0;
    let life = async {
        let mut peer = Peer::connect(to, 1).await?;
        for n in 0..SUBSCRIPTIONS {
            peer.write(&call(stream(n), SUBSCRIBE, &follow())).await?;
        }
        while ended < SUBSCRIPTIONS {
            let frame = peer.next().await?;
            match frame.kind {
                DATA if frame.flags & END_STREAM == 0 => {
                    let more = frames::frame(WINDOW_UPDATE, 0, frame.stream, &1_u32.to_be_bytes());
                    peer.write(&more).await?;
                }
                RST_STREAM => ended += 1,
                _ if frame.flags & END_STREAM != 0 && frame.kind == HEADERS => ended += 1,
                _ => {}
            }
        }
        Err(End::CallsEnded)
    };
    end_of(life.await)
}

/// As many messages as there may be calls, each as large as may be, and none finished; then all the answers that keep the
/// connection alive.
pub(super) async fn unfinished(to: SocketAddr) -> End {
    let life = async {
        let mut peer = Peer::connect(to, FIRST_WINDOW).await?;
        let mut ended = 0;
        let mut window = FIRST_WINDOW as usize;
        let piece = [0; PIECE];
        for n in 0..STREAMS {
            peer.write(&frame(HEADERS, END_HEADERS, stream(n), &fields(PRODUCE)))
                .await?;
            let length = u32::try_from(UNFINISHED_BYTES)
                .expect("4 MiB")
                .to_be_bytes();
            peer.write(&frame(DATA, 0, stream(n), &[&[0], &length[..]].concat()))
                .await?;
            window -= 5;
            let mut left = UNFINISHED_BYTES - 6; // the window of a call is 4 MiB, with the prefix
            while left > 0 {
                while window < PIECE {
                    let frame = peer.next().await?;
                    if frame.stream == 0 {
                        window += frame.increment().unwrap_or(0) as usize;
                    }
                    ended += u32::from(frame.is_end());
                }
                let bytes = left.min(PIECE);
                peer.write(&frame(DATA, 0, stream(n), &piece[..bytes]))
                    .await?;
                window -= bytes;
                left -= bytes;
            }
        }
        while ended < STREAMS {
            ended += u32::from(peer.next().await?.is_end());
        }
        Err(End::CallsEnded)
    };
    end_of(life.await)
}

/// By turns: nothing at all, an HTTP/2 preface, and a request of HTTP/1.1, a byte a second.
pub(super) async fn slowloris(to: SocketAddr, number: usize) -> End {
    let Ok(mut socket) = TcpStream::connect(to).await else {
        return End::Refused;
    };
    let words: &[u8] = match number % 3 {
        0 => b"",
        1 => PREFACE,
        _ => b"GET / HTTP/1.1\r\nhost: localhost\r\n",
    };
    let (mut reading, mut writing) = socket.split();
    let drip = async {
        for byte in words {
            if writing.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    tokio::select! {
        () = drip => {}
        _ = reading.read_to_end(&mut said) => {}
    }
    sleep(A_WHILE).await;
    End::Closed
}

/// A subscriber that is there, and then says nothing ever again: no answer to a PING, no end. The system still takes what is sent
/// to it, as the system of a machine that hangs does.
pub(super) async fn half_open(to: SocketAddr) -> End {
    let life = async {
        let mut socket = TcpStream::connect(to).await?;
        socket.write_all(&hello(LARGEST_WINDOW)).await?;
        let mut request = follow();
        request.topics[0].topic = "idle".to_owned();
        socket.write_all(&call(1, SUBSCRIBE, &request)).await?;
        let mut room = [0; 4_096];
        while socket.read(&mut room).await? > 0 {}
        Err(End::Closed)
    };
    let end = end_of(life.await);
    sleep(A_WHILE).await;
    end
}

/// A life ends in one way only: by its error.
fn end_of(life: Result<Infallible, End>) -> End {
    match life {
        Err(end) => end,
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            _ => Self::Closed,
        }
    }
}

/// A connection that keeps itself alive.
struct Peer {
    socket: TcpStream,
    incoming: Incoming,
    room: Vec<u8>,
}

impl Peer {
    async fn connect(to: SocketAddr, stream_window: u32) -> Result<Peer, End> {
        let mut socket = TcpStream::connect(to).await?;
        socket.write_all(&hello(stream_window)).await?;
        Ok(Peer {
            socket,
            incoming: Incoming::default(),
            room: vec![0; 64 * 1024],
        })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        Ok(self.socket.write_all(bytes).await?)
    }

    /// The next frame. PINGs are answered.
    async fn next(&mut self) -> Result<Frame, End> {
        loop {
            while let Some(frame) = self.incoming.next() {
                if let Some(code) = frame.goaway() {
                    return Err(End::GoAway(code));
                }
                if frame.kind == PING && frame.flags & ACK == 0 {
                    self.socket
                        .write_all(&frames::frame(PING, ACK, 0, &frame.payload))
                        .await?;
                    continue;
                }
                return Ok(frame);
            }
            let count = self.socket.read(&mut self.room).await?;
            if count == 0 {
                return Err(End::Closed);
            }
            self.incoming.take(&self.room[..count]);
        }
    }
}
