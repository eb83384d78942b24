//! The loom models: every interleaving of each ordering, and for each model a twin that must fail.
//!
//! A crate that has models lists its twins in `loom-twins.txt`: a line holds the twin's name and the
//! test that must fail once the twin weakens its ordering or leaves its check out. The twin is chosen
//! by `--cfg loom_twin="name"`, given to that crate alone, so that nothing else is built again.

use crate::command::{self, cargo, command, root, target};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

/// The crates that have models: package and folder.
const CRATES: [(&str, &str); 3] = [
    ("ringbuf-core", "ringbuf-core"),
    ("footman-batcher", "batcher"),
    ("footman-broker", "broker"),
];

/// Runs the loom models, then each twin.
#[derive(Debug, clap::Args)]
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
    for (package, folder) in CRATES {
        let twins = root().join(folder).join("loom-twins.txt");
        if !twins.exists()
            || flags
                .package
                .as_deref()
                .is_some_and(|wanted| wanted != package)
        {
            continue;
        }
        let started = Instant::now();
        let models = build(package, None)?;
        command::run(
            command(&models)
                .arg("loom")
                .env("LOOM_MAX_PREEMPTIONS", flags.preemptions.to_string()),
        )?;
        println!("{package}: models hold, in {:.1?}", started.elapsed());
        if !flags.no_twins {
            fail_all(package, &twins, flags.preemptions)?;
        }
    }
    Ok(())
}

/// Builds each twin and expects its test to fail.
fn fail_all(package: &str, twins: &Path, preemptions: u8) -> Result<()> {
    let text =
        std::fs::read_to_string(twins).with_context(|| format!("reading {}", twins.display()))?;
    let mut count = 0;
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (twin, test) = line
            .split_once(char::is_whitespace)
            .with_context(|| format!("{}: `{line}` is not `twin test`", twins.display()))?;
        let test = test.trim();
        let tests = build(package, Some(twin))?;
        let output = command(&tests)
            .args([test, "--exact"])
            .env("LOOM_MAX_PREEMPTIONS", preemptions.to_string())
            .stdin(Stdio::null())
            .output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(
            printed.contains("running 1 test"),
            "{package}: no test is called {test}"
        );
        ensure!(
            !output.status.success(),
            "{package}: {test} holds although twin {twin} breaks it"
        );
        println!("{package}: twin {twin} fails {test}, as it must");
        count += 1;
    }
    println!("{package}: {count} twins fail");
    Ok(())
}

/// Builds the crate's unit tests under loom and returns the test program.
fn build(package: &str, twin: Option<&str>) -> Result<PathBuf> {
    let mut build = cargo();
    build
        .args([
            "rustc",
            "--locked",
            "--package",
            package,
            "--lib",
            "--profile",
            "test",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(target().join("loom"))
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "3")
        .env("CARGO_PROFILE_DEV_DEBUG", "false");
    if let Some(twin) = twin {
        // A twin fails at once: what takes time is building it.
        let twin = format!("loom_twin=\"{twin}\"");
        build.args(["--", "--cfg", &twin, "-C", "opt-level=0"]);
    }
    let messages = command::output(&mut build)?;
    for message in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(message)?;
        if let Some(program) = message["executable"].as_str() {
            return Ok(PathBuf::from(program));
        }
    }
    bail!("{package}: cargo built no test program")
}
