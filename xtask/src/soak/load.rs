//! The load, and what is watched meanwhile.

use super::Flags;
use crate::{
    command::{self, cargo},
    server::Server,
};
use anyhow::{Context as _, Result, ensure};
use footman_broker::{Item, Record, StartAt, testing::Ledger};
use footman_broker_grpc::{Client, Producer};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time};

/// Connections that the subscribers share.
const CLIENTS: usize = 10;
/// How often the server is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// A slope below an hour's growth of so many MiB is none.
const MAX_SLOPE: f64 = 1.0;
/// Shorter runs are all warming up: their slope is printed, and nothing is concluded.
const CONCLUSIVE_MINUTES: u32 = 30;

/// What the server's process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    seconds: f64,
    mebibytes: f64,
    descriptors: usize,
    threads: usize,
}

/// What subscribers have been given, all together.
#[derive(Debug, Default)]
struct Tally {
    subscriptions: AtomicU64,
    delivered: AtomicU64,
    lost: AtomicU64,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    command::run(cargo().args(["build", "--release", "--locked", "--package", "footman"]))?;
    let server = Server::start("release", &["--records", "10000", "--bytes", "1MiB"])?;
    let held = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(soak(flags, &server))?;
    server.stop()?;
    conclude(flags, &held)
}

async fn soak(flags: &Flags, server: &Server) -> Result<Vec<Held>> {
    let started = Instant::now();
    let end = started + Duration::from_secs(u64::from(flags.minutes) * 60);
    let address = server.address();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Client::connect(address).await?);
    }
    let over = Arc::new(AtomicBool::new(false));
    let tally = Arc::new(Tally::default());
    let mut producers = JoinSet::new();
    for topic in 0..flags.topics {
        let producer = clients[topic % CLIENTS].producer(&name(topic)).build();
        producer.send(&Record::new("the first")).await?;
        let every = Duration::from_secs_f64(100.0 * flags.topics as f64 / flags.rate.max(1) as f64);
        producers.spawn(produce(producer, every, Arc::clone(&over)));
    }
    let base = look(server, started)?;
    let mut subscribers = JoinSet::new();
    for number in 0..flags.subscribers {
        let client = clients[number % CLIENTS].clone();
        let (topics, over, tally) = (flags.topics, Arc::clone(&over), Arc::clone(&tally));
        subscribers.spawn(async move {
            let mut turn = number;
            while !over.load(Relaxed) {
                turn += 17;
                follow(&client, &name(turn % topics), turn, &tally).await?;
            }
            Ok::<(), anyhow::Error>(())
        });
    }

    let mut held = vec![base];
    while Instant::now() < end {
        time::sleep(LOOK.min(end.saturating_duration_since(Instant::now()))).await;
        let now = look(server, started)?;
        held.push(now);
        println!(
            "{:>6.0} s  {:>7.1} MiB  {:>4} descriptors  {:>3} threads  {:>8} subscriptions  {:>12} delivered  {:>10} lost",
            now.seconds,
            now.mebibytes,
            now.descriptors,
            now.threads,
            tally.subscriptions.load(Relaxed),
            tally.delivered.load(Relaxed),
            tally.lost.load(Relaxed),
        );
        if let Some(ended) = subscribers.try_join_next() {
            ended??; // none ends before its time
        }
    }
    over.store(true, Relaxed);
    while let Some(ended) = subscribers.join_next().await {
        ended??;
    }
    while let Some(ended) = producers.join_next().await {
        ended??;
    }
    // A connection or a stream ends when its peer has noticed: give it some looks.
    let mut left = usize::MAX;
    for _ in 0..20 {
        let now = look(server, started)?;
        held.push(now);
        left = clients[0].subscriptions(None).await?.len();
        if left == 0 && now.descriptors <= base.descriptors {
            break;
        }
        time::sleep(LOOK / 10).await;
    }
    ensure!(left == 0, "the server still knows {left} subscriptions");
    Ok(held)
}

