//! The command line: every command, option and help text, and nothing that acts on them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use footman_broker_grpc::Address;

use crate::input::{Framing, parse_delimiter};
use crate::output::{Field, Format};
use crate::quantity::{
    AgeLimit, parse_age_limit, parse_bytes, parse_bytes_limit, parse_count, parse_count_limit,
    parse_duration,
};
use crate::screen::Order;
use crate::start::Start;
use crate::template::Template;

/// Where a server listens, and is looked for, unless told otherwise.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:7420";

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed: one line on stderr says what failed and what to do
  2    wrong usage
  130  interrupted (Ctrl-C or SIGTERM) before it was done

Environment:
  FOOTMAN_SERVER   the server to talk to, as --server
  FOOTMAN_LISTEN, FOOTMAN_MEMORY, … options of `serve`, as its --help says
  RUST_LOG         what to log on stderr, as in RUST_LOG=footman=debug

Try it:
  footman demo";

/// Kafka in memory: topics that many can follow, each at its own pace, and that never wait for any.
#[derive(Debug, Parser)]
#[command(name = "footman", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The server to talk to, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct ServerArgs {
    /// The server to talk to: HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(long = "server", value_name = "ADDR", env = "FOOTMAN_SERVER", hide_env_values = true, default_value = DEFAULT_ADDRESS, global = true)]
    pub(crate) address: String,
    /// Trust servers that show a certificate signed by one of FILE (PEM), instead of those that the system trusts
    #[arg(
        long,
        value_name = "FILE",
        env = "FOOTMAN_CA",
        hide_env_values = true,
        global = true
    )]
    pub(crate) ca: Option<PathBuf>,
    /// Show the certificate in FILE (PEM, with its key) to servers that ask for one
    #[arg(
        long,
        value_name = "FILE",
        env = "FOOTMAN_IDENTITY",
        hide_env_values = true,
        global = true
    )]
    pub(crate) identity: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a server until Ctrl-C or SIGTERM
    Serve(ServeArgs),
    /// Produces records into a topic, from files or stdin
    Produce(ProduceArgs),
    /// Writes the records of topics to stdout
    Consume(ConsumeArgs),
    /// Creates, lists, describes, updates, deletes and purges topics
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Shows live what goes on: rates, lag, what was lost, and how long until more is
    Top(TopArgs),
    /// Measures a running server: producing, subscribing, latency
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Says what a server is and holds
    Info(InfoArgs),
    /// Shows in ten seconds what this is: server and clients in one process, real text, one consumer lapped
    Demo(DemoArgs),
    /// Writes the completions for a shell to stdout
    #[command(
        after_help = "Example:\n  footman completions bash > ~/.local/share/bash-completion/completions/footman"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Writes the manual pages into a folder, one a command
    #[command(after_help = "Example:\n  footman man ~/.local/share/man/man1")]
    Man {
        /// The folder; it must exist
        folder: PathBuf,
    },
}

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
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) max_record: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  footman serve
  footman serve --listen 0.0.0.0:7420 --memory 4GiB
  footman serve --records 1M --age 10m --no-auto-create
  footman serve --listen 127.0.0.1:7420 --listen unix:/run/footman.sock
  footman serve --listen 0.0.0.0:7420 --tls-cert server.pem --tls-key server.key
  footman serve --cors-origin https://example.org
  footman serve --print-config > footman.toml
  footman serve --config footman.toml

