//! Peers that do not speak as they should: cut off, told why where that is possible, and without harm to others.

mod harness;

use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use footman_broker::{Item, Record, StartAt, StopAt};
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{
    self, ProduceRequest, SubscribeRequest, TopicStart, subscribe_response, topic_start,
};
use footman_broker_grpc::{Limits, ServerOptions, reason as why};
use harness::{PATIENCE, Running, channel, next, reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Everything that the server says until it closes.
async fn last_words(mut socket: TcpStream) -> Vec<u8> {
    let mut words = Vec::new();
    // A reset is an end too.
    let _ = timeout(PATIENCE, socket.read_to_end(&mut words))
        .await
        .expect("the server closes");
    words
}

async fn frame(socket: &mut TcpStream) -> (u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    timeout(PATIENCE, socket.read_exact(&mut head))
        .await
        .expect("a frame comes")
        .unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; length];
    socket.read_exact(&mut payload).await.unwrap();
    (head[3], stream, payload)
}

/// Opens a connection as an HTTP/2 client does, with empty settings.
async fn hello(addr: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    socket.write_all(PREFACE).await.unwrap();
    socket
        .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
        .await
        .unwrap();
    socket
}

async fn is_well(server: &Running) {
    let client = server.client().await;
    client
        .producer("t")
        .build()
        .send(&Record::new("v"))
        .await
        .unwrap();
}

