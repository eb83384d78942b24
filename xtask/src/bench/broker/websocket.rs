//! One server, a thousand WebSocket connections, every message to all of them: written with the broker (each
//! connection's task reads the topic) and with one channel per connection (the sender puts each message into a
//! thousand channels). Both make a message's frame once, and write all the frames that are there at once, by the same
//! lines of code: what differs is how a message comes to a connection's task.
//!
//! The clients are this process's too, and as cheap as they can be: they read the socket and check each frame's
//! head, length and number.

use super::{VALUE, VALUES, number_of, topic, values};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use footman_broker::{ConsumerOptions, Item, Record, StartAt};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_tungstenite::{accept_async, client_async};

const CONNECTIONS: usize = 1_000;
/// The head of a value's frame: binary and final, without a mask, two bytes of length.
const FRAME: [u8; 4] = [0x82, 126, 0, VALUE as u8];
/// Messages that a connection's channel holds, and that a connection's task takes at once: what is written at once fits
/// into the processor's cache in both servers.
const CHANNEL: usize = 256;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let messages = if bench.quick() { 2_000 } else { 6_000 };
    let frames = frames();
    bench.group(
        "broker/websocket/1000",
        ("M deliveries/s", Better::Higher),
        vec![
            (
                "footman-broker".into(),
                Box::new(|| run(&frames, messages, from_topic)),
            ),
            (
                "tokio-mpsc".into(),
                Box::new(|| run(&frames, messages, from_channels)),
            ),
        ],
    )
}

/// Each value as a binary message: one whole frame of a server, which has no mask.
fn frames() -> Vec<Bytes> {
    let frame = |value: Bytes| [&FRAME[..], &value].concat().into();
    values().into_iter().map(frame).collect()
}

type Server = fn(&Runtime, Vec<TcpStream>, &[Bytes], usize) -> Result<()>;

/// Connects everybody, has the server send so many messages to all, and waits until all have them.
fn run(frames: &[Bytes], messages: usize, serve: Server) -> Result<f64> {
    let server = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let clients = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let listener = server.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    let accepting = server.spawn(async move {
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            // A client says nothing more: nothing is left behind in what is let go of here.
            let connection = accept_async(listener.accept().await?.0).await?;
            connections.push(connection.into_inner());
        }
        anyhow::Ok(connections)
    });
    let mut readers = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let connection = clients.block_on(connect(address))?;
        readers.push(clients.spawn(read(connection, messages)));
    }
    let connections = server.block_on(accepting)??;
    let began = Instant::now();
    serve(&server, connections, frames, messages)?;
    clients.block_on(async {
        for reader in readers {
            let patience = Duration::from_secs(60);
            tokio::time::timeout(patience, reader)
                .await
                .context("a client waits")???;
        }
        anyhow::Ok(())
    })?;
    let deliveries = (CONNECTIONS * messages) as f64;
    Ok(deliveries / 1e6 / began.elapsed().as_secs_f64())
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect(address).await?;
    // The server says nothing before all are connected: the socket holds whole frames from here on.
    let (connection, _) = client_async(format!("ws://{address}"), socket).await?;
    Ok(connection.into_inner())
}

/// Reads frames until all have come.
async fn read(mut socket: TcpStream, messages: usize) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let (mut filled, mut next) = (0, 0);
    while next < messages {
        let read = socket.read(&mut buffer[filled..]).await?;
        ensure!(read > 0, "the server has closed after {next} messages");
        filled += read;
        let frames = buffer[..filled].chunks_exact(FRAME.len() + VALUE);
        let rest = frames.remainder().len();
        for frame in frames {
            let (head, value) = frame.split_at(FRAME.len());
            ensure!(head == FRAME, "the head of {next}");
            ensure!(
                number_of(value) == (next % VALUES) as u64,
                "the number of {next}"
            );
            next += 1;
        }
        buffer.copy_within(filled - rest..filled, 0);
        filled = rest;
    }
    Ok(())
}

fn from_topic(
    runtime: &Runtime,
    sockets: Vec<TcpStream>,
    frames: &[Bytes],
    messages: usize,
) -> Result<()> {
    let (broker, producer) = topic(65_536)?;
    for mut socket in sockets {
        let mut consumer =
            broker.consumer_with(ConsumerOptions::default().with_max_records(CHANNEL));
        consumer.subscribe("t", StartAt::Latest)?;
        let _writer: JoinHandle<Result<()>> = runtime.spawn(async move {
            let mut buffer = Vec::new();
            loop {
                let Item::Records(records) = consumer.next().await else {
                    anyhow::bail!("something was lost");
                };
                write(&mut socket, &mut buffer, records.iter().map(|r| r.value)).await?;
            }
        });
    }
    for frame in frames.iter().cycle().take(messages) {
        producer.produce(&Record::new(frame.clone()))?;
    }
    Ok(())
}

fn from_channels(
    runtime: &Runtime,
    sockets: Vec<TcpStream>,
    frames: &[Bytes],
    messages: usize,
) -> Result<()> {
    let mut channels = Vec::with_capacity(sockets.len());
    for mut socket in sockets {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(CHANNEL);
        channels.push(sender);
        let _writer: JoinHandle<Result<()>> = runtime.spawn(async move {
            let mut buffer = Vec::new();
            let mut received = Vec::with_capacity(CHANNEL);
            while receiver.recv_many(&mut received, CHANNEL).await > 0 {
                write(
                    &mut socket,
                    &mut buffer,
                    received.iter().map(|frame| &**frame),
                )
                .await?;
                received.clear();
            }
            // As in the other server, a connection stays open when there is nothing more.
            std::future::pending().await
        });
    }
    for frame in frames.iter().cycle().take(messages) {
        for channel in &channels {
            channel.blocking_send(frame.clone())?;
        }
    }
    Ok(())
}

/// Writes frames, many at once: the same for both servers.
async fn write<'f>(
    socket: &mut TcpStream,
    buffer: &mut Vec<u8>,
    frames: impl Iterator<Item = &'f [u8]>,
) -> Result<()> {
    buffer.clear();
    frames.for_each(|frame| buffer.extend_from_slice(frame));
    socket.write_all(buffer).await?;
    Ok(())
}
