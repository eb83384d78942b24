//! gRPC-web as a browser speaks it: over HTTP/1.1 and HTTP/2, in bytes and in text, from pages that are allowed.

mod harness;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use footman_broker::Record;
use footman_broker_grpc::proto::{
    self, ProduceRequest, ProduceResponse, SubscribeRequest, SubscribeResponse, TopicStart,
    produce_response, subscribe_response, topic_start,
};
use footman_broker_grpc::{ServeError, Server, ServerOptions, reason as why};
use harness::{PATIENCE, Running};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

const BYTES: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text";
const PAGE: &str = "https://page.example";

/// What carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Http {
    One,
    Two,
}

/// Sends a request on a connection of its own.
async fn send(
    server: &Running,
    http: Http,
    request: Request<Full<Bytes>>,
) -> http::Response<Incoming> {
    let socket = TokioIo::new(TcpStream::connect(server.addr).await.unwrap());
    let answer = async {
        match http {
            Http::One => {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(socket).await.unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await.unwrap()
            }
            Http::Two => {
                let (mut sender, connection) =
                    hyper::client::conn::http2::handshake(TokioExecutor::new(), socket)
                        .await
                        .unwrap();
                tokio::spawn(connection);
                sender.send_request(request).await.unwrap()
            }
        }
    };
    timeout(PATIENCE, answer).await.expect("an answer comes")
}

fn framed(message: &impl Message) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
    message.encode(&mut framed).unwrap();
    framed
}

fn post(server: &Running, method: &str, kind: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    let body = if kind == TEXT {
        STANDARD.encode(body).into_bytes()
    } else {
        body
    };
    Request::builder()
        .method(Method::POST)
        .uri(format!("http://{}/footman.v1.{method}", server.addr))
        .header("host", server.addr.to_string())
        .header("content-type", kind)
        .header("accept", kind)
        .header("x-grpc-web", "1")
        .body(Full::new(body.into()))
        .unwrap()
}

/// The frames of a response, as they come.
struct Frames {
    body: Incoming,
    is_text: bool,
    bytes: Vec<u8>,
}

impl Frames {
    fn new(response: http::Response<Incoming>, kind: &str) -> Frames {
        assert_eq!(response.status(), StatusCode::OK);
        let given = response.headers()["content-type"].to_str().unwrap();
        assert!(given.starts_with(kind), "{given}");
        Frames {
            body: response.into_body(),
            is_text: kind == TEXT,
            bytes: Vec::new(),
        }
    }

    /// The next frame: whether it is the trailers, and what is in it.
    async fn next(&mut self) -> (bool, Vec<u8>) {
        loop {
            if let Some(&[flag, a, b, c, d]) = self.bytes.first_chunk() {
                let end = 5 + u32::from_be_bytes([a, b, c, d]) as usize;
                if self.bytes.len() >= end {
                    let rest = self.bytes.split_off(end);
                    let frame = std::mem::replace(&mut self.bytes, rest);
                    return (flag == 0x80, frame[5..].to_vec());
                }
            }
            let frame = timeout(PATIENCE, self.body.frame())
                .await
                .expect("more comes")
                .expect("it is not over")
                .unwrap();
            let data = frame.into_data().expect("gRPC-web has no HTTP trailers");
            if self.is_text {
                // What comes at once is encoded at once.
                self.bytes.extend(STANDARD.decode(&data).unwrap());
            } else {
                self.bytes.extend_from_slice(&data);
            }
        }
    }

    async fn message<M: Message + Default>(&mut self) -> M {
        let (is_trailers, bytes) = self.next().await;
        assert!(!is_trailers);
        M::decode(&bytes[..]).unwrap()
    }

    async fn trailers(&mut self) -> String {
        let (is_trailers, bytes) = self.next().await;
        assert!(is_trailers);
        String::from_utf8(bytes).unwrap()
    }
}

