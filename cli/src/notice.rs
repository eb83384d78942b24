//! What the commands say on stderr: one line each, and a line of progress that is written over.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Says one line on stderr; line ends within it become spaces. A stderr that is gone is no reason to fail.
pub(crate) fn notice(text: &str) {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let _ = writeln!(std::io::stderr().lock(), "footman: {line}");
}

/// A line of progress on a terminal, written over again and again; nothing at all elsewhere.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    enabled: bool,
    next: Instant,
}

const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

impl Progress {
    /// A line that is shown if `wanted` and stderr is a terminal, for work that takes a moment.
    pub(crate) fn new(wanted: bool, now: Instant) -> Progress {
        Progress {
            shown: false,
            enabled: wanted && std::io::stderr().is_terminal(),
            next: now + PROGRESS_INTERVAL,
        }
    }

    /// Shows what `text` returns, if it is time to.
    pub(crate) fn update(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if self.enabled && now >= self.next {
            self.next = now + PROGRESS_INTERVAL;
            self.shown = true;
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{}", text());
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}
