//! One connection: TLS and the peer's first words under a deadline, then HTTP until either side has enough.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::cork::{CorkedConnection, Uncork, cork};
use crate::frame_walk::FrameWalk;
use crate::server::calls::{CallExecutor, CallTask};
use crate::server::greetings::Greeting;
use crate::server::limits::Limits;
use crate::server::listen::Accepted;
use crate::server::router::Router;
use crate::server::state::State;
use crate::socket::Socket;
use crate::tls::ServerTls;

/// What every HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The head of an HTTP/2 frame: length (3), type, flags, stream (4).
const FRAME_HEAD: usize = 9;
const SETTINGS: u8 = 4;

/// The most that a first SETTINGS frame may have; there are about ten settings of 6 bytes.
const MAX_SETTINGS_BYTES: usize = 1_024;

/// What a peer said first, to be read again.
#[derive(Debug)]
enum Hello {
    Http2(Vec<u8>),
    /// Anything else: HTTP/1.1 will see what it is.
    Other(Vec<u8>),
}

/// Serves one connection until it ends; after `drain` says true, until its calls have ended.
pub(crate) async fn serve(
    socket: Accepted,
    tls: Option<ServerTls>,
    state: Arc<State>,
    router: Router,
    drain: watch::Receiver<bool>,
    mut greeting: Greeting,
) {
    // In memory of its own, which is given back: many connections outlive it by far.
    let greet = Box::pin(greet(socket, tls, &state.limits));
    let hello = tokio::select! {
        hello = timeout(state.limits.handshake_timeout, greet) => hello,
        _ = &mut greeting.given_away => {
            tracing::debug!("connection closed: no HTTP yet, and no place left");
            return;
        }
    };
    let Some(_place) = greeting.end() else {
        return;
    };
    match hello {
        // In memory of its own: peers that say nothing may be many, and are to cost little.
        Ok(Ok((socket, Hello::Http2(hello)))) => {
            Box::pin(serve_http2(socket, hello, &state, router, drain)).await;
        }
        Ok(Ok((socket, Hello::Other(hello)))) => {
            // One call at a time, so the connection stands for it: the watchdog that ends the one closes the other.
            let calls = Arc::clone(&state.calls);
            let connection =
                async move { serve_http1(socket, hello, &state.limits, router, drain).await };
            CallTask::new(calls, connection).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "connection closed: no HTTP"),
        Err(_) => tracing::debug!("connection closed: no HTTP in time"),
    }
}

/// Takes a connection over, and reads what its peer says first.
async fn greet(
    socket: Accepted,
    tls: Option<ServerTls>,
    limits: &Limits,
) -> io::Result<(Socket, Hello)> {
    let socket = socket.into_socket()?;
    if let Err(error) = tune(&socket, limits) {
        tracing::debug!(%error, "cannot set a socket's options");
    }
    let mut socket = encrypt(socket, tls).await?;
    let hello = read_hello(&mut socket, limits.http1_head_bytes()).await?;
    Ok((socket, hello))
}

async fn serve_http2(
    socket: Socket,
    hello: Vec<u8>,
    state: &State,
    router: Router,
    drain: watch::Receiver<bool>,
) {
    let frames = FrameWalk::after(PREFACE.len());
    let (io, uncork) = cork(socket, hello, Some(frames), state.limits.stall());
    let connection = {
        let mut builder = http2::Builder::new(CallExecutor(Arc::clone(&state.calls)));
        state.limits.apply(&mut builder);
        Box::pin(builder.serve_connection(TokioIo::new(io), router))
    };
    drive(
        connection,
        uncork,
        http2::Connection::graceful_shutdown,
        drain,
    )
    .await;
}

async fn serve_http1(
    socket: Socket,
    hello: Vec<u8>,
    limits: &Limits,
    router: Router,
    drain: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    limits.apply_http1(&mut builder);
    let (io, uncork) = cork(socket, hello, None, limits.stall());
    let connection = Box::pin(builder.serve_connection(TokioIo::new(io), router));
    drive(
        connection,
        uncork,
        http1::Connection::graceful_shutdown,
        drain,
    )
    .await;
}

