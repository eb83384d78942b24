//! The queue behind its locks, and everybody who waits for it: workers, enqueuers, flushes, stops.
//!
//! Both fronts share it. A thread waits on a condvar, a task leaves its waker; whoever makes the
//! thing happen that they wait for calls them, after the locks, and only if somebody waits.
//!
//! # Invariants
//!
//! - **C1** A decision (take the item in, hand out a batch, stop) and the check it rests on happen
//!   under the same locks (`locked.rs`): nothing is accepted after a stop, and a stop sees all that was accepted.
//! - **C2** A worker that goes idle has looked for work under both locks, and whoever brings
//!   work afterwards calls an idle worker, unless one is already on its way to look. A batch is begun on the tray,
//!   where the state does not show it, only while no worker is idle: each looks there before it sleeps.
//! - **C3** A called worker that finds more work than it takes calls the next one.
//! - **C4** While the nearest deadline lies in the future and no worker is busy, one idle worker
//!   is armed for it (or for an earlier one, after which it looks again).
//! - **C5** User code (weigher, key, iterator, processor, handler, a waker's call, `Drop` of an item)
//!   never runs under a lock. Only wakers are cloned there.

mod intake;
mod locked;
mod outlet;

#[cfg(feature = "tokio")]
pub(crate) use intake::{Chunk, insert, insert_ticketed};
pub(crate) use intake::{KeyHash, NoRoom, Placement, Weigher};
pub(crate) use locked::Locked;

use std::ops::Deref;
use std::time::Instant;

use crossbeam_utils::CachePadded;

use crate::counters::{Counters, StopReport};
use crate::crew::{Call, Calls, Crew, Waiters};
use crate::error::FlushError;
use crate::queue::{Mode, Queue, Settled, Tray};
use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering, lock, now, wait};
use crate::twin;

pub(crate) struct Core<T, R> {
    tray: CachePadded<Mutex<Tray<T, R>>>,
    shared: CachePadded<Shared<T, R>>,
    /// Idle workers sleep here.
    work: Condvar,
    /// Enqueuers sleep here while the queue is full.
    room: Condvar,
    /// Flushes and stops sleep here.
    done: Condvar,
    pub(crate) placement: Placement<T>,
}

/// Whoever changes the hints has the lock, and its cache line.
#[repr(C)]
struct Shared<T, R> {
    hints: Hints,
    /// Taken after the tray's lock, by those who take both.
    state: Mutex<State<T, R>>,
}

/// What lets a spinner look without the lock. Every decision is made under it.
struct Hints {
    /// A closed batch waits: something for a worker.
    ready: AtomicBool,
    /// The queue was found full and has no ample room yet: nothing for an enqueuer.
    full: AtomicBool,
}

#[repr(C)]
pub(crate) struct State<T, R> {
    pub(crate) queue: Queue<T, R>,
    pub(crate) crew: Crew,
    /// Threads asleep on `room`, and tasks waiting for the same, oldest first.
    room_threads: usize,
    pub(crate) room_tasks: Waiters,
    /// The same for `done`.
    done_threads: usize,
    pub(crate) done_tasks: Waiters,
}

impl<T, R> State<T, R> {
    /// The queue was found full: a batch under assembly that holds it up is wanted at once.
    pub(crate) fn press(&mut self) -> Call {
        self.queue.pressed = !twin::is("full_unpressed");
        if self.queue.has_work() {
            Call::Nobody
        } else {
            self.crew.call()
        }
    }

    /// After a worker took a batch: whether another one has to look (C3, C4).
    pub(crate) fn call_after_take(&mut self) -> Calls {
        let mut calls = self.call_for_room(false);
        if twin::is("no_next_worker_called") || !self.crew.has_idle() {
            return calls; // without a look at what those who enqueue change
        }
        let nearest = self.queue.nearest_deadline();
        if self.queue.has_work() || !self.crew.is_armed_for(nearest) {
            calls.worker = self.crew.call();
        }
        calls
    }

