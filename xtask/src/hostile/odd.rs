//! Too much of what is allowed once: topics without end, more records than there is memory for.

use super::case::{Case, Run, resident_mib};
use crate::{command::target, server::Server};
use anyhow::{Result, bail, ensure};
use footman_broker::{Record, StartAt, TopicUpdate};
use footman_broker_grpc::{CallError, Client, ErrorCode, ProduceError, ServerError, reason};
use std::{
    future::Future,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// Calls under way.
const CALLERS: u64 = 64;
/// How long a producer tries what is refused.
const REFUSED: Duration = Duration::from_secs(1);
/// By how many MiB memory may grow while everything is refused.
const MEMORY_BAR: f64 = 32.0;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "topics",
            what: "a million topics created",
            is_quick: true,
            run: Box::new(topics),
        },
        Case {
            name: "memory",
            what: "more records than the process may have memory",
            is_quick: true,
            run: Box::new(memory),
        },
    ]
}

fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

fn topics(run: &Run) -> Result<String> {
    let wanted = if run.is_quick { 50_000 } else { 1_000_000 };
    let server = run.server()?;
    let address = server.address().to_owned();
    let (max, before, full, after) = block_on(async {
        let client = Client::connect(&address).await?;
        let max = u64::from(client.server_info().await?.max_topics);
        let before = resident_mib(&server)?;
        let refused = create(&client, 0..max).await?;
        ensure!(
            refused == 0,
            "{refused} topics were refused before there were {max}"
        );
        let full = resident_mib(&server)?;
        let refused = create(&client, max..wanted).await?;
        ensure!(
            refused == wanted - max,
            "{refused} of {} topics over the limit were refused",
            wanted - max
        );
        // On first use it is no different: it is tried again until its time is up.
        let producer = client
            .producer("one-more")
            .delivery_timeout(REFUSED)
            .build();
        ensure!(
            producer.send(&Record::new("v")).await.is_err(),
            "a topic over the limit is there"
        );
        let Err(CallError::Server(error)) = client.topic("one-more").await else {
            bail!("a topic over the limit is there");
        };
        ensure!(error.reason == reason::UNKNOWN_TOPIC, "{error:?}");
        let after = resident_mib(&server)?;
        client.delete_topic("0").await?;
        producer_of(&client, "one-more").await?;
        Ok((max, before, full, after))
    })?;
    server.stop()?;
    ensure!(
        after - full <= MEMORY_BAR,
        "memory grows while topics are refused: {full:.1} MiB, then {after:.1}"
    );
    Ok(format!(
        "  {max} of {wanted} created, {} refused with TOO_MANY_TOPICS; one is deleted, and the next is created\n  {before:.1} MiB before, {full:.1} with all topics ({:.1} KiB each), {after:.1} after the refusals\n",
        wanted - max,
        (full - before) * 1_024.0 / max as f64,
    ))
}

async fn producer_of(client: &Client, topic: &str) -> Result<()> {
    client
        .producer(topic)
        .build()
        .send(&Record::new("v"))
        .await?;
    Ok(())
}

/// Creates the topics with these numbers, many at a time; returns how many were refused because there are too many.
async fn create(client: &Client, numbers: std::ops::Range<u64>) -> Result<u64> {
    let (next, refused) = (
        Arc::new(AtomicU64::new(numbers.start)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, next, refused, end) = (
            client.clone(),
            Arc::clone(&next),
            Arc::clone(&refused),
            numbers.end,
        );
        callers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= end {
                    return Ok(());
                }
                match client
                    .create_topic(&number.to_string(), TopicUpdate::default())
                    .await
                {
                    Ok(_) => {}
                    Err(CallError::Server(error)) if is(&error, reason::TOO_MANY_TOPICS) => {
                        refused.fetch_add(1, Relaxed);
                    }
                    Err(error) => return Err(anyhow::Error::from(error)),
                }
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller??;
    }
    Ok(refused.load(Relaxed))
}

fn is(error: &ServerError, reason: &str) -> bool {
    error.code == ErrorCode::ResourceExhausted && error.reason == reason
}

/// The address space that the process may have: its memory for records, and what else it needs.
const ADDRESS_SPACE_KIB: u64 = 1024 * 1024;
const MEMORY: &str = "128MiB";

fn memory(run: &Run) -> Result<String> {
    let mut shell = Command::new("sh");
    let footman = target().join(run.profile()).join("footman");
    shell
        .args([
            "-c",
            &format!("ulimit -v {ADDRESS_SPACE_KIB} && exec \"$0\" \"$@\""),
        ])
        .arg(footman);
    shell.args(["serve", "--listen", "127.0.0.1:0", "--memory", MEMORY]);
    let server = Server::launch(&mut shell)?;
    let address = server.address().to_owned();
    let (appended, most) = block_on(async {
        let client = Client::connect(&address).await?;
        let record = Record::new(vec![1; 64 * 1024]);
        let mut appended = 0;
        // Each topic may keep more than all of them together.
        'filling: loop {
            let topic = format!("t{}", appended / 64 % 16);
            let producer = client.producer(&topic).delivery_timeout(REFUSED).build();
            for _ in 0..64 {
                match producer.send(&record).await {
                    Ok(_) => appended += 1_u64,
                    // What may be taken later is tried again until its time is up.
                    Err(ProduceError::DeliveryTimeout { .. }) => break 'filling,
                    Err(error) => return Err(error.into()),
                }
            }
            ensure!(
                appended < 16 * 1024,
                "a GiB was taken by a server that has {MEMORY}"
            );
        }
        let Err(CallError::Server(error)) =
            client.create_topic("more", TopicUpdate::default()).await
        else {
            bail!("a topic is created without memory");
        };
        ensure!(is(&error, reason::OUT_OF_MEMORY), "{error:?}");
        let most = resident_mib(&server)?;
        // What there is stays readable, and what is given back can be used.
        let offset = client.topic("t0").await?.start_offset;
        let fetched = client
            .fetch("t0", StartAt::Offset(offset), 0, Duration::ZERO)
            .await?;
        ensure!(!fetched.items.is_empty(), "the records are readable");
        for number in 0..8 {
            client.delete_topic(&format!("t{number}")).await?;
        }
        producer_of(&client, "t0").await?;
        Ok((appended, most))
    })?;
    server.stop()?;
    Ok(format!(
        "  {appended} records of 64 KiB taken with --memory {MEMORY} and an address space of 1 GiB, the next refused with OUT_OF_MEMORY\n  {most:.1} MiB resident then; half the topics are deleted, and records are taken again\n"
    ))
}
