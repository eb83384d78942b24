//! Many subscribers on one client thread, which follow a topic live and tell how long each record took.

use super::{
    client::{Payload, SUBSCRIBE, subscribe_request},
    wire::{Event, Messages, Wire, batch_head},
};
use anyhow::{Result, anyhow, bail, ensure};
use std::{sync::mpsc, thread, time::Instant};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime,
    task::JoinSet,
};

/// Many subscribers on one thread, which tell what they receive.
#[derive(Debug)]
pub(super) struct Crowd {
    thread: thread::JoinHandle<Result<Vec<u32>>>,
}

impl Crowd {
    /// Has `subscribers` follow the topic until each has `records`; every record's value begins with the nanoseconds
    /// from `began` to when it was sent.
    /// Returns when all follow.
    pub(super) fn follow(
        address: &str,
        subscribers: usize,
        records: u64,
        (payload, began): (&Payload, Instant),
    ) -> Result<Self> {
        let (ready, all_ready) = mpsc::channel();
        let address = address.to_owned();
        let (stored, value) = (payload.stored_bytes(), payload.value_bytes());
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let mut clients = JoinSet::new();
                for _ in 0..subscribers {
                    let (address, ready) = (address.clone(), ready.clone());
                    clients.spawn(async move {
                        follow(&address, records, (stored, value), began, || {
                            ready.send(()).ok();
                        })
                        .await
                    });
                }
                drop(ready);
                let mut latencies = Vec::new();
                while let Some(client) = clients.join_next().await {
                    latencies.append(&mut client??);
                }
                Ok(latencies)
            })
        });
        ensure!(
            all_ready.iter().take(subscribers).count() == subscribers,
            "a subscriber failed"
        );
        Ok(Self { thread })
    }

    /// The microseconds from sent to received, of each record and subscriber.
    pub(super) fn join(self) -> Result<Vec<u32>> {
        self.thread
            .join()
            .map_err(|_| anyhow!("a subscriber panicked"))?
    }
}

async fn follow(
    address: &str,
    records: u64,
    (stored, value): (usize, usize),
    began: Instant,
    ready: impl FnOnce(),
) -> Result<Vec<u32>> {
    let mut socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let mut wire = Wire::new(SUBSCRIBE);
    let stream = wire.call();
    wire.message(stream, (&subscribe_request(), &[]), true);
    let mut messages = Messages::new(usize::MAX);
    let mut latencies = Vec::with_capacity(records as usize);
    let mut next_offset = 0;
    let mut ready = Some(ready);
    while next_offset < records {
        socket.write_all(&wire.out).await?;
        wire.out.clear();
        let count = socket.read(wire.room()).await?;
        wire.received(count)?;
        let now = began.elapsed().as_nanos() as u64;
        while let Some(event) = wire.next()? {
            match event {
                Event::Begin => {
                    if let Some(ready) = ready.take() {
                        ready();
                    }
                }
                Event::End => bail!("the server ended the stream"),
                Event::Data(at) => messages.take(wire.bytes(at), |_, message| {
                    let Some(head) = batch_head(message) else {
                        return Ok(());
                    };
                    ensure!(
                        head.base_offset == next_offset,
                        "offset {}, not {next_offset}",
                        head.base_offset
                    );
                    next_offset += head.count;
                    let records = &message[head.records_at..];
                    ensure!(
                        records.len() == head.count as usize * stored,
                        "records of another size"
                    );
                    for record in records.chunks_exact(stored) {
                        let sent = record[stored - value..]
                            .first_chunk()
                            .map_or(0, |sent| u64::from_be_bytes(*sent));
                        latencies.push(
                            u32::try_from(now.saturating_sub(sent) / 1_000).unwrap_or(u32::MAX),
                        );
                    }
                    Ok(())
                })?,
            }
        }
    }
    Ok(latencies)
}