    /// After items left the queue: whether enqueuers that wait can go on. A worker that finds
    /// nothing to do (`idle`) calls them for whatever room there is.
    pub(crate) fn call_for_room(&mut self, idle: bool) -> Calls {
        let mut calls = Calls::default();
        let enough = self.queue.has_ample_room() || (idle && self.queue.room() > 0);
        if self.queue.pressed && enough {
            calls.room = self.room_threads > 0;
            calls.tasks = self.room_tasks.pop(self.queue.room());
            // Tasks that are left out are called when those that come now have made room again.
            self.queue.pressed = !self.room_tasks.is_empty();
        }
        calls
    }

    fn call_everybody(&mut self) -> Calls {
        let mut tasks = self.crew.call_all_tasks();
        tasks.append(&mut self.room_tasks.pop(usize::MAX));
        tasks.append(&mut self.done_tasks.pop(usize::MAX));
        Calls {
            worker: Call::Nobody,
            all_workers: self.crew.idle > 0,
            room: self.room_threads > 0,
            done: self.done_threads > 0,
            tasks,
        }
    }

    /// Takes a batch back. Flushes that wait are called if it was the last of an epoch.
    pub(crate) fn settle(&mut self, settled: Settled<T, R>) -> Calls {
        let mut calls = Calls::default();
        if self.queue.settle(settled) {
            calls.done = self.done_threads > 0;
            calls.tasks = self.done_tasks.pop(usize::MAX);
        }
        calls
    }
}

impl<T, R> Core<T, R> {
    pub(crate) fn new(queue: Queue<T, R>, placement: Placement<T>) -> Self {
        Self {
            tray: CachePadded::new(Mutex::new(Tray::new())),
            shared: CachePadded::new(Shared {
                hints: Hints {
                    ready: AtomicBool::new(false),
                    full: AtomicBool::new(false),
                },
                state: Mutex::new(State {
                    queue,
                    crew: Crew::default(),
                    room_threads: 0,
                    room_tasks: Waiters::default(),
                    done_threads: 0,
                    done_tasks: Waiters::default(),
                }),
            }),
            work: Condvar::new(),
            room: Condvar::new(),
            done: Condvar::new(),
            placement,
        }
    }

