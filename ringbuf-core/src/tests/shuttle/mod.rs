//! Scenarios past loom's size: several producers and readers, tens of steps each, in schedules that shuttle draws.
//!
//! ```text
//! cargo xtask shuttle --package ringbuf-core
//! ```
//!
//! Shuttle takes every access as `SeqCst`: the orderings are loom's business, the protocol is checked here. What each
//! scenario is about has a twin in `shuttle-twins.txt`, as loom's models have.

mod bytes;
mod drops;
mod laps;
mod many;
mod waits;

use std::sync::Arc;
use std::vec::Vec;

use shuttle::thread;

use crate::{Reader, TryReadError};

/// Reads to the end of the ring: each record must be the one that its sequence says, and what was not delivered
/// must have been called lost. A batch is looked at twice, with others running between.
fn read_to_the_end(mut reader: Reader<u64>, at_a_time: usize) -> (u64, u64) {
    let start = reader.position();
    let (mut delivered, mut lost) = (0, 0);
    loop {
        let at = reader.position();
        match reader.read_batch(at_a_time) {
            Ok(batch) => {
                for _ in 0..2 {
                    assert!(
                        batch.iter().copied().eq(at..at + batch.len() as u64),
                        "{batch:?} at {at}"
                    );
                    thread::yield_now();
                }
                delivered += batch.len() as u64;
            }
            Err(TryReadError::Lapped { from, to }) => {
                assert!(from == at && to > from, "lost {from}..{to} at {at}");
                lost += to - from;
            }
            Err(TryReadError::Empty) => thread::yield_now(),
            Err(TryReadError::Closed) => break,
        }
        assert_eq!(start + delivered + lost, reader.position());
    }
    (delivered, lost)
}

/// A value that knows how many of its kind there are, and that is poisoned when it is dropped.
#[derive(Debug)]
struct Canary {
    sequence: u64,
    alive: bool,
    count: Arc<core::sync::atomic::AtomicUsize>,
}

impl Drop for Canary {
    fn drop(&mut self) {
        assert!(core::mem::replace(&mut self.alive, false), "dropped twice");
        self.count
            .fetch_sub(1, core::sync::atomic::Ordering::Relaxed);
    }
}

/// Waits for all of them.
fn join<T>(threads: impl IntoIterator<Item = thread::JoinHandle<T>>) -> Vec<T> {
    threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}
