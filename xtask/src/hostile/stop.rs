//! Servers that end under load, again and again: told to stop, and killed.
//!
//! Told to stop: whoever follows gets every record that was acknowledged, then is told where to resume. Killed: nobody was told a
//! lie. A record that was acknowledged in a life of the topic is there in that life, once, at the offset that was said.

use super::case::{Case, Run};
use crate::server::Server;
use anyhow::{Context as _, Result, anyhow, ensure};
use footman_broker::{Epoch, Item, Record, StartAt, StopAt, SubscribeOptions};
use footman_broker_grpc::{
    Client, Sent,
    proto::{
        GoingAwayReason, ProduceRequest, Record as WireRecord, broker_client::BrokerClient,
        produce_response, subscribe_response,
    },
};
use std::{
    collections::HashMap,
    future::Future,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

/// The longest that a server may take to end, once told.
const DRAIN: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// Records in a request, and requests under way.
const BATCH: (usize, usize) = (10, 16);
const TOPIC: &str = "healthy";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "stop",
            what: "SIGTERM under load",
            is_quick: true,
            run: Box::new(|run| repeat(run, sigterm)),
        },
        Case {
            name: "kill",
            what: "SIGKILL under load, and the next life at the same address",
            is_quick: true,
            run: Box::new(|run| repeat(run, sigkill)),
        },
    ]
}

/// What one repetition saw: records acknowledged, and the time that the server took.
type Seen = (u64, Duration);

fn repeat(run: &Run, once: fn(&Run, Duration) -> Result<Seen>) -> Result<String> {
    let (mut acknowledged, mut slowest) = (0, Duration::ZERO);
    for number in 0..run.repetitions {
        // Some are ended as they begin, some in full flow.
        let after = Duration::from_millis(u64::from(number * 37 % 300));
        let (records, took) = once(run, after)
            .with_context(|| format!("repetition {number}, ended after {after:?}"))?;
        acknowledged += records;
        slowest = slowest.max(took);
    }
    Ok(format!(
        "  {} repetitions, {acknowledged} records acknowledged, 0 violations; the slowest took {slowest:.1?}\n",
        run.repetitions
    ))
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(future)
}

fn sigterm(run: &Run, after: Duration) -> Result<Seen> {
    let server = run.server_with(&["--records", "unlimited", "--bytes", "1GiB"])?;
    let address = server.address().to_owned();
    block_on(async move {
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .connect()
            .await?;
        let mut following = BrokerClient::new(channel.clone());
        let stream = following
            .subscribe(super::slow::follow())
            .await?
            .into_inner();
        let follows = tokio::spawn(follow(stream));
        let produces = tokio::spawn(produce(channel));
        tokio::time::sleep(after).await;
        let told = Instant::now();
        // Fails unless it ends with 0.
        let stopped = tokio::task::spawn_blocking(move || server.stop());
        timeout(DRAIN, stopped)
            .await
            .context("the server does not end")???;
        let took = told.elapsed();
        let acknowledged = timeout(PATIENCE, produces)
            .await
            .context("the producer is not told")???;
        let delivered = timeout(PATIENCE, follows)
            .await
            .context("the subscriber is not told")???;
        ensure!(
            delivered >= acknowledged,
            "{acknowledged} were acknowledged, and {delivered} delivered"
        );
        Ok((acknowledged, took))
    })
}

/// Follows until the end, which must be a drain's; returns how many records came, without a gap, up to the place that it is told to
/// resume at.
async fn follow(
    mut stream: tonic::Streaming<footman_broker_grpc::proto::SubscribeResponse>,
) -> Result<u64> {
    let (mut delivered, mut resume) = (0, None);
    let status = loop {
        match stream.message().await {
            Ok(response) => {
                let response = response.context("a drain is no good end")?;
                match response.item.context("an item")? {
                    subscribe_response::Item::Batch(batch) => {
                        ensure!(
                            batch.base_offset == delivered,
                            "a gap before {}",
                            batch.base_offset
                        );
                        ensure!(
                            batch.records.len() == batch.count as usize,
                            "{} records, not {}",
                            batch.records.len(),
                            batch.count
                        );
                        delivered += u64::from(batch.count);
                    }
                    subscribe_response::Item::GoingAway(notice) => {
                        ensure!(notice.reason() == GoingAwayReason::Draining, "{notice:?}");
                        resume = notice
                            .positions
                            .first()
                            .map(|position| position.next_offset);
                    }
                    subscribe_response::Item::Started(_)
                    | subscribe_response::Item::Heartbeat(_) => {}
                    other => return Err(anyhow!("an item of another kind: {other:?}")),
                }
            }
            Err(status) => break status,
        }
    };
    ensure!(status.code() == Code::Unavailable, "{status:?}");
    ensure!(
        resume == Some(delivered),
        "told to resume at {resume:?} after {delivered}"
    );
    Ok(delivered)
}

