//! The queue: batches under assembly, closed ones, and those that rest before a retry.
//!
//! Pure: it never waits, never reads a clock (`now` is passed in) and never runs user code, so it
//! can stand whole behind one lock with critical sections of tens of nanoseconds. Who waits for
//! what is [`Core`](crate::core::Core)'s business.
//!
//! ```text
//!            lane            one lane; with an order by key one per worker, a key always in the same
//!   offer ─► open [a b c]    the only batch under assembly; closed by items, bytes, linger, …
//!               │ close: the whole Vec moves, no item does
//!               ▼
//!            closed [..][..] ─► take ─► a worker ─► settle: processed, failed, or back:
//!               ▲                                     │
//!               └──────────── resting ◄───────────────┘ until its backoff is over
//! ```
//!
//! # Invariants
//!
//! - **Q1** Every accepted item is in exactly one place: `open`, `closed`, `resting`, `set_aside` or
//!   a worker's hands; it leaves through `settle`, `evict` or `take_all`, and each of them counts it.
//! - **Q2** `queued` is the items in `open`, `closed`, `resting` and `set_aside`; new items are
//!   offered only while `queued < capacity`.
//! - **Q3** With an order by key, a lane has at most one batch in a worker's hands or resting, and
//!   its later batches wait behind it.
//! - **Q4** `outstanding` counts, per flush epoch, the batches from their first item to their end.

use std::collections::VecDeque;
use std::time::Instant;

use crate::batch::{Assembly, BatchLimits, Verdict};
use crate::counters::Counters;
use crate::ticket::{Ticket, Tickets};

/// A closed batch, or what is left of one.
pub(crate) struct Closed<T, R> {
    /// A deque for the sake of `evict`; its items always lie in one piece.
    items: VecDeque<T>,
    tickets: Option<Tickets<R>>,
    epoch: u64,
    lane: u32,
    attempts: u32,
}

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

/// What a worker finds.
pub(crate) enum Take<T, R> {
    /// A batch.
    Batch(Hand<T, R>),
    /// Nothing yet; look again at this moment, or when called.
    Wait(Option<Instant>),
    /// Nothing, and nothing will come.
    Exit,
}

/// Whether items are taken in and given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// Both.
    Running,
    /// Not taken in any more; what is there is processed.
    Draining,
    /// Neither.
    Stopped,
}

/// Why a batch was closed.
#[derive(Debug, Clone, Copy)]
enum Cause {
    Items,
    Bytes,
    Linger,
    Idle,
    FullQueue,
    Flush,
    Stop,
}

struct Lane<T, R> {
    open: Vec<T>,
    assembly: Assembly,
    tickets: Option<Tickets<R>>,
    /// The flush epoch of the open batch.
    epoch: u64,
    closed: VecDeque<Closed<T, R>>,
    /// Q3: one of its batches is in a worker's hands. Not used without an order by key.
    busy: bool,
    /// Q3: its front batch rests until then.
    resting_until: Option<Instant>,
}

pub(crate) struct Queue<T, R> {
    lanes: Vec<Lane<T, R>>,
    /// Where the search for work goes on, so that no lane starves.
    next_lane: usize,
    /// Retries of the unordered form, at most one per worker.
    resting: Vec<(Instant, Closed<T, R>)>,
    set_aside: Vec<Closed<T, R>>,
    /// Q4: the first entry is the epoch `first_epoch`, the last the current one.
    outstanding: VecDeque<usize>,
    first_epoch: u64,
    pub(crate) mode: Mode,
    /// Somebody found the queue full and it has not had room since.
    pub(crate) pressed: bool,
    ordered: bool,
    adaptive: bool,
    capacity: usize,
    queued: usize,
    /// Items of `queued` that no worker can take now: set aside or resting.
    held: usize,
    /// Batches in workers' hands.
    pub(crate) running: usize,
    /// Empty Vecs to assemble into.
    spare: Vec<Vec<T>>,
    /// How long the last closed batch was: what the next one makes room for.
    typical: usize,
    pub(crate) counters: Counters,
}