When it serves it says `listening on ADDR` on stderr, a line for each. Without TLS,
those who can reach the port can read and write every topic. Who may connect to a
Unix socket is decided by the permissions of its folder and by the umask; what a
killed server left there is replaced. Browsers are refused unless their page's
origin is named, other programs that speak gRPC-web are not. Ctrl-C or SIGTERM drains:
subscribers are told where to go on, then it exits with 0; a second signal exits
at once.")]
pub(crate) struct ServeArgs {
    /// Where to listen: IP:PORT (port 0 takes a free one) or unix:PATH; may be repeated [default: 127.0.0.1:7420]
    #[arg(
        long,
        value_name = "ADDR",
        env = "FOOTMAN_LISTEN",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) listen: Vec<Address>,
    /// Speak TLS on TCP with this certificate, those that lead to its root after it (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "FOOTMAN_TLS_CERT",
        hide_env_values = true
    )]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "FOOTMAN_TLS_KEY",
        hide_env_values = true
    )]
    pub(crate) tls_key: Option<PathBuf>,
    /// Let in only clients that show a certificate signed by one of these (PEM)
    #[arg(
        long,
        value_name = "FILE",
        env = "FOOTMAN_TLS_CLIENT_CA",
        hide_env_values = true
    )]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Let pages from this origin (https://HOST, or * for all) call by gRPC-web; may be repeated
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "FOOTMAN_CORS_ORIGIN",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) cors_origin: Vec<String>,
    /// A TOML file with settings; options and the environment come before it
    #[arg(
        long,
        value_name = "FILE",
        env = "FOOTMAN_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Write the settings that would be used, in the form of that file, and end
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Refuse unknown topics instead of creating them on first use
    #[arg(long, env = "FOOTMAN_NO_AUTO_CREATE", hide_env_values = true)]
    pub(crate) no_auto_create: bool,
    /// How many topics there may be
    #[arg(long, env = "FOOTMAN_MAX_TOPICS", hide_env_values = true, value_name = "N", value_parser = parse_count)]
    pub(crate) max_topics: Option<u64>,
    /// How much memory all topics together may take
    #[arg(long, env = "FOOTMAN_MEMORY", hide_env_values = true, value_name = "BYTES", value_parser = parse_bytes)]
    pub(crate) memory: Option<u64>,
    /// How long a stop waits for clients to finish
    #[arg(long, env = "FOOTMAN_DRAIN_TIMEOUT", hide_env_values = true, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) drain_timeout: Option<Duration>,
    #[command(
        flatten,
        next_help_heading = "Limits of topics that do not say otherwise"
    )]
    pub(crate) topic_defaults: TopicLimits,
}

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

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  footman consume logs
  footman consume logs --from latest
  footman consume logs --from -10 --no-follow
  footman consume logs errors --since 5m --output json
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
    /// Where to start
    #[arg(
        long,
        default_value = "earliest",
        allow_hyphen_values = true,
        conflicts_with = "since"
    )]
    pub(crate) from: Start,
    /// Start with what is not older than this
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) since: Option<Duration>,
    /// Stop after this many records
    #[arg(long, short = 'n', value_name = "COUNT", value_parser = parse_count)]
    pub(crate) count: Option<u64>,
    /// Stop at what was the end when it started
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
        output: TopicOutput,
    },
    /// Lists the topics
    #[command(after_help = "Example:\n  footman topics list --output json | jq .name")]
    List {
        #[command(flatten)]
        output: TopicOutput,
    },
    /// Shows all about a topic
    #[command(after_help = "Example:\n  footman topics describe logs")]
    Describe {
        /// The topic
        name: String,
        #[command(flatten)]
        output: TopicOutput,
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
        output: TopicOutput,
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
        output: TopicOutput,
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
        output: TopicOutput,
    },
}

/// How topics are written.
#[derive(Debug, Args)]
pub(crate) struct TopicOutput {
    /// What to write
    #[arg(long, short, value_enum, default_value_t = TopicFormat::Text)]
    pub(crate) output: TopicFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TopicFormat {
    /// For people
    Text,
    /// One JSON object a topic and line
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  footman top
  footman top orders. --sort lag
  footman top --once
  footman top --output json | jq '.subscriptions[] | select(.lost > 0)'

Keys: q quit, ↑ ↓ select a topic, whose subscriptions are shown below, s next
sort, r reverse, p pause.

Headroom is how long it takes, at the present rate, until the subscription that is
furthest behind loses records. LOST counts from a subscription's start.
Without a terminal, or with --once or JSON, it writes one table and ends.")]
pub(crate) struct TopArgs {
    /// Only topics whose names begin so
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// How often to look; rates are over this time
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    pub(crate) interval: Duration,
    /// The order of the topics
    #[arg(long, value_enum, default_value_t = Order::Rate)]
    pub(crate) sort: Order,
    /// Write one table and end
    #[arg(long)]
    pub(crate) once: bool,
    /// What to write; JSON is one object, once
    #[arg(long, short, value_enum, default_value_t = TopicFormat::Text)]
    pub(crate) output: TopicFormat,
}

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
    #[arg(long, short, value_enum, default_value_t = TopicFormat::Text)]
    pub(crate) output: TopicFormat,
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

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  footman info --server 127.0.0.1:7420 --output json")]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) output: TopicOutput,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  footman demo")]
pub(crate) struct DemoArgs {
    /// How long to produce
    #[arg(long, hide = true, default_value = "8", value_name = "SECONDS")]
    pub(crate) seconds: u64,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("footman").chain(line.split(' ')))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_start_may_look_like_an_option() {
        for line in ["consume t --from -10", "consume t --from=-10"] {
            let Command::Consume(args) = parse(line).unwrap().command else {
                panic!("{line}")
            };
            assert_eq!(args.from, Start::Last(10), "{line}");
        }
    }

    #[test]
    fn the_server_may_be_named_before_or_after_the_command() {
        for line in [
            "--server h:1 consume t",
            "consume t --server h:1",
            "topics list --server h:1",
        ] {
            assert_eq!(parse(line).unwrap().server.address, "h:1");
        }
    }

    #[test]
    fn a_delimiter_and_a_separator_take_escapes() {
        let Command::Produce(args) = parse(r"produce t -d \0 --key-separator \t -H a=b=c -")
            .unwrap()
            .command
        else {
            panic!("produce")
        };
        assert_eq!(args.framing.framing(), Framing::Delimiter(vec![0]));
        assert_eq!(args.key_separator, Some(ByteString(vec![b'\t'])));
        assert_eq!(args.header, [("a".to_owned(), "b=c".to_owned())]);
        assert_eq!(args.files, [PathBuf::from("-")]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            "consume",
            "consume t --from 1 --since 5m",
            "consume t --from soon",
            "consume t -n x",
            "consume t --format %q",
            "consume t --format %v --output json",
            "produce t --framing length --delimiter x",
            "produce t --key a --key-separator :",
            "produce t -H novalue",
            "topics create",
            "topics create t --records 0",
            "serve --listen nowhere",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
