//! How items come into the core: placed before the lock, inserted under it, waiting outside of it.

use std::hash::RandomState;
use std::time::Instant;

use super::{Core, Locked, State, spin_while};
use crate::crew::Call;
use crate::error::{EnqueueManyError, SubmitError, TryEnqueueError};
use crate::queue::{Mode, Offered};
use crate::sync::{MODEL, Ordering, lock, now};
use crate::ticket::Ticket;
use crate::twin;

/// Items moved under one lock by `enqueue_many`: bounds the critical section.
const CHUNK: usize = 256;

pub(crate) type Weigher<T> = Box<dyn Fn(&T) -> usize + Send + Sync>;
pub(crate) type KeyHash<T> = Box<dyn Fn(&T, &RandomState) -> u64 + Send + Sync>;

/// Where an item goes and what it weighs: decided before the lock is taken.
pub(crate) struct Placement<T> {
    pub(crate) weigher: Option<Weigher<T>>,
    pub(crate) key: Option<(KeyHash<T>, RandomState)>,
    pub(crate) lanes: usize,
}

impl<T> Placement<T> {
    #[inline]
    pub(crate) fn of(&self, item: &T) -> (usize, usize) {
        let bytes = self.weigher.as_ref().map_or(0, |weigh| weigh(item));
        let lane = match &self.key {
            None => 0,
            Some((hash, state)) => (hash(item, state) % self.lanes as u64) as usize,
        };
        (bytes, lane)
    }

    const fn is_trivial(&self) -> bool {
        self.weigher.is_none() && self.key.is_none()
    }
}

/// An item that was not taken in, and the lock under which that was found.
type Refused<'a, T, R> = (T, Locked<'a, T, R>);

/// Why an enqueuer that waited for room goes without.
pub(crate) enum NoRoom {
    Timeout,
    Stopped,
}

impl<T, R> State<T, R> {
    /// After items were taken in: whether a worker has to know (C2, C4).
    #[inline]
    fn call_for(&mut self, offered: Offered, lane: usize) -> Call {
        if self.wants_worker(offered, lane) {
            self.crew.call()
        } else {
            Call::Nobody
        }
    }

    #[inline]
    fn wants_worker(&self, offered: Offered, lane: usize) -> bool {
        if !(offered.closed || offered.first) || !self.queue.lane_is_free(lane) {
            return false;
        }
        offered.closed
            || self.queue.wants_open_at_once()
            || !self.crew.is_armed_for(self.queue.open_deadline(lane))
    }
}

impl<T, R> Core<T, R> {
    /// Takes the item in if that can be done at once; else gives it back, still under the lock.
    #[inline]
    pub(crate) fn enqueue_at_once(
        &self,
        item: T,
        (bytes, lane): (usize, usize),
    ) -> Result<(), Refused<'_, T, R>> {
        let mut tray = lock(&self.tray);
        let mut item = item;
        if (bytes, lane) == (0, 0) {
            match tray.put(item, now) {
                Ok(()) => return Ok(()),
                Err(back) => item = back,
            }
        }
        let mut state = Locked::new(tray, lock(&self.shared.state));
        if !state.queue.takes_items() {
            return Err((item, state));
        }
        #[cfg(twins)]
        if twin::is("accept_after_check") {
            state = self.gap(state);
        }
        let offered = state.queue.offer(item, bytes, lane, now);
        if offered.closed || offered.first {
            let call = state.call_for(offered, lane);
            self.release(state, call);
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn try_enqueue(&self, item: T) -> Result<(), TryEnqueueError<T>> {
        let placed = self.placement.of(&item);
        self.enqueue_at_once(item, placed)
            .map_err(|(item, state)| self.refuse(state, item))
    }

    /// [`enqueue_at_once`](Self::enqueue_at_once) with a ticket for the item's result.
    #[inline]
    pub(crate) fn submit_at_once(
        &self,
        item: T,
        (bytes, lane): (usize, usize),
    ) -> Result<Ticket<R>, Refused<'_, T, R>> {
        let mut tray = lock(&self.tray);
        let mut item = item;
        if (bytes, lane) == (0, 0) {
            match tray.submit(item, now) {
                Ok(ticket) => return Ok(ticket),
                Err(back) => item = back,
            }
        }
        let mut state = Locked::new(tray, lock(&self.shared.state));
        if !state.queue.takes_items() {
            return Err((item, state));
        }
        let (offered, ticket) = state.queue.submit(item, bytes, lane, now);
        if offered.closed || offered.first {
            let call = state.call_for(offered, lane);
            self.release(state, call);
        }
        Ok(ticket)
    }

