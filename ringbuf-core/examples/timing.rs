//! A look at the time that an append and a read take on this machine: the fastest of some rounds, in ns a record.
//!
//! `cargo run --release -p ringbuf-core --example timing`. Comparisons with other rings are `cargo xtask bench ring`.

#![allow(clippy::print_stdout, reason = "an example prints what it found")]

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use ringbuf_core::{ByteRing, ByteRingOptions, Ring, RingOptions, TryReadError};

const RECORDS: u64 = 1 << 20;
const ROUNDS: usize = 7;

fn best(what: &str, mut round: impl FnMut() -> Duration) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| round().as_nanos() as f64 / RECORDS as f64)
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "{what:44} {:8.2} ns (median {:.2})",
        times[0],
        times[ROUNDS / 2]
    );
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn one_thread() {
    let (mut producer, ring) = Ring::<u64>::new(65_536).unwrap();
    best("u64 append", || {
        timed(|| {
            for number in 0..RECORDS {
                producer.append(number);
            }
        })
    });
    best("u64 append_batch of 256", || {
        timed(|| {
            for number in 0..RECORDS / 256 {
                producer.append_batch(number..number + 256);
            }
        })
    });
    let values: Vec<u64> = (0..256).collect();
    best("u64 append_slice of 256", || {
        timed(|| {
            for _ in 0..RECORDS / 256 {
                producer.append_slice(black_box(&values));
            }
        })
    });
    best("u64 try_read", || {
        let mut reader = ring.reader(ring.oldest());
        timed(|| {
            for _ in 0..RECORDS / 65_536 {
                while let Ok(number) = reader.try_read() {
                    black_box(*number);
                }
                reader.seek(ring.oldest());
            }
        })
    });
    best("u64 read_batch of 256", || {
        let mut reader = ring.reader(ring.oldest());
        timed(|| {
            for _ in 0..RECORDS / 65_536 {
                while let Ok(numbers) = reader.read_batch(256) {
                    black_box(numbers.iter().sum::<u64>());
                }
                reader.seek(ring.oldest());
            }
        })
    });
    let shared = producer.share();
    best("u64 append, shared", || {
        timed(|| {
            for number in 0..RECORDS {
                shared.append(number).unwrap();
            }
        })
    });
    let (mut producer, _ring) = RingOptions::new(65_536)
        .with_waiting()
        .build::<u64>()
        .unwrap();
    best("u64 append, with waiting", || {
        timed(|| {
            for number in 0..RECORDS {
                producer.append(number);
            }
        })
    });
    for (what, bytes) in [("256 KiB", 256 << 10), ("8 MiB", 8 << 20)] {
        let options = ByteRingOptions::new().with_max_bytes(bytes);
        let (mut producer, _ring) = ByteRing::new(options).unwrap();
        best(&format!("128 B append, ByteRing of {what}"), || {
            timed(|| {
                for _ in 0..RECORDS {
                    producer.append(black_box(&[7; 128]));
                }
            })
        });
        let (records, ends) = (
            [7; 128 * 64],
            core::array::from_fn::<u32, 64, _>(|i| 128 * (i as u32 + 1)),
        );
        best(&format!("128 B push_run of 64, ByteRing of {what}"), || {
            timed(|| {
                for _ in 0..RECORDS / 64 {
                    let mut batch = producer.batch();
                    batch.push_run(black_box(&records), &ends);
                    batch.publish();
                }
            })
        });
    }
    let (mut producer, ring) = ByteRing::new(ByteRingOptions::new()).unwrap();
    for _ in 0..RECORDS {
        producer.append(&[7; 128]);
    }
    best("128 B run read, ByteRing, 64 KiB a run", || {
        let mut reader = ring.reader(ring.oldest());
        timed(|| {
            for _ in 0..RECORDS / 65_536 {
                while let Ok(run) = reader.try_read(usize::MAX, 65_536) {
                    black_box(run.bytes());
                }
                reader.seek(ring.oldest());
            }
        })
    });
}

fn two_threads(what: &str, batch: u64) {
    best(what, || {
        let (mut producer, ring) = Ring::<u64>::new(65_536).unwrap();
        let mut reader = ring.reader(0);
        thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut delivered = 0;
                loop {
                    match reader.read_batch(batch as usize) {
                        Ok(numbers) => delivered += black_box(numbers).len() as u64,
                        Err(TryReadError::Lapped { from, to }) => delivered += to - from,
                        Err(TryReadError::Empty) => std::hint::spin_loop(),
                        Err(TryReadError::Closed) => return delivered,
                    }
                }
            });
            let begin = Instant::now();
            if batch == 1 {
                for number in 0..RECORDS {
                    producer.append(number);
                }
            } else {
                for number in 0..RECORDS / batch {
                    producer.append_batch(number..number + batch);
                }
            }
            drop(producer);
            assert_eq!(reading.join().unwrap(), RECORDS);
            begin.elapsed()
        })
    });
}

fn round_trip() {
    best("u64 round trip", || {
        const TRIPS: u64 = RECORDS / 16;
        let (mut there, there_ring) = Ring::<u64>::new(1_024).unwrap();
        let (mut back, back_ring) = Ring::<u64>::new(1_024).unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut reader = there_ring.reader(0);
                for _ in 0..TRIPS {
                    let number = loop {
                        if let Ok(number) = reader.try_read() {
                            break *number;
                        }
                    };
                    back.append(number);
                }
            });
            let mut reader = back_ring.reader(0);
            timed(|| {
                for number in 0..TRIPS {
                    there.append(number);
                    while reader.try_read().is_err() {}
                }
            }) * 16
        })
    });
}

fn main() {
    one_thread();
    two_threads("u64 1 to 1, one by one", 1);
    two_threads("u64 1 to 1, batches of 256", 256);
    round_trip();
}
