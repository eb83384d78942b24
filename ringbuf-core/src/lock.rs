//! A short lock: spins, then yields. For critical sections that run no foreign code.

use core::cell::UnsafeCell;

use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicBool, back_off};
use crate::twin;

#[derive(Debug)]
pub(crate) struct Lock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            locked: AtomicBool::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Runs `work` with the value: one thread at a time.
    #[inline]
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        let mut turns = 0;
        while self
            .locked
            .compare_exchange_weak(false, true, twin::lock(), Relaxed)
            .is_err()
        {
            back_off(&mut turns);
        }
        let _unlock = Unlock(&self.locked);
        // SAFETY: `locked` went from false to true here, and goes back when `_unlock` is dropped.
        work(unsafe { &mut *self.value.get() })
    }
}

// SAFETY: the lock gives `&mut T` to one thread at a time, which `T: Send` allows.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Unlocks, also when the work panics.
struct Unlock<'l>(&'l AtomicBool);

impl Drop for Unlock<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.store(false, twin::unlock());
    }
}
