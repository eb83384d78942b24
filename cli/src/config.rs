//! The settings of `footman serve`: what options and the environment say, then what a file says, then the
//! defaults.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use footman_broker_grpc::{Address, ServerOptions, ServerTls};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use crate::args::serve::{DEFAULT_ADDRESS, ServeArgs};
use crate::pem;
use crate::quantity::{
    AgeLimit, format_duration, format_exact_bytes, parse_age_limit, parse_bytes_limit, parse_count,
    parse_count_limit, parse_duration, parse_positive_bytes, parse_positive_count,
    parse_record_bytes,
};
use crate::server_limits::{self, Limit};

/// What a server is started with.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) listen: Vec<Address>,
    tls: TlsFiles,
    server: ServerOptions,
}

/// Where certificates and keys are.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct TlsFiles {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
}

impl TlsFiles {
    fn load(&self) -> Result<Option<ServerTls>> {
        let (cert, key) = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => (pem::read(cert)?, pem::read(key)?),
            (None, None) if self.client_ca.is_none() => return Ok(None),
            _ => bail!("TLS needs both a certificate (--tls-cert) and its key (--tls-key)"),
        };
        let tls = match &self.client_ca {
            None => ServerTls::from_pem(&cert, &key),
            Some(path) => ServerTls::from_pem_with_client_ca(&cert, &key, &pem::read(path)?),
        };
        Ok(Some(tls.context("TLS cannot be set up")?))
    }
}

impl Settings {
    /// The settings for `args` and the file that they name, which is stdin if its name is `-`.
    pub(crate) fn resolve(args: &ServeArgs) -> Result<Settings> {
        let Some(path) = &args.config else {
            return Settings::new(args, "");
        };
        let text = if path.as_os_str() == "-" {
            io::read_to_string(io::stdin())
        } else {
            fs::read_to_string(path)
        };
        text.map_err(anyhow::Error::from)
            .and_then(|text| Settings::new(args, &text))
            .with_context(|| format!("the settings in {}", path.display()))
    }

    /// The settings for `args` and the text of a file.
    pub(crate) fn new(args: &ServeArgs, text: &str) -> Result<Settings> {
        let file = File::parse(text)?;
        let listen = match file.listen {
            _ if !args.listen.is_empty() => args.listen.clone(),
            Some(listen) if !listen.is_empty() => listen,
            _ => vec![
                DEFAULT_ADDRESS
                    .parse()
                    .context("the default is an address")?,
            ],
        };
        let tls = TlsFiles {
            cert: args.tls_cert.clone().or(file.tls.cert),
            key: args.tls_key.clone().or(file.tls.key),
            client_ca: args.tls_client_ca.clone().or(file.tls.client_ca),
        };
        let FrontOfFile(mut server) = file.limits;
        for (name, given) in [
            ("max-connections", args.max_connections),
            ("max-subscriptions", args.max_subscriptions),
        ] {
            if let Some(count) = given {
                Limit::named(name)?.set(&mut server, &count.to_string())?;
            }
        }
        server.workers = match args.workers.or(file.workers) {
            Some(workers) => usize::try_from(workers).context("there cannot be so many workers")?,
            None => server.workers,
        };
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
        topics.max_record_bytes = limits
            .max_record
            .or(file.topics.max_record)
            .unwrap_or(topics.max_record_bytes);
        server.heartbeat = file.heartbeat.unwrap_or(server.heartbeat);
        server.drain_timeout = args
            .drain_timeout
            .or(file.drain_timeout)
            .unwrap_or(server.drain_timeout);
        server.cors_origins = match &args.cors_origin[..] {
            [] => file.cors_origin,
            given => given.to_vec(),
        };
        Ok(Settings {
            listen,
            tls,
            server,
        })
    }

