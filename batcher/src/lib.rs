#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod async_batcher;
#[cfg(feature = "tokio")]
mod async_core;
#[cfg(feature = "tokio")]
mod async_worker;
mod batch;
mod batcher;
mod builder;
mod core;
#[cfg(all(test, not(any(loom, shuttle))))]
mod core_tests;
mod counters;
mod crew;
mod error;
mod failure;
#[cfg(all(test, loom))]
mod loom_tests;
mod oversleep;
mod processor;
mod queue;
#[cfg(all(test, not(any(loom, shuttle))))]
mod queue_tests;
#[cfg(any(not(any(loom, shuttle)), all(test, loom)))]
mod short_lock;
#[cfg(all(test, shuttle))]
mod shuttle_tests;
#[cfg(any(feature = "ring", feature = "tokio"))]
mod source;
mod sync;
mod ticket;
#[cfg(feature = "tokio")]
mod timer;
mod timer_slack;
mod twin;
mod worker;

#[cfg(feature = "tokio")]
pub use async_batcher::{AsyncBatcher, BatchFuture};
pub use batch::{Assembly, BatchLimits, Verdict};
pub use batcher::Batcher;
pub use builder::Builder;
pub use counters::{Counters, StopReport};
pub use error::{
    EnqueueManyError, EnqueueTimeoutError, FlushError, InvalidOptions, StartError, Stopped,
    SubmitError, TryEnqueueError,
};
pub use failure::{BatchFailure, Failed, FailureCause, OnFailure, RetryPolicy};
pub use processor::{Batch, Replies};
#[cfg(feature = "ring")]
pub use source::{Fed, FeedEnd};
pub use ticket::Ticket;
