//! The settings of `footman serve`: what options and the environment say, then what a file says, then the
//! defaults.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use footman_broker_grpc::ServerOptions;
use serde::de::{Deserialize, Deserializer, Error};

use crate::args::{DEFAULT_ADDRESS, ServeArgs};
use crate::quantity::{
    AgeLimit, format_bytes_limit, format_duration, parse_age_limit, parse_bytes, parse_bytes_limit,
    parse_count, parse_count_limit, parse_duration,
};

/// What a server is started with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) server: ServerOptions,
}

impl Settings {
    /// The settings for `args` and the file that they name.
    pub(crate) fn resolve(args: &ServeArgs) -> Result<Settings> {
        let file = match &args.config {
            Some(path) => {
                read(path).with_context(|| format!("the settings in {}", path.display()))?
            }
            None => File::default(),
        };
        let listen = match args.listen.or(file.listen) {
            Some(listen) => listen,
            None => DEFAULT_ADDRESS
                .parse()
                .context("the default is an address")?,
        };
        let mut server = ServerOptions::default();
        let broker = &mut server.broker;
        broker.auto_create = !args.no_auto_create && file.auto_create.unwrap_or(true);
        if let Some(topics) = args.max_topics.or(file.max_topics) {
            broker.max_topics =
                usize::try_from(topics).context("there cannot be so many topics")?;
        }
        broker.max_memory_bytes = args
            .memory
            .or(file.memory)
            .unwrap_or(broker.max_memory_bytes);
        let (limits, topics) = (&args.topic_defaults, &mut broker.topic_defaults);
        topics.max_records = limits
            .records
            .or(file.topics.records)
            .unwrap_or(topics.max_records);
        topics.max_bytes = limits
            .bytes
            .or(file.topics.bytes)
            .unwrap_or(topics.max_bytes);
        topics.max_age = limits
            .age
            .or(file.topics.age)
            .map_or(topics.max_age, |age| age.0);
        if let Some(bytes) = limits.max_record.or(file.topics.max_record) {
            topics.max_record_bytes = max_record_bytes(bytes)?;
        }
        server.drain_timeout = args
            .drain_timeout
            .or(file.drain_timeout)
            .unwrap_or(server.drain_timeout);
        Ok(Settings { listen, server })
    }
}

/// `--max-record` as a broker takes it.
pub(crate) fn max_record_bytes(bytes: u64) -> Result<u32> {
    match u32::try_from(bytes) {
        Ok(bytes) => Ok(bytes),
        Err(_) => {
            bail!("the largest record cannot be {bytes} bytes: 3MiB is the most there can be")
        }
    }
}

/// The settings in the form of a file of them, exact.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let broker = &self.server.broker;
        let topics = &broker.topic_defaults;
        let records = match topics.max_records {
            u64::MAX => "\"unlimited\"".to_owned(),
            records => records.to_string(),
        };
        let age = topics
            .max_age
            .map_or_else(|| "unlimited".to_owned(), format_duration);
        writeln!(f, "listen = \"{}\"", self.listen)?;
        writeln!(f, "auto-create = {}", broker.auto_create)?;
        writeln!(f, "max-topics = {}", broker.max_topics)?;
        writeln!(f, "memory = \"{}\"", exact_bytes(broker.max_memory_bytes))?;
        writeln!(
            f,
            "drain-timeout = \"{}\"",
            format_duration(self.server.drain_timeout)
        )?;
        writeln!(
            f,
            "\n# The limits of topics that do not say otherwise.\n[topics]"
        )?;
        writeln!(f, "records = {records}")?;
        writeln!(f, "bytes = \"{}\"", exact_bytes(topics.max_bytes))?;
        writeln!(f, "age = \"{age}\"")?;
        writeln!(
            f,
            "max-record = \"{}\"",
            exact_bytes(topics.max_record_bytes.into())
        )
    }
}

/// Bytes for people where that says all, else their number.
fn exact_bytes(bytes: u64) -> String {
    let text = format_bytes_limit(bytes);
    match parse_bytes_limit(&text) {
        Ok(read_back) if read_back == bytes => text,
        _ => bytes.to_string(),
    }
}

