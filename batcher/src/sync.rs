//! The locks and atomics: std's, or loom's under `cfg(loom)`.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

#[cfg(not(loom))]
use std::sync::TryLockError;
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

/// Locks, poisoned or not: no critical section of this crate runs user code or panics halfway.
#[cfg(not(loom))]
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock() {
        Ok(guard) => guard,
        Err(_) => lock_contended(mutex),
    }
}

/// Critical sections here are tens of nanoseconds. Going to sleep on one costs a system call for
/// both sides, so a loser spins, then yields its core, and sleeps last.
#[cfg(not(loom))]
#[cold]
fn lock_contended<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let backoff = crossbeam_utils::Backoff::new();
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if backoff.is_completed() => {
                return mutex.lock().unwrap_or_else(PoisonError::into_inner);
            }
            Err(TryLockError::WouldBlock) => backoff.snooze(),
        }
    }
}

#[cfg(loom)]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a notification, at most until `until`. May return early without a reason.
pub(crate) fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    until: Option<Instant>,
) -> MutexGuard<'a, T> {
    fn ignore_poison<G>(result: LockResult<G>) -> G {
        result.unwrap_or_else(PoisonError::into_inner)
    }
    match until {
        None => ignore_poison(condvar.wait(guard)),
        Some(until) => match until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => guard,
            left => ignore_poison(condvar.wait_timeout(guard, left)).0,
        },
    }
}

/// Lets go of the lock and takes it again: what a loom twin does between a check and the act that
/// rests on it, to show that the model sees the difference.
#[cfg(loom)]
#[allow(
    dead_code,
    reason = "each twin uses it in one place, the models without a twin in none"
)]
pub(crate) fn gap<'a, T>(mutex: &'a Mutex<T>, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    drop(guard);
    lock(mutex)
}
