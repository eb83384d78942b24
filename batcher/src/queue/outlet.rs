//! How batches leave the queue and come back: taken by workers, settled, evicted, returned by a stop.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Cause, Closed, Mode, Queue};
use crate::ticket::Tickets;

/// A batch in a worker's hands. It comes back through [`Queue::settle`], always.
pub(crate) struct Hand<T, R> {
    pub(crate) items: Vec<T>,
    pub(crate) tickets: Option<Tickets<R>>,
    /// Times it was given to the processor before this time.
    pub(crate) attempts: u32,
    epoch: u64,
    lane: u32,
    /// Items at `take`: what `in_process` counts it for.
    taken: usize,
}

/// What a worker did with its batch.
pub(crate) enum Settled<T, R> {
    /// It ended well. The items are dropped already; the empty Vec may be used again.
    Processed(Hand<T, R>),
    /// It failed for good: the items are dropped or handed over already.
    Failed { hand: Hand<T, R>, handed_over: bool },
    /// It is to be processed again, not before this moment.
    Retry(Hand<T, R>, Instant),
    /// Its halves are to be processed again.
    Split(Hand<T, R>),
    /// Nobody can decide about it: it is kept for the stop to return.
    SetAside(Hand<T, R>),
    #[cfg_attr(
        not(feature = "tokio"),
        expect(dead_code, reason = "only tasks are dropped")
    )]
    /// Its worker ended without touching it (a dropped task): it goes back to the front.
    GiveBack(Hand<T, R>),
}

impl<T, R> Settled<T, R> {
    /// Whether none of its items comes back into the queue.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Processed(_) | Self::Failed { .. })
    }
}

/// What a worker finds.
pub(crate) enum Take<T, R> {
    /// A batch.
    Batch(Hand<T, R>),
    /// Nothing yet; look again at this moment, or when called.
    Wait(Option<Instant>),
    /// Nothing, and nothing will come.
    Exit,
}

/// What a stop took out. The tickets are to be dropped after the lock: that tells their holders.
pub(crate) struct Returned<T, R> {
    pub(crate) items: Vec<T>,
    pub(crate) tickets: Vec<Tickets<R>>,
}

impl<T, R> Queue<T, R> {
    /// The next batch to process, if one is ready or due.
    pub(crate) fn take(&mut self, now: impl Fn() -> Instant) -> Take<T, R> {
        if self.mode == Mode::Stopped {
            return Take::Exit;
        }
        if let Some(hand) = self.take_closed(&now) {
            return Take::Batch(hand);
        }
        if self.ordered {
            return self.take_ordered(now);
        }
        if let Some(cause) = self.due(0, &now) {
            self.close(0, cause);
            return self.take(now);
        }
        self.wait_or_exit(self.lanes[0].assembly.deadline())
    }

    /// The next batch of those that are closed; the one under assembly is not looked at. Without an order by key.
    pub(crate) fn take_closed(&mut self, now: impl Fn() -> Instant) -> Option<Hand<T, R>> {
        if self.ordered || self.mode == Mode::Stopped {
            return None;
        }
        if let Some(hand) = self.take_rested(now) {
            return Some(hand);
        }
        let closed = self.lanes[0].closed.pop_front()?;
        Some(self.hand(closed))
    }

    /// A retry whose rest is over. The current time is asked for only if one rests.
    fn take_rested(&mut self, now: impl Fn() -> Instant) -> Option<Hand<T, R>> {
        let (index, _) = self
            .resting
            .iter()
            .enumerate()
            .min_by_key(|(_, (until, _))| *until)?;
        if self.resting[index].0 > now() {
            return None;
        }
        let (_, closed) = self.resting.swap_remove(index);
        self.held -= closed.items.len();
        Some(self.hand(closed))
    }

