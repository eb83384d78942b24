//! A cork around a connection's socket: what HTTP/2 writes in one turn of its task goes out in one write, and what the peer
//! sent comes in with one read.
//!
//! h2 flushes after every DATA frame, 16 KiB each by default: one system call a frame. [`Corked`] takes the bytes and
//! answers "flushed"; [`CorkedConnection`], which polls the connection, does the real flush at the end of each turn. A frame that
//! is worth a system call of its own is written from where it lies. Bytes never stay behind: whenever the connection's task
//! sleeps, either all was written or the socket wakes it when it can take more.
//!
//! h2 reads about a frame at a time too; [`Corked`] reads as much as there is. Both buffers are the thread's: a connection has
//! them for its turn, keeps only what its socket did not take, and holds nothing while there is no traffic.
//!
//! A socket that takes nothing for too long is an error: what is to be said to its peer, that the connection ends among it, would wait
//! forever.
//!
//! Owned by one connection's task; the lock is there because the two halves are in one future, and is never contended.

use std::cell::Cell;
use std::future::Future;
#[cfg(feature = "server")]
use std::future::poll_fn;
use std::io;
use std::iter;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread::LocalKey;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

use crate::frame_walk::FrameWalk;
use crate::stall::StallClock;

/// The most that waits for a turn's end; when it is full it goes out at once. Also the most that is read at once.
pub(crate) const CORK_BYTES: usize = 64 * 1024;

/// A write of so much goes out at once, behind what waits, without a copy: a large DATA frame to a peer that takes such.
const THROUGH_BYTES: usize = CORK_BYTES / 2;

/// Slices of one write: what waits, a frame's head, and what h2 has of its payload.
const SLICES: usize = 8;

/// The most that is read in one turn.
const TURN_BYTES: usize = 2 * CORK_BYTES;

thread_local! {
    /// The thread's buffers, while no connection has them.
    static READ_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITE_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

type Lender = LocalKey<Cell<Vec<u8>>>;

/// A buffer with room for [`CORK_BYTES`].
fn lend(lender: &'static Lender) -> Vec<u8> {
    // No thread-local while the thread ends: then the buffer is a new one.
    let mut buffer = lender.try_with(Cell::take).unwrap_or_default();
    buffer.reserve_exact(CORK_BYTES);
    buffer
}

fn give_back(lender: &'static Lender, mut buffer: Vec<u8>) {
    buffer.clear();
    if buffer.capacity() >= CORK_BYTES {
        let _ = lender.try_with(|kept| kept.set(buffer));
    }
}

#[derive(Debug)]
struct Cork<S> {
    socket: S,
    /// Read before anything of the socket: what was taken from it, and not yet by the connection.
    ahead: Vec<u8>,
    /// How much of `ahead` the connection took.
    taken: usize,
    /// How much of the socket was read in this turn.
    read: usize,
    /// Where the frames that the peer sends are counted.
    frames: Option<FrameWalk>,
    /// To be written. The thread's buffer during a turn; after it no more than the socket did not take.
    buffer: Vec<u8>,
    /// How much of `buffer` has gone out.
    written: usize,
    /// The socket took no more at the end of a turn: until it does, nothing more is taken in.
    is_stuck: bool,
    stall: StallClock,
}

impl<S: AsyncRead + Unpin> Cork<S> {
    fn poll_take(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            if self.read >= TURN_BYTES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            // Into the middle of a long frame, without a copy; what comes after it is another read.
            let payload = self.frames.as_ref().map_or(usize::MAX, FrameWalk::rest);
            if buf.remaining().min(payload) >= CORK_BYTES {
                let before = buf.filled().len();
                let most = u64::try_from(payload).unwrap_or(u64::MAX);
                let socket = &mut (&mut self.socket).take(most);
                ready!(Pin::new(socket).poll_read(cx, buf))?;
                let came = buf.filled().get(before..).unwrap_or_default();
                self.read += came.len();
                self.frames.as_mut().map(|walk| walk.pass(came));
                return Poll::Ready(Ok(()));
            }
            self.ahead = lend(&READ_BUFFER);
            let read = pin!(self.socket.read_buf(&mut self.ahead)).poll(cx);
            if !matches!(read, Poll::Ready(Ok(1..))) {
                give_back(&READ_BUFFER, mem::take(&mut self.ahead));
                return read.map_ok(drop);
            }
            self.read += self.ahead.len();
            if let Some(walk) = &self.frames {
                walk.join(&mut self.ahead);
            }
        }
        let rest = self.ahead.get(self.taken..).unwrap_or_default();
        let now = rest.get(..buf.remaining()).unwrap_or(rest);
        let passed = match &mut self.frames {
            Some(walk) => walk.pass(now),
            None => now.len(),
        };
        if passed == 0 && !now.is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        buf.put_slice(now.get(..passed).unwrap_or_default());
        self.taken += passed;
        if passed == rest.len() {
            self.taken = 0;
            give_back(&READ_BUFFER, mem::take(&mut self.ahead));
        }
        Poll::Ready(Ok(()))
    }

    /// Reads, and forgets it; says how much that was.
    #[cfg(feature = "server")]
    fn poll_drop(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut dropped = lend(&READ_BUFFER);
        let read = pin!(self.socket.read_buf(&mut dropped)).poll(cx);
        give_back(&READ_BUFFER, dropped);
        read
    }
}

