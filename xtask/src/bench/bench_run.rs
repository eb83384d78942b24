//! One run of the bench: how often each contender runs, in which order, and what it found.

use super::report::{Better, Report};
#[cfg(feature = "bench")]
use anyhow::{Context as _, Result};

/// A contender's name, and one run of it: the figure, in the group's unit.
#[cfg(feature = "bench")]
pub(crate) type Contender<'a> = (String, Box<dyn FnMut() -> Result<f64> + 'a>);

/// What an area measures into.
#[derive(Debug)]
pub(crate) struct BenchRun {
    quick: bool,
    only: Option<String>,
    report: Report,
}

impl BenchRun {
    pub(crate) fn new(quick: bool, only: Option<String>) -> Self {
        Self {
            quick,
            only,
            report: Report::new(),
        }
    }

    /// Whether runs should be shorter: half the work, or less.
    pub(crate) fn quick(&self) -> bool {
        self.quick
    }

    /// How often each contender runs.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 3 } else { 5 }
    }

    /// Whether this group was asked for.
    pub(crate) fn wants(&self, group: &str) -> bool {
        self.only.as_deref().is_none_or(|only| group.contains(only))
    }

    /// Runs each contender once a round, in turn, so that what the machine does meanwhile meets them all.
    #[cfg(feature = "bench")]
    pub(crate) fn group(
        &mut self,
        group: &str,
        (unit, better): (&'static str, Better),
        mut contenders: Vec<Contender<'_>>,
    ) -> Result<()> {
        if !self.wants(group) {
            return Ok(());
        }
        let mut runs = vec![Vec::new(); contenders.len()];
        for _ in 0..self.rounds() {
            for ((name, once), runs) in contenders.iter_mut().zip(&mut runs) {
                runs.push(once().with_context(|| format!("{group}: {name}"))?);
            }
        }
        println!("{group}");
        for ((name, _), runs) in contenders.into_iter().zip(runs) {
            self.add(group, &name, (unit, better), runs);
        }
        Ok(())
    }

    /// Adds what a contender's runs found, for a group that runs by its own rules.
    pub(crate) fn add(
        &mut self,
        group: &str,
        contender: &str,
        unit: (&'static str, Better),
        runs: Vec<f64>,
    ) {
        self.report.add(group, contender, unit, runs);
    }

    pub(crate) fn into_report(self) -> Report {
        self.report
    }
}

/// The middle one.
///
/// # Panics
///
/// If there is none.
#[cfg(feature = "bench")]
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