    #[inline]
    pub(crate) fn try_submit(&self, item: T) -> Result<Ticket<R>, TryEnqueueError<T>> {
        let placed = self.placement.of(&item);
        self.submit_at_once(item, placed)
            .map_err(|(item, state)| self.refuse(state, item))
    }

    #[cold]
    fn refuse(&self, mut state: Locked<'_, T, R>, item: T) -> TryEnqueueError<T> {
        if state.queue.mode != Mode::Running {
            state.queue.counters.refused_stopped += 1;
            return TryEnqueueError::Stopped(item);
        }
        state.queue.counters.refused_full += 1;
        let call = state.press();
        self.release(state, call);
        TryEnqueueError::Full(item)
    }

    /// Takes the item in; if the queue is full, the oldest one that waits makes room.
    pub(crate) fn enqueue_or_evict(&self, item: T) -> Result<Option<T>, TryEnqueueError<T>> {
        let (bytes, lane) = self.placement.of(&item);
        let mut state = self.lock();
        if state.queue.mode != Mode::Running {
            return Err(self.refuse(state, item));
        }
        let evicted = if state.queue.room() > 0 {
            None
        } else {
            state.queue.evict()
        };
        // Batches put back for a retry may fill the queue beyond its capacity: the evicted item's
        // place is this one's even if there is no room yet.
        if evicted.is_none() && state.queue.room() == 0 {
            return Err(self.refuse(state, item));
        }
        let offered = state.queue.offer(item, bytes, lane, now);
        let call = state.call_for(offered, lane);
        self.release(state, call);
        Ok(evicted.map(|(evicted, ticket)| {
            if let Some(ticket) = ticket {
                ticket.refuse(&SubmitError::Evicted);
            }
            evicted
        }))
    }

    #[inline]
    pub(crate) fn enqueue_until(&self, item: T, until: Option<Instant>) -> Result<(), (T, NoRoom)> {
        let placed = self.placement.of(&item);
        match self.enqueue_at_once(item, placed) {
            Ok(()) => Ok(()),
            Err((item, state)) => {
                drop(state);
                self.enqueue_slowly(item, placed, until)
            }
        }
    }

    #[cold]
    fn enqueue_slowly(
        &self,
        item: T,
        placed: (usize, usize),
        until: Option<Instant>,
    ) -> Result<(), (T, NoRoom)> {
        let mut item = Some(item);
        self.with_room(until, |state| insert(state, &mut item, placed))
            .map_err(|reason| {
                (
                    item.expect("an item that was not inserted is still here"),
                    reason,
                )
            })
    }

    pub(crate) fn submit_until(
        &self,
        item: T,
        until: Option<Instant>,
    ) -> Result<Ticket<R>, (T, NoRoom)> {
        let placed = self.placement.of(&item);
        let item = match self.submit_at_once(item, placed) {
            Ok(ticket) => return Ok(ticket),
            Err((item, _)) => item,
        };
        let mut item = Some(item);
        self.with_room(until, |state| insert_ticketed(state, &mut item, placed))
            .map_err(|reason| {
                (
                    item.expect("an item that was not inserted is still here"),
                    reason,
                )
            })
    }

    /// Takes in all items that `pull` fills the chunk with, sleeping while the queue is full.
    pub(crate) fn enqueue_many(
        &self,
        items: impl IntoIterator<Item = T>,
    ) -> Result<usize, EnqueueManyError<T>> {
        let mut items = items.into_iter();
        let mut chunk = Chunk::default();
        let mut accepted = 0;
        loop {
            chunk.fill(&mut items, &self.placement);
            let count = chunk.items.len();
            if count == 0 {
                return Ok(accepted);
            }
            if self.with_room(None, |state| chunk.insert(state)).is_err() {
                accepted += count - chunk.items.len();
                return Err(EnqueueManyError {
                    accepted,
                    refused: chunk.items,
                });
            }
            accepted += count;
        }
    }

