//! What the commands say on stderr: notices and logs, whole lines, and below them a bar of progress.

use std::io::{self, Write};
use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar};

/// The bars on stderr: none unless it is a terminal. One for the process, as stderr is.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Says one line on stderr; line ends within it become spaces. A stderr that is gone is no reason to fail.
pub(crate) fn notice(text: &str) {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let _ = Stderr.write_all(format!("footman: {line}\n").as_bytes());
}

/// Shows `bar` if stderr is a terminal. Finish it to take it away.
pub(crate) fn show(bar: ProgressBar) -> ProgressBar {
    BARS.add(bar)
}

/// Standard error, for whole lines: a bar makes way for them.
#[derive(Debug)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write_all(lines))
            .map(|()| lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
