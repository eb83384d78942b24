//! One topic of one consumer: a position in it, and what is to be said before reading goes on.
//!
//! ```text
//!                  ┌─ created again ─► Resetting ─┐
//!                  │                              ▼
//!   Ended ◄─ topic deleted ───────────────── Following ── stop reached, or deleted before it ──► Stopped
//! ```
//!
//! Items come one at a time and in order; a step that gives an item has moved the position with it, so
//! whoever drops a wait loses nothing.

use std::sync::Arc;

use ringbuf_core::{ByteReader, TryReadError};

use crate::epoch::Epoch;
use crate::error::SeekError;
use crate::filter::Filter;
use crate::follower::Follower;
use crate::item::{End, EndReason, Filtered, Item, Lost, Reset};
use crate::records::Records;
use crate::registry::{Births, Registry};
use crate::start::{Position, StartAt, StopAt, SubscribeOptions, Subscribed};
use crate::sync;
use crate::topic::Topic;
use crate::wait::Seat;

/// A stop that is never reached.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Subscription {
    topic: Arc<Topic>,
    reader: ByteReader,
    follower: sync::Arc<Follower>,
    /// Among the topic's followers.
    seat: Seat,
    pub(crate) paused: bool,
    /// A pattern took it up.
    pub(crate) by_pattern: bool,
    /// `None`: it follows the whole topic, without a stop. Boxed: most do, and each has the room for it.
    special: Option<Box<Special>>,
}

/// What most subscriptions do without.
#[derive(Debug)]
struct Special {
    stop: u64,
    filter: Option<Filter>,
    state: State,
}

impl Default for Special {
    fn default() -> Self {
        Self {
            stop: NEVER,
            filter: None,
            state: State::Following,
        }
    }
}

#[derive(Debug)]
enum State {
    Following,
    /// The next item says that the life before was `old`.
    Resetting {
        old: Epoch,
    },
    Ended(Ended),
    Stopped,
}

/// The topic was deleted; another of its name may be created.
#[derive(Debug)]
struct Ended {
    /// What was counted when the name was last looked up.
    births: u64,
    /// Among those that are woken by a creation; taken at the first wait.
    seat: Option<Seat>,
}

impl Subscription {
    pub(crate) fn new(
        topic: Arc<Topic>,
        options: SubscribeOptions,
        follower: sync::Arc<Follower>,
    ) -> Result<Self, SeekError> {
        let SubscribeOptions {
            start,
            stop,
            filter,
        } = options;
        let (position, old) = resolve(&topic, start)?;
        let stop = match stop {
            StopAt::Never => NEVER,
            StopAt::Offset(offset) if old.is_none() => offset,
            StopAt::End | StopAt::Offset(_) => topic.ring.tail(),
        };
        follower.meter.restart(position);
        let seat = topic.followers.join(&follower);
        let reader = topic.ring.reader(position);
        let is_special = stop != NEVER || filter.is_some();
        let mut subscription = Self {
            topic,
            reader,
            follower,
            seat,
            paused: false,
            by_pattern: false,
            special: is_special.then(|| {
                Box::new(Special {
                    stop,
                    filter,
                    state: State::Following,
                })
            }),
        };
        subscription.begin(old);
        Ok(subscription)
    }

    /// Where it stops.
    #[inline]
    fn stop(&self) -> u64 {
        self.special.as_ref().map_or(NEVER, |special| special.stop)
    }

    #[inline]
    fn state(&self) -> &State {
        let special = self.special.as_ref();
        special.map_or(&State::Following, |special| &special.state)
    }

    fn set_state(&mut self, state: State) {
        self.special.get_or_insert_default().state = state;
    }

