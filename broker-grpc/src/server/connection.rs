//! One connection: the peer's first words under a deadline, then HTTP/2 until either side has enough.

use std::pin::pin;
use std::sync::Arc;
use std::{io, net};

use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::cork::{CorkedConnection, cork};
use crate::server::calls::CallExecutor;
use crate::server::limits::Limits;
use crate::server::router::Router;
use crate::server::state::{Place, State};

/// What every HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The head of an HTTP/2 frame: length (3), type, flags, stream (4).
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;

/// The most that a first SETTINGS frame may have; there are about ten settings of 6 bytes.
const MAX_SETTINGS_BYTES: usize = 1_024;

/// What anyone else is told.
const NOT_GRPC: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This port speaks gRPC over HTTP/2 without TLS (prior knowledge): see footman/v1/broker.proto.\n";

/// Serves one connection until it ends; after `drain` says true, until its calls have ended.
pub(crate) async fn serve(
    socket: net::TcpStream,
    state: Arc<State>,
    router: Router,
    mut drain: watch::Receiver<bool>,
    _place: Place,
) {
    let mut socket = match TcpStream::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%error, "cannot take a connection over");
            return;
        }
    };
    if let Err(error) = tune(&socket, &state.limits) {
        tracing::debug!(%error, "cannot set a socket's options");
    }
    let hello = match timeout(state.limits.handshake_timeout, read_hello(&mut socket)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(error)) => {
            tracing::debug!(%error, "connection closed: no HTTP/2");
            return;
        }
        Err(_) => {
            tracing::debug!("connection closed: no HTTP/2 preface in time");
            return;
        }
    };
    let mut builder = http2::Builder::new(CallExecutor(Arc::clone(&state.calls)));
    state.limits.apply(&mut builder);
    let (io, uncork) = cork(socket, hello);
    let connection = Box::pin(builder.serve_connection(TokioIo::new(io), router));
    let mut connection = pin!(CorkedConnection::new(connection, uncork));
    let result = tokio::select! {
        biased;
        result = &mut connection => result,
        () = begin(&mut drain) => {
            connection.as_mut().get_mut().connection().as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Some(Err(error)) = result {
        tracing::debug!(%error, "connection closed");
    }
}

fn tune(socket: &TcpStream, limits: &Limits) -> io::Result<()> {
    socket.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(socket).set_tcp_notsent_lowat(limits.unsent_bytes)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = limits;
    Ok(())
}

/// Waits for the drain to begin; a server that is gone counts as one.
async fn begin(drain: &mut watch::Receiver<bool>) {
    let _ = drain.wait_for(|is_draining| *is_draining).await;
}

/// Reads the preface and the first SETTINGS frame, which belong to the connection; answers anything else in words.
async fn read_hello(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut hello = vec![0; PREFACE.len()];
    let mut there = 0;
    while there < PREFACE.len() {
        let room = hello.get_mut(there..).unwrap_or_default();
        let count = socket.read(room).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        there += count;
        if hello.get(..there) != PREFACE.get(..there) {
            socket.write_all(NOT_GRPC).await?;
            socket.shutdown().await?;
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the peer does not speak HTTP/2",
            ));
        }
    }
    let mut head = [0; FRAME_HEAD];
    socket.read_exact(&mut head).await?;
    let [a, b, c, kind, ..] = head;
    let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    if kind != SETTINGS || length > MAX_SETTINGS_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the peer's first frame is not SETTINGS",
        ));
    }
    let mut settings = vec![0; length];
    socket.read_exact(&mut settings).await?;
    hello.extend_from_slice(&head);
    hello.append(&mut settings);
    Ok(hello)
}
