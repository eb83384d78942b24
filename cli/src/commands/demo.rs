//! `footman demo`: what this is, shown in ten seconds and checked to the last record.
//!
//! A server and its clients in one process, over real gRPC on a free loopback port. One producer sends lines
//! of real text as fast as they are taken. Several subscribers read all of it; another stops reading until it
//! has been lapped, and goes on. At the end each must have been given every record that was acknowledged, in
//! order and byte for byte, or have been told that it lost exactly that one.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use footman_broker::{Broker, Item, Record, Records, StartAt, TopicOptions};
use footman_broker_grpc::{Client, Producer, Server, ServerOptions, Subscriber};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::args::DemoArgs;
use crate::corpus::{self, Corpus};
use crate::outcome::Outcome;
use crate::quantity::{format_bytes, format_count, format_rate};
use crate::signal::Stop;
use crate::stdout::print;

const TOPIC: &str = "demo";
/// Small enough that who stops reading is lapped within seconds.
const KEPT_RECORDS: u64 = 300_000;
const SUBSCRIBERS: [&str; 4] = ["reader 1", "reader 2", "reader 3", SLEEPER];
/// The one that stops reading, after this part of the time and until it has been lapped.
const SLEEPER: &str = "sleeper";
const AWAKE: f64 = 0.25;
/// Fail if the sleeper is not lapped, or someone not at the end, so long after the time was up.
const PATIENCE: Duration = Duration::from_secs(60);

const NEXT: &str = "
Next, in three terminals:
  footman serve
  footman consume logs
  tail -f any.log | footman produce logs
Stop the consumer with Ctrl-Z while records flow, go on with `fg`, and see what it is told it lost.
";

pub(crate) async fn run(args: DemoArgs) -> Result<Outcome> {
    let mut stop = Stop::listen()?;
    tokio::select! {
        shown = show(Duration::from_secs(args.seconds)) => shown.map(|()| Outcome::Done),
        () = stop.asked() => Ok(Outcome::Interrupted),
    }
}

async fn show(span: Duration) -> Result<()> {
    let text = Arc::new(corpus::load());
    let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Server::bind(free_port, ServerOptions::default())
        .await
        .context("cannot listen on a loopback port")?;
    let broker = server.broker().clone();
    let address = server.local_addr().context("it listens on a port")?;
    let (stop_server, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async move {
        // Dropping the sender stops the server as well.
        let _ = stopped.await;
    }));
    let mut options = TopicOptions::default();
    options.max_records = KEPT_RECORDS;
    broker
        .create_topic(TOPIC, options)
        .context("cannot create the topic")?;
    print(introduction(address, &text).as_bytes())?;

    let play = Play::start(&address.to_string(), text, span).await?;
    let books = play.run(&broker, span).await?;
    drop(stop_server);
    serving
        .await
        .context("the server panicked")?
        .context("the server failed")?;
    print(books.report().as_bytes())?;
    ensure!(books.balance(), "the ledger does not hold: this is a bug");
    print(NEXT.as_bytes())
}

fn introduction(address: SocketAddr, text: &Corpus) -> String {
    format!(
        "A server on {address}; a producer and {} subscribers, each connected to it over gRPC.\n\
         The producer sends {} as fast as they are taken.\n\
         The topic keeps the newest {} records. The {SLEEPER} stops reading until it has been lapped.\n\n",
        SUBSCRIBERS.len(),
        text.origin,
        format_count(KEPT_RECORDS),
    )
}

/// The producer and the subscribers at work.
struct Play {
    started: Instant,
    producer: Producer,
    /// Tells the producing task to stop.
    enough: Arc<AtomicBool>,
    producing: JoinHandle<Result<()>>,
    subscribers: Vec<(Arc<Tally>, JoinHandle<Result<()>>)>,
    /// Tells the sleeper to go on.
    wake: watch::Sender<bool>,
    /// Tells the subscribers how much was acknowledged, once it is known.
    end: watch::Sender<Option<u64>>,
}

impl Play {
    async fn start(address: &str, text: Arc<Corpus>, span: Duration) -> Result<Play> {
        let started = Instant::now();
        let (wake, woken) = watch::channel(false);
        let (end, at_end) = watch::channel(None);
        let mut subscribers = Vec::new();
        for name in SUBSCRIBERS {
            let client = Client::connect(address).await?;
            let subscriber = client
                .subscriber()
                .label(name)
                .topic(TOPIC, StartAt::Earliest)
                .build()
                .await?;
            let tally = Arc::new(Tally::default());
            let sleep = (name == SLEEPER).then(|| (started + span.mul_f64(AWAKE), woken.clone()));
            let follower = Follower {
                subscriber,
                text: text.clone(),
                tally: tally.clone(),
                sleep,
            };
            subscribers.push((tally, tokio::spawn(follower.follow(at_end.clone()))));
        }
        let producer = Client::connect(address).await?.producer(TOPIC).build();
        let enough = Arc::new(AtomicBool::new(false));
        let producing = tokio::spawn(produce(producer.clone(), text, enough.clone()));
        Ok(Play {
            started,
            producer,
            enough,
            producing,
            subscribers,
            wake,
            end,
        })
    }