/// What offering an item changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offered {
    /// A batch was closed.
    pub(crate) closed: bool,
    /// The item is the first of a batch that is still open.
    pub(crate) first: bool,
}

impl<T, R> Queue<T, R> {
    /// `ordered_lanes` asks for an order within each of so many lanes.
    pub(crate) fn new(
        limits: &BatchLimits,
        capacity: usize,
        ordered_lanes: Option<usize>,
        adaptive: bool,
    ) -> Self {
        let lanes = ordered_lanes.unwrap_or(1).max(1);
        let empty = || Lane {
            open: Vec::new(),
            assembly: Assembly::new(limits.clone()),
            tickets: None,
            epoch: 0,
            closed: VecDeque::new(),
            busy: false,
            resting_until: None,
        };
        Self {
            lanes: std::iter::repeat_with(empty).take(lanes).collect(),
            next_lane: 0,
            resting: Vec::new(),
            set_aside: Vec::new(),
            outstanding: VecDeque::from([0]),
            first_epoch: 0,
            mode: Mode::Running,
            pressed: false,
            ordered: ordered_lanes.is_some(),
            adaptive,
            capacity,
            queued: 0,
            held: 0,
            running: 0,
            spare: Vec::new(),
            typical: 4,
            counters: Counters::default(),
        }
    }

