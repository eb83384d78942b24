//! The memory that all topics may hold together.
//!
//! Each topic says what it holds whenever that has changed; the sum is one counter.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::OutOfMemory;

#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicU64,
    max: u64,
}

impl Budget {
    pub(crate) fn new(max: u64) -> Self {
        Self {
            used: AtomicU64::new(0),
            max,
        }
    }

    // Relaxed throughout: a count that orders nothing.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// A topic held `before` bytes and holds `now`.
    #[inline]
    pub(crate) fn change(&self, before: u64, now: u64) {
        if now > before {
            self.used.fetch_add(now - before, Ordering::Relaxed);
        } else if now < before {
            self.used.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// Whether `more` bytes may be added by a topic that grows.
    #[inline]
    pub(crate) fn allows(&self, more: u64) -> bool {
        self.used().saturating_add(more) <= self.max
    }

    /// Whether `more` bytes may be added by a topic at its limits: it gives back about as much, but
    /// readers may hold on to old segments for a while.
    pub(crate) fn allows_replacing(&self, more: u64) -> bool {
        self.used().saturating_add(more) <= self.max.saturating_add(self.max / 8)
    }

    pub(crate) fn exceeded(&self) -> OutOfMemory {
        OutOfMemory {
            used: self.used(),
            max: self.max,
        }
    }
}
