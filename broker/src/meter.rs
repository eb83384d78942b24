//! A subscription's ledger: where it started, where it stands, what it lost.
//!
//! Written by its consumer alone, without a read-modify-write; read by anyone, always as a whole: the
//! law *delivered + lost + filtered + unread = appended since it started* holds for every reading.

use std::sync::atomic::{AtomicU64, Ordering, fence};

#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Odd while the others are being written.
    version: AtomicU64,
    started: AtomicU64,
    next: AtomicU64,
    lost: AtomicU64,
    filtered: AtomicU64,
}

/// What a meter says at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The offset that it started at (or was last moved to).
    pub(crate) started: u64,
    /// The next offset that it reads.
    pub(crate) next: u64,
    /// Records lost between the two.
    pub(crate) lost: u64,
    /// Records between the two that its filter passed over.
    pub(crate) filtered: u64,
}

impl Meter {
    /// What it says, value by value: a whole only for who writes, or has seen the same version before and after.
    fn values(&self) -> Reading {
        Reading {
            started: self.started.load(Ordering::Relaxed),
            next: self.next.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            filtered: self.filtered.load(Ordering::Relaxed),
        }
    }

    #[inline]
    fn write(&self, change: impl FnOnce(&Self)) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release); // the odd version before the values: pairs with M2
        change(self);
        self.version.store(version + 2, Ordering::Release); // the values before it: pairs with M1
    }

    /// Moves on to `next`, and counts what it passes.
    fn pass(&self, count: &AtomicU64, next: u64) {
        let passed = next - self.next.load(Ordering::Relaxed);
        let counted = count.load(Ordering::Relaxed) + passed;
        self.write(|meter| {
            meter.next.store(next, Ordering::Relaxed);
            count.store(counted, Ordering::Relaxed);
        });
    }

    /// The consumer was given the records up to `next`.
    #[inline]
    pub(crate) fn delivered_to(&self, next: u64) {
        self.write(|meter| meter.next.store(next, Ordering::Relaxed));
    }

    /// The consumer was told that it lost the records up to `next`.
    pub(crate) fn lost_to(&self, next: u64) {
        self.pass(&self.lost, next);
    }

    /// The filter passed over the records up to `next`.
    pub(crate) fn filtered_to(&self, next: u64) {
        self.pass(&self.filtered, next);
    }

    /// The ledger starts again at `start`.
    pub(crate) fn restart(&self, start: u64) {
        self.write(|meter| {
            meter.started.store(start, Ordering::Relaxed);
            meter.next.store(start, Ordering::Relaxed);
            meter.lost.store(0, Ordering::Relaxed);
            meter.filtered.store(0, Ordering::Relaxed);
        });
    }

    pub(crate) fn read(&self) -> Reading {
        let mut looks = 0u32;
        loop {
            let version = self.version.load(Ordering::Acquire); // M1
            let reading = self.values();
            fence(Ordering::Acquire); // M2
            if version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version {
                return reading;
            }
            looks = looks.wrapping_add(1);
            if looks.is_multiple_of(64) {
                std::thread::yield_now(); // the consumer lost its processor in the middle of its stores
            }
            std::hint::spin_loop();
        }
    }
}

/// What subscriptions were given, together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Total {
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) filtered: u64,
}

impl Total {
    pub(crate) fn add(&mut self, reading: &Reading) {
        self.delivered += reading.delivered();
        self.lost += reading.lost;
        self.filtered += reading.filtered;
    }
}

impl Reading {
    pub(crate) fn delivered(&self) -> u64 {
        self.next - self.started - self.lost - self.filtered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reading_adds_up_while_the_consumer_goes_on() {
        let meter = Meter::default();
        meter.restart(10);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for i in 0..200_000 {
                    let next = meter.values().next;
                    match i % 3 {
                        0 => meter.lost_to(next + 7),
                        1 => meter.filtered_to(next + 5),
                        _ => meter.delivered_to(next + 2),
                    }
                    if i % 1_000 == 999 {
                        meter.restart(next / 2);
                    }
                }
            });
            for _ in 0..200_000 {
                let reading = meter.read();
                assert!(
                    reading.started + reading.lost + reading.filtered <= reading.next,
                    "{reading:?}"
                );
                assert_eq!((reading.lost % 7, reading.filtered % 5), (0, 0));
                assert_eq!(reading.delivered() % 2, 0, "{reading:?}");
            }
        });
    }
}