    /// Shows a line a second for `span`, or longer if it takes longer to lap the sleeper; then stops the
    /// producer, lets every subscriber read to the end, and returns who got what.
    async fn run(self, broker: &Broker, span: Duration) -> Result<Books> {
        let mut rates = Rates::new();
        print(Rates::heading().as_bytes())?;
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        seconds.tick().await;
        loop {
            seconds.tick().await;
            let elapsed = self.started.elapsed();
            print(rates.row(elapsed, &self).as_bytes())?;
            self.wake
                .send_replace(*self.wake.borrow() || is_lapped(broker));
            let failed = self.producing.is_finished()
                || self.subscribers.iter().any(|(_, task)| task.is_finished());
            if failed || (elapsed >= span && *self.wake.borrow()) {
                break;
            }
            ensure!(
                elapsed < span + PATIENCE,
                "the {SLEEPER} was not lapped within {PATIENCE:?}"
            );
        }
        self.enough.store(true, Ordering::Relaxed);
        self.producing.await.context("the producer panicked")??;
        let seconds = self.started.elapsed().as_secs_f64();
        let acknowledged = self.producer.close().await?.acknowledged;
        self.end.send_replace(Some(acknowledged));
        let mut accounts = Vec::new();
        for (name, (tally, task)) in SUBSCRIBERS.into_iter().zip(self.subscribers) {
            let read = timeout(PATIENCE, task)
                .await
                .with_context(|| format!("the {name} did not reach the end"))?;
            read.with_context(|| format!("the {name} panicked"))?
                .with_context(|| name.to_owned())?;
            accounts.push((name, tally));
        }
        Ok(Books {
            acknowledged,
            seconds,
            memory_bytes: broker.memory_bytes(),
            accounts,
        })
    }
}

/// Whether the sleeper stands at a record that is no longer kept.
fn is_lapped(broker: &Broker) -> bool {
    let Ok(topic) = broker.topic(TOPIC) else {
        return false;
    };
    broker
        .subscriptions()
        .iter()
        .any(|s| s.label.as_deref() == Some(SLEEPER) && s.next_offset < topic.start_offset)
}

/// Sends the text's lines, again and again, until it is enough.
async fn produce(producer: Producer, text: Arc<Corpus>, enough: Arc<AtomicBool>) -> Result<()> {
    for line in text.lines.iter().cycle() {
        if enough.load(Ordering::Relaxed) {
            break;
        }
        producer.enqueue(&Record::new(line.clone())).await?;
    }
    Ok(())
}

/// What a subscriber was given and lost, for others to watch.
#[derive(Debug, Default)]
struct Tally {
    delivered: AtomicU64,
    lost: AtomicU64,
    losses: AtomicU64,
    asleep: AtomicBool,
}

/// A subscriber that checks all that it is given.
struct Follower {
    subscriber: Subscriber,
    text: Arc<Corpus>,
    tally: Arc<Tally>,
    /// When to stop reading, and what says to go on.
    sleep: Option<(Instant, watch::Receiver<bool>)>,
}

impl Follower {
    /// Reads until all that `end` says was given or lost.
    async fn follow(mut self, mut end: watch::Receiver<Option<u64>>) -> Result<()> {
        let mut next_offset = 0;
        while end.borrow_and_update().is_none_or(|end| next_offset < end) {
            if let Some((_, mut woken)) = self.sleep.take_if(|(from, _)| Instant::now() >= *from) {
                self.tally.asleep.store(true, Ordering::Relaxed);
                woken
                    .wait_for(|woken| *woken)
                    .await
                    .context("the demo ended while the sleeper slept")?;
                self.tally.asleep.store(false, Ordering::Relaxed);
            }
            let item = tokio::select! {
                item = self.subscriber.next() => item?,
                changed = end.changed() => {
                    changed.context("the demo ended before its subscribers")?;
                    continue;
                }
            };
            match item {
                Some(Item::Records(records)) => {
                    self.check(&records, next_offset)?;
                    next_offset = records.next_offset();
                    self.tally
                        .delivered
                        .fetch_add(records.len() as u64, Ordering::Relaxed);
                }
                Some(Item::Lost(lost)) => {
                    ensure!(
                        lost.from == next_offset,
                        "a loss from {} where {next_offset} was due",
                        lost.from
                    );
                    next_offset = lost.to;
                    self.tally.lost.fetch_add(lost.records(), Ordering::Relaxed);
                    self.tally.losses.fetch_add(1, Ordering::Relaxed);
                }
                other => bail!("this was not due: {other:?}"),
            }
        }
        Ok(())
    }

