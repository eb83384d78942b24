//! This run beside an older one: what changed by more than the runs of one differ among themselves.

use super::{
    report::{Figure, Report},
    table::{number, times_text},
};
use std::fmt::{self, Write as _};

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Better,
    Worse,
    /// Some run of one was as some run of the other.
    Within,
}

impl Change {
    pub(crate) fn between(old: &Figure, new: &Figure) -> Self {
        if !new.is_apart_from(old) {
            Self::Within
        } else if new.times_better_than(old).is_some_and(|times| times > 1.0) {
            Self::Better
        } else {
            Self::Worse
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "BETTER",
            Self::Worse => "WORSE",
            Self::Within => "within the spread",
        })
    }
}

/// A line for each figure that both have.
pub(crate) fn table(old: &Report, new: &Report) -> String {
    let mut text = "\ncompared with the older run\n".to_owned();
    if old.machine != new.machine {
        let _ = writeln!(text, "  that was another machine: {}", old.machine);
    }
    let mut counts = [0; 3];
    let groups = new.groups();
    let figures: Vec<_> = groups.iter().flat_map(|group| &group.figures).collect();
    let width = |of: fn(&Figure) -> usize| {
        figures
            .iter()
            .map(|figure| of(figure))
            .max()
            .unwrap_or_default()
    };
    let (group_width, contender_width) = (
        width(|figure| figure.group.len()),
        width(|figure| figure.contender.len()),
    );
    for figure in &figures {
        let Some(before) = old
            .counterpart(figure)
            .filter(|before| before.unit == figure.unit)
        else {
            continue;
        };
        let change = Change::between(before, figure);
        counts[change as usize] += 1;
        let times = figure
            .times_better_than(before)
            .map_or_else(String::new, times_text);
        let _ = writeln!(
            text,
            "  {:<group_width$}  {:<contender_width$}  {:>9} → {:>9} {:<12} {times:>16}  {change}",
            figure.group,
            figure.contender,
            number(before.median),
            number(figure.median),
            figure.unit,
        );
    }
    let [better, worse, within] = counts;
    let _ = writeln!(
        text,
        "  {better} better, {worse} worse, {within} within the spread"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::Better;

    fn report(runs: [f64; 3], better: Better) -> Report {
        let mut report = Report::new();
        report.add("g/c", "footman", ("s", better), runs.to_vec());
        report
    }

    #[test]
    fn only_a_change_beyond_the_spread_is_marked() {
        let old = [10.0, 11.0, 12.0];
        for (new, higher, lower) in [
            ([12.5, 13.0, 14.0], "BETTER", "WORSE"),
            ([7.0, 8.0, 9.9], "WORSE", "BETTER"),
            ([11.9, 20.0, 21.0], "within the spread", "within the spread"),
        ] {
            for (better, word) in [(Better::Higher, higher), (Better::Lower, lower)] {
                let text = table(&report(old, better), &report(new, better));
                let line = text
                    .lines()
                    .find(|line| line.contains("g/c"))
                    .expect("a line");
                assert!(line.ends_with(word), "{line}");
            }
        }
    }
}
