//! How busy this thread is with sending few records at a time, and whether it pays to let them wait for company.
//!
//! A send to a subscriber costs about the same for one record as for a hundred: a wake-up, a frame, a system call. Below
//! [`BUSY_SENDS`] a thread has time for all of them and records go out as they come. Above, a subscriber that was sent
//! something within [`LINGER`] waits for the rest of it: the thread has fewer sends for the same records, and each
//! subscriber at least one every [`LINGER`].
//!
//! Rules only: the time is passed in.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// The longest that records wait for company on a busy thread; the least that a timer waits.
pub(crate) const LINGER: Duration = Duration::from_millis(1);

/// How long sends are counted before the count says something.
const WINDOW: Duration = Duration::from_millis(4);

/// Sends in a window from which on the thread is busy: at some microseconds each, half of its time.
const BUSY_SENDS: u32 = 64 * 4;

/// Records in a window below which it is no longer busy, even if each were sent alone.
const CALM_RECORDS: u32 = 48 * 4;

thread_local! {
    static LOAD: Cell<Option<Load>> = const { Cell::new(None) };
}

/// What this thread sent in the present window, and what that of the one before means.
#[derive(Debug, Clone, Copy)]
struct Load {
    since: Instant,
    sends: u32,
    records: u32,
    is_busy: bool,
}

impl Load {
    fn new(now: Instant) -> Self {
        Load {
            since: now,
            sends: 0,
            records: 0,
            is_busy: false,
        }
    }

    fn sent(&mut self, records: usize, now: Instant) {
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            self.is_busy = if elapsed >= 2 * WINDOW {
                false
            } else if self.is_busy {
                self.records >= CALM_RECORDS
            } else {
                self.sends >= BUSY_SENDS
            };
            *self = Load {
                is_busy: self.is_busy,
                ..Load::new(now)
            };
        }
        self.sends = self.sends.saturating_add(1);
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        self.records = self.records.saturating_add(records);
    }

    fn is_busy(&self, now: Instant) -> bool {
        self.is_busy && now.saturating_duration_since(self.since) < 2 * WINDOW
    }
}

/// This thread sent so many records to one subscriber.
pub(crate) fn sent(records: usize, now: Instant) {
    LOAD.with(|load| {
        let mut present = load.get().unwrap_or_else(|| Load::new(now));
        present.sent(records, now);
        load.set(Some(present));
    });
}

/// Whether records had better wait for company on this thread.
pub(crate) fn is_busy(now: Instant) -> bool {
    LOAD.with(Cell::get).is_some_and(|load| load.is_busy(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends of `records` each, `per_ms` in every millisecond, for `ms`; whether the thread is busy then.
    fn run(load: &mut Load, now: &mut Instant, ms: u32, per_ms: u32, records: usize) -> bool {
        for _ in 0..ms {
            for _ in 0..per_ms {
                *now += Duration::from_millis(1) / per_ms;
                load.sent(records, *now);
            }
        }
        load.is_busy(*now)
    }

    #[test]
    fn a_thread_is_busy_from_many_sends_on_and_stays_so_while_waiting_saves_them() {
        let mut now = Instant::now();
        let mut load = Load::new(now);
        assert!(
            !run(&mut load, &mut now, 100, 40, 1),
            "40 a millisecond are no load"
        );
        assert!(run(&mut load, &mut now, 20, 320, 1), "320 are one");
        assert!(
            run(&mut load, &mut now, 100, 32, 10),
            "the same records in fewer sends"
        );
        assert!(!run(&mut load, &mut now, 20, 32, 1), "fewer records");
    }

    #[test]
    fn a_thread_that_sends_nothing_is_not_busy() {
        let mut now = Instant::now();
        let mut load = Load::new(now);
        assert!(run(&mut load, &mut now, 20, 320, 1));
        now += 3 * WINDOW;
        assert!(!load.is_busy(now));
        load.sent(1, now);
        assert!(!load.is_busy(now));
    }

    #[test]
    fn large_batches_to_few_subscribers_are_no_load() {
        let mut now = Instant::now();
        let mut load = Load::new(now);
        assert!(!run(&mut load, &mut now, 100, 10, 1_000));
    }
}
