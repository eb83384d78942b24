//! The table of attacks, and how one is driven: so many peers at a time, each of which begins again as soon as it is cut off.

use super::{
    case::{Case, Watched},
    flood, slow,
};
use anyhow::{Result, ensure};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    runtime::Runtime,
    time::{Instant, sleep, timeout_at},
};

/// How long a peer waits before it begins again.
const AGAIN: Duration = Duration::from_millis(1);

/// One peer's attack, from connecting until it is ended.
pub(super) type Life = Pin<Box<dyn Future<Output = End> + Send>>;

/// What ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    /// The server said why, by an error code of HTTP/2, and closed.
    GoAway(u32),
    /// The server closed.
    Closed,
    /// The server ended every call, and the connection stayed.
    CallsEnded,
    /// There was no place.
    Refused,
}

/// One way to attack.
#[derive(Debug)]
pub(super) struct Attack {
    name: &'static str,
    what: &'static str,
    /// At a time.
    peers: usize,
    /// What it takes to see its end; more than a few: not for `--quick`.
    seconds: u64,
    /// Whether its peers must be cut off; if not, what it asks for is allowed, and costs the peer as much.
    is_cut: bool,
    life: fn(SocketAddr, usize) -> Life,
}

/// Attacks that take no longer are for `--quick` too.
const QUICK_SECONDS: u64 = 10;

pub(super) fn all() -> Vec<Attack> {
    let attack = |name, what, (peers, seconds, is_cut), life| Attack {
        name,
        what,
        peers,
        seconds,
        is_cut,
        life,
    };
    vec![
        attack(
            "rapid-reset",
            "calls that are reset as soon as they are begun",
            (4, 10, true),
            |to, _| Box::pin(flood::rapid_reset(to)),
        ),
        attack(
            "continuation",
            "headers that never end",
            (4, 10, true),
            |to, _| Box::pin(flood::continuation(to)),
        ),
        attack(
            "hpack",
            "headers that unpack to megabytes",
            (4, 10, true),
            |to, _| Box::pin(flood::hpack(to)),
        ),
        attack(
            "empty-data",
            "DATA frames with nothing in them",
            (4, 10, true),
            |to, _| Box::pin(flood::empty_data(to)),
        ),
        attack(
            "tiny-data",
            "a message of 4 MiB, a byte a frame",
            (4, 10, true),
            |to, _| Box::pin(flood::tiny_data(to)),
        ),
        attack(
            "tiny-data-unread",
            "the same, answers never read",
            (4, 10, true),
            |to, _| Box::pin(flood::tiny_data_unread(to)),
        ),
        attack(
            "tiny-messages",
            "short messages, a byte a frame",
            (4, 10, false),
            |to, _| Box::pin(flood::tiny_messages(to)),
        ),
        attack(
            "tiny-messages-unread",
            "the same, answers never read",
            (4, 10, true),
            |to, _| Box::pin(flood::tiny_messages_unread(to)),
        ),
        attack(
            "scattered-unread",
            "short messages of many calls by turns, answers never read",
            (4, 10, true),
            |to, _| Box::pin(flood::scattered_unread(to)),
        ),
        attack("ping", "PINGs, answers read", (4, 10, false), |to, _| {
            Box::pin(flood::ping(to))
        }),
        attack(
            "ping-unread",
            "PINGs, answers never read",
            (4, 60, true),
            |to, _| Box::pin(flood::ping_unread(to)),
        ),
        attack(
            "settings",
            "SETTINGS, answers read",
            (4, 10, false),
            |to, _| Box::pin(flood::settings(to)),
        ),
        attack(
            "settings-unread",
            "SETTINGS, answers never read",
            (4, 60, true),
            |to, _| Box::pin(flood::settings_unread(to)),
        ),
        attack(
            "small-window",
            "subscriptions that are read a byte at a time",
            (4, 30, true),
            |to, _| Box::pin(slow::small_window(to)),
        ),
        attack(
            "unfinished",
            "512 messages of 4 MiB on a connection, none ever whole",
            (4, 40, true),
            |to, _| Box::pin(slow::unfinished(to)),
        ),
        attack(
            "slowloris",
            "5 000 sockets that say nothing, or a byte a second",
            (5_000, 20, true),
            |to, number| Box::pin(slow::slowloris(to, number)),
        ),
        attack(
            "half-open",
            "1 000 subscribers that are gone without a word",
            (1_000, 50, true),
            |to, _| Box::pin(slow::half_open(to)),
        ),
    ]
}

impl Attack {
    pub(super) fn into_case(self) -> Case {
        Case {
            name: self.name,
            what: self.what,
            is_quick: self.seconds <= QUICK_SECONDS,
            run: Box::new(move |run| {
                let watched = Watched::start(run)?;
                let attackers = Attackers::start(
                    &self,
                    watched.server.address().parse()?,
                    run.seconds(self.seconds),
                )?;
                let found = watched.under(run.seconds(self.seconds))?;
                let ends = attackers.ends();
                let (cut, said) = describe(&ends);
                ensure!(cut > 0 || !self.is_cut, "nobody was cut off\n{found}");
                Ok(format!("{found}  {} at a time, {said}\n", self.peers))
            }),
        }
    }
}

/// The peers at work, on a thread of their own. They end with this.
#[derive(Debug)]
struct Attackers {
    ends: Arc<Mutex<BTreeMap<End, usize>>>,
    _runtime: Runtime,
}

impl Attackers {
    fn start(attack: &Attack, to: SocketAddr, length: Duration) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let ends = Arc::new(Mutex::new(BTreeMap::new()));
        let until = Instant::now() + length;
        for number in 0..attack.peers {
            let (ends, life) = (Arc::clone(&ends), attack.life);
            runtime.spawn(async move {
                while let Ok(end) = timeout_at(until, life(to, number)).await {
                    *ends
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .entry(end)
                        .or_insert(0) += 1;
                    sleep(AGAIN).await;
                }
            });
        }
        Ok(Self {
            ends,
            _runtime: runtime,
        })
    }

    fn ends(&self) -> BTreeMap<End, usize> {
        self.ends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// How many were cut off, and how, in words.
fn describe(ends: &BTreeMap<End, usize>) -> (usize, String) {
    let (mut cut, mut said) = (0, String::new());
    for (end, count) in ends {
        let how = match end {
            End::GoAway(11) => "cut off with ENHANCE_YOUR_CALM".to_owned(),
            End::GoAway(code) => format!("cut off with error {code}"),
            End::Closed => "cut off".to_owned(),
            End::CallsEnded => "had their calls ended".to_owned(),
            End::Refused => "found no place".to_owned(),
        };
        if *end != End::Refused {
            cut += count;
        }
        let comma = if said.is_empty() { "" } else { ", " };
        write!(said, "{comma}{count} {how}").expect("a String has room");
    }
    if said.is_empty() {
        said = "nobody cut off".to_owned();
    }
    (cut, said)
}