    /// Follows the topic from its position on; after a reset, if the life before was another.
    fn begin(&mut self, old: Option<Epoch>) {
        match (old, &mut self.special) {
            (Some(old), _) => self.set_state(State::Resetting { old }),
            (None, Some(special)) => special.state = State::Following,
            (None, None) => {}
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.topic.name
    }

    pub(crate) fn position(&self) -> Position {
        Position {
            epoch: self.topic.epoch,
            next_offset: self.reader.position(),
        }
    }

    pub(crate) fn subscribed(&self) -> Subscribed {
        Subscribed {
            epoch: self.topic.epoch,
            next_offset: self.reader.position(),
            stop_offset: Some(self.stop()).filter(|&stop| stop != NEVER),
        }
    }

    pub(crate) fn lag(&self) -> u64 {
        self.topic
            .ring
            .tail()
            .saturating_sub(self.reader.position())
    }

    /// About how many encoded bytes are there to be read.
    pub(crate) fn available_bytes(&self) -> u64 {
        if self.paused || self.is_finished() {
            return 0;
        }
        let ring = &self.topic.ring;
        let next = self.reader.position();
        let end = ring.tail().min(self.stop());
        let records = end.saturating_sub(next.max(ring.oldest()));
        records.saturating_mul(self.topic.mean_record_bytes())
    }

    /// Its topic was deleted, and no other of that name has been seen.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state(), State::Ended(_))
    }

    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.state(), State::Stopped)
    }

    /// Moves on to another place of the topic.
    pub(crate) fn seek(&mut self, start: StartAt) -> Result<Subscribed, SeekError> {
        if self.topic.ring.is_closed() {
            return Err(SeekError::TopicDeleted {
                topic: Arc::clone(self.name()),
            });
        }
        let (position, old) = resolve(&self.topic, start)?;
        self.reader.seek(position);
        self.topic.followers.restart(&self.follower.meter, position);
        self.begin(old);
        Ok(self.subscribed())
    }

    /// The next item, if there is one now.
    pub(crate) fn try_next(
        &mut self,
        registry: &Registry,
        max_records: usize,
        max_bytes: usize,
    ) -> Option<Item> {
        if self.paused {
            return None;
        }
        match *self.state() {
            State::Following => self.read(registry, max_records, max_bytes),
            State::Stopped => None,
            State::Resetting { old } => {
                self.set_state(State::Following);
                Some(self.reset(old))
            }
            State::Ended(_) => self.look_for_successor(registry),
        }
    }

    #[inline]
    fn read(&mut self, registry: &Registry, max_records: usize, max_bytes: usize) -> Option<Item> {
        self.topic.expire_if_due();
        let position = self.reader.position();
        if position < self.topic.floor() {
            self.reader.seek(position); // lets go of what it holds: a reader lapped twice keeps a segment
        }
        let left = self.stop().saturating_sub(position);
        if left == 0 {
            self.set_state(State::Stopped);
            self.seat.disarm();
            return Some(self.end(EndReason::Stopped));
        }
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let filter = self.special.as_ref().and_then(|s| s.filter.as_ref());
        // A filter walks what the segment has, and keeps to the limits itself.
        let (at_most, bytes_at_most) = match filter {
            None => (left.min(max_records), max_bytes),
            Some(_) => (left, usize::MAX),
        };
        match self.reader.try_read(at_most, bytes_at_most) {
            Ok(mut run) => {
                let (topic, epoch) = (Arc::clone(&self.topic.name), self.topic.epoch);
                if let Some(filter) = filter {
                    let stretch = filter.first_stretch(run.bytes(), max_records, max_bytes);
                    if !stretch.matches {
                        let from = run.base();
                        let to = from + stretch.records as u64;
                        self.reader.seek(to);
                        self.follower.meter.filtered_to(to);
                        return Some(Item::Filtered(Filtered::new(topic, epoch, from, to)));
                    }
                    run = run.shortened(stretch.records, usize::MAX);
                }
                let records = Records::from_run(topic, epoch, run);
                if filter.is_some() {
                    self.reader.seek(records.next_offset());
                }
                self.follower.meter.delivered_to(records.next_offset());
                Some(Item::Records(records))
            }
            Err(TryReadError::Empty) => None,
            Err(TryReadError::Lapped { from, to }) => Some(self.lapped(from, to)),
            Err(TryReadError::Closed) => Some(self.deleted(registry)),
        }
    }

    #[cold]
    fn lapped(&mut self, from: u64, to: u64) -> Item {
        let until = to.min(self.stop());
        if until < to {
            self.reader.seek(until); // what lies behind the stop is not this subscription's loss
        }
        self.follower.meter.lost_to(until);
        Item::Lost(Lost::new(
            Arc::clone(self.name()),
            self.topic.epoch,
            from,
            until,
        ))
    }

    #[cold]
    fn deleted(&mut self, registry: &Registry) -> Item {
        self.seat.disarm();
        self.set_state(if self.stop() == NEVER {
            // The successor may be there already: the first look must not be skipped.
            let births = registry.births_of(self.name()).count();
            State::Ended(Ended {
                births: births.wrapping_sub(1),
                seat: None,
            })
        } else {
            State::Stopped
        });
        self.end(EndReason::Deleted)
    }

    fn look_for_successor(&mut self, registry: &Registry) -> Option<Item> {
        let Some(State::Ended(ended)) = self.special.as_mut().map(|s| &mut s.state) else {
            return None;
        };
        let announced = registry.births_of(&self.topic.name);
        let count = announced.count();
        if count == ended.births {
            return None;
        }
        ended.births = count;
        let successor = registry
            .find(&self.topic.name)
            .filter(|t| t.epoch != self.topic.epoch)?;
        ended.leave(announced);
        self.topic.followers.leave(&self.seat);
        let old = std::mem::replace(&mut self.topic, successor).epoch;
        self.follower.meter.restart(0);
        self.seat = self.topic.followers.join(&self.follower);
        self.reader = self.topic.ring.reader(0);
        self.set_state(State::Following);
        Some(self.reset(old))
    }

    fn reset(&self, old: Epoch) -> Item {
        let Position { epoch, next_offset } = self.position();
        Item::Reset(Reset::new(Arc::clone(self.name()), old, epoch, next_offset))
    }

    fn end(&self, reason: EndReason) -> Item {
        let Position { epoch, next_offset } = self.position();
        Item::End(End::new(
            Arc::clone(self.name()),
            epoch,
            next_offset,
            reason,
        ))
    }

    /// Whether it is this follower whose ledger it writes.
    pub(crate) fn is_of(&self, follower: &sync::Arc<Follower>) -> bool {
        sync::Arc::ptr_eq(&self.follower, follower)
    }

    /// Has the consumer woken by whatever could give an item.
    pub(crate) fn arm(&mut self, registry: &Registry) {
        if self.paused {
            return;
        }
        let state = self.special.as_mut().map(|special| &mut special.state);
        match state {
            None | Some(State::Following) => self.topic.followers.waits.arm(&self.seat),
            Some(State::Ended(ended)) => {
                let waits = &registry.births_of(&self.topic.name).waits;
                let seat = ended.seat.get_or_insert_with(|| waits.join(&self.follower));
                waits.arm(seat);
            }
            Some(State::Resetting { .. } | State::Stopped) => {}
        }
    }

    /// Whether it was [armed](Self::arm) and no longer is: whoever has its bit takes the consumer's waker.
    pub(crate) fn was_woken(&self) -> bool {
        match self.state() {
            _ if self.paused => false,
            State::Following => !self.seat.is_armed(),
            State::Ended(ended) => ended.seat.as_ref().is_some_and(|seat| !seat.is_armed()),
            State::Resetting { .. } | State::Stopped => false,
        }
    }

    /// Takes it out of all lists; to be called once, before it is dropped.
    pub(crate) fn leave(&mut self, registry: &Registry) {
        if let Some(State::Ended(ended)) = self.special.as_mut().map(|s| &mut s.state) {
            ended.leave(registry.births_of(&self.topic.name));
        }
        self.topic.followers.leave(&self.seat);
    }
}