    fn take_ordered(&mut self, now: impl Fn() -> Instant) -> Take<T, R> {
        let lanes = self.lanes.len();
        let mut nearest = None::<Instant>;
        for step in 0..lanes {
            let index = (self.next_lane + step) % lanes;
            if self.lanes[index].busy {
                continue;
            }
            if let Some(until) = self.lanes[index].resting_until {
                if until > now() {
                    nearest = Some(nearest.map_or(until, |nearest| nearest.min(until)));
                    continue;
                }
                self.lanes[index].resting_until = None;
                self.held -= self.lanes[index]
                    .closed
                    .front()
                    .map_or(0, |front| front.items.len());
            }
            if self.lanes[index].closed.is_empty() {
                if let Some(cause) = self.due(index, &now) {
                    self.close(index, cause);
                } else if let Some(until) = self.lanes[index].assembly.deadline() {
                    nearest = Some(nearest.map_or(until, |nearest| nearest.min(until)));
                }
            }
            if let Some(closed) = self.lanes[index].closed.pop_front() {
                self.lanes[index].busy = !crate::twin::is("lane_not_busy");
                self.next_lane = (index + 1) % lanes;
                return Take::Batch(self.hand(closed));
            }
        }
        self.wait_or_exit(nearest)
    }

    /// Why the lane's batch under assembly should be closed now, if it should.
    fn due(&self, lane: usize, now: impl Fn() -> Instant) -> Option<Cause> {
        let slot = &self.lanes[lane];
        if slot.open.is_empty() {
            return None;
        }
        if self.mode != Mode::Running {
            return Some(Cause::Stop);
        }
        if self.adaptive {
            return Some(Cause::Idle);
        }
        if self.pressed {
            return Some(Cause::FullQueue);
        }
        slot.assembly
            .deadline()
            .filter(|deadline| *deadline <= now())
            .map(|_| Cause::Linger)
    }

    fn wait_or_exit(&self, deadline: Option<Instant>) -> Take<T, R> {
        if self.mode == Mode::Draining && self.queued == self.set_aside_items() {
            return Take::Exit;
        }
        let rested = self.resting.iter().map(|(until, _)| *until).min();
        Take::Wait(match (deadline, rested) {
            (Some(deadline), Some(rested)) => Some(deadline.min(rested)),
            (deadline, rested) => deadline.or(rested),
        })
    }

    fn hand(&mut self, closed: Closed<T, R>) -> Hand<T, R> {
        let taken = closed.items.len();
        self.queued -= taken;
        self.in_process += taken as u64;
        self.running += 1;
        Hand {
            items: Vec::from(closed.items),
            tickets: closed.tickets,
            attempts: closed.attempts,
            epoch: closed.epoch,
            lane: closed.lane,
            taken,
        }
    }

    /// Takes back what a worker had in its hands. True if a flush may be over.
    pub(crate) fn settle(&mut self, settled: Settled<T, R>) -> bool {
        let epoch = self.first_epoch;
        self.settle_batch(settled);
        self.first_epoch != epoch
    }

    fn settle_batch(&mut self, settled: Settled<T, R>) {
        self.running -= 1;
        let (Settled::Processed(hand)
        | Settled::Failed { hand, .. }
        | Settled::Retry(hand, _)
        | Settled::Split(hand)
        | Settled::SetAside(hand)
        | Settled::GiveBack(hand)) = &settled;
        let taken = hand.taken;
        let lane = hand.lane as usize;
        self.in_process -= taken as u64;
        self.lanes[lane].busy = false;
        match settled {
            Settled::Processed(hand) => {
                self.processed += taken as u64;
                self.end_batch(hand.epoch);
                debug_assert!(hand.items.is_empty(), "processed items are dropped before");
                self.keep_spare(hand.items);
            }
            Settled::Failed { hand, handed_over } => {
                self.counters.failed += taken as u64;
                if handed_over {
                    self.counters.handed_over += taken as u64;
                }
                self.end_batch(hand.epoch);
            }
            Settled::Retry(hand, until) => {
                self.counters.retries += 1;
                self.queued += taken;
                self.held += taken;
                let closed = Self::shut(hand);
                if self.ordered {
                    self.lanes[lane].resting_until = Some(until);
                    self.lanes[lane].closed.push_front(closed);
                } else {
                    self.resting.push((until, closed));
                }
            }
            Settled::Split(mut hand) => {
                self.counters.splits += 1;
                self.queued += taken;
                let middle = taken / 2;
                let items = hand.items.split_off(middle);
                let tickets = hand
                    .tickets
                    .as_mut()
                    .map(|tickets| tickets.split_off(middle));
                hand.attempts = 0;
                let first = Self::shut(hand);
                let (epoch, lane_number) = (first.epoch, first.lane);
                let second = Closed {
                    items: VecDeque::from(items),
                    tickets,
                    epoch,
                    lane: lane_number,
                    attempts: 0,
                };
                *self.outstanding_of(epoch) += 1;
                self.lanes[lane].closed.push_front(second);
                self.lanes[lane].closed.push_front(first);
            }
            Settled::SetAside(hand) => {
                self.queued += taken;
                self.held += taken;
                self.end_batch(hand.epoch);
                self.set_aside.push(Self::shut(hand));
            }
            Settled::GiveBack(hand) => {
                self.queued += taken;
                self.lanes[lane].closed.push_front(Self::shut(hand));
            }
        }
    }

