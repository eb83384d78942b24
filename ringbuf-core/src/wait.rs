//! Waiting for a record: who sleeps, and who wakes them. The same for readers of both rings.
//!
//! A ring that was not made [`with_waiting`](crate::RingOptions::with_waiting) has no list, and pays
//! a look at a word that never changes; its readers' waits are polling.
//!
//! # Memory ordering
//!
//! | pair        | orders                                                | without it                     |
//! |-------------|-------------------------------------------------------|--------------------------------|
//! | `W1` ↔ `W2` | producer: tail, fence, look at `sleeping`;            | both look before either wrote: |
//! |             | waiter: `sleeping`, fence, look at the tail           | the waiter sleeps on a record  |
//!
//! Both fences are `SeqCst`: in their one order, whichever side comes second sees what the other wrote. The waiter that
//! sees the record does not sleep; the producer that sees the waiter wakes it. The list itself is under its mutex,
//! and wakers are called outside of it: once for each publication, not for each record.

use alloc::sync::Arc as StdArc;
use alloc::task::Wake;
use alloc::vec::{self, Vec};
use core::num::NonZeroU32;
use core::task::{Context, Poll, Waker};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::byte_reader::{ByteReader, ByteRun};
use crate::error::TryReadError;
use crate::reader::Reader;
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::thread::{self, Thread};
use crate::sync::{AtomicUsize, Mutex, fence, pause};
use crate::twin;

/// Looks before a sleep. A scheduler of models learns nothing from more than one.
const SPINS: u32 = if cfg!(shuttle) { 1 } else { 100 };

/// A waiter's place in the list, its own until it is forgotten: small, for each reader has room for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(NonZeroU32);

impl Ticket {
    /// Of the place last added, which made them so many.
    fn last_of(places: usize) -> Self {
        let number = u32::try_from(places).ok().and_then(NonZeroU32::new);
        Self(number.expect("a place was added, and there are fewer than 2^32 waiters"))
    }

    fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[derive(Debug, Default)]
struct Sleepers {
    /// By ticket: who is to be woken.
    places: Vec<Option<Waker>>,
    free: Vec<Ticket>,
    /// How many places have a waker.
    sleeping: usize,
}

/// See the module's header.
#[derive(Debug)]
pub(crate) struct WaitList {
    /// How many wakers there are: what a producer looks at.
    sleeping: AtomicUsize,
    sleepers: Mutex<Sleepers>,
}

impl WaitList {
    pub(crate) fn new() -> Self {
        Self {
            sleeping: AtomicUsize::new(0),
            sleepers: Mutex::new(Sleepers::default()),
        }
    }

    /// Wakes all who sleep. After a publication.
    #[inline]
    pub(crate) fn wake_all(&self) {
        if twin::publish_fence() {
            fence(SeqCst); // W1
        }
        if self.sleeping.load(Relaxed) != 0 {
            self.wake_sleepers();
        }
    }

    #[cold]
    fn wake_sleepers(&self) {
        let wakers: Vec<Waker> = self.change(|sleepers| {
            sleepers.sleeping = 0;
            sleepers
                .places
                .iter_mut()
                .filter_map(Option::take)
                .collect()
        });
        Wakers(wakers.into_iter()).wake();
    }

    /// Announces a waiter; it must look at the tail once more before it sleeps.
    fn register(&self, ticket: Option<Ticket>, waker: &Waker) -> Ticket {
        let waker = waker.clone(); // foreign code: outside the mutex
        let (ticket, replaced) = self.change(|sleepers| {
            let ticket = ticket.unwrap_or_else(|| {
                sleepers.free.pop().unwrap_or_else(|| {
                    sleepers.places.push(None);
                    Ticket::last_of(sleepers.places.len())
                })
            });
            let replaced = sleepers.places[ticket.place()].replace(waker);
            sleepers.sleeping += usize::from(replaced.is_none());
            (ticket, replaced)
        });
        drop(replaced); // foreign code again
        if twin::waiter_fence() {
            fence(SeqCst); // W2
        }
        ticket
    }

