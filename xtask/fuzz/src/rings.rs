//! Sequences of operations on both rings, against the plain lists that they stand for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringbuf_core::{
    ByteReader, ByteRing, ByteRingOptions, OwnedByteRun, Reader, Ring, TryReadError,
};

fuzz_target!(|data: &[u8]| {
    let [capacity, segment, steps @ ..] = data else {
        return;
    };
    values(u64::from(*capacity) + 1, steps);
    bytes(u64::from(*capacity) + 1, usize::from(*segment) + 1, steps);
});

/// A value with memory of its own: what is read after its drop, the address sanitizer sees.
fn value(sequence: u64) -> Box<u64> {
    Box::new(sequence)
}

fn values(capacity: u64, steps: &[u8]) {
    let (mut producer, ring) = Ring::<Box<u64>>::new(capacity as usize).unwrap();
    let mut readers = [ring.reader(0), ring.reader(0), ring.reader(0)];
    let mut tail = 0;
    for step in steps.chunks_exact(2) {
        let (which, n) = (usize::from(step[0] / 8) % 3, u64::from(step[1]));
        match step[0] % 8 {
            0 => {
                assert_eq!(producer.append(value(tail)), tail);
                tail += 1;
            }
            1 | 2 => {
                let range = producer.append_batch((tail..tail + n).map(value));
                assert_eq!(range, tail..tail + n);
                tail += n;
            }
            3 => readers[which].seek((tail + 3).saturating_sub(n)),
            4 => readers[which].release(),
            5 => readers[which] = readers[(which + 1) % 3].clone(),
            _ => read(&mut readers[which], n as usize),
        }
        assert_eq!(ring.tail(), tail);
        assert_eq!(ring.oldest(), tail.saturating_sub(capacity));
    }
    drop((producer, ring));
    for reader in &mut readers {
        read(reader, 99);
    }
}

fn read(reader: &mut Reader<Box<u64>>, max: usize) {
    let at = reader.position();
    match reader.read_batch(max) {
        Ok(batch) => assert!(
            batch
                .iter()
                .map(|value| **value)
                .eq(at..at + batch.len() as u64)
        ),
        Err(TryReadError::Lapped { from, to }) => assert!(from == at && to > at),
        Err(TryReadError::Empty | TryReadError::Closed) => {}
    }
}

fn record(sequence: u64) -> Vec<u8> {
    vec![sequence as u8; (sequence as usize * 37) % 300]
}

fn bytes(max_records: u64, segment: usize, steps: &[u8]) {
    let options = ByteRingOptions::new()
        .with_max_records(max_records)
        .with_segment_bytes(segment * 8);
    let Ok((mut producer, ring)) = ByteRing::new(options) else {
        return;
    };
    let mut readers = [ring.reader(0), ring.reader(0), ring.reader(0)];
    let mut held: Vec<OwnedByteRun> = Vec::new();
    let mut tail = 0;
    for step in steps.chunks_exact(2) {
        let (which, n) = (usize::from(step[0] / 16) % 3, u64::from(step[1]));
        match step[0] % 16 {
            0 | 1 => {
                assert_eq!(producer.append(&record(tail)), tail);
                tail += 1;
            }
            2 | 3 => {
                let mut batch = producer.batch();
                for sequence in tail..tail + n {
                    let record = record(sequence);
                    let (front, back) = record.split_at(record.len() / 2);
                    batch.push(&[front, back]);
                }
                if step[0] % 16 == 2 {
                    assert_eq!(batch.publish(), tail..tail + n);
                    tail += n;
                } // else it is dropped, and was never there
            }
            4 => {
                let (mut run, mut ends) = (Vec::new(), Vec::new());
                for sequence in tail..tail + n {
                    run.extend(record(sequence));
                    ends.push(run.len() as u32);
                }
                let mut batch = producer.batch();
                batch.push_run(&run, &ends);
                assert_eq!(batch.publish(), tail..tail + n);
                tail += n;
            }
            5 => producer.trim((tail + 3).saturating_sub(n)),
            6 => drop(producer.set_limits(max_records + n % 4, 1 + n * 64)),
            7 => readers[which].seek((tail + 3).saturating_sub(n)),
            8 => readers[which] = readers[(which + 1) % 3].clone(),
            9 => held.clear(),
            _ => held.extend(read_run(&mut readers[which], n as usize)),
        }
        held.truncate(20);
        assert_eq!(ring.tail(), tail);
        assert!(ring.oldest() <= tail && tail - ring.oldest() <= max_records + 3);
    }
    drop((producer, ring, readers));
    held.iter().for_each(is_whole); // they keep what they need
}

fn is_whole(run: &OwnedByteRun) {
    for (sequence, bytes) in (run.base()..).zip(run.iter()) {
        assert_eq!(bytes, record(sequence));
    }
}

fn read_run(reader: &mut ByteReader, max: usize) -> Option<OwnedByteRun> {
    let at = reader.position();
    match reader.try_read(max, max * 100) {
        Ok(run) => {
            assert_eq!(run.base(), at);
            let run = run.into_owned();
            is_whole(&run);
            Some(run)
        }
        Err(TryReadError::Lapped { from, to }) => {
            assert!(from == at && to > at);
            None
        }
        Err(TryReadError::Empty | TryReadError::Closed) => None,
    }
}
