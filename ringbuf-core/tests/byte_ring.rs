//! What a `ByteRing` does, one scenario a test, on one thread.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringbuf_core::{ByteReader, ByteRing, ByteRingOptions, InvalidOptions, TryReadError};

fn options(records: u64) -> ByteRingOptions {
    ByteRingOptions::new().with_max_records(records)
}

/// Reads all there is: the records with their sequences, and what ended it.
fn drain(reader: &mut ByteReader) -> (Vec<(u64, Vec<u8>)>, TryReadError) {
    let mut records = Vec::new();
    loop {
        match reader.try_read(3, usize::MAX) {
            Ok(run) => {
                records.extend((run.base()..).zip(run.iter().map(<[u8]>::to_vec)));
            }
            Err(end) => return (records, end),
        }
    }
}

fn number(sequence: u64) -> Vec<u8> {
    sequence.to_string().into_bytes()
}

#[test]
fn a_run_can_be_shortened_to_its_beginning() {
    let (mut producer, ring) = ByteRing::new(options(100)).unwrap();
    for record in [b"one".as_slice(), b"two", b"three", b"four"] {
        producer.append(record);
    }
    for (max_records, max_bytes, bytes) in [
        (9, 99, b"onetwothreefour".as_slice()),
        (3, 99, b"onetwothree"),
        (9, 10, b"onetwo"),
        (0, 0, b"one"),
    ] {
        let mut reader = ring.reader(0);
        let run = reader.try_read(usize::MAX, usize::MAX).unwrap();
        let run = run.shortened(max_records, max_bytes);
        assert_eq!((run.base(), run.bytes()), (0, bytes));
        assert_eq!(reader.position(), 4, "the reader is behind the whole run");
    }
}

#[test]
fn records_are_read_in_order_by_every_reader() {
    let (mut producer, ring) = ByteRing::new(options(1_000)).unwrap();
    let mut readers = [ring.reader(0), ring.reader(0), ring.reader(7)];
    for sequence in 0..100 {
        assert_eq!(producer.append(&number(sequence)), sequence);
    }
    for (reader, from) in readers.iter_mut().zip([0, 0, 7]) {
        let (records, end) = drain(reader);
        let expected: Vec<_> = (from..100)
            .map(|sequence| (sequence, number(sequence)))
            .collect();
        assert_eq!(records, expected);
        assert_eq!(end, TryReadError::Empty);
        assert_eq!((reader.position(), reader.lag()), (100, 0));
    }
}

#[test]
fn a_lapped_reader_is_told_exactly_what_it_lost() {
    let (mut producer, ring) = ByteRing::new(options(4)).unwrap();
    let mut reader = ring.reader(0);
    for sequence in 0..10 {
        producer.append(&number(sequence));
    }
    assert_eq!(
        (ring.oldest(), ring.tail(), ring.retained_bytes()),
        (6, 10, 4)
    );
    let lapped = reader.try_read(9, 9).unwrap_err();
    assert_eq!(lapped, TryReadError::Lapped { from: 0, to: 6 });
    assert_eq!(lapped.lost(), 6);
    let (records, _) = drain(&mut reader);
    assert_eq!(
        records.iter().map(|record| record.0).collect::<Vec<_>>(),
        [6, 7, 8, 9]
    );
}

#[test]
fn a_reader_lapped_twice_in_a_row_reads_next() {
    let (mut producer, ring) = ByteRing::new(options(4)).unwrap();
    let mut reader = ring.reader(0);
    let lap = |producer: &mut ringbuf_core::ByteProducer| {
        for _ in 0..10 {
            let next = ring.tail();
            producer.append(&number(next));
        }
    };
    lap(&mut producer);
    assert_eq!(
        reader.try_read(9, 9).unwrap_err(),
        TryReadError::Lapped { from: 0, to: 6 }
    );
    lap(&mut producer);
    assert_eq!(
        reader.try_read(9, 9).unwrap_err(),
        TryReadError::Lapped { from: 6, to: 16 }
    );
    lap(&mut producer);
    let run = reader.try_read(2, 99).unwrap();
    assert_eq!((run.base(), run.bytes()), (16, &b"1617"[..]));
    drop(run);
    assert_eq!(
        reader.try_read(9, 9).unwrap_err(),
        TryReadError::Lapped { from: 18, to: 26 }
    );
}

