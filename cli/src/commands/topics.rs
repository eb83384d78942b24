//! `footman topics`: what can be done to topics, and how they are shown.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use footman_broker::{OffsetQuery, Records, TopicOptions, TopicUpdate};
use footman_broker_grpc::{CallError, Client, Topic, reason};
use jiff::Timestamp;
use serde::Serialize;

use crate::args::ServerArgs;
use crate::args::limits::TopicLimits;
use crate::args::listing::{Listing, ListingArgs};
use crate::args::topics::{IndexArgs, TopicsCommand};
use crate::connection;
use crate::outcome::Outcome;
use crate::output::{Format, RecordView, format_time, push_json_line, write_json, write_text};
use crate::quantity::{
    format_bytes, format_bytes_limit, format_count, format_count_limit, format_duration,
    format_rate,
};
use crate::start::Start;
use crate::stdout::print;
use crate::text_table::align;

pub(crate) async fn run(server: &ServerArgs, command: TopicsCommand) -> Result<Outcome> {
    let client = connection::connect(server).await?;
    match command {
        TopicsCommand::Create {
            name,
            limits,
            if_not_exists,
            index,
            output,
        } => {
            let topic = match client.create_topic(&name, options_of(&limits, index)).await {
                Err(error) if if_not_exists && is(&error, reason::TOPIC_EXISTS) => {
                    client.topic(&name).await?
                }
                created => created?,
            };
            show(&topic, &output)?;
        }
        TopicsCommand::List { output } => list(&client.topics("").await?, &output)?,
        TopicsCommand::Describe { name, output } => show(&client.topic(&name).await?, &output)?,
        TopicsCommand::Update {
            name,
            limits,
            index,
            output,
        } => {
            show(
                &client
                    .update_topic(&name, options_of(&limits, index))
                    .await?,
                &output,
            )?;
        }
        TopicsCommand::Delete { name, if_exists } => match client.delete_topic(&name).await {
            Err(error) if if_exists && is(&error, reason::UNKNOWN_TOPIC) => {}
            deleted => drop(deleted?),
        },
        TopicsCommand::Purge {
            name,
            before,
            output,
        } => show(&client.purge_topic(&name, before).await?, &output)?,
        TopicsCommand::Pause { name, output } => {
            show(&client.pause_topic(&name).await?, &output)?;
        }
        TopicsCommand::Resume { name, output } => {
            show(&client.resume_topic(&name).await?, &output)?;
        }
        TopicsCommand::Last { name, key, output } => {
            let last = client.last_by_key(&name, key.as_bytes()).await?;
            let last =
                last.with_context(|| format!("topic {name:?} keeps no record with key {key:?}"))?;
            print(&written(&last, output))?;
        }
        TopicsCommand::Offsets {
            names,
            at,
            since,
            output,
        } => {
            let at = since.map_or(at, |ago| Some(Start::since(ago, Timestamp::now())));
            print(offsets(&client, names, at, &output).await?.as_bytes())?;
        }
    }
    Ok(Outcome::Done)
}

fn is(error: &CallError, reason: &str) -> bool {
    matches!(error, CallError::Server(error) if error.reason == reason)
}

/// The one record of a look-up, as `consume` writes it.
fn written(records: &Records, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        let view = RecordView::new(records, &record);
        match format {
            Format::Raw => out.extend_from_slice(view.value),
            Format::Text => write_text(&mut out, &view, &[]),
            Format::Json => write_json(&mut out, &view),
        }
    }
    out
}

/// The limits that were given; the others are the server's to choose, or stay.
fn options_of(limits: &TopicLimits, index: IndexArgs) -> TopicUpdate {
    let mut update = TopicUpdate::new();
    update.max_records = limits.records;
    update.max_bytes = limits.bytes;
    update.max_age = limits.age.map(|age| age.0);
    update.max_record_bytes = limits.max_record;
    update.last_by_key = index.last_by_key;
    update
}

fn show(topic: &Topic, output: &ListingArgs) -> Result<()> {
    match output.output {
        Listing::Text => print(description(topic).as_bytes()),
        Listing::Json => print_json([topic]),
    }
}

fn list(topics: &[Topic], output: &ListingArgs) -> Result<()> {
    match output.output {
        Listing::Text => print(table(topics).as_bytes()),
        Listing::Json => print_json(topics),
    }
}

fn print_json<'a>(topics: impl IntoIterator<Item = &'a Topic>) -> Result<()> {
    let mut out = Vec::new();
    for topic in topics {
        push_json_line(&mut out, &TopicJson::from(topic));
    }
    print(&out)
}

fn description(topic: &Topic) -> String {
    let kept = topic.end_offset.saturating_sub(topic.start_offset);
    let producers = if topic.paused {
        "refused: it is paused"
    } else {
        "taken"
    };
    let last_by_key = if topic.options.last_by_key {
        "yes"
    } else {
        "no"
    };
    let lines = [
        ("topic", topic.name.clone()),
        ("epoch", topic.epoch.to_string()),
        ("created", format_time(micros(topic.created))),
        (
            "offsets",
            format!(
                "{} to {} (the next record's)",
                topic.start_offset, topic.end_offset
            ),
        ),
        ("records kept", format_count(kept)),
        ("bytes kept", format_bytes(topic.retained_bytes)),
        ("memory", format_bytes(topic.memory_bytes)),
        (
            "appended",
            format!(
                "{} records, {}",
                format_count(topic.appended_records),
                format_bytes(topic.appended_bytes)
            ),
        ),
        ("rate", format_rate(topic.records_per_second)),
        (
            "delivered",
            format!(
                "{} records, {} lost, {} filtered",
                format_count(topic.delivered_records),
                format_count(topic.lost_records),
                format_count(topic.filtered_records)
            ),
        ),
        ("subscriptions", topic.subscriptions.to_string()),
        ("producers", producers.to_owned()),
        ("keeps", limits_text(&topic.options)),
        (
            "largest record",
            format_bytes(topic.options.max_record_bytes.into()),
        ),
        ("last by key", last_by_key.to_owned()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<15} {value}");
    }
    text
}

