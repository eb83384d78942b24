//! Bytes that are no HTTP, messages that are none, that are cut short, or that never end: each refused with its reason, and nobody
//! else is harmed.

mod harness;

use std::task::{Context, Poll};
use std::time::Duration;

use footman_broker::{Item, StartAt, TopicOptions};
use footman_broker_grpc::proto::broker_client::BrokerClient;
use footman_broker_grpc::proto::{self, ProduceRequest};
use footman_broker_grpc::{ServerOptions, reason as why};
use harness::frames::PREFACE;
use harness::{Running, channel, last_words, reason};
use prost::Message as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tonic::Code;

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
    server.is_well().await;
    server.stop().await;
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
    server.is_well().await;
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
        "/footman.v1.Admin/ListOffsets",
        "/grpc.health.v1.Health/Check",
    ] {
        let status = raw_call(&server, path, Whole::unfinished(&most)).await;
        assert_eq!(
            reason(&status),
            (Code::ResourceExhausted, why::TOO_MUCH_UNFINISHED.to_owned())
        );
    }
    // Reflection ends its stream without a word of why.
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    raw_call(&server, reflection, Whole::unfinished(&most)).await;
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

#[tokio::test]
async fn records_and_messages_may_be_empty_and_as_large_as_they_may_and_no_larger() {
    const MAX_RECORD: u32 = 1_000;
    const MAX_MESSAGE: usize = 2_000;
    let mut options = ServerOptions::default();
    options.limits.max_request_bytes = MAX_MESSAGE;
    let defaults = TopicOptions::default().with_max_record_bytes(MAX_RECORD);
    options.broker.topic_defaults = defaults;
    let server = Running::start(options).await;
    let mut broker = BrokerClient::new(channel(server.addr).await);
    let of = |values: &[usize]| ProduceRequest {
        topic: "t".into(),
        records: values
            .iter()
            .map(|&length| proto::Record {
                value: vec![1; length].into(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    // A value has its length and its field before it.
    let largest = MAX_RECORD as usize - 3;
    broker.produce_batch(of(&[0])).await.unwrap();
    broker.produce_batch(of(&[largest])).await.unwrap();
    let status = broker.produce_batch(of(&[largest + 1])).await.unwrap_err();
    let expected = (Code::InvalidArgument, why::RECORD_TOO_LARGE.to_owned());
    assert_eq!(reason(&status), expected);

    let rest = MAX_MESSAGE - of(&[largest, 900]).encoded_len();
    let whole = of(&[largest, 900 + rest]);
    assert_eq!(whole.encoded_len(), MAX_MESSAGE);
    broker.produce_batch(whole).await.unwrap();
    let more = of(&[largest, 900 + rest + 1]);
    let status = broker.produce_batch(more).await.unwrap_err();
    let expected = (Code::ResourceExhausted, why::MESSAGE_TOO_LARGE.to_owned());
    assert_eq!(reason(&status), expected);
    assert_eq!(server.broker.topic("t").unwrap().appended_records, 4);
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
    server.is_well().await;
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
    server.is_well().await;
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
