//! Well-formed calls of every method, with messages of any bytes: produce, subscribe, fetch, administration.
#![no_main]

mod peer;

use std::cell::RefCell;
use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use libfuzzer_sys::fuzz_target;
use tokio::net::TcpStream;
use tokio::time::timeout;

const METHODS: [&str; 13] = [
    "Broker/Produce",
    "Broker/ProduceBatch",
    "Broker/Subscribe",
    "Broker/Fetch",
    "Admin/CreateTopic",
    "Admin/UpdateTopic",
    "Admin/DeleteTopic",
    "Admin/GetTopic",
    "Admin/ListTopics",
    "Admin/PurgeTopic",
    "Admin/ListOffsets",
    "Admin/ListSubscriptions",
    "Admin/ServerInfo",
];

thread_local! {
    static CLIENT: RefCell<Option<SendRequest<Bytes>>> = const { RefCell::new(None) };
}

async fn connect(addr: SocketAddr) -> SendRequest<Bytes> {
    let socket = TcpStream::connect(addr).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}

fuzz_target!(|data: &[u8]| {
    let Some((&method, message)) = data.split_first() else {
        return;
    };
    let method = METHODS[usize::from(method) % METHODS.len()];
    peer::with_server(async |addr| {
        // A server may end a connection whose peer is odd too often; a call on a new one must succeed.
        let kept = CLIENT.with_borrow_mut(Option::take);
        let ready = match kept {
            Some(client) => client.ready().await.ok(),
            None => None,
        };
        let mut client = match ready {
            Some(client) => client,
            None => connect(addr).await.ready().await.unwrap(),
        };
        let request = http::Request::post(format!("http://{addr}/footman.v1.{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let Ok((response, mut body)) = client.send_request(request, false) else {
            return; // the connection has just ended
        };
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(message.len() as u32);
        framed.put_slice(message);
        let _ = body.send_data(framed.freeze(), true);
        let follows = method == "Broker/Subscribe";
        let answer = async {
            let Ok(response) = response.await else {
                return;
            };
            assert_eq!(response.status(), 200, "{method}: not gRPC");
            let mut body = response.into_body();
            while let Some(Ok(part)) = body.data().await {
                let _ = body.flow_control().release_capacity(part.len());
                if follows {
                    return; // it would go on for ever
                }
            }
        };
        // A good subscription has nothing to say for seconds: dropping it is what is tried.
        let patience = if follows {
            peer::PATIENCE / 100
        } else {
            peer::PATIENCE
        };
        let answered = timeout(patience, answer).await;
        assert!(answered.is_ok() || follows, "{method}: no answer");
        CLIENT.set(Some(client));
    });
});