/// Produces as fast as is acknowledged until the server ends the stream; returns how many records it acknowledged.
async fn produce(channel: Channel) -> Result<u64> {
    let (requests, receiver) = mpsc::channel(BATCH.1);
    let record = WireRecord {
        value: vec![1; 100].into(),
        ..WireRecord::default()
    };
    let request = ProduceRequest {
        topic: TOPIC.to_owned(),
        records: vec![record; BATCH.0],
        ..ProduceRequest::default()
    };
    let mut broker = BrokerClient::new(channel);
    tokio::spawn(async move { while requests.send(request.clone()).await.is_ok() {} });
    let mut answers = match broker.produce(ReceiverStream::new(receiver)).await {
        Ok(answers) => answers.into_inner(),
        Err(_) => return Ok(0), // it had gone before
    };
    let mut acknowledged = 0;
    while let Ok(Some(answer)) = answers.message().await {
        if let Some(produce_response::Result::Ack(ack)) = answer.result {
            ensure!(
                ack.base_offset == acknowledged,
                "acknowledged at {}, not {acknowledged}",
                ack.base_offset
            );
            acknowledged += u64::from(ack.count);
        }
    }
    Ok(acknowledged)
}

/// Senders, each of which waits for its record's acknowledgement.
const SENDERS: u64 = 32;

fn sigkill(run: &Run, after: Duration) -> Result<Seen> {
    let args = ["--records", "unlimited", "--bytes", "1GiB"];
    let server = run.server_with(&args)?;
    let address = server.address().to_owned();
    let profile = run.profile();
    block_on(async move {
        let client = Client::connect(&address).await?;
        let mut subscriber = client
            .subscriber()
            .topic(TOPIC, StartAt::Earliest)
            .build()
            .await?;
        let first_life = subscriber
            .positions()
            .next()
            .context("it follows a topic")?
            .1;
        let (over, is_over) = tokio::sync::watch::channel(false);
        let mut senders = JoinSet::new();
        let producer =
            std::sync::Arc::new(client.producer(TOPIC).delivery_timeout(PATIENCE).build());
        for sender in 0..SENDERS {
            let (producer, is_over) = (std::sync::Arc::clone(&producer), is_over.clone());
            senders.spawn(async move {
                let mut sent = Vec::new();
                for turn in 0.. {
                    if *is_over.borrow() {
                        break;
                    }
                    let number = turn * SENDERS + sender;
                    let place = producer
                        .send(&Record::new(number.to_be_bytes().to_vec()))
                        .await?;
                    sent.push((number, place));
                }
                Ok::<_, anyhow::Error>(sent)
            });
        }
        tokio::time::sleep(after).await;
        server.kill()?;
        let killed = Instant::now();
        let listen = address.clone();
        let server = tokio::task::spawn_blocking(move || Server::start_at(profile, &listen, &args))
            .await??;
        // The subscriber is told that this is another life before it is given anything of it.
        let mut next_offset = 0;
        let second_life = loop {
            let item = timeout(PATIENCE, subscriber.next())
                .await
                .context("the subscriber is not told")?;
            match item?.context("its stream ended")? {
                Item::Records(records) => {
                    ensure!(
                        records.epoch() == first_life,
                        "records of a life that it was not told of"
                    );
                    ensure!(
                        records.base_offset() == next_offset,
                        "a gap before {}",
                        records.base_offset()
                    );
                    next_offset = records.next_offset();
                }
                Item::Reset(reset) => {
                    ensure!(
                        reset.old_epoch == first_life && reset.new_epoch != first_life,
                        "{reset:?}"
                    );
                    break reset.new_epoch;
                }
                other => return Err(anyhow!("an item of another kind: {other:?}")),
            }
        };
        let took = killed.elapsed();
        over.send_replace(true);
        let mut sent = Vec::new();
        while let Some(sender) = senders.join_next().await {
            sent.extend(sender??);
        }
        check(&client, &sent, (first_life, second_life)).await?;
        server.stop()?;
        Ok((sent.len() as u64, took))
    })
}

/// What was acknowledged in the life that goes on is there, once, and where it was said to be.
async fn check(
    client: &Client,
    sent: &[(u64, Sent)],
    (first, second): (Epoch, Epoch),
) -> Result<()> {
    let mut there = HashMap::new();
    let mut all = client
        .subscriber()
        .topic_with(
            TOPIC,
            SubscribeOptions::new(StartAt::Earliest).with_stop(StopAt::End),
        )
        .build()
        .await?;
    while let Some(item) = all.next().await? {
        if let Item::Records(records) = item {
            for record in &records {
                let number = record
                    .value
                    .first_chunk()
                    .map(|bytes| u64::from_be_bytes(*bytes))
                    .context("a number")?;
                ensure!(
                    there.insert(number, record.offset).is_none(),
                    "record {number} is there twice"
                );
            }
        }
    }
    for (number, place) in sent {
        ensure!(
            place.epoch == first || place.epoch == second,
            "{place:?} is of no life"
        );
        ensure!(
            place.epoch == first || there.get(number) == Some(&place.offset),
            "record {number} was acknowledged at {place:?}, and is at {:?}",
            there.get(number)
        );
    }
    Ok(())
}
