//! The atomics: core's, loom's under `cfg(loom)`, or shuttle's under `cfg(shuttle)`.
//!
//! Every shared word of the crate comes from here, so that the models check the code that ships. Loom knows the
//! orderings and tries every interleaving of a few steps; shuttle takes every access as `SeqCst` and tries some
//! schedules of many.

#[cfg(loom)]
pub(crate) use self::model::*;
#[cfg(not(any(loom, shuttle)))]
pub(crate) use self::real::*;
#[cfg(shuttle)]
pub(crate) use self::schedules::*;
#[cfg(not(loom))]
pub(crate) use self::unseen::Witness;

/// Threads that park.
#[cfg(feature = "std")]
pub(crate) mod thread {
    #[cfg(shuttle)]
    pub(crate) use shuttle::thread::{Thread, current, park, park_timeout};
    #[cfg(not(shuttle))]
    pub(crate) use std::thread::{Thread, current, park, park_timeout};
}

/// Words that are figures for people: they order nothing, so loom need not look at them.
pub(crate) mod figure {
    pub(crate) use core::sync::atomic::{AtomicU64, AtomicUsize};
}

#[cfg(not(any(loom, shuttle)))]
mod real {
    pub(crate) use alloc::sync::Arc;
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

    #[cfg(feature = "std")]
    pub(crate) use core::sync::atomic::fence;
    #[cfg(feature = "std")]
    pub(crate) use std::sync::Mutex;

    /// One turn of a wait for a lock: each longer than the one before, so that its owner can take it many times
    /// in a row without its line being asked for; then lets others run where there is a `std` to ask.
    pub(crate) fn back_off(turns: &mut u32) {
        *turns = turns.saturating_add(1);
        #[cfg(feature = "std")]
        if *turns > 8 {
            std::thread::yield_now();
            return;
        }
        for _ in 0..1_u32 << (*turns).min(6) {
            core::hint::spin_loop();
        }
    }

    /// One turn of a short wait for another thread: spins, then lets others run.
    #[cfg(feature = "std")]
    pub(crate) fn pause(turns: &mut u32) {
        *turns = turns.saturating_add(1);
        if *turns > 64 {
            std::thread::yield_now();
            return;
        }
        core::hint::spin_loop();
    }
}

#[cfg(not(loom))]
mod unseen {
    /// Proves to loom that a place is never read while it is written. Nothing here: it has no size.
    #[derive(Debug)]
    pub(crate) struct Witness;

    impl Witness {
        pub(crate) fn new(_places: usize) -> Self {
            Self
        }
        #[inline(always)] // nothing to call: empty outside loom
        pub(crate) fn read(&self, _from: usize, _to: usize) {}
        #[inline(always)] // nothing to call: empty outside loom
        pub(crate) fn write(&self, _place: usize) {}
    }
}

#[cfg(loom)]
mod model {
    use alloc::vec::Vec;

    pub(crate) use loom::sync::Arc;
    #[cfg(feature = "std")]
    pub(crate) use loom::sync::Mutex;
    #[cfg(feature = "std")]
    pub(crate) use loom::sync::atomic::fence;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

    pub(crate) use self::pause as back_off;

    /// One turn of a short wait for another thread.
    pub(crate) fn pause(_turns: &mut u32) {
        loom::thread::yield_now();
    }

    /// Proves to loom that a place is never read while it is written: one loom cell for each place,
    /// touched whenever the real memory is.
    #[derive(Debug)]
    pub(crate) struct Witness(Vec<loom::cell::UnsafeCell<()>>);

    impl Witness {
        pub(crate) fn new(places: usize) -> Self {
            Self(
                (0..places)
                    .map(|_| loom::cell::UnsafeCell::new(()))
                    .collect(),
            )
        }
        pub(crate) fn read(&self, from: usize, to: usize) {
            for cell in &self.0[from..to] {
                cell.with(|_| ());
            }
        }
        pub(crate) fn write(&self, place: usize) {
            self.0[place].with_mut(|_| ());
        }
    }
}

#[cfg(shuttle)]
mod schedules {
    pub(crate) use alloc::sync::Arc;
    #[cfg(feature = "std")]
    pub(crate) use shuttle::sync::Mutex;
    pub(crate) use shuttle::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering,
    };

    /// Every access is `SeqCst` here: there is nothing left to order.
    #[cfg(feature = "std")]
    pub(crate) fn fence(_order: Ordering) {}

    pub(crate) use self::pause as back_off;

    /// One turn of a short wait for another thread.
    pub(crate) fn pause(turns: &mut u32) {
        *turns = turns.saturating_add(1);
        shuttle::thread::yield_now();
    }
}