    fn forget(&self, ticket: Ticket) {
        let waker = self.change(|sleepers| {
            sleepers.free.push(ticket);
            let waker = sleepers.places[ticket.place()].take();
            sleepers.sleeping -= usize::from(waker.is_some());
            waker
        });
        drop(waker);
    }

    fn change<R>(&self, change: impl FnOnce(&mut Sleepers) -> R) -> R {
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut sleepers);
        self.sleeping.store(sleepers.sleeping, Relaxed); // ordered by W1 and W2
        result
    }
}

/// Those who are to be woken: all of them, also when one of them panics at it.
struct Wakers(vec::IntoIter<Waker>);

impl Wakers {
    fn wake(&mut self) {
        self.0.by_ref().for_each(Waker::wake);
    }
}

impl Drop for Wakers {
    fn drop(&mut self) {
        self.wake();
    }
}

/// A thread that sleeps, as a waker.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: StdArc<Self>) {
        self.0.unpark();
    }
}

/// A reader, as far as it waits.
pub(crate) trait Waits {
    /// Whether a read would give something else than `Empty`.
    fn is_ready(&self) -> bool;

    /// Keeps no segment any more.
    fn release(&mut self);

    fn waiters(&self) -> Option<&WaitList>;

    fn ticket(&mut self) -> &mut Option<Ticket>;

    /// Announces the reader's waker, unless there is something for it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_ready() {
            return Poll::Ready(());
        }
        self.release();
        let ticket = *self.ticket();
        let Some(waiters) = self.waiters() else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let ticket = waiters.register(ticket, cx.waker());
        *self.ticket() = Some(ticket);
        if twin::recheck() && self.is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Sleeps until there is something, or until the deadline: whether there is.
    fn sleep(&mut self, deadline: Option<Instant>) -> bool {
        let mut turns = 0;
        let mut waker = None;
        loop {
            if self.is_ready() {
                return true;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            if turns < SPINS || self.waiters().is_none() {
                pause(&mut turns);
                if turns == 100 {
                    self.release(); // idle from here on
                }
                continue;
            }
            let waker =
                waker.get_or_insert_with(|| Waker::from(StdArc::new(Sleeper(thread::current()))));
            if self.poll(&mut Context::from_waker(waker)).is_pending() {
                match left {
                    Some(left) => thread::park_timeout(left),
                    None => thread::park(),
                }
            }
        }
    }

    /// Before the reader goes.
    fn forget_ticket(&mut self) {
        if let Some(ticket) = self.ticket().take()
            && let Some(waiters) = self.waiters()
        {
            waiters.forget(ticket);
        }
    }
}

impl<T: Send + Sync> Reader<T> {
    /// Waits in an async way until a read gives something else than [`Empty`](TryReadError::Empty): the hook for
    /// futures and streams.
    ///
    /// When it is pending, the waker is called after the next publication, or when the ring is
    /// closed. Each reader has one waker: the latest. On a ring that was not made
    /// [`with_waiting`](crate::RingOptions::with_waiting) the waker is called at once: the task polls.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx)
    }

    /// Waits until a read gives something else than [`Empty`](TryReadError::Empty). Spins for a
    /// moment, then sleeps; on a ring that was not made [`with_waiting`](crate::RingOptions::with_waiting) it yields instead.
    ///
    /// ```
    /// let (mut producer, ring) = ringbuf_core::RingOptions::new(100).with_waiting().build()?;
    /// let mut reader = ring.reader(0);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || {
    ///         producer.append(1);
    ///     });
    ///     reader.wait();
    ///     assert_eq!(reader.try_read(), Ok(&1));
    /// });
    /// # Ok::<(), ringbuf_core::InvalidOptions>(())
    /// ```
    pub fn wait(&mut self) {
        self.sleep(None);
    }

    /// [Waits](Self::wait), but not longer than `timeout`: whether a read gives something now.
    pub fn wait_timeout(&mut self, timeout: Duration) -> bool {
        self.sleep(Instant::now().checked_add(timeout))
    }

    /// [Waits](Self::wait), but not beyond `deadline`: whether a read gives something now.
    pub fn wait_deadline(&mut self, deadline: Instant) -> bool {
        self.sleep(Some(deadline))
    }

    /// Waits for the next record, and reads it.
    ///
    /// # Errors
    /// Records were lost, or the ring has ended; never [`Empty`](TryReadError::Empty).
    pub fn read(&mut self) -> Result<&T, TryReadError> {
        self.wait();
        self.try_read()
    }

    /// [Reads](Self::read), but does not wait longer than `timeout`.
    ///
    /// # Errors
    /// Records were lost, the ring has ended, or (`Empty`) the time was over.
    pub fn read_timeout(&mut self, timeout: Duration) -> Result<&T, TryReadError> {
        self.wait_timeout(timeout);
        self.try_read()
    }
}

