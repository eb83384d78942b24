//! The bench's clients on a blocking socket: one that produces, and many that subscribe.

use super::{
    peer::Order,
    wire::{Event, HEAD_BYTES, Messages, Wire, batch_head},
};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use footman_broker_grpc::proto::{
    Batch, ProduceRequest, ProduceResponse, Record, SubscribeRequest, TopicStart, produce_response,
    topic_start,
};
use prost::Message as _;
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

pub(super) const PRODUCE: &str = "/footman.v1.Broker/Produce";
pub(super) const PRODUCE_BATCH: &str = "/footman.v1.Broker/ProduceBatch";
pub(super) const SUBSCRIBE: &str = "/footman.v1.Broker/Subscribe";

pub(super) const TOPIC: &str = "bench";

/// Nothing takes so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection with one call on it.
#[derive(Debug)]
pub(super) struct Call {
    socket: TcpStream,
    pub(super) wire: Wire,
    pub(super) stream: u32,
}

impl Call {
    pub(super) fn open(address: &str, mut wire: Wire) -> Result<Self> {
        let socket = connect(address)?;
        let stream = wire.call();
        Ok(Self {
            socket,
            wire,
            stream,
        })
    }

    /// Writes what is to go out.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.socket.write_all(&self.wire.out)?;
        self.wire.out.clear();
        Ok(())
    }

    /// The next thing that comes in.
    pub(super) fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.wire.next()? {
                return Ok(event);
            }
            self.read()?;
        }
    }

    /// Waits for bytes.
    fn read(&mut self) -> Result<()> {
        self.flush()?; // answers to the server's questions
        let count = self.socket.read(self.wire.room())?;
        self.wire.received(count)
    }
}

