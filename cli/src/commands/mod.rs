//! The commands, one a file. Each takes its arguments and says how it ended.

pub(crate) mod bench;
pub(crate) mod consume;
pub(crate) mod demo;
pub(crate) mod info;
pub(crate) mod produce;
pub(crate) mod serve;
pub(crate) mod shell;
pub(crate) mod top;
pub(crate) mod topics;
