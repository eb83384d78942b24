//! `ByteRing`: runs that are held across laps, batches, trims and new limits.

use std::vec::Vec;

use shuttle::thread;

use super::join;
use crate::{ByteReader, ByteRing, ByteRingOptions, OwnedByteRun, TryReadError};

/// Record `sequence`: of its own length, and of its own bytes.
fn record(sequence: u64) -> Vec<u8> {
    std::vec![sequence as u8 + 1; 10 + (sequence as usize * 7) % 25]
}

fn is_whole(run: &OwnedByteRun) {
    for (sequence, bytes) in (run.base()..).zip(run.iter()) {
        assert_eq!(bytes, record(sequence), "at {sequence}");
    }
}

/// Reads to the end and keeps up to `hold` runs, which must stay as they are.
fn read_to_the_end(mut reader: ByteReader, hold: usize) -> u64 {
    let mut held = Vec::new();
    let mut accounted = 0;
    loop {
        let at = reader.position();
        match reader.try_read(3, 60) {
            Ok(run) => {
                assert_eq!(run.base(), at);
                accounted += run.len() as u64;
                let run = run.into_owned();
                is_whole(&run);
                held.push(run);
                if held.len() > hold {
                    is_whole(&held.remove(0));
                }
            }
            Err(TryReadError::Lapped { from, to }) => {
                assert!(from == at && to > from);
                accounted += to - from;
            }
            Err(TryReadError::Empty) => thread::yield_now(),
            Err(TryReadError::Closed) => break,
        }
        assert_eq!(accounted, reader.position());
    }
    held.iter().for_each(is_whole);
    accounted
}

#[test]
fn shuttle_runs_that_are_held_stay_whole_while_the_log_is_lapped() {
    schedules::check(|| {
        let options = ByteRingOptions::new()
            .with_max_records(4)
            .with_segment_bytes(64);
        let (mut producer, ring) = ByteRing::new(options).unwrap();
        let readers = [0, 1, 3].map(|hold| {
            let reader = ring.reader(0);
            thread::spawn(move || read_to_the_end(reader, hold))
        });
        for sequence in 0..4 {
            assert_eq!(producer.append(&record(sequence)), sequence);
        }
        let mut batch = producer.batch();
        for sequence in 4..7 {
            let record = record(sequence);
            let (front, back) = record.split_at(5);
            batch.push(&[front, back]);
        }
        assert_eq!(batch.publish(), 4..7);
        for sequence in 7..10 {
            producer.append(&record(sequence));
        }
        producer.close();
        assert_eq!(join(readers), [10, 10, 10]);
    });
}

#[test]
fn shuttle_trims_and_limits_under_readers_lose_exactly_what_they_say() {
    schedules::check(|| {
        let options = ByteRingOptions::new()
            .with_max_bytes(120)
            .with_segment_bytes(64);
        let (mut producer, ring) = ByteRing::new(options).unwrap();
        let readers = [0, 2].map(|hold| {
            let reader = ring.reader(0);
            thread::spawn(move || read_to_the_end(reader, hold))
        });
        for sequence in 0..3 {
            producer.append(&record(sequence));
        }
        producer.trim(2);
        let mut batch = producer.batch();
        batch.push(&[b"never seen"]);
        drop(batch);
        producer.append(&record(3));
        producer.set_limits(2, 1 << 20).unwrap();
        for sequence in 4..7 {
            producer.append(&record(sequence));
        }
        producer.trim(u64::MAX);
        assert_eq!(ring.oldest(), 7);
        producer.append(&record(7));
        drop(producer);
        assert_eq!(join(readers), [8, 8]);
    });
}