    pub(crate) fn lock(&self) -> Locked<'_, T, R> {
        let tray = lock(&self.tray);
        Locked::new(tray, lock(&self.shared.state))
    }

    /// The state alone: what is under assembly, and what was put there, is on the tray.
    pub(crate) fn lock_state(&self) -> MutexGuard<'_, State<T, R>> {
        lock(&self.shared.state)
    }

    /// Lets go of the locks, sleeps until it is called or `until`, and takes them again.
    fn sleep<'a>(
        &'a self,
        signal: &Condvar,
        state: Locked<'a, T, R>,
        until: Option<Instant>,
    ) -> Locked<'a, T, R> {
        drop(wait(signal, &self.shared.state, state.into_state(), until));
        self.lock()
    }

    /// What a twin does between a check and the act that rests on it.
    #[cfg(twins)]
    fn gap<'a>(&'a self, state: Locked<'a, T, R>) -> Locked<'a, T, R> {
        drop(state);
        self.lock()
    }

    /// Releases the locks, then wakes one worker.
    #[inline]
    pub(crate) fn release(&self, state: impl Deref<Target = State<T, R>>, call: Call) {
        self.hint(&state);
        drop(state);
        match call {
            Call::Nobody => {}
            Call::Thread => self.work.notify_one(),
            Call::Task(waker) => waker.wake(),
        }
    }

    /// Releases the locks, then wakes.
    pub(crate) fn release_to_all(&self, state: impl Deref<Target = State<T, R>>, calls: Calls) {
        self.release(state, calls.worker);
        if calls.all_workers {
            self.work.notify_all();
        }
        if calls.room {
            self.room.notify_all();
        }
        if calls.done {
            self.done.notify_all();
        }
        for waker in calls.tasks {
            waker.wake();
        }
    }

    #[inline]
    fn hint(&self, state: &State<T, R>) {
        // Relaxed: the hints only end a spin. A store that changes nothing would still take the
        // cache line away from who spins.
        let say = |hint: &AtomicBool, news| {
            if hint.load(Ordering::Relaxed) != news {
                hint.store(news, Ordering::Relaxed);
            }
        };
        say(&self.shared.hints.ready, state.queue.has_work());
        say(&self.shared.hints.full, state.queue.pressed);
    }

    // Flushing and stopping

    pub(crate) fn counters(&self) -> Counters {
        self.lock().queue.snapshot()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().queue.mode != Mode::Running
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Counters)) {
        count(&mut self.lock().queue.counters);
    }

    /// Closes what is under assembly; the epoch to wait for.
    pub(crate) fn begin_flush(&self) -> u64 {
        let mut state = self.lock();
        let epoch = state.queue.flush();
        let call = if state.queue.has_work() {
            state.crew.call()
        } else {
            Call::Nobody
        };
        self.release(state, call);
        epoch
    }

    pub(crate) fn flush(&self, until: Option<Instant>) -> Result<(), FlushError> {
        let epoch = self.begin_flush();
        let mut state = self.lock();
        loop {
            if let Some(end) = state.flush_end(epoch) {
                return end;
            }
            if until.is_some_and(|until| now() >= until) {
                return Err(FlushError::Timeout);
            }
            state = self.sleep_until_done(state, until);
        }
    }

    fn sleep_until_done<'a>(
        &'a self,
        mut state: Locked<'a, T, R>,
        until: Option<Instant>,
    ) -> Locked<'a, T, R> {
        #[cfg(twins)]
        if twin::is("done_sleep_after_look") {
            state = self.gap(state);
        }
        state.done_threads += 1;
        let mut state = self.sleep(&self.done, state, until);
        state.done_threads -= 1;
        state
    }

    #[cfg(feature = "tokio")]
    /// Refuses items from now on and calls the workers off. What is queued stays for `report`.
    pub(crate) fn halt(&self) {
        let mut state = self.lock();
        state.queue.mode = Mode::Stopped;
        let calls = state.call_everybody();
        self.release_to_all(state, calls);
    }

    /// Refuses items from now on, and takes out all that is in no worker's hands.
    pub(crate) fn stop_now(&self) -> Vec<T> {
        let mut state = self.lock();
        let returned = state.queue.take_all();
        let calls = state.call_everybody();
        self.release_to_all(state, calls);
        // Dropping the tickets tells their holders.
        returned.items
    }

    /// Refuses items from now on; the workers process what is there and end.
    pub(crate) fn drain(&self) {
        let mut state = self.lock();
        state.queue.mode = state.queue.mode.max(Mode::Draining);
        let calls = state.call_everybody();
        self.release_to_all(state, calls);
    }

    /// Sleeps until every worker has ended.
    pub(crate) fn join(&self, until: Option<Instant>) {
        let mut state = self.lock();
        while state.crew.alive > 0 && until.is_none_or(|until| now() < until) {
            state = self.sleep_until_done(state, until);
        }
    }

    /// Stops for good and reports. `items` were taken out before.
    pub(crate) fn report(&self, mut items: Vec<T>) -> StopReport<T> {
        if !twin::is("report_without_second_look") {
            items.append(&mut self.stop_now());
        }
        let counters = self.counters();
        StopReport {
            accepted: counters.accepted,
            processed: counters.processed,
            failed: counters.failed,
            evicted: counters.evicted,
            abandoned: counters.returned + counters.in_process,
            still_running: counters.in_process,
            unprocessed: items,
        }
    }
}

impl<T, R> State<T, R> {
    /// Whether the flush that waits for this epoch is over, and how.
    pub(crate) fn flush_end(&self, epoch: u64) -> Option<Result<(), FlushError>> {
        if self.queue.is_flushed(epoch) {
            // A stop ends batches by giving them back.
            let stopped = self.queue.mode == Mode::Stopped && self.queue.counters.returned > 0;
            return Some(if stopped {
                Err(FlushError::Stopped)
            } else {
                Ok(())
            });
        }
        (self.crew.alive == 0).then_some(Err(FlushError::Stopped))
    }
}

/// Spins, then yields, for a few microseconds at most: cheaper than a sleep if what is waited for
/// comes at once.
fn spin_while(condition: impl Fn() -> bool) {
    let backoff = crossbeam_utils::Backoff::new();
    while !backoff.is_completed() && condition() {
        backoff.snooze();
    }
}
