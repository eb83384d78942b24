//! `footman demo`: what this is, shown in ten seconds and checked to the last record.
//!
//! A server and its clients in one process, over real gRPC on a free loopback port. One producer sends lines
//! of real text as fast as they are taken. Several subscribers read all of it; another stops reading until it
//! has been lapped, and goes on. At the end each must have been given every record that was acknowledged, in
//! order and byte for byte, or have been told that it lost exactly that one.

mod follower;
mod report;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use footman_broker::{Broker, Record, StartAt, TopicOptions};
use footman_broker_grpc::{Client, Producer, Server, ServerOptions};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::args::DemoArgs;
use crate::corpus::{self, Corpus};
use crate::outcome::Outcome;
use crate::quantity::format_count;
use crate::signal::Stop;
use crate::stdout::{print, reader_gone};
use follower::{Follower, Tally};
use report::{Books, Rates};

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
Stop the consumer with Ctrl-Z while records flow, go on with `fg`, and see what
it is told it lost.
";

pub(crate) async fn run(args: DemoArgs) -> Result<Outcome> {
    let mut stop = Stop::listen()?;
    tokio::select! {
        shown = show(Duration::from_secs(args.seconds)) => shown.map(|()| Outcome::Done),
        () = stop.asked() => Ok(Outcome::Interrupted),
        () = reader_gone() => Ok(Outcome::Done),
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
        "A server on {address}; a producer and {} subscribers, each over gRPC.\n\
         The producer sends {}\nas fast as they are taken. \
         The topic keeps the newest {} records;\n\
         the {SLEEPER} stops reading until it has been lapped.\n\n",
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