impl ByteReader {
    /// Waits in an async way until a read gives something else than [`Empty`](TryReadError::Empty): the hook for
    /// futures and streams.
    ///
    /// When it is pending, the waker is called after the next publication, or when the ring is
    /// closed. Each reader has one waker: the latest. On a ring that was not made
    /// [`with_waiting`](crate::ByteRingOptions::with_waiting) the waker is called at once: the task polls.
    ///
    /// ```
    /// use ringbuf_core::{ByteRing, ByteRingOptions};
    /// use std::{future::poll_fn, pin::pin};
    /// # use std::{future::Future as _, task::{Context, Poll, Waker}};
    ///
    /// let (mut producer, ring) = ByteRing::new(ByteRingOptions::new().with_waiting())?;
    /// let mut reader = ring.reader(0);
    /// let mut ready = pin!(poll_fn(|cx| reader.poll_ready(cx)));
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// assert_eq!(ready.as_mut().poll(&mut cx), Poll::Pending);
    /// producer.append(b"a record");
    /// assert_eq!(ready.poll(&mut cx), Poll::Ready(()));
    /// assert_eq!(reader.try_read(1, 100)?.bytes(), b"a record");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx)
    }

    /// Waits until a read gives something else than [`Empty`](TryReadError::Empty). Spins for a moment, then
    /// sleeps; on a ring that was not made [`with_waiting`](crate::ByteRingOptions::with_waiting) it yields instead.
    pub fn wait(&mut self) {
        self.sleep(None);
    }

    /// [Waits](Self::wait), but not longer than `timeout`: whether a read gives something now.
    pub fn wait_timeout(&mut self, timeout: Duration) -> bool {
        self.sleep(Instant::now().checked_add(timeout))
    }

    /// [Waits](Self::wait), but not beyond `deadline`: whether a read gives something now.
    pub fn wait_deadline(&mut self, deadline: Instant) -> bool {
        self.sleep(Some(deadline))
    }

    /// Waits for the next record, and [reads](Self::try_read) it, with those behind it.
    ///
    /// # Errors
    /// Records were lost, or the ring has ended; never [`Empty`](TryReadError::Empty).
    ///
    /// ```
    /// use ringbuf_core::{ByteRing, ByteRingOptions, TryReadError};
    ///
    /// let (mut producer, ring) = ByteRing::new(ByteRingOptions::new().with_waiting())?;
    /// let reading = std::thread::spawn({
    ///     let mut reader = ring.reader(0);
    ///     move || {
    ///         let mut bytes = Vec::new();
    ///         loop {
    ///             match reader.read(100, 4_096) {
    ///                 Ok(run) => bytes.extend_from_slice(run.bytes()),
    ///                 Err(end) => return (bytes, end),
    ///             }
    ///         }
    ///     }
    /// });
    /// producer.append(b"one ");
    /// producer.append(b"two");
    /// drop(producer);
    /// assert_eq!(reading.join().unwrap(), (b"one two".to_vec(), TryReadError::Closed));
    /// # Ok::<(), ringbuf_core::InvalidOptions>(())
    /// ```
    pub fn read(
        &mut self,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<ByteRun<'_>, TryReadError> {
        self.wait();
        self.try_read(max_records, max_bytes)
    }

    /// [Reads](Self::read), but does not wait longer than `timeout`.
    ///
    /// # Errors
    /// Records were lost, the ring has ended, or (`Empty`) the time was over.
    pub fn read_timeout(
        &mut self,
        max_records: usize,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<ByteRun<'_>, TryReadError> {
        self.wait_timeout(timeout);
        self.try_read(max_records, max_bytes)
    }
}
