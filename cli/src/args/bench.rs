//! What `footman bench` is told.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::args::listing::Listing;
use crate::quantity::{parse_bytes, parse_count, parse_duration};

/// What `bench` measures.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Produces as fast as the server takes it, or at a rate; also: how long an acknowledgement takes meanwhile
    #[command(after_help = "\
Examples:
  footman bench produce
  footman bench produce --records 10M --size 16
  footman bench produce --producers 4 --rate 100k --duration 30s --output json")]
    Produce {
        #[command(flatten)]
        load: LoadArgs,
        /// Producers, each on a connection of its own
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
        producers: u16,
    },
    /// Reads what a topic holds, by many subscribers at once
    #[command(after_help = "\
Examples:
  footman bench produce --records 1M && footman bench subscribe
  footman bench subscribe --subscribers 64
  footman bench subscribe --topic logs --records 100k --output json

Each subscriber reads from the oldest record kept to what was the end when it
started, or up to --records or for --duration.")]
    Subscribe {
        #[command(flatten)]
        run: RunArgs,
        /// Subscribers, each on a connection of its own
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        subscribers: u16,
    },
    /// Produces at a rate and says how long records take to their subscribers
    #[command(after_help = "\
Examples:
  footman bench latency
  footman bench latency --rate 10k --subscribers 8 --duration 1m
  footman bench latency --linger 0s --output json

A record's time begins when it is due, so that a server that holds up the producer
is not flattered, and ends when the subscriber has it. Both are in this process.")]
    Latency {
        #[command(flatten)]
        load: LoadArgs,
        /// Subscribers, each on a connection of its own
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        subscribers: u16,
    },
}

/// How long a bench runs, and where.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The topic
    #[arg(long, default_value = "bench")]
    pub(crate) topic: String,
    /// End after so many records (of each subscriber)
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = parse_count)]
    pub(crate) records: Option<u64>,
    /// End after this time [default: 10s; a subscriber: none]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) duration: Option<Duration>,
    /// What to write
    #[arg(long, short, value_enum, default_value_t = Listing::Text)]
    pub(crate) output: Listing,
}

/// What a bench produces.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Records a second in all [default: as fast as they are taken; latency: 1k]
    #[arg(long, value_name = "N", value_parser = parse_count)]
    pub(crate) rate: Option<u64>,
    /// Bytes of each value
    #[arg(long, value_name = "BYTES", default_value = "128", value_parser = parse_bytes)]
    pub(crate) size: u64,
    /// Longest wait for a batch to fill
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) linger: Option<Duration>,
}
