//! The system's wall clock, for those who look at it with every record.
//!
//! To ask the system takes three times as long as to look at the processor's tick counter. So a thread that has asked
//! notes the counter beside the answer, and for [`GOOD_FOR`] counts on from there.
//!
//! The counter is trusted that far and no further. A wall clock that is set, by an operator or a time service, is
//! followed when the reading has run out; the counter's rate, or a machine whose processors count apart, can put a
//! stamp wrong by as much and not more. Where there is no counter to be trusted at all, `quanta` looks at the system's
//! monotonic clock instead, which is slower and as right.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// How long a thread counts on from a reading, in nanoseconds.
const GOOD_FOR: u64 = 100_000;
/// A reading that took longer was interrupted: nobody knows at what time of it the system looked.
const PROMPT: u64 = 2_000;

/// The tick counter. Its rate is measured once in a process, which takes some milliseconds.
static COUNTER: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);

thread_local! {
    static READING: Cell<Reading> = const { Cell::new(Reading::NONE) };
}

/// What the system said, and the ticks soon after.
#[derive(Debug, Clone, Copy)]
struct Reading {
    ticks: u64,
    us: i64,
}

impl Reading {
    /// No reading: all ticks are before it.
    const NONE: Self = Self {
        ticks: u64::MAX,
        us: 0,
    };

    /// The time at `ticks`, which are `since` nanoseconds after the reading; `None` if that is not to be relied on.
    #[inline]
    fn at(self, ticks: u64, since: u64) -> Option<i64> {
        // Ticks go back where a thread has moved to a processor that counts on its own.
        (ticks >= self.ticks && since < GOOD_FOR).then(|| self.us + (since / 1_000) as i64)
    }
}

/// See the module's header.
#[derive(Debug, Clone)]
pub(crate) struct WallClock(&'static quanta::Clock);

impl WallClock {
    pub(crate) fn new() -> Self {
        Self(&COUNTER)
    }

    /// Microseconds since the Unix epoch, negative before it.
    #[inline]
    pub(crate) fn now_us(&self) -> i64 {
        let (ticks, reading) = (self.0.raw(), READING.get());
        let since = self.0.delta_as_nanos(reading.ticks, ticks);
        reading.at(ticks, since).unwrap_or_else(|| self.read())
    }

    #[cold]
    fn read(&self) -> i64 {
        let before = self.0.raw();
        let us = unix_us(SystemTime::now());
        let after = self.0.raw();
        if self.0.delta_as_nanos(before, after) < PROMPT {
            READING.set(Reading { ticks: after, us });
        }
        us
    }
}

fn unix_us(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_wall_clock_before_the_unix_epoch_is_negative() {
        assert_eq!(unix_us(UNIX_EPOCH - Duration::from_secs(3)), -3_000_000);
        assert_eq!(unix_us(UNIX_EPOCH + Duration::from_micros(7)), 7);
    }

    #[test]
    fn a_reading_is_counted_on_from_until_it_runs_out() {
        let reading = Reading { ticks: 50, us: 7 };
        assert_eq!(reading.at(50, 0), Some(7));
        assert_eq!(reading.at(90, 4_999), Some(11));
        assert_eq!(reading.at(90, GOOD_FOR - 1), Some(7 + 99));
        // From here on the system is asked, so that a clock that was set is followed.
        assert_eq!(reading.at(90, GOOD_FOR), None);
    }

    #[test]
    fn a_counter_that_went_back_is_not_relied_on() {
        let reading = Reading { ticks: 50, us: 7 };
        assert_eq!(reading.at(49, 0), None);
        assert_eq!(Reading::NONE.at(u64::MAX - 1, 0), None);
    }

    #[test]
    fn a_stamp_is_no_further_from_the_system_s_time_than_a_reading_is_good_for() {
        let clock = WallClock::new();
        for _ in 0..100_000 {
            let before = unix_us(SystemTime::now());
            let stamp = clock.now_us();
            let after = unix_us(SystemTime::now());
            let most = (GOOD_FOR / 1_000) as i64;
            assert!(
                before - most <= stamp && stamp <= after + most,
                "{stamp} is not in {before}..={after}"
            );
        }
    }
}
