//! The subscriptions of a topic, and what those that are no more were given.

use crate::follower::Follower;
use crate::meter::{Meter, Reading, Total};
use crate::slab::Slab;
use crate::sync::{Arc, Mutex, MutexGuard, lock};

#[derive(Debug, Default)]
pub(crate) struct Followers(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    present: Slab<Arc<Follower>>,
    past: Total,
}

/// A subscription's number, its ledger, and what its consumer calls itself.
pub(super) type Seen = (u32, Reading, Option<std::sync::Arc<str>>);

impl Followers {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        lock(&self.0)
    }

    /// Counts a subscription in.
    pub(crate) fn join(&self, follower: &Arc<Follower>) -> u32 {
        self.lock().present.insert(Arc::clone(follower))
    }

    pub(crate) fn leave(&self, number: u32) {
        let mut counted = self.lock();
        if let Some(follower) = counted.present.remove(number) {
            counted.past.add(&follower.meter.read());
        }
    }

    /// A subscription's ledger starts again at `start`: what it was given before still counts for the topic.
    pub(crate) fn restart(&self, meter: &Meter, start: u64) {
        let mut counted = self.lock();
        counted.past.add(&meter.read());
        meter.restart(start);
    }

    /// How many there are, and what all that there ever were have been given.
    pub(super) fn count(&self) -> (usize, Total) {
        let counted = self.lock();
        let mut given = counted.past;
        for follower in counted.present.iter() {
            given.add(&follower.meter.read());
        }
        (counted.present.len(), given)
    }

    /// All of them. Read under the lock: once a follower has left, its ledger may be another subscription's.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let seen = |(number, follower): (u32, &Arc<Follower>)| {
            (number, follower.meter.read(), follower.signal().label())
        };
        self.lock().present.numbered().map(seen).collect()
    }
}
