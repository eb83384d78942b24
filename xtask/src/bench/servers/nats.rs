//! NATS core: nothing is kept, nothing is acknowledged.

use super::{
    load::{Load, Tally},
    peer::{Peer, Stuck},
    process::{Process, free_port},
};
use crate::peers;
use anyhow::{Context as _, Result, ensure};
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture};
use std::sync::Arc;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

pub(super) struct Nats {
    process: Arc<Process>,
    address: String,
}

impl Nats {
    pub(super) async fn start() -> Result<Self> {
        let port = free_port()?;
        let store = super::process::folder()?.join("jetstream");
        let mut server = peers::program("nats")?;
        server.args(["--addr", "127.0.0.1", "--port", &port.to_string()]);
        server.arg("--jetstream").arg("--store_dir").arg(store);
        let nats = Self {
            process: Arc::new(Process::start("nats", &mut server)?),
            address: format!("127.0.0.1:{port}"),
        };
        let connect = ConnectOptions::new().retry_on_initial_connect();
        connect
            .connect(nats.address.as_str())
            .await?
            .flush()
            .await?;
        Ok(nats)
    }

    /// A connection of its own. Its queue holds a whole run: the client drops what does not fit.
    pub(super) async fn connect(&self) -> Result<Client> {
        let options = ConnectOptions::new().subscription_capacity(1 << 20);
        Ok(options.connect(self.address.as_str()).await?)
    }

    pub(super) fn clone_for_jetstream(&self) -> Self {
        Self {
            process: Arc::clone(&self.process),
            address: self.address.clone(),
        }
    }
}

impl Peer for Nats {
    fn name(&self) -> &'static str {
        "nats"
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

    fn publish<'a>(&'a self, topic: &'a str, mut load: Load) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let client = self.connect().await?;
            let subject = async_nats::Subject::from(topic);
            while let Some(payload) = load.next() {
                let payload = Bytes::copy_from_slice(payload);
                client.publish(subject.clone(), payload).await?;
            }
            client.flush().await?;
            Ok(())
        })
    }

    fn subscribe<'a>(
        &'a self,
        topic: &'a str,
        records: u64,
        tally: Arc<Tally>,
    ) -> BoxFuture<'a, Result<BoxFuture<'static, Result<()>>>> {
        Box::pin(async move {
            let client = self.connect().await?;
            let mut subscriber = client.subscribe(topic.to_owned()).await?;
            client.flush().await?;
            let receive: BoxFuture<'static, Result<()>> = Box::pin(async move {
                let _client = client;
                while !tally.is_done(records) {
                    let message = subscriber.next().await.context("NATS ended it")?;
                    tally.take(&message.payload)?;
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
            let words = format!("CONNECT {{\"verbose\":false}}\r\nSUB {topic} 1\r\nPING\r\n");
            socket.write_all(words.as_bytes()).await?;
            let mut said = String::new();
            while !said.contains("PONG") {
                socket.readable().await?;
                let mut part = [0; 4096];
                match socket.try_read(&mut part) {
                    Ok(read) => said += &String::from_utf8_lossy(&part[..read]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error.into()),
                }
                ensure!(!said.contains("-ERR"), "NATS refuses: {said}");
            }
            Ok(Stuck::Socket(socket, format!("MSG {topic} ")))
        })
    }
}
