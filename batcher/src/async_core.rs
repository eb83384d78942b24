//! The core's waits as polls: what the async front does instead of sleeping.

use std::task::{Poll, Waker};
use std::time::Instant;

use crate::core::{Core, NoRoom, State};
use crate::crew::{Call, Calls, Seat};
use crate::error::FlushError;
use crate::queue::{Hand, Mode, Settled, Take};

impl<T, R> Core<T, R> {
    /// Announces `workers` workers that are tasks, numbered from 0, before they start.
    pub(crate) fn hire_tasks(&self, workers: usize) {
        self.hire(workers);
        let mut state = self.lock();
        state.crew.tasks.resize_with(workers, || Seat::Busy);
    }

    /// Worker `number` has ended: by itself, or because its runtime dropped it.
    pub(crate) fn leave_task(&self, number: usize) {
        let mut state = self.lock();
        if matches!(state.crew.tasks[number], Seat::Called) {
            state.crew.called -= 1;
        }
        state.crew.tasks[number] = Seat::Busy;
        drop(state);
        self.leave();
    }

    /// Takes a batch back from a worker that was dropped with it.
    pub(crate) fn give_back(&self, hand: Hand<T, R>) {
        let mut state = self.lock();
        let mut calls = state.settle(Settled::GiveBack(hand));
        calls.worker = state.crew.call();
        self.release_to_all(state, calls);
    }

    /// [`next`](Self::next) for a task. While it is pending, the task is woken when there may be
    /// something, and has to wake up by itself at the moment that stands in `until`, if any.
    pub(crate) fn poll_next(
        &self,
        number: usize,
        settled: &mut Option<Settled<T, R>>,
        waker: &Waker,
        until: &mut Option<Instant>,
    ) -> Poll<Option<Hand<T, R>>> {
        let mut state = self.lock_state();
        if matches!(state.crew.tasks[number], Seat::Called) {
            state.crew.called -= 1;
        }
        state.crew.tasks[number] = Seat::Busy;
        let mut calls = Calls::default();
        if let Some(hand) = self.exchange(state, settled, &mut calls) {
            return Poll::Ready(Some(hand));
        }
        let mut state = self.lock();
        if let Some(settled) = settled.take() {
            calls.merge(state.settle(settled));
        }
        match state.queue.take(Instant::now) {
            Take::Batch(hand) => {
                calls.merge(state.call_after_take());
                self.release_to_all(state, calls);
                Poll::Ready(Some(hand))
            }
            Take::Exit => {
                self.release_to_all(state, calls);
                Poll::Ready(None)
            }
            Take::Wait(deadline) => {
                calls.merge(state.call_for_room(true));
                *until = deadline.filter(|_| !state.crew.is_armed_for(deadline));
                state.crew.tasks[number] = Seat::Idle(waker.clone(), *until);
                self.release_to_all(state, calls);
                Poll::Pending
            }
        }
    }

    /// `with_room` for a task: pending while the queue is full. `key` is the task's place among
    /// those that wait; a future that is dropped with one calls [`leave_room`](Self::leave_room).
    pub(crate) fn poll_with_room<O>(
        &self,
        waker: &Waker,
        key: &mut Option<u64>,
        insert: &mut impl FnMut(&mut State<T, R>) -> (Call, Option<O>),
    ) -> Poll<Result<O, NoRoom>> {
        let mut state = self.lock();
        if state.queue.mode != Mode::Running {
            state.queue.counters.refused_stopped += 1;
            return Poll::Ready(Err(NoRoom::Stopped));
        }
        let mut call = Call::Nobody;
        if state.queue.room() > 0 {
            let (wanted, done) = insert(&mut state);
            if let Some(done) = done {
                if let Some(key) = key.take() {
                    state.room_tasks.remove(key);
                }
                self.release(state, wanted);
                return Poll::Ready(Ok(done));
            }
            call = wanted;
        }
        let pressed = state.press();
        if matches!(call, Call::Nobody) {
            call = pressed;
        }
        state.room_tasks.put(key, waker);
        self.release(state, call);
        Poll::Pending
    }

    /// The wait for room ended in a timeout.
    pub(crate) fn count_timeout(&self) {
        self.count(|counters| counters.refused_full += 1);
    }

    /// A future that waited for room is dropped. If it had been called, the call goes on to the next.
    pub(crate) fn leave_room(&self, key: u64) {
        let mut state = self.lock();
        if !state.room_tasks.remove(key) && state.queue.room() > 0 {
            let calls = Calls {
                tasks: state.room_tasks.pop(1),
                ..Calls::default()
            };
            self.release_to_all(state, calls);
        }
    }

    /// Whether the flush is over, and how; the task is woken when that may change.
    pub(crate) fn poll_flushed(
        &self,
        epoch: u64,
        waker: &Waker,
        key: &mut Option<u64>,
    ) -> Poll<Result<(), FlushError>> {
        let mut state = self.lock();
        match state.flush_end(epoch) {
            Some(end) => Poll::Ready(end),
            None => {
                state.done_tasks.put(key, waker);
                Poll::Pending
            }
        }
    }

    /// Whether every worker has ended; the task is woken when that may change.
    pub(crate) fn poll_joined(&self, waker: &Waker, key: &mut Option<u64>) -> Poll<()> {
        let mut state = self.lock();
        if state.crew.alive == 0 {
            return Poll::Ready(());
        }
        state.done_tasks.put(key, waker);
        Poll::Pending
    }

    /// A future that waited for a flush or for the end is dropped.
    pub(crate) fn leave_done(&self, key: u64) {
        self.lock().done_tasks.remove(key);
    }
}
