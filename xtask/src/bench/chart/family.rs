//! Which groups one plot shows. Pure: it looks at names and units only.

use crate::bench::report::{Better, Group};

/// Groups that belong together.
#[derive(Debug)]
pub(super) struct Family<'g, 'r> {
    /// What their names have in common.
    pub(super) name: String,
    pub(super) unit: &'r str,
    pub(super) better: Better,
    pub(super) kind: Kind,
    pub(super) members: Vec<Member<'g, 'r>>,
}

/// A group, and where it stands in its family.
#[derive(Debug)]
pub(super) struct Member<'g, 'r> {
    /// What tells it from the others.
    pub(super) label: String,
    /// Its place along the axis of curves.
    pub(super) x: f64,
    pub(super) group: &'g Group<'r>,
}

impl Family<'_, '_> {
    /// The contenders that are neither ours nor a limit, in the order in which they come.
    pub(super) fn peers(&self) -> Vec<&str> {
        let mut peers = Vec::new();
        for figure in self.members.iter().flat_map(|member| &member.group.figures) {
            let name = figure.contender.as_str();
            if !figure.is_ours() && !figure.is_limit() && !peers.contains(&name) {
                peers.push(name);
            }
        }
        peers
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bars,
    Curves(Axis),
}

/// What curves go along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Percentiles,
    Subscribers,
}

/// As few curves make no curve.
const FEWEST_POINTS: usize = 3;

/// How a group's name is read.
struct Parsed {
    family: String,
    label: String,
    axis: Option<(Axis, f64)>,
}

/// The families, in the order of their first groups.
pub(super) fn families<'g, 'r>(groups: &'g [Group<'r>]) -> Vec<Family<'g, 'r>> {
    let mut families: Vec<Family<'g, 'r>> = Vec::new();
    for group in groups {
        let mut parsed = percentile(group.name)
            .or_else(|| median_of_percentiles(group.name, groups))
            .or_else(|| subscribers(group.name));
        let same_axis = |other: &&Group<'_>| {
            let name = other.name;
            let other = percentile(name)
                .or_else(|| median_of_percentiles(name, groups))
                .or_else(|| subscribers(name));
            let family =
                |parsed: &Option<Parsed>| parsed.as_ref().map(|parsed| parsed.family.clone());
            family(&other) == family(&parsed)
        };
        if parsed.is_some() && groups.iter().filter(same_axis).count() < FEWEST_POINTS {
            parsed = None;
        }
        let parsed = parsed.unwrap_or_else(|| plain(group.name));
        let kind = parsed
            .axis
            .map_or(Kind::Bars, |(axis, _)| Kind::Curves(axis));
        let member = Member {
            label: parsed.label,
            x: parsed.axis.map_or(0.0, |(_, x)| x),
            group,
        };
        let fits = |family: &&mut Family<'_, '_>| {
            family.name == parsed.family && family.unit == group.unit() && family.kind == kind
        };
        match families.iter_mut().find(fits) {
            Some(family) => family.members.push(member),
            None => families.push(Family {
                name: parsed.family,
                unit: group.unit(),
                better: group.better(),
                kind,
                members: vec![member],
            }),
        }
    }
    for family in &mut families {
        if family.kind != Kind::Bars {
            family.members.sort_by(|a, b| a.x.total_cmp(&b.x));
        }
    }
    families
}

/// `a/b/c`: bars of `a/b`, labelled `c`.
fn plain(name: &str) -> Parsed {
    let (family, label) = match name.match_indices('/').nth(1) {
        Some(_) => name.rsplit_once('/').unwrap_or((name, "")),
        None => (name, ""),
    };
    Parsed {
        family: family.to_owned(),
        label: label.to_owned(),
        axis: None,
    }
}

/// `a/b-p99/c` or `a/b/c-p99.9` or `a/b/max`: a percentile of `a/b/c`. Its place is how many nines it has.
fn percentile(name: &str) -> Option<Parsed> {
    let segments: Vec<_> = name.split('/').collect();
    for (i, segment) in segments.iter().enumerate() {
        let (rest, word) = segment.rsplit_once('-').unwrap_or(("", segment));
        let x = match word.strip_prefix('p').map(str::parse::<f64>) {
            Some(Ok(percent)) if (0.0..100.0).contains(&percent) => nines(percent),
            _ if word == "max" => 6.0,
            _ => continue,
        };
        let mut family = segments.clone();
        if rest.is_empty() {
            family.remove(i);
        } else {
            family[i] = rest;
        }
        return Some(Parsed {
            family: family.join("/"),
            label: word.to_owned(),
            axis: Some((Axis::Percentiles, x)),
        });
    }
    None
}

fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

/// A group whose percentiles are groups of their own is their median.
fn median_of_percentiles(name: &str, groups: &[Group<'_>]) -> Option<Parsed> {
    let is_its_percentile =
        |group: &Group<'_>| percentile(group.name).is_some_and(|parsed| parsed.family == name);
    groups.iter().any(is_its_percentile).then(|| Parsed {
        family: name.to_owned(),
        label: "p50".to_owned(),
        axis: Some((Axis::Percentiles, nines(50.0))),
    })
}

/// `a/b/x64`, `a/b/64`, `a/b/64-idle`: so many subscribers.
fn subscribers(name: &str) -> Option<Parsed> {
    let (base, last) = name.rsplit_once('/')?;
    let (prefix, count) = match last.strip_prefix('x') {
        Some(count) => ("x", count),
        None => ("", last),
    };
    let (count, suffix) = match count.split_once('-') {
        Some((count, suffix)) => (count, format!("-{suffix}")),
        None => (count, String::new()),
    };
    let x: u32 = count.parse().ok()?;
    Some(Parsed {
        family: format!("{base}/{prefix}…{suffix}"),
        label: x.to_string(),
        // None at all has a place on a logarithmic axis too: half of one.
        axis: Some((Axis::Subscribers, f64::from(x).max(0.5))),
    })
}
