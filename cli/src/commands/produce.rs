//! `footman produce`: input to records, records to the server; done when all are acknowledged.
//!
//! A thread reads a few blocks ahead, this task cuts them into records and hands them to the producer, which
//! batches, pipelines and repeats. Whoever is slowest makes the others wait: memory does not grow with the input.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use footman_broker::Record;
use footman_broker_grpc::{Client, ProduceError, Producer};
use tokio::sync::mpsc;

use crate::args::{ByteString, ProduceArgs};
use crate::connection;
use crate::input::{Framing, Splitter, split_key};
use crate::notice::{Progress, notice};
use crate::outcome::Outcome;
use crate::quantity::{format_bytes, format_count, format_rate};
use crate::signal::Stop;
use crate::source::{self, Piece};

/// An input that gave nothing for so long rests.
const REST: Duration = Duration::from_millis(50);

pub(crate) async fn run(server: &str, args: ProduceArgs) -> Result<Outcome> {
    let mut stop = Stop::listen()?;
    let client = Client::connect(server).await?;
    let listener = connection::listener(server, args.quiet);
    let mut builder = client.producer(&args.topic).on_connection_change(listener);
    if let Some(linger) = args.linger {
        builder = builder.linger(linger);
    }
    if let Some(timeout) = args.delivery_timeout {
        builder = builder.delivery_timeout(timeout);
    }
    let producer = builder.build();
    let started = Instant::now();
    let mut feed = Feed::new(&args, &producer, started);
    let fed = tokio::select! {
        fed = feed.run(source::read(args.files)?) => fed.map(|()| Outcome::Done),
        () = stop.asked() => Ok(Outcome::Interrupted),
    };
    feed.progress.clear();
    let Feed { records, bytes, .. } = feed;
    // Whatever was taken in is delivered, even if the rest of the input cannot be.
    let closed = producer.clone().close().await;
    let acknowledged = producer.acknowledged();
    let summary = || {
        let rate = acknowledged as f64 / started.elapsed().as_secs_f64().max(1e-6);
        let acknowledged = format_count(acknowledged);
        format!(
            "{acknowledged} records acknowledged, {} read, {}",
            format_bytes(bytes),
            format_rate(rate)
        )
    };
    closed
        .map_err(|error| incomplete(explained(error, &producer, records), acknowledged, records))?;
    let outcome = fed.map_err(|error| incomplete(error, acknowledged, records))?;
    if !args.quiet {
        notice(&summary());
    }
    Ok(outcome)
}

fn incomplete(error: anyhow::Error, acknowledged: u64, records: u64) -> anyhow::Error {
    let (acknowledged, records) = (format_count(acknowledged), format_count(records));
    error.context(format!(
        "{acknowledged} of {records} records read were acknowledged"
    ))
}

/// The producer's error with what it does not say itself: the topic, or which record it is about.
fn explained(error: ProduceError, producer: &Producer, record: u64) -> anyhow::Error {
    match error {
        ProduceError::Server(mut error) => {
            let topic = producer.topic().to_owned();
            error.metadata.entry("topic".to_owned()).or_insert(topic);
            ProduceError::Server(error).into()
        }
        ProduceError::RecordTooLarge { .. } => {
            anyhow::Error::from(error).context(format!("record {record}"))
        }
        _ => error.into(),
    }
}

/// While the input rests, learns what became of the records before: a refusal is not kept until the next line.
async fn settle(producer: &Producer, records: u64) -> Result<()> {
    tokio::time::sleep(REST).await;
    producer
        .flush()
        .await
        .map_err(|error| explained(error, producer, records))
}

/// What turns input into records and feeds them to the producer.
struct Feed<'a> {
    producer: &'a Producer,
    framing: Framing,
    key_separator: Option<Vec<u8>>,
    key: Option<Bytes>,
    headers: Vec<(String, Bytes)>,
    records: u64,
    bytes: u64,
    started: Instant,
    progress: Progress,
}

impl Feed<'_> {
    fn new<'a>(args: &ProduceArgs, producer: &'a Producer, started: Instant) -> Feed<'a> {
        Feed {
            producer,
            framing: args.framing.framing(),
            key_separator: args.key_separator.clone().map(|ByteString(bytes)| bytes),
            key: args.key.clone().map(Bytes::from),
            headers: args
                .header
                .iter()
                .map(|(name, value)| (name.clone(), Bytes::from(value.clone())))
                .collect(),
            records: 0,
            bytes: 0,
            started,
            progress: Progress::new(!args.quiet, started),
        }
    }

    async fn run(&mut self, mut input: mpsc::Receiver<Result<Piece>>) -> Result<()> {
        let mut splitter = Splitter::new(self.framing.clone());
        loop {
            let piece = tokio::select! {
                piece = input.recv() => piece,
                settled = settle(self.producer, self.records) => {
                    settled?;
                    input.recv().await
                }
            };
            let Some(piece) = piece else { return Ok(()) };
            match piece? {
                Piece::Block(block) => {
                    self.bytes += block.len() as u64;
                    splitter.push(&block);
                    while let Some(record) = splitter.next_record()? {
                        self.enqueue(record).await?;
                    }
                    self.show_progress();
                }
                Piece::EndOfFile => {
                    let ended =
                        std::mem::replace(&mut splitter, Splitter::new(self.framing.clone()));
                    if let Some(record) = ended.finish()? {
                        self.enqueue(record).await?;
                    }
                }
            }
        }
    }

    async fn enqueue(&mut self, record: Bytes) -> Result<()> {
        self.records += 1;
        let (key, value) = match &self.key_separator {
            Some(separator) => split_key(&record, separator),
            None => (self.key.clone(), record),
        };
        let mut record = Record::new(value);
        if let Some(key) = key {
            record = record.with_key(key);
        }
        for (name, value) in &self.headers {
            record = record.with_header(name.as_str(), value.clone());
        }
        let enqueued = self.producer.enqueue(&record).await;
        enqueued.map_err(|error| explained(error, self.producer, self.records))
    }

    fn show_progress(&mut self) {
        let now = Instant::now();
        let (acknowledged, bytes) = (self.producer.acknowledged(), self.bytes);
        let seconds = (now - self.started).as_secs_f64();
        self.progress.update(now, || {
            let rate = format_rate(acknowledged as f64 / seconds);
            format!(
                "{} records acknowledged, {} read, {rate}",
                format_count(acknowledged),
                format_bytes(bytes)
            )
        });
    }
}
