//! `footman-broker` beside the bare ring below it and the channels that one would fan out with instead.

mod append;
mod cpu;
mod memory;
mod one_to_one;
mod tasks;
mod websocket;

use super::bench_run::BenchRun;
use anyhow::Result;
use bytes::Bytes;
use footman_broker::{Broker, BrokerOptions, Producer, Record, TopicOptions};

pub(crate) fn measure(bench: &mut BenchRun) -> Result<()> {
    if memory::measure_one_for_parent()? {
        return Ok(());
    }
    append::measure(bench)?;
    one_to_one::measure(bench)?;
    tasks::measure(bench)?;
    websocket::measure(bench)?;
    memory::measure(bench)
}

/// Bytes of a record's value, as in all groups of this area.
const VALUE: usize = 128;
/// Different values: enough that a record in another's place shows.
const VALUES: usize = 4_096;

/// Values with their number in front, made before anything is measured.
fn values() -> Vec<Bytes> {
    let value = |number: usize| {
        let mut value = vec![number as u8; VALUE];
        value[..8].copy_from_slice(&(number as u64).to_le_bytes());
        Bytes::from(value)
    };
    (0..VALUES).map(value).collect()
}

fn records() -> Vec<Record> {
    values().into_iter().map(Record::new).collect()
}

fn number_of(value: &[u8]) -> u64 {
    value
        .first_chunk()
        .map_or(u64::MAX, |number| u64::from_le_bytes(*number))
}

/// A broker with a topic `t` that keeps so many records, and a producer for it.
fn topic(records: u64) -> Result<(Broker, Producer)> {
    let broker = Broker::new(BrokerOptions::default())?;
    broker.create_topic("t", TopicOptions::default().with_max_records(records))?;
    let producer = broker.producer("t")?;
    Ok((broker, producer))
}
