//! For tests, of this crate and of programs that use it: a clock moved by hand, the ledger checker, and what a
//! broker must do wherever it is reached.

pub mod conformance;
mod ledger;

pub use crate::clock::ManualClock;
pub use ledger::{Account, Ledger};
