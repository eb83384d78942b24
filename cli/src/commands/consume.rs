//! `footman consume`: the records of topics to stdout, as they come.
//!
//! Output is gathered while there is more to take, and goes out when there is not. A stdout that nobody
//! reads slows this process only: the server laps it, and the loss is said like any other.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context, Result};
use footman_broker::{EndReason, Epoch, Item, Records, StartAt, StopAt, SubscribeOptions};
use footman_broker_grpc::Subscriber;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use regex::bytes::Regex;
use tokio::time::{Instant, sleep_until};

use crate::args::ServerArgs;
use crate::args::consume::ConsumeArgs;
use crate::connection;
use crate::notice::{notice, show};
use crate::outcome::Outcome;
use crate::output::{self, Event, Field, Format, RecordView};
use crate::quantity::{format_count, format_rate, format_records};
use crate::resume::{Position, ResumeFile};
use crate::signal::Stop;
use crate::start::Start;
use crate::stdout::{Output, Reader, reader_gone, stdout_is_file};
use crate::template::Template;

/// How often positions are saved while they change.
const SAVE_INTERVAL: Duration = Duration::from_millis(500);
/// How often progress moves when nothing else does.
const TICK: Duration = Duration::from_millis(200);

pub(crate) async fn run(server: &ServerArgs, args: ConsumeArgs) -> Result<Outcome> {
    let mut stop = Stop::listen()?;
    let mut writer = Writer::new(&args)?;
    if args.count == Some(0) {
        return Ok(Outcome::Done);
    }
    let subscriber = tokio::select! {
        subscriber = subscribe(server, &args, writer.resume.as_ref()) => subscriber?,
        () = stop.asked() => return Ok(Outcome::Interrupted),
    };
    let written = write_all(subscriber, &mut writer, &mut stop).await;
    // What came before an error is written all the same.
    if writer.output.flush()? == Reader::Present {
        writer.save()?;
    }
    writer.progress.finish_and_clear();
    let interrupted = written?;
    if !args.quiet && (interrupted || writer.lost > 0) {
        notice(&writer.summary());
    }
    let endless = args.count.is_none() && !args.no_follow;
    Ok(if interrupted && !endless {
        Outcome::Interrupted
    } else {
        Outcome::Done
    })
}

async fn subscribe(
    server: &ServerArgs,
    args: &ConsumeArgs,
    resume: Option<&ResumeFile>,
) -> Result<Subscriber> {
    let stop_at = if args.no_follow {
        StopAt::End
    } else {
        StopAt::Never
    };
    let client = connection::connect(server).await?;
    let listener = connection::listener(&server.address, args.quiet);
    let mut builder = client
        .subscriber()
        .label("footman consume")
        .on_connection_change(listener);
    for (topic, start) in args.starts(Timestamp::now()) {
        let start = match resume.and_then(|file| file.position(topic)) {
            Some(Position { epoch, next_offset }) => {
                let epoch = Epoch::try_from(epoch)
                    .with_context(|| format!("the position kept for topic {topic:?} cannot be"))?;
                StartAt::Resume { epoch, next_offset }
            }
            None => start_at(start),
        };
        let mut options = SubscribeOptions::new(start).with_stop(stop_at);
        options.filter = args.filter();
        builder = builder.topic_with(topic, options);
    }
    Ok(builder.build().await?)
}

/// Writes items until no more are wanted or come; says whether that is because a stop was asked for.
async fn write_all(
    mut subscriber: Subscriber,
    writer: &mut Writer,
    stop: &mut Stop,
) -> Result<bool> {
    let mut gone = pin!(reader_gone());
    loop {
        let mut next = pin!(subscriber.next());
        let ready = std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
        let item = match ready {
            Poll::Ready(_) if stop.is_asked() => return Ok(true),
            Poll::Ready(item) => item,
            Poll::Pending => {
                if writer.output.flush()? == Reader::Gone {
                    return Ok(false);
                }
                loop {
                    tokio::select! {
                        item = &mut next => break item,
                        () = stop.asked() => return Ok(true),
                        () = &mut gone => return Ok(false),
                        () = sleep_until(writer.save_at), if writer.is_unsaved() => writer.save()?,
                    }
                }
            }
        };
        let Some(item) = item? else { return Ok(false) };
        if writer.take(&item)? == Wanted::Nothing {
            return Ok(false);
        }
    }
}

/// The progress on a terminal, if records go into a file: elsewhere they are seen, or somebody else writes.
fn progress(quiet: bool) -> ProgressBar {
    if quiet || !stdout_is_file() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{spinner} {msg}").expect("the template is well-formed");
    let bar = show(ProgressBar::no_length().with_style(style));
    bar.enable_steady_tick(TICK);
    bar
}

fn start_at(start: Start) -> StartAt {
    match start {
        Start::Earliest => StartAt::Earliest,
        Start::Latest => StartAt::Latest,
        Start::Offset(offset) => StartAt::Offset(offset),
        Start::Timestamp(us) => StartAt::Timestamp(us),
        Start::Last(count) => StartAt::Last(count),
    }
}

/// Whether anybody still wants records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    More,
    Nothing,
}

impl From<Reader> for Wanted {
    fn from(reader: Reader) -> Wanted {
        match reader {
            Reader::Present => Wanted::More,
            Reader::Gone => Wanted::Nothing,
        }
    }
}

/// Writes items in the form asked for, counts them, and keeps how far it got.
struct Writer {
    output: Output,
    format: Format,
    template: Option<Template>,
    fields: Vec<Field>,
    grep: Option<Regex>,
    quiet: bool,
    /// Records still to write; `None` for all that come.
    remaining: Option<u64>,
    written: u64,
    lost: u64,
    /// Records that `--key` or `--key-prefix` left at the server, where one was given.
    filtered: Option<u64>,
    resume: Option<ResumeFile>,
    /// When to save the positions, if they have changed.
    save_at: Instant,
    started: Instant,
    progress: ProgressBar,
}

