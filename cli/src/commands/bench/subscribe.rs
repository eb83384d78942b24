//! `footman bench subscribe`: how fast subscribers get what a topic holds.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use footman_broker::{Item, StartAt, StopAt, SubscribeOptions};
use footman_broker_grpc::{CallError, Subscriber, reason};
use tokio::time::{Instant, timeout_at};

use super::{Found, LABEL, join_all};
use crate::args::ServerArgs;
use crate::args::bench::RunArgs;
use crate::connection;

pub(super) async fn measure(
    server: &ServerArgs,
    args: &RunArgs,
    subscribers: u16,
) -> Result<Found> {
    let client = connection::connect(server).await?;
    let holds = match client.topic(&args.topic).await {
        Err(CallError::Server(error)) if error.reason == reason::UNKNOWN_TOPIC => 0,
        topic => topic.map(|topic| topic.end_offset - topic.start_offset)?,
    };
    ensure!(
        holds > 0,
        "topic {:?} holds nothing: fill it with `footman bench produce --topic {}`",
        args.topic,
        args.topic
    );
    let mut ready = Vec::new();
    for _ in 0..subscribers {
        let builder = client.subscriber().label(LABEL);
        ready.push(
            builder
                .topic_with(
                    &args.topic,
                    SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::End),
                )
                .build()
                .await?,
        );
    }
    let started = Instant::now();
    let until = args
        .duration
        .map(|span| started + span.min(Duration::from_secs(u32::MAX.into())));
    let tasks = ready
        .into_iter()
        .map(|subscriber| one(subscriber, args.records, until));
    let mut all = Received::default();
    for received in join_all(tasks).await? {
        all.records += received.records;
        all.lost += received.lost;
        all.bytes += received.bytes;
    }
    let span = started.elapsed();
    let mut found = Found::new("subscribe", &args.topic, span, all.records, all.bytes);
    found.received = Some(all.records);
    found.lost = Some(all.lost);
    Ok(found)
}

/// What a subscriber got.
#[derive(Debug, Default)]
struct Received {
    records: u64,
    lost: u64,
    bytes: u64,
}

async fn one(
    mut subscriber: Subscriber,
    most: Option<u64>,
    until: Option<Instant>,
) -> Result<Received> {
    let mut received = Received::default();
    let mut next_offset = None;
    while most.is_none_or(|most| received.records < most) {
        let next = subscriber.next();
        let item = match until {
            Some(until) => match timeout_at(until, next).await {
                Ok(item) => item?,
                Err(_) => break,
            },
            None => next.await?,
        };
        match item {
            None | Some(Item::End(_)) => break,
            Some(Item::Records(records)) => {
                // What is not in order is not what was asked for, however fast it came.
                let base = records.base_offset();
                if next_offset.is_some_and(|next| next != base) {
                    bail!("offset {base} came where {next_offset:?} was due: this is a bug");
                }
                next_offset = Some(records.next_offset());
                received.records += records.len() as u64;
                received.bytes += records.encoded().len() as u64;
            }
            Some(Item::Lost(lost)) => {
                received.lost += lost.records();
                next_offset = Some(lost.to);
            }
            Some(Item::Reset(_)) => bail!("the topic started again while it was read"),
            Some(_) => {}
        }
    }
    Ok(received)
}
