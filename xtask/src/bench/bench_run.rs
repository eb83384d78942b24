//! One run of the bench: how often each contender runs, in which order, and what it found.

use super::{
    report::{Better, Report},
    table,
};
#[cfg(feature = "bench")]
use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// A contender's name, and one run of it: the figure, in the group's unit.
#[cfg(feature = "bench")]
pub(crate) type Contender<'a> = (String, Box<dyn FnMut() -> Result<f64> + 'a>);

/// What an area measures into.
#[derive(Debug)]
pub(crate) struct BenchRun {
    quick: bool,
    only: Option<String>,
    report: Report,
    /// How many groups have been shown.
    shown: usize,
    progress: ProgressBar,
}

impl BenchRun {
    pub(crate) fn new(quick: bool, only: Option<String>) -> Self {
        // Drawn between runs only: nothing else runs while a contender does.
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {wide_msg}");
        let progress = ProgressBar::new_spinner();
        Self {
            quick,
            only,
            report: Report::new(),
            shown: 0,
            progress: progress.with_style(style.expect("the template is a good one")),
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
        let rounds = self.rounds();
        for round in 1..=rounds {
            for ((name, once), runs) in contenders.iter_mut().zip(&mut runs) {
                self.progress(&format!("{group}: {name}, round {round} of {rounds}"));
                runs.push(once().with_context(|| format!("{group}: {name}"))?);
            }
        }
        for ((name, _), runs) in contenders.into_iter().zip(runs) {
            self.add(group, &name, (unit, better), runs);
        }
        self.show();
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

    /// Says on a terminal what is being done; `group` does so by itself.
    pub(crate) fn progress(&self, what: &str) {
        self.progress.set_message(what.to_owned());
        self.progress.tick();
    }

    /// Adds what a reader should know beside the figures.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.report.notes.push(note.into());
    }

    /// Prints the groups that came since the last time.
    pub(crate) fn show(&mut self) {
        let groups = self.report.groups();
        let tables: String = groups.iter().skip(self.shown).map(table::group).collect();
        self.shown = groups.len();
        self.progress.suspend(|| print!("{tables}"));
    }

    pub(crate) fn into_report(self) -> Report {
        self.progress.finish_and_clear();
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