#[test]
fn the_limit_on_bytes_is_exact() {
    let (mut producer, ring) = ByteRing::new(options(u64::MAX).with_max_bytes(10)).unwrap();
    for length in [3, 3, 3] {
        producer.append(&vec![7; length]);
    }
    assert_eq!((ring.oldest(), ring.retained_bytes()), (0, 9));
    producer.append(&[7; 1]);
    assert_eq!((ring.oldest(), ring.retained_bytes()), (0, 10));
    producer.append(&[]);
    assert_eq!((ring.oldest(), ring.retained_bytes()), (0, 10));
    producer.append(&[7; 4]);
    assert_eq!((ring.oldest(), ring.retained_bytes()), (2, 8));
    producer.append(&[7; 11]); // larger than all that may be kept: lost at once
    assert_eq!(
        (ring.oldest(), ring.tail(), ring.retained_bytes()),
        (7, 7, 0)
    );
}

#[test]
fn records_larger_than_a_segment_get_their_own() {
    let (mut producer, ring) = ByteRing::new(options(100).with_segment_bytes(4096)).unwrap();
    let records: Vec<Vec<u8>> = [10, 100_000, 0, 4092, 4093, 300_000, 5]
        .iter()
        .enumerate()
        .map(|(index, &length)| vec![index as u8; length])
        .collect();
    for record in &records {
        producer.append(record);
    }
    let (read, _) = drain(&mut ring.reader(0));
    assert_eq!(
        read.into_iter().map(|record| record.1).collect::<Vec<_>>(),
        records
    );
}

#[test]
fn a_batch_is_visible_only_when_published_and_all_at_once() {
    let (mut producer, ring) = ByteRing::new(options(10_000)).unwrap();
    producer.append(b"before");
    let mut reader = ring.reader(0);
    let mut batch = producer.batch();
    batch.push(&[b"he", b"ad", b"er"]);
    for _ in 0..2_000 {
        batch.push(&[b"filling several segments"]);
    }
    assert_eq!((batch.len(), ring.tail()), (2_001, 1));
    assert_eq!(drain(&mut reader).0.len(), 1);
    assert_eq!(batch.publish(), 1..2_002);
    let (records, _) = drain(&mut reader);
    assert_eq!(records.len(), 2_001);
    assert_eq!(records[0], (1, b"header".to_vec()));
    assert_eq!(records[2_000].1, b"filling several segments");
}

#[test]
fn a_batch_that_is_dropped_leaves_nothing() {
    let (mut producer, ring) = ByteRing::new(options(10_000)).unwrap();
    for round in 0..20_u64 {
        let mut batch = producer.batch();
        for _ in 0..500 {
            batch.push(&[b"never seen, whatever segments it took"]);
        }
        if round % 2 == 0 {
            drop(batch);
        } else {
            std::mem::forget(batch);
        }
        assert_eq!(producer.append(&number(round)), round);
    }
    let (records, _) = drain(&mut ring.reader(0));
    let expected: Vec<_> = (0..20).map(|round| (round, number(round))).collect();
    assert_eq!(records, expected);
    assert!(ring.memory_bytes() < 200_000, "{}", ring.memory_bytes());
}

#[test]
fn a_run_pushed_at_once_is_cut_at_segments() {
    let (mut producer, ring) = ByteRing::new(options(100_000).with_segment_bytes(4096)).unwrap();
    let lengths: Vec<usize> = (0..5_000).map(|index| (index * 7919) % 300).collect();
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for (index, &length) in lengths.iter().enumerate() {
        bytes.extend(std::iter::repeat_n(index as u8, length));
        ends.push(bytes.len() as u32);
    }
    let mut batch = producer.batch();
    batch.push_run(&[], &[]);
    batch.push_run(&bytes, &ends);
    assert_eq!(batch.publish(), 0..5_000);
    let (records, _) = drain(&mut ring.reader(0));
    for (index, ((sequence, record), length)) in records.iter().zip(&lengths).enumerate() {
        assert_eq!((*sequence, record.len()), (index as u64, *length));
        assert!(record.iter().all(|&byte| byte == index as u8));
    }
    assert_eq!(records.len(), 5_000);
}

#[test]
fn runs_keep_to_what_was_asked_for() {
    let (mut producer, ring) = ByteRing::new(options(100)).unwrap();
    for _ in 0..10 {
        producer.append(&[1; 10]);
    }
    let mut reader = ring.reader(0);
    let length =
        |reader: &mut ByteReader, records, bytes| reader.try_read(records, bytes).unwrap().len();
    assert_eq!(length(&mut reader, 1, usize::MAX), 1);
    assert_eq!(length(&mut reader, usize::MAX, 29), 2);
    assert_eq!(length(&mut reader, usize::MAX, 30), 3);
    assert_eq!(length(&mut reader, 0, 0), 1); // one at least
    assert_eq!(length(&mut reader, usize::MAX, usize::MAX), 3);
    let run = ring.reader(8).try_read(9, 99).unwrap().into_owned();
    assert_eq!(
        (run.base(), run.len(), run.end(0), run.end(1)),
        (8, 2, 10, 20)
    );
    assert_eq!(run.get(2), None);
    assert_eq!(run.iter().len(), 2);
}

