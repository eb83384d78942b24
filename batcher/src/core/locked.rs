//! What the core's lock guards, and the two ways to have it: the tray alone, or all of it.

use std::ops::{Deref, DerefMut};

use super::State;
use crate::queue::Tray;
use crate::sync::MutexGuard;

/// The tray comes first, so that it lies beside the lock: an item that only lengthens a batch touches one line
/// here, and one where it is put.
#[repr(C)]
pub(crate) struct Guarded<T, R> {
    pub(crate) tray: Tray<T, R>,
    state: State<T, R>,
}

impl<T, R> Guarded<T, R> {
    pub(crate) const fn new(state: State<T, R>) -> Self {
        Self {
            tray: Tray::new(),
            state,
        }
    }
}

/// The lock, held by somebody who sees the whole state. The batch under assembly is taken back from the tray
/// meanwhile, and laid out again when the lock is let go of.
pub(crate) struct Locked<'a, T, R> {
    /// `None` only while it is let go of.
    guard: Option<MutexGuard<'a, Guarded<T, R>>>,
}

const HELD: &str = "the lock is held until `let_go`";

impl<'a, T, R> Locked<'a, T, R> {
    #[inline]
    pub(crate) fn new(mut guard: MutexGuard<'a, Guarded<T, R>>) -> Self {
        let Guarded { tray, state } = &mut *guard;
        state.queue.take_back(tray);
        Self { guard: Some(guard) }
    }

    /// For whoever waits: the bare lock, ready to be let go of.
    pub(crate) fn into_guard(mut self) -> MutexGuard<'a, Guarded<T, R>> {
        self.lay_out();
        self.guard.take().expect(HELD)
    }

    #[inline]
    fn lay_out(&mut self) {
        if let Some(guard) = &mut self.guard {
            let Guarded { tray, state } = &mut **guard;
            state.queue.lay_out(tray);
        }
    }
}

impl<T, R> Deref for Locked<'_, T, R> {
    type Target = State<T, R>;

    #[inline]
    fn deref(&self) -> &State<T, R> {
        &self.guard.as_ref().expect(HELD).state
    }
}

impl<T, R> DerefMut for Locked<'_, T, R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State<T, R> {
        &mut self.guard.as_mut().expect(HELD).state
    }
}

impl<T, R> Drop for Locked<'_, T, R> {
    #[inline]
    fn drop(&mut self) {
        self.lay_out();
    }
}