fn name(topic: usize) -> String {
    format!("soak.{topic}")
}

/// A hundred records, and a rest.
async fn produce(producer: Producer, every: Duration, over: Arc<AtomicBool>) -> Result<()> {
    let record = Record::new(vec![7; 100]);
    let mut ticks = time::interval(every);
    while !over.load(Relaxed) {
        ticks.tick().await;
        for _ in 0..99 {
            producer.enqueue(&record).await?;
        }
        producer.send(&record).await?;
    }
    producer.close().await?;
    Ok(())
}

/// One short life of a subscriber: some start at the oldest record and read slowly, so that they are lapped.
async fn follow(client: &Client, topic: &str, turn: usize, tally: &Tally) -> Result<()> {
    let start = if turn.is_multiple_of(2) {
        StartAt::Earliest
    } else {
        StartAt::Latest
    };
    let mut subscriber = client.subscriber().topic(topic, start).build().await?;
    let mut ledger = Ledger::new();
    let (_, epoch, next_offset) = subscriber
        .positions()
        .next()
        .context("a subscriber has its topic")?;
    ledger.starts(topic, epoch, next_offset);
    let mut items = 1 + turn % 20;
    while items > 0 {
        let Ok(item) = time::timeout(Duration::from_secs(5), subscriber.next()).await else {
            break; // an idle topic
        };
        let item: Item = item?.context("the stream ended")?;
        ledger.take(&item);
        items -= 1;
        if turn.is_multiple_of(3) {
            time::sleep(Duration::from_millis(200)).await; // a slow one
        }
    }
    let account = ledger.account(topic);
    tally.subscriptions.fetch_add(1, Relaxed);
    tally.delivered.fetch_add(account.delivered, Relaxed);
    tally.lost.fetch_add(account.lost, Relaxed);
    Ok(())
}

fn look(server: &Server, started: Instant) -> Result<Held> {
    let process = format!("/proc/{}", server.id());
    let status = fs::read_to_string(format!("{process}/status"))?;
    let figure = |name: &str| -> Result<f64> {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
            .and_then(|figure| figure.parse().ok())
            .with_context(|| format!("no {name} in {process}/status"))
    };
    Ok(Held {
        seconds: started.elapsed().as_secs_f64(),
        mebibytes: figure("VmRSS:")? / 1_024.0,
        descriptors: fs::read_dir(format!("{process}/fd"))?.count(),
        threads: figure("Threads:")? as usize,
    })
}

/// The slope after a third of the time, by least squares; and what is left at the end.
fn conclude(flags: &Flags, held: &[Held]) -> Result<()> {
    let (first, last) = (held[0], held[held.len() - 1]);
    let warm: Vec<_> = held
        .iter()
        .filter(|now| now.seconds > last.seconds / 3.0)
        .collect();
    let mean =
        |of: fn(&Held) -> f64| warm.iter().map(|now| of(now)).sum::<f64>() / warm.len() as f64;
    let (hours, mebibytes) = (mean(|now| now.seconds / 3_600.0), mean(|now| now.mebibytes));
    let (mut above, mut below) = (0.0, f64::EPSILON);
    for now in &warm {
        let hour = now.seconds / 3_600.0 - hours;
        above += hour * (now.mebibytes - mebibytes);
        below += hour * hour;
    }
    let slope = above / below;
    println!("soak: memory {mebibytes:.1} MiB when warm, slope {slope:+.2} MiB/h");
    println!(
        "soak: descriptors {} -> {}, threads {} -> {}",
        first.descriptors, last.descriptors, first.threads, last.threads
    );
    ensure!(
        last.descriptors <= first.descriptors,
        "descriptors did not come back"
    );
    if flags.minutes >= CONCLUSIVE_MINUTES {
        ensure!(slope <= MAX_SLOPE, "memory grows");
    } else {
        println!(
            "soak: nothing is concluded from the slope of less than {CONCLUSIVE_MINUTES} minutes"
        );
    }
    Ok(())
}