    /// The server's options, with what is in the files that are named.
    pub(crate) fn server(&self) -> Result<ServerOptions> {
        let mut options = self.server.clone();
        options.tls = self.tls.load()?;
        Ok(options)
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
        writeln!(f, "listen = {}", list(&self.listen))?;
        writeln!(f, "cors-origin = {}", list(&self.server.cors_origins))?;
        writeln!(f, "auto-create = {}", broker.auto_create)?;
        writeln!(f, "max-topics = {}", broker.max_topics)?;
        writeln!(
            f,
            "memory = \"{}\"",
            format_exact_bytes(broker.max_memory_bytes)
        )?;
        writeln!(
            f,
            "drain-timeout = \"{}\"",
            format_duration(self.server.drain_timeout)
        )?;
        writeln!(
            f,
            "heartbeat = \"{}\"",
            format_duration(self.server.heartbeat)
        )?;
        writeln!(f, "workers = {}", self.server.workers)?;
        let tls = [
            ("cert", &self.tls.cert),
            ("key", &self.tls.key),
            ("client-ca", &self.tls.client_ca),
        ];
        writeln!(
            f,
            "\n# Files in PEM; without a certificate there is no TLS.\n[tls]"
        )?;
        for (name, path) in tls {
            if let Some(path) = path {
                writeln!(f, "{name} = {}", text(path.display()))?;
            }
        }
        writeln!(
            f,
            "\n# The limits of topics that do not say otherwise.\n[topics]"
        )?;
        writeln!(f, "records = {records}")?;
        writeln!(f, "bytes = \"{}\"", format_exact_bytes(topics.max_bytes))?;
        writeln!(f, "age = \"{age}\"")?;
        writeln!(
            f,
            "max-record = \"{}\"",
            format_exact_bytes(topics.max_record_bytes.into())
        )?;
        writeln!(
            f,
            "\n# What one peer, and all together, can make the server hold.\n[limits]"
        )?;
        server_limits::write(f, &self.server)
    }
}

/// A text as the file has it.
fn text(it: impl fmt::Display) -> String {
    toml::Value::String(it.to_string()).to_string()
}

fn list(items: &[impl fmt::Display]) -> String {
    let items: Vec<String> = items.iter().map(text).collect();
    format!("[{}]", items.join(", "))
}

/// A file of settings; each may be left out.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(deserialize_with = "addresses")]
    listen: Option<Vec<Address>>,
    cors_origin: Vec<String>,
    tls: TlsFiles,
    auto_create: Option<bool>,
    #[serde(deserialize_with = "positive_count")]
    max_topics: Option<u64>,
    #[serde(deserialize_with = "positive_bytes")]
    memory: Option<u64>,
    #[serde(deserialize_with = "duration")]
    drain_timeout: Option<Duration>,
    #[serde(deserialize_with = "positive_duration")]
    heartbeat: Option<Duration>,
    #[serde(deserialize_with = "count")]
    workers: Option<u64>,
    topics: TopicsOfFile,
    limits: FrontOfFile,
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
    #[serde(deserialize_with = "record_bytes")]
    max_record: Option<u32>,
}

/// The defaults of a server with the limits of a file.
#[derive(Debug, Default)]
struct FrontOfFile(ServerOptions);

impl<'de> Deserialize<'de> for FrontOfFile {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FrontOfFile::default())
    }
}

impl<'de> Visitor<'de> for FrontOfFile {
    type Value = FrontOfFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of limits")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut limits: A) -> Result<Self, A::Error> {
        while let Some(LimitName(limit)) = limits.next_key()? {
            limits.next_value_seed(SetLimit(limit, &mut self.0))?;
        }
        Ok(self)
    }
}

/// The name of a limit; the error is the name's, and so has its line.
struct LimitName(&'static Limit);

impl<'de> Deserialize<'de> for LimitName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Limit::named(&name).map(LimitName).map_err(D::Error::custom)
    }
}

/// Sets a limit to the value that is read.
struct SetLimit<'a>(&'static Limit, &'a mut ServerOptions);

impl<'de> DeserializeSeed<'de> for SetLimit<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let text = Amount::deserialize(from)?.into_text();
        let set = self.0.set(self.1, &text);
        set.map_err(|error| D::Error::custom(format!("{error:#}")))
    }
}

impl File {
    fn parse(text: &str) -> Result<File> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            anyhow!("line {line}: {}", error.message())
        })
    }
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

impl Amount {
    fn into_text(self) -> String {
        match self {
            Amount::Number(number) => number.to_string(),
            Amount::Text(text) => text,
        }
    }
}

