//! The sanitizers of the compiler, on its stable release: addresses and leaks in whole test suites, races in a program of our own
//! atomics. Each has to catch a planted fault in the same run, or its silence would mean nothing.
//!
//! The standard library is not built for them. To addresses and leaks that makes no difference (every access of ours is
//! checked); the thread sanitizer would report what it does not see, so it watches a program that shares nothing but the rings.

use crate::command::{self, cargo, command, target};
use anyhow::{Result, bail, ensure};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Runs the suites of the crates under AddressSanitizer (and its leak checker), the rings' stress under ThreadSanitizer, and
/// each of them on a planted fault.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  cargo xtask sanitize --quick")]
pub(crate) struct Flags {
    /// Only ringbuf-core's suite, not the batcher's and the broker's
    #[arg(long)]
    quick: bool,
}

impl Flags {
    /// What CI can afford.
    pub(crate) fn quick() -> Self {
        Self { quick: true }
    }
}

/// A sanitizer: what the compiler calls it, what else it wants, and the words of its report.
#[derive(Debug, Clone, Copy)]
struct Sanitizer {
    name: &'static str,
    flags: &'static str,
}

const ADDRESS: Sanitizer = Sanitizer {
    name: "address",
    flags: "-Zsanitizer=address",
};
const THREAD: Sanitizer = Sanitizer {
    name: "thread",
    flags: "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
};

pub(crate) fn run(flags: &Flags) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("the sanitizers are set up for {TRIPLE}");
    }
    let mut summary = Vec::new();
    let mut held = |what: String, started: Instant| {
        summary.push(format!("{what}, in {:.0?}", started.elapsed()));
    };

    let packages: &[&str] = if flags.quick {
        &["ringbuf-core"]
    } else {
        &["ringbuf-core", "footman-batcher", "footman-broker"]
    };
    for package in packages {
        let started = Instant::now();
        let mut suite = ADDRESS.cargo("test");
        suite.args(["--package", package, "--lib", "--tests", "--"]);
        // The resident memory of a process under a sanitizer is the sanitizer's.
        command::run(suite.args(["--skip", "a_queued_item_costs"]))?;
        held(
            format!("address, leak: the suite of {package} is clean"),
            started,
        );
    }

    let cases = [
        (THREAD, "unpin_relaxed", "data race"),
        (ADDRESS, "no_pin", "heap-use-after-free"),
        (ADDRESS, "leak", "detected memory leaks"),
    ];
    for (sanitizer, twin, report) in cases {
        let started = Instant::now();
        let stress = sanitizer.stress()?;
        command::run(&mut command(&stress))?;
        let caught = command(&stress)
            .env("FOOTMAN_TWIN", format!("ringbuf-core:{twin}"))
            .stdin(Stdio::null())
            .output()?;
        let printed = String::from_utf8_lossy(&caught.stderr);
        ensure!(
            !caught.status.success() && printed.contains(report),
            "the {} sanitizer does not see the fault of twin {twin}:\n{printed}",
            sanitizer.name
        );
        held(
            format!(
                "{}: the stress of the rings is clean; with twin {twin}, {report}",
                sanitizer.name
            ),
            started,
        );
    }

    println!();
    for line in summary {
        println!("sanitize: {line}");
    }
    Ok(())
}

impl Sanitizer {
    /// A cargo that builds with it.
    fn cargo(self, task: &str) -> Command {
        let mut cargo = cargo();
        cargo
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", format!("{} --cfg twins", self.flags))
            // A slow reader is a race's best chance, and a deep stack a report's: no frame is left out.
            .env("CARGO_PROFILE_RELEASE_LTO", "off");
        cargo
            .args([task, "--locked", "--target", TRIPLE, "--target-dir"])
            .arg(target().join("sanitize").join(self.name));
        cargo
    }

    /// Builds the rings' stress, twins included, and returns the program.
    fn stress(self) -> Result<PathBuf> {
        let mut build = self.cargo("build");
        command::run(build.args([
            "--release",
            "--package",
            "ringbuf-core",
            "--example",
            "stress",
        ]))?;
        Ok(target()
            .join("sanitize")
            .join(self.name)
            .join(TRIPLE)
            .join("release")
            .join("examples")
            .join("stress"))
    }
}