    /// Calls `insert` whenever the queue takes items and has room, until it is done; sleeps while
    /// there is none.
    #[inline]
    fn with_room<O>(
        &self,
        until: Option<Instant>,
        mut insert: impl FnMut(&mut State<T, R>) -> (Call, Option<O>),
    ) -> Result<O, NoRoom> {
        let mut state = self.lock();
        let mut spun = MODEL;
        let mut called = false;
        loop {
            if state.queue.mode != Mode::Running {
                state.queue.counters.refused_stopped += 1;
                return Err(NoRoom::Stopped);
            }
            if state.queue.room() > 0 {
                let (call, done) = insert(&mut state);
                if let Some(done) = done {
                    self.release(state, call);
                    return Ok(done);
                }
                if !matches!(call, Call::Nobody) {
                    self.release(state, call);
                    state = self.lock();
                    continue;
                }
            }
            if until.is_some_and(|until| now() >= until) {
                state.queue.counters.refused_full += 1;
                return Err(NoRoom::Timeout);
            }
            state.queue.pressed = !twin::is("full_unpressed");
            if !called {
                // One call is enough: the worker that comes sees that the queue is pressed.
                called = true;
                let call = state.press();
                if !spun || !matches!(call, Call::Nobody) {
                    self.release(state, call);
                    if !std::mem::replace(&mut spun, true) {
                        spin_while(|| self.shared.hints.full.load(Ordering::Relaxed));
                    }
                    state = self.lock();
                    continue;
                }
            }
            self.hint(&state);
            #[cfg(twins)]
            if twin::is("room_sleep_after_look") {
                state = self.gap(state);
            }
            state.room_threads += 1;
            state = self.sleep(&self.room, state, until);
            state.room_threads -= 1;
            called = false;
        }
    }
}

pub(crate) fn insert<T, R>(
    state: &mut State<T, R>,
    item: &mut Option<T>,
    (bytes, lane): (usize, usize),
) -> (Call, Option<()>) {
    let Some(item) = item.take() else {
        return (Call::Nobody, Some(()));
    };
    let offered = state.queue.offer(item, bytes, lane, now);
    (state.call_for(offered, lane), Some(()))
}

pub(crate) fn insert_ticketed<T, R>(
    state: &mut State<T, R>,
    item: &mut Option<T>,
    (bytes, lane): (usize, usize),
) -> (Call, Option<Ticket<R>>) {
    let Some(item) = item.take() else {
        return (Call::Nobody, None);
    };
    let (offered, ticket) = state.queue.submit(item, bytes, lane, now);
    (state.call_for(offered, lane), Some(ticket))
}

/// Items pulled out of an iterator and placed, so that neither happens under the lock.
pub(crate) struct Chunk<T> {
    pub(crate) items: Vec<T>,
    /// The placement of each, in order; empty if all weigh nothing and go to lane 0.
    placed: Vec<(usize, usize)>,
}

impl<T> Default for Chunk<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            placed: Vec::new(),
        }
    }
}

impl<T> Chunk<T> {
    pub(crate) fn fill(&mut self, items: &mut impl Iterator<Item = T>, placement: &Placement<T>) {
        if self.items.capacity() == 0 {
            self.items.reserve(items.size_hint().0.min(CHUNK));
        }
        self.items.extend(items.take(CHUNK));
        if !placement.is_trivial() {
            self.placed.clear();
            self.placed
                .extend(self.items.iter().map(|item| placement.of(item)));
        }
    }

    /// Inserts from the front what there is room for; done if that was all.
    pub(crate) fn insert<R>(&mut self, state: &mut State<T, R>) -> (Call, Option<()>) {
        let queue = &mut state.queue;
        let call = if self.placed.is_empty() {
            let offered = queue.offer_many(&mut self.items, now);
            state.call_for(offered, 0)
        } else {
            let count = queue.room().min(self.items.len());
            let mut wanted = false;
            for (item, (bytes, lane)) in self.items.drain(..count).zip(self.placed.drain(..count)) {
                let offered = state.queue.offer(item, bytes, lane, now);
                wanted |= state.wants_worker(offered, lane);
            }
            if wanted {
                state.crew.call()
            } else {
                Call::Nobody
            }
        };
        (call, self.items.is_empty().then_some(()))
    }
}
