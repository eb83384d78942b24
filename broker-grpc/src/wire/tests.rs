//! prost against the hand-written wire, both ways; and what is not a message.

use prost::Message as _;

use super::*;
use crate::proto::{self, produce_response, subscribe_response};

fn records() -> Vec<proto::Record> {
    let full = proto::Record {
        timestamp_us: -1,
        key: Some(Bytes::new()),
        value: vec![9; 200].into(),
        headers: vec![proto::Header {
            name: "n".into(),
            value: "v".into(),
        }],
    };
    vec![
        proto::Record::default(),
        full.clone(),
        proto::Record { key: None, ..full },
    ]
}

/// The records field as prost writes it.
fn run(records: Vec<proto::Record>) -> Bytes {
    proto::Batch {
        records,
        ..Default::default()
    }
    .encode_to_vec()
    .into()
}

/// The message as a body would send it.
fn encoded(frame: Frame) -> Vec<u8> {
    let (length, run_length) = (frame.len(), frame.run_len());
    let mut message = BytesMut::new();
    let run = frame.put_head(&mut message).unwrap_or_default();
    assert_eq!(run.len(), run_length);
    message.put_slice(&run);
    assert_eq!(
        message.len(),
        length,
        "the length that goes in front is right"
    );
    message.to_vec()
}

/// Numbers around each length that a varint can have.
fn numbers() -> impl Iterator<Item = u64> {
    (0..64)
        .flat_map(|bit| [(1_u64 << bit) - 1, 1 << bit])
        .chain([u64::MAX])
}

#[test]
fn prost_reads_batches() {
    for number in numbers() {
        let frame = Frame::Batch {
            topic: "t".into(),
            epoch: number,
            base_offset: number,
            count: number as u32,
            run: run(records()),
        };
        let message = encoded(frame);
        let batch = proto::Batch {
            topic: "t".into(),
            epoch: number,
            base_offset: number,
            count: number as u32,
            records: records(),
        };
        let expected = proto::SubscribeResponse {
            item: Some(subscribe_response::Item::Batch(batch)),
        };
        assert_eq!(
            proto::SubscribeResponse::decode(&*message).unwrap(),
            expected
        );
        assert_eq!(message, expected.encode_to_vec(), "byte for byte");
        let parts = read_batch(&message).unwrap().unwrap();
        assert_eq!(
            (parts.topic, parts.epoch, parts.base_offset),
            ("t", number, number)
        );
        assert_eq!((parts.count, parts.run), (number as u32, &*run(records())));
    }
}

#[test]
fn prost_reads_acknowledgements() {
    for number in numbers() {
        let duplicate = number % 2 == 1;
        let frame = Frame::Ack {
            request_id: number,
            topic: "t".into(),
            epoch: number,
            base_offset: number,
            count: number as u32,
            duplicate,
        };
        let ack = proto::ProduceAck {
            topic: "t".into(),
            epoch: number,
            base_offset: number,
            count: number as u32,
            duplicate,
        };
        let expected = proto::ProduceResponse {
            request_id: number,
            result: Some(produce_response::Result::Ack(ack)),
        };
        assert_eq!(encoded(frame), expected.encode_to_vec(), "byte for byte");
    }
}

#[test]
fn requests_are_read_as_prost_writes_them_and_the_other_way_round() {
    for number in numbers() {
        let expected = proto::ProduceRequest {
            topic: "t".into(),
            request_id: number,
            expected_epoch: 0,
            producer_id: number,
            producer_epoch: number as u32,
            first_sequence: number,
            records: records(),
        };
        let head = ProduceHead {
            topic: "t",
            request_id: number,
            expected_epoch: 0,
            producer_id: number,
            producer_epoch: number as u32,
            first_sequence: number,
        };
        let run = run(records());
        let mut framed = head.framed(run.len());
        assert!(framed.len() <= ProduceHead::max_len("t"));
        framed.put_slice(&run);
        let length = u32::try_from(expected.encoded_len()).unwrap();
        assert_eq!(framed[..PREFIX], [&[0][..], &length.to_be_bytes()].concat());
        let message = encoded(Frame::Framed(framed.freeze()));
        assert_eq!(message, expected.encode_to_vec(), "byte for byte");

        let with_epoch = proto::ProduceRequest {
            expected_epoch: number,
            ..expected
        };
        let message = with_epoch.encode_to_vec();
        let mut bodies = vec![&b"left over"[..]];
        let head = read_produce_request(&message, &mut bodies).unwrap();
        let wanted = ProduceHead {
            topic: "t",
            request_id: number,
            expected_epoch: number,
            producer_id: number,
            producer_epoch: number as u32,
            first_sequence: number,
        };
        assert_eq!(head, wanted);
        let read: Vec<_> = bodies
            .iter()
            .map(|body| proto::Record::decode(*body).unwrap())
            .collect();
        assert_eq!(read, records());
    }
}

