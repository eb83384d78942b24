//! Loom models of the real code with tiny rings: every interleaving up to three preemptions.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test -p ringbuf-core --release --lib --target-dir target/loom
//! ```
//!
//! Each model must pass so, and must fail when what it is about is taken away: `loom-twins.txt` names in each line a twin,
//! which `FOOTMAN_TWIN=ringbuf-core:name` chooses in a build with `--cfg twins` (`twin.rs`), and the model that must then fail.

mod bytes;
mod drops;
mod many;
mod publish;
mod recycle;
mod wait;

use std::vec::Vec;

use crate::{
    ByteProducer, ByteReader, ByteRing, ByteRingOptions, Producer, Ring, RingOptions, TryReadError,
};

/// A ring of `capacity` records in segments of `slots`.
fn ring<T: Send + Sync>(capacity: usize, slots: usize) -> (Producer<T>, Ring<T>) {
    RingOptions::new(capacity).build_at(0, slots).unwrap()
}

/// A byte ring of `records` in segments of 64 bytes.
fn byte_ring(records: u64) -> (ByteProducer, ByteRing) {
    ByteRing::new(
        ByteRingOptions::new()
            .with_max_records(records)
            .with_segment_bytes(64),
    )
    .unwrap()
}

/// Large enough that a segment of 64 bytes has one record.
fn record(sequence: u64) -> [u8; 40] {
    [sequence as u8; 40]
}

/// Appends 0, 1, .. below `end`: record `n` is `n`.
fn append_numbers(mut producer: Producer<u64>, end: u64) {
    for number in 0..end {
        assert_eq!(producer.append(number), number);
    }
}

/// What a reader got, and what it was told it lost.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ledger {
    delivered: Vec<u64>,
    lost: u64,
}

/// Reads `times` times; each record must be the one that its sequence says.
fn read_numbers(mut reader: crate::Reader<u64>, times: usize) -> Ledger {
    let mut ledger = Ledger::default();
    for _ in 0..times {
        let at = reader.position();
        match reader.try_read() {
            Ok(&number) => {
                assert_eq!(number, at, "not the record asked for");
                ledger.delivered.push(number);
            }
            Err(TryReadError::Lapped { from, to }) => {
                assert!(from == at && to > from);
                ledger.lost += to - from;
            }
            Err(TryReadError::Empty | TryReadError::Closed) => {}
        }
        assert_eq!(
            ledger.delivered.len() as u64 + ledger.lost,
            reader.position(),
            "the ledger does not hold"
        );
    }
    ledger
}

/// The same for bytes; a run is looked at twice, with the producer free to run between.
fn read_bytes(mut reader: ByteReader, times: usize) -> Ledger {
    let mut ledger = Ledger::default();
    for _ in 0..times {
        let at = reader.position();
        match reader.try_read(2, usize::MAX) {
            Ok(run) => {
                assert_eq!(run.base(), at);
                for _ in 0..2 {
                    for (sequence, bytes) in (run.base()..).zip(run.iter()) {
                        assert_eq!(bytes, record(sequence), "not the record asked for");
                    }
                    loom::thread::yield_now();
                }
                ledger
                    .delivered
                    .extend(run.base()..run.base() + run.len() as u64);
            }
            Err(TryReadError::Lapped { from, to }) => {
                assert!(from == at && to > from);
                ledger.lost += to - from;
            }
            Err(TryReadError::Empty | TryReadError::Closed) => {}
        }
        assert_eq!(
            ledger.delivered.len() as u64 + ledger.lost,
            reader.position(),
            "the ledger does not hold"
        );
    }
    ledger
}
