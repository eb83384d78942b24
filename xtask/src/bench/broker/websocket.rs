//! One server, a thousand WebSocket connections, every message to all of them: written with the broker (each
//! connection's task reads the topic) and with one channel per connection (the sender puts each message into a
//! thousand channels). Both write all that is there before they flush.
//!
//! The clients are this process's too, and as cheap as they can be: they read the socket and check each frame's
//! head, length and number.

use super::{VALUE, VALUES, number_of, topic, values};
use crate::bench::{bench_run::BenchRun, report::Better};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use footman_broker::{Item, Record, StartAt};
use futures_util::SinkExt as _;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async, tungstenite::Message};

const CONNECTIONS: usize = 1_000;
/// A frame of 126 to 65 535 bytes without a mask: two bytes, and two of length.
const HEAD: usize = 4;
/// Messages that a connection's channel holds.
const CHANNEL: usize = 256;

pub(super) fn measure(bench: &mut BenchRun) -> Result<()> {
    let messages = if bench.quick() { 500 } else { 3_000 };
    let values = values();
    bench.group(
        "broker/websocket/1000",
        ("M deliveries/s", Better::Higher),
        vec![
            (
                "footman-broker".into(),
                Box::new(|| run(&values, messages, from_topic)),
            ),
            (
                "tokio-mpsc".into(),
                Box::new(|| run(&values, messages, from_channels)),
            ),
        ],
    )
}

type Connection = WebSocketStream<TcpStream>;
type Server = fn(&Runtime, Vec<Connection>, &[Bytes], usize) -> Result<()>;

/// Connects everybody, has the server send so many messages to all, and waits until all have them.
fn run(values: &[Bytes], messages: usize, serve: Server) -> Result<f64> {
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
            connections.push(accept_async(listener.accept().await?.0).await?);
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
    serve(&server, connections, values, messages)?;
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
        let frames = buffer[..filled].chunks_exact(HEAD + VALUE);
        let rest = frames.remainder().len();
        for frame in frames {
            let (head, value) = frame.split_at(HEAD);
            ensure!(head == [0x82, 126, 0, VALUE as u8], "the head of {next}");
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
    connections: Vec<Connection>,
    values: &[Bytes],
    messages: usize,
) -> Result<()> {
    let (broker, producer) = topic(65_536)?;
    for mut connection in connections {
        let mut consumer = broker.consumer();
        consumer.subscribe("t", StartAt::Latest)?;
        let _writer: JoinHandle<Result<()>> = runtime.spawn(async move {
            loop {
                let Item::Records(records) = consumer.next().await else {
                    anyhow::bail!("something was lost");
                };
                for record in &records {
                    let value = records.encoded().slice_ref(record.value);
                    connection.feed(Message::Binary(value)).await?;
                }
                connection.flush().await?;
            }
        });
    }
    for value in values.iter().cycle().take(messages) {
        producer.produce(&Record::new(value.clone()))?;
    }
    Ok(())
}

fn from_channels(
    runtime: &Runtime,
    connections: Vec<Connection>,
    values: &[Bytes],
    messages: usize,
) -> Result<()> {
    let mut channels = Vec::with_capacity(connections.len());
    for mut connection in connections {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(CHANNEL);
        channels.push(sender);
        let _writer: JoinHandle<Result<()>> = runtime.spawn(async move {
            let mut values = Vec::with_capacity(CHANNEL);
            while receiver.recv_many(&mut values, CHANNEL).await > 0 {
                for value in values.drain(..) {
                    connection.feed(Message::Binary(value)).await?;
                }
                connection.flush().await?;
            }
            // As in the other server, a connection stays open when there is nothing more.
            std::future::pending().await
        });
    }
    let values = values.iter().cycle().take(messages).cloned();
    for value in values {
        for channel in &channels {
            channel.blocking_send(value.clone())?;
        }
    }
    Ok(())
}
