//! `footman produce`: input to records, records to the server; done when all are acknowledged.
//!
//! A thread reads a few blocks ahead, this task cuts them into records and hands them to the producer, which
//! batches, pipelines and repeats. Whoever is slowest makes the others wait: memory does not grow with the input.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use footman_broker::{Record, check_name};
use footman_broker_grpc::{CallError, Client, ProduceError, Producer, reason};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use crate::args::ServerArgs;
use crate::args::produce::{ByteString, ProduceArgs};
use crate::connection;
use crate::input::{Framing, Splitter, split_key};
use crate::notice::{notice, show};
use crate::outcome::Outcome;
use crate::quantity::{format_bytes, format_count, format_rate, format_records};
use crate::signal::Stop;
use crate::source::{self, Piece};

/// An input that gave nothing for so long rests.
const REST: Duration = Duration::from_millis(50);
/// How often progress moves when nothing else does.
const TICK: Duration = Duration::from_millis(200);

pub(crate) async fn run(server: &ServerArgs, args: ProduceArgs) -> Result<Outcome> {
    let mut stop = Stop::listen()?;
    let (producer, max_record_bytes) = tokio::select! {
        producer = connect(server, &args) => producer?,
        () = stop.asked() => return Ok(Outcome::Interrupted),
    };
    let mut feed = Feed::new(&args, &producer, max_record_bytes);
    let fed = tokio::select! {
        fed = feed.run(source::read(args.files)?) => fed.map(|()| Outcome::Done),
        () = stop.asked() => Ok(Outcome::Interrupted),
    };
    // Whatever was taken in is delivered, even if the rest of the input cannot be.
    let delivered = producer
        .flush()
        .await
        .map_err(|error| explained(error, &producer));
    feed.progress.finish_and_clear();
    let outcome = delivered.and(fed).map_err(|error| feed.incomplete(error))?;
    if !args.quiet {
        notice(&feed.summary());
    }
    Ok(outcome)
}

/// A producer for the topic, and the largest record that it takes.
async fn connect(server: &ServerArgs, args: &ProduceArgs) -> Result<(Producer, usize)> {
    check_name(&args.topic)?;
    let client = connection::connect(server).await?;
    let max_record_bytes = max_record_bytes(&client, &args.topic).await?;
    let listener = connection::listener(&server.address, args.quiet);
    let mut builder = client.producer(&args.topic).on_connection_change(listener);
    if let Some(linger) = args.linger {
        builder = builder.linger(linger);
    }
    if let Some(timeout) = args.delivery_timeout {
        builder = builder.delivery_timeout(timeout);
    }
    Ok((builder.build(), max_record_bytes))
}

/// The largest record that the topic takes, or will take when the first record creates it.
async fn max_record_bytes(client: &Client, topic: &str) -> Result<usize> {
    let options = match client.topic(topic).await {
        Err(CallError::Server(error)) if error.reason == reason::UNKNOWN_TOPIC => {
            let info = client.server_info().await?;
            if !info.auto_create {
                return Err(error.into());
            }
            info.topic_defaults
        }
        topic => topic?.options,
    };
    Ok(usize::try_from(options.max_record_bytes)?)
}

/// The producer's error with the topic that it is about.
fn explained(error: ProduceError, producer: &Producer) -> anyhow::Error {
    match error {
        ProduceError::Server(mut error) => {
            let topic = producer.topic().to_owned();
            error.metadata.entry("topic".to_owned()).or_insert(topic);
            ProduceError::Server(error).into()
        }
        _ => error.into(),
    }
}

/// While the input rests, learns what became of the records before: a refusal is not kept until the next line.
async fn settle(producer: &Producer) -> Result<()> {
    tokio::time::sleep(REST).await;
    producer
        .flush()
        .await
        .map_err(|error| explained(error, producer))
}

/// What turns input into records and feeds them to the producer.
struct Feed<'a> {
    producer: &'a Producer,
    framing: Framing,
    key_separator: Option<Vec<u8>>,
    key: Option<Bytes>,
    headers: Vec<(String, Bytes)>,
    max_record_bytes: usize,
    records: u64,
    bytes: u64,
    started: Instant,
    progress: ProgressBar,
}

impl Feed<'_> {
    fn new<'a>(args: &ProduceArgs, producer: &'a Producer, max_record_bytes: usize) -> Feed<'a> {
        let started = Instant::now();
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
            max_record_bytes,
            records: 0,
            bytes: 0,
            started,
            progress: progress(args),
        }
    }

    async fn run(&mut self, mut input: mpsc::Receiver<Result<Piece>>) -> Result<()> {
        let mut splitter = Splitter::new(self.framing.clone());
        loop {
            let piece = tokio::select! {
                piece = input.recv() => piece,
                settled = settle(self.producer) => {
                    settled?;
                    self.show_progress();
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
        let bytes = record.encoded_len();
        if bytes > self.max_record_bytes {
            let (number, topic, max) = (self.records, self.producer.topic(), self.max_record_bytes);
            bail!(
                "record {number} has {bytes} bytes and topic {topic:?} takes {max}: send it in parts, \
                 or raise the limit with `footman topics update {topic} --max-record BYTES`"
            );
        }
        let enqueued = self.producer.enqueue(&record).await;
        enqueued.map_err(|error| explained(error, self.producer))
    }

    fn show_progress(&self) {
        self.progress.set_position(self.bytes);
        let (acknowledged, rate) = self.acknowledged();
        self.progress
            .set_message(format!("{acknowledged} acknowledged, {rate}"));
    }

    fn summary(&self) -> String {
        let (acknowledged, rate) = self.acknowledged();
        let read = format_bytes(self.bytes);
        format!("{acknowledged} acknowledged, {read} read, {rate}")
    }

    /// How many records were acknowledged, and how fast.
    fn acknowledged(&self) -> (String, String) {
        let acknowledged = self.producer.acknowledged();
        let rate = acknowledged as f64 / self.started.elapsed().as_secs_f64().max(1e-6);
        (format_records(acknowledged), format_rate(rate))
    }

    /// The error that ended it, with how far it got.
    fn incomplete(&self, error: anyhow::Error) -> anyhow::Error {
        if self.records == 0 {
            return error;
        }
        let (acknowledged, records) = (
            format_count(self.producer.acknowledged()),
            format_count(self.records),
        );
        error.context(format!(
            "{acknowledged} of {records} records read were acknowledged"
        ))
    }
}

/// The progress through the input, on a terminal: a bar if its size is known, else a sign of life. None where
/// it is not wanted, or would be in the way of who types the input.
fn progress(args: &ProduceArgs) -> ProgressBar {
    const BAR: &str = "[{wide_bar}] {percent:>3}%, {msg}, {eta} left";
    const SPINNER: &str = "{spinner} {msg}, {binary_bytes} read";
    if args.quiet || source::is_typed(&args.files) {
        return ProgressBar::hidden();
    }
    let (bar, template) = match source::size(&args.files) {
        Some(bytes) => (ProgressBar::new(bytes), BAR),
        None => (ProgressBar::no_length(), SPINNER),
    };
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    let bar = show(bar.with_style(style.progress_chars("=> ")));
    // It goes on moving while the input rests or the server is away.
    bar.enable_steady_tick(TICK);
    bar
}
