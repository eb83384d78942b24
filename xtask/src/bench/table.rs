//! The figures as text: a table a group while the bench runs, a line a group at its end.

use super::report::{Better, Figure, Group, Report, Standing};
use std::fmt::Write as _;

/// Characters of the longest bar.
const BAR: f64 = 24.0;

/// One group: each contender with its spread, a bar, and how many times better ours is.
pub(crate) fn group(group: &Group<'_>) -> String {
    let runs = group.figures.iter().map(|figure| figure.runs).max();
    let mut text = format!(
        "\n{}  ({}, {} is better, {} runs)\n",
        group.name,
        group.unit(),
        better(group.better()),
        runs.unwrap_or_default(),
    );
    let width = group
        .figures
        .iter()
        .map(|figure| figure.contender.chars().count())
        .max();
    let width = width.unwrap_or_default();
    let longest = group
        .figures
        .iter()
        .map(|figure| figure.median)
        .fold(0.0, f64::max);
    for figure in &group.figures {
        let filled = if longest > 0.0 {
            figure.median / longest * BAR
        } else {
            0.0
        };
        let _ = write!(
            text,
            "  {:<width$}  {:>9}  {:>9} … {:<9}  {:<BAR_WIDTH$}",
            figure.contender,
            number(figure.median),
            number(figure.min),
            number(figure.max),
            "▇".repeat(filled.round() as usize),
        );
        let _ = writeln!(text, "  {}", standing(group, figure));
    }
    text
}

const BAR_WIDTH: usize = BAR as usize;

/// How a contender stands to ours.
pub(crate) fn standing(group: &Group<'_>, figure: &Figure) -> String {
    let Some(ours) = group.ours() else {
        return String::new();
    };
    if std::ptr::eq(ours, figure) {
        return "ours".to_owned();
    }
    let Some(times) = ours.times_better_than(figure) else {
        return String::new();
    };
    if figure.is_limit() {
        return format!("ours does {:.0} % of it", times * 100.0);
    }
    let best = group
        .best_peer()
        .is_some_and(|best| std::ptr::eq(best, figure));
    let best = if best { "  ◄ best peer" } else { "" };
    format!("ours is {}{best}", times_text(times))
}

/// In how many groups ours is better than the best peer.
pub(crate) fn score(groups: &[Group<'_>]) -> String {
    let leads: Vec<_> = groups.iter().filter_map(Group::lead).collect();
    let count = |standing| {
        leads
            .iter()
            .filter(|lead| lead.standing() == standing)
            .count()
    };
    format!(
        "{} groups with a peer: ours is ahead of the best in {}, within the spread in {}, behind in {}",
        leads.len(),
        count(Standing::Ahead),
        count(Standing::Even),
        count(Standing::Behind),
    )
}

/// `2.41 × better`, or `1.30 × worse`.
pub(crate) fn times_text(times: f64) -> String {
    if times >= 1.0 {
        format!("{times:.2} × better")
    } else {
        format!("{:.2} × worse", 1.0 / times)
    }
}

pub(crate) fn better(better: Better) -> &'static str {
    match better {
        Better::Higher => "more",
        Better::Lower => "less",
    }
}

/// Where ours stands: a line a group that has a peer, the machine and the versions.
pub(crate) fn summary(report: &Report) -> String {
    let mut text = String::new();
    let groups = report.groups();
    let led: Vec<_> = groups
        .iter()
        .filter_map(|group| Some((group, group.lead()?)))
        .collect();
    if !led.is_empty() {
        text += "\nours beside the best peer\n";
        let width = led
            .iter()
            .map(|(group, _)| group.name.len())
            .max()
            .unwrap_or_default();
        for (group, lead) in &led {
            let _ = writeln!(
                text,
                "  {:<width$}  {:>9} to {:>9} {:<12} {:>16}  {}{}",
                group.name,
                number(lead.ours.median),
                number(lead.peer.median),
                group.unit(),
                times_text(lead.times),
                lead.peer.contender,
                if lead.standing() == Standing::Even {
                    "  (within the spread)"
                } else {
                    ""
                },
            );
        }
        let _ = writeln!(text, "  {}", score(&groups));
    }
    let versions: Vec<_> = report
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let _ = writeln!(text, "\nmachine   {}", report.machine);
    let _ = writeln!(text, "versions  {}", versions.join(", "));
    for note in &report.notes {
        let _ = writeln!(text, "note      {note}");
    }
    text
}

/// A figure in three or four digits.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e7 => format!("{value:.2e}"),
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        size if size >= 1e-4 => format!("{value:.5}"),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::tests::example;

    #[test]
    fn a_group_shows_who_is_best_and_by_how_much() {
        let report = example();
        let text = group(&report.groups()[0]);
        let line = |name: &str| {
            let line = text
                .lines()
                .find(|line| line.trim_start().starts_with(name));
            line.unwrap_or_else(|| panic!("{name} in {text}"))
                .to_owned()
        };
        assert!(line("ring/1to1/u64/b1").contains("M records/s, more is better"));
        assert!(line("ringbuf-core").contains("200.0") && line("ringbuf-core").ends_with("ours"));
        assert!(
            line("rtrb").ends_with("ours is 2.50 × better  ◄ best peer"),
            "{text}"
        );
        assert!(line("tokio").ends_with("ours is 20.00 × better"), "{text}");
        assert!(line("limit:").ends_with("ours does 50 % of it"), "{text}");
        assert!(summary(&report).contains("2.50 × better  rtrb"));
    }

    #[test]
    fn numbers_keep_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.000_05, "5.00e-5"),
            (0.0123, "0.012"),
            (1.5, "1.500"),
            (42.123, "42.12"),
            (1234.5, "1234"),
            (-0.5, "-0.500"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