impl Ended {
    fn leave(&mut self, announced: &Births) {
        if let Some(seat) = self.seat.take() {
            announced.waits.leave(&seat);
        }
    }
}

/// Where `start` is in the topic, and the life before if the consumer has to be told of a reset.
fn resolve(topic: &Topic, start: StartAt) -> Result<(u64, Option<Epoch>), SeekError> {
    let ring = &topic.ring;
    let within = |offset: u64| {
        // The oldest first: it never passes an end that is read after it.
        let start_offset = ring.oldest();
        let end_offset = ring.tail();
        if offset > end_offset {
            return Err(SeekError::OffsetOutOfRange {
                offset,
                start_offset,
                end_offset,
            });
        }
        Ok((offset, None))
    };
    match start {
        StartAt::Earliest => Ok((ring.oldest(), None)),
        StartAt::Latest => Ok((ring.tail(), None)),
        StartAt::Offset(offset) => within(offset),
        StartAt::OffsetIn { epoch, offset } if epoch == topic.epoch => within(offset),
        StartAt::OffsetIn { epoch, .. } => Err(SeekError::EpochMismatch {
            requested: epoch,
            current: topic.epoch,
        }),
        StartAt::Timestamp(timestamp_us) => Ok((topic.offset_at(timestamp_us), None)),
        StartAt::Last(records) => {
            let oldest = ring.oldest();
            Ok((ring.tail().saturating_sub(records).max(oldest), None))
        }
        StartAt::Resume { epoch, next_offset } if epoch == topic.epoch => within(next_offset),
        StartAt::Resume { epoch, .. } => Ok((0, Some(epoch))),
    }
}