/// Drives a connection until it ends; once the server drains, until it has ended well and its peer has closed too.
async fn drive<C>(
    connection: Pin<Box<C>>,
    uncork: Uncork<Socket>,
    begin_end: fn(Pin<&mut C>),
    mut drain: watch::Receiver<bool>,
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = CorkedConnection::new(connection, uncork);
    let result = tokio::select! {
        biased;
        result = &mut connection => result,
        () = begin(&mut drain) => {
            begin_end(connection.connection().as_mut());
            let result = (&mut connection).await;
            connection.part().await;
            result
        }
    };
    if let Some(Err(error)) = result {
        tracing::debug!(%error, "connection closed");
    }
}

fn tune(socket: &Socket, limits: &Limits) -> io::Result<()> {
    match socket {
        Socket::Tcp(socket) => tune_tcp(socket, limits),
        _ => Ok(()),
    }
}

fn tune_tcp(socket: &TcpStream, limits: &Limits) -> io::Result<()> {
    socket.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    socket2::SockRef::from(socket).set_tcp_notsent_lowat(limits.unsent_bytes)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = limits;
    Ok(())
}

/// TLS, where it is asked for.
async fn encrypt(socket: Socket, tls: Option<ServerTls>) -> io::Result<Socket> {
    match (socket, tls) {
        (Socket::Tcp(socket), Some(tls)) => {
            let socket = Box::pin(tls.acceptor().accept(socket)).await?;
            Ok(Socket::Tls(Box::new(socket.into())))
        }
        (socket, _) => Ok(socket),
    }
}

/// Waits for the drain to begin; a server that is gone counts as one.
async fn begin(drain: &mut watch::Receiver<bool>) {
    let _ = drain.wait_for(|is_draining| *is_draining).await;
}

/// Reads until it is clear what the peer speaks: of HTTP/2 the preface and the first SETTINGS frame, of what may become HTTP/1.1 the
/// whole head of the first request. Until then a peer costs no more than it has sent.
async fn read_hello(
    socket: &mut (impl AsyncRead + Unpin),
    max_head_bytes: usize,
) -> io::Result<Hello> {
    let mut hello = Vec::with_capacity(PREFACE.len());
    while hello.len() < PREFACE.len() {
        read_some(socket, &mut hello, PREFACE.len()).await?;
        if !PREFACE.starts_with(&hello) {
            read_head(socket, &mut hello, max_head_bytes).await?;
            return Ok(Hello::Other(hello));
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
    Ok(Hello::Http2(hello))
}

/// Reads on until there is an empty line, unless there is none to come: no method begins so, or there is too much before it.
async fn read_head(
    socket: &mut (impl AsyncRead + Unpin),
    head: &mut Vec<u8>,
    max_bytes: usize,
) -> io::Result<()> {
    let mut seen = 0;
    while head.first().is_some_and(u8::is_ascii_alphabetic) && head.len() < max_bytes {
        let rest = head.get(seen..).unwrap_or_default();
        if rest.windows(4).any(|end| end == b"\r\n\r\n") {
            break;
        }
        seen = head.len().saturating_sub(3);
        read_some(socket, head, max_bytes).await?;
    }
    Ok(())
}

/// Reads what there is, up to so many bytes in all.
async fn read_some(
    socket: &mut (impl AsyncRead + Unpin),
    to: &mut Vec<u8>,
    most: usize,
) -> io::Result<()> {
    let room = most.saturating_sub(to.len());
    let mut socket = socket.take(u64::try_from(room).unwrap_or(u64::MAX));
    match socket.read_buf(to).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_socket_holds_as_much_unsent_as_it_may() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let limits = Limits {
            unsent_bytes: 54_321,
            ..Limits::default()
        };
        tune_tcp(&socket, &limits).unwrap();
        let unsent = socket2::SockRef::from(&socket).tcp_notsent_lowat();
        assert_eq!(unsent.unwrap(), 54_321);
        assert!(socket.nodelay().unwrap());
    }
}
