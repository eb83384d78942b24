//! Writes lines in batches to a sink that fails now and then: retry, split, keep what cannot be written.
#![expect(clippy::print_stdout, reason = "the report is its output")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use footman_batcher::{Batch, Batcher, OnFailure, RetryPolicy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (rejected, sink) = (
        Arc::new(Mutex::new(Vec::new())),
        Arc::new(Mutex::new(Vec::new())),
    );
    let (keep, written) = (Arc::clone(&rejected), Arc::clone(&sink));
    let ms = Duration::from_millis;
    let batcher = Batcher::builder()
        .max_bytes(64, String::len)
        .linger(ms(2))
        .workers(2)
        .retry(RetryPolicy::attempts(3).with_backoff(ms(1), ms(10)))
        .on_failure(
            move |failed| match failed.failure().downcast_ref::<io::Error>() {
                // The line that spoils its batch is found by halving; alone, it is put aside.
                Some(error) if error.kind() == io::ErrorKind::InvalidData => {
                    if failed.items().len() > 1 {
                        return OnFailure::Split;
                    }
                    keep.lock()
                        .expect("no panic under it")
                        .extend(failed.take_items());
                    OnFailure::Drop
                }
                _ => OnFailure::Retry,
            },
        )
        .start(move |lines: &mut Batch<String>| {
            if lines.iter().any(|line| line.contains('\0')) {
                return Err(io::Error::from(io::ErrorKind::InvalidData));
            }
            if lines.attempt() == 1 && lines.len() % 2 == 1 {
                return Err(io::Error::from(io::ErrorKind::TimedOut));
            }
            written
                .lock()
                .expect("no panic under it")
                .extend(lines.iter().cloned());
            Ok(())
        })?;

    let line = |n| {
        if n == 42 {
            "spoilt \0".to_owned()
        } else {
            format!("line {n}")
        }
    };
    batcher.enqueue_many((0..100).map(line))?;

    let report = batcher.safe_stop(Duration::from_secs(10));
    println!("{report:?}\n{:?}", batcher.counters());
    assert_eq!(
        (report.processed, report.failed, report.abandoned),
        (99, 1, 0)
    );
    assert_eq!(sink.lock().expect("no panic under it").len(), 99);
    assert_eq!(*rejected.lock().expect("no panic under it"), ["spoilt \0"]);
    Ok(())
}
