//! A gate on instructions per record, counted by callgrind: exact where a clock is not.
//!
//! Each loop of the `instructions` package runs twice, for `RECORDS` and for twice as many; the difference is what the records cost.
//! What the last bless found is in `instructions.txt`.

use crate::command::{self, cargo, command, exists, root, target};
use anyhow::{Context as _, Result, bail, ensure};
use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Stdio};

/// A multiple of the loops' batch, and enough to go around their rings.
const RECORDS: u64 = 25_600;
/// By how much of the blessed count a loop may be dearer.
const TOLERANCE: f64 = 0.05;
const BASELINE: &str = "xtask/instructions.txt";

/// Counts instructions per record, and fails if a loop has become more than 5 % dearer than when it was blessed.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask instructions --only append
  cargo xtask instructions --bless")]
pub(crate) struct Flags {
    /// Only the loops whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Take what is counted as the new baseline
    #[arg(long, conflicts_with = "only")]
    bless: bool,
    /// Count each loop three times, and fail unless all counts are the same
    #[arg(long)]
    repeat: bool,
}

pub(crate) fn run(flags: &Flags) -> Result<()> {
    if !exists("valgrind") {
        println!(
            "instructions: SKIPPED, nothing was counted: there is no valgrind (Debian: apt-get install valgrind)"
        );
        return Ok(());
    }
    command::run(cargo().args([
        "build",
        "--release",
        "--locked",
        "--package",
        "instructions",
    ]))?;
    let program = target().join("release").join("instructions");
    let baseline = read_baseline()?;
    let mut counted = BTreeMap::new();
    let mut dearer = Vec::new();
    println!(
        "\n{:<40} {:>10} {:>10} {:>8}",
        "instructions per record", "blessed", "now", "change"
    );
    for name in command::output(&mut command(&program))?.lines() {
        if flags
            .only
            .as_deref()
            .is_some_and(|text| !name.contains(text))
        {
            continue;
        }
        let now = per_record(&program, name)?;
        if flags.repeat {
            for _ in 0..2 {
                let again = per_record(&program, name)?;
                ensure!(
                    again.to_bits() == now.to_bits(),
                    "{name}: {now}, and then {again}"
                );
            }
        }
        let blessed = baseline.get(name).copied();
        let change = blessed.map(|blessed| now / blessed - 1.0);
        println!(
            "{name:<40} {:>10} {now:>10.2} {:>8}",
            blessed.map_or("-".into(), |blessed| format!("{blessed:.2}")),
            change.map_or("new".into(), |change| format!("{:+.1} %", change * 100.0)),
        );
        if change.is_none_or(|change| change > TOLERANCE) {
            dearer.push(name.to_owned());
        }
        counted.insert(name.to_owned(), now);
    }
    if flags.repeat {
        println!("each was counted three times, and came out the same");
    }
    if flags.bless {
        return write_baseline(&counted);
    }
    if !dearer.is_empty() {
        bail!(
            "dearer by more than {:.0} %, or never blessed: {}. If it must be so: cargo xtask instructions --bless",
            TOLERANCE * 100.0,
            dearer.join(", ")
        );
    }
    Ok(())
}

fn per_record(program: &Path, name: &str) -> Result<f64> {
    let (once, twice) = (
        count(program, name, RECORDS)?,
        count(program, name, 2 * RECORDS)?,
    );
    let more = twice
        .checked_sub(once)
        .with_context(|| format!("{name}: more records, fewer instructions"))?;
    Ok(more as f64 / RECORDS as f64)
}

/// The instructions of one run, as callgrind prints them.
fn count(program: &Path, name: &str, records: u64) -> Result<u64> {
    let output = command("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([name, &records.to_string()])
        .stdin(Stdio::null())
        .output()?;
    let printed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} under callgrind: {printed}");
    printed
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .with_context(|| format!("callgrind counted nothing: {printed}"))
}

fn read_baseline() -> Result<BTreeMap<String, f64>> {
    let text =
        fs::read_to_string(root().join(BASELINE)).with_context(|| format!("reading {BASELINE}"))?;
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, count) = line
                .split_once(' ')
                .with_context(|| format!("{BASELINE}: `{line}` is not `loop count`"))?;
            Ok((name.to_owned(), count.trim().parse()?))
        })
        .collect()
}

fn write_baseline(counted: &BTreeMap<String, f64>) -> Result<()> {
    let mut text = String::from(
        "# loop, and its instructions per record: written by cargo xtask instructions --bless\n",
    );
    for (name, count) in counted {
        writeln!(text, "{name} {count:.3}")?;
    }
    fs::write(root().join(BASELINE), text)?;
    println!("blessed: {BASELINE}");
    Ok(())
}