/// What a topic keeps, in one sentence.
pub(crate) fn limits_text(options: &TopicOptions) -> String {
    let age = options
        .max_age
        .map_or_else(|| "unlimited".to_owned(), format_duration);
    format!(
        "{} records, {} bytes, age {age}",
        format_count_limit(options.max_records),
        format_bytes_limit(options.max_bytes),
    )
    .replace("B bytes", "B")
}

fn table(topics: &[Topic]) -> String {
    let heading = [
        "TOPIC",
        "START",
        "END",
        "RECORDS",
        "BYTES",
        "MEMORY",
        "SUBSCRIPTIONS",
    ];
    let rows = topics.iter().map(|topic| {
        let kept = topic.end_offset.saturating_sub(topic.start_offset);
        [
            topic.name.clone(),
            topic.start_offset.to_string(),
            topic.end_offset.to_string(),
            format_count(kept),
            format_bytes(topic.retained_bytes),
            format_bytes(topic.memory_bytes),
            topic.subscriptions.to_string(),
        ]
    });
    align(heading, rows)
}

/// Where topics start and end, and where `at` is in each; all topics if none is named.
async fn offsets(
    client: &Client,
    names: Vec<String>,
    at: Option<Start>,
    output: &ListingArgs,
) -> Result<String> {
    let mut topics = Vec::new();
    if names.is_empty() {
        topics = client.topics("").await?;
    }
    for name in &names {
        topics.push(client.topic(name).await?);
    }
    let mut rows = Vec::with_capacity(topics.len());
    for topic in &topics {
        let at = match at {
            None => None,
            Some(Start::Earliest) => Some(topic.start_offset),
            Some(Start::Latest) => Some(topic.end_offset),
            Some(Start::Offset(offset)) => Some(offset),
            Some(Start::Last(count)) => {
                let at = topic.end_offset.saturating_sub(count);
                Some(at.max(topic.start_offset))
            }
            Some(Start::Timestamp(us)) => {
                let query = [(topic.name.as_str(), OffsetQuery::Timestamp(us))];
                let found = client.list_offsets(&query).await?;
                found.first().map(|found| found.offset)
            }
        };
        rows.push(OffsetsJson {
            topic: &topic.name,
            epoch: topic.epoch.into(),
            start_offset: topic.start_offset,
            end_offset: topic.end_offset,
            at,
        });
    }
    if output.output == Listing::Json {
        let mut out = Vec::new();
        for row in &rows {
            push_json_line(&mut out, row);
        }
        return Ok(String::from_utf8(out)?);
    }
    let rows = rows.iter().map(|row| {
        [
            row.topic.to_owned(),
            row.epoch.to_string(),
            row.start_offset.to_string(),
            row.end_offset.to_string(),
            row.at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
        ]
    });
    Ok(align(["TOPIC", "EPOCH", "START", "END", "AT"], rows))
}

/// A topic's offsets as JSON; `at` is null if none was asked for.
#[derive(Debug, Serialize)]
struct OffsetsJson<'a> {
    topic: &'a str,
    epoch: u64,
    start_offset: u64,
    end_offset: u64,
    at: Option<u64>,
}

/// A time in microseconds since the Unix epoch.
pub(crate) fn micros(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A topic as JSON; limits that are not there are null.
#[derive(Debug, Serialize)]
struct TopicJson<'a> {
    name: &'a str,
    epoch: u64,
    created: i64,
    start_offset: u64,
    end_offset: u64,
    retained_bytes: u64,
    memory_bytes: u64,
    appended_records: u64,
    appended_bytes: u64,
    records_per_second: f64,
    delivered_records: u64,
    lost_records: u64,
    filtered_records: u64,
    paused: bool,
    subscriptions: u32,
    options: OptionsJson,
}

/// A topic's limits as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct OptionsJson {
    max_records: Option<u64>,
    max_bytes: Option<u64>,
    max_age_ms: Option<u64>,
    max_record_bytes: u32,
    last_by_key: bool,
}

impl<'a> From<&'a Topic> for TopicJson<'a> {
    fn from(topic: &'a Topic) -> TopicJson<'a> {
        TopicJson {
            name: &topic.name,
            epoch: topic.epoch.into(),
            created: micros(topic.created),
            start_offset: topic.start_offset,
            end_offset: topic.end_offset,
            retained_bytes: topic.retained_bytes,
            memory_bytes: topic.memory_bytes,
            appended_records: topic.appended_records,
            appended_bytes: topic.appended_bytes,
            records_per_second: topic.records_per_second,
            delivered_records: topic.delivered_records,
            lost_records: topic.lost_records,
            filtered_records: topic.filtered_records,
            paused: topic.paused,
            subscriptions: topic.subscriptions,
            options: OptionsJson::from(&topic.options),
        }
    }
}

impl From<&TopicOptions> for OptionsJson {
    fn from(options: &TopicOptions) -> OptionsJson {
        let limited = |limit: u64| (limit != u64::MAX).then_some(limit);
        OptionsJson {
            max_records: limited(options.max_records),
            max_bytes: limited(options.max_bytes),
            max_age_ms: options
                .max_age
                .map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            max_record_bytes: options.max_record_bytes,
            last_by_key: options.last_by_key,
        }
    }
}
