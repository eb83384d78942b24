//! A real server on a free port, ended by the test; and what most tests need around it.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod frames;
pub(crate) mod plain;

use std::net::SocketAddr;
use std::time::Duration;

use footman_broker::{Broker, Item, Record};
use footman_broker_grpc::{Client, Server, ServerOptions, Subscriber};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use frames::{FIRST_WINDOW, Frame, Incoming};

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
        let (addr, broker) = (server.local_addr().unwrap(), server.broker().clone());
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

    /// Serves somebody new.
    pub(crate) async fn is_well(&self) {
        let producer = self.client().await.producer("t").build();
        let sent = timeout(PATIENCE, producer.send(&Record::new("v"))).await;
        sent.expect("the healthy are served").unwrap();
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

    /// Ends the server as a crash would: no goodbye, connections reset.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
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

/// A plain tonic channel, as users of the generated stubs have it.
pub(crate) async fn channel(addr: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{addr}"))
        .unwrap()
        .connect()
        .await
        .unwrap()
}

/// A connection whose peer has said hello, as an HTTP/2 client does.
pub(crate) async fn hello(addr: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    socket
        .write_all(&frames::hello(FIRST_WINDOW))
        .await
        .unwrap();
    socket
}

/// The next frame that the server sends.
pub(crate) async fn next_frame(socket: &mut TcpStream) -> Frame {
    let mut head = [0; 9];
    let read = timeout(PATIENCE, socket.read_exact(&mut head)).await;
    read.expect("a frame comes").unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    socket.read_exact(&mut payload).await.unwrap();
    let mut incoming = Incoming::default();
    incoming.take(&[&head[..], &payload].concat());
    incoming.next().expect("all of it is there")
}

/// Everything that the server says until it closes.
pub(crate) async fn last_words(mut socket: TcpStream) -> Vec<u8> {
    let mut words = Vec::new();
    // A reset is an end too.
    let _ = timeout(PATIENCE, socket.read_to_end(&mut words))
        .await
        .expect("the server closes");
    words
}

/// The reason in a status, with what it says about it.
pub(crate) fn reason(status: &Status) -> (Code, String) {
    let details = status.get_error_details();
    let info = details.error_info().expect("every error says why");
    assert_eq!(info.domain, "footman");
    assert!(!status.message().is_empty());
    (status.code(), info.reason.clone())
}

/// Forwards bytes to a server until it is told to cut every connection; new ones are forwarded again.
pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    cut: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(to: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (cut, cuts) = watch::channel(0);
        let task = tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut cuts = cuts.clone();
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(to).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Proxy { addr, cut, task }
    }

    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