/// A file of settings; each may be left out.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    listen: Option<SocketAddr>,
    auto_create: Option<bool>,
    #[serde(deserialize_with = "count")]
    max_topics: Option<u64>,
    #[serde(deserialize_with = "bytes")]
    memory: Option<u64>,
    #[serde(deserialize_with = "duration")]
    drain_timeout: Option<Duration>,
    topics: TopicsOfFile,
}

/// The limits of topics in a file.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct TopicsOfFile {
    #[serde(deserialize_with = "count_limit")]
    records: Option<u64>,
    #[serde(deserialize_with = "bytes_limit")]
    bytes: Option<u64>,
    #[serde(deserialize_with = "age_limit")]
    age: Option<AgeLimit>,
    #[serde(deserialize_with = "bytes")]
    max_record: Option<u64>,
}

fn read(path: &Path) -> Result<File> {
    let text = fs::read_to_string(path)?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        anyhow!("line {line}: {}", error.message())
    })
}

/// The number, from 1, of the line that the byte at `at` is in.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// An amount as the options take it, or a plain number.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Amount {
    Number(u64),
    Text(String),
}

fn amount<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: fn(&str) -> Result<T>,
) -> Result<Option<T>, D::Error> {
    let text = match Amount::deserialize(from)? {
        Amount::Number(number) => number.to_string(),
        Amount::Text(text) => text,
    };
    parse(&text).map(Some).map_err(D::Error::custom)
}

fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    amount(from, parse_count)
}

fn count_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    amount(from, parse_count_limit)
}

fn bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    amount(from, parse_bytes)
}

fn bytes_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    amount(from, parse_bytes_limit)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    amount(from, parse_duration)
}

fn age_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<AgeLimit>, D::Error> {
    amount(from, parse_age_limit)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn resolve(file: &str, options: &str) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("footman.toml");
        fs::write(&path, file).unwrap();
        let path = path.to_str().unwrap();
        let line = ["footman", "serve", "--config", path]
            .into_iter()
            .chain(options.split_whitespace());
        let Command::Serve(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("serve")
        };
        Settings::resolve(&args)
    }

    #[test]
    fn what_is_printed_is_read_back_the_same() {
        let options = "--records 5k --bytes 1000001 --age 90m --max-record 2KiB --memory 3GiB --no-auto-create \
                       --max-topics 7 --drain-timeout 1500ms --listen 127.0.0.1:0";
        for options in ["", options, "--records unlimited --bytes unlimited"] {
            let printed = resolve("", options).unwrap().to_string();
            assert_eq!(resolve(&printed, "").unwrap().to_string(), printed);
        }
    }

    #[test]
    fn an_option_comes_before_the_file_and_the_file_before_the_default() {
        let settings = resolve(
            "memory = \"2GiB\"\n[topics]\nrecords = 9\nbytes = \"1MiB\"",
            "--records 5",
        )
        .unwrap();
        let broker = &settings.server.broker;
        assert_eq!(broker.max_memory_bytes, 2 << 30);
        assert_eq!(broker.topic_defaults.max_records, 5);
        assert_eq!(broker.topic_defaults.max_bytes, 1 << 20);
        assert_eq!(settings.listen.to_string(), DEFAULT_ADDRESS);
        assert!(broker.auto_create);
    }

    #[test]
    fn what_a_file_cannot_say_is_named_with_its_line() {
        for (file, part) in [
            ("memory = 1\nmemmory = 2", "memmory"),
            (
                "max-topics = 3\nmemory = \"2 apples\"",
                "line 2: \"2 apples\"",
            ),
            ("[topics]\nrecords = 0", "at least 1"),
            ("listen = \"here\"", "line 1"),
            ("[topics]\nmax-record = \"9GiB\"", "3MiB"),
        ] {
            let error = format!("{:#}", resolve(file, "").unwrap_err());
            assert!(error.contains(part), "{part:?} in {error}");
        }
    }
}
