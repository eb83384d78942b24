//! The hostile world, against the real `footman serve`: peers that attack, that never read, that send what is none; servers that
//! are stopped, killed, suspended and short of memory. Every case prints its figures, beside a peer that does nothing wrong.
//!
//! The peers need our client: the task builds itself again with the feature `hostile`, and goes on there.

#[cfg(feature = "hostile")]
mod attack;
#[cfg(feature = "hostile")]
mod case;
#[cfg(feature = "hostile")]
mod flood;
#[cfg(feature = "hostile")]
#[path = "../../broker-grpc/tests/harness/frames.rs"]
mod frames;
#[cfg(feature = "hostile")]
mod healthy;
#[cfg(feature = "hostile")]
mod odd;
#[cfg(feature = "hostile")]
mod pause;
#[cfg(feature = "hostile")]
mod slow;
#[cfg(feature = "hostile")]
mod stop;
#[cfg(feature = "hostile")]
mod stuck;

/// Attacks a server, and prints what that did to it, to its memory, and to a peer that does nothing wrong.
///
/// A case fails if the server ends, holds more than 32 MiB over what it held before, does not cut those off who must be, or breaks
/// the ledger of anybody. The healthy peer's rate and its 99th percentile are printed, not judged: machines are shared.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask hostile
  cargo xtask hostile rapid-reset
  cargo xtask hostile stop --repetitions 1000
  cargo xtask hostile --quick")]
pub(crate) struct Flags {
    /// Only the cases whose name contains this
    case: Option<String>,
    /// A debug build, short attacks, and without the cases that wait for long time-outs
    #[arg(long)]
    quick: bool,
    /// A debug build of the server and its peers: it is there at once, and slower
    #[arg(long)]
    debug: bool,
    /// How often a server is stopped, and killed, under load
    #[arg(long, default_value_t = 200)]
    repetitions: u32,
    /// Name the cases, and run none
    #[arg(long)]
    list: bool,
}

impl Flags {
    fn is_debug(&self) -> bool {
        self.quick || self.debug
    }
}

#[cfg(feature = "hostile")]
pub(crate) use case::run;

/// Runs this same task from a build that has the peers.
#[cfg(not(feature = "hostile"))]
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let mut again = crate::command::cargo();
    again.args(["run", "--quiet", "--locked", "--package", "xtask"]);
    if !flags.is_debug() {
        again.arg("--release");
    }
    again.args(["--features", "hostile", "--", "hostile"]);
    again.args(&flags.case);
    again.arg(format!("--repetitions={}", flags.repetitions));
    again.args(flags.quick.then_some("--quick"));
    again.args(flags.debug.then_some("--debug"));
    again.args(flags.list.then_some("--list"));
    crate::command::run(&mut again)
}
