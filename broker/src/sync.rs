//! The locks and the atomics of what is shared: std's, loom's under `cfg(loom)`, or shuttle's under
//! `cfg(shuttle)`.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence},
};

/// Threads that park.
pub(crate) mod thread {
    #[cfg(shuttle)]
    pub(crate) use shuttle::thread::{Thread, current, park, park_timeout};
    #[cfg(not(shuttle))]
    pub(crate) use std::thread::{Thread, current, park, park_timeout};
}

/// To shuttle every access is `SeqCst`: there is nothing left to order.
#[cfg(shuttle)]
pub(crate) fn fence(_order: Ordering) {}

/// Locks; what a panicking holder left behind is used as it is.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
