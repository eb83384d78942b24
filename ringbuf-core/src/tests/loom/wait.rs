//! No waiter sleeps on a record that is there, or on the end.

use std::future::poll_fn;

use crate::{
    ByteProducer, ByteReader, ByteRing, ByteRingOptions, Producer, Reader, Ring, RingOptions,
    TryReadError,
};

fn ring() -> (Producer<u64>, Ring<u64>) {
    RingOptions::new(2).with_waiting().build_at(0, 2).unwrap()
}

/// Sleeps until something is there; a wake-up that is lost is a deadlock, which loom reports.
fn wait(mut reader: Reader<u64>) -> Result<u64, TryReadError> {
    loom::future::block_on(poll_fn(|cx| reader.poll_ready(cx)));
    reader.try_read().copied()
}

fn byte_ring() -> (ByteProducer, ByteRing) {
    let options = ByteRingOptions::new().with_segment_bytes(64);
    ByteRing::new(options.with_waiting()).unwrap()
}

/// The same for bytes: the first byte of the record.
fn wait_for_byte(mut reader: ByteReader) -> Result<u8, TryReadError> {
    loom::future::block_on(poll_fn(|cx| reader.poll_ready(cx)));
    reader.try_read(1, 9).map(|run| run.bytes()[0])
}

#[test]
fn a_waiter_sees_the_record_or_is_woken() {
    loom::model(|| {
        let (mut producer, ring) = ring();
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || wait(reader));
        producer.append(7);
        assert_eq!(thread.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_waiter_sees_the_end_or_is_woken() {
    loom::model(|| {
        let (producer, ring) = ring();
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || wait(reader));
        producer.close();
        assert_eq!(thread.join().unwrap(), Err(TryReadError::Closed));
    });
}

#[test]
fn two_waiters_are_both_woken() {
    loom::model(|| {
        let (mut producer, ring) = ring();
        let threads = [ring.reader(0), ring.reader(0)]
            .map(|reader| loom::thread::spawn(move || wait(reader)));
        producer.append(7);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), Ok(7));
        }
    });
}

#[test]
fn a_waiter_that_goes_away_is_not_missed() {
    loom::model(|| {
        let (mut producer, ring) = ring();
        let mut reader = ring.reader(0);
        let thread = loom::thread::spawn(move || {
            let polled =
                loom::future::block_on(poll_fn(|cx| std::task::Poll::Ready(reader.poll_ready(cx))));
            drop(reader);
            polled.is_ready()
        });
        producer.append(7);
        thread.join().unwrap();
        assert_eq!(wait(ring.reader(0)), Ok(7));
    });
}

#[test]
fn a_waiter_for_bytes_sees_the_record_or_is_woken() {
    loom::model(|| {
        let (mut producer, ring) = byte_ring();
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || wait_for_byte(reader));
        producer.append(&[7]);
        assert_eq!(thread.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_waiter_for_bytes_sees_the_record_of_one_of_many_or_is_woken() {
    loom::model(|| {
        let (producer, ring) = byte_ring();
        let producer = producer.share();
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || wait_for_byte(reader));
        producer.append_run(&[7, 8], &[1, 2]).unwrap();
        assert_eq!(thread.join().unwrap(), Ok(7));
    });
}

#[test]
fn a_waiter_for_bytes_sees_the_end_or_is_woken() {
    loom::model(|| {
        let (producer, ring) = byte_ring();
        let reader = ring.reader(0);
        let thread = loom::thread::spawn(move || wait_for_byte(reader));
        drop(producer);
        assert_eq!(thread.join().unwrap(), Err(TryReadError::Closed));
    });
}
