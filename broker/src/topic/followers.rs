//! Who follows a topic: whom a publication wakes, and what all of them have been given.

use crate::follower::Follower;
use crate::meter::{Meter, Reading, Total};
use crate::sync::{Arc, Mutex, lock};
use crate::wait::{Seat, WaitSet};

/// The subscriptions of a topic, each with a seat among those that a publication wakes.
#[derive(Debug)]
pub(crate) struct Followers {
    pub(crate) waits: WaitSet,
    /// What those that are no more were given. Its lock is taken before that of the seats.
    past: Mutex<Total>,
}

/// A subscription's number, its ledger, and what its consumer calls itself.
pub(super) type Seen = (u32, Reading, Option<std::sync::Arc<str>>);

impl Followers {
    pub(super) fn new() -> Self {
        Self {
            waits: WaitSet::new(),
            past: Mutex::default(),
        }
    }

    /// Counts a subscription in.
    pub(crate) fn join(&self, follower: &Arc<Follower>) -> Seat {
        self.waits.join(follower)
    }

    pub(crate) fn leave(&self, seat: &Seat) {
        let mut past = lock(&self.past);
        if let Some(follower) = self.waits.leave(seat) {
            past.add(&follower.meter.read());
        }
    }

    /// A subscription's ledger starts again at `start`: what it was given before still counts for the topic.
    pub(crate) fn restart(&self, meter: &Meter, start: u64) {
        let mut past = lock(&self.past);
        past.add(&meter.read());
        meter.restart(start);
    }

    /// How many there are, and what all that there ever were have been given.
    pub(super) fn count(&self) -> (usize, Total) {
        let past = lock(&self.past);
        let mut given = *past;
        self.waits.look(|present| {
            for follower in present.iter() {
                given.add(&follower.meter.read());
            }
            (present.len(), given)
        })
    }

    /// All of them. Read under the lock: once a follower has left, its ledger may be another subscription's.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = |(number, follower): (u32, &Arc<Follower>)| {
            (number, follower.meter.read(), follower.signal().label())
        };
        self.waits
            .look(|present| present.numbered().map(seen).collect())
    }
}
