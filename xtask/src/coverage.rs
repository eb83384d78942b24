//! Line coverage of the whole test suite, by crate: what no test has run.

use crate::command::{self, cargo, command, exists, root, target};
use anyhow::{Context as _, Result, bail, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The crates whose suites run and whose files are counted: package and folder.
const CRATES: [(&str, &str); 5] = [
    ("ringbuf-core", "ringbuf-core"),
    ("footman-batcher", "batcher"),
    ("footman-broker", "broker"),
    ("footman-broker-grpc", "broker-grpc"),
    ("footman", "cli"),
];

/// The oldest LLVM whose tools read the counts of a compiler of today.
const OLDEST_LLVM: u32 = 19;

/// Runs the tests with counters in every line, and prints which share of each crate's lines they reached.
///
/// Needs `llvm-profdata` and `llvm-cov` of LLVM 19 or later: `rustup component add llvm-tools`, or Debian's `llvm-19`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask coverage
  cargo xtask coverage --package footman-broker --files")]
pub(crate) struct Flags {
    /// Only this package's tests
    #[arg(long, short)]
    package: Option<String>,
    /// Also print each file with the lines that were not reached
    #[arg(long)]
    files: bool,
}

/// Lines there are, and lines reached.
#[derive(Debug, Default, Clone, Copy)]
struct Lines {
    all: u64,
    reached: u64,
}

impl Lines {
    fn percent(self) -> f64 {
        100.0 * self.reached as f64 / self.all.max(1) as f64
    }
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    let (profdata, cov) = (tool("llvm-profdata")?, tool("llvm-cov")?);
    let folder = target().join("coverage");
    let profiles = folder.join("profiles");
    if profiles.exists() {
        fs::remove_dir_all(&profiles)?;
    }
    fs::create_dir_all(&profiles)?;
    let mut programs = BTreeSet::new();
    for (package, _) in CRATES {
        if flags
            .package
            .as_deref()
            .is_some_and(|wanted| wanted != package)
        {
            continue;
        }
        let tests = |arguments: &[&str]| {
            let mut tests = cargo();
            tests
                .args(["test", "--locked", "--package", package, "--tests"])
                .args(arguments)
                .arg("--target-dir")
                .arg(&folder)
                .env("RUSTFLAGS", "-Cinstrument-coverage")
                .env("LLVM_PROFILE_FILE", profiles.join("%p-%m.profraw"));
            tests
        };
        let built = command::output(&mut tests(&[
            "--no-run",
            "--message-format",
            "json-render-diagnostics",
        ]))?;
        for message in built.lines() {
            let message: serde_json::Value = serde_json::from_str(message)?;
            programs.extend(message["executable"].as_str().map(PathBuf::from));
        }
        command::run(&mut tests(&[]))?;
    }
    ensure!(!programs.is_empty(), "no package of that name is counted");

    let merged = folder.join("all.profdata");
    let mut merge = command(profdata);
    merge.args(["merge", "-sparse", "-o"]).arg(&merged);
    for profile in fs::read_dir(&profiles)? {
        merge.arg(profile?.path());
    }
    ensure!(
        merge.status()?.success(),
        "the profiles could not be merged"
    );
    let mut export = command(cov);
    export
        .args(["export", "--summary-only", "--instr-profile"])
        .arg(&merged);
    for program in &programs {
        export.arg("--object").arg(program);
    }
    let report: serde_json::Value = serde_json::from_str(&command::output(&mut export)?)?;
    let table = table(&report, flags.files).context("the report of llvm-cov has another form")?;
    print!("{table}");
    Ok(())
}

/// A line a crate, after one for each of its files where those are wanted; `None` if the report has another form.
fn table(report: &serde_json::Value, files: bool) -> Option<String> {
    let mut text = String::new();
    let mut crates: BTreeMap<&str, Lines> = BTreeMap::new();
    for file in report["data"][0]["files"].as_array()? {
        let Ok(path) = Path::new(file["filename"].as_str()?).strip_prefix(root()) else {
            continue;
        };
        let of_crate =
            |(_, folder): &&(&str, &str)| path.starts_with(Path::new(folder).join("src"));
        let Some((package, _)) = CRATES.iter().find(of_crate) else {
            continue;
        };
        let lines = Lines {
            all: file["summary"]["lines"]["count"].as_u64()?,
            reached: file["summary"]["lines"]["covered"].as_u64()?,
        };
        let sum = crates.entry(package).or_default();
        sum.all += lines.all;
        sum.reached += lines.reached;
        if files {
            let (percent, missed) = (lines.percent(), lines.all - lines.reached);
            let path = path.display();
            let _ = writeln!(text, "{percent:>6.1} %  {missed:>5} not reached  {path}");
        }
    }
    for (package, lines) in crates {
        let (percent, all) = (lines.percent(), lines.all);
        let _ = writeln!(
            text,
            "coverage: {package:<22} {percent:>6.1} % of {all} lines"
        );
    }
    Some(text)
}

/// The tool that came with the compiler, or one of the system's that can read what this compiler writes.
fn tool(name: &str) -> Result<PathBuf> {
    let libraries = command::output(command("rustc").args(["--print", "target-libdir"]))?;
    let own = Path::new(libraries.trim()).with_file_name("bin").join(name);
    if own.is_file() {
        return Ok(own);
    }
    let versioned = (OLDEST_LLVM..OLDEST_LLVM + 10).rev();
    let mut names = versioned.map(|version| format!("{name}-{version}"));
    if let Some(found) = names.find(|name| exists(name)) {
        return Ok(found.into());
    }
    let plain = command(name).arg("--version").output();
    let version = plain
        .ok()
        .and_then(|said| llvm_version(&String::from_utf8_lossy(&said.stdout)));
    match version {
        Some(version) if version >= OLDEST_LLVM => Ok(name.into()),
        _ => bail!(
            "there is no {name} of LLVM {OLDEST_LLVM} or later: `rustup component add llvm-tools`, or install the system's llvm-19"
        ),
    }
}

/// The 19 of `Debian LLVM version 19.1.7`.
fn llvm_version(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("LLVM version ")?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_summed_by_crate_and_other_files_are_left_out() {
        let file = |path: PathBuf, count: u64, covered: u64| {
            serde_json::json!({
                "filename": path,
                "summary": { "lines": { "count": count, "covered": covered } },
            })
        };
        let report = serde_json::json!({ "data": [{ "files": [
            file(root().join("broker/src/topic.rs"), 30, 15),
            file(root().join("broker/src/wait.rs"), 10, 5),
            file(root().join("broker/tests/lapped.rs"), 10, 0),
            file(root().join("broker-grpc/src/wire.rs"), 4, 4),
            file(PathBuf::from("/elsewhere/src/lib.rs"), 10, 0),
        ] }] });
        let text = table(&report, false).expect("it has the form of a report");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].contains("footman-broker ") && lines[0].contains("50.0 % of 40"),
            "{text}"
        );
        assert!(
            lines[1].contains("footman-broker-grpc") && lines[1].contains("100.0 % of 4"),
            "{text}"
        );
        let each = table(&report, true).expect("the same");
        assert!(
            each.contains("15 not reached  broker/src/topic.rs"),
            "{each}"
        );
    }

    #[test]
    fn a_tools_version_is_read_from_what_it_says() {
        assert_eq!(llvm_version("Debian LLVM version 19.1.7\n"), Some(19));
        assert_eq!(
            llvm_version("  LLVM version 22.1.2-rust-1.95.0-stable\n"),
            Some(22)
        );
        assert_eq!(llvm_version("clang"), None);
    }
}
