//! What a bench found: figures with their spread, and the machine that they were seen on.

use crate::command::{command, output};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::{fmt, path::Path};

/// Whether more is better, or less.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// The runs of one contender in one group.
#[derive(Debug)]
struct Figure {
    group: String,
    contender: String,
    unit: &'static str,
    better: Better,
    runs: Vec<f64>,
}

impl Figure {
    fn median(&self) -> f64 {
        let middle = self.runs.len() / 2;
        if self.runs.len() % 2 == 1 {
            self.runs[middle]
        } else {
            (self.runs[middle - 1] + self.runs[middle]) / 2.0
        }
    }
}

/// All the figures of one run of the bench.
#[derive(Debug)]
pub(crate) struct Report {
    machine: Value,
    versions: Value,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new() -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let rustc = output(command("rustc").arg("--version")).unwrap_or_default();
        Self {
            machine: json!({
                "cores": std::thread::available_parallelism().map_or(0, usize::from),
                "cpu": model.map_or("unknown", |(_, name)| name),
                "os": std::env::consts::OS,
                "arch": std::env::consts::ARCH,
            }),
            versions: json!({ "footman": env!("CARGO_PKG_VERSION"), "rustc": rustc.trim() }),
            figures: Vec::new(),
        }
    }

    /// Adds a contender's runs. The order of the calls is the order of the report.
    ///
    /// # Panics
    ///
    /// If there is no run.
    pub(crate) fn add(
        &mut self,
        group: &str,
        contender: &str,
        (unit, better): (&'static str, Better),
        mut runs: Vec<f64>,
    ) {
        assert!(!runs.is_empty(), "{group}: {contender} has no run");
        runs.sort_by(f64::total_cmp);
        self.figures.push(Figure {
            group: group.to_owned(),
            contender: contender.to_owned(),
            unit,
            better,
            runs,
        });
    }

    pub(crate) fn write_json(&self, file: &Path) -> Result<()> {
        let results = self.figures.iter().map(|figure| {
            json!({
                "group": figure.group,
                "contender": figure.contender,
                "unit": figure.unit,
                "better": match figure.better { Better::Higher => "higher", Better::Lower => "lower" },
                "median": figure.median(),
                "min": figure.runs[0],
                "max": figure.runs[figure.runs.len() - 1],
                "runs": figure.runs.len(),
            })
        });
        let report = json!({
            "machine": self.machine,
            "versions": self.versions,
            "results": results.collect::<Vec<_>>(),
        });
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "machine {}, versions {}", self.machine, self.versions)?;
        writeln!(
            f,
            "{:<28} {:<16} {:>10} {:>10} {:>10}  {:<14} runs",
            "group", "contender", "median", "min", "max", "unit"
        )?;
        for figure in &self.figures {
            let (min, max) = (figure.runs[0], figure.runs[figure.runs.len() - 1]);
            writeln!(
                f,
                "{:<28} {:<16} {:>10.3} {min:>10.3} {max:>10.3}  {:<14} {}",
                figure.group,
                figure.contender,
                figure.median(),
                figure.unit,
                figure.runs.len()
            )?;
        }
        Ok(())
    }
}
