//! A cork around a connection's socket: what HTTP/2 writes in one turn of its task goes out in one write.
//!
//! h2 flushes after every DATA frame, 16 KiB each by default: one system call a frame. [`Corked`] takes the bytes and
//! answers "flushed"; [`CorkedConnection`], which polls the connection, does the real flush at the end of each turn. Bytes never
//! stay behind: whenever the connection's task sleeps, either all was written or the socket wakes it when it can take more.
//!
//! Owned by one connection's task; the lock is there because the two halves are in one future, and is never contended.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that waits for a turn's end. When it is full it goes out at once.
pub(crate) const CORK_BYTES: usize = 64 * 1024;

/// What an idle connection keeps of its buffer.
const IDLE_BYTES: usize = 4 * 1024;

#[derive(Debug)]
struct Cork<S> {
    socket: S,
    /// Read before anything of the socket: what was taken from it before the connection was made.
    head: Vec<u8>,
    buffer: Vec<u8>,
    /// How much of `buffer` has gone out.
    written: usize,
    /// The socket took no more at the end of a turn: until it does, nothing more is taken in.
    is_stuck: bool,
}

impl<S: AsyncWrite + Unpin> Cork<S> {
    /// Writes out all that is held. On an error the connection is over.
    fn poll_uncork(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_stuck = true;
        while let Some(rest) = self
            .buffer
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.is_stuck = false;
        let used = self.buffer.len();
        self.buffer.clear();
        self.written = 0;
        if used < IDLE_BYTES {
            self.buffer.shrink_to(IDLE_BYTES);
        }
        Poll::Ready(Ok(()))
    }

    /// Makes room as a vector does, but never more than there can be.
    fn grow(&mut self, bytes: usize) {
        let needed = self.buffer.len() + bytes;
        if needed > self.buffer.capacity() {
            let capacity = needed.next_power_of_two().min(CORK_BYTES);
            self.buffer.reserve_exact(capacity - self.buffer.len());
        }
    }

    fn poll_put(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_stuck || self.buffer.len() >= CORK_BYTES {
            ready!(self.poll_uncork(cx))?;
        }
        let mut room = CORK_BYTES - self.buffer.len();
        let before = room;
        for part in parts {
            let taken = part.get(..room).unwrap_or(part);
            self.grow(taken.len());
            self.buffer.extend_from_slice(taken);
            room -= taken.len();
        }
        Poll::Ready(Ok(before - room))
    }
}

/// The socket as the HTTP/2 connection sees it.
#[derive(Debug)]
pub(crate) struct Corked<S>(Arc<Mutex<Cork<S>>>);

/// The same socket as the task that drives the connection sees it.
#[derive(Debug)]
pub(crate) struct Uncork<S>(Arc<Mutex<Cork<S>>>);

/// Corks a socket. `head` is read before anything of the socket.
pub(crate) fn cork<S>(socket: S, head: Vec<u8>) -> (Corked<S>, Uncork<S>) {
    let cork = Arc::new(Mutex::new(Cork {
        socket,
        head,
        buffer: Vec::new(),
        written: 0,
        is_stuck: false,
    }));
    (Corked(Arc::clone(&cork)), Uncork(cork))
}

fn lock<S>(cork: &Mutex<Cork<S>>) -> MutexGuard<'_, Cork<S>> {
    cork.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut cork = lock(&self.0);
        if cork.head.is_empty() {
            return Pin::new(&mut cork.socket).poll_read(cx, buf);
        }
        let count = cork.head.len().min(buf.remaining());
        let taken: Vec<u8> = cork.head.drain(..count).collect();
        buf.put_slice(&taken);
        if cork.head.is_empty() {
            cork.head = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        lock(&self.0).poll_put(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        lock(&self.0).poll_put(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Says yes: the flush is done when the turn ends.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut cork = lock(&self.0);
        ready!(cork.poll_uncork(cx))?;
        Pin::new(&mut cork.socket).poll_shutdown(cx)
    }
}

/// A connection and its cork: polls the one, then flushes the other.
#[derive(Debug)]
pub(crate) struct CorkedConnection<C, S> {
    connection: C,
    uncork: Uncork<S>,
}

impl<C, S> CorkedConnection<C, S> {
    pub(crate) fn new(connection: C, uncork: Uncork<S>) -> Self {
        CorkedConnection { connection, uncork }
    }

    #[cfg(feature = "server")]
    pub(crate) fn connection(&mut self) -> &mut C {
        &mut self.connection
    }
}

impl<C, S> Future for CorkedConnection<C, S>
where
    C: Future + Unpin,
    S: AsyncWrite + Unpin,
{
    /// `None`: the socket cannot be written any more.
    type Output = Option<C::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let turn = Pin::new(&mut self.connection).poll(cx);
        match lock(&self.uncork.0).poll_uncork(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(None),
            Poll::Ready(Ok(())) | Poll::Pending => turn.map(Some),
        }
    }
}
