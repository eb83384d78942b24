//! What the demo shows: rates as it goes, and the books at its end.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::follower::Tally;
use super::{Play, SUBSCRIBERS};
use crate::quantity::{format_bytes, format_count, format_rate};

/// The live table: a line a second with what happened since the line before.
pub(super) struct Rates {
    at: Duration,
    acknowledged: u64,
    subscribers: [(u64, u64); SUBSCRIBERS.len()],
}

impl Rates {
    pub(super) fn new() -> Rates {
        Rates {
            at: Duration::ZERO,
            acknowledged: 0,
            subscribers: Default::default(),
        }
    }

    pub(super) fn heading() -> String {
        let mut heading = format!("{:>5} {:>12}", "", "produced");
        for name in SUBSCRIBERS {
            let _ = write!(heading, " {name:>12}");
        }
        heading + "\n"
    }

    pub(super) fn row(&mut self, at: Duration, play: &Play) -> String {
        let seconds = (at - self.at).as_secs_f64().max(1e-3);
        self.at = at;
        let rate = |now: u64, before: u64| format_rate(now.saturating_sub(before) as f64 / seconds);
        let acknowledged = play.producer.acknowledged();
        let mut row = format!(
            "{:>3.0} s {:>12}",
            at.as_secs_f64(),
            rate(acknowledged, self.acknowledged)
        );
        self.acknowledged = acknowledged;
        let mut losses = String::new();
        for (i, (tally, _)) in play.subscribers.iter().enumerate() {
            let (delivered, lost) = (
                tally.delivered.load(Ordering::Relaxed),
                tally.lost.load(Ordering::Relaxed),
            );
            let (delivered_before, lost_before) =
                std::mem::replace(&mut self.subscribers[i], (delivered, lost));
            let cell = if tally.asleep.load(Ordering::Relaxed) {
                "stopped".to_owned()
            } else {
                rate(delivered, delivered_before)
            };
            let _ = write!(row, " {cell:>12}");
            let loss = match lost - lost_before {
                0 => String::new(),
                records => format!("-{}", format_count(records)),
            };
            let _ = write!(losses, " {loss:>12}");
        }
        row.push('\n');
        if !losses.trim().is_empty() {
            let _ = writeln!(row, "{:>5} {:>12}{}", "", "lost", losses.trim_end());
        }
        row
    }
}

/// Who was given and lost what, at the end.
pub(super) struct Books {
    pub(super) acknowledged: u64,
    pub(super) seconds: f64,
    pub(super) memory_bytes: u64,
    pub(super) accounts: Vec<(&'static str, Arc<Tally>)>,
}

impl Books {
    pub(super) fn balance(&self) -> bool {
        self.accounts.iter().all(|(_, tally)| self.holds(tally))
    }

    fn holds(&self, tally: &Tally) -> bool {
        tally.delivered.load(Ordering::Relaxed) + tally.lost.load(Ordering::Relaxed)
            == self.acknowledged
    }

    pub(super) fn report(&self) -> String {
        let rate = format_rate(self.acknowledged as f64 / self.seconds);
        let mut report = format!(
            "\n{} records acknowledged ({rate}); the server held {} at the end.\n\n{:>9} {:>13} {:>12} {:>7}\n",
            format_count(self.acknowledged),
            format_bytes(self.memory_bytes),
            "",
            "delivered",
            "lost",
            "lapped",
        );
        for (name, tally) in &self.accounts {
            let delivered = format_count(tally.delivered.load(Ordering::Relaxed));
            let lost = format_count(tally.lost.load(Ordering::Relaxed));
            let lapped = format!("{}×", tally.losses.load(Ordering::Relaxed));
            let verdict = if self.holds(tally) {
                "delivered + lost = acknowledged"
            } else {
                "DOES NOT ADD UP"
            };
            let _ = writeln!(
                report,
                "{name:>9} {delivered:>13} {lost:>12} {lapped:>7}  {verdict}"
            );
        }
        report.push_str("\nEvery record delivered was checked: in order, byte for byte;\nevery loss was said, exactly.\n");
        report
    }
}
