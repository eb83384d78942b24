//! libFuzzer on the stable compiler, with AddressSanitizer: what peers can send, what users can do to the rings, and what a
//! server's file of settings can say.
//!
//! The targets are the package in `xtask/fuzz`, which is built here alone. What the fuzzer finds worth keeping stays below
//! `target/fuzz`; an input that fails is named there, and `--replay` runs it again.

use crate::command::{self, cargo, command, root, target};
use anyhow::{Context as _, Result, ensure};
use std::{fs, path::PathBuf, time::Instant};

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// What the compiler is to add: counters on every edge for the fuzzer, and the address sanitizer.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Ccodegen-units=1 -Zsanitizer=address";

/// Each target, with the longest input that it is given.
const TARGETS: [(&str, u32); 6] = [
    ("records", 4_096),
    ("names", 1_024),
    ("calls", 4_096),
    ("connection", 4_096),
    ("rings", 512),
    ("config", 1_024),
];

/// Fuzzes each target for a while. An input that fails an assertion, touches memory that is not its own, takes more than 2 s or
/// asks for 64 MiB at once ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz
  cargo xtask fuzz config --seconds 600
  cargo xtask fuzz calls --replay target/fuzz/failures/calls-crash-1")]
pub(crate) struct Flags {
    /// Only this target: records, names, calls, connection, rings or config
    target: Option<String>,
    /// For how long, each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Run this input alone
    #[arg(long, value_name = "FILE", requires = "target")]
    replay: Option<PathBuf>,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    let chosen: Vec<_> = TARGETS
        .into_iter()
        .filter(|(name, _)| flags.target.as_deref().is_none_or(|target| target == *name))
        .collect();
    ensure!(!chosen.is_empty(), "there is no such target");
    let folder = target().join("fuzz");
    let mut build = cargo();
    build
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(root().join("xtask/fuzz/Cargo.toml"))
        .args(["--target", TRIPLE, "--target-dir"])
        .arg(&folder)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", INSTRUMENTED);
    for (name, _) in &chosen {
        build.args(["--bin", name]);
    }
    command::run(&mut build)?;

    let mut summary = Vec::new();
    for (name, longest) in chosen {
        let mut fuzzer = command(folder.join(TRIPLE).join("release").join(name));
        if let Some(input) = &flags.replay {
            let input = fs::canonicalize(input)
                .with_context(|| format!("there is no {}", input.display()))?;
            return command::run(fuzzer.arg(input));
        }
        let (corpus, failures) = (folder.join("corpus").join(name), folder.join("failures"));
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&failures)?;
        fuzzer
            .args([
                format!("-max_total_time={}", flags.seconds),
                format!("-max_len={longest}"),
                format!("-artifact_prefix={}/{name}-", failures.display()),
            ])
            .args(["-timeout=2", "-malloc_limit_mb=64", "-rss_limit_mb=1024"])
            .args(["-print_final_stats=1", "-verbosity=0", "-close_fd_mask=0"])
            .args([corpus, root().join("xtask/fuzz/seeds").join(name)])
            .env("ASAN_OPTIONS", "detect_leaks=0"); // leaks are sanitize's business: here they cost half the speed
        let started = Instant::now();
        command::run(&mut fuzzer).with_context(|| {
            format!(
                "the input is in {}: cargo xtask fuzz {name} --replay FILE",
                failures.display()
            )
        })?;
        summary.push(format!("{name} holds, {:.0?}", started.elapsed()));
    }
    println!();
    for line in summary {
        println!("fuzz: {line}");
    }
    Ok(())
}