impl Writer {
    fn new(args: &ConsumeArgs) -> Result<Writer> {
        Ok(Writer {
            output: Output::new(),
            format: args.output,
            template: args.format.clone(),
            fields: args.show.clone(),
            grep: args.grep.clone(),
            quiet: args.quiet,
            remaining: args.count,
            written: 0,
            lost: 0,
            filtered: args.filter().map(|_| 0),
            resume: args.resume.as_deref().map(ResumeFile::open).transpose()?,
            save_at: Instant::now(),
            started: Instant::now(),
            progress: progress(args.quiet),
        })
    }

    fn show_progress(&self) {
        if !self.progress.is_hidden() {
            let rate = self.written as f64 / self.started.elapsed().as_secs_f64().max(1e-6);
            let (summary, rate) = (self.summary(), format_rate(rate));
            self.progress.set_message(format!("{summary}, {rate}"));
        }
    }

    fn summary(&self) -> String {
        let (written, lost) = (format_records(self.written), format_count(self.lost));
        match self.filtered {
            None => format!("{written}, {lost} lost"),
            Some(filtered) => format!(
                "{written}, {lost} lost, {} filtered",
                format_count(filtered)
            ),
        }
    }

    fn take(&mut self, item: &Item) -> Result<Wanted> {
        let wanted = match item {
            Item::Records(records) => self.records(records)?,
            Item::Lost(lost) => {
                self.lost += lost.records();
                self.note(&lost.topic, lost.epoch, lost.to);
                self.event(
                    &lost.topic,
                    Event::Lost {
                        from: lost.from,
                        to: lost.to,
                    },
                )?
            }
            Item::Filtered(passed) => {
                *self.filtered.get_or_insert(0) += passed.records();
                self.note(&passed.topic, passed.epoch, passed.to);
                Wanted::More
            }
            Item::Reset(reset) => {
                self.note(&reset.topic, reset.new_epoch, reset.next_offset);
                let (old_epoch, new_epoch) = (reset.old_epoch.into(), reset.new_epoch.into());
                let next_offset = reset.next_offset;
                self.event(
                    &reset.topic,
                    Event::Reset {
                        old_epoch,
                        new_epoch,
                        next_offset,
                    },
                )?
            }
            Item::End(end) => {
                let reason = match end.reason {
                    EndReason::Deleted => "deleted",
                    EndReason::Stopped => "stopped",
                    _ => "ended",
                };
                let (epoch, next_offset) = (end.epoch.into(), end.next_offset);
                self.event(
                    &end.topic,
                    Event::End {
                        reason,
                        epoch,
                        next_offset,
                    },
                )?
            }
            other => anyhow::bail!("this version cannot show {other:?}: use a newer footman"),
        };
        self.show_progress();
        if self.is_unsaved() && Instant::now() >= self.save_at {
            // What is said to have been read has been written.
            if self.output.flush()? == Reader::Gone {
                return Ok(Wanted::Nothing);
            }
            self.save()?;
        }
        Ok(wanted)
    }

    fn records(&mut self, records: &Records) -> Result<Wanted> {
        let mut wanted = Wanted::More;
        let mut next_offset = records.base_offset();
        for record in records {
            next_offset = record.offset + 1;
            if self
                .grep
                .as_ref()
                .is_some_and(|grep| !grep.is_match(record.value))
            {
                continue;
            }
            let out = self.output.buffer();
            let plain = self.template.is_none();
            match self.format {
                Format::Raw => out.extend_from_slice(record.value),
                Format::Text if plain && self.fields.is_empty() => {
                    out.extend_from_slice(record.value);
                    out.push(b'\n');
                }
                Format::Text | Format::Json => {
                    let view = RecordView::new(records, &record);
                    match (&self.template, self.format) {
                        (Some(template), _) => template.write(out, &view),
                        (None, Format::Json) => output::write_json(out, &view),
                        (None, _) => output::write_text(out, &view, &self.fields),
                    }
                }
            }
            self.written += 1;
            wanted = self.output.spill()?.into();
            if let Some(remaining) = &mut self.remaining {
                *remaining -= 1;
                if *remaining == 0 {
                    wanted = Wanted::Nothing;
                }
            }
            if wanted == Wanted::Nothing {
                break;
            }
        }
        self.note(records.topic(), records.epoch(), next_offset);
        Ok(wanted)
    }

    fn event(&mut self, topic: &str, event: Event) -> Result<Wanted> {
        if self.format == Format::Json {
            output::write_json_event(self.output.buffer(), topic, event);
            return Ok(self.output.spill()?.into());
        }
        // What came before it is seen before it.
        let reader = self.output.flush()?;
        let expected = matches!(
            event,
            Event::End {
                reason: "stopped",
                ..
            }
        );
        if !self.quiet && !expected {
            notice(&output::describe_event(topic, event));
        }
        Ok(reader.into())
    }

    fn note(&mut self, topic: &str, epoch: Epoch, next_offset: u64) {
        if let Some(resume) = &mut self.resume {
            resume.note(
                topic,
                Position {
                    epoch: epoch.into(),
                    next_offset,
                },
            );
        }
    }

    fn is_unsaved(&self) -> bool {
        self.resume.as_ref().is_some_and(ResumeFile::is_changed)
    }

    /// Saves the positions; whatever they cover must have been flushed.
    fn save(&mut self) -> Result<()> {
        self.save_at = Instant::now() + SAVE_INTERVAL;
        self.resume.as_mut().map_or(Ok(()), ResumeFile::save)
    }
}
