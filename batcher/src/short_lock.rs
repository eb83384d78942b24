//! The lock of this crate, and the sleep that goes with it.
//!
//! Every critical section is tens of nanoseconds long and runs no foreign code, so nobody sleeps on the lock: who
//! finds it taken spins, then yields its core. That makes letting go one plain store, where a lock with sleepers
//! needs a second read-modify-write, and an enqueue costs little more than its lock.
//!
//! If the holder does not run (the system took its core away), yielding hands it one: the scheduler runs whoever is
//! ready. Yielding hands nothing to a thread of lower priority, so after a hundred yields in vain who waits backs off
//! by sleeping. Nobody's correctness rests on the length of that sleep, and no call can replace it: to call
//! sleepers, whoever lets go of the lock would have to look for them, which is the second read-modify-write.
//!
//! To sleep until something happens is a [`Signal`]'s business. Its own mutex, `turn`, closes the gap between
//! letting go of the lock and being asleep:
//!
//! ```text
//!   who waits   lock, look, take turn ─► let go of the lock ─► sleep, which lets go of turn
//!   who calls   lock, change, let go ──────────────────────────► take turn, let go of it ─► wake
//! ```
//!
//! Who changes something after the look gets the turn only when the sleeper is asleep, so its call is heard.
//! Order of locks: the lock, then `turn`; nobody asks for the lock with the turn in hand.

use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::sync::{Condvar, Mutex as Turn};
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex as Turn};

#[cfg(not(loom))]
pub(crate) use spin::mutex::{SpinMutex as Mutex, SpinMutexGuard as MutexGuard};

#[cfg(not(loom))]
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock_weak() {
        Some(guard) => guard,
        None => lock_contended(mutex),
    }
}

/// Looks without writing and not too often: each look takes the lock's cache line from whoever has it. So threads
/// that hammer on a lock have it in turns of many sections, not of one.
#[cfg(not(loom))]
#[cold]
fn lock_contended<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    /// Pauses before the first look: some hundred nanoseconds.
    const FIRST: u32 = 8;
    /// Pauses before a look, at most. After so many, who waits yields instead.
    const MOST: u32 = 64;
    /// Yields before it backs off.
    const PATIENCE: u32 = 100;
    const BACK_OFF: Duration = Duration::from_micros(50);
    let (mut pauses, mut yields) = (FIRST, 0);
    loop {
        if pauses <= MOST {
            for _ in 0..pauses {
                std::hint::spin_loop();
            }
            pauses *= 2;
        } else if yields < PATIENCE {
            std::thread::yield_now();
            yields += 1;
        } else {
            std::thread::sleep(BACK_OFF);
        }
        if !mutex.is_locked()
            && let Some(guard) = mutex.try_lock_weak()
        {
            return guard;
        }
    }
}

/// Where threads sleep until they are called.
pub(crate) struct Signal {
    turn: Turn<()>,
    called: Condvar,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self {
            turn: Turn::new(()),
            called: Condvar::new(),
        }
    }

    /// To be called after the lock: what was changed under it is what the call is about.
    pub(crate) fn notify_one(&self) {
        self.let_fall_asleep();
        self.called.notify_one();
    }

    #[cfg(not(loom))]
    pub(crate) fn notify_all(&self) {
        self.let_fall_asleep();
        self.called.notify_all();
    }

    fn let_fall_asleep(&self) {
        if !crate::twin::is("call_without_turn") {
            drop(ignore_poison(self.turn.lock()));
        }
    }

    /// Lets go of the lock and sleeps until it is called, at most until `until`. May return early.
    pub(crate) fn sleep(&self, let_go: impl FnOnce(), until: Option<Instant>) {
        let turn = ignore_poison(self.turn.lock());
        let_go();
        match until {
            None => drop(ignore_poison(self.called.wait(turn))),
            Some(until) => match until.saturating_duration_since(Instant::now()) {
                Duration::ZERO => {}
                left => drop(ignore_poison(self.called.wait_timeout(turn, left))),
            },
        }
    }
}

/// Nothing panics with the turn in hand, and it guards nothing that could be half changed.
fn ignore_poison<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}

/// Lets go of the lock, sleeps, and takes it again.
#[cfg(not(loom))]
pub(crate) fn wait<'a, T>(
    signal: &Signal,
    mutex: &'a Mutex<T>,
    guard: MutexGuard<'a, T>,
    until: Option<Instant>,
) -> MutexGuard<'a, T> {
    signal.sleep(|| drop(guard), until);
    lock(mutex)
}

#[cfg(all(test, loom))]
mod tests {
    use std::sync::Arc;

    use loom::sync::Mutex;
    use loom::thread;

    use super::Signal;

    #[test]
    fn a_sleeper_hears_what_changed_after_its_look() {
        loom::model(|| {
            let shared = Arc::new((Mutex::new(false), Signal::new()));
            let other = Arc::clone(&shared);
            let caller = thread::spawn(move || {
                *other.0.lock().unwrap() = true;
                other.1.notify_one();
            });
            let (changed, signal) = &*shared;
            let mut guard = changed.lock().unwrap();
            while !*guard {
                signal.sleep(|| drop(guard), None);
                guard = changed.lock().unwrap();
            }
            drop(guard);
            caller.join().unwrap();
        });
    }
}
