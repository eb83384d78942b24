//! The loom models: every interleaving of each ordering, and for each model a twin that must fail.

use crate::{
    command::{self, command},
    models,
};
use anyhow::Result;
use std::time::Instant;

/// Runs the loom models, then each twin.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask loom
  cargo xtask loom --package ringbuf-core --preemptions 2")]
pub(crate) struct Flags {
    /// Only this package
    #[arg(long, short)]
    package: Option<String>,
    /// Preemptions that loom explores in each thread
    #[arg(long, default_value_t = 3)]
    preemptions: u8,
    /// Only the models, not the twins
    #[arg(long)]
    no_twins: bool,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            package: None,
            preemptions: 3,
            no_twins: false,
        }
    }
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    let package = flags.package.as_deref();
    models::each("loom", package, |modelled, models| {
        let started = Instant::now();
        command::run(
            command(models)
                .arg("loom")
                .env("LOOM_MAX_PREEMPTIONS", flags.preemptions.to_string()),
        )?;
        println!(
            "{}: models hold, in {:.1?}",
            modelled.package,
            started.elapsed()
        );
        if flags.no_twins {
            return Ok(());
        }
        modelled.fail_all(|twin, test| {
            let mut run = modelled.twin(models, twin, test);
            run.env("LOOM_MAX_PREEMPTIONS", flags.preemptions.to_string());
            modelled.ensure_failed(&run.output()?, twin, test)
        })
    })
}
