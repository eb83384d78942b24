//! How a command ended, and the exit code for it. `args::EXIT_CODES` is the same list for people.

use std::process::ExitCode;

/// The exit code for a command that was interrupted before it was done.
pub(crate) const INTERRUPTED: u8 = 130;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did all that it was to do.
    Done,
    /// A signal stopped it before.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        match outcome {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Interrupted => ExitCode::from(INTERRUPTED),
        }
    }
}
