//! Reads a topic's past: all of it, from an offset, from a time, the last three, and again after a break.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use footman_broker::{Broker, BrokerOptions, Item, Record, StartAt, StopAt, SubscribeOptions};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::new(BrokerOptions::default())?;
    let producer = broker.producer("temperatures")?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?;
    let minute = |n: i64| now + n * Duration::from_secs(60).as_micros() as i64;
    for n in 0..10 {
        let record = Record::new(format!("{} °C", 15 + n)).with_timestamp(minute(n));
        producer.produce(&record)?;
    }

    for (what, start) in [
        ("everything", StartAt::Earliest),
        ("from offset 7", StartAt::Offset(7)),
        ("since minute 8", StartAt::Timestamp(minute(8))),
        ("the last three", StartAt::Last(3)),
    ] {
        println!("{what}: {}", read(&broker, start)?.join(", "));
    }

    // Where a consumer stands is two numbers: keep them, and go on from there another time.
    let mut consumer = broker.consumer();
    consumer.subscribe("temperatures", StartAt::Latest)?;
    let position = consumer.unsubscribe("temperatures")?;
    producer.produce(&Record::new("31 °C, while we were away"))?;
    let (epoch, next_offset) = (position.epoch, position.next_offset);
    let missed = read(&broker, StartAt::Resume { epoch, next_offset })?;
    println!("after the break: {}", missed.join(", "));
    assert_eq!(missed, ["31 °C, while we were away"]);
    Ok(())
}

/// Reads up to what is the end now.
fn read(broker: &Broker, start: StartAt) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut consumer = broker.consumer();
    let options = SubscribeOptions::new(start).with_stop(StopAt::End);
    consumer.subscribe_with("temperatures", options)?;
    let mut values = Vec::new();
    while let Some(item) = consumer.try_poll() {
        if let Item::Records(records) = item {
            values.extend(
                records
                    .iter()
                    .map(|r| String::from_utf8_lossy(r.value).into_owned()),
            );
        }
    }
    Ok(values)
}
