//! The epoch: which life of a topic an offset belongs to.
//!
//! Offsets start at 0 again when a topic is deleted and created, or when the process starts again. An
//! offset says something only together with the epoch that it was handed out with. Epochs are random,
//! not counted: a counter would start again with the process and give two lives the same number.

use std::fmt;
use std::hash::BuildHasher;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies one life of one topic; offsets of different epochs have nothing to do with each other.
///
/// Random, never 0, and below 2^53 so that every language's JSON numbers carry it exactly.
///
/// ```
/// use footman_broker::{Broker, BrokerOptions, TopicOptions};
///
/// let broker = Broker::new(BrokerOptions::default())?;
/// let first = broker.create_topic("orders", TopicOptions::default())?.epoch;
/// broker.delete_topic("orders")?;
/// let second = broker.create_topic("orders", TopicOptions::default())?.epoch;
/// assert_ne!(first, second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(NonZeroU64);

impl Epoch {
    /// One more than the largest epoch.
    pub const LIMIT: u64 = 1 << 53;

    /// The epoch with this number, if it is one: not 0 and below [`LIMIT`](Self::LIMIT).
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) if number.get() < Self::LIMIT => Some(Self(number)),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// A new one, from the standard library's random hash keys (seeded by the operating system).
    pub(crate) fn random() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let nth = COUNT.fetch_add(1, Ordering::Relaxed); // only has to differ from call to call
        let now = std::time::SystemTime::now();
        let hash = std::hash::RandomState::new().hash_one((nth, now, std::process::id()));
        let number = hash % (Self::LIMIT - 1) + 1;
        Self(NonZeroU64::new(number).unwrap_or(NonZeroU64::MIN))
    }
}

/// The error of making an [`Epoch`] out of a number that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an epoch is a number from 1 to 2^53 - 1, not {0}")]
pub struct InvalidEpoch(
    /// The number.
    pub u64,
);

impl TryFrom<u64> for Epoch {
    type Error = InvalidEpoch;

    fn try_from(number: u64) -> Result<Self, InvalidEpoch> {
        Self::new(number).ok_or(InvalidEpoch(number))
    }
}

impl From<Epoch> for u64 {
    fn from(epoch: Epoch) -> Self {
        epoch.get()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn random_epochs_differ_and_stay_in_range() {
        let epochs: HashSet<u64> = (0..10_000).map(|_| Epoch::random().get()).collect();
        assert_eq!(epochs.len(), 10_000);
        assert!(epochs.iter().all(|&n| n > 0 && n < Epoch::LIMIT));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(Epoch::try_from(0), Err(InvalidEpoch(0)));
        assert_eq!(Epoch::try_from(1 << 53), Err(InvalidEpoch(1 << 53)));
        assert_eq!(Epoch::try_from(7).map(u64::from), Ok(7));
    }
}
