//! The peer that does nothing wrong: it produces at its pace, follows what it produced, and holds the server to its promise.

use anyhow::{Context as _, Result, anyhow, ensure};
use footman_broker::{
    Item, Record, StartAt,
    testing::{Account, Ledger},
};
use footman_broker_grpc::Client;
use std::{
    mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// The topic that it uses.
pub(super) const TOPIC: &str = "healthy";
/// Records a second.
pub(super) const RATE: usize = 20_000;
const RECORD_BYTES: usize = 128;
const TICK: Duration = Duration::from_millis(5);
/// How often somebody new comes to the same server.
const NEWCOMER_EVERY: Duration = Duration::from_millis(500);
/// The longest that anything may take before it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// It, at work on a thread of its own.
#[derive(Debug)]
pub(super) struct Healthy {
    tally: Arc<Tally>,
    thread: thread::JoinHandle<Result<Account>>,
}

/// What has happened since it was last looked at.
#[derive(Debug, Default)]
struct Tally {
    is_over: AtomicBool,
    delivered: AtomicU64,
    /// From enqueued to received, in microseconds.
    latencies: Mutex<Vec<u32>>,
    /// From connecting to the first answer, of each that came anew.
    newcomers: Mutex<Vec<Duration>>,
}

/// How it fared for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fared {
    /// Records received a second.
    pub(super) rate: f64,
    /// Of the time from enqueued to received.
    pub(super) p99: Duration,
    /// How many came anew, and how long the slowest of them took to be answered.
    pub(super) newcomers: (usize, Duration),
}

impl Healthy {
    /// Begins; returns when the first records have come back.
    pub(super) fn start(address: &str) -> Result<Self> {
        let tally = Arc::new(Tally::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (of_thread, address) = (Arc::clone(&tally), address.to_owned());
        let thread = thread::spawn(move || runtime.block_on(live(&address, &of_thread)));
        let began = Instant::now();
        while tally.delivered.load(Relaxed) == 0 {
            ensure!(
                !thread.is_finished() && began.elapsed() < PATIENCE,
                "the healthy peer gets nothing"
            );
            thread::sleep(TICK);
        }
        Ok(Self { tally, thread })
    }

    /// How it fares from now on, for so long; `meanwhile` is called again and again.
    pub(super) fn watch(
        &self,
        length: Duration,
        mut meanwhile: impl FnMut() -> Result<()>,
    ) -> Result<Fared> {
        self.tally
            .latencies
            .lock()
            .expect("no holder panics")
            .clear();
        self.tally
            .newcomers
            .lock()
            .expect("no holder panics")
            .clear();
        let (before, began) = (self.tally.delivered.load(Relaxed), Instant::now());
        while began.elapsed() < length {
            thread::sleep(Duration::from_millis(50).min(length));
            meanwhile()?;
        }
        let seconds = began.elapsed().as_secs_f64();
        let delivered = self.tally.delivered.load(Relaxed) - before;
        let mut latencies = mem::take(&mut *self.tally.latencies.lock().expect("no holder panics"));
        let newcomers = mem::take(&mut *self.tally.newcomers.lock().expect("no holder panics"));
        latencies.sort_unstable();
        let p99 = latencies
            .get(latencies.len() * 99 / 100)
            .copied()
            .unwrap_or(u32::MAX);
        Ok(Fared {
            rate: delivered as f64 / seconds,
            p99: Duration::from_micros(p99.into()),
            newcomers: (
                newcomers.len(),
                newcomers.into_iter().max().unwrap_or_default(),
            ),
        })
    }

    /// Ends it, when all that was acknowledged has been delivered or is known to be lost.
    pub(super) fn finish(self) -> Result<Account> {
        self.tally.is_over.store(true, Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow!("the healthy peer's ledger was broken"))?
    }
}

async fn live(address: &str, tally: &Arc<Tally>) -> Result<Account> {
    let client = Client::connect(address).await?;
    let mut subscriber = client
        .subscriber()
        .topic(TOPIC, StartAt::Earliest)
        .build()
        .await?;
    let mut ledger = Ledger::new();
    let (_, epoch, next_offset) = subscriber
        .positions()
        .next()
        .context("it follows a topic")?;
    ledger.starts(TOPIC, epoch, next_offset);

    let began = Instant::now();
    let produced = tokio::spawn(produce(client, began, Arc::clone(tally)));
    let newcomers = tokio::spawn(newcomers(address.to_owned(), Arc::clone(tally)));
    let mut latencies = Vec::new();
    let mut take = |item: Item| {
        let now = began.elapsed().as_nanos() as u64;
        ledger.take_with(&item, |record| {
            let sent = record
                .value
                .first_chunk()
                .map_or(0, |sent| u64::from_be_bytes(*sent));
            latencies.push(u32::try_from(now.saturating_sub(sent) / 1_000).unwrap_or(u32::MAX));
        });
        tally.delivered.fetch_add(latencies.len() as u64, Relaxed);
        tally
            .latencies
            .lock()
            .expect("no holder panics")
            .append(&mut latencies);
        let account = ledger.account(TOPIC);
        (account, account.delivered + account.lost)
    };
    let mut told = None;
    while !produced.is_finished() {
        if let Ok(item) = timeout(TICK, subscriber.next()).await {
            told = Some(take(item?.context("its stream ended")?));
        }
    }
    let acknowledged = produced.await??;
    let (account, told) = loop {
        match told {
            Some((account, told)) if told >= acknowledged => break (account, told),
            _ => {}
        }
        let item = timeout(PATIENCE, subscriber.next()).await;
        let item = item.context("not all that was acknowledged is delivered")?;
        told = Some(take(item?.context("its stream ended")?));
    };
    ensure!(
        told == acknowledged,
        "{acknowledged} were acknowledged, and {account:?}"
    );
    newcomers.await??;
    Ok(account)
}

/// Produces at its pace until it is over; returns how many were acknowledged.
async fn produce(client: Client, began: Instant, tally: Arc<Tally>) -> Result<u64> {
    let producer = client.producer(TOPIC).delivery_timeout(PATIENCE).build();
    let mut ticks = interval(TICK);
    let a_tick = RATE * TICK.as_millis() as usize / 1_000;
    while !tally.is_over.load(Relaxed) {
        ticks.tick().await;
        for _ in 0..a_tick {
            let mut value = vec![0; RECORD_BYTES];
            let now = began.elapsed().as_nanos() as u64;
            value[..8].copy_from_slice(&now.to_be_bytes());
            producer.enqueue(&Record::new(value)).await?;
        }
    }
    Ok(producer.close().await?.acknowledged)
}

/// Somebody new, again and again.
async fn newcomers(address: String, tally: Arc<Tally>) -> Result<()> {
    let mut times = interval(NEWCOMER_EVERY);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !tally.is_over.load(Relaxed) {
        times.tick().await;
        let began = Instant::now();
        let served = async {
            // Turned away while there is no place: it comes again.
            while !is_served(&address).await {
                sleep(TICK).await;
            }
        };
        timeout(PATIENCE, served)
            .await
            .context("nobody new is served")?;
        tally
            .newcomers
            .lock()
            .expect("no holder panics")
            .push(began.elapsed());
    }
    Ok(())
}

async fn is_served(address: &str) -> bool {
    match Client::connect(address).await {
        Ok(client) => client.server_info().await.is_ok(),
        Err(_) => false,
    }
}
