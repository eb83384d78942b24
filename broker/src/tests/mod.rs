//! The loom models of the wait protocol, and the scenarios of whole brokers that shuttle schedules.
//!
//! What a model guards has a twin (`twin.rs`, listed in `loom-twins.txt` and `shuttle-twins.txt`) that breaks
//! it, and that the model must fail.

#[cfg(loom)]
mod loom_wait;
#[cfg(shuttle)]
mod shuttle;
