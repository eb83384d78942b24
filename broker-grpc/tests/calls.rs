//! What our client asks the server for: streams, and no call for each record.

mod harness;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use footman_broker::{Item, Record, StartAt};
use footman_broker_grpc::{Client, ServerOptions};
use harness::frames::{HEADERS, Incoming, PREFACE};
use harness::{Running, next};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};

const RECORDS: u64 = 10_000;

/// Forwards to a server, and counts the calls on the way.
struct Counted {
    addr: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Counted {
    async fn start(to: SocketAddr) -> Counted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Counted {
            addr: listener.local_addr().unwrap(),
            calls: Arc::clone(&calls),
        };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(forward(near, to, Arc::clone(&calls)));
            }
        });
        counted
    }

    async fn client(&self) -> Client {
        Client::connect(&self.addr.to_string()).await.unwrap()
    }

    /// Calls since it was last asked.
    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

async fn forward(near: TcpStream, to: SocketAddr, calls: Arc<AtomicUsize>) {
    let far = TcpStream::connect(to).await.unwrap();
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
        (near.into_split(), far.into_split());
    tokio::spawn(async move { copy(&mut from_far, &mut to_near).await });
    let mut room = [0; PREFACE.len()];
    from_near.read_exact(&mut room).await.unwrap();
    to_far.write_all(&room).await.unwrap();
    let (mut incoming, mut room) = (Incoming::default(), vec![0; 64 * 1024]);
    while let Ok(count @ 1..) = from_near.read(&mut room).await {
        incoming.take(&room[..count]);
        while let Some(frame) = incoming.next() {
            calls.fetch_add(usize::from(frame.kind == HEADERS), Ordering::Relaxed);
        }
        to_far.write_all(&room[..count]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_no_unary_call_per_record() {
    let server = Running::start(ServerOptions::default()).await;
    let counted = Counted::start(server.addr).await;
    let client = counted.client().await;
    counted.calls();
    client.server_info().await.unwrap();
    assert_eq!(counted.calls(), 1, "calls are counted");

    let producer = client.producer("t").build();
    for _ in 0..RECORDS {
        producer.enqueue(&Record::new("enqueued")).await.unwrap();
    }
    producer.flush().await.unwrap();
    for offset in RECORDS..RECORDS + 100 {
        let sent = producer.send(&Record::new("waited for")).await.unwrap();
        assert_eq!(sent.offset, offset);
    }
    producer.close().await.unwrap();
    assert_eq!(counted.calls(), 1, "one Produce stream");

    let mut subscriber = client
        .subscriber()
        .topic("t", StartAt::Earliest)
        .build()
        .await
        .unwrap();
    let mut received = 0;
    while received < RECORDS + 100 {
        if let Item::Records(records) = next(&mut subscriber).await {
            received += records.len() as u64;
        }
    }
    assert_eq!(counted.calls(), 1, "one Subscribe stream");
    server.stop().await;
}
