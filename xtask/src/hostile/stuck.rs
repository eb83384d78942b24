//! Subscribers that never read: what they cost, how they are ended, and what they are told when they read again.

use super::{
    case::{Case, Run, Watched, resident_mib},
    frames::*,
    healthy, slow,
};
use anyhow::{Context as _, Result, bail, ensure};
use footman_broker::{Epoch, Item as Told, StartAt, StopAt, SubscribeOptions};
use footman_broker_grpc::{
    Client,
    proto::{GoingAwayReason, SubscribeResponse, subscribe_response::Item},
};
use prost::Message as _;
use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

/// A stream whose peer does not read is let go of after so long, and reset after twice as long.
const STALL: Duration = Duration::from_secs(10);
/// When all have been blocked for longer than that, and none for twice as long.
const TOLD: Duration = Duration::from_secs(15);
/// How many of them read again, in the time that is left.
const READ_AGAIN: usize = 100;
/// What one may cost, in KiB.
const EACH_BAR: f64 = 64.0;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "never-reading",
        what: "1 000 subscribers that never read their sockets",
        is_quick: false,
        run: Box::new(run),
    }]
}

fn run(run: &Run) -> Result<String> {
    let subscribers: usize = 1_000;
    let watched = Watched::start(run)?.allowing(EACH_BAR * subscribers as f64 / 1_024.0);
    let address = watched.server.address().to_owned();
    let before = resident_mib(&watched.server)?;
    let began = Instant::now();
    // Every other one is held back by its window, the rest by the socket alone.
    let mut stuck: Vec<_> = (0..subscribers)
        .map(|number| {
            Stuck::subscribe(
                &address,
                if number % 2 == 0 {
                    FIRST_WINDOW
                } else {
                    LARGEST_WINDOW
                },
            )
        })
        .collect::<Result<_>>()?;
    let each = |grown: f64| grown * 1_024.0 / subscribers as f64;
    let mut most = before;
    while began.elapsed() < STALL - Duration::from_secs(2) {
        most = most.max(resident_mib(&watched.server)?);
        thread::sleep(Duration::from_millis(100));
    }
    let cost = each(most - before);

    let (found, server) = watched.during(TOLD.saturating_sub(began.elapsed()))?;
    let mut places = Vec::new();
    for stuck in stuck.iter_mut().take(READ_AGAIN) {
        places.extend(stuck.read_on()?);
    }
    ensure!(
        places.len() == READ_AGAIN,
        "of {READ_AGAIN} that read again, {} were told that they had stalled",
        places.len()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let left = runtime.block_on(async {
        Client::connect(&address)
            .await?
            .subscriptions(None)
            .await
            .map_err(anyhow::Error::from)
    })?;
    ensure!(left.is_empty(), "{} of them are still served", left.len());
    let mut lost = 0;
    for place in &places {
        lost += runtime.block_on(resume(&address, *place))?;
    }
    server.stop()?;
    Ok(format!(
        "{found}  {cost:.1} KiB each (bar {EACH_BAR:.0})\n  all {subscribers} were let go of; {READ_AGAIN} read again, were told STALLED and where to resume, did, and were told exactly what they lost: {lost} records in all\n"
    ))
}

/// Where one is to go on.
#[derive(Debug, Clone, Copy)]
struct Place {
    epoch: u64,
    next_offset: u64,
}

/// A subscriber that reads nothing until it is asked to.
#[derive(Debug)]
struct Stuck {
    socket: TcpStream,
    /// What it lets the server send before it says more.
    window: u32,
}

impl Stuck {
    fn subscribe(address: &str, window: u32) -> Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        socket.write_all(&hello(window))?;
        socket.write_all(&call(1, SUBSCRIBE, &slow::follow()))?;
        Ok(Self { socket, window })
    }

    /// Reads all there is, as fast as can be: the place that it is told to resume at, which must be where its records stop; `None` if
    /// its stream was reset before that could be said.
    fn read_on(&mut self) -> Result<Option<Place>> {
        self.socket.set_read_timeout(Some(STALL * 2))?;
        let more = LARGEST_WINDOW - self.window;
        if more > 0 {
            let more = frame(WINDOW_UPDATE, 0, 1, &more.to_be_bytes());
            self.socket.write_all(&more).ok(); // those that are cut are seen below
        }
        let (mut incoming, mut body) = (Incoming::default(), Vec::new());
        let mut room = vec![0; 256 * 1024];
        let (mut next_offset, mut place) = (None, None);
        loop {
            let count = match self.socket.read(&mut room) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
                Err(error) => return Err(error).context("a stalled stream is not ended"),
            };
            if count == 0 {
                return Ok(place);
            }
            incoming.take(&room[..count]);
            // What it was told last comes with the end.
            let mut is_over = false;
            while let Some(frame) = incoming.next() {
                match frame.kind {
                    DATA => body.extend_from_slice(&frame.payload),
                    RST_STREAM => is_over = true,
                    HEADERS if frame.flags & END_STREAM != 0 => is_over = true,
                    _ => {}
                }
            }
            while let Some(message) = message(&mut body)? {
                match message.item.context("an item")? {
                    Item::Started(started) => next_offset = Some(started.next_offset),
                    Item::Batch(batch) => {
                        ensure!(
                            Some(batch.base_offset) == next_offset,
                            "a gap before {}",
                            batch.base_offset
                        );
                        next_offset = Some(batch.base_offset + u64::from(batch.count));
                    }
                    Item::Lost(lost) => {
                        ensure!(
                            Some(lost.from_offset) == next_offset,
                            "a gap before the loss of {}",
                            lost.from_offset
                        );
                        next_offset = Some(lost.to_offset);
                    }
                    Item::GoingAway(notice) => {
                        ensure!(notice.reason() == GoingAwayReason::Stalled, "{notice:?}");
                        let position = notice.positions.first().context("a place to resume at")?;
                        ensure!(
                            Some(position.next_offset) == next_offset,
                            "resume at {}, not {next_offset:?}",
                            position.next_offset
                        );
                        place = Some(Place {
                            epoch: position.epoch,
                            next_offset: position.next_offset,
                        });
                    }
                    Item::Heartbeat(_) => {}
                    other => bail!("an item of another kind: {other:?}"),
                }
            }
            if is_over {
                return Ok(place);
            }
        }
    }
}