fn amount<'de, D: Deserializer<'de>, T>(
    from: D,
    parse: fn(&str) -> Result<T>,
) -> Result<Option<T>, D::Error> {
    let text = Amount::deserialize(from)?.into_text();
    parse(&text).map(Some).map_err(D::Error::custom)
}

/// One address, or several.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Addresses {
    One(String),
    Several(Vec<String>),
}

fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Address>>, D::Error> {
    let given = match Addresses::deserialize(from)? {
        Addresses::One(address) => vec![address],
        Addresses::Several(addresses) => addresses,
    };
    let addresses: Result<Vec<Address>, _> = given.iter().map(|it| it.parse()).collect();
    addresses.map(Some).map_err(D::Error::custom)
}

fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    amount(from, parse_count)
}

fn count_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    amount(from, parse_count_limit)
}

fn positive_count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    amount(from, parse_positive_count)
}

fn positive_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    amount(from, parse_positive_bytes)
}

fn record_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    amount(from, parse_record_bytes)
}

fn bytes_limit<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    amount(from, parse_bytes_limit)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    amount(from, parse_duration)
}

fn positive_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    amount(from, |text| match parse_duration(text)? {
        Duration::ZERO => bail!("this must be longer than 0"),
        duration => Ok(duration),
    })
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
        let line = ["footman", "serve"]
            .into_iter()
            .chain(options.split_whitespace());
        let Command::Serve(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("serve")
        };
        Settings::new(&args, file)
    }

    #[test]
    fn what_is_printed_is_read_back_the_same() {
        let options = "--records 5k --bytes 1000001 --age 90m --max-record 2KiB --memory 3GiB --no-auto-create \
                       --max-topics 7 --drain-timeout 1500ms --listen 127.0.0.1:0 --listen unix:/a\"b \
                       --tls-cert c.pem --tls-key k.pem --cors-origin https://a.example --workers 3 \
                       --max-connections 70 --max-subscriptions 50";
        for options in ["", options, "--records unlimited --bytes unlimited"] {
            let file =
                "heartbeat = \"3s\"\n[limits]\nunsent = 1000001\nhandshake-timeout = \"1500ms\"";
            let printed = resolve(file, options).unwrap().to_string();
            assert_eq!(resolve(&printed, "").unwrap().to_string(), printed);
        }
    }

    #[test]
    fn an_option_comes_before_the_file_and_the_file_before_the_default() {
        let settings = resolve(
            "memory = \"2GiB\"\nworkers = 4\n[topics]\nrecords = 9\nbytes = \"1MiB\"\n\
             [limits]\nmax-connections = 9\nmax-subscriptions = 8",
            "--records 5 --max-connections 6",
        )
        .unwrap();
        assert_eq!(settings.server.workers, 4);
        assert_eq!(settings.server.limits.max_connections, 6);
        assert_eq!(settings.server.limits.max_subscriptions, 8);
        assert_eq!(settings.server.limits.max_calls, 65_536);
        let broker = &settings.server.broker;
        assert_eq!(broker.max_memory_bytes, 2 << 30);
        assert_eq!(broker.topic_defaults.max_records, 5);
        assert_eq!(broker.topic_defaults.max_bytes, 1 << 20);
        assert_eq!(settings.listen, [DEFAULT_ADDRESS.parse().unwrap()]);
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
            ("listen = \"here\"", "unix:PATH"),
            ("listen = [\"127.0.0.1:1\", \"here\"]", "line 1"),
            ("[tls]\ncrt = \"a\"", "crt"),
            ("[topics]\nmax-record = \"9GiB\"", "3MiB"),
            (
                "[limits]\nmax-calls = 1\nmax-cals = 1",
                "line 3: there is no limit \"max-cals\"",
            ),
            (
                "\n[limits]\nmax-frame = 1",
                "line 3: max-frame cannot be 1: ",
            ),
            ("memory = 0", "line 1: this must be at least 1"),
            ("max-topics = 0", "line 1: this must be at least 1"),
            ("heartbeat = \"0s\"", "line 1: this must be longer"),
        ] {
            let error = format!("{:#}", resolve(file, "").unwrap_err());
            assert!(error.contains(part), "{part:?} in {error}");
        }
    }
}
