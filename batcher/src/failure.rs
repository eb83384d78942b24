//! What a failed batch is, and what a handler can decide about it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::InvalidOptions;

/// Why a batch failed, and for which time.
#[derive(Debug)]
pub struct BatchFailure {
    pub(crate) cause: FailureCause,
    pub(crate) attempts: u32,
}

/// What the processor did instead of ending well.
#[derive(Debug)]
#[non_exhaustive]
pub enum FailureCause {
    /// It returned this error.
    Error(Box<dyn Error + Send + Sync>),
    /// It panicked with this text (empty if the payload was no text).
    Panic(String),
    /// It returned another number of replies than the batch has items.
    ReplyCount {
        /// Items in the batch.
        items: usize,
        /// Replies returned.
        replies: usize,
    },
}

impl BatchFailure {
    /// What the processor did.
    #[must_use]
    pub const fn cause(&self) -> &FailureCause {
        &self.cause
    }

    /// How often this batch was processed so far, at least 1.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The processor's error, if it is one of type `E`.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        match &self.cause {
            FailureCause::Error(error) => error.downcast_ref(),
            FailureCause::Panic(_) | FailureCause::ReplyCount { .. } => None,
        }
    }
}

impl fmt::Display for BatchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            FailureCause::Error(error) => write!(f, "attempt {}: {error}", self.attempts),
            FailureCause::Panic(text) => {
                write!(
                    f,
                    "attempt {}: the processor panicked: {text}",
                    self.attempts
                )
            }
            FailureCause::ReplyCount { items, replies } => {
                write!(
                    f,
                    "attempt {}: {replies} replies to {items} items",
                    self.attempts
                )
            }
        }
    }
}

impl Error for BatchFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            FailureCause::Error(error) => Some(&**error),
            FailureCause::Panic(_) | FailureCause::ReplyCount { .. } => None,
        }
    }
}

/// A failed batch, shown to the failure handler, whole: also after a panic.
pub struct Failed<'a, T> {
    pub(crate) items: &'a mut Vec<T>,
    pub(crate) taken: bool,
    pub(crate) failure: &'a BatchFailure,
    pub(crate) can_retry: bool,
}

impl<T> Failed<'_, T> {
    /// Why, and how often it was tried.
    #[must_use]
    pub const fn failure(&self) -> &BatchFailure {
        self.failure
    }

    /// Whether an attempt is left for [`OnFailure::Retry`] or [`OnFailure::RetryAfter`].
    #[must_use]
    pub const fn can_retry(&self) -> bool {
        self.can_retry
    }

    /// The batch's items, in order.
    #[must_use]
    pub fn items(&self) -> &[T] {
        self.items
    }

    /// Takes the items over: to store, log or send them elsewhere. What the handler then returns
    /// no longer matters; the items count as failed and handed over.
    #[must_use]
    pub fn take_items(&mut self) -> Vec<T> {
        self.taken = true;
        std::mem::take(self.items)
    }
}

impl<T> fmt::Debug for Failed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed")
            .field("items", &self.items.len())
            .field("failure", &self.failure)
            .field("can_retry", &self.can_retry)
            .finish_non_exhaustive()
    }
}

/// What to do with a failed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFailure {
    /// Drop it; its items count as failed.
    Drop,
    /// Try it again after the [`RetryPolicy`]'s backoff. Without an attempt left: drop it.
    Retry,
    /// Try it again after this time instead. Without an attempt left: drop it.
    RetryAfter(Duration),
    /// Try each half at once, with all attempts: this finds the item that spoils a batch. A batch
    /// of one item cannot be split: then it means [`Retry`](Self::Retry).
    Split,
}

/// How often a batch is processed and how long it rests in between.
///
/// The rest before attempt `n + 1` is `backoff * 2^(n - 1)`, at most `max_backoff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    backoff: Duration,
    max_backoff: Duration,
}

impl RetryPolicy {
    /// This many attempts altogether (at least 1), 10 ms of backoff doubling up to 1 s.
    #[must_use]
    pub const fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            backoff: Duration::from_millis(10),
            max_backoff: Duration::from_secs(1),
        }
    }

    /// Sets the first rest and the longest.
    #[must_use]
    pub const fn with_backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = first;
        self.max_backoff = longest;
        self
    }

    pub(crate) const fn allows_another(&self, attempts: u32) -> bool {
        attempts < self.attempts
    }

    /// The rest after this many attempts.
    pub(crate) fn rest(&self, attempts: u32) -> Duration {
        let factor = 1u32
            .checked_shl(attempts.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.backoff.saturating_mul(factor).min(self.max_backoff)
    }

    pub(crate) const fn validate(&self) -> Result<(), InvalidOptions> {
        if self.attempts == 0 {
            Err(InvalidOptions::ZeroAttempts)
        } else {
            Ok(())
        }
    }
}

impl Default for RetryPolicy {
    /// One attempt: no retry.
    fn default() -> Self {
        Self::attempts(1)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_cap() {
        let ms = Duration::from_millis;
        let policy = RetryPolicy::attempts(100).with_backoff(ms(10), ms(65));
        let rests: Vec<_> = [1, 2, 3, 4, 40, 99].map(|n| policy.rest(n)).into();
        assert_eq!(rests, [ms(10), ms(20), ms(40), ms(65), ms(65), ms(65)]);
        assert!(policy.allows_another(99) && !policy.allows_another(100));
    }
}