#[tokio::test]
async fn garbage_is_answered_and_closed() {
    let server = Running::start(ServerOptions::default()).await;
    for (garbage, answer) in [
        (
            &b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n"[..],
            "HTTP/1.1 415",
        ),
        (b"\x16\x03\x01\x02\x00\x01", "HTTP/1.1 400"),
        (b"PRI * HTTP/2.0\r\n\r\nXX", "HTTP/1.1 400"),
        (b"\r\n\r\n\0\0\0\0", "HTTP/1.1 400"),
    ] {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        let words = String::from_utf8(last_words(socket).await).unwrap();
        assert!(words.starts_with(answer), "{garbage:?}: {words:?}");
    }
    // A preface, and then no HTTP/2.
    let mut socket = TcpStream::connect(server.addr).await.unwrap();
    socket.write_all(PREFACE).await.unwrap();
    socket
        .write_all(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff")
        .await
        .unwrap();
    assert_eq!(last_words(socket).await, b"");
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_cut() {
    let mut options = ServerOptions::default();
    options.limits.handshake_timeout = Duration::from_millis(50);
    let server = Running::start(options).await;
    for start in [&b""[..], b"PRI * HT", PREFACE] {
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(start).await.unwrap();
        assert_eq!(last_words(socket).await, b"");
    }
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_call_without_its_request_is_ended() {
    let mut options = ServerOptions::default();
    options.limits.request_timeout = Duration::from_millis(50);
    let server = Running::start(options).await;
    // The head of a message of 5 bytes, and a body that never ends; of a stream the second message too.
    let stream = "/footman.v1.Broker/Produce";
    let second = [&b"\0\0\0\0\x07\x0a\x01t\x7a\x02\x1a\0"[..], &[0, 0]].concat();
    for (path, begun) in [
        ("/footman.v1.Broker/Subscribe", &b"\0\0\0\0\x05"[..]),
        (stream, b"\0\0\0\0\x05"),
        (stream, b"\0\0"),
        (stream, &second),
    ] {
        let status = raw_call(&server, path, Whole::unfinished(begun)).await;
        assert_eq!(
            reason(&status),
            (Code::DeadlineExceeded, why::REQUEST_TIMEOUT.to_owned()),
            "{path} {begun:?}"
        );
    }
    assert_eq!(server.broker.topic("t").unwrap().end_offset, 1);
    server.stop().await;
}

#[tokio::test]
async fn messages_that_come_in_part_are_bounded_over_all_calls() {
    const MIB: usize = 1024 * 1024;
    let mut options = ServerOptions::default();
    options.limits.max_unfinished_bytes = 3 * MIB;
    let server = Running::start(options).await;
    // A message of 4 MiB - 1 comes in frames of 1 MiB, and more of it than there is room for.
    let length = u32::try_from(4 * MIB - 1).unwrap().to_be_bytes();
    let most = [&[0], &length[..], &vec![0; 4 * MIB - 2]].concat();
    for path in [
        "/footman.v1.Broker/Produce",
        "/footman.v1.Broker/ProduceBatch",
    ] {
        let status = raw_call(&server, path, Whole::unfinished(&most)).await;
        assert_eq!(
            reason(&status),
            (Code::ResourceExhausted, why::TOO_MUCH_UNFINISHED.to_owned())
        );
    }
    // What they held is given back, and one that fits is taken.
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let request = ProduceRequest {
        topic: "t".into(),
        records: vec![
            proto::Record {
                value: vec![1; 800_000].into(),
                ..Default::default()
            };
            2
        ],
        ..Default::default()
    };
    broker.produce_batch(request).await.unwrap();
    server.stop().await;
}

/// Ten mebibytes of zeros are ten kilobytes by gzip: nothing here unpacks them.
#[tokio::test]
async fn compressed_messages_are_refused_unopened() {
    let server = Running::start(ServerOptions::default()).await;
    // 64 KiB of zeros, by gzip.
    let mut bomb = vec![
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 237, 193, 1, 1, 0, 0, 0, 128, 144,
    ];
    bomb.extend_from_slice(&[254, 175, 238, 8, 10]);
    bomb.extend_from_slice(&[0; 63]);
    bomb.extend_from_slice(&[106, 235, 142, 151, 215, 0, 0, 1, 0]);
    let mut message = vec![1, 0, 0, 0, bomb.len() as u8];
    message.append(&mut bomb);
    for method in ["Produce", "ProduceBatch", "Subscribe", "Fetch"] {
        let path = format!("/footman.v1.Broker/{method}");
        let status = encoded_call(&server, &path, "gzip", &message[..]).await;
        assert_eq!(
            reason(&status),
            (Code::Unimplemented, why::COMPRESSION.to_owned()),
            "{method}"
        );
        // Said to be plain, and marked as compressed all the same.
        let status = raw_call(&server, &path, &message[..]).await;
        assert_eq!(
            reason(&status),
            (Code::InvalidArgument, why::UNDECODABLE.to_owned()),
            "{method}"
        );
    }
    let status = encoded_call(
        &server,
        "/footman.v1.Admin/CreateTopic",
        "gzip",
        &message[..],
    )
    .await;
    assert_eq!(status.code(), Code::Unimplemented);
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn fields_of_another_type_and_text_that_is_none_are_refused() {
    let server = Running::start(ServerOptions::default()).await;
    let (batch, subscribe, fetch, create) = (
        "/footman.v1.Broker/ProduceBatch",
        "/footman.v1.Broker/Subscribe",
        "/footman.v1.Broker/Fetch",
        "/footman.v1.Admin/CreateTopic",
    );
    let eleven = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let cases: [(&str, &[u8]); 14] = [
        (batch, b"\x08\x01"),                          // the topic as a varint
        (batch, b"\x0a\x01t\x79\0\0\0\0\0\0\0\0"),     // records as fixed64
        (batch, b"\x0a\x01\xff\x7a\x02\x1a\0"),        // a topic that is not UTF-8
        (batch, b"\x0a\x01t\x12\x01\x05"),             // the request id as bytes
        (batch, b"\x0a\xff\xff\xff\xff\x0f"),          // a topic of 4 GiB
        (batch, b"\x00\x01"),                          // the field 0
        (subscribe, b"\x08\x01"),                      // topics as a varint
        (subscribe, b"\x0a\x03\x0a\x01\xff"),          // a topic that is not UTF-8
        (subscribe, b"\x0a\x03\x0a\x01t\x3a\x01\xff"), // a label that is not UTF-8
        (subscribe, b"\x0a\x7f"),                      // topics that end before their length
        (fetch, b"\x0a\x03\x0a\x01\xff"),
        (fetch, b"\x15\0\0\0\0"), // a number as fixed32
        (create, b"\x0a\x01\xff"),
        (create, b"\x08\x01"),
    ];
    let long = [&b"\x0a\x01t\x10"[..], eleven].concat();
    let longs = [batch, subscribe, fetch, create].map(|path| (path, &long[..]));
    for (path, request) in cases.into_iter().chain(longs) {
        let message = [&[0, 0, 0, 0, request.len() as u8], request].concat();
        let status = raw_call(&server, path, &message[..]).await;
        // Of the administration's calls tonic decodes the request, and says it with its own code.
        let is_refused = match path {
            _ if path == create => {
                matches!(status.code(), Code::Internal | Code::InvalidArgument)
            }
            _ => status.code() == Code::InvalidArgument,
        };
        assert!(is_refused, "{path} {request:?}: {status:?}");
    }
    assert!(server.broker.topics().is_empty());
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn fields_of_a_later_version_are_passed_over() {
    let server = Running::start(ServerOptions::default()).await;
    // The field 99 of each wire type: a varint, 8 bytes, a length and its bytes, 4 bytes.
    let unknown: &[u8] =
        b"\x98\x06\x05\x99\x06\x01\x02\x03\x04\x05\x06\x07\x08\x9a\x06\x02ab\x9d\x06\x01\x02\x03\x04";
    let record = [&b"\x1a\x04paid"[..], unknown].concat();
    let batch = [
        unknown,
        &b"\x0a\x01t\x7a"[..],
        &[record.len() as u8],
        &record,
        unknown,
    ]
    .concat();
    let subscribe = [unknown, &b"\x0a\x07\x0a\x01t\x10\x01\x48\x01"[..], unknown].concat();
    let create = [&b"\x0a\x01u"[..], unknown].concat();
    for (path, request) in [
        ("/footman.v1.Broker/ProduceBatch", batch),
        ("/footman.v1.Broker/Subscribe", subscribe),
        ("/footman.v1.Admin/CreateTopic", create),
    ] {
        let message = [&[0, 0, 0, 0, request.len() as u8], &request[..]].concat();
        let status = raw_call(&server, path, &message[..]).await;
        assert_eq!(status.code(), Code::Ok, "{path}: {status:?}");
    }
    let mut consumer = server.broker.consumer();
    consumer.subscribe("t", StartAt::Earliest).unwrap();
    let Some(Item::Records(records)) = consumer.try_poll() else {
        panic!("one record was acknowledged");
    };
    let values: Vec<_> = records.iter().map(|record| record.value.to_vec()).collect();
    assert_eq!(values, [b"paid"]);
    server.stop().await;
}

#[tokio::test]
async fn the_limits_of_http_1_are_what_was_set() {
    let mut options = ServerOptions::default();
    options.limits.max_http1_headers = 10;
    options.limits.max_header_list_bytes = 9_000;
    let server = Running::start(options).await;
    for (lines, length, answer) in [
        (10, 100, "HTTP/1.1 415"),
        (11, 100, "HTTP/1.1 431"),
        (2, 8_900, "HTTP/1.1 415"),
        (2, 9_100, "HTTP/1.1 431"),
    ] {
        let mut head = "GET / HTTP/1.1\r\nconnection: close\r\n".to_owned();
        head += &"x: y\r\n".repeat(lines - 2);
        let filler = length - head.len() - "z: \r\n\r\n".len();
        head += &format!("z: {}\r\n\r\n", "z".repeat(filler));
        let mut socket = TcpStream::connect(server.addr).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        let words = String::from_utf8(last_words(socket).await).unwrap();
        assert!(
            words.starts_with(answer),
            "{lines} lines, {length} bytes: {words:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let mut options = ServerOptions::default();
    options.limits.max_connections = 2;
    let server = Running::start(options).await;
    let first = hello(server.addr).await;
    let mut second = hello(server.addr).await;
    frame(&mut second).await;
    let third = TcpStream::connect(server.addr).await.unwrap();
    assert_eq!(last_words(third).await, b"");
    drop(first);
    // The place is free as soon as the server has seen the end of the first.
    let admitted = async {
        loop {
            let mut socket = hello(server.addr).await;
            if socket.read_u8().await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, admitted)
        .await
        .expect("there is a place again");
    server.stop().await;
}

#[tokio::test]
async fn the_limits_are_what_the_settings_frame_says() {
    let mut options = ServerOptions::default();
    let limits: &mut Limits = &mut options.limits;
    limits.header_table_bytes = 1_234;
    limits.max_streams_per_connection = 77;
    limits.stream_window_bytes = 1_000_001;
    limits.max_frame_bytes = 55_555;
    limits.max_header_list_bytes = 9_999;
    limits.connection_window_bytes = 3_000_003;
    let server = Running::start(options).await;
    let mut socket = hello(server.addr).await;
    let (kind, _, payload) = frame(&mut socket).await;
    assert_eq!(kind, 4, "SETTINGS come first");
    let mut settings: Vec<(u16, u32)> = payload
        .chunks_exact(6)
        .map(|it| {
            (
                u16::from_be_bytes([it[0], it[1]]),
                u32::from_be_bytes([it[2], it[3], it[4], it[5]]),
            )
        })
        .collect();
    settings.sort_unstable();
    assert_eq!(
        settings,
        [(1, 1_234), (3, 77), (4, 1_000_001), (5, 55_555), (6, 9_999)]
    );
    let window = loop {
        if let (8, 0, payload) = frame(&mut socket).await {
            break u32::from_be_bytes(payload.try_into().unwrap());
        }
    };
    assert_eq!(
        65_535 + window,
        3_000_003,
        "the connection's window is raised to its limit"
    );
    server.stop().await;
}

#[tokio::test]
async fn connections_are_told_to_go_away_when_the_server_shuts_down() {
    let mut server = Running::start(ServerOptions::default()).await;
    let mut socket = hello(server.addr).await;
    assert_eq!(frame(&mut socket).await.0, 4, "the connection is served");
    server.shut_down();
    while frame(&mut socket).await.0 != 7 {}
    server.stopped().await;
    let refused = TcpStream::connect(server.addr).await;
    assert!(refused.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    type Change = fn(&mut ServerOptions);
    let changes: [Change; 5] = [
        |options| options.limits.max_connections = 0,
        |options| options.limits.max_frame_bytes = 1,
        |options| options.limits.stream_window_bytes = 0,
        |options| options.limits.handshake_timeout = Duration::ZERO,
        |options| options.heartbeat = Duration::ZERO,
    ];
    for change in changes {
        let mut options = ServerOptions::default();
        change(&mut options);
        assert!(
            footman_broker_grpc::Server::bind("127.0.0.1:0", options)
                .await
                .is_err()
        );
    }
}

/// Calls a method with a body of raw bytes, and gives the status.
async fn raw_call(server: &Running, path: &str, body: impl Into<Whole>) -> tonic::Status {
    encoded_call(server, path, "identity", body).await
}

/// The same, with messages that are said to be encoded in some way.
async fn encoded_call(
    server: &Running,
    path: &str,
    encoding: &str,
    body: impl Into<Whole>,
) -> tonic::Status {
    use tonic::codegen::Service as _;
    let mut channel = channel(server.addr).await;
    std::future::poll_fn(|cx| channel.poll_ready(cx))
        .await
        .unwrap();
    let request = http::Request::builder()
        .method("POST")
        .uri(format!("http://{}{path}", server.addr))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-encoding", encoding)
        .body(tonic::body::Body::new(body.into()))
        .unwrap();
    let response = channel.call(request).await.unwrap();
    let headers = response.headers().clone();
    if let Some(status) = tonic::Status::from_header_map(&headers) {
        return status;
    }
    use http_body::Body as _;
    let mut body = std::pin::pin!(response.into_body());
    loop {
        let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        let frame = frame.expect("trailers come").unwrap();
        if let Some(trailers) = frame.trailers_ref() {
            return tonic::Status::from_header_map(trailers).unwrap();
        }
    }
}

/// A body of given bytes.
struct Whole {
    bytes: Option<Vec<u8>>,
    ends: bool,
}

impl Whole {
    fn unfinished(bytes: &[u8]) -> Self {
        Whole {
            bytes: Some(bytes.to_vec()),
            ends: false,
        }
    }
}

impl From<&[u8]> for Whole {
    fn from(bytes: &[u8]) -> Self {
        Whole {
            bytes: Some(bytes.to_vec()),
            ends: true,
        }
    }
}

impl http_body::Body for Whole {
    type Data = tonic::codegen::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes.into())))),
            None if self.ends => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn messages_that_are_none_end_their_call() {
    let server = Running::start(ServerOptions::default()).await;
    let produce = "/footman.v1.Broker/Produce";
    let batch = "/footman.v1.Broker/ProduceBatch";
    let cases: [(&str, &[u8], Code, &str); 9] = [
        // A message of 4 GiB of which 5 bytes come.
        (
            produce,
            b"\0\xff\xff\xff\xffabcde",
            Code::ResourceExhausted,
            why::MESSAGE_TOO_LARGE,
        ),
        (
            batch,
            b"\0\xff\xff\xff\xffabcde",
            Code::ResourceExhausted,
            why::MESSAGE_TOO_LARGE,
        ),
        // Compressed, without saying how.
        (
            produce,
            b"\x01\0\0\0\x01a",
            Code::InvalidArgument,
            why::UNDECODABLE,
        ),
        (
            produce,
            b"\x07\0\0\0\x01a",
            Code::InvalidArgument,
            why::UNDECODABLE,
        ),
        // A record that is longer than the message.
        (
            produce,
            b"\0\0\0\0\x02\x7a\x05",
            Code::InvalidArgument,
            why::UNDECODABLE,
        ),
        // A varint of eleven bytes.
        (
            batch,
            b"\0\0\0\0\x0c\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            Code::InvalidArgument,
            why::UNDECODABLE,
        ),
        // A group.
        (
            batch,
            b"\0\0\0\0\x02\x0b\x0c",
            Code::InvalidArgument,
            why::UNDECODABLE,
        ),
        (
            "/footman.v1.Broker/Fetch",
            b"\0\0\0\0\x01\x0a",
            Code::InvalidArgument,
            why::UNDECODABLE,
        ),
        (
            "/footman.v1.Broker/Nothing",
            b"\0\0\0\0\0",
            Code::Unimplemented,
            why::UNKNOWN_METHOD,
        ),
    ];
    for (path, body, code, expected) in cases {
        let status = raw_call(&server, path, body).await;
        assert_eq!(
            reason(&status),
            (code, expected.to_owned()),
            "{path} {body:?}"
        );
    }
    // Nothing at all is an empty stream, or a unary call without its message.
    assert_eq!(raw_call(&server, produce, &b""[..]).await.code(), Code::Ok);
    let status = raw_call(&server, batch, &b""[..]).await;
    assert_eq!(
        reason(&status),
        (Code::InvalidArgument, why::INVALID_REQUEST.to_owned())
    );
    assert!(server.broker.topics().is_empty());
    is_well(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn records_that_are_none_are_refused_whole() {
    let server = Running::start(ServerOptions::default()).await;
    let bodies: [&[u8]; 6] = [
        b"\x1a\x05abc",          // a value longer than the record
        b"\x08\x01",             // the timestamp as a varint
        b"\x12\x01k\x12\x01k",   // two keys
        b"\x22\x03\x0a\x01\xff", // a header name that is not UTF-8
        b"\x1b\x1c",             // a group
        b"\x1a\x80",             // a varint cut short
    ];
    for body in bodies {
        let mut message = vec![0x0a, 1, b't', 0x7a, 0, 0x7a, body.len() as u8];
        message.extend_from_slice(body);
        let mut framed = vec![0, 0, 0, 0, message.len() as u8];
        framed.append(&mut message);
        let status = raw_call(&server, "/footman.v1.Broker/ProduceBatch", &framed[..]).await;
        assert_eq!(
            reason(&status),
            (Code::InvalidArgument, why::INVALID_RECORD.to_owned()),
            "{body:?}"
        );
    }
    let appended = server
        .broker
        .topic("t")
        .map_or(0, |topic| topic.appended_records);
    assert_eq!(
        appended, 0,
        "the good first record of each was not appended either"
    );
    server.stop().await;
}

#[tokio::test]
async fn calls_and_subscriptions_over_the_limit_are_refused() {
    let mut options = ServerOptions::default();
    options.limits.max_subscriptions = 2;
    let server = Running::start(options).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let follow = || SubscribeRequest {
        topics: vec![TopicStart {
            topic: "t".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let first = broker.subscribe(follow()).await.unwrap();
    let _second = broker.subscribe(follow()).await.unwrap();
    let status = broker.subscribe(follow()).await.unwrap_err();
    assert_eq!(
        reason(&status),
        (
            Code::ResourceExhausted,
            why::TOO_MANY_SUBSCRIPTIONS.to_owned()
        )
    );
    drop(first);
    let admitted = async { while broker.subscribe(follow()).await.is_err() {} };
    timeout(PATIENCE, admitted)
        .await
        .expect("there is a place again");
    server.stop().await;

    let mut options = ServerOptions::default();
    options.limits.max_calls = 1;
    let server = Running::start(options).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let _only = broker.subscribe(follow()).await.unwrap();
    let status = broker
        .produce_batch(ProduceRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        reason(&status),
        (Code::ResourceExhausted, why::TOO_MANY_CALLS.to_owned())
    );
    server.stop().await;
}

/// A subscription that reads nothing is ended with its place to resume at; the one beside it gets everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_does_not_read_is_ended_and_can_resume() {
    const RECORDS: u64 = 3_000;
    let mut options = ServerOptions::default();
    options.write_stall_timeout = Duration::from_millis(200);
    let server = Running::start(options).await;
    let client = server.client().await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let request = SubscribeRequest {
        topics: vec![TopicStart {
            topic: "t".into(),
            start: Some(topic_start::Start::Earliest(true)),
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut stuck = broker.subscribe(request).await.unwrap().into_inner();
    let producer = client.producer("t").build();
    for _ in 0..RECORDS {
        producer
            .enqueue(&Record::new(vec![1; 4_000]))
            .await
            .unwrap();
    }
    producer.close().await.unwrap();
    let mut healthy = client
        .subscriber()
        .topic_with("t", StartAt::Earliest, StopAt::End)
        .build()
        .await
        .unwrap();
    let mut got = 0;
    while let Item::Records(batch) = next(&mut healthy).await {
        got += batch.len() as u64;
    }
    assert_eq!(got, RECORDS);

    // Until the server has let go of the stuck one.
    let let_go = async {
        while !server.broker.subscriptions().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, let_go)
        .await
        .expect("the stuck subscription is ended");

    // It is read at last: what was under way, the places to resume at, and the status.
    let (mut at, mut going_away) = (0, None);
    let status = loop {
        match stuck.message().await {
            Ok(Some(response)) => match response.item.unwrap() {
                subscribe_response::Item::Batch(batch) => {
                    at = batch.base_offset + u64::from(batch.count);
                }
                subscribe_response::Item::GoingAway(notice) => going_away = Some(notice),
                _ => {}
            },
            Ok(None) => panic!("it does not end well"),
            Err(status) => break status,
        }
    };
    let going_away = going_away.expect("it is told where to resume");
    assert_eq!(going_away.reason(), proto::GoingAwayReason::Stalled);
    assert_eq!(
        going_away.positions[0].next_offset, at,
        "which is where it stopped"
    );
    assert!(at < RECORDS);
    assert_eq!(reason(&status), (Code::Aborted, why::STALLED.to_owned()));
    server.stop().await;
}
