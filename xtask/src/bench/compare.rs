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

/// A line for each figure that changed: ours first, then what the peers and the machine did meanwhile.
pub(crate) fn table(old: &Report, new: &Report) -> String {
    let mut text = "\ncompared with the older run\n".to_owned();
    if old.machine != new.machine {
        let _ = writeln!(text, "  that was another machine: {}", old.machine);
    }
    let groups = new.groups();
    let figures = groups.iter().flat_map(|group| &group.figures).copied();
    let (ours, others): (Vec<_>, Vec<_>) = figures
        .filter_map(|figure| {
            let before = old.counterpart(figure)?;
            (before.unit == figure.unit).then_some((before, figure))
        })
        .partition(|(_, figure)| figure.is_ours());
    part(&mut text, "ours", &ours);
    part(&mut text, "peers and limits", &others);
    text
}

fn part(text: &mut String, name: &str, figures: &[(&Figure, &Figure)]) {
    let change = |(before, figure): &(&Figure, &Figure)| Change::between(before, figure);
    let count = |wanted| figures.iter().filter(|both| change(both) == wanted).count();
    let _ = writeln!(
        text,
        "  {name}: {} better, {} worse, {} within the spread",
        count(Change::Better),
        count(Change::Worse),
        count(Change::Within),
    );
    let changed = figures.iter().filter(|both| change(both) != Change::Within);
    let widest = |of: fn(&Figure) -> &str| {
        let widths = changed
            .clone()
            .map(|(_, figure)| of(figure).chars().count());
        widths.max().unwrap_or_default()
    };
    let (group_width, contender_width) = (
        widest(|figure| &figure.group),
        widest(|figure| &figure.contender),
    );
    for both in changed {
        let (before, figure) = both;
        let times = figure.times_better_than(before);
        let _ = writeln!(
            text,
            "    {:<6} {:>15}  {:<group_width$}  {:<contender_width$}  {:>9} → {:<9} {}",
            change(both).to_string(),
            times.map_or_else(String::new, times_text),
            figure.group,
            figure.contender,
            number(before.median),
            number(figure.median),
            figure.unit,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::Better;

    fn report(runs: [f64; 3], better: Better) -> Report {
        let mut report = Report::new();
        report.add("g/c", "footman", ("s", better), runs.to_vec());
        report.add("g/c", "peer", ("s", better), vec![5.0]);
        report
    }

    #[test]
    fn only_a_change_beyond_the_spread_has_a_line() {
        let old = [10.0, 11.0, 12.0];
        for (new, higher, lower) in [
            ([12.5, 13.0, 14.0], "BETTER", "WORSE"),
            ([7.0, 8.0, 9.9], "WORSE", "BETTER"),
        ] {
            for (better, word) in [(Better::Higher, higher), (Better::Lower, lower)] {
                let text = table(&report(old, better), &report(new, better));
                let lines: Vec<_> = text.lines().filter(|line| line.contains("g/c")).collect();
                assert_eq!(lines.len(), 1, "{text}");
                assert!(lines[0].trim_start().starts_with(word), "{text}");
                assert!(
                    text.contains("peers and limits: 0 better, 0 worse, 1 within"),
                    "{text}"
                );
            }
        }
        let within = report([11.9, 20.0, 21.0], Better::Higher);
        let text = table(&report(old, Better::Higher), &within);
        assert!(
            !text.contains("g/c") && text.contains("ours: 0 better, 0 worse, 1 within"),
            "{text}"
        );
    }
}
