//! What `footman topics` is told.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::args::limits::TopicLimits;
use crate::args::listing::ListingArgs;
use crate::output::Format;
use crate::quantity::parse_duration;
use crate::start::Start;

/// What `topics` does.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    /// Creates a topic
    #[command(
        after_help = "Example:\n  footman topics create logs --records 1M --bytes 512MiB --age 1h"
    )]
    Create {
        /// Letters, digits, `.`, `_` and `-`, at most 249
        name: String,
        #[command(flatten)]
        limits: TopicLimits,
        /// It is no error if the topic is there already; its limits stay as they are
        #[arg(long)]
        if_not_exists: bool,
        #[command(flatten)]
        index: IndexArgs,
        #[command(flatten)]
        output: ListingArgs,
    },
    /// Lists the topics
    #[command(after_help = "Example:\n  footman topics list --output json | jq .name")]
    List {
        #[command(flatten)]
        output: ListingArgs,
    },
    /// Shows all about a topic
    #[command(after_help = "Example:\n  footman topics describe logs")]
    Describe {
        /// The topic
        name: String,
        #[command(flatten)]
        output: ListingArgs,
    },
    /// Changes a topic's limits
    #[command(
        after_help = "Example:\n  footman topics update logs --records unlimited --bytes 1GiB"
    )]
    Update {
        /// The topic
        name: String,
        #[command(flatten)]
        limits: TopicLimits,
        #[command(flatten)]
        index: IndexArgs,
        #[command(flatten)]
        output: ListingArgs,
    },
    /// Deletes a topic and its records; those who follow it are told
    #[command(after_help = "Example:\n  footman topics delete logs --if-exists")]
    Delete {
        /// The topic
        name: String,
        /// It is no error if there is no such topic
        #[arg(long)]
        if_exists: bool,
    },
    /// Says where topics start and end, and which offset a time has
    #[command(after_help = "\
Examples:
  footman topics offsets
  footman topics offsets logs --since 5m
  footman topics offsets logs errors --at 2026-01-31T12:00:00Z --output json")]
    Offsets {
        /// The topics; all, without any
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Also say which offset this place has, as in `consume --from`
        #[arg(
            long,
            value_name = "FROM",
            allow_hyphen_values = true,
            conflicts_with = "since"
        )]
        at: Option<Start>,
        /// Also say which offset was the first so long ago or later
        #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
        since: Option<Duration>,
        #[command(flatten)]
        output: ListingArgs,
    },
    /// Forgets a topic's records, all or those before an offset; offsets go on
    #[command(after_help = "Example:\n  footman topics purge logs --before 1000")]
    Purge {
        /// The topic
        name: String,
        /// Forget only what lies before this offset
        #[arg(long, value_name = "OFFSET")]
        before: Option<u64>,
        #[command(flatten)]
        output: ListingArgs,
    },
    /// Refuses what is produced to a topic, until it is resumed; those who follow it read on
    #[command(after_help = "Example:\n  footman topics pause logs")]
    Pause {
        /// The topic
        name: String,
        #[command(flatten)]
        output: ListingArgs,
    },
    /// Takes what is produced to a paused topic again
    #[command(after_help = "Example:\n  footman topics resume logs")]
    Resume {
        /// The topic
        name: String,
        #[command(flatten)]
        output: ListingArgs,
    },
    /// Writes the newest record with a key; the topic must keep an index of keys
    #[command(after_help = "\
Examples:
  footman topics create prices --last-by-key
  footman topics last prices ACME
  footman topics last prices ACME --output json

Exits with 1 if the topic keeps no record with that key.")]
    Last {
        /// The topic
        name: String,
        /// The key
        key: String,
        /// What to write
        #[arg(long, short, value_enum, default_value_t = Format::Text)]
        output: Format,
    },
}

/// Whether a topic keeps an index of its keys.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct IndexArgs {
    /// Keep an index of keys, for `topics last`; `=false` drops it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) last_by_key: Option<bool>,
}
