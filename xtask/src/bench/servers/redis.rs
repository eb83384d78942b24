//! Redis Pub/Sub: nothing is kept; a publish is answered with how many heard it.

use super::{
    load::{Load, Tally},
    peer::{Peer, Stuck},
    process::{Process, folder, free_port},
};
use crate::peers;
use ::redis::{
    Client, ConnectionInfo, IntoConnectionInfo as _, Pipeline, aio::MultiplexedConnection,
    io::tcp::TcpSettings,
};
use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Commands in one pipeline, and pipelines that wait for their answers at once.
const COMMANDS: usize = 256;
const IN_FLIGHT: usize = 8;

pub(super) struct Redis {
    process: Arc<Process>,
    address: String,
}

impl Redis {
    pub(super) async fn start() -> Result<Self> {
        let port = free_port()?;
        let mut server = peers::program("redis")?;
        server.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        server.args(["--save", "", "--appendonly", "no"]);
        server.current_dir(folder()?);
        let redis = Self {
            process: Arc::new(Process::start("redis", &mut server)?),
            address: format!("127.0.0.1:{port}"),
        };
        for _ in 0..100 {
            if TcpStream::connect(&redis.address).await.is_ok() {
                return Ok(redis);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("redis-server does not listen after 5 s: see target/bench/redis.log")
    }

    pub(super) fn client(&self) -> Result<Client> {
        let info: ConnectionInfo = format!("redis://{}", self.address).into_connection_info()?;
        let tcp = TcpSettings::default().set_nodelay(true);
        Ok(Client::open(info.set_tcp_settings(tcp))?)
    }

    pub(super) async fn connect(&self) -> Result<MultiplexedConnection> {
        Ok(self.client()?.get_multiplexed_async_connection().await?)
    }

    pub(super) fn clone_for_streams(&self) -> Self {
        Self {
            process: Arc::clone(&self.process),
            address: self.address.clone(),
        }
    }

    /// Sends one command a record, in pipelines; paced records go one by one.
    pub(super) async fn send(
        &self,
        mut load: Load,
        mut command: impl FnMut(&mut Pipeline, &[u8]),
    ) -> Result<()> {
        let connection = self.connect().await?;
        let commands = if load.is_paced() { 1 } else { COMMANDS };
        let mut under_way = FuturesOrdered::new();
        let mut last = false;
        while !last {
            let mut pipeline = Pipeline::with_capacity(commands);
            for _ in 0..commands {
                let Some(payload) = load.next() else {
                    last = true;
                    break;
                };
                command(&mut pipeline, payload);
            }
            if !pipeline.is_empty() {
                let mut connection = connection.clone();
                under_way.push_back(async move { pipeline.exec_async(&mut connection).await });
            }
            while under_way.len() >= IN_FLIGHT || (last || commands == 1) && !under_way.is_empty() {
                under_way.next().await.context("one is under way")??;
            }
        }
        Ok(())
    }
}

impl Peer for Redis {
    fn name(&self) -> &'static str {
        "redis-pubsub"
    }

    fn pid(&self) -> u32 {
        self.process.id()
    }

    fn create<'a>(&'a self, _: &'a str, _: u64) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn delete<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn publish<'a>(&'a self, topic: &'a str, load: Load) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.send(load, move |pipeline, payload| {
            pipeline.publish(topic, payload).ignore();
        }))
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        records: u64,
        tally: Arc<Tally>,
    ) -> BoxFuture<'a, Result<BoxFuture<'static, Result<()>>>> {
        Box::pin(async move {
            let mut pubsub = self.client()?.get_async_pubsub().await?;
            pubsub.subscribe(topic).await?;
            let mut messages = pubsub.into_on_message();
            let receive: BoxFuture<'static, Result<()>> = Box::pin(async move {
                while !tally.is_done(records) {
                    let message = messages.next().await.context("Redis closed it")?;
                    tally.take(message.get_payload_bytes())?;
                }
                Ok(())
            });
            Ok(receive)
        })
    }

    fn stick<'a>(&'a self, topic: &'a str, _: u64, _: Arc<Tally>) -> BoxFuture<'a, Result<Stuck>> {
        // Its client reads on behalf of a subscriber that does not: a socket is needed.
        Box::pin(async move {
            let mut socket = TcpStream::connect(&self.address).await?;
            socket
                .write_all(format!("SUBSCRIBE {topic}\r\n").as_bytes())
                .await?;
            let mut answer = [0; 16];
            socket.read_exact(&mut answer).await?;
            ensure!(answer.starts_with(b"*3"), "Redis refuses");
            Ok(Stuck::Socket(socket, "$7\r\nmessage\r\n".to_owned()))
        })
    }
}
