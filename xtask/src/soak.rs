//! Hours of ordinary life: a server, topics that fill, subscribers that come, are lapped and go. What a server leaks shows as a
//! slope of its memory, or in descriptors and threads that do not come back.
//!
//! The load needs our client: the task builds itself again with the feature `soak`, and goes on there.

#[cfg(feature = "soak")]
mod load;

/// Runs a server under producers and churning subscribers, each of which checks what it is given, and watches the server's
/// memory, descriptors and threads.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask soak --minutes 3
  cargo xtask soak --topics 10 --subscribers 50 --rate 100000")]
pub(crate) struct Flags {
    /// For how long
    #[arg(long, default_value_t = 60)]
    minutes: u32,
    /// Topics that are produced to
    #[arg(long, default_value_t = 100)]
    topics: usize,
    /// Subscribers at any time
    #[arg(long, default_value_t = 500)]
    subscribers: usize,
    /// Records produced in a second, over all topics
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
}

#[cfg(feature = "soak")]
pub(crate) use load::run;

/// Runs this same task from a build that has the client.
#[cfg(not(feature = "soak"))]
pub(crate) fn run(_flags: &Flags) -> anyhow::Result<()> {
    let mut again = crate::command::cargo();
    again.args([
        "run",
        "--quiet",
        "--release",
        "--locked",
        "--package",
        "xtask",
    ]);
    again.args(["--features", "soak", "--"]);
    crate::command::run(again.args(std::env::args_os().skip(1)))
}
