//! Who waits, and whom to wake: workers that are threads or tasks, and futures by age.
//!
//! Owned by the core, under its lock (C2 to C4 there). Nothing here wakes: it only says whom.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

use crate::oversleep::Oversleep;

/// The workers, as far as waking them goes.
#[derive(Default)]
pub(crate) struct Crew {
    /// Workers that have not ended.
    pub(crate) alive: usize,
    /// Threads asleep on `work`.
    pub(crate) idle: usize,
    /// Workers called that have not looked yet (C2).
    pub(crate) called: usize,
    /// A worker is awake and will look again before it sleeps.
    pub(crate) spinning: bool,
    /// The earliest moment at which an idle thread wakes up by itself (C4).
    pub(crate) armed: Option<Instant>,
    /// How much later than asked for idle threads wake up.
    pub(crate) oversleep: Oversleep,
    /// Workers that are tasks, by number.
    pub(crate) tasks: Vec<Seat>,
}

/// A task that works.
#[cfg_attr(
    not(feature = "tokio"),
    expect(dead_code, reason = "tasks come with the feature")
)]
pub(crate) enum Seat {
    Busy,
    /// It waits, and wakes up by itself at this moment, if any.
    Idle(Waker, Option<Instant>),
    /// It was called and has not looked yet.
    Called,
}

/// Wakers by age. A future keeps its key, so it is there at most once.
#[derive(Default)]
pub(crate) struct Waiters {
    #[cfg(feature = "tokio")]
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Waiters {
    #[cfg(feature = "tokio")]
    /// Puts the waker in, at its old place if it still has one.
    pub(crate) fn put(&mut self, key: &mut Option<u64>, waker: &Waker) {
        if let Some(old) = key.as_ref().and_then(|key| self.wakers.get_mut(key)) {
            old.clone_from(waker);
            return;
        }
        self.wakers.insert(self.next, waker.clone());
        *key = Some(self.next);
        self.next += 1;
    }

    #[cfg(feature = "tokio")]
    /// Takes the waker out; false if it has been called already.
    pub(crate) fn remove(&mut self, key: u64) -> bool {
        self.wakers.remove(&key).is_some()
    }

    pub(crate) fn pop(&mut self, count: usize) -> Vec<Waker> {
        std::iter::from_fn(|| self.wakers.pop_first().map(|(_, waker)| waker))
            .take(count)
            .collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }
}

/// Whom to wake once the lock is released.
#[must_use]
#[derive(Default)]
pub(crate) struct Calls {
    pub(crate) worker: Call,
    pub(crate) all_workers: bool,
    pub(crate) room: bool,
    pub(crate) done: bool,
    pub(crate) tasks: Vec<Waker>,
}

#[must_use]
#[derive(Default)]
pub(crate) enum Call {
    #[default]
    Nobody,
    Thread,
    Task(Waker),
}

impl Calls {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.worker, Call::Nobody)
            && !(self.all_workers || self.room || self.done)
            && self.tasks.is_empty()
    }

    pub(crate) fn merge(&mut self, mut other: Self) {
        if !matches!(other.worker, Call::Nobody) {
            debug_assert!(
                matches!(self.worker, Call::Nobody),
                "a call would be forgotten"
            );
            self.worker = other.worker;
        }
        self.all_workers |= other.all_workers;
        self.room |= other.room;
        self.done |= other.done;
        self.tasks.append(&mut other.tasks);
    }
}

impl Crew {
    /// Calls one idle worker, unless one is on its way (C2).
    #[inline]
    pub(crate) fn call(&mut self) -> Call {
        if self.spinning || self.called > 0 {
            return Call::Nobody;
        }
        if self.idle > 0 {
            self.called = 1;
            return Call::Thread;
        }
        match self.tasks.iter_mut().find_map(Seat::call) {
            Some(waker) => {
                self.called = 1;
                Call::Task(waker)
            }
            None => Call::Nobody,
        }
    }

    pub(crate) fn call_all_tasks(&mut self) -> Vec<Waker> {
        let wakers: Vec<_> = self.tasks.iter_mut().filter_map(Seat::call).collect();
        self.called += wakers.len();
        wakers
    }

    /// Whether a worker sleeps: those that are awake look for work before they do.
    #[inline]
    pub(crate) fn has_idle(&self) -> bool {
        self.idle > 0 || self.tasks.iter().any(|seat| matches!(seat, Seat::Idle(..)))
    }

    /// Whether an idle worker wakes up by itself at `deadline` or before.
    pub(crate) fn is_armed_for(&self, deadline: Option<Instant>) -> bool {
        let Some(deadline) = deadline else {
            return true;
        };
        let in_time = |until: &Option<Instant>| until.is_some_and(|until| until <= deadline);
        in_time(&self.armed)
            || self
                .tasks
                .iter()
                .any(|seat| matches!(seat, Seat::Idle(_, until) if in_time(until)))
    }
}

impl Seat {
    /// Marks an idle task as called.
    fn call(&mut self) -> Option<Waker> {
        match self {
            Self::Idle(..) => match std::mem::replace(self, Self::Called) {
                Self::Idle(waker, _) => Some(waker),
                Self::Busy | Self::Called => None,
            },
            Self::Busy | Self::Called => None,
        }
    }
}
