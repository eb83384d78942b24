//! What `footman produce` is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::input::{Framing, parse_delimiter};
use crate::quantity::parse_duration;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  footman produce logs < app.log
  tail -f app.log | footman produce logs
  footman produce users --key-separator : users.txt
  footman produce images --framing whole photo.jpg

A line is a record; LF or CRLF is no part of it. Exits with 0 only if the server
has acknowledged every record; what is sent again after a lost connection is
recognised by the server and not stored twice.")]
pub(crate) struct ProduceArgs {
    /// The topic; the server creates it unless told not to
    pub(crate) topic: String,
    /// Files to read, one after the other; `-` or none is stdin
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) framing: FramingArgs,
    /// Split each record at the first SEPARATOR into key and value
    #[arg(long, value_name = "SEPARATOR", value_parser = parse_byte_string, conflicts_with = "key")]
    pub(crate) key_separator: Option<ByteString>,
    /// Give each record this key
    #[arg(long, short)]
    pub(crate) key: Option<String>,
    /// Give each record this header; may be repeated
    #[arg(long, short = 'H', value_name = "NAME=VALUE", value_parser = parse_header)]
    pub(crate) header: Vec<(String, String)>,
    /// Longest wait for a batch to fill
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) linger: Option<Duration>,
    /// Give up on records that the server has not acknowledged within this time
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) delivery_timeout: Option<Duration>,
    /// Write nothing on stderr but errors
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// How records lie in the input.
#[derive(Debug, Args)]
pub(crate) struct FramingArgs {
    /// How records lie in the input: a line each, a u32 big-endian length before each, or one in all
    #[arg(long, value_enum, default_value_t = FramingName::Lines)]
    pub(crate) framing: FramingName,
    /// What ends a record instead of a line's end; \n, \t, \0 and \xHH stand for bytes
    #[arg(long, short, value_name = "BYTES", value_parser = parse_byte_string, conflicts_with = "framing")]
    pub(crate) delimiter: Option<ByteString>,
}

impl FramingArgs {
    pub(crate) fn framing(&self) -> Framing {
        match (&self.delimiter, self.framing) {
            (Some(ByteString(bytes)), _) => Framing::Delimiter(bytes.clone()),
            (None, FramingName::Lines) => Framing::Lines,
            (None, FramingName::Length) => Framing::Length,
            (None, FramingName::Whole) => Framing::Whole,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum FramingName {
    /// A line each; LF or CRLF ends it
    Lines,
    /// A u32 big-endian length, then as many bytes
    Length,
    /// A whole file is one record
    Whole,
}

/// Bytes typed with escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ByteString(pub Vec<u8>);

fn parse_byte_string(text: &str) -> anyhow::Result<ByteString> {
    parse_delimiter(text).map(ByteString)
}

fn parse_header(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => anyhow::bail!("a header is NAME=VALUE"),
    }
}
