//! One thread that wakes tasks at moments: the clock of every async batcher of the process.
//!
//! A runtime's own timer counts in milliseconds and rounds up; a linger is to be exact. This thread
//! sleeps until the nearest moment by the operating system's timer. It costs a parked thread for the
//! life of the process, started with the first async batcher, and one wake-up of it for each moment
//! that is nearer than all others. A busy batcher asks for none: only idle workers wait for a linger.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Instant;

use crate::oversleep::Oversleep;
use crate::timer_slack::make_timeouts_exact;

pub(crate) struct Timer {
    alarms: Mutex<Alarms>,
    nearer: Condvar,
}

type Key = (Instant, u64);

struct Alarms {
    next: u64,
    wakers: BTreeMap<Key, Waker>,
}

impl Timer {
    /// The process's timer, started on first use.
    pub(crate) fn get() -> io::Result<&'static Self> {
        static TIMER: Timer = Timer {
            alarms: Mutex::new(Alarms {
                next: 0,
                wakers: BTreeMap::new(),
            }),
            nearer: Condvar::new(),
        };
        static STARTED: OnceLock<()> = OnceLock::new();
        static STARTING: Mutex<()> = Mutex::new(());
        let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if STARTED.get().is_none() {
            thread::Builder::new()
                .name("batcher-timer".to_owned())
                .spawn(|| TIMER.run())?;
            STARTED.get_or_init(|| ());
        }
        drop(starting);
        Ok(&TIMER)
    }

    fn lock(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        make_timeouts_exact();
        let mut oversleep = Oversleep::default();
        let mut alarms = self.lock();
        loop {
            let now = Instant::now();
            let mut due = Vec::new();
            while let Some(first) = alarms
                .wakers
                .first_entry()
                .filter(|first| first.key().0 <= now)
            {
                due.push(first.remove());
            }
            if !due.is_empty() {
                drop(alarms);
                for waker in due {
                    // A waker is somebody's code: its panic must not stop everybody's clock.
                    drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
                }
                alarms = self.lock();
                continue;
            }
            let first = alarms.wakers.first_key_value();
            let Some(until) = first.map(|((until, _), _)| *until) else {
                let woken = self.nearer.wait(alarms);
                alarms = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let aim = oversleep.aim(until);
            if aim <= now {
                // A nearer moment that is set meanwhile is at most that much late.
                drop(alarms);
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                alarms = self.lock();
            } else {
                let woken = self.nearer.wait_timeout(alarms, aim - now);
                alarms = woken.unwrap_or_else(PoisonError::into_inner).0;
                oversleep.woke(Some(aim));
            }
        }
    }
}

/// One task's place in the timer: at most one moment, forgotten when dropped.
pub(crate) struct Alarm {
    timer: &'static Timer,
    key: Option<Key>,
}

impl Alarm {
    pub(crate) const fn new(timer: &'static Timer) -> Self {
        Self { timer, key: None }
    }

    /// Wakes the task at `until`, or earlier if it was set to an earlier moment that has not come.
    pub(crate) fn arm(&mut self, until: Instant, waker: &Waker) {
        let mut alarms = self.timer.lock();
        if let Some(key) = self.key {
            match alarms.wakers.get_mut(&key) {
                Some(armed) if key.0 <= until => {
                    armed.clone_from(waker);
                    return;
                }
                Some(_) => drop(alarms.wakers.remove(&key)),
                None => {}
            }
        }
        let key = (until, alarms.next);
        alarms.next += 1;
        alarms.wakers.insert(key, waker.clone());
        self.key = Some(key);
        let is_nearest = alarms
            .wakers
            .first_key_value()
            .is_some_and(|(first, _)| *first == key);
        drop(alarms);
        if is_nearest {
            self.timer.nearer.notify_one();
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.timer.lock().wakers.remove(&key);
        }
    }
}
