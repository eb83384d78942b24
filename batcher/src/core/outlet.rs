//! How batches go out of the core: workers come and go, bring a batch back, take the next or sleep.

use std::time::Instant;

use super::{Core, Locked, State, spin_while};
use crate::crew::Calls;
use crate::queue::{Hand, Mode, Settled, Take};
use crate::sync::{MODEL, MutexGuard, Ordering, now};
use crate::twin;

impl<T, R> Core<T, R> {
    /// Announces `workers` workers, before they start.
    pub(crate) fn hire(&self, workers: usize) {
        self.lock().crew.alive += workers;
    }

    /// A worker has ended, or did not start. If it was the last one and nobody stopped the
    /// batcher (a runtime that was shut down), nothing is taken in any more: what is queued waits
    /// for a stop to return it, and tickets hear of it now.
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.crew.alive -= 1;
        if state.crew.alive > 0 {
            // Others that slept while this one drained the queue end too.
            let calls = if twin::is("leave_alone") {
                Calls::default()
            } else if state.queue.is_drained() {
                state.call_everybody()
            } else {
                Calls {
                    worker: state.crew.call(),
                    ..Calls::default()
                }
            };
            return self.release_to_all(state, calls);
        }
        let mut orphans = Vec::new();
        if state.queue.mode != Mode::Stopped {
            state.queue.mode = Mode::Stopped;
            orphans = state.queue.take_tickets();
        }
        let calls = state.call_everybody();
        self.release_to_all(state, calls);
        drop(orphans);
    }

    /// Takes back the last batch and sleeps until there is the next one. `None`: no more work.
    pub(crate) fn next(&self, mut settled: Option<Settled<T, R>>) -> Option<Hand<T, R>> {
        if settled.is_some() && !MODEL {
            // A batch that is closed within a moment is taken under the same lock that settles the last one.
            spin_briefly(|| !self.shared.hints.ready.load(Ordering::Relaxed));
        }
        let mut calls = Calls::default();
        if let Some(hand) = self.exchange(self.lock_state(), &mut settled, &mut calls) {
            return Some(hand);
        }
        let mut state = self.lock();
        if let Some(settled) = settled {
            calls.merge(state.settle(settled));
        }
        let mut spun = MODEL;
        loop {
            match state.queue.take(now) {
                Take::Batch(hand) => {
                    calls.merge(state.call_after_take());
                    self.release_to_all(state, calls);
                    return Some(hand);
                }
                Take::Exit => {
                    self.release_to_all(state, calls);
                    return None;
                }
                Take::Wait(until) => {
                    calls.merge(state.call_for_room(true));
                    let spin = !spun && !state.crew.spinning;
                    if spin || !calls.is_empty() {
                        spun = true;
                        state.crew.spinning |= spin;
                        self.release_to_all(state, std::mem::take(&mut calls));
                        if spin {
                            spin_while(|| !self.shared.hints.ready.load(Ordering::Relaxed));
                        }
                        state = self.lock();
                        state.crew.spinning &= !spin;
                    } else {
                        state = self.sleep_until_called(state, until);
                    }
                }
            }
        }
    }

    /// Takes back a batch that is done with and takes a closed one, without a look at what is under assembly. Whoever
    /// gets none looks there before it sleeps, and settles what is left.
    pub(crate) fn exchange(
        &self,
        mut state: MutexGuard<'_, State<T, R>>,
        settled: &mut Option<Settled<T, R>>,
        calls: &mut Calls,
    ) -> Option<Hand<T, R>> {
        if let Some(done) = settled.take_if(|settled| settled.is_done()) {
            calls.merge(state.settle(done));
        }
        if settled.is_some() {
            return None;
        }
        let hand = state.queue.take_closed(now)?;
        calls.merge(state.call_after_take());
        self.release_to_all(state, std::mem::take(calls));
        Some(hand)
    }

    fn sleep_until_called<'a>(
        &'a self,
        mut state: Locked<'a, T, R>,
        until: Option<Instant>,
    ) -> Locked<'a, T, R> {
        #[cfg(twins)]
        if twin::is("work_sleep_after_look") {
            state = self.gap(state);
        }
        // C4: one armed sleeper is enough.
        let until = until
            .filter(|_| !state.crew.is_armed_for(until))
            .filter(|_| !twin::is("linger_unarmed"));
        if until.is_some() {
            state.crew.armed = until;
        }
        let aim = until.map(|until| state.crew.oversleep.aim(until));
        let mut state = if aim.is_some_and(|aim| aim <= now()) {
            drop(state);
            spin_until(until, || self.shared.hints.ready.load(Ordering::Relaxed));
            self.lock()
        } else {
            state.crew.idle += 1;
            let mut state = self.sleep(&self.work, state, aim);
            state.crew.idle -= 1;
            state.crew.called = state.crew.called.saturating_sub(1);
            state.crew.oversleep.woke(aim);
            state
        };
        if until.is_some() && state.crew.armed == until {
            state.crew.armed = None;
        }
        state
    }
}

/// Spins until this moment, or until there is something to do: what is left of a sleep that was cut
/// short, see [`Oversleep`](crate::oversleep::Oversleep).
fn spin_until(until: Option<Instant>, ready: impl Fn() -> bool) {
    while until.is_some_and(|until| now() < until) && !ready() {
        std::hint::spin_loop();
    }
}

/// Spins for a microsecond or so, at most.
fn spin_briefly(condition: impl Fn() -> bool) {
    let backoff = crossbeam_utils::Backoff::new();
    for _ in 0..10 {
        if !condition() {
            return;
        }
        backoff.spin();
    }
}
