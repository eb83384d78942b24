//! The two clocks: a monotonic one that decides ages, and the wall clock that only stamps.
//!
//! The wall clock may jump by years in either direction without any record living shorter or longer.
//! Everything that decides takes a number that came from here, so tests pass their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::wall_clock::WallClock;

/// Nanoseconds on the monotonic clock since the broker was made.
pub(crate) type Nanos = u64;

/// Where a broker takes its times from.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    System { start: Instant, wall: WallClock },
    Manual(ManualClock),
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::System {
            start: Instant::now(),
            wall: WallClock::new(),
        }
    }

    pub(crate) fn monotonic(&self) -> Nanos {
        match self {
            Self::System { start, .. } => nanos(start.elapsed()),
            Self::Manual(clock) => clock.0.monotonic.load(Ordering::Acquire),
        }
    }

    /// Microseconds since the Unix epoch, negative before it.
    #[inline]
    pub(crate) fn wall_us(&self) -> i64 {
        match self {
            Self::System { wall, .. } => wall.now_us(),
            Self::Manual(clock) => clock.0.wall_us.load(Ordering::Acquire),
        }
    }

    pub(crate) fn wall(&self) -> SystemTime {
        let us = self.wall_us();
        let distance = Duration::from_micros(us.unsigned_abs());
        let time = if us < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

/// A duration in nanoseconds, at most `u64::MAX` (584 years).
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A clock that only moves when a test says so.
///
/// Give it to a broker with [`BrokerOptions::with_manual_clock`](crate::BrokerOptions::with_manual_clock)
/// and keep a clone: ages, timestamps and clock jumps are then tested without sleeping.
///
/// ```
/// use footman_broker::{testing::ManualClock, Broker, BrokerOptions, TopicOptions};
/// use std::time::Duration;
///
/// let clock = ManualClock::new();
/// let broker = Broker::new(BrokerOptions::default().with_manual_clock(&clock))?;
/// let options = TopicOptions::default().with_max_age(Duration::from_secs(10));
/// broker.create_topic("short-lived", options)?;
/// broker.producer("short-lived")?.produce(&"hello".into())?;
/// clock.advance(Duration::from_secs(10));
/// broker.expire();
/// assert_eq!(broker.topic("short-lived")?.start_offset, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Hands>);

#[derive(Debug)]
struct Hands {
    monotonic: AtomicU64,
    wall_us: AtomicI64,
}

impl ManualClock {
    /// A clock at 0 whose wall time is 2020-09-13 12:26:40 UTC (1 600 000 000 s).
    #[must_use]
    pub fn new() -> Self {
        let wall_us = AtomicI64::new(1_600_000_000_000_000);
        Self(Arc::new(Hands {
            monotonic: AtomicU64::new(0),
            wall_us,
        }))
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        self.0.monotonic.fetch_add(nanos(by), Ordering::AcqRel);
        let us = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.wall_us.fetch_add(us, Ordering::AcqRel);
    }

    /// Sets the wall clock alone, as an operator or a time service may: µs since the Unix epoch.
    pub fn set_wall_us(&self, us: i64) {
        self.0.wall_us.store(us, Ordering::Release);
    }

    /// The wall clock, µs since the Unix epoch.
    #[must_use]
    pub fn wall_us(&self) -> i64 {
        self.0.wall_us.load(Ordering::Acquire)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_moves() {
        let clock = Clock::system();
        let first = clock.monotonic();
        while clock.monotonic() == first {}
        assert!(clock.wall_us() > 1_600_000_000_000_000);
    }
}
