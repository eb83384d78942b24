//! The atomics: core's, or loom's under `cfg(loom)`.
//!
//! Every shared word of the crate comes from here, so that the models check the code that ships.

#[cfg(loom)]
pub(crate) use self::model::*;
#[cfg(not(loom))]
pub(crate) use self::real::*;

#[cfg(not(loom))]
mod real {
    pub(crate) use alloc::sync::Arc;
    pub(crate) use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

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
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

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
