//! The peers that we build ourselves: the two servers that one writes with tonic, and bare TCP.

use super::contender::Contender;
use anyhow::{Context as _, Result};
use footman_broker_grpc::proto::{
    Batch, FetchRequest, FetchResponse, LastByKeyRequest, LastByKeyResponse, ProduceAck,
    ProduceRequest, ProduceResponse, SubscribeRequest, SubscribeResponse,
    broker_server::{Broker, BrokerServer},
    produce_response, subscribe_response,
};
use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

/// A peer on a free loopback port, for the bench that started it.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    #[arg(value_enum)]
    peer: Contender,
    /// As many messages are kept for a subscriber
    messages: usize,
}

pub(crate) fn serve(flags: &Flags) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    eprintln!("listening on {}", listener.local_addr()?);
    match flags.peer {
        Contender::Tcp => serve_tcp(&listener),
        _ => serve_tonic(listener, flags.messages, flags.peer == Contender::Naive),
    }
}

#[tokio::main]
async fn serve_tonic(listener: TcpListener, messages: usize, splits: bool) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let shared = Arc::new(Shared {
        messages,
        splits,
        topics: Mutex::default(),
    });
    tonic::transport::Server::builder()
        .add_service(BrokerServer::new(Tonic(shared)))
        .serve_with_incoming(incoming)
        .await
        .context("serving")
}

/// One topic: its next offset, and everyone who follows it.
#[derive(Debug)]
struct Topic {
    next_offset: Mutex<u64>,
    followers: broadcast::Sender<SubscribeResponse>,
    /// Never read: the channel keeps its messages also while nobody follows, as a topic does.
    _log: broadcast::Receiver<SubscribeResponse>,
}

#[derive(Debug)]
struct Shared {
    messages: usize,
    /// A message per record.
    splits: bool,
    topics: Mutex<HashMap<String, Arc<Topic>>>,
}

impl Shared {
    fn topic(&self, name: &str) -> Arc<Topic> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let (followers, _log) = broadcast::channel(self.messages);
            Arc::new(Topic {
                next_offset: Mutex::new(0),
                followers,
                _log,
            })
        };
        Arc::clone(topics.entry(name.to_owned()).or_insert_with(new))
    }

    fn append(&self, request: ProduceRequest) -> ProduceResponse {
        let ProduceRequest {
            topic: name,
            request_id,
            mut records,
            ..
        } = request;
        let topic = self.topic(&name);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        for record in &mut records {
            if record.timestamp_us == 0 {
                record.timestamp_us = now.as_micros() as i64;
            }
        }
        let count = records.len() as u32;
        let mut next = topic
            .next_offset
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let base_offset = *next;
        let batch = |base_offset, records: Vec<_>| SubscribeResponse {
            item: Some(subscribe_response::Item::Batch(Batch {
                topic: name.clone(),
                epoch: 1,
                base_offset,
                count: records.len() as u32,
                records,
            })),
        };
        if self.splits {
            for (record, offset) in records.into_iter().zip(base_offset..) {
                drop(topic.followers.send(batch(offset, vec![record])));
            }
        } else {
            drop(topic.followers.send(batch(base_offset, records)));
        }
        *next += u64::from(count);
        drop(next);
        let ack = ProduceAck {
            topic: name,
            epoch: 1,
            base_offset,
            count,
            duplicate: false,
        };
        ProduceResponse {
            request_id,
            result: Some(produce_response::Result::Ack(ack)),
        }
    }
}

#[derive(Debug)]
struct Tonic(Arc<Shared>);

#[tonic::async_trait]
impl Broker for Tonic {
    type ProduceStream = ReceiverStream<Result<ProduceResponse, Status>>;

    async fn produce(
        &self,
        request: Request<Streaming<ProduceRequest>>,
    ) -> Result<Response<Self::ProduceStream>, Status> {
        let shared = Arc::clone(&self.0);
        let mut requests = request.into_inner();
        let (answers, stream) = mpsc::channel(128);
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                if answers.send(Ok(shared.append(request))).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn produce_batch(
        &self,
        request: Request<ProduceRequest>,
    ) -> Result<Response<ProduceResponse>, Status> {
        Ok(Response::new(self.0.append(request.into_inner())))
    }

    type SubscribeStream = ReceiverStream<Result<SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let topics = request.into_inner().topics;
        let start = topics
            .first()
            .ok_or_else(|| Status::invalid_argument("no topics"))?;
        let mut records = self.0.topic(&start.topic).followers.subscribe();
        let (items, stream) = mpsc::channel(128);
        tokio::spawn(async move {
            loop {
                let item = match records.recv().await {
                    Ok(item) => Ok(item),
                    Err(error) => Err(Status::data_loss(error.to_string())),
                };
                if items.send(item).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn fetch(&self, _: Request<FetchRequest>) -> Result<Response<FetchResponse>, Status> {
        Err(Status::unimplemented("the bench does not fetch"))
    }

    async fn last_by_key(
        &self,
        _: Request<LastByKeyRequest>,
    ) -> Result<Response<LastByKeyResponse>, Status> {
        Err(Status::unimplemented("the bench does not look up"))
    }
}

/// What a client of the TCP peer asks for in its first 16 bytes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// So many bytes from the peer.
    Give(u64),
    /// So many bytes to the peer, which then says so with one.
    Take(u64),
    /// An answer for each byte.
    Echo,
}

impl Order {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        let (kind, bytes): (u64, u64) = match self {
            Self::Give(bytes) => (0, bytes),
            Self::Take(bytes) => (1, bytes),
            Self::Echo => (2, 0),
        };
        (u128::from(kind) << 64 | u128::from(bytes)).to_be_bytes()
    }
}

const WRITE_BYTES: usize = 64 * 1024;

fn serve_tcp(listener: &TcpListener) -> Result<()> {
    loop {
        let (socket, _) = listener.accept()?;
        thread::spawn(move || {
            // A client that has what it wanted goes; the bench sees whether it had it.
            drop(fill_order(socket));
            // The CPU that it took is read from threads that are there.
            loop {
                thread::park();
            }
        });
    }
}

fn fill_order(mut socket: TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut order = [0; 16];
    socket.read_exact(&mut order)?;
    let order = u128::from_be_bytes(order);
    let mut left = order as u64;
    let mut buffer = vec![0; WRITE_BYTES];
    match order >> 64 {
        0 => {
            while left > 0 {
                let piece = left.min(WRITE_BYTES as u64);
                socket.write_all(&buffer[..piece as usize])?;
                left -= piece;
            }
        }
        1 => {
            while left > 0 {
                let count = socket.read(&mut buffer)?;
                anyhow::ensure!(count > 0, "the client went early");
                left -= count as u64;
            }
            socket.write_all(&[1])?;
        }
        _ => loop {
            let mut byte = [0];
            socket.read_exact(&mut byte)?;
            socket.write_all(&byte)?;
        },
    }
    Ok(())
}