#[test]
fn an_owned_run_outlives_ring_reader_and_producer() {
    let (mut producer, ring) = ByteRing::new(options(2)).unwrap();
    producer.append(b"kept");
    let run = ring.reader(0).try_read(1, 99).unwrap().into_owned();
    for _ in 0..10_000 {
        producer.append(b"other");
    }
    drop((producer, ring));
    let thread = std::thread::spawn(move || {
        assert_eq!((run.base(), run.as_ref()), (0, &b"kept"[..]));
    });
    thread.join().unwrap();
}

#[test]
fn a_closed_ring_is_read_to_its_end() {
    let (mut producer, ring) = ByteRing::new(options(10)).unwrap();
    let mut reader = ring.reader(0);
    producer.append(b"last");
    producer.close();
    producer.close();
    assert!(ring.is_closed());
    assert_eq!(reader.try_read(9, 9).unwrap().bytes(), b"last");
    assert_eq!(reader.try_read(9, 9).unwrap_err(), TryReadError::Closed);
    assert_eq!(
        ring.reader(50).try_read(9, 9).unwrap_err(),
        TryReadError::Closed
    );
    let (producer, ring) = ByteRing::new(options(10)).unwrap();
    drop(producer);
    assert!(ring.is_closed());
}

#[test]
fn trim_forgets_and_gives_memory_back() {
    let (mut producer, ring) = ByteRing::new(options(u64::MAX)).unwrap();
    let empty = ring.memory_bytes();
    for _ in 0..10_000 {
        producer.append(&[5; 100]);
    }
    assert_eq!(ring.retained_bytes(), 1_000_000);
    assert!(ring.memory_bytes() >= 1_040_000);
    producer.trim(9_000);
    producer.trim(5); // already gone
    assert_eq!(
        (ring.oldest(), ring.tail(), ring.retained_bytes()),
        (9_000, 10_000, 100_000)
    );
    assert!(ring.memory_bytes() < 800_000, "{}", ring.memory_bytes());
    let with_spare = ring.memory_bytes();
    producer.trim(9_001);
    producer.trim(0);
    assert!(ring.memory_bytes() <= with_spare);
    let mut reader = ring.reader(0);
    producer.trim(u64::MAX);
    assert_eq!((ring.oldest(), ring.retained_bytes()), (10_000, 0));
    assert!(
        ring.memory_bytes() - empty < 4_000,
        "{} of {empty}",
        ring.memory_bytes()
    );
    assert_eq!(
        reader.try_read(1, 1).unwrap_err(),
        TryReadError::Lapped {
            from: 0,
            to: 10_000
        }
    );
    assert_eq!(producer.append(b"goes on"), 10_000);
    assert_eq!(reader.try_read(1, 1).unwrap().bytes(), b"goes on");
}

#[test]
fn limits_can_be_changed() {
    let (mut producer, ring) = ByteRing::new(options(100)).unwrap();
    for _ in 0..100 {
        producer.append(&[1; 10]);
    }
    producer.set_limits(50, u64::MAX).unwrap();
    assert_eq!((ring.oldest(), ring.retained_bytes()), (50, 500));
    producer.set_limits(u64::MAX, 95).unwrap();
    assert_eq!((ring.oldest(), ring.retained_bytes()), (91, 90));
    producer.set_limits(u64::MAX, u64::MAX).unwrap();
    assert_eq!(ring.oldest(), 91); // what is gone does not come back
    assert_eq!(producer.set_limits(0, 1), Err(InvalidOptions::NoRecords));
    assert_eq!(producer.set_limits(1, 0), Err(InvalidOptions::NoBytes));
    let segments = |bytes| ByteRing::new(options(1).with_segment_bytes(bytes)).map(|_| ());
    assert_eq!(
        segments(63),
        Err(InvalidOptions::SegmentBytes { bytes: 63 })
    );
}