pub(super) fn connect(address: &str) -> Result<TcpStream> {
    let socket = TcpStream::connect(address).context("connecting")?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Records of one size, ready to be sent: without a timestamp, which the server puts in.
#[derive(Debug)]
pub(super) struct Payload {
    value: Vec<u8>,
    batch: usize,
    /// A batch of them, encoded.
    records: Vec<u8>,
}

impl Payload {
    pub(super) fn new(bytes: usize, batch: usize) -> Self {
        let mut payload = Self {
            value: (0..bytes).map(|i| i as u8).collect(),
            batch,
            records: Vec::new(),
        };
        payload.encode();
        payload
    }

    fn encode(&mut self) {
        let record = Record {
            value: self.value.clone().into(),
            ..Record::default()
        };
        let request = ProduceRequest {
            records: vec![record; self.batch],
            ..ProduceRequest::default()
        };
        self.records.clear();
        request
            .encode(&mut self.records)
            .expect("a vector has room");
    }

    /// Puts a number in front of the value.
    pub(super) fn stamp(&mut self, nanos: u64) {
        self.value[..8].copy_from_slice(&nanos.to_be_bytes());
        self.encode();
    }

    /// What one takes in a response.
    pub(super) fn stored_bytes(&self) -> usize {
        let record = Record {
            timestamp_us: 1,
            value: self.value.clone().into(),
            ..Record::default()
        };
        Batch {
            records: vec![record],
            ..Batch::default()
        }
        .encoded_len()
    }

    pub(super) fn value_bytes(&self) -> usize {
        self.value.len()
    }

    pub(super) fn head(&self, request_id: u64) -> Vec<u8> {
        ProduceRequest {
            topic: TOPIC.to_owned(),
            request_id,
            ..ProduceRequest::default()
        }
        .encode_to_vec()
    }

    pub(super) fn records(&self) -> &[u8] {
        &self.records
    }
}

/// The acknowledged offset of a `ProduceResponse`, and how many records from there.
pub(super) fn acknowledged(message: &[u8]) -> Result<(u64, u64)> {
    match ProduceResponse::decode(message)?.result {
        Some(produce_response::Result::Ack(ack)) => Ok((ack.base_offset, u64::from(ack.count))),
        other => bail!("not acknowledged: {other:?}"),
    }
}

/// One Produce stream that keeps up to `in_flight` requests under way.
#[derive(Debug)]
pub(super) struct Feeder {
    call: Call,
    answers: Messages,
    next_offset: u64,
}

impl Feeder {
    pub(super) fn open(address: &str) -> Result<Self> {
        Ok(Self {
            call: Call::open(address, Wire::new(PRODUCE))?,
            answers: Messages::new(usize::MAX),
            next_offset: 0,
        })
    }

    /// Sends the payload `times` times, and returns when all is acknowledged, in order.
    pub(super) fn feed(&mut self, payload: &Payload, times: usize, in_flight: usize) -> Result<()> {
        let Self {
            call,
            answers,
            next_offset,
        } = self;
        let (mut sent, mut done) = (0, 0);
        while done < times {
            let head = payload.head(sent as u64 + 1);
            let size = head.len() + payload.records().len();
            if sent < times && sent - done < in_flight && call.wire.has_room(call.stream, size) {
                call.wire
                    .message(call.stream, (&head, payload.records()), false);
                sent += 1;
                continue;
            }
            call.read()?;
            while let Some(event) = call.wire.next()? {
                match event {
                    Event::Data(at) => answers.take(call.wire.bytes(at), |_, answer| {
                        let (base_offset, count) = acknowledged(answer)?;
                        ensure!(
                            base_offset == *next_offset,
                            "offset {base_offset}, not {next_offset}"
                        );
                        *next_offset += count;
                        done += 1;
                        Ok(())
                    })?,
                    Event::End => bail!("the server ended the stream"),
                    Event::Begin => {}
                }
            }
        }
        Ok(())
    }
}

pub(super) fn subscribe_request() -> Vec<u8> {
    let start = TopicStart {
        topic: TOPIC.to_owned(),
        start: Some(topic_start::Start::Earliest(true)),
        ..TopicStart::default()
    };
    SubscribeRequest {
        topics: vec![start],
        ..SubscribeRequest::default()
    }
    .encode_to_vec()
}

/// Who takes a whole log as fast as it comes.
trait Sink: Sized + Send {
    /// There, and waiting: the server has taken note of it, and sends nothing yet.
    fn ready(address: &str) -> Result<Self>;

    /// Takes everything.
    fn drain(self, records: u64, stored_bytes: usize) -> Result<()>;
}

struct Subscriber(Call);

impl Sink for Subscriber {
    fn ready(address: &str) -> Result<Self> {
        let mut call = Call::open(address, Wire::held(SUBSCRIBE))?;
        call.wire
            .message(call.stream, (&subscribe_request(), &[]), true);
        match call.next()? {
            Event::Begin => Ok(Self(call)),
            other => bail!("the server answered {other:?}"),
        }
    }

    fn drain(self, records: u64, stored_bytes: usize) -> Result<()> {
        let mut call = self.0;
        call.wire.open_window(call.stream);
        let mut messages = Messages::new(HEAD_BYTES);
        let mut next_offset = 0;
        while next_offset < records {
            let Event::Data(at) = call.next()? else {
                bail!("the server ended the stream at {next_offset}");
            };
            messages.take(call.wire.bytes(at), |length, head| {
                let Some(batch) = batch_head(head) else {
                    return Ok(());
                };
                ensure!(
                    batch.base_offset == next_offset,
                    "offset {}, not {next_offset}",
                    batch.base_offset
                );
                ensure!(
                    length - batch.records_at == batch.count as usize * stored_bytes,
                    "records of another size"
                );
                next_offset += batch.count;
                Ok(())
            })?;
        }
        ensure!(
            next_offset == records,
            "{next_offset} records, not {records}"
        );
        Ok(())
    }
}

struct Plain(TcpStream);

impl Sink for Plain {
    fn ready(address: &str) -> Result<Self> {
        connect(address).map(Self)
    }

    fn drain(self, records: u64, stored_bytes: usize) -> Result<()> {
        let Self(mut socket) = self;
        let mut left = records * stored_bytes as u64;
        socket.write_all(&Order::Give(left).to_bytes())?;
        let mut buffer = vec![0; 256 * 1024];
        while left > 0 {
            let count = socket.read(&mut buffer)?;
            ensure!(count > 0, "the peer closed the connection");
            left -= count as u64;
        }
        Ok(())
    }
}

/// Has `subscribers` at once take a log that `fill` makes, `passes` times over, each time on connections that were there before.
/// Returns the seconds that the passes took.
pub(super) fn drain_log(
    (address, is_plain): (&str, bool),
    (subscribers, passes): (usize, usize),
    (records, stored_bytes): (u64, usize),
    fill: impl FnOnce() -> Result<()>,
    before_passes: impl FnOnce() -> Result<()>,
) -> Result<f64> {
    let drain = if is_plain {
        drain_by::<Plain>
    } else {
        drain_by::<Subscriber>
    };
    let step = Barrier::new(subscribers + 1);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..subscribers)
            .map(|_| scope.spawn(|| drain(address, passes, (records, stored_bytes), &step)))
            .collect();
        step.wait();
        let prepared = fill().and_then(|()| before_passes());
        let mut seconds = 0.0;
        for _ in 0..passes {
            step.wait();
            let start = Instant::now();
            step.wait();
            seconds += start.elapsed().as_secs_f64();
        }
        for thread in threads {
            thread
                .join()
                .map_err(|_| anyhow!("a subscriber panicked"))??;
        }
        prepared.map(|()| seconds)
    })
}

fn drain_by<S: Sink>(
    address: &str,
    passes: usize,
    (records, stored_bytes): (u64, usize),
    step: &Barrier,
) -> Result<()> {
    let sinks: Vec<Result<S>> = (0..passes).map(|_| S::ready(address)).collect();
    step.wait();
    let mut outcome = Ok(());
    // All keep step, also with one that fails.
    for sink in sinks {
        step.wait();
        let drained = sink.and_then(|sink| sink.drain(records, stored_bytes));
        step.wait();
        outcome = outcome.and(drained);
    }
    outcome
}