impl<S: AsyncWrite + Unpin> Cork<S> {
    /// Writes out all that is held, then says that nothing more comes.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_uncork(cx))?;
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    /// Writes out all that is held. On an error, such as that the socket has taken nothing for too long, the connection is over.
    fn poll_uncork(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let out = self.poll_write_out(cx);
        self.is_stuck = out.is_pending();
        if self.is_stuck {
            let rest = self.buffer.get(self.written..).unwrap_or_default();
            // A copy of most of it would cost those who are merely slow more than it saves.
            if rest.len() <= self.buffer.capacity() / 4 * 3 {
                let rest = rest.to_vec();
                self.written = 0;
                give_back(&WRITE_BUFFER, mem::replace(&mut self.buffer, rest));
            }
            ready!(self.stall.poll_stalled(cx));
            tracing::debug!("connection closed: its peer does not read");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.stall.reset();
        self.written = 0;
        give_back(&WRITE_BUFFER, mem::take(&mut self.buffer));
        out
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .buffer
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            match ready!(Pin::new(&mut self.socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => {
                    self.written += count;
                    self.stall.reset();
                }
            }
        }
        // TLS keeps what its socket did not take.
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    /// Writes what is held and then the parts, as far as the socket takes them; how much of the parts it took, which is not nothing.
    fn poll_write_through(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let held = self.buffer.get(self.written..).unwrap_or_default();
            let mut slices = [io::IoSlice::new(&[]); SLICES];
            let all = iter::once(held).chain(parts.iter().map(|part| &**part));
            let all = all.filter(|slice| !slice.is_empty());
            let mut count = 0;
            for (place, slice) in slices.iter_mut().zip(all) {
                *place = io::IoSlice::new(slice);
                count += 1;
            }
            let slices = slices.get(..count).unwrap_or_default();
            let held = held.len();
            let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.stall.reset();
            if written > held {
                self.buffer.clear();
                self.written = 0;
                return Poll::Ready(Ok(written - held));
            }
            self.written += written;
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
        if parts.iter().map(|part| part.len()).sum::<usize>() >= THROUGH_BYTES {
            let through = self.poll_write_through(cx, parts);
            if through.is_ready() {
                return through;
            }
            // The socket takes no more: what fits is kept, and the turn's end sees to it.
        }
        if self.buffer.capacity() == 0 {
            self.buffer = lend(&WRITE_BUFFER);
        }
        let mut room = CORK_BYTES - self.buffer.len();
        let before = room;
        for part in parts {
            let taken = part.get(..room).unwrap_or(part);
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

/// Corks a socket. `head` is read before anything of the socket; `frames` are counted where the peer is not to be trusted with their
/// number; the connection is over when the socket takes nothing for the time of `stall_limit`.
pub(crate) fn cork<S>(
    socket: S,
    head: Vec<u8>,
    frames: Option<FrameWalk>,
    stall_limit: Duration,
) -> (Corked<S>, Uncork<S>) {
    let cork = Arc::new(Mutex::new(Cork {
        socket,
        ahead: head,
        taken: 0,
        read: 0,
        frames,
        buffer: Vec::new(),
        written: 0,
        is_stuck: false,
        stall: StallClock::new(stall_limit),
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
        lock(&self.0).poll_take(cx, buf)
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
        lock(&self.0).poll_end(cx)
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

#[cfg(feature = "server")]
impl<C, S: AsyncRead + AsyncWrite + Unpin> CorkedConnection<C, S> {
    /// After the connection's end: says that nothing more comes, then takes and drops what the peer still sends, until it closes
    /// its side. A socket that is closed over unread bytes is reset, and the reset overtakes what is on its way to the
    /// peer. As long as the peer likes: the caller sets the limit.
    pub(crate) async fn part(&mut self) {
        let cork = &self.uncork.0;
        let end = poll_fn(|cx| lock(cork).poll_end(cx)).await;
        if end.is_ok() {
            while let Ok(1..) = poll_fn(|cx| lock(cork).poll_drop(cx)).await {}
        }
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
        let mut cork = lock(&self.uncork.0);
        cork.read = 0;
        if let Some(walk) = &mut cork.frames {
            walk.turn();
        }
        match cork.poll_uncork(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(None),
            Poll::Ready(Ok(())) | Poll::Pending => turn.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::{Instant, sleep, timeout};

    use super::*;
    #[cfg(feature = "server")]
    use crate::frame_walk::TURN_FRAMES;

    const LIMIT: Duration = Duration::from_secs(1);
    const BYTES: usize = 100;

    /// A connection that has [`BYTES`] to say to a peer whose socket holds 8, and never ends by itself.
    fn connection() -> (impl Future<Output = Option<()>>, DuplexStream) {
        let (socket, peer) = duplex(8);
        let (mut io, uncork) = cork(socket, Vec::new(), None, LIMIT);
        let talk = async move {
            io.write_all(&[7; BYTES]).await.unwrap();
            pending::<()>().await;
        };
        (CorkedConnection::new(Box::pin(talk), uncork), peer)
    }

    #[tokio::test(start_paused = true)]
    async fn ends_when_its_peer_does_not_read_for_the_limit() {
        let (connection, _peer) = connection();
        let began = Instant::now();
        let end = timeout(LIMIT * 10, connection).await;
        assert_eq!(end.expect("it ends"), None);
        assert_eq!(began.elapsed().as_secs(), LIMIT.as_secs());
    }

    /// What one who reads gets in the first turns, when all of `said` is there.
    #[cfg(feature = "server")]
    async fn turns(said: &[u8], preface: usize, room: usize) -> Vec<usize> {
        let (socket, mut peer) = duplex(said.len());
        peer.write_all(said).await.unwrap();
        let walk = FrameWalk::after(preface);
        let (mut io, uncork) = cork(socket, Vec::new(), Some(walk), LIMIT);
        let turns = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (of_turn, to) = (Arc::clone(&turns), Arc::clone(&heard));
        let reads = poll_fn(move |cx| {
            let mut turn = 0;
            loop {
                let mut bytes = vec![0; room];
                let mut buf = ReadBuf::new(&mut bytes);
                let Poll::Ready(read) = Pin::new(&mut io).poll_read(cx, &mut buf) else {
                    of_turn.lock().unwrap().push(turn);
                    return Poll::Pending;
                };
                read.unwrap();
                if buf.filled().is_empty() {
                    of_turn.lock().unwrap().push(turn);
                    return Poll::Ready(());
                }
                turn += buf.filled().len();
                to.lock().unwrap().extend_from_slice(buf.filled());
            }
        });
        drop(peer);
        CorkedConnection::new(reads, uncork).await;
        assert!(*heard.lock().unwrap() == said, "all of it, and in order");
        mem::take(&mut turns.lock().unwrap())
    }

    #[cfg(feature = "server")]
    #[tokio::test]
    async fn a_turn_takes_so_many_frames_wherever_reads_are_cut() {
        let preface = 24;
        let tiny = [0, 0, 1, 6, 0, 0, 0, 0, 1, b'x'].repeat(3 * TURN_FRAMES);
        let said = [&vec![7; preface], &tiny[..]].concat();
        let whole = 10 * TURN_FRAMES;
        for room in [1, 3, 10, 1_000, 10 * CORK_BYTES] {
            let turns = turns(&said, preface, room).await;
            assert_eq!(turns, [preface + whole, whole, whole], "{room} at once");
        }
    }

    #[cfg(feature = "server")]
    #[tokio::test]
    async fn parts_only_when_its_peer_has_closed_too() {
        let (socket, mut peer) = duplex(8);
        let (mut io, uncork) = cork(socket, Vec::new(), None, LIMIT);
        let talk = async move {
            io.write_all(b"goodbye").await.unwrap();
        };
        let mut connection = CorkedConnection::new(Box::pin(talk), uncork);
        (&mut connection).await;
        let hearing = async {
            peer.write_all(&[7; BYTES]).await.unwrap();
            let mut said = Vec::new();
            peer.read_to_end(&mut said).await.unwrap();
            drop(peer);
            said
        };
        let ((), said) = tokio::join!(connection.part(), hearing);
        assert_eq!(said, b"goodbye");
    }

    #[tokio::test]
    async fn what_goes_out_at_once_goes_behind_what_waits() {
        let lengths = [10, THROUGH_BYTES, 5, 3 * CORK_BYTES, THROUGH_BYTES - 1, 7];
        let said: Vec<Vec<u8>> = (1..)
            .zip(lengths)
            .map(|(byte, length)| vec![byte; length])
            .collect();
        // What the socket holds is less than, as much as, or more than what waits and what comes.
        for room in [7, 10, 1_000, THROUGH_BYTES + 10, 10 * CORK_BYTES] {
            let (socket, mut peer) = duplex(room);
            let (mut io, uncork) = cork(socket, Vec::new(), None, LIMIT);
            let words = said.clone();
            let talk = async move {
                for word in words {
                    io.write_all(&word).await.unwrap();
                }
                io.shutdown().await.unwrap();
            };
            let mut connection = CorkedConnection::new(Box::pin(talk), uncork);
            let mut heard = Vec::new();
            let (end, _) = tokio::join!(&mut connection, peer.read_to_end(&mut heard));
            assert_eq!(end, Some(()), "room for {room}");
            assert!(heard == said.concat(), "room for {room}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lasts_while_its_peer_reads_and_when_it_has_nothing_to_say() {
        let (connection, mut peer) = connection();
        let reading = async {
            let mut said = [0; 8];
            let mut there = 0;
            while there < BYTES {
                sleep(LIMIT * 9 / 10).await;
                there += peer.read(&mut said).await.unwrap();
            }
            sleep(LIMIT * 10).await;
        };
        tokio::select! {
            _ = connection => panic!("it has no reason to end"),
            () = reading => {}
        }
    }
}
