//! The locks, the atomics, the threads and the clock: ours and std's, loom's under `cfg(loom)`, or shuttle's under
//! `cfg(shuttle)`.

#[cfg(loom)]
pub(crate) use loom::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use crate::short_lock::{Mutex, MutexGuard, Signal as Condvar, lock, wait};

#[cfg(any(loom, shuttle))]
pub(crate) use self::model::{lock, now, wait};
/// Whether a scheduler of models runs this: spinning shows it nothing.
pub(crate) const MODEL: bool = cfg!(any(loom, shuttle));

/// Lets go of the lock and takes it again: what a twin does between a check and the act that rests on it, to show
/// that the model sees the difference.
#[cfg(twins)]
pub(crate) fn gap<'a, T>(mutex: &'a Mutex<T>, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    drop(guard);
    lock(mutex)
}

#[cfg(not(any(loom, shuttle)))]
#[inline]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Time stands still while anybody runs, and a wait that has an end always lasts until then: others run meanwhile, for as
/// long as the scheduler likes.
#[cfg(any(loom, shuttle))]
mod model {
    use super::{Condvar, Mutex, MutexGuard};
    use std::cell::Cell;
    use std::sync::{OnceLock, PoisonError};
    use std::time::{Duration, Instant};

    std::thread_local! {
        /// All threads of a model are one thread of the system.
        static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    }

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start() -> Instant {
        static START: OnceLock<Instant> = OnceLock::new();
        *START.get_or_init(Instant::now)
    }

    pub(crate) fn now() -> Instant {
        start() + PASSED.get()
    }

    pub(crate) fn wait<'a, T>(
        condvar: &Condvar,
        mutex: &'a Mutex<T>,
        guard: MutexGuard<'a, T>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, T> {
        let Some(until) = until else {
            return condvar.wait(guard).unwrap_or_else(PoisonError::into_inner);
        };
        drop(guard);
        super::thread::yield_now();
        PASSED.set(PASSED.get().max(until.saturating_duration_since(start())));
        lock(mutex)
    }
}
