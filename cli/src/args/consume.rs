//! What `footman consume` is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use footman_broker::Filter;
use jiff::Timestamp;

use crate::output::{Field, Format};
use crate::quantity::{parse_count, parse_duration};
use crate::start::{Start, StartIn};
use crate::template::Template;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  footman consume logs
  footman consume logs --from latest
  footman consume logs --from -10 --no-follow
  footman consume logs errors --since 5m --output json
  footman consume logs errors --from latest --from errors=earliest
  footman consume users --key-prefix eu- --show key
  footman consume logs -n 100 --show offset,timestamp
  footman consume users --format '%o %d %k: %v\\n'
  footman consume logs --resume logs.position

FROM is earliest, latest, an offset (42), the last N (-10), a time
(2026-01-31T12:00:00Z) or unix seconds (@1769860800). A consumer that falls too
far behind is told exactly which offsets it lost and goes on; when the connection
is lost it comes back and goes on where it was.

In FORMAT, %t is the topic, %e its epoch, %o the offset, %d the time (RFC 3339), %u
the time in microseconds since 1970, %k the key, %v the value, %K and %V how many
bytes these have, %h the headers; %xk and %xv in hexadecimal, %bk and %bv in base64;
%% a percent sign; \\n, \\t, \\0 and \\xHH bytes.

JSON is a line an item:
  {\"topic\",\"epoch\",\"offset\",\"timestamp\",\"key\",\"value\",
   \"headers\":[{\"name\",\"value\"}]}
  {\"topic\",\"lost\":{\"from\",\"to\"}}
  {\"topic\",\"reset\":{\"old_epoch\",\"new_epoch\",\"next_offset\"}}
  {\"topic\",\"end\":{\"reason\",\"epoch\",\"next_offset\"}}

`to` is the first offset still there; a reset says that the topic started again;
the reason of an end is deleted or stopped. Timestamps are microseconds since
1970; bytes that are not UTF-8 are base64 in value_base64 or key_base64. In text
and raw, what is not a record goes to stderr.

Ctrl-C ends it with 0; with -n or --no-follow, with 130 if it was not done.")]
pub(crate) struct ConsumeArgs {
    /// The topics; the server creates them unless told not to
    #[arg(required = true, value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,
    /// Where to start; TOPIC=FROM is for that topic alone, and may be repeated
    #[arg(
        long,
        default_value = "earliest",
        allow_hyphen_values = true,
        conflicts_with = "since"
    )]
    from: Vec<StartIn>,
    /// Start with what is not older than this
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    since: Option<Duration>,
    /// Stop after this many records
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = parse_count)]
    pub(crate) count: Option<u64>,
    /// Stop at what was the end when it started; the topic must exist
    #[arg(long)]
    pub(crate) no_follow: bool,
    /// What to write
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
    /// Fields to write before each value in text, with a tab after each
    #[arg(long, value_enum, value_name = "FIELD,…", value_delimiter = ',')]
    pub(crate) show: Vec<Field>,
    /// Write each record in this form, with nothing added
    #[arg(long, short, value_name = "FORMAT", conflicts_with_all = ["output", "show"])]
    pub(crate) format: Option<Template>,
    /// Read only records with this key: the others stay at the server, and -n counts those that come
    #[arg(long, value_name = "KEY", conflicts_with = "key_prefix")]
    key: Option<String>,
    /// Read only records whose key begins so; "" is for all that have a key
    #[arg(long, value_name = "PREFIX")]
    key_prefix: Option<String>,
    /// Write only records whose value matches this regular expression; -n counts those
    #[arg(long, short, value_name = "REGEX")]
    pub(crate) grep: Option<regex::bytes::Regex>,
    /// Keep in FILE how far each topic was read, and start there the next time; --from is for the first
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Write no notices and no summary on stderr
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl ConsumeArgs {
    /// Where to start in each of the topics, if it is `now`.
    pub(crate) fn starts(&self, now: Timestamp) -> impl Iterator<Item = (&str, Start)> {
        self.topics.iter().map(move |topic| {
            let named = |name: Option<&str>| {
                let mut starts = self.from.iter();
                starts.find(|start| start.topic.as_deref() == name)
            };
            let start = match (self.since, named(Some(topic)).or_else(|| named(None))) {
                (Some(ago), _) => Start::since(ago, now),
                (None, Some(StartIn { start, .. })) => *start,
                (None, None) => Start::Earliest,
            };
            (topic.as_str(), start)
        })
    }

    /// Which records the server is to send.
    pub(crate) fn filter(&self) -> Option<Filter> {
        let key = self.key.clone().map(|key| Filter::Key(key.into()));
        let prefix = || self.key_prefix.clone();
        key.or_else(|| prefix().map(|prefix| Filter::KeyPrefix(prefix.into())))
    }

    /// Whether every `--from` is for a topic that is consumed, and for another than the others.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (i, StartIn { topic, .. }) in self.from.iter().enumerate() {
            let what = topic.as_ref().map_or_else(
                || "all topics".to_owned(),
                |topic| format!("topic {topic:?}"),
            );
            if topic
                .as_ref()
                .is_some_and(|topic| !self.topics.contains(topic))
            {
                return Err(format!("--from names {what}, which is not consumed"));
            }
            if self.from.iter().take(i).any(|other| other.topic == *topic) {
                return Err(format!("--from is given twice for {what}"));
            }
        }
        Ok(())
    }
}
