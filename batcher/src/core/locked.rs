//! The core's two locks, and the ways to have them: the tray's alone, the state's alone, or both.
//!
//! ```text
//!   who puts an item on the tray      tray
//!   who exchanges a finished batch            state   for a closed one
//!   everybody else                    tray ─► state   in this order
//! ```
//!
//! So those who only lengthen a batch and those who only take batches away do not meet.

use std::ops::{Deref, DerefMut};

use super::State;
use crate::queue::Tray;
use crate::sync::MutexGuard;

type Guards<'a, T, R> = (MutexGuard<'a, State<T, R>>, MutexGuard<'a, Tray<T, R>>);

/// Both locks. The batch under assembly is taken back from the tray meanwhile, and laid out again when they are
/// let go of.
pub(crate) struct Locked<'a, T, R> {
    /// `None` only while they are let go of.
    guards: Option<Guards<'a, T, R>>,
}

const HELD: &str = "the locks are held until they are let go of";

impl<'a, T, R> Locked<'a, T, R> {
    #[inline]
    pub(crate) fn new(
        mut tray: MutexGuard<'a, Tray<T, R>>,
        mut state: MutexGuard<'a, State<T, R>>,
    ) -> Self {
        state.queue.take_back(&mut tray);
        Self {
            guards: Some((state, tray)),
        }
    }

    /// For whoever waits: the state's lock alone, ready to be let go of.
    pub(crate) fn into_state(mut self) -> MutexGuard<'a, State<T, R>> {
        self.lay_out();
        self.guards.take().expect(HELD).0
    }

    #[inline]
    fn lay_out(&mut self) {
        if let Some((state, tray)) = &mut self.guards {
            let begin = !state.crew.has_idle() || crate::twin::is("begun_unseen");
            state.queue.lay_out(tray, begin);
        }
    }
}

impl<T, R> Deref for Locked<'_, T, R> {
    type Target = State<T, R>;

    #[inline]
    fn deref(&self) -> &State<T, R> {
        &self.guards.as_ref().expect(HELD).0
    }
}

impl<T, R> DerefMut for Locked<'_, T, R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut State<T, R> {
        &mut self.guards.as_mut().expect(HELD).0
    }
}

impl<T, R> Drop for Locked<'_, T, R> {
    #[inline]
    fn drop(&mut self) {
        self.lay_out();
    }
}
