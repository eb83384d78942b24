//! A Unix socket beside TCP, and the file that it leaves or does not.
#![cfg(unix)]

mod harness;

use std::os::unix::net::UnixListener;
use std::path::Path;

use footman_broker::{Record, StartAt};
use footman_broker_grpc::{Address, Client, ServeError, Server, ServerOptions};
use harness::records;
use tokio::sync::oneshot;

fn at(path: &Path) -> Address {
    Address::Unix(path.to_owned())
}

#[tokio::test]
async fn it_serves_beside_tcp_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footman.sock");
    let addresses = ["127.0.0.1:0".parse().unwrap(), at(&path)];
    let server = Server::bind_all(&addresses, ServerOptions::default())
        .await
        .unwrap();
    assert_eq!(server.addresses().len(), 2);
    let tcp = server.local_addr().unwrap().to_string();
    let unix = server.addresses()[1].to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async move {
        let _ = stopped.await;
    }));

    let near = Client::connect(&unix).await.unwrap();
    assert_eq!(near.server(), unix);
    let producer = near.producer("t").build();
    producer
        .enqueue(&Record::new(vec![1; 900_000]))
        .await
        .unwrap();
    producer.send(&Record::new("b")).await.unwrap();
    let far = Client::connect(&tcp).await.unwrap();
    for client in [near, far] {
        let mut subscriber = client
            .subscriber()
            .topic("t", StartAt::Earliest)
            .build()
            .await
            .unwrap();
        assert_eq!(records(&mut subscriber, 2).await[1].1.value, "b");
    }
    drop(stop);
    serving.await.unwrap().unwrap();
    assert!(!path.exists(), "the socket's file is gone");
    assert!(Client::connect(&unix).await.is_err());
}

#[tokio::test]
async fn what_lies_there_is_replaced_only_if_it_is_a_dead_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("footman.sock");
    let bind = || async { Server::bind_all(&[at(&path)], ServerOptions::default()).await };
    let refused = |bound: Result<Server, ServeError>| {
        let Err(ServeError::Bind { address, .. }) = bound else {
            panic!("it is refused")
        };
        assert_eq!(address, at(&path).to_string());
    };

    // What a killed server leaves: a file that nobody listens behind.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let first = bind().await.unwrap();
    refused(bind().await);
    assert!(path.exists(), "the one in use was left alone");
    drop(first);
    assert!(!path.exists());

    std::fs::write(&path, "a file of somebody's").unwrap();
    refused(bind().await);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "a file of somebody's"
    );
    std::fs::remove_file(&path).unwrap();

    // Another took its place meanwhile: that one's file stays.
    let first = bind().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(first);
    assert!(path.exists());
    refused(
        Server::bind_all(
            &[at(&folder.path().join("no/such"))],
            ServerOptions::default(),
        )
        .await
        .map_err(|error| {
            let ServeError::Bind { source, .. } = error else {
                panic!("it is refused")
            };
            ServeError::Bind {
                address: at(&path).to_string(),
                source,
            }
        }),
    );
    assert!(
        Server::bind_all(&[], ServerOptions::default())
            .await
            .is_err()
    );
}