    /// Keeps an empty Vec to assemble into: a few in any case, more while they are small.
    fn keep_spare(&mut self, items: Vec<T>) {
        const SMALL: usize = 4096;
        if size_of::<T>() == 0 {
            return; // such a Vec has room for everything, and is free
        }
        if self.mode == Mode::Running && self.next.capacity() == 0 {
            self.next = items;
            return;
        }
        let few = self.spare.len() <= self.lanes.len();
        let small = self.spare_items + items.capacity() <= SMALL && self.spare.len() < SMALL / 8;
        if self.mode == Mode::Running && items.capacity() > 0 && (few || small) {
            self.spare_items += items.capacity();
            self.spare.push(items);
        }
    }

    fn shut(hand: Hand<T, R>) -> Closed<T, R> {
        Closed {
            items: VecDeque::from(hand.items),
            tickets: hand.tickets,
            epoch: hand.epoch,
            lane: hand.lane,
            attempts: hand.attempts,
        }
    }

    /// Takes out the oldest item that waits in the lane with the longest queue, and its ticket,
    /// to be told after the lock. `None` if everything queued rests or is set aside.
    pub(crate) fn evict(&mut self) -> Option<(T, Option<Tickets<R>>)> {
        let lane = (0..self.lanes.len())
            .filter(|lane| self.lanes[*lane].resting_until.is_none())
            .max_by_key(|lane| (self.lanes[*lane].closed.len(), self.lanes[*lane].open.len()))?;
        if self.lanes[lane].closed.is_empty() {
            if self.lanes[lane].open.is_empty() {
                return None;
            }
            self.close(lane, Cause::FullQueue);
        }
        let front = self.lanes[lane].closed.front_mut()?;
        let item = front.items.pop_front()?;
        let ticket = front.tickets.as_mut().map(Tickets::split_first);
        let (empty, epoch) = (front.items.is_empty(), front.epoch);
        if empty {
            self.lanes[lane].closed.pop_front();
            self.end_batch(epoch);
        }
        self.queued -= 1;
        self.counters.evicted += 1;
        Some((item, ticket))
    }

    /// Takes out everything that is in no worker's hands, oldest first, and stops.
    pub(crate) fn take_all(&mut self) -> Returned<T, R> {
        self.mode = Mode::Stopped;
        self.pressed = false;
        let mut returned = Returned {
            items: Vec::new(),
            tickets: Vec::new(),
        };
        let mut epochs = Vec::new();
        let keep = |closed: Closed<T, R>, returned: &mut Returned<T, R>| {
            returned.items.extend(closed.items);
            returned.tickets.extend(closed.tickets);
        };
        for closed in self.set_aside.drain(..) {
            keep(closed, &mut returned);
        }
        for (_, closed) in self.resting.drain(..) {
            epochs.push(closed.epoch);
            keep(closed, &mut returned);
        }
        for slot in self.lanes.iter_mut() {
            slot.resting_until = None;
            for closed in slot.closed.drain(..) {
                epochs.push(closed.epoch);
                keep(closed, &mut returned);
            }
            if !slot.open.is_empty() {
                slot.assembly.reset();
                returned.items.append(&mut slot.open);
                returned.tickets.extend(slot.tickets.take());
            }
        }
        for epoch in epochs {
            self.end_batch(epoch);
        }
        self.queued = 0;
        self.held = 0;
        self.next = Vec::new();
        self.spare.clear();
        self.spare_items = 0;
        self.counters.returned += returned.items.len() as u64;
        returned
    }
}