#[test]
fn prost_reads_fetch_responses() {
    let batch = Frame::Batch {
        topic: "t".into(),
        epoch: 1,
        base_offset: 2,
        count: 3,
        run: run(records()),
    };
    let lost = proto::SubscribeResponse {
        item: Some(subscribe_response::Item::Lost(proto::Lost::default())),
    };
    let next = proto::FetchResponse {
        items: vec![],
        next: vec![proto::Position {
            topic: "t".into(),
            ..Default::default()
        }],
    };
    let frame = Frame::Fetch {
        items: vec![Frame::Message(lost.encode_to_vec().into()), batch.clone()],
        next: next.encode_to_vec().into(),
    };
    let read = proto::FetchResponse::decode(&*encoded(frame)).unwrap();
    let batch = proto::SubscribeResponse::decode(&*encoded(batch)).unwrap();
    assert_eq!(
        read,
        proto::FetchResponse {
            items: vec![lost, batch],
            ..next
        }
    );
}

#[test]
fn other_items_are_not_batches() {
    let heartbeat = proto::SubscribeResponse {
        item: Some(subscribe_response::Item::Heartbeat(
            proto::Heartbeat::default(),
        )),
    };
    assert_eq!(read_batch(&heartbeat.encode_to_vec()), Ok(None));
    assert_eq!(read_batch(b""), Ok(None));
}

#[test]
fn every_cut_of_a_message_is_refused_or_shorter() {
    let message = proto::ProduceRequest {
        topic: "topic".into(),
        request_id: u64::MAX,
        records: records(),
        ..Default::default()
    }
    .encode_to_vec();
    let mut whole = Vec::new();
    read_produce_request(&message, &mut whole).unwrap();
    for end in 0..message.len() {
        let mut bodies = Vec::new();
        let read = read_produce_request(&message[..end], &mut bodies);
        assert!(read.is_err() || bodies.len() < whole.len(), "cut at {end}");
    }
}

#[test]
fn what_is_not_a_message_is_named() {
    let read = |message: &'static [u8]| read_produce_request(message, &mut Vec::new()).unwrap_err();
    assert_eq!(read(b"\x00\x01"), WireError::Tag);
    assert_eq!(read(b"\x0b"), WireError::Tag);
    assert_eq!(read(b"\x0e"), WireError::Tag);
    assert_eq!(read(b"\xff\xff\xff\xff\x7f\x00"), WireError::Tag);
    assert_eq!(read(b"\x10"), WireError::Truncated);
    assert_eq!(read(b"\x10\x80"), WireError::Truncated);
    assert_eq!(
        read(b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
        WireError::Varint
    );
    assert_eq!(
        read(b"\x10\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
        WireError::Varint
    );
    assert_eq!(
        read(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        WireError::Truncated
    );
    assert_eq!(read(b"\x08\x01"), WireError::WireType(1));
    assert_eq!(read(b"\x78\x01"), WireError::WireType(15));
    assert_eq!(read(b"\x0a\x01\xff"), WireError::Utf8(1));
    assert_eq!(read(b"\x28\xff\xff\xff\xff\x1f"), WireError::Range(5));
}

#[test]
fn unknown_fields_are_stepped_over() {
    let message = b"\x0a\x01t\xa0\x06\x07\xa5\x06\x01\x02\x03\x04\xa1\x06\x01\x02\x03\x04\x05\x06\x07\x08\xa2\x06\x01x\x7a\x00";
    let mut bodies = Vec::new();
    let head = read_produce_request(message, &mut bodies).unwrap();
    assert_eq!((head.topic, bodies.len()), ("t", 1));
}
