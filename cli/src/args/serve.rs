//! What `footman serve` is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use footman_broker_grpc::Address;

use crate::args::limits::TopicLimits;
use crate::quantity::{parse_count, parse_duration, parse_positive_bytes, parse_positive_count};

/// Where a server listens, and is looked for, unless told otherwise.
pub(crate) const DEFAULT_ADDRESS: &str = "127.0.0.1:7420";

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
    /// A TOML file with settings, `-` is stdin; options and the environment come before it
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
    #[arg(long, env = "FOOTMAN_MAX_TOPICS", hide_env_values = true, value_name = "N", value_parser = parse_positive_count)]
    pub(crate) max_topics: Option<u64>,
    /// How much memory all topics together may take
    #[arg(long, env = "FOOTMAN_MEMORY", hide_env_values = true, value_name = "BYTES", value_parser = parse_positive_bytes)]
    pub(crate) memory: Option<u64>,
    /// How many connections there may be at once
    #[arg(long, env = "FOOTMAN_MAX_CONNECTIONS", hide_env_values = true, value_name = "N", value_parser = parse_positive_count)]
    pub(crate) max_connections: Option<u64>,
    /// How many subscriptions there may be at once
    #[arg(long, env = "FOOTMAN_MAX_SUBSCRIPTIONS", hide_env_values = true, value_name = "N", value_parser = parse_positive_count)]
    pub(crate) max_subscriptions: Option<u64>,
    /// How many threads serve connections; 0: as many as there are cores
    #[arg(long, env = "FOOTMAN_WORKERS", hide_env_values = true, value_name = "N", value_parser = parse_count)]
    pub(crate) workers: Option<u64>,
    /// How long a stop waits for clients to finish
    #[arg(long, env = "FOOTMAN_DRAIN_TIMEOUT", hide_env_values = true, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) drain_timeout: Option<Duration>,
    #[command(
        flatten,
        next_help_heading = "Limits of topics that do not say otherwise"
    )]
    pub(crate) topic_defaults: TopicLimits,
}
