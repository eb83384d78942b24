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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_begin_again_after_a_success() {
        let mut backoff = Backoff::default();
        for round in 0..2 {
            let mut full = FIRST;
            for attempt in 0..40 {
                assert_eq!(backoff.attempts(), attempt, "round {round}");
                let wait = backoff.next();
                assert!(
                    wait >= full / 2 && wait < full,
                    "attempt {attempt}: {wait:?}"
                );
                full = (full * 2).min(CAP);
            }
            assert_eq!(full, CAP);
            backoff.reset();
        }
    }

    #[test]
    fn those_who_fail_together_do_not_come_back_together() {
        let waits: Vec<_> = (0..100).map(|_| Backoff::default().next()).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }
}
