//! Waiting for a record: who sleeps, and who wakes them.
//!
//! A ring that was not made [`with_waiting`](crate::RingOptions::with_waiting) has no list, and pays
//! nothing; its readers' waits are polling.
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
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::error::TryReadError;
use crate::reader::Reader;
use crate::sync::Ordering::{Relaxed, SeqCst};
use crate::sync::thread::{self, Thread};
use crate::sync::{AtomicUsize, Mutex, fence, pause};
use crate::twin;

/// Looks before a sleep. A scheduler of models learns nothing from more than one.
const SPINS: u32 = if cfg!(shuttle) { 1 } else { 100 };

/// A waiter's place in the list, its own until it is forgotten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket(usize);

#[derive(Debug, Default)]
struct Sleepers {
    /// By ticket: who is to be woken.
    places: Vec<Option<Waker>>,
    free: Vec<usize>,
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
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Announces a waiter; it must look at the tail once more before it sleeps.
    fn register(&self, ticket: Option<Ticket>, waker: &Waker) -> Ticket {
        let waker = waker.clone(); // foreign code: outside the mutex
        let (ticket, replaced) = self.change(|sleepers| {
            let Ticket(place) = ticket.unwrap_or_else(|| {
                Ticket(sleepers.free.pop().unwrap_or_else(|| {
                    sleepers.places.push(None);
                    sleepers.places.len() - 1
                }))
            });
            let replaced = sleepers.places[place].replace(waker);
            sleepers.sleeping += usize::from(replaced.is_none());
            (Ticket(place), replaced)
        });
        drop(replaced); // foreign code again
        if twin::waiter_fence() {
            fence(SeqCst); // W2
        }
        ticket
    }

    fn forget(&self, ticket: Ticket) {
        let waker = self.change(|sleepers| {
            sleepers.free.push(ticket.0);
            let waker = sleepers.places[ticket.0].take();
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

/// A thread that sleeps, as a waker.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: StdArc<Self>) {
        self.0.unpark();
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
        if self.is_ready() {
            return Poll::Ready(());
        }
        self.release();
        let Some(waiters) = self.ring().waiters.clone() else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.ticket = Some(waiters.register(self.ticket, cx.waker()));
        if twin::recheck() && self.is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Waits until a read gives something else than [`Empty`](TryReadError::Empty). Spins for a
    /// moment, then sleeps; on a ring that was not made [`with_waiting`](crate::RingOptions::with_waiting) it yields instead.
    pub fn wait(&mut self) {
        self.wait_until(None);
    }

    /// [Waits](Self::wait), but not longer than `timeout`: whether a read gives something now.
    pub fn wait_timeout(&mut self, timeout: Duration) -> bool {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    /// [Waits](Self::wait), but not beyond `deadline`: whether a read gives something now.
    pub fn wait_deadline(&mut self, deadline: Instant) -> bool {
        self.wait_until(Some(deadline))
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

    fn wait_until(&mut self, deadline: Option<Instant>) -> bool {
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
            if turns < SPINS || self.ring().waiters.is_none() {
                pause(&mut turns);
                if turns == 100 {
                    self.release(); // idle from here on
                }
                continue;
            }
            let waker =
                waker.get_or_insert_with(|| Waker::from(StdArc::new(Sleeper(thread::current()))));
            if self
                .poll_ready(&mut Context::from_waker(waker))
                .is_pending()
            {
                match left {
                    Some(left) => thread::park_timeout(left),
                    None => thread::park(),
                }
            }
        }
    }

    pub(crate) fn forget_ticket(&mut self) {
        if let (Some(ticket), Some(waiters)) = (self.ticket.take(), &self.ring().waiters) {
            waiters.forget(ticket);
        }
    }
}
