//! What CI runs, in its order: the cheap and the likely to fail first.

use crate::{
    codegen,
    command::{self, cargo, command, exists, target},
    instructions, interop, loom, sanitize, server, shuttle,
};
use anyhow::{Context as _, Result};
use std::{path::PathBuf, time::Instant};

/// The version of cargo-deny that is installed where none is found.
const CARGO_DENY: &str = "0.20.2";

/// Runs what CI runs; with names, only those steps.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask ci
  cargo xtask ci fmt clippy test")]
pub(crate) struct Flags {
    /// Steps to run (all without any): fmt clippy doc codegen no-std one-side test loom shuttle sanitize instructions deny interop demo
    steps: Vec<String>,
}

type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 14] = [
    ("fmt", || {
        command::run(cargo().args(["fmt", "--all", "--check"]))
    }),
    ("clippy", || {
        // What only these features bring is built by nothing else here.
        let features = "xtask/bench,xtask/soak,xtask/hostile";
        clippy(&["--workspace", "--features", features])
    }),
    ("doc", || {
        let mut doc = cargo();
        doc.args(["doc", "--workspace", "--no-deps", "--locked"]);
        command::run(doc.env("RUSTDOCFLAGS", "-Dwarnings"))
    }),
    ("codegen", codegen::check),
    ("no-std", || {
        command::run(cargo().args([
            "build",
            "--package",
            "ringbuf-core",
            "--no-default-features",
            "--locked",
        ]))
    }),
    ("one-side", || {
        // The client without the server, the other way round, and the messages without either.
        for features in ["client", "server", ""] {
            let mut check = cargo();
            check.args(["clippy", "--package", "footman-broker-grpc", "--locked"]);
            check.args(["--no-default-features", "--features", features]);
            command::run(check.args(["--", "-Dwarnings"]))?;
        }
        Ok(())
    }),
    ("test", || {
        command::run(cargo().args(["test", "--workspace", "--locked"]))
    }),
    ("loom", || loom::run(&loom::Flags::default())),
    ("shuttle", || shuttle::run(&shuttle::Flags::default())),
    ("sanitize", || sanitize::run(&sanitize::Flags::quick())),
    ("instructions", || {
        instructions::run(&instructions::Flags::default())
    }),
    ("deny", deny),
    ("interop", || interop::run(&interop::Flags::default())),
    ("demo", || {
        // Not in release, as one would: that build alone takes two minutes of the half hour that CI has.
        server::build()?;
        command::run(server::footman("debug").arg("demo"))
    }),
];

pub(crate) fn run(flags: &Flags) -> Result<()> {
    for name in &flags.steps {
        STEPS
            .iter()
            .find(|step| step.0 == name)
            .with_context(|| format!("no step is called {name}"))?;
    }
    let started = Instant::now();
    let mut times = Vec::new();
    for (name, step) in STEPS {
        if flags.steps.is_empty() || flags.steps.iter().any(|wanted| wanted == name) {
            let began = Instant::now();
            step().with_context(|| format!("ci: {name}"))?;
            println!("ci: {name} holds, in {:.0?}", began.elapsed());
            times.push((name, began.elapsed()));
        }
    }
    println!();
    for (name, time) in times {
        println!("{name:>16} {:>5.0} s", time.as_secs_f64());
    }
    println!("ci: all holds, in {:.0?}", started.elapsed());
    Ok(())
}

fn clippy(what: &[&str]) -> Result<()> {
    let mut clippy = cargo();
    clippy
        .args(["clippy", "--all-targets", "--locked"])
        .args(what);
    command::run(clippy.args(["--", "-Dwarnings"]))
}

/// Licences, sources and bans of every dependency (the advisory database needs a network of its own).
fn deny() -> Result<()> {
    let program = if exists("cargo-deny") {
        PathBuf::from("cargo-deny")
    } else {
        install_deny()?
    };
    command::run(command(program).args(["--locked", "check", "bans", "licenses", "sources"]))
}

fn install_deny() -> Result<PathBuf> {
    let tools = target().join("tools");
    let program = tools.join("bin").join("cargo-deny");
    if !program.exists() {
        let mut install = cargo();
        // Nobody reads its debug information.
        install.env("CARGO_PROFILE_DEV_DEBUG", "false");
        install.args([
            "install",
            "--locked",
            "--debug",
            "--version",
            CARGO_DENY,
            "cargo-deny",
        ]);
        command::run(install.arg("--root").arg(&tools))?;
    }
    Ok(program)
}