/// The next message of a body, if all of it is there.
fn message(body: &mut Vec<u8>) -> Result<Option<SubscribeResponse>> {
    let Some([_, length @ ..]) = body.first_chunk::<5>() else {
        return Ok(None);
    };
    let end = 5 + u32::from_be_bytes(*length) as usize;
    let Some(message) = body.get(5..end) else {
        return Ok(None);
    };
    let message = SubscribeResponse::decode(message)?;
    body.drain(..end);
    Ok(Some(message))
}

/// Resumes at a place: first comes the loss, from there to the oldest record kept, and then the records. Returns how many were lost.
async fn resume(address: &str, place: Place) -> Result<u64> {
    let client = Client::connect(address).await?;
    let start = StartAt::Resume {
        epoch: Epoch::try_from(place.epoch)?,
        next_offset: place.next_offset,
    };
    let oldest = client.topic(healthy::TOPIC).await?.start_offset;
    let mut subscriber = client
        .subscriber()
        .topic_with(
            healthy::TOPIC,
            SubscribeOptions::new(start).with_stop(StopAt::End),
        )
        .build()
        .await?;
    let first = subscriber.next().await?.context("an item")?;
    match first {
        Told::Lost(lost) => {
            ensure!(
                lost.from == place.next_offset && lost.to >= oldest,
                "lost {lost:?}, from {place:?} with {oldest} the oldest"
            );
            Ok(lost.to - lost.from)
        }
        Told::Records(records) => {
            ensure!(
                records.base_offset() == place.next_offset,
                "{} after {place:?}",
                records.base_offset()
            );
            Ok(0)
        }
        other => bail!("{other:?} after {place:?}"),
    }
}
