//! The limits of a topic, wherever they are given.

use clap::Args;

use crate::quantity::{
    AgeLimit, parse_age_limit, parse_bytes_limit, parse_count_limit, parse_record_bytes,
};

/// The limits of a topic; each left out keeps what it is or what the server's default is.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TopicLimits {
    /// Records to keep: a count (`1M`) or `unlimited`
    #[arg(long, value_name = "N", value_parser = parse_count_limit)]
    pub(crate) records: Option<u64>,
    /// Bytes to keep: an amount (`256MiB`) or `unlimited`
    #[arg(long, value_name = "N", value_parser = parse_bytes_limit)]
    pub(crate) bytes: Option<u64>,
    /// Age to keep records for: a duration (`30s`, `1h30m`) or `unlimited`
    #[arg(long, value_name = "DURATION", value_parser = parse_age_limit)]
    pub(crate) age: Option<AgeLimit>,
    /// Largest record to take, at most 3MiB
    #[arg(long, value_name = "BYTES", value_parser = parse_record_bytes)]
    pub(crate) max_record: Option<u32>,
}