fn produce(values: &[&str]) -> ProduceRequest {
    ProduceRequest {
        topic: "t".into(),
        records: values
            .iter()
            .map(|value| proto::Record {
                value: value.to_string().into(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

fn subscribe() -> SubscribeRequest {
    SubscribeRequest {
        topics: vec![TopicStart {
            topic: "t".into(),
            start: Some(topic_start::Start::Earliest(true)),
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[tokio::test]
async fn a_page_can_produce_and_subscribe_in_every_form() {
    for http in [Http::One, Http::Two] {
        for kind in [BYTES, TEXT] {
            let server = Running::start(ServerOptions::default()).await;
            let body = framed(&produce(&["a", "b"]));
            let response = send(
                &server,
                http,
                post(&server, "Broker/ProduceBatch", kind, body),
            )
            .await;
            let mut frames = Frames::new(response, kind);
            let answer: ProduceResponse = frames.message().await;
            let Some(produce_response::Result::Ack(ack)) = answer.result else {
                panic!("it is acknowledged: {answer:?}")
            };
            assert_eq!((ack.base_offset, ack.count), (0, 2));
            assert!(frames.trailers().await.contains("grpc-status:0"));

            let body = framed(&subscribe());
            let response = send(&server, http, post(&server, "Broker/Subscribe", kind, body)).await;
            let mut frames = Frames::new(response, kind);
            let mut next = async || loop {
                let response: SubscribeResponse = frames.message().await;
                if let Some(subscribe_response::Item::Batch(batch)) = response.item {
                    return (batch.base_offset, batch.records.len());
                }
            };
            assert_eq!(next().await, (0, 2));
            // It goes on: what is appended later comes by the same response.
            let client = server.client().await;
            client
                .producer("t")
                .build()
                .send(&Record::new("c"))
                .await
                .unwrap();
            assert_eq!(next().await, (2, 1));
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn errors_come_with_their_reason() {
    let server = Running::start(ServerOptions::default()).await;
    for http in [Http::One, Http::Two] {
        let empty = post(&server, "Broker/ProduceBatch", BYTES, framed(&produce(&[])));
        let response = send(&server, http, empty).await;
        let status = tonic::Status::from_header_map(response.headers()).expect("a status");
        assert_eq!(
            harness::reason(&status),
            (tonic::Code::InvalidArgument, why::EMPTY_BATCH.to_owned())
        );
        // Text that is no base64.
        let mut request = post(&server, "Broker/ProduceBatch", TEXT, Vec::new());
        *request.body_mut() = Full::new("!!!!".into());
        let response = send(&server, http, request).await;
        let status = tonic::Status::from_header_map(response.headers()).expect("a status");
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        // A form that does not exist.
        let response = send(
            &server,
            http,
            post(
                &server,
                "Broker/ProduceBatch",
                "application/grpc-web+json",
                Vec::new(),
            ),
        )
        .await;
        assert!(response.status().is_client_error());
    }
    // gRPC itself needs HTTP/2.
    let response = send(
        &server,
        Http::One,
        post(
            &server,
            "Broker/ProduceBatch",
            "application/grpc",
            Vec::new(),
        ),
    )
    .await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    server.stop().await;
}

fn from_page(mut request: Request<Full<Bytes>>, origin: &str) -> Request<Full<Bytes>> {
    request
        .headers_mut()
        .insert("origin", origin.parse().unwrap());
    request
}

/// What a browser asks before a page's first call.
fn question(server: &Running, origin: &str) -> Request<Full<Bytes>> {
    let mut request = post(server, "Broker/ProduceBatch", BYTES, Vec::new());
    *request.method_mut() = Method::OPTIONS;
    let headers = request.headers_mut();
    *headers = HeaderMap::new();
    headers.insert("host", server.addr.to_string().parse().unwrap());
    headers.insert("access-control-request-method", "POST".parse().unwrap());
    headers.insert(
        "access-control-request-headers",
        "content-type,x-grpc-web".parse().unwrap(),
    );
    from_page(request, origin)
}

#[tokio::test]
async fn only_pages_that_are_allowed_may_call() {
    let mut options = ServerOptions::default();
    options.cors_origins = vec![PAGE.to_owned()];
    let server = Running::start(options).await;
    let call = || {
        post(
            &server,
            "Broker/ProduceBatch",
            BYTES,
            framed(&produce(&["a"])),
        )
    };
    for http in [Http::One, Http::Two] {
        let allowed = send(&server, http, question(&server, PAGE)).await;
        assert_eq!(allowed.status(), StatusCode::NO_CONTENT);
        assert_eq!(allowed.headers()["access-control-allow-origin"], PAGE);
        assert_eq!(allowed.headers()["access-control-allow-methods"], "POST");
        let may_send = allowed.headers()["access-control-allow-headers"]
            .to_str()
            .unwrap();
        assert!(may_send.contains("content-type") && may_send.contains("x-grpc-web"));

        let answered = send(&server, http, from_page(call(), PAGE)).await;
        assert_eq!(answered.headers()["access-control-allow-origin"], PAGE);
        let readable = answered.headers()["access-control-expose-headers"]
            .to_str()
            .unwrap();
        assert!(readable.contains("grpc-status-details-bin"));

        for request in [
            question(&server, "https://other.example"),
            from_page(call(), "null"),
            from_page(call(), "https://page.example:8443"),
        ] {
            let refused = send(&server, http, request).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
            assert!(
                !refused
                    .headers()
                    .contains_key("access-control-allow-origin")
            );
        }
    }
    assert_eq!(
        server.broker.topic("t").unwrap().end_offset,
        2,
        "nothing of what was refused"
    );
    server.stop().await;

    let mut options = ServerOptions::default();
    options.cors_origins = vec!["*".to_owned()];
    let server = Running::start(options).await;
    let anyone = send(
        &server,
        Http::One,
        question(&server, "https://other.example"),
    )
    .await;
    assert_eq!(anyone.status(), StatusCode::NO_CONTENT);
    server.stop().await;

    let mut options = ServerOptions::default();
    options.cors_origins = vec!["page.example".to_owned()];
    let refused = Server::bind("127.0.0.1:0", options).await;
    assert!(matches!(refused, Err(ServeError::InvalidOrigin(origin)) if origin == "page.example"));
}

async fn last_words(socket: TcpStream) -> String {
    String::from_utf8(harness::last_words(socket).await).unwrap()
}

#[tokio::test]
async fn limits_hold_for_http_1_too() {
    let mut options = ServerOptions::default();
    options.limits.handshake_timeout = Duration::from_millis(200);
    options.limits.request_timeout = Duration::from_millis(200);
    options.limits.max_request_bytes = 1_000;
    let server = Running::start(options).await;
    let head = format!(
        "POST /footman.v1.Broker/ProduceBatch HTTP/1.1\r\nhost: {}\r\ncontent-type: {BYTES}\r\n",
        server.addr
    );
    let begin = async |start: &[u8]| {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(start).await.unwrap();
        socket
    };

    // A head that never ends, and one that is too long.
    last_words(begin(head.as_bytes()).await).await;
    let long = format!("{head}x-long: {}\r\n\r\n", "x".repeat(40_000));
    let words = last_words(begin(long.as_bytes()).await).await;
    assert!(
        words.is_empty() || words.starts_with("HTTP/1.1 431"),
        "{words}"
    );
    let many = format!("{head}{}\r\n", "x: y\r\n".repeat(100));
    let words = last_words(begin(many.as_bytes()).await).await;
    assert!(
        words.is_empty() || words.starts_with("HTTP/1.1 431"),
        "{words}"
    );

    // A body that never ends, and one that is too long.
    let slow = format!("{head}content-length: 100\r\n\r\nabc");
    let words = last_words(begin(slow.as_bytes()).await).await;
    assert!(words.contains("grpc-status: 4"), "{words}");
    let body = framed(&produce(&[&"v".repeat(2_000)]));
    let response = send(
        &server,
        Http::One,
        post(&server, "Broker/ProduceBatch", BYTES, body),
    )
    .await;
    let status = tonic::Status::from_header_map(response.headers()).unwrap();
    assert_eq!(
        harness::reason(&status),
        (
            tonic::Code::ResourceExhausted,
            why::MESSAGE_TOO_LARGE.to_owned()
        )
    );
    server.stop().await;
}

/// A page that stops reading is cut like any other subscriber, and one that waits does not hold up the drain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_do_not_read_are_cut_and_others_are_told_to_go() {
    let mut options = ServerOptions::default();
    options.write_stall_timeout = Duration::from_millis(200);
    let mut server = Running::start(options).await;
    let client = server.client().await;
    let producer = client.producer("t").build();
    for _ in 0..6_000 {
        producer
            .enqueue(&Record::new(vec![1; 4_000]))
            .await
            .unwrap();
    }
    producer.close().await.unwrap();
    let body = framed(&subscribe());
    let head = format!(
        "POST /footman.v1.Broker/Subscribe HTTP/1.1\r\nhost: {}\r\ncontent-type: {BYTES}\r\ncontent-length: {}\r\n\r\n",
        server.addr,
        body.len()
    );
    let mut stuck = TcpStream::connect(server.addr).await.unwrap();
    stuck.write_all(head.as_bytes()).await.unwrap();
    stuck.write_all(&body).await.unwrap();
    let cut = async {
        while client.server_info().await.unwrap().connections > 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, cut)
        .await
        .expect("the stuck connection is closed");
    assert!(server.broker.subscriptions().is_empty());

    let mut latest = subscribe();
    latest.topics[0].start = Some(topic_start::Start::Latest(true));
    let response = send(
        &server,
        Http::One,
        post(&server, "Broker/Subscribe", BYTES, framed(&latest)),
    )
    .await;
    let mut frames = Frames::new(response, BYTES);
    server.shut_down();
    let trailers = loop {
        let (is_trailers, bytes) = frames.next().await;
        if is_trailers {
            break String::from_utf8(bytes).unwrap();
        }
    };
    assert!(trailers.contains("grpc-status:14"), "{trailers}");
    server.stopped().await;
}
