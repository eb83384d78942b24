//! A short lock: spins, then yields. For critical sections that run no foreign code.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};

use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicBool, pause};
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

    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let mut turns = 0;
        while self
            .locked
            .compare_exchange_weak(false, true, twin::LOCK, Relaxed)
            .is_err()
        {
            while self.locked.load(Relaxed) {
                pause(&mut turns);
            }
        }
        Guard { lock: self }
    }
}

// SAFETY: the lock gives `&mut T` to one thread at a time, which `T: Send` allows.
unsafe impl<T: Send> Sync for Lock<T> {}

#[derive(Debug)]
pub(crate) struct Guard<'l, T> {
    lock: &'l Lock<T>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: one guard at a time: `locked` goes from false to true once until the guard's drop.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard itself is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.locked.store(false, twin::UNLOCK);
    }
}
