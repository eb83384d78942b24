//! The main job from end to end: a real text through `footman produce`, a server and `footman consume`,
//! three processes on this machine's cores, until the consumer has the last line.

use super::{bench_run::BenchRun, report::Better};
use crate::{
    command::target,
    server::{Server, footman},
};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

/// As many lines as a run moves.
const LINES: usize = 2_000_000;

pub(crate) fn measure(bench: &mut BenchRun) -> Result<()> {
    if !bench.wants("servers/pipe") {
        return Ok(());
    }
    let lines = if bench.quick() { LINES / 2 } else { LINES };
    let runs = bench.rounds();
    let text = target().join("bench/text.txt");
    let bytes = write_text(&text, lines)?;
    bench.note(format!(
        "servers/pipe moves {lines} lines, {bytes} bytes, of this toolchain's and its crates' sources and documentation"
    ));
    let mut rates = Vec::new();
    let mut cpu = Vec::new();
    for run in 1..=runs {
        bench.progress(&format!(
            "servers/pipe/text/x1: footman, round {run} of {runs}"
        ));
        let (seconds, server_cpu) = once(&text, lines)?;
        let million = lines as f64 / 1e6;
        rates.push(million / seconds);
        cpu.extend(server_cpu.map(|seconds| seconds / million));
    }
    bench.add(
        "servers/pipe/text/x1",
        "footman",
        ("M records/s", Better::Higher),
        rates,
    );
    if !cpu.is_empty() {
        bench.add(
            "servers/pipe-cpu/text/x1",
            "footman",
            ("server s/M", Better::Lower),
            cpu,
        );
    }
    Ok(())
}

/// Moves the text once and compares what came out with what went in. Returns the seconds from the start of
/// both clients to the end of both, and the server's CPU seconds where the system tells them.
fn once(text: &Path, lines: usize) -> Result<(f64, Option<f64>)> {
    let server = Server::start("release", &[])?;
    let client = |args: &[&str]| {
        let mut client = footman("release");
        client
            .args(args)
            .env("FOOTMAN_SERVER", server.address())
            .stdin(Stdio::null());
        client
    };
    let records = (lines + 1).to_string();
    succeed(
        client(&[
            "topics",
            "create",
            "text",
            "--records",
            &records,
            "--bytes",
            "1GiB",
        ])
        .stdout(Stdio::null()),
    )?;

    let out = text.with_extension("out");
    let started = Instant::now();
    let mut consume = client(&[
        "consume",
        "text",
        "--from",
        "earliest",
        "-n",
        &lines.to_string(),
    ])
    .stdout(File::create(&out)?)
    .spawn()
    .context("starting `footman consume`")?;
    succeed(client(&["produce", "text"]).arg(text).stderr(Stdio::null()))?;
    ensure!(consume.wait()?.success(), "`footman consume` failed");
    let seconds = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds(server.id());
    server.stop()?;

    ensure!(
        fs::read(text)? == fs::read(&out)?,
        "what came out is not what went in"
    );
    Ok((seconds, cpu))
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

/// User and system time of a process, from Linux's `/proc`, whose clock ticks 100 times a second.
pub(super) fn cpu_seconds(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks as f64 / 100.0)
}

/// Writes `lines` lines of real text: documentation and sources that every machine with a toolchain has, over
/// again if they are too few. Returns its bytes.
fn write_text(path: &Path, lines: usize) -> Result<u64> {
    fs::create_dir_all(path.parent().expect("the text lies in a folder"))?;
    let mut out = BufWriter::new(File::create(path)?);
    let mut left = lines;
    let files = text_files()?;
    ensure!(
        !files.is_empty(),
        "neither the toolchain's documentation nor a crate's source was found"
    );
    'all: loop {
        for file in &files {
            let Ok(content) = fs::read_to_string(file) else {
                continue;
            };
            for line in content.lines() {
                writeln!(out, "{line}")?;
                left -= 1;
                if left == 0 {
                    break 'all;
                }
            }
        }
        ensure!(
            left < lines,
            "the files that were found hold no line of text"
        );
    }
    out.flush()?;
    Ok(fs::metadata(path)?.len())
}

fn text_files() -> Result<Vec<PathBuf>> {
    let sysroot =
        crate::command::output(crate::command::command("rustc").args(["--print", "sysroot"]))?;
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let mut folders = vec![Path::new(sysroot.trim()).join("share/doc")];
    folders.extend(cargo_home.map(|home| home.join("registry/src")));
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let text = path
                .extension()
                .is_some_and(|end| end == "rs" || end == "md" || end == "html");
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() && text => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}
