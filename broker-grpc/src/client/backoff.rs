//! How long to wait before the next attempt: capped, exponential, with jitter.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
const CAP: Duration = Duration::from_secs(2);

/// Attempts so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Failed attempts since the last success.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The wait after one more failure: between half of it and all of it, doubling up to the cap.
    pub(crate) fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.attempts.min(10)).min(CAP);
        self.attempts = self.attempts.saturating_add(1);
        let half = full / 2;
        let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        half + Duration::from_micros(random() % spread)
    }
}

/// A number that differs between calls and processes; not for secrets.
pub(crate) fn random() -> u64 {
    // Each `RandomState` has keys of its own.
    RandomState::new().hash_one(0)
}
