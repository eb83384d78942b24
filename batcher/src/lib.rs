#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod batch;
mod error;

pub use batch::{Assembly, BatchLimits, Verdict};
pub use error::InvalidOptions;
