//! A `ByteRing` under real threads: the ledger holds, order holds, every record is whole.

use std::collections::VecDeque;
use std::thread;

use ringbuf_core::{ByteProducer, ByteReader, ByteRing, ByteRingOptions, TryReadError};

const RECORDS: u64 = 200_000;

/// The sequence, then bytes that follow from it.
fn fill(record: &mut Vec<u8>, sequence: u64) {
    record.clear();
    record.extend(sequence.to_le_bytes());
    record.resize(8 + (sequence % 61) as usize, sequence as u8);
}

fn check(sequence: u64, record: &[u8]) {
    assert_eq!(
        record[..8],
        sequence.to_le_bytes(),
        "not the record asked for"
    );
    assert_eq!(record.len(), 8 + (sequence % 61) as usize);
    assert!(
        record[8..].iter().all(|&byte| byte == sequence as u8),
        "torn"
    );
}

/// Reads to the end of the ring: delivered and lost. Holds on to the last `hold` runs.
fn follow(mut reader: ByteReader, max_records: usize, hold: usize) -> (u64, u64) {
    let (mut delivered, mut lost) = (0, 0);
    let mut held = VecDeque::new();
    loop {
        match reader.try_read(max_records, 4_000) {
            Ok(run) => {
                for (sequence, record) in (run.base()..).zip(run.iter()) {
                    check(sequence, record);
                }
                delivered += run.len() as u64;
                if hold > 0 {
                    held.push_back(run.into_owned());
                }
                if held.len() > hold
                    && let Some(run) = held.pop_front()
                {
                    check(run.base(), run.get(0).unwrap());
                }
            }
            Err(TryReadError::Lapped { from, to }) => {
                assert!(from < to);
                lost += to - from;
            }
            Err(TryReadError::Empty) => thread::yield_now(),
            Err(TryReadError::Closed) => return (delivered, lost),
        }
    }
}

fn produce(mut producer: ByteProducer) {
    let mut record = Vec::new();
    let mut next = 0;
    while next < RECORDS {
        if next % 3 == 0 {
            let mut batch = producer.batch();
            for sequence in next..RECORDS.min(next + next % 50 + 1) {
                fill(&mut record, sequence);
                batch.push(&[&record[..4], &record[4..]]);
            }
            next = batch.publish().end;
        } else {
            fill(&mut record, next);
            next = producer.append(&record) + 1;
        }
    }
}

fn ledger_holds(options: ByteRingOptions) {
    let (producer, ring) = ByteRing::new(options).unwrap();
    thread::scope(|scope| {
        let readers: Vec<_> = [(1, 0), (7, 0), (usize::MAX, 0), (100, 20)]
            .into_iter()
            .map(|(max_records, hold)| {
                let reader = ring.reader(0);
                scope.spawn(move || follow(reader, max_records, hold))
            })
            .collect();
        scope.spawn(|| produce(producer));
        for reader in readers {
            let (delivered, lost) = reader.join().unwrap();
            assert_eq!(delivered + lost, RECORDS);
        }
    });
}

#[test]
fn delivered_and_lost_are_all_with_a_small_ring() {
    ledger_holds(
        ByteRingOptions::new()
            .with_max_records(50)
            .with_segment_bytes(128),
    );
}

#[test]
fn delivered_and_lost_are_all_with_a_limit_on_bytes() {
    ledger_holds(
        ByteRingOptions::new()
            .with_max_bytes(20_000)
            .with_segment_bytes(2_000),
    );
}

#[test]
fn delivered_and_lost_are_all_with_a_large_ring() {
    ledger_holds(ByteRingOptions::new().with_max_records(RECORDS));
}

#[test]
fn a_thousand_readers_that_hold_lag_and_go_cost_only_what_they_hold() {
    let options = ByteRingOptions::new()
        .with_max_records(1_000)
        .with_segment_bytes(4_096);
    let (mut producer, ring) = ByteRing::new(options).unwrap();
    let plain = {
        for _ in 0..10_000 {
            producer.append(&[1; 64]);
        }
        ring.memory_bytes()
    };
    assert!(plain < 64_000 + 4_000 + 4 * 4_096 + 4_096, "{plain}");
    let lagging: Vec<_> = (0..400).map(|_| ring.reader(0)).collect();
    let mut held = Vec::new();
    for round in 0..300_u64 {
        held.push(
            ring.reader(ring.tail() - 1)
                .try_read(1, 64)
                .unwrap()
                .into_owned(),
        );
        let dropped = ring
            .reader(ring.tail() - 1)
            .try_read(1, 64)
            .unwrap()
            .into_owned();
        for _ in 0..100 {
            producer.append(&[round as u8; 64]);
        }
        drop(dropped);
    }
    // 300 runs are held, each of another segment or of the one of its neighbour.
    let pinned = ring.memory_bytes();
    assert!(
        pinned < plain + 300 * (4_096 + 128) + 16_384,
        "{pinned} {plain}"
    );
    assert!(held.iter().all(|run| run.len() == 1));
    drop(held);
    for _ in 0..10_000 {
        producer.append(&[1; 64]);
    }
    let after = ring.memory_bytes();
    assert!(
        after < plain + 300 * 128 + 16_384,
        "{after} {plain}: all that was pinned is used again or freed"
    );
    for mut reader in lagging {
        assert_eq!(reader.try_read(1, 1).unwrap_err().lost(), ring.oldest());
    }
}
