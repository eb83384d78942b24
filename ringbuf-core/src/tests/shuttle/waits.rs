//! Threads and tasks that wait, for records of several producers and for the end.

use std::future::poll_fn;
use std::vec::Vec;

use shuttle::{future, thread};

use super::join;
use crate::{Reader, RingOptions, TryReadError};

/// Reads to the end as a thread that sleeps, and counts.
fn sleep_to_the_end(mut reader: Reader<u64>) -> u64 {
    let mut delivered = 0;
    loop {
        match reader.read() {
            Ok(_) => delivered += 1,
            Err(TryReadError::Closed) => return delivered,
            Err(other) => panic!("{other} after a wait"),
        }
    }
}

/// The same as a task.
async fn poll_to_the_end(mut reader: Reader<u64>) -> u64 {
    let mut delivered = 0;
    loop {
        poll_fn(|cx| reader.poll_ready(cx)).await;
        match reader.try_read() {
            Ok(_) => delivered += 1,
            Err(TryReadError::Closed) => return delivered,
            Err(other) => panic!("{other} after a wait"),
        }
    }
}

#[test]
fn shuttle_threads_that_sleep_hear_of_each_record_and_of_the_end() {
    schedules::check(|| {
        let (producer, ring) = RingOptions::new(16).with_waiting().build_at(0, 4).unwrap();
        let producer = producer.share();
        let waiters = [(); 2].map(|()| {
            let reader = ring.reader(0);
            thread::spawn(move || sleep_to_the_end(reader))
        });
        let producers = [10, 20].map(|first| {
            let producer = producer.clone();
            thread::spawn(move || {
                producer.append(first).unwrap();
                producer.append(first + 1).unwrap();
            })
        });
        join(producers);
        drop(producer);
        assert_eq!(join(waiters), [4, 4]);
    });
}

#[test]
fn shuttle_tasks_are_woken_while_others_come_and_go() {
    schedules::check(|| {
        let (mut producer, ring) = RingOptions::new(16).with_waiting().build_at(0, 4).unwrap();
        let mut waiters = Vec::new();
        for _ in 0..2 {
            let reader = ring.reader(0);
            waiters.push(thread::spawn(move || {
                future::block_on(poll_to_the_end(reader))
            }));
        }
        let fickle = {
            let ring = ring.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    // Announces itself, and is dropped before anything comes or after.
                    let mut reader = ring.reader(ring.tail());
                    let _ = future::block_on(poll_fn(|cx| {
                        std::task::Poll::Ready(reader.poll_ready(cx))
                    }));
                }
            })
        };
        for number in 0..3 {
            producer.append(number);
        }
        producer.close();
        fickle.join().unwrap();
        assert_eq!(join(waiters), [3, 3]);
    });
}
