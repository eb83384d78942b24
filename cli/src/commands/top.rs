//! `footman top`: what goes on in a server, live on a terminal, or once as a table.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use footman_broker_grpc::{CallError, Client, ServerInfo, Subscription, Topic};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use serde::Serialize;
use tokio::sync::mpsc;

use crate::activity::{
    Activity, Headroom, Look, ServerState, SubscriptionActivity, SubscriptionState, TopicState,
};
use crate::advice::explain;
use crate::args::ServerArgs;
use crate::args::listing::Listing;
use crate::args::top::TopArgs;
use crate::commands::topics::micros;
use crate::connection;
use crate::outcome::Outcome;
use crate::output::push_json_line;
use crate::screen::columns::{
    subscription_cells, subscription_headings, topic_cells, topic_headings,
};
use crate::screen::{Answer, Screen};
use crate::signal::Stop;
use crate::stdout::print;
use crate::text_table::align;

pub(crate) async fn run(server: &ServerArgs, args: TopArgs) -> Result<Outcome> {
    let mut stop = Stop::listen()?;
    let once = args.once || args.output == Listing::Json || !std::io::stdout().is_terminal();
    let interval = args.interval.max(Duration::from_millis(50));
    let watch = async {
        let client = connection::connect(server).await?;
        if once {
            print_once(&client, &args, interval).await
        } else {
            show(client, &args, interval).await
        }
    };
    tokio::select! {
        watched = watch => watched.map(|()| Outcome::Done),
        () = stop.asked() => {
            if !once {
                ratatui::restore();
                return Ok(Outcome::Done);
            }
            Ok(Outcome::Interrupted)
        }
    }
}

async fn look(client: &Client, prefix: &str) -> Result<Look, CallError> {
    let info = client.server_info().await?;
    let topics = client.topics(prefix).await?;
    let subscriptions = client.subscriptions(None).await?;
    Ok(Look {
        at: Instant::now(),
        server: server_state(info),
        topics: topics.into_iter().map(topic_state).collect(),
        subscriptions: subscriptions.into_iter().map(subscription_state).collect(),
    })
}

fn server_state(from: ServerInfo) -> ServerState {
    ServerState {
        now_us: micros(from.now),
        up: from.now.duration_since(from.started).unwrap_or_default(),
        version: from.version,
        memory_bytes: from.memory_bytes,
        max_memory_bytes: from.max_memory_bytes,
        connections: from.connections,
    }
}

fn topic_state(from: Topic) -> TopicState {
    TopicState {
        name: from.name,
        epoch: from.epoch.into(),
        start_offset: from.start_offset,
        end_offset: from.end_offset,
        memory_bytes: from.memory_bytes,
        appended_records: from.appended_records,
        appended_bytes: from.appended_bytes,
        is_paused: from.paused,
    }
}

fn subscription_state(from: Subscription) -> SubscriptionState {
    SubscriptionState {
        id: from.id,
        topic: from.topic,
        epoch: from.epoch.into(),
        label: from.label,
        next_offset: from.next_offset,
        delivered: from.delivered,
        lag: from.lag,
        lost: from.lost,
        filtered: from.filtered,
        headroom: Headroom {
            time: from.headroom,
            records: from.headroom_records,
        },
    }
}

/// Two looks, an interval apart, as a table.
async fn print_once(client: &Client, args: &TopArgs, interval: Duration) -> Result<()> {
    let old = look(client, &args.prefix).await?;
    tokio::time::sleep(interval).await;
    let new = look(client, &args.prefix).await?;
    let mut activity = Activity::between(Some(&old), &new);
    args.sort.sort(&mut activity.topics);
    if args.output == Listing::Json {
        let mut out = Vec::new();
        push_json_line(&mut out, &ActivityJson::from(&activity));
        return print(&out);
    }
    let topics = activity.topics.iter().map(topic_cells);
    let mut text = align(topic_headings(), topics);
    for topic in &activity.topics {
        let of_topic = |subscription: &&SubscriptionActivity| {
            subscription.subscription.topic == topic.topic.name
        };
        let followers: Vec<_> = activity.subscriptions.iter().filter(of_topic).collect();
        if !followers.is_empty() {
            text += &format!("\n{}\n", topic.topic.name);
            text += &align(
                subscription_headings(),
                followers.into_iter().map(subscription_cells),
            );
        }
    }
    print(text.as_bytes())
}

