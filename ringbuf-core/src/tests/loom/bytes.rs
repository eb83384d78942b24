//! The same of `ByteRing`: runs that are held, batches that are dropped, trims.

use super::{byte_ring, read_bytes, record};

#[test]
fn a_run_that_is_held_does_not_change() {
    loom::model(|| {
        let (mut producer, ring) = byte_ring(1);
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || {
            for sequence in 0..3 {
                producer.append(&record(sequence));
            }
        });
        read_bytes(reader, 2);
        thread.join().unwrap();
    });
}

#[test]
fn a_batch_that_is_dropped_is_never_seen() {
    loom::model(|| {
        let (mut producer, ring) = byte_ring(2);
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || {
            producer.append(&record(0));
            let mut batch = producer.batch();
            batch.push(&[&record(9)]);
            batch.push(&[&record(9)]);
            drop(batch);
            producer.append(&record(1));
        });
        read_bytes(reader, 3);
        thread.join().unwrap();
    });
}

#[test]
fn a_trim_takes_the_open_segment_too() {
    loom::model(|| {
        let (mut producer, ring) = byte_ring(4);
        producer.append(&record(0));
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || {
            producer.trim(1);
            producer.append(&record(1));
        });
        read_bytes(reader, 3);
        thread.join().unwrap();
    });
}

#[test]
fn an_owned_run_outlives_the_ring() {
    loom::model(|| {
        let (mut producer, ring) = byte_ring(1);
        producer.append(&record(0));
        let run = ring.reader(0).try_read(1, 99).unwrap().into_owned();
        let thread = loom::thread::spawn(move || assert_eq!(run.as_ref(), record(0)));
        producer.append(&record(1));
        producer.append(&record(2));
        drop((producer, ring));
        thread.join().unwrap();
    });
}

#[test]
fn a_reader_lapped_twice_holds_where_it_resumes() {
    loom::model(|| {
        let (mut producer, ring) = byte_ring(1);
        producer.append(&record(0));
        producer.append(&record(1));
        let mut reader = ring.reader(0);
        assert_eq!(reader.try_read(1, 99).unwrap_err().lost(), 1);
        producer.append(&record(2));
        let thread = loom::thread::spawn(move || {
            producer.append(&record(3));
            producer.append(&record(4));
        });
        reader.try_read(1, 99).unwrap_err();
        let resumed = reader.position();
        // Between the store of the floor and that of the tail nothing is there to hold.
        match reader.try_read(1, 99) {
            Ok(run) => assert_eq!((run.base(), run.bytes()), (resumed, &record(resumed)[..])),
            Err(error) => assert!(resumed > 2, "{error} at {resumed}"),
        }
        thread.join().unwrap();
    });
}
