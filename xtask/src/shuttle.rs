//! Scenarios past loom's size, in random schedules and in schedules of PCT, and for each a twin that must fail.
//!
//! A schedule that fails is written into a file, which [`replay`](Flags::replay) runs again.

use crate::{
    command::{self, command, target},
    models::{self, Modelled},
};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// Schedules in which a twin must have failed.
const TWIN_SCHEDULES: usize = 20_000;

/// Runs every scenario in many schedules, half random and half PCT, then each twin.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask shuttle
  cargo xtask shuttle --package footman-broker --iterations 1000000
  cargo xtask shuttle --seed 7")]
pub(crate) struct Flags {
    /// Only the scenarios whose name contains this
    scenario: Option<String>,
    /// Only this package
    #[arg(long, short)]
    package: Option<String>,
    /// Schedules for each scenario
    #[arg(long, short, default_value_t = SCHEDULES)]
    iterations: usize,
    /// Draw the schedules from this, to have the same ones again
    #[arg(long)]
    seed: Option<u64>,
    /// Run this schedule alone: a file that a failure has left; name the package and the scenario too
    #[arg(long, value_name = "FILE", requires = "package", requires = "scenario")]
    replay: Option<PathBuf>,
    /// Only the scenarios, not the twins
    #[arg(long)]
    no_twins: bool,
}

/// What CI can afford.
const SCHEDULES: usize = 20_000;

impl Default for Flags {
    fn default() -> Self {
        Self {
            scenario: None,
            package: None,
            iterations: SCHEDULES,
            seed: None,
            replay: None,
            no_twins: false,
        }
    }
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    let wanted = flags.scenario.as_deref().unwrap_or("shuttle_");
    let package = flags.package.as_deref();
    models::each("shuttle", package, |modelled, program| {
        if let Some(schedule) = &flags.replay {
            let schedule = fs::canonicalize(schedule)
                .with_context(|| format!("there is no {}", schedule.display()))?;
            return command::run(
                command(program)
                    .args([wanted, "--nocapture"])
                    .env("SCHEDULES_REPLAY", schedule),
            );
        }
        hold(modelled, program, wanted, flags)?;
        if flags.no_twins || flags.scenario.is_some() {
            return Ok(());
        }
        modelled.fail_all(|twin, test| must_fail(modelled, program, twin, test))
    })
}

/// Runs the scenarios, which must hold.
fn hold(modelled: Modelled, program: &Path, wanted: &str, flags: &Flags) -> Result<()> {
    let package = modelled.package;
    let failures = target().join("shuttle").join("failures").join(package);
    if failures.exists() {
        fs::remove_dir_all(&failures)?;
    }
    fs::create_dir_all(&failures)?;
    let mut scenarios = command(program);
    scenarios
        .arg(wanted)
        .env("SCHEDULES", flags.iterations.to_string())
        .env("SCHEDULES_FAILURES", &failures);
    if let Some(seed) = flags.seed {
        scenarios.env("SHUTTLE_RANDOM_SEED", seed.to_string());
    }
    let started = Instant::now();
    let held = command::run(&mut scenarios);
    if held.is_err()
        && let Some(schedule) = first_file(&failures)?
    {
        bail!(
            "{package}: a scenario fails; run that schedule again with\n  cargo xtask shuttle --package {package} --replay {} SCENARIO",
            schedule.display()
        );
    }
    held?;
    println!(
        "{package}: scenarios hold in {} schedules each, in {:.1?}",
        flags.iterations,
        started.elapsed()
    );
    Ok(())
}

/// Expects the twin's scenario to fail, and to fail again in the schedule that is then replayed.
fn must_fail(modelled: Modelled, program: &Path, twin: &str, test: &str) -> Result<()> {
    let failures = tempfile::tempdir()?;
    let run = |name: &str, value: &str| {
        modelled
            .twin(program, twin, test)
            .env("SCHEDULES_FAILURES", failures.path())
            .env(name, value)
            .output()
    };
    let output = run("SCHEDULES", &TWIN_SCHEDULES.to_string())?;
    modelled.ensure_failed(&output, twin, test)?;
    let schedule = first_file(failures.path())?
        .with_context(|| format!("{}: {test} failed and left no schedule", modelled.package))?;
    let again = run("SCHEDULES_REPLAY", &schedule.to_string_lossy())?;
    ensure!(
        !again.status.success(),
        "{}: twin {twin} fails {test}, but not in the replay of its schedule",
        modelled.package
    );
    Ok(())
}

fn first_file(folder: &Path) -> Result<Option<PathBuf>> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    Ok(files.into_iter().next())
}
