//! A real server on a free port, ended by the test; and what most tests need around it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::net::SocketAddr;
use std::time::Duration;

use footman_broker::{Broker, Item, Record};
use footman_broker_grpc::{Client, Server, ServerOptions, Subscriber};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The longest that anything here may take; reaching it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) broker: Broker,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(options: ServerOptions) -> Running {
        Running::start_at("127.0.0.1:0".parse().unwrap(), options).await
    }

    /// On an address that may still be going out of use.
    pub(crate) async fn start_at(addr: SocketAddr, options: ServerOptions) -> Running {
        let bind = async {
            loop {
                match Server::bind(addr, options.clone()).await {
                    Ok(server) => return server,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let server = timeout(PATIENCE, bind)
            .await
            .expect("the address is free in time");
        let (shutdown, asked) = oneshot::channel::<()>();
        let (addr, broker) = (server.local_addr(), server.broker().clone());
        let task = tokio::spawn(async move {
            let shutdown = async {
                // A dropped sender shuts down too.
                let _ = asked.await;
            };
            server.serve(shutdown).await.unwrap();
        });
        Running {
            addr,
            broker,
            shutdown: Some(shutdown),
            task,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.addr.to_string()).await.unwrap()
    }

    /// Asks the server to drain; `stopped` waits for it.
    pub(crate) fn shut_down(&mut self) {
        self.shutdown.take();
    }

    pub(crate) async fn stopped(&mut self) {
        timeout(PATIENCE, &mut self.task)
            .await
            .expect("the drain ends")
            .unwrap();
    }

    pub(crate) async fn stop(mut self) {
        self.shut_down();
        self.stopped().await;
    }
}

pub(crate) async fn next(subscriber: &mut Subscriber) -> Item {
    let item = timeout(PATIENCE, subscriber.next())
        .await
        .expect("an item comes in time");
    item.unwrap().expect("the subscription is not over")
}

/// The next `count` records, which must come without anything else between them.
pub(crate) async fn records(subscriber: &mut Subscriber, count: usize) -> Vec<(u64, Record)> {
    let mut records = Vec::new();
    while records.len() < count {
        match next(subscriber).await {
            Item::Records(batch) => {
                records.extend(
                    batch
                        .iter()
                        .map(|record| (record.offset, record.to_record())),
                );
            }
            other => panic!("not records: {other:?}"),
        }
    }
    assert_eq!(records.len(), count, "no more than asked for");
    records
}
