//! The command line: every command, option and help text, and nothing that acts on them.

pub(crate) mod bench;
pub(crate) mod consume;
pub(crate) mod limits;
pub(crate) mod listing;
pub(crate) mod produce;
pub(crate) mod serve;
pub(crate) mod top;
pub(crate) mod topics;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use bench::BenchCommand;
use consume::ConsumeArgs;
use listing::ListingArgs;
use produce::ProduceArgs;
use serve::{DEFAULT_ADDRESS, ServeArgs};
use top::TopArgs;
use topics::TopicsCommand;

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

impl Cli {
    /// Reads the command line of this process; ends it where that is wrong, or only asks for help.
    pub(crate) fn read() -> Cli {
        Cli::from_words(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn from_words<T>(words: impl IntoIterator<Item = T>) -> Result<Cli, clap::Error>
    where
        T: Into<OsString> + Clone,
    {
        let cli = Cli::try_parse_from(words)?;
        if let Command::Consume(args) = &cli.command
            && let Err(what) = args.check()
        {
            let mut all = Cli::command();
            all.build();
            let consume = all.find_subcommand_mut("consume");
            let consume = consume.expect("the command was just read");
            return Err(consume.error(ErrorKind::ValueValidation, what));
        }
        Ok(cli)
    }
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

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  footman info --server 127.0.0.1:7420 --output json")]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    pub(crate) output: ListingArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  footman demo")]
pub(crate) struct DemoArgs {
    /// How long to produce
    #[arg(long, hide = true, default_value = "8", value_name = "SECONDS")]
    pub(crate) seconds: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Framing;
    use crate::start::Start;
    use jiff::Timestamp;
    use produce::ByteString;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::from_words(std::iter::once("footman").chain(line.split(' ')))
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
            let starts: Vec<_> = args.starts(Timestamp::UNIX_EPOCH).collect();
            assert_eq!(starts, [("t", Start::Last(10))], "{line}");
        }
    }

    #[test]
    fn each_topic_may_have_a_start_of_its_own() {
        for (options, starts) in [
            ("", [Start::Earliest, Start::Earliest]),
            (" --from b=7", [Start::Earliest, Start::Offset(7)]),
            (
                " --from b=-1 --from latest",
                [Start::Latest, Start::Last(1)],
            ),
            (" --since 1s", [Start::Timestamp(-1_000_000); 2]),
        ] {
            let Command::Consume(args) = parse(&format!("consume a b{options}")).unwrap().command
            else {
                panic!("{options}")
            };
            let found: Vec<_> = args.starts(Timestamp::UNIX_EPOCH).collect();
            assert_eq!(found, [("a", starts[0]), ("b", starts[1])], "{options}");
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
            "consume t --from other=1",
            "consume t --from t=1 --from t=2",
            "consume t --from 1 --from 2",
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
