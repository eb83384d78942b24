//! Both rings under real threads for a second or so, for a sanitizer to watch.
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer" \
//!     cargo run --release -p ringbuf-core --example stress --target x86_64-unknown-linux-gnu --target-dir target/tsan
//! ```
//!
//! With `--cfg twins` in the flags and `FOOTMAN_TWIN=ringbuf-core:unpin_relaxed` in the environment, the thread sanitizer
//! must report a race; with `no_pin`, the address sanitizer a use after free; with `leak`, the leak sanitizer a leak:
//! `cargo xtask sanitize` sees to it.

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::hint::{black_box, spin_loop};
use std::thread;

use ringbuf_core::{ByteRing, ByteRingOptions, Ring, TryReadError};

const RECORDS: u64 = 300_000;
/// Of each of two producers that share a ring.
const EACH: u64 = 100_000;

/// Follows a ring to its end: delivered and lost. `read` says how many records it got.
///
/// Prints nothing: the standard library's locks are not known to the thread sanitizer.
fn follow(mut read: impl FnMut() -> Result<u64, TryReadError>) -> (u64, u64) {
    let (mut delivered, mut lost) = (0, 0);
    loop {
        match read() {
            Ok(records) => delivered += records,
            Err(TryReadError::Lapped { from, to }) => lost += to - from,
            Err(TryReadError::Empty) => spin_loop(),
            Err(TryReadError::Closed) => return (delivered, lost),
        }
    }
}

/// A record that is held while the ring is lapped: its memory must be its own until the reader goes on.
fn hold_across_laps() {
    let (mut producer, ring) = Ring::<Box<u64>>::new(2).expect("a capacity of 2 is valid");
    producer.append(Box::new(7));
    let mut reader = ring.reader(0);
    let held: &u64 = reader.try_read().expect("one record is there");
    for number in 0..100 {
        producer.append(Box::new(number));
    }
    assert_eq!(*held, 7);
}

/// Two producers of each ring, and a reader that they lap.
fn share() {
    let (producer, ring) = Ring::<[u64; 4]>::new(64).expect("a capacity of 64 is valid");
    let options = ByteRingOptions::new()
        .with_max_records(64)
        .with_segment_bytes(512);
    let (byte_producer, byte_ring) = ByteRing::new(options).expect("these limits are valid");
    let (producer, byte_producer) = (producer.share(), byte_producer.share());
    let (mut reader, mut byte_reader) = (ring.reader(0), byte_ring.reader(0));
    let readers = [
        thread::spawn(move || {
            follow(|| {
                reader.read_batch(7).map(|values| {
                    assert!(values.iter().all(|value| *value == [value[0]; 4]));
                    values.len() as u64
                })
            })
        }),
        thread::spawn(move || {
            follow(|| {
                byte_reader.try_read(7, 4_096).map(|run| {
                    assert!(run.iter().all(|record| record == [record[0]; 40]));
                    run.len() as u64
                })
            })
        }),
    ];
    let producers = [1, 2].map(|name| {
        let (producer, byte_producer) = (producer.clone(), byte_producer.clone());
        thread::spawn(move || {
            for number in 0..EACH / 2 {
                producer
                    .append_slice(&[[number; 4], [name; 4]])
                    .expect("open");
                byte_producer.append(&[name as u8; 40]).expect("open");
                byte_producer
                    .append_with(40, |bytes| bytes.fill(number as u8))
                    .expect("open");
            }
        })
    });
    for thread in producers {
        thread.join().expect("a producer does not panic");
    }
    drop((producer, byte_producer));
    for thread in readers {
        let (delivered, lost) = thread.join().expect("a reader's checks hold");
        assert_eq!(delivered + lost, 2 * EACH);
    }
}

fn main() {
    hold_across_laps();
    share();
    let (mut producer, ring) = Ring::<[u64; 4]>::new(64).expect("a capacity of 64 is valid");
    let options = ByteRingOptions::new()
        .with_max_records(64)
        .with_segment_bytes(512);
    let (mut byte_producer, byte_ring) = ByteRing::new(options).expect("these limits are valid");
    let threads: Vec<_> = (0..3)
        .flat_map(|_| {
            let mut reader = ring.reader(0);
            let mut byte_reader = byte_ring.reader(0);
            [
                thread::spawn(move || {
                    follow(|| {
                        let at = reader.position();
                        reader.read_batch(7).map(|values| {
                            assert!(
                                (at..)
                                    .zip(values)
                                    .all(|(number, value)| *value == [number; 4])
                            );
                            values.len() as u64
                        })
                    })
                }),
                thread::spawn(move || {
                    follow(|| {
                        byte_reader.try_read(7, 4_096).map(|run| {
                            for (number, record) in (run.base()..).zip(run.iter()) {
                                assert_eq!(record, number.to_le_bytes());
                            }
                            black_box(run.len() as u64)
                        })
                    })
                }),
            ]
        })
        .collect();
    for number in 0..RECORDS {
        producer.append([number; 4]);
        byte_producer.append(&number.to_le_bytes());
    }
    drop((producer, byte_producer));
    for thread in threads {
        let (delivered, lost) = thread.join().expect("a reader's checks hold");
        assert_eq!(delivered + lost, RECORDS);
        println!("{delivered} delivered + {lost} lost = {RECORDS}");
    }
}
