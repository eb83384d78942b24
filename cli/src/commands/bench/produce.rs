//! `footman bench produce`: how many records a server takes, and how long an acknowledgement takes meanwhile.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use footman_broker_grpc::Producer;
use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::load::{Plan, producer, record, value};
use super::{Found, Latency, histogram, join_all, micros};
use crate::args::ServerArgs;
use crate::args::bench::LoadArgs;
use crate::connection;

/// Between two records whose acknowledgement is timed.
const PROBE_GAP: Duration = Duration::from_millis(5);

pub(super) async fn measure(server: &ServerArgs, args: &LoadArgs, producers: u16) -> Result<Found> {
    let value = Bytes::from(value(args)?);
    let client = connection::connect(server).await?;
    let started = Instant::now();
    let mut tasks = Vec::new();
    for i in 0..producers {
        let plan = Plan::part(args, args.rate, i, producers)?;
        tasks.push(one(producer(&client, args), plan, value.clone()));
    }
    let done = join_all(tasks).await?;
    let span = started.elapsed();
    let mut latencies = histogram();
    let mut acknowledged = 0;
    for (count, histogram) in done {
        acknowledged += count;
        latencies.add(histogram)?;
    }
    let bytes = acknowledged * args.size;
    let mut found = Found::new("produce", &args.run.topic, span, acknowledged, bytes);
    found.acknowledged = Some(acknowledged);
    found.latency_us = Latency::of(&latencies);
    found.latency_of = "an acknowledgement, one record at a time beside the others";
    Ok(found)
}

/// One producer's work: how many records were acknowledged, and how long some of the acknowledgements took.
async fn one(producer: Producer, plan: Plan, value: Bytes) -> Result<(u64, Histogram<u64>)> {
    let record = record(&value);
    let (is_done, done) = watch::channel(false);
    let probing = tokio::spawn(probe(producer.clone(), value, done));
    let mut produced = 0;
    while plan.due(produced).await.is_some() {
        producer.enqueue(&record).await?;
        produced += 1;
    }
    is_done.send_replace(true);
    let latencies = probing.await??;
    let report = producer.close().await?;
    Ok((report.acknowledged, latencies))
}

/// Times the acknowledgement of one record after the other, at least one, until it is told that it is over.
async fn probe(
    producer: Producer,
    value: Bytes,
    mut done: watch::Receiver<bool>,
) -> Result<Histogram<u64>> {
    let mut latencies = histogram();
    loop {
        let began = Instant::now();
        producer.send(&record(&value)).await?;
        latencies.record(micros(began.elapsed()))?;
        tokio::select! {
            _ = done.wait_for(|done| *done) => return Ok(latencies),
            () = sleep(PROBE_GAP) => {}
        }
    }
}
