//! A metrics pipeline: many sensors produce single readings, a sink takes them in batches, one of which fails the
//! first time; and the newest reading of a sensor can be asked for at any time.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use footman_batcher::{Batch, Batcher, OnFailure, RetryPolicy};
use footman_broker::{
    Broker, BrokerOptions, ConsumedRecord, Record, StartAt, StopAt, SubscribeOptions, TopicOptions,
};

const SENSORS: u64 = 20;
const READINGS: u64 = 500;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let broker = Broker::new(BrokerOptions::default())?;
    let options = TopicOptions::default().with_last_by_key(true);
    broker.create_topic("temperatures", options)?;

    // The pipeline: batches of 500 or whatever came in 20 ms, two at a time.
    let mut consumer = broker.consumer();
    let all = StopAt::Offset(SENSORS * READINGS);
    let options = SubscribeOptions::new(StartAt::Earliest).with_stop(all);
    consumer.subscribe_with("temperatures", options)?;
    let pipeline = consumer.into_batches(
        Batcher::builder()
            .max_items(500)
            .linger(Duration::from_millis(20))
            .workers(2)
            .retry(RetryPolicy::attempts(3))
            .on_failure(|failed| {
                println!("{}: again", failed.failure());
                OnFailure::Retry
            }),
        insert,
        |notice| println!("{notice:?}"), // a loss would be told here
    )?;

    // The sensors, each a thread.
    std::thread::scope(|scope| {
        for sensor in 0..SENSORS {
            let producer = broker.producer("temperatures");
            scope.spawn(move || -> Result<(), Box<dyn Error + Send + Sync>> {
                let producer = producer?;
                for reading in 0..READINGS {
                    let record = Record::new(format!("{reading}")).with_key(format!("{sensor}"));
                    producer.produce(&record)?;
                }
                Ok(())
            });
        }
    });

    let report = pipeline.finish();
    let counts = &report.batcher;
    println!(
        "{} readings inserted, {} lost",
        counts.processed, report.lost
    );
    assert_eq!(counts.processed, SENSORS * READINGS);
    let newest = broker.last_by_key("temperatures", b"7")?.ok_or("none")?;
    for record in &newest {
        let value = String::from_utf8_lossy(record.value);
        println!("sensor 7 stands at {value}, offset {}", record.offset);
        assert_eq!(value, (READINGS - 1).to_string());
    }
    Ok(())
}

/// One call of a database, say; it is busy the first time.
fn insert(batch: &mut Batch<ConsumedRecord>) -> Result<(), std::io::Error> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    if CALLS.fetch_add(1, Ordering::Relaxed) == 0 {
        return Err(std::io::Error::other("the database is busy"));
    }
    let bytes: usize = batch.iter().map(|record| record.get().value.len()).sum();
    assert!(bytes > 0);
    Ok(())
}