    /// The record at an offset is the text's line of that number, counted around.
    fn check(&self, records: &Records, due: u64) -> Result<()> {
        ensure!(
            records.base_offset() == due,
            "offset {} where {due} was due",
            records.base_offset()
        );
        let lines = &self.text.lines;
        let first = usize::try_from(due % lines.len() as u64).context("a line's number fits")?;
        for (record, line) in records.iter().zip(lines.iter().cycle().skip(first)) {
            ensure!(
                record.value == line,
                "the record at offset {} is not what was sent",
                record.offset
            );
        }
        Ok(())
    }
}

/// The live table: a line a second with what happened since the line before.
struct Rates {
    at: Duration,
    acknowledged: u64,
    subscribers: [(u64, u64); SUBSCRIBERS.len()],
}

impl Rates {
    fn new() -> Rates {
        Rates {
            at: Duration::ZERO,
            acknowledged: 0,
            subscribers: Default::default(),
        }
    }

    fn heading() -> String {
        let mut heading = format!("{:>5} {:>12}", "", "produced");
        for name in SUBSCRIBERS {
            let _ = write!(heading, " {name:>12}");
        }
        heading + "\n"
    }

    fn row(&mut self, at: Duration, play: &Play) -> String {
        let seconds = (at - self.at).as_secs_f64().max(1e-3);
        self.at = at;
        let rate = |now: u64, before: u64| format_rate(now.saturating_sub(before) as f64 / seconds);
        let acknowledged = play.producer.acknowledged();
        let mut row = format!(
            "{:>3.0} s {:>12}",
            at.as_secs_f64(),
            rate(acknowledged, self.acknowledged)
        );
        self.acknowledged = acknowledged;
        let mut remarks = String::new();
        for (i, (tally, _)) in play.subscribers.iter().enumerate() {
            let (delivered, lost) = (
                tally.delivered.load(Ordering::Relaxed),
                tally.lost.load(Ordering::Relaxed),
            );
            let (delivered_before, lost_before) =
                std::mem::replace(&mut self.subscribers[i], (delivered, lost));
            let cell = if tally.asleep.load(Ordering::Relaxed) {
                "stopped".to_owned()
            } else {
                rate(delivered, delivered_before)
            };
            let _ = write!(row, " {cell:>12}");
            if lost > lost_before {
                let _ = write!(
                    remarks,
                    "  {} lost {}",
                    SUBSCRIBERS[i],
                    format_count(lost - lost_before)
                );
            }
        }
        row + &remarks + "\n"
    }
}

/// Who was given and lost what, at the end.
struct Books {
    acknowledged: u64,
    seconds: f64,
    memory_bytes: u64,
    accounts: Vec<(&'static str, Arc<Tally>)>,
}

impl Books {
    fn balance(&self) -> bool {
        self.accounts.iter().all(|(_, tally)| self.holds(tally))
    }

    fn holds(&self, tally: &Tally) -> bool {
        tally.delivered.load(Ordering::Relaxed) + tally.lost.load(Ordering::Relaxed)
            == self.acknowledged
    }

    fn report(&self) -> String {
        let rate = format_rate(self.acknowledged as f64 / self.seconds);
        let mut report = format!(
            "\n{} records acknowledged ({rate}); the server held {} at the end.\n\n{:>12} {:>14} {:>14}\n",
            format_count(self.acknowledged),
            format_bytes(self.memory_bytes),
            "",
            "delivered",
            "lost",
        );
        for (name, tally) in &self.accounts {
            let delivered = format_count(tally.delivered.load(Ordering::Relaxed));
            let lost = format_count(tally.lost.load(Ordering::Relaxed));
            let verdict = if self.holds(tally) {
                "delivered + lost = acknowledged"
            } else {
                "DOES NOT ADD UP"
            };
            let _ = write!(report, "{name:>12} {delivered:>14} {lost:>14}   {verdict}");
            match tally.losses.load(Ordering::Relaxed) {
                0 => {}
                1 => report.push_str("; lapped once"),
                times => {
                    let _ = write!(report, "; lapped {times} times");
                }
            }
            report.push('\n');
        }
        report.push_str("\nEvery record delivered was checked: in order, byte for byte; every loss was said, exactly.\n");
        report
    }
}