#[test]
fn a_position_above_the_tail_waits_for_its_record() {
    let (mut producer, ring) = ByteRing::new(options(10)).unwrap();
    let mut reader = ring.reader(2);
    for _ in 0..2 {
        assert_eq!(reader.try_read(9, 9).unwrap_err(), TryReadError::Empty);
        producer.append(b"below");
    }
    assert_eq!(reader.try_read(9, 9).unwrap_err(), TryReadError::Empty);
    producer.append(b"there");
    assert_eq!(reader.try_read(9, 9).unwrap().bytes(), b"there");
    reader.seek(1);
    assert_eq!(reader.lag(), 2);
    assert_eq!(reader.clone().try_read(9, 99).unwrap().len(), 2);
}

#[test]
fn sequences_near_the_end_of_the_range_are_ordinary() {
    let start = u64::MAX - 20_000;
    let (mut producer, ring) = ByteRing::starting_at(start, options(100)).unwrap();
    let mut early = ring.reader(0);
    for sequence in start..start + 10_000 {
        assert_eq!(producer.append(&number(sequence)), sequence);
    }
    assert_eq!(early.try_read(1, 1).unwrap_err().lost(), start + 9_900);
    let (records, _) = drain(&mut early);
    assert_eq!(records.len(), 100);
    assert_eq!(records[99], (start + 9_999, number(start + 9_999)));
}

#[test]
#[should_panic(expected = "the sequences are used up")]
fn the_last_sequence_is_never_given() {
    let (mut producer, _ring) = ByteRing::starting_at(u64::MAX - 5_000, options(100)).unwrap();
    for _ in 0..6_000 {
        producer.append(b"");
    }
}

#[test]
fn a_thousand_small_rings_are_cheap() {
    let rings: Vec<_> = (0..1_000)
        .map(|_| ByteRing::new(options(1_000)).unwrap())
        .collect();
    let idle: u64 = rings.iter().map(|(_, ring)| ring.memory_bytes()).sum();
    assert!(idle < 1_000 * 1024, "{idle}");
    let mut rings = rings;
    for (producer, _) in &mut rings {
        producer.append(b"a record");
    }
    let used: u64 = rings.iter().map(|(_, ring)| ring.memory_bytes()).sum();
    assert!(used < 1_000 * 6 * 1024, "{used}");
}

/// A look that meets a taken segment must leave its pin word as it was: the next life begins there.
#[test]
fn a_reader_that_meets_a_taken_segment_leaves_no_trace() {
    let (mut producer, ring) = ByteRing::new(options(1).with_segment_bytes(64)).unwrap();
    let mut reader = ring.reader(0);
    producer.append(&[0; 40]);
    assert_eq!(reader.try_read(1, 99).unwrap().base(), 0); // remembers the first segment
    producer.append(&[1; 40]); // the first segment is taken back
    let mut batch = producer.batch();
    batch.push(&[&[9; 40]]); // and begins a life at 2,
    drop(batch); // which no reader may enter
    reader.seek(2);
    producer.append(&[2; 8]); // beside 1
    assert_eq!(reader.try_read(1, 99).unwrap().bytes(), [2; 8]);
    producer.append(&[3; 40]); // in the first segment's next life
    assert_eq!(reader.try_read(1, 99).unwrap().bytes(), [3; 40]);
}

/// A constructor writes in place, in a segment that may just have been opened for it.
#[test]
fn a_constructor_in_place_that_panics_leaves_a_ring_that_works() {
    let options = ByteRingOptions::new().with_segment_bytes(64);
    let (mut producer, ring) = ByteRing::new(options).unwrap();
    for turn in 0..20_u8 {
        let length = 30 + usize::from(turn);
        let made = catch_unwind(AssertUnwindSafe(|| {
            producer.append_with(length, |bytes| {
                bytes.fill(99);
                panic!("not made");
            })
        }));
        assert!(made.is_err());
        match turn % 4 {
            0 => producer.trim(0),
            1 => producer.trim(u64::MAX),
            2 => drop(producer.batch()),
            _ => {}
        }
        assert_eq!(ring.tail(), turn.into());
        let sequence = producer.append_with(length, |bytes| {
            assert!(bytes.iter().all(|&byte| byte == 0), "old bytes are seen");
            bytes.fill(turn);
        });
        assert_eq!(sequence, turn.into());
        let mut last = ring.reader(sequence);
        assert_eq!(last.try_read(1, 99).unwrap().bytes(), vec![turn; length]);
    }
    let batch = (0..9_u8).map(|number| {
        assert!(number < 5, "not made");
        [number; 30]
    });
    assert!(catch_unwind(AssertUnwindSafe(|| producer.append_batch(batch))).is_err());
    assert_eq!(
        ring.tail(),
        20,
        "nothing of a batch that panics is appended"
    );
    assert_eq!(producer.append_batch([[1; 30], [2; 30]]), 20..22);
}
