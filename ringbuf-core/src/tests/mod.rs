//! Tests that see private items: the loom models, and the scenarios that shuttle schedules.

#[cfg(loom)]
mod loom;
#[cfg(shuttle)]
mod shuttle;