    pub(crate) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.queued)
    }

    /// Whether waiting enqueuers should be called: at half the capacity, so that they come back
    /// once for many items.
    pub(crate) fn has_ample_room(&self) -> bool {
        let usable = self.capacity.saturating_sub(self.held);
        self.room() > 0 && (self.queued - self.held) * 2 <= usable
    }

    /// Whether a batch under assembly should not wait for its linger: a worker looking for work
    /// takes it at once.
    pub(crate) fn wants_open_at_once(&self) -> bool {
        self.adaptive || self.mode != Mode::Running || self.pressed
    }

    /// Takes an item in. The caller has seen `mode` and `room` under the same lock.
    pub(crate) fn offer(
        &mut self,
        item: T,
        bytes: usize,
        lane: usize,
        now: impl Fn() -> Instant,
    ) -> Offered {
        self.place(item, bytes, lane, now, |_| ())
    }

    /// [`offer`](Self::offer) with a ticket for the item's result.
    pub(crate) fn submit(
        &mut self,
        item: T,
        bytes: usize,
        lane: usize,
        now: impl Fn() -> Instant,
    ) -> (Offered, Ticket<R>) {
        let mut issued = None;
        let offered = self.place(item, bytes, lane, now, |slot| {
            let position = slot.open.len();
            issued = Some(
                slot.tickets
                    .get_or_insert_with(Tickets::new)
                    .issue(position),
            );
        });
        (offered, issued.expect("`place` runs the closure once"))
    }

    #[inline]
    fn place(
        &mut self,
        item: T,
        bytes: usize,
        lane: usize,
        now: impl Fn() -> Instant,
        before_push: impl FnOnce(&mut Lane<T, R>),
    ) -> Offered {
        let mut offered = Offered {
            closed: false,
            first: false,
        };
        let mut verdict = self.lanes[lane].assembly.add_at(bytes, &now);
        if verdict == Verdict::CloseBefore {
            self.close(lane, Cause::Bytes);
            offered.closed = true;
            verdict = self.lanes[lane].assembly.add_at(bytes, &now);
        }
        if self.lanes[lane].open.is_empty() {
            self.begin(lane);
            offered.first = true;
        }
        let slot = &mut self.lanes[lane];
        before_push(slot);
        slot.open.push(item);
        self.queued += 1;
        self.counters.accepted += 1;
        if verdict == Verdict::Close {
            let full = slot.assembly.items() >= slot.assembly.limits().max_items();
            self.close(lane, if full { Cause::Items } else { Cause::Bytes });
            offered = Offered {
                closed: true,
                first: false,
            };
        }
        offered
    }

    /// Takes in as many weightless items as there is room for, from the front of `items`.
    pub(crate) fn offer_many(&mut self, items: &mut Vec<T>, now: impl Fn() -> Instant) -> Offered {
        let mut offered = Offered {
            closed: false,
            first: false,
        };
        while self.room() > 0 && !items.is_empty() {
            if self.lanes[0].open.is_empty() {
                self.begin(0);
                offered.first = true;
            }
            let room = self.room();
            let slot = &mut self.lanes[0];
            let count = items.len().min(room).min(slot.assembly.room());
            let verdict = slot.assembly.add_weightless(count, &now);
            if count == items.len() && slot.open.is_empty() && slot.open.capacity() < count {
                slot.open.append(items);
            } else {
                slot.open.extend(items.drain(..count));
            }
            self.queued += count;
            self.counters.accepted += count as u64;
            if verdict == Verdict::Close {
                self.close(0, Cause::Items);
                offered = Offered {
                    closed: true,
                    first: false,
                };
            }
        }
        offered
    }

    /// Starts a batch in this lane.
    fn begin(&mut self, lane: usize) {
        let slot = &mut self.lanes[lane];
        if let Some(current) = self.outstanding.back_mut() {
            *current += 1;
        }
        slot.epoch = self.first_epoch + (self.outstanding.len() as u64 - 1);
        if slot.open.capacity() == 0 {
            slot.open = self.spare.pop().unwrap_or_default();
            let wanted = self.typical.min(slot.assembly.limits().max_items());
            if slot.open.capacity() == 0 {
                slot.open.reserve_exact(wanted);
            }
        }
    }

    fn close(&mut self, lane: usize, cause: Cause) {
        let slot = &mut self.lanes[lane];
        debug_assert!(!slot.open.is_empty(), "an empty batch is never closed");
        let items = std::mem::take(&mut slot.open);
        self.typical = items.len();
        slot.assembly.reset();
        let tickets = slot.tickets.take();
        slot.closed.push_back(Closed {
            items: VecDeque::from(items),
            tickets,
            epoch: slot.epoch,
            lane: lane as u32,
            attempts: 0,
        });
        let counters = &mut self.counters;
        *match cause {
            Cause::Items => &mut counters.closed_by_items,
            Cause::Bytes => &mut counters.closed_by_bytes,
            Cause::Linger => &mut counters.closed_by_linger,
            Cause::Idle => &mut counters.closed_by_idle,
            Cause::FullQueue => &mut counters.closed_by_full_queue,
            Cause::Flush => &mut counters.closed_by_flush,
            Cause::Stop => &mut counters.closed_by_stop,
        } += 1;
    }

    /// Closes every batch under assembly and starts a new epoch, which is returned: see
    /// [`is_flushed`](Self::is_flushed).
    pub(crate) fn flush(&mut self) -> u64 {
        for lane in 0..self.lanes.len() {
            if !self.lanes[lane].open.is_empty() {
                self.close(lane, Cause::Flush);
            }
        }
        if self.outstanding.back().is_some_and(|batches| *batches > 0) {
            self.outstanding.push_back(0);
        }
        self.first_epoch + (self.outstanding.len() as u64 - 1)
    }

    /// Whether everything taken in before this epoch began is done.
    pub(crate) fn is_flushed(&self, epoch: u64) -> bool {
        self.first_epoch >= epoch
    }

    fn end_batch(&mut self, epoch: u64) {
        let index = (epoch - self.first_epoch) as usize;
        self.outstanding[index] -= 1;
        while self.outstanding.len() > 1 && self.outstanding[0] == 0 {
            self.outstanding.pop_front();
            self.first_epoch += 1;
        }
    }

    /// The next batch to process, if one is ready or due.
    pub(crate) fn take(&mut self, now: impl Fn() -> Instant) -> Take<T, R> {
        if self.mode == Mode::Stopped {
            return Take::Exit;
        }
        if let Some(hand) = self.take_rested(&now) {
            return Take::Batch(hand);
        }
        if self.ordered {
            return self.take_ordered(now);
        }
        if let Some(closed) = self.lanes[0].closed.pop_front() {
            return Take::Batch(self.hand(closed));
        }
        if let Some(cause) = self.due(0, &now) {
            self.close(0, cause);
            return self.take(now);
        }
        self.wait_or_exit(self.lanes[0].assembly.deadline())
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
                self.lanes[index].busy = true;
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
        self.counters.in_process += taken as u64;
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
        self.first_epoch != epoch || self.outstanding == [0]
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
        self.counters.in_process -= taken as u64;
        self.lanes[lane].busy = false;
        match settled {
            Settled::Processed(hand) => {
                self.counters.processed += taken as u64;
                self.end_batch(hand.epoch);
                if self.spare.len() < self.lanes.len() + 2 && self.mode == Mode::Running {
                    debug_assert!(hand.items.is_empty(), "processed items are dropped before");
                    self.spare.push(hand.items);
                }
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
                self.outstanding[(epoch - self.first_epoch) as usize] += 1;
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
        for slot in &mut self.lanes {
            slot.resting_until = None;
            for closed in slot.closed.drain(..) {
                epochs.push(closed.epoch);
                keep(closed, &mut returned);
            }
            if !slot.open.is_empty() {
                epochs.push(slot.epoch);
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
        self.spare.clear();
        self.counters.returned += returned.items.len() as u64;
        returned
    }

    /// Takes the tickets of everything queued, for whoever tells their holders.
    pub(crate) fn take_tickets(&mut self) -> Vec<Tickets<R>> {
        let resting = self.resting.iter_mut().map(|(_, closed)| closed);
        let mut tickets: Vec<_> = resting.filter_map(|closed| closed.tickets.take()).collect();
        for slot in &mut self.lanes {
            tickets.extend(
                slot.closed
                    .iter_mut()
                    .filter_map(|closed| closed.tickets.take()),
            );
            tickets.extend(slot.tickets.take());
        }
        tickets.extend(
            self.set_aside
                .iter_mut()
                .filter_map(|closed| closed.tickets.take()),
        );
        tickets
    }

    /// Whether nothing is left for a worker, now and later.
    pub(crate) fn is_drained(&self) -> bool {
        match self.mode {
            Mode::Running => false,
            Mode::Draining => self.queued == self.set_aside_items() && self.running == 0,
            Mode::Stopped => true,
        }
    }

    fn set_aside_items(&self) -> usize {
        self.set_aside.iter().map(|closed| closed.items.len()).sum()
    }

    /// Whether a worker that looked now would find a closed batch.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        if self.ordered {
            let mut free = self.lanes.iter().filter(|slot| Self::is_free(slot));
            free.any(|slot| !slot.closed.is_empty())
        } else {
            !self.lanes[0].closed.is_empty()
        }
    }

    fn is_free(slot: &Lane<T, R>) -> bool {
        !slot.busy && slot.resting_until.is_none()
    }

    /// Whether a batch closed in this lane could be taken, or waits behind another (Q3).
    #[inline]
    pub(crate) fn lane_is_free(&self, lane: usize) -> bool {
        Self::is_free(&self.lanes[lane])
    }

    pub(crate) fn open_deadline(&self, lane: usize) -> Option<Instant> {
        self.lanes[lane].assembly.deadline()
    }

    /// The nearest moment at which something is due that no worker has been told of.
    pub(crate) fn nearest_deadline(&self) -> Option<Instant> {
        let lanes = self.lanes.iter().filter(|slot| !slot.busy);
        lanes
            .flat_map(|slot| [slot.assembly.deadline(), slot.resting_until])
            .chain(self.resting.iter().map(|(until, _)| Some(*until)))
            .flatten()
            .min()
    }

    pub(crate) fn snapshot(&self) -> Counters {
        let mut counters = self.counters;
        counters.queued = self.queued as u64;
        counters.set_aside = self.set_aside_items() as u64;
        counters
    }
}

/// What a stop took out. The tickets are to be dropped after the lock: that tells their holders.
pub(crate) struct Returned<T, R> {
    pub(crate) items: Vec<T>,
    pub(crate) tickets: Vec<Tickets<R>>,
}
