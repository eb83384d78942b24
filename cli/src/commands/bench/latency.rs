//! `footman bench latency`: from when a record is due to when a subscriber has it.
//!
//! Producer and subscribers are in this process, so that one clock times both ends. A value begins with the
//! time from which it counts, in nanoseconds since the bench began.

use anyhow::{Result, ensure};
use bytes::Bytes;
use footman_broker::{Item, Record, StartAt};
use footman_broker_grpc::Subscriber;
use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio::time::Instant;

use super::load::{Plan, producer, value};
use super::{Found, LABEL, Latency, histogram, join_all, micros};
use crate::args::ServerArgs;
use crate::args::bench::LoadArgs;
use crate::connection;

/// Records a second, unless told otherwise.
const RATE: u64 = 1_000;
/// Bytes of the time that a value begins with.
const TIME_BYTES: usize = 8;

pub(super) async fn measure(
    server: &ServerArgs,
    args: &LoadArgs,
    subscribers: u16,
) -> Result<Found> {
    let mut value = value(args)?;
    ensure!(
        value.len() >= TIME_BYTES,
        "a value holds its time: --size takes at least {TIME_BYTES}"
    );
    let client = connection::connect(server).await?;
    let mut ready = Vec::new();
    for _ in 0..subscribers {
        let builder = client.subscriber().label(LABEL);
        ready.push(
            builder
                .topic(&args.run.topic, StartAt::Latest)
                .build()
                .await?,
        );
    }
    let began = Instant::now();
    let (end, at_end) = watch::channel(None);
    let following = tokio::spawn(join_all(
        ready
            .into_iter()
            .map(move |subscriber| follow(subscriber, began, at_end.clone())),
    ));

    let producer = producer(&client, args);
    let plan = Plan::part(args, Some(args.rate.unwrap_or(RATE)), 0, 1)?;
    let mut produced = 0;
    while let Some(counts_from) = plan.due(produced).await {
        let time = u64::try_from((counts_from - began).as_nanos())?;
        value[..TIME_BYTES].copy_from_slice(&time.to_be_bytes());
        producer
            .enqueue(&Record::new(Bytes::copy_from_slice(&value)))
            .await?;
        produced += 1;
    }
    let last = producer.send(&Record::new(Bytes::new())).await?;
    end.send_replace(Some(last.offset));
    let report = producer.close().await?;
    let mut latencies = histogram();
    let (mut received, mut lost) = (0, 0);
    for one in following.await?? {
        latencies.add(one.latencies)?;
        received += one.received;
        lost += one.lost;
    }
    let bytes = received * args.size;
    let mut found = Found::new("latency", &args.run.topic, began.elapsed(), received, bytes);
    // The last record only says that it was the last.
    found.acknowledged = Some(report.acknowledged - 1);
    found.received = Some(received);
    found.lost = Some(lost);
    found.latency_us = Latency::of(&latencies);
    found.latency_of = "a record, from when it is due to when a subscriber has it";
    Ok(found)
}

/// What a subscriber got.
#[derive(Debug)]
struct Followed {
    latencies: Histogram<u64>,
    received: u64,
    lost: u64,
}

/// Follows until the record at the offset that `end` comes to hold.
async fn follow(
    mut subscriber: Subscriber,
    began: Instant,
    mut end: watch::Receiver<Option<u64>>,
) -> Result<Followed> {
    let mut followed = Followed {
        latencies: histogram(),
        received: 0,
        lost: 0,
    };
    let mut next_offset = 0;
    let mut is_told = false;
    loop {
        if end.borrow().is_some_and(|last| next_offset > last) {
            return Ok(followed);
        }
        let item = tokio::select! {
            item = subscriber.next() => item?,
            told = end.changed(), if !is_told => {
                // Without its other end, the producer failed, and says why itself.
                told?;
                is_told = true;
                continue;
            }
        };
        match item {
            None => return Ok(followed),
            Some(Item::Records(records)) => {
                let now = Instant::now();
                next_offset = records.next_offset();
                for record in &records {
                    let Some(time) = record.value.first_chunk::<TIME_BYTES>() else {
                        continue;
                    };
                    let from = std::time::Duration::from_nanos(u64::from_be_bytes(*time));
                    followed.received += 1;
                    followed
                        .latencies
                        .record(micros((now - began).saturating_sub(from)))?;
                }
            }
            Some(Item::Lost(lost)) => {
                followed.lost += lost.records();
                next_offset = lost.to;
            }
            Some(_) => {}
        }
    }
}
