//! How much later than asked for a thread wakes up, learned, so that it can ask for less. Pure.

use std::time::{Duration, Instant};

use crate::sync::{MODEL, now};

/// The longest time that a thread may spin instead of sleep, each time it waits for a moment.
const MOST: Duration = Duration::from_micros(100);

/// A thread that sleeps until a moment is woken after it: by a few microseconds, or by a hundred on a machine
/// whose cores sleep deeply. Who has to be exact aims earlier by what was usual, and spins for the
/// rest, if any is left.
#[derive(Debug, Default)]
pub(crate) struct Oversleep {
    usual: Duration,
}

impl Oversleep {
    /// Until when to sleep in order to be awake at `until`.
    pub(crate) fn aim(&self, until: Instant) -> Instant {
        until.checked_sub(self.usual).unwrap_or(until)
    }

    /// A sleep is over that was to end at `aim`; nothing is learned if somebody cut it short.
    pub(crate) fn woke(&mut self, aim: Option<Instant>) {
        let late = aim.and_then(|aim| now().checked_duration_since(aim));
        if let (Some(late), false) = (late, MODEL) {
            self.learn(late);
        }
    }

    /// An eighth of the way: one that was very late hardly counts.
    fn learn(&mut self, late: Duration) {
        self.usual = ((self.usual * 7 + late.min(MOST)) / 8).min(MOST);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn it_aims_earlier_by_what_was_usual_and_never_by_more_than_the_cap() {
        let (us, until) = (
            Duration::from_micros,
            Instant::now() + Duration::from_secs(1),
        );
        let mut oversleep = Oversleep::default();
        assert_eq!(oversleep.aim(until), until);
        for _ in 0..100 {
            oversleep.learn(us(40));
        }
        let early = until - oversleep.aim(until);
        assert!(early > us(38) && early <= us(40), "{early:?}");
        for _ in 0..100 {
            oversleep.learn(us(90_000));
        }
        let early = until - oversleep.aim(until);
        assert!(early > us(98) && early <= MOST, "{early:?}");
    }
}
