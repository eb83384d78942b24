//! What loom and shuttle have in common: crates that are built with the checker's locks and atomics, and twins.
//!
//! A crate that a checker looks at has a list of twins, `CHECKER-twins.txt`: a line holds the twin's name and the test that
//! must fail once the twin weakens an ordering or leaves a check out. One program holds them all (`--cfg twins`); the
//! environment chooses.

use crate::command::{self, cargo, command, root, target};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Mutex, mpsc},
    thread,
};

/// The crates that have models: package and folder.
const CRATES: [(&str, &str); 3] = [
    ("ringbuf-core", "ringbuf-core"),
    ("footman-batcher", "batcher"),
    ("footman-broker", "broker"),
];

/// A crate with models.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Modelled {
    pub(crate) package: &'static str,
    folder: &'static str,
    /// The cfg that puts the checker's locks and atomics in, and the name of its build folder.
    checker: &'static str,
}

/// Builds the crates of `checker`, or the `wanted` one, and runs each as soon as it is built. The next one is built
/// meanwhile: a model explores on one thread, and the last of them takes its time.
pub(crate) fn each(
    checker: &'static str,
    wanted: Option<&str>,
    mut run: impl FnMut(Modelled, &Path) -> Result<()>,
) -> Result<()> {
    let crates = crates(checker, wanted)?;
    thread::scope(|scope| {
        let (built, programs) = mpsc::channel();
        scope.spawn(move || {
            for modelled in crates {
                // Nobody hears of it if a run has failed.
                if built.send((modelled, modelled.build())).is_err() {
                    break;
                }
            }
        });
        for (modelled, program) in programs {
            run(modelled, &program?)?;
        }
        Ok(())
    })
}

/// Those of `checker`; only `package`, if one is wanted.
fn crates(checker: &'static str, wanted: Option<&str>) -> Result<Vec<Modelled>> {
    let chosen: Vec<_> = CRATES
        .into_iter()
        .filter(|(package, _)| wanted.is_none_or(|wanted| wanted == *package))
        .map(|(package, folder)| Modelled {
            package,
            folder,
            checker,
        })
        .collect();
    ensure!(
        !chosen.is_empty(),
        "no package with models is called {}",
        wanted.unwrap_or_default()
    );
    Ok(chosen)
}

impl Modelled {
    /// Runs `must_fail` with each twin and its test, on all cores: most explore on one thread.
    pub(crate) fn fail_all(
        &self,
        must_fail: impl Fn(&str, &str) -> Result<()> + Sync,
    ) -> Result<()> {
        let twins = self.twins()?;
        let left = Mutex::new(twins.iter());
        let next = || left.lock().expect("nobody panics while it is held").next();
        let work = || -> Result<()> {
            while let Some((twin, test)) = next() {
                must_fail(twin, test)?;
                println!("{}: twin {twin} fails {test}, as it must", self.package);
            }
            Ok(())
        };
        thread::scope(|scope| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().expect("a check returns its errors"))
        })?;
        println!("{}: {} twins fail", self.package, twins.len());
        Ok(())
    }

    /// Whether this run of one test was one, and failed.
    pub(crate) fn ensure_failed(&self, output: &Output, twin: &str, test: &str) -> Result<()> {
        let package = self.package;
        ensure!(
            String::from_utf8_lossy(&output.stdout).contains("running 1 test"),
            "{package}: no test is called {test}"
        );
        ensure!(
            !output.status.success(),
            "{package}: {test} holds although twin {twin} breaks it"
        );
        Ok(())
    }

    /// Each twin with a test that must fail with it.
    fn twins(&self) -> Result<Vec<(String, String)>> {
        let file = root()
            .join(self.folder)
            .join(format!("{}-twins.txt", self.checker));
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        let mut twins = Vec::new();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (twin, test) = line
                .split_once(char::is_whitespace)
                .with_context(|| format!("{}: `{line}` is not `twin test`", file.display()))?;
            twins.push((twin.to_owned(), test.trim().to_owned()));
        }
        Ok(twins)
    }

    /// Builds the crate's unit tests and returns the test program.
    fn build(&self) -> Result<PathBuf> {
        let mut build = cargo();
        build
            .args([
                "rustc",
                "--locked",
                "--package",
                self.package,
                "--lib",
                "--profile",
                "test",
            ])
            .args(["--message-format", "json-render-diagnostics"])
            .arg("--target-dir")
            .arg(target().join(self.checker))
            .env("RUSTFLAGS", format!("--cfg {} --cfg twins", self.checker))
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "3")
            .env("CARGO_PROFILE_DEV_DEBUG", "false");
        for message in command::output(&mut build)?.lines() {
            let message: serde_json::Value = serde_json::from_str(message)?;
            if let Some(program) = message["executable"].as_str() {
                return Ok(PathBuf::from(program));
            }
        }
        bail!("{}: cargo built no test program", self.package)
    }

    /// A run of `test` alone, by `program`, with `twin`'s fault in it.
    pub(crate) fn twin(&self, program: &Path, twin: &str, test: &str) -> Command {
        let mut run = command(program);
        run.args([test, "--exact"])
            .env("FOOTMAN_TWIN", format!("{}:{twin}", self.package))
            .stdin(Stdio::null());
        run
    }
}