/// Shows it until a key says that it is enough.
async fn show(client: Client, args: &TopArgs, interval: Duration) -> Result<()> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut screen = Screen::new(client.server(), args.sort, !no_color);
    let (looks, mut looked) = mpsc::channel(1);
    let prefix = args.prefix.clone();
    tokio::spawn(async move {
        // Whoever looks no more has dropped the other end.
        while looks.send(look(&client, &prefix).await).await.is_ok() {
            tokio::time::sleep(interval).await;
        }
    });
    let mut terminal = ratatui::try_init().context("cannot use the terminal (use --once)")?;
    let shown = follow(&mut terminal, &mut screen, &mut looked).await;
    ratatui::restore();
    shown
}

async fn follow(
    terminal: &mut DefaultTerminal,
    screen: &mut Screen,
    looked: &mut mpsc::Receiver<Result<Look, CallError>>,
) -> Result<()> {
    let mut events = events()?;
    let mut old: Option<Look> = None;
    loop {
        terminal
            .draw(|frame| screen.draw(frame))
            .context("cannot write to the terminal")?;
        tokio::select! {
            event = events.recv() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if screen.press(key) == Answer::Quit {
                        return Ok(());
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("cannot read from the terminal"),
                None => return Ok(()),
            },
            Some(new) = looked.recv() => match new {
                Ok(new) => {
                    screen.update(Activity::between(old.as_ref(), &new));
                    old = Some(new);
                }
                Err(error) => screen.fail(explain(&error.into())),
            },
        }
    }
}

/// Keys and changes of size, read by a thread of their own: nothing else can wait for a terminal everywhere.
fn events() -> Result<mpsc::Receiver<std::io::Result<Event>>> {
    let (send, events) = mpsc::channel(16);
    std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(move || {
            loop {
                let event = event::read();
                let failed = event.is_err();
                if send.blocking_send(event).is_err() || failed {
                    return;
                }
            }
        })
        .context("cannot start the thread that reads the keys")?;
    Ok(events)
}

/// What goes on, as JSON; rates are a second's, headrooms null where there is no end to them.
#[derive(Debug, Serialize)]
struct ActivityJson<'a> {
    now: i64,
    memory_bytes: u64,
    max_memory_bytes: u64,
    connections: u32,
    topics: Vec<TopicJson<'a>>,
    subscriptions: Vec<SubscriptionJson<'a>>,
}

#[derive(Debug, Serialize)]
struct TopicJson<'a> {
    name: &'a str,
    epoch: u64,
    start_offset: u64,
    end_offset: u64,
    records_per_second: f64,
    bytes_per_second: f64,
    memory_bytes: u64,
    paused: bool,
    subscriptions: usize,
    lag: u64,
    lost: u64,
    headroom_seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct SubscriptionJson<'a> {
    topic: &'a str,
    id: u32,
    label: &'a str,
    next_offset: u64,
    delivered: u64,
    lag: u64,
    lost: u64,
    filtered: u64,
    records_per_second: f64,
    headroom_records: u64,
    headroom_seconds: Option<f64>,
}

impl<'a> From<&'a Activity> for ActivityJson<'a> {
    fn from(activity: &'a Activity) -> ActivityJson<'a> {
        let topics = activity.topics.iter().map(|activity| TopicJson {
            name: &activity.topic.name,
            epoch: activity.topic.epoch,
            start_offset: activity.topic.start_offset,
            end_offset: activity.topic.end_offset,
            records_per_second: activity.records_rate,
            bytes_per_second: activity.bytes_rate,
            memory_bytes: activity.topic.memory_bytes,
            paused: activity.topic.is_paused,
            subscriptions: activity.subscriptions,
            lag: activity.lag,
            lost: activity.lost,
            headroom_seconds: activity
                .headroom
                .and_then(|headroom| Some(headroom.time?.as_secs_f64())),
        });
        let subscriptions = activity.subscriptions.iter().map(|activity| {
            let subscription = &activity.subscription;
            SubscriptionJson {
                topic: &subscription.topic,
                id: subscription.id,
                label: &subscription.label,
                next_offset: subscription.next_offset,
                delivered: subscription.delivered,
                lag: subscription.lag,
                lost: subscription.lost,
                filtered: subscription.filtered,
                records_per_second: activity.records_rate,
                headroom_records: subscription.headroom.records,
                headroom_seconds: subscription.headroom.time.map(|time| time.as_secs_f64()),
            }
        });
        ActivityJson {
            now: activity.server.now_us,
            memory_bytes: activity.server.memory_bytes,
            max_memory_bytes: activity.server.max_memory_bytes,
            connections: activity.server.connections,
            topics: topics.collect(),
            subscriptions: subscriptions.collect(),
        }
    }
}
